"""Who may begin: no more than the machine has room for, in the order in which they came. Pure."""

from __future__ import annotations

from collections import OrderedDict

from grange.core.resources import Capacity, Needs, Place, Room


class Gate:
    """Lets tasks to the workers.

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

    def count(self, needs: Needs) -> int:
        """How many such tasks could begin now."""
        return 0 if self._waiting else self._room.count(needs, self.capacity.slots)

    def waits(self, needs: Needs) -> bool:
        """Whether one with these needs waits."""
        return needs in self._waiting.values()

    def come(self, task: int, needs: Needs) -> None:
        """A task is ready to be begun."""
        self._waiting[task] = needs

    def admit(self) -> tuple[int, Place] | None:
        """The next one that may begin, and what it gets; None when nothing fits now."""
        if not self._waiting:
            return None
        task, needs = next(iter(self._waiting.items()))
        # As long as some are behind there is no room; to find that out again costs time.
        place = None if self._behind else self._room.admit(task, needs)
        if place is None:
            if self._large or not is_small(needs):
                return None
            self._behind[task] = needs
            place = Place()
        elif not is_small(needs):
            self._large.add(task)
        del self._waiting[task]
        return task, place

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
