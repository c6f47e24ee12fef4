"""What this machine has for work, and how it is doing."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from grange.core import sizes
from grange.core.resources import Capacity, Gpu, check_labels
from grange.errors import UsageError
from grange.worker.station.cgroups import limits

# Of the memory so much is left to the system and to the station itself.
_LEFT = 0.05
_ASK_SECONDS = 10.0
_PR_SET_DUMPABLE = 4
_GPU = re.compile(r"(?P<index>\d{1,3})(?::(?P<size>\d+(?:\.\d+)?)GiB)?")
_GIB = 1 << 30
_MIB = 1 << 20
VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class Load:
    """How the machine is doing: shares of all cores, bytes of memory."""

    cpu: float
    load: float
    memory_used_bytes: int
    memory_bytes: int


def find_capacity(
    *,
    slots: int | None = None,
    memory_bytes: int | None = None,
    gpus: str = "auto",
    labels: tuple[str, ...] = (),
) -> Capacity:
    """What this machine gives to work, where it isn't said otherwise.

    Args:
        slots: How many tasks at once; as many as there are cores.
        memory_bytes: How much memory for them; nearly all that this process may use.
        gpus: `auto` for those that the driver names, `none`, or indices with commas between,
            each with its memory if it has to be said: `0,1:24GiB`.
        labels: Words by which runs can ask for this machine.

    Raises:
        UsageError: That is no list of GPUs, or no label.
    """
    cores = available_cores()
    return Capacity(
        slots=slots or max(1, int(cores)),
        cores=float(cores),
        memory_bytes=memory_bytes or int(_memory_limit() * (1 - _LEFT)),
        gpus=_gpus(gpus),
        labels=check_labels(labels),
    )


def doubts(capacity: Capacity) -> Iterator[str]:
    """What it is said to have and doesn't seem to: a slip, or a person who knows more than this."""
    known = {gpu.index for gpu in _found()} if capacity.gpus else set()
    unseen = [str(gpu.index) for gpu in capacity.gpus if gpu.index not in known]
    if unseen:
        yield f"nvidia-smi names no GPU {', '.join(unseen)} here"
    limit = _memory_limit()
    if capacity.memory_bytes > limit:
        yield f"no more than {sizes.size(limit)} of memory may be used here"


def available_cores() -> float:
    """The cores that this process may use, or as much of their time as it gets."""
    if hasattr(os, "sched_getaffinity"):
        cores = float(len(os.sched_getaffinity(0)))
    else:
        cores = float(os.cpu_count() or 1)
    quota = limits().cores
    return cores if quota is None else min(cores, quota)


def hide() -> None:
    """Keep other processes of this user out of this one's memory and environment.

    What runs people's commands is of the same user, and has no business with the
    keys that this process knows. On Linux alone, and not before root.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def address_towards(server: str) -> str:
    """The address of this machine as the server sees it; the usual one where that isn't clear."""
    parts = urlsplit(server)
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: the system only chooses the way.
        probe.connect((parts.hostname or "", parts.port or 443))
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def look() -> Load:
    """How the machine is doing since the last look. Doesn't wait."""
    import psutil

    memory = psutil.virtual_memory()
    return Load(
        cpu=min(1.0, psutil.cpu_percent(interval=None) / 100),
        load=os.getloadavg()[0],
        memory_used_bytes=memory.total - memory.available,
        memory_bytes=memory.total,
    )


def _memory_limit() -> int:
    import psutil

    total, limit = int(psutil.virtual_memory().total), limits().memory_bytes
    return total if limit is None else min(total, limit)


def _gpus(said: str) -> tuple[Gpu, ...]:
    if said == "none":
        return ()
    if said == "auto":
        return _visible(_found())
    named = [_GPU.fullmatch(part.strip()) for part in said.split(",")]
    if not all(named):
        message = f"{said!r} names no GPUs."
        raise UsageError(message, hint="Give auto, none, or indices such as 0,1 or 0:24GiB.")
    found = {gpu.index: gpu for gpu in _found()}
    chosen = {}
    for match in named:
        if match is not None:
            index, size = int(match["index"]), match["size"]
            known = found.get(index, Gpu(index))
            memory = int(float(size) * _GIB) if size else known.memory_bytes
            chosen[index] = Gpu(index, memory, known.name)
    return tuple(chosen.values())


def _found() -> list[Gpu]:
    """The GPUs that NVIDIA's driver names; none where it is not there."""
    command = ["nvidia-smi", "--query-gpu=index,memory.total,name", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_ASK_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    gpus = []
    for line in answer.splitlines():
        with suppress(ValueError):
            index, memory, name = (part.strip() for part in line.split(",", 2))
            # Some say no number for memory that they share with the machine.
            gpus.append(Gpu(int(index), int(memory) * _MIB if memory.isdigit() else 0, name))
    return gpus


def _visible(gpus: list[Gpu]) -> tuple[Gpu, ...]:
    """Those that this process may use."""
    said = os.environ.get(VISIBLE)
    if said is None:
        return tuple(gpus)
    allowed = {part.strip() for part in said.split(",")}
    return tuple(gpu for gpu in gpus if str(gpu.index) in allowed)
