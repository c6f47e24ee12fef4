"""What work needs, what a machine has, and who may take what: pure rules, no clock, no machine.

Work of one shape waits in one queue. A worker reads the queues of all shapes
that it could ever do, and takes from them what fits beside what it does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from grange.core import sizes
from grange.errors import UsageError

JSON = Any

MOST_CORES: Final = 1024
MOST_GPUS: Final = 64
MOST_BYTES: Final = 1 << 50
MOST_LABELS: Final = 8
LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?"

# Memory is told apart in these steps, or in sixteenths where it is much.
_STEP_BYTES = 1 << 28
_STEPS = 16
_GIB = 1 << 30
_SHAPE = re.compile(
    rf"c(?P<cores>\d+)(?:-m(?P<memory>\d+(?:\.\d+)?))?"
    rf"(?:-g(?P<gpus>\d+)(?:-v(?P<gpu_memory>\d+(?:\.\d+)?))?)?(?P<labels>(?:\+{LABEL})*)"
)


@dataclass(frozen=True, slots=True)
class Needs:
    """What one task needs while it is done.

    With `gpu_memory_bytes` each of its GPUs may be shared with others that say
    how much they need of it; without, they are its own. Only workers with all
    of the `labels` may do it.
    """

    cores: float = 1.0
    memory_bytes: int = 0
    gpus: int = 0
    gpu_memory_bytes: int = 0
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU of a machine, by the index under which the driver knows it."""

    index: int
    memory_bytes: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a worker has to give. Memory that nobody has told of is none."""

    slots: int = 1
    cores: float = 1.0
    memory_bytes: int = 0
    gpus: tuple[Gpu, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def usable_cores(self) -> float:
        """Its cores; at least one for each slot, since whoever gives more slots wants that."""
        return max(float(self.slots), self.cores)


@dataclass(frozen=True, slots=True)
class Place:
    """What a task got of a worker: the indices of its GPUs, for CUDA_VISIBLE_DEVICES."""

    gpus: tuple[int, ...] = ()


def check_needs(needs: Needs) -> Needs:
    """The needs, if they are possible at all, labels sorted and each once.

    Raises:
        UsageError: No machine could meet them.
    """
    bounds = (
        ("cores", needs.cores, 0.01, MOST_CORES),
        ("memory", needs.memory_bytes, 0, MOST_BYTES),
        ("GPUs", needs.gpus, 0, MOST_GPUS),
        ("GPU memory", needs.gpu_memory_bytes, 0, MOST_BYTES),
    )
    for name, value, low, high in bounds:
        if not math.isfinite(value) or not low <= value <= high:
            message = f"A task can't ask for {name} of {value:g}."
            raise UsageError(message, hint=f"Allowed is {low:g} to {high:g}.")
    if needs.gpu_memory_bytes and not needs.gpus:
        message = "A task that asks for memory of a GPU has to ask for a GPU."
        raise UsageError(message, hint="Say how many GPUs too; one will do.")
    labels = check_labels(needs.labels)
    return Needs(float(needs.cores), needs.memory_bytes, needs.gpus, needs.gpu_memory_bytes, labels)


def asked_for(needs: Needs, given: Mapping[str, JSON]) -> Needs:
    """The needs, with what somebody has said by the names of fields in the place of them.

    Raises:
        UsageError: No machine could meet them.
    """
    said = {name: value for name, value in given.items() if value is not None}
    if said.get("gpus") == 0:
        # Who wants none wants nothing of its memory either.
        said.setdefault("gpu_memory_bytes", 0)
    if "labels" in said:
        said["labels"] = tuple(said["labels"])
    return check_needs(replace(needs, **said))


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels, sorted and each once.

    Raises:
        UsageError: One is no label, or there are too many.
    """
    found = tuple(sorted(set(labels)))
    for label in found:
        if not re.fullmatch(LABEL, label):
            message = f"{label[:60]!r} is no label."
            hint = "A label has small letters, digits and dashes, at most 32 of them."
            raise UsageError(message, hint=hint)
    if len(found) > MOST_LABELS:
        message = f"These are {len(found)} labels."
        raise UsageError(message, hint=f"At most {MOST_LABELS} are allowed.")
    return found


