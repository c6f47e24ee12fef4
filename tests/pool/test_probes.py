"""Probe files: how a worker finds out which of the server's folders it sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from grange.pool.probes import PROBE_NAME, place
from tests.accounts.sites import at_once


def test_a_probe_never_changes(tmp_path: Path) -> None:
    """However often and by how many at once it is placed, it says the same."""
    found = at_once(lambda _: place([tmp_path]), threads=16)

    assert 1 == len({str(one) for one in found})
    assert [PROBE_NAME] == [path.name for path in tmp_path.iterdir()]
    [probe] = place([tmp_path])
    assert probe.content == Path(probe.path).read_text().strip()


def test_each_folder_has_its_own(tmp_path: Path) -> None:
    """Two folders are never taken for each other."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = place([tmp_path / "a", tmp_path / "b"])

    assert first.content != second.content


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"x" * 4096])
def test_a_damaged_probe_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    """A probe that was cut off, or written over, says something again."""
    (tmp_path / PROBE_NAME).write_bytes(damage)
    [probe] = place([tmp_path])

    assert 32 == len(probe.content)


def test_a_folder_that_takes_none_has_none(tmp_path: Path) -> None:
    """A folder that is not there, or is none, stops nothing."""
    (tmp_path / "file").write_text("")

    assert [] == place([tmp_path / "nowhere", tmp_path / "file"])
