"""What the system lets this process have of the machine: limits of its groups, as Linux keeps them.

Containers have such limits, and services by MemoryMax= and CPUQuota=. Each group is below
others, and the least of all their limits holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
# What a group may have before it is slowed down, and before it is killed.
_MEMORY = ("memory.high", "memory.max", "memory.limit_in_bytes")


@dataclass(frozen=True, slots=True)
class Limits:
    """The least that was said; None where nothing was."""

    memory_bytes: int | None = None
    cores: float | None = None


def limits(root: Path = _ROOT, own: Path = _OWN) -> Limits:
    """The limits of the groups that `own` names, which are shown below `root`."""
    memory: list[int] = []
    cores: list[float] = []
    for group in _groups(root, own):
        for name in _MEMORY:
            with suppress(OSError, ValueError):
                memory.append(int(_read(group / name)))
        with suppress(OSError, ValueError):
            cores.append(_cores(group))
    return Limits(min(memory, default=None), min(cores, default=None))


def _groups(root: Path, own: Path) -> Iterator[Path]:
    """The folders of this process's groups, and of all that those are in.

    Where only a part of them is shown, as in most containers, the top of that has the limits.
    """
    try:
        lines = own.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        # The second version has one tree, the first one for each kind.
        tree = root / kinds.removeprefix("name=") if kinds else root
        if not kinds and not (root / "cgroup.controllers").exists():
            tree = root / "unified"
        place = Path(os.path.normpath(f"/{path.lstrip('/')}")).relative_to("/")
        yield tree / place
        for parent in place.parents:
            yield tree / parent


def _cores(group: Path) -> float:
    """How many cores of a processor's time a group gets.

    Raises:
        OSError, ValueError: There is no such limit.
    """
    try:
        quota, period = _read(group / "cpu.max").split()
    except FileNotFoundError:
        quota = _read(group / "cpu.cfs_quota_us")
        period = _read(group / "cpu.cfs_period_us")
    share = int(quota) / int(period) if int(period) else 0.0
    if share <= 0:
        message = "there is none"
        raise ValueError(message)
    return share


def _read(file: Path) -> str:
    return file.read_text(encoding="ascii").strip()