def shape(needs: Needs) -> str:
    """The name of the queue for such tasks; whoever may read it can do each task in it.

    Cores are rounded up to whole ones, memory by a sixteenth at most, so that
    there are few queues.
    """
    parts = [f"c{max(1, math.ceil(needs.cores))}"]
    if needs.memory_bytes:
        parts.append(f"m{_rounded(needs.memory_bytes) / _GIB:g}")
    if needs.gpus:
        parts.append(f"g{needs.gpus}")
        if needs.gpu_memory_bytes:
            parts.append(f"v{_rounded(needs.gpu_memory_bytes) / _GIB:g}")
    return "-".join(parts) + "".join(f"+{label}" for label in sorted(set(needs.labels)))


def needs_of(shape: str) -> Needs:
    """The most that a task in the queue of this name needs.

    Raises:
        ValueError: That is no name of a shape.
    """
    found = _SHAPE.fullmatch(shape)
    if found is None:
        raise ValueError(shape)
    return Needs(
        cores=float(found["cores"]),
        memory_bytes=int(float(found["memory"] or 0) * _GIB),
        gpus=int(found["gpus"] or 0),
        gpu_memory_bytes=int(float(found["gpu_memory"] or 0) * _GIB),
        labels=tuple(label for label in found["labels"].split("+") if label),
    )


def serves(capacity: Capacity, shape: str) -> bool:
    """Whether a worker that has nothing else to do could do every task of this shape."""
    try:
        needs = needs_of(shape)
    except ValueError:
        return False
    return can_do(capacity, needs)


def can_do(capacity: Capacity, needs: Needs) -> bool:
    """Whether a worker that has nothing else to do has what this takes."""
    return Room(capacity).fits(needs)


