"""What looks at an inbox goes on looking, whatever happens to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from grange.runs.arriving import Scout
from grange.runs.inbox import FolderInbox
from grange.runs.inputs import Scan, find_roots
from grange.runs.models import NewItem

PATIENCE_SECONDS = 30.0


class _Odd(FolderInbox):
    """A folder on a file system that does what nobody thought of, once."""

    def look(self) -> Iterator[NewItem]:
        if not self.__dict__.setdefault("failed", False):
            self.__dict__["failed"] = True
            raise LookupError("secret")
        return super().look()


def test_an_unthought_of_failure_ends_no_watch(tmp_path: Path) -> None:
    """It is told, without words that nobody has read, and the next look finds what is there."""
    (tmp_path / "a.txt").write_text("a")
    scan = Scan(find_roots([str(tmp_path)], cwd=str(tmp_path)))
    told: list[str] = []
    stop = threading.Event()

    scout = Scout(
        _Odd(scan, settle_seconds=0.0), [], every_seconds=0.1, once=False, told=told.append
    )
    with scout:
        until = time.monotonic() + PATIENCE_SECONDS
        while not (found := scout.take(10)) and time.monotonic() < until:
            stop.wait(0.02)

    assert ["a.txt"] == [one.item.path for one in found]
    assert "LookupError" in told[0]
    assert not any("secret" in one for one in told)
