"""Who may begin: no more than the machine has room for, in the order in which they came. Pure."""

from __future__ import annotations

from collections import OrderedDict

from grange.core.resources import Capacity, Needs, Place, Room

_ANYWHERE = Place()


class Gate:
    """Lets tasks to the workers.

    What needs much is not starved by what needs little, though that always fits.
    Tasks that need no more than a core each may wait at the workers themselves,
    as long as there are no others: the way there would cost more than the task.
    """

    def __init__(self, capacity: Capacity) -> None:
        """Begin with all of it free."""
        self.capacity = capacity
        self._room = Room(capacity)
        self._waiting: OrderedDict[int, Needs] = OrderedDict()
        self._behind: OrderedDict[int, Needs] = OrderedDict()
        self._large: set[int] = set()

    @property
    def waiting(self) -> int:
        """How many wait before the gate."""
        return len(self._waiting)

    @property
    def behind(self) -> int:
        """How many have passed it and wait for a worker."""
        return len(self._behind)

    @property
    def free_slots(self) -> int:
        """How many workers have nothing to do."""
        return self._room.free_slots()

    @property
    def is_held_up(self) -> bool:
        """Whether a large task waits for room, and all others for it."""
        first = next(iter(self._waiting.values()), None)
        return first is not None and not is_small(first)

    def count(self, needs: Needs) -> int:
        """How many such tasks could begin now, beside those that wait."""
        if not self._waiting:
            return self._room.count(needs, self.capacity.slots)
        first = next(iter(self._waiting.values()))
        if self._behind or is_small(first):
            return 0
        return self._room.count(needs, self.capacity.slots, beside=first)

    def waits(self, needs: Needs) -> bool:
        """Whether one with these needs waits."""
        return needs in self._waiting.values()

    def come(self, task: int, needs: Needs) -> None:
        """A task is ready to be begun."""
        self._waiting[task] = needs

    def admit(self) -> tuple[int, Place] | None:
        """The next one that may begin, and what it gets; None when nothing fits now.

        While a large one waits for room, others pass it only where they take nothing
        of what it needs: it begins as soon as the last of those before it is at its end.
        """
        if not self._waiting:
            return None
        task, needs = next(iter(self._waiting.items()))
        # As long as some are behind there is no room; to find that out again costs time.
        place = None if self._behind else self._room.admit(task, needs)
        if place is None:
            if not is_small(needs):
                return self._beside(needs)
            if self._large:
                return None
            self._behind[task] = needs
            place = _ANYWHERE
        elif not is_small(needs):
            self._large.add(task)
        del self._waiting[task]
        return task, place

    def _beside(self, first: Needs) -> tuple[int, Place] | None:
        if self._behind:
            return None
        tried = {first}
        for task, needs in self._waiting.items():
            if needs in tried:
                continue
            tried.add(needs)
            place = self._room.admit(task, needs, beside=first)
            if place is not None:
                if not is_small(needs):
                    self._large.add(task)
                del self._waiting[task]
                return task, place
        return None

    def leave(self, task: int) -> None:
        """A task is at its end, or unwanted; what it had is the next one's. Unknown is fine."""
        self._waiting.pop(task, None)
        if self._behind.pop(task, None) is not None:
            return
        self._large.discard(task)
        if not self._behind:
            self._room.leave(task)
            return
        # Nobody but such as can be done everywhere is behind, so the next one fits.
        first, needs = self._behind.popitem(last=False)
        if not self._room.hand_on(task, first, needs):
            self._room.leave(task)
            if self._room.admit(first, needs) is None:
                self._behind[first] = needs
                self._behind.move_to_end(first, last=False)


def is_small(needs: Needs) -> bool:
    """Whether as many as there are slots can be done at once, whatever the machine has."""
    return needs.cores <= 1 and not needs.memory_bytes and not needs.gpus
