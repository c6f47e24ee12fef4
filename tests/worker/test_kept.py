"""What stages of pipelines keep: there while there is room, and never anything else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grange.worker.kept import Kept

MEBIBYTE = 1 << 20


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _in_one_folder(keys: int) -> list[str]:
    """Keys whose entries lie in the same folder and share its room."""
    import hashlib

    found = (f"key {number}" for number in range(100_000))
    same = (key for key in found if hashlib.sha256(key.encode()).hexdigest().startswith("00"))
    return [next(same) for _ in range(keys)]


def test_what_was_kept_is_known(tmp_path: Path) -> None:
    """By every worker, also one that begins later; a later value replaces it."""
    Kept(tmp_path, MEBIBYTE).keep("key", b"old")
    Kept(tmp_path, MEBIBYTE).keep("key", b"new")
    Kept(tmp_path, MEBIBYTE).keep("nothing", b"")

    later = Kept(tmp_path, MEBIBYTE)
    assert [b"new", b"", None] == [later.known(key) for key in ("key", "nothing", "unknown")]


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 40])
def test_a_damaged_entry_is_not_known(tmp_path: Path, damage: bytes) -> None:
    """Whatever the file holds by now; it can be kept anew."""
    kept = Kept(tmp_path, MEBIBYTE)
    kept.keep("key", b"data")
    (entry,) = _entries(tmp_path)
    entry.write_bytes(damage)

    assert kept.known("key") is None
    kept.keep("key", b"data")
    assert b"data" == kept.known("key")


def test_what_cannot_be_written_is_just_not_kept(tmp_path: Path) -> None:
    """A file in the folder's place fails nobody's work."""
    (tmp_path / "file").touch()
    kept = Kept(tmp_path / "file", MEBIBYTE)

    kept.keep("key", b"data")

    assert kept.known("key") is None


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    """Use counts, not age; what is left takes no more room than the limit."""
    first, second, third, fourth = _in_one_folder(4)
    # Room for three entries of a block in each folder.
    kept = Kept(tmp_path, 256 * 3 * 4096)
    for age, key in enumerate((first, second, third)):
        kept.keep(key, b"x")
        (entry,) = [one for one in _entries(tmp_path) if one.stat().st_mtime > 1_000]
        os.utime(entry, (age, age))
    assert b"x" == kept.known(first)

    kept.keep(fourth, b"x")

    assert [b"x", None, b"x", b"x"] == [kept.known(one) for one in (first, second, third, fourth)]


def test_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    """It would drive out everything else; with no room at all nothing is kept."""
    kept = Kept(tmp_path, 256 * 4096)
    kept.keep("small", b"x")
    kept.keep("large", b"x" * 5000)
    Kept(tmp_path / "none", 0).keep("small", b"x")

    assert [b"x", None] == [kept.known("small"), kept.known("large")]
    assert [] == _entries(tmp_path / "none")