class Room:
    """What is free of a worker: admits tasks while there is what they need, never more.

    Plain arithmetic over what was told; holders are named by whatever the
    caller likes.
    """

    def __init__(self, capacity: Capacity) -> None:
        """Begin with all of it free."""
        self.capacity = capacity
        self._held: dict[object, tuple[Needs, Place]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def fits(self, needs: Needs) -> bool:
        """Whether such a task could be admitted now."""
        return self._find(needs) is not None

    def admit(self, holder: object, needs: Needs, *, beside: Needs | None = None) -> Place | None:
        """Take what the task needs; None, and nothing taken, when it isn't there.

        With `beside` only what a task that needs so much will never want of this
        machine is taken: so one that waits for much is not held up by those after it.

        Raises:
            ValueError: This holder has its place already.
        """
        if holder in self._held:
            message = f"{holder!r} has a place already"
            raise ValueError(message)
        place = self._find(needs, beside)
        if place is not None:
            self._held[holder] = (needs, place)
        return place

    def leave(self, holder: object) -> None:
        """Free what this holder has. One that has nothing is ignored."""
        self._held.pop(holder, None)

    def hand_on(self, holder: object, heir: object, needs: Needs) -> bool:
        """Give what this holder has to another one that needs the same; False when it doesn't."""
        held = self._held.get(holder)
        if held is None or heir in self._held:
            return False
        # Most are of one run, and of one queue: to compare them costs more than all the rest.
        if held[0] is not needs and held[0] != needs:
            return False
        del self._held[holder]
        self._held[heir] = held
        return True

    def free_slots(self) -> int:
        """How many slots are free."""
        return self.capacity.slots - len(self._held)

    def count(self, needs: Needs, most: int = MOST_CORES, *, beside: Needs | None = None) -> int:
        """How many tasks such as this could be admitted now; `beside` is as in `admit`."""
        trial = Room(self.capacity)
        trial._held = dict(self._held)  # its own kind
        number = 0
        while number < most and trial.admit(object(), needs, beside=beside) is not None:
            number += 1
        return number

    def _find(self, needs: Needs, beside: Needs | None = None) -> Place | None:
        has = self.capacity
        held = [one for one, _ in self._held.values()]
        if beside is not None:
            held.append(beside)
        if has.slots - len(held) < 1 or not set(needs.labels) <= set(has.labels):
            return None
        if math.fsum([needs.cores, *(one.cores for one in held)]) > has.usable_cores:
            return None
        memory = needs.memory_bytes + sum(one.memory_bytes for one in held)
        # A task that asks for no memory makes do with what the others leave.
        if needs.memory_bytes and memory > has.memory_bytes:
            return None
        if beside is not None and beside.gpus and needs.gpus:
            return None
        return self._gpus(needs)

    def _gpus(self, needs: Needs) -> Place | None:
        if not needs.gpus:
            return Place()
        open_now = [gpu for gpu in self.capacity.gpus if self._has(gpu, needs)]
        # The fullest that has room, so that whole ones stay for those that need a whole one.
        open_now.sort(key=lambda gpu: (-self._taken(gpu), gpu.memory_bytes, gpu.index))
        if len(open_now) < needs.gpus:
            return None
        return Place(tuple(sorted(gpu.index for gpu in open_now[: needs.gpus])))

    def _has(self, gpu: Gpu, needs: Needs) -> bool:
        users = self._users(gpu)
        if not needs.gpu_memory_bytes:
            return not users
        if any(not one.gpu_memory_bytes for one in users):
            return False
        return self._taken(gpu) + needs.gpu_memory_bytes <= gpu.memory_bytes

    def _taken(self, gpu: Gpu) -> int:
        return sum(one.gpu_memory_bytes for one in self._users(gpu))

    def _users(self, gpu: Gpu) -> list[Needs]:
        return [needs for needs, place in self._held.values() if gpu.index in place.gpus]


def words(needs: Needs) -> str:
    """The needs, for people."""
    parts = [f"{needs.cores:g} core{'s' if needs.cores != 1 else ''}"]
    if needs.memory_bytes:
        parts.append(f"{sizes.size(needs.memory_bytes)} of memory")
    if needs.gpus:
        parts.append(f"{needs.gpus} GPU{'s' if needs.gpus != 1 else ''}")
    if needs.gpu_memory_bytes:
        parts[-1] += f" with {sizes.size(needs.gpu_memory_bytes)}"
    if needs.labels:
        label = "labels" if len(needs.labels) > 1 else "label"
        parts.append(f"the {label} {', '.join(needs.labels)}")
    return ", ".join(parts)


def needs_to_json(needs: Needs) -> dict[str, JSON]:
    """The needs as plain data, defaults left out."""
    data: dict[str, JSON] = {}
    for name, default in _DEFAULTS.items():
        value = getattr(needs, name)
        if value != default:
            data[name] = list(value) if isinstance(value, tuple) else value
    return data


def needs_from_json(data: Mapping[str, JSON]) -> Needs:
    """The needs that `needs_to_json` took apart. What is not known here is left out."""
    known = {name: data[name] for name in _DEFAULTS if name in data}
    if "labels" in known:
        known["labels"] = tuple(known["labels"])
    return Needs(**known)


def capacity_to_json(capacity: Capacity) -> dict[str, JSON]:
    """The capacity as plain data."""
    return {
        "slots": capacity.slots,
        "cores": capacity.cores,
        "memory_bytes": capacity.memory_bytes,
        "gpus": [
            {"index": gpu.index, "memory_bytes": gpu.memory_bytes, "name": gpu.name}
            for gpu in capacity.gpus
        ],
        "labels": list(capacity.labels),
    }


def capacity_from_json(data: Mapping[str, JSON]) -> Capacity:
    """The capacity that `capacity_to_json` took apart."""
    return Capacity(
        slots=int(data["slots"]),
        cores=float(data["cores"]),
        memory_bytes=int(data["memory_bytes"]),
        gpus=tuple(
            Gpu(int(one["index"]), int(one["memory_bytes"]), str(one["name"]))
            for one in data["gpus"]
        ),
        labels=tuple(map(str, data["labels"])),
    )


def _rounded(size: int) -> int:
    """The size, rounded up to what is told apart."""
    step = max(_STEP_BYTES, (1 << size.bit_length()) // (2 * _STEPS))
    return -(-size // step) * step


_DEFAULTS: dict[str, JSON] = {
    "cores": 1.0,
    "memory_bytes": 0,
    "gpus": 0,
    "gpu_memory_bytes": 0,
    "labels": (),
}
