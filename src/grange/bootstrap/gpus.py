"""The GPUs of this machine among the runs that it works on itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from grange.core.resources import Capacity, Gpu, Needs, Room
from grange.errors import Conflict

VISIBLE = "CUDA_VISIBLE_DEVICES"
_DEVICES = "nvidia[0-9]*"


class Gpus:
    """Gives GPUs to slots of local runs, and none to two who want it for themselves. Thread-safe.

    Only runs of this process share them: other programs on this machine are not known here.
    """

    def __init__(self) -> None:
        """All are free."""
        self._lock = threading.Lock()
        self._names = visible()
        gpus = tuple(Gpu(index) for index in range(len(self._names)))
        # Slots and cores are counted elsewhere.
        self._room = Room(Capacity(slots=1 << 20, cores=1 << 20, gpus=gpus))
        self._taken: dict[str, list[object]] = {}

    def take(self, owner: str, needs: Needs, slots: int) -> Sequence[Mapping[str, str]]:
        """What so many slots, or fewer, add to their workers' environment, each for one of them.

        A machine without any GPU adds nothing: what asks for one finds out by itself.

        Raises:
            Conflict: Other runs of this process have them all.
        """
        if not needs.gpus or not self._names:
            return ()
        # How much memory each has is not known here: a task has its GPUs for itself.
        wanted = replace(Needs(), gpus=min(needs.gpus, len(self._names)))
        with self._lock:
            found: list[Mapping[str, str]] = []
            while len(found) < slots:
                holder = object()
                place = self._room.admit(holder, wanted)
                if place is None:
                    break
                self._taken.setdefault(owner, []).append(holder)
                found.append({VISIBLE: ",".join(self._names[index] for index in place.gpus)})
        if not found:
            message = f"All {len(self._names)} GPUs of this machine are at other runs."
            raise Conflict(message, hint="The run begins when enough of them are free.")
        return found

    def leave(self, owner: str) -> None:
        """Give back what this owner has. One that has nothing is ignored."""
        with self._lock:
            for holder in self._taken.pop(owner, ()):
                self._room.leave(holder)


def visible() -> tuple[str, ...]:
    """The GPUs that this process may use, by the names that its variable has for them."""
    said = os.environ.get(VISIBLE)
    if said is None:
        numbers = [path.name.removeprefix("nvidia") for path in Path("/dev").glob(_DEVICES)]
        return tuple(sorted(numbers, key=int))
    return tuple(part.strip() for part in said.split(",") if part.strip() not in {"", "-1"})
