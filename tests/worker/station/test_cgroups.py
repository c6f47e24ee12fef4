"""Limits of containers and services, as the system shows them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from grange.worker.station.cgroups import Limits, limits

MIB = 1 << 20
ASK = "from grange.worker.station.machine import find_capacity; c = find_capacity(gpus='none');"


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return root


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/a/b", {"cgroup.controllers": "cpu memory"}, Limits()),
        (
            "0::/system.slice/w.service",
            {
                "cgroup.controllers": "cpu memory",
                "system.slice/memory.max": "max",
                "system.slice/w.service/memory.max": str(512 * MIB),
                "system.slice/w.service/memory.high": "max",
                "system.slice/w.service/cpu.max": "150000 100000",
            },
            Limits(512 * MIB, 1.5),
        ),
        (
            "0::/system.slice/w.service",
            {
                "cgroup.controllers": "cpu memory",
                "system.slice/memory.max": str(256 * MIB),
                "system.slice/w.service/memory.max": str(512 * MIB),
                "system.slice/w.service/memory.high": str(300 * MIB),
                "system.slice/w.service/cpu.max": "max 100000",
            },
            Limits(256 * MIB, None),
        ),
        (
            # A container sees its own part of the tree, and may know a name that is not there.
            "0::/../../docker/0123",
            {"cgroup.controllers": "", "memory.max": str(64 * MIB), "cpu.max": "50000 100000"},
            Limits(64 * MIB, 0.5),
        ),
        (
            "4:memory:/box\n1:cpu,cpuacct:/\n0::/",
            {
                "memory/memory.limit_in_bytes": str(1 << 63),
                "memory/box/memory.limit_in_bytes": str(128 * MIB),
                "cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            Limits(128 * MIB, None),
        ),
        ("nonsense", {"cgroup.controllers": "", "memory.max": "many"}, Limits()),
    ],
    ids=["none", "service", "above", "container", "version 1", "nonsense"],
)
def test_the_least_of_all_limits_holds(
    tmp_path: Path, own: str, files: dict[str, str], expected: Limits
) -> None:
    """Those of the process's own group, and of each that it is in."""
    root = _tree(tmp_path / "cgroup", files)
    (tmp_path / "own").write_text(f"{own}\n")

    assert expected == limits(root, tmp_path / "own")


def test_a_system_without_groups_has_no_limits(tmp_path: Path) -> None:
    """Nothing is made up, and nothing fails."""
    assert Limits() == limits(tmp_path / "nowhere", tmp_path / "nothing")


@pytest.fixture
def box() -> Iterator[Path]:
    """Make a group of 256 MiB below that of this process, where the system lets us."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = {line.split(":", 2)[1]: line.split(":", 2)[2].lstrip("/") for line in lines}
    root = Path("/sys/fs/cgroup")
    first = "memory" in own
    parent = root / ("memory" if first else "") / own["memory" if first else ""]
    group = parent / f"grange-test-{os.getpid()}"
    name = "memory.limit_in_bytes" if first else "memory.max"
    try:
        group.mkdir()
        (group / name).write_text(str(256 * MIB))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"no group can be made here: {error.strerror}")
    try:
        yield group
    finally:
        group.rmdir()


def test_a_worker_in_a_small_group_offers_no_more_than_that(box: Path) -> None:
    """As with MemoryMax= in a unit, and in a container: a real group of a real process."""
    enter = f"open({str(box / 'cgroup.procs')!r}, 'w').write('0');"
    done = subprocess.run(
        [sys.executable, "-c", f"{enter} {ASK} print(c.memory_bytes)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert 200 * MIB < int(done.stdout) <= 256 * MIB
