"""What a client remembers between commands."""

from __future__ import annotations

import time
from pathlib import Path

from grange.client.known import Known


def test_a_digest_is_that_of_the_file_as_it_was(known: Known) -> None:
    """Another size, another time or another path is another file."""
    known.keep_digest("/a", size=1, mtime_ns=2, sha256="d")

    assert "d" == known.digest("/a", size=1, mtime_ns=2)
    assert None is known.digest("/a", size=2, mtime_ns=2)
    assert None is known.digest("/a", size=1, mtime_ns=3)
    assert None is known.digest("/b", size=1, mtime_ns=2)


def test_a_file_of_this_moment_is_not_remembered(known: Known) -> None:
    """It may change once more without its time telling."""
    now = time.time_ns()
    known.keep_digest("/a", size=1, mtime_ns=now, sha256="d")

    assert None is known.digest("/a", size=1, mtime_ns=now)


def test_a_damaged_memory_begins_anew(tmp_path: Path) -> None:
    """It holds nothing that could not be found out again."""
    file = tmp_path / "client.db"
    file.write_bytes(b"no database at all, by any measure" * 100)

    known = Known(file)
    known.keep_place("https://a", "run", "file:///out")

    assert "file:///out" == known.place("https://a", "run")
    assert None is known.place("https://b", "run")
    known.close()


def test_memory_outlives_the_command(tmp_path: Path) -> None:
    """The next command knows what this one has learned."""
    first = Known(tmp_path / "client.db")
    first.keep_upload("u1", "server", "folder", "path")
    first.keep_ours("/out/a")
    first.close()

    second = Known(tmp_path / "client.db")

    assert "u1" == second.upload("server", "folder", "path")
    assert second.is_ours("/out/a")
    assert not second.is_ours("/out/b")
    second.close()
