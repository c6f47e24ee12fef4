"""The server's log: all of it, in order, a moment later."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grange.server.serving import lines
from grange.server.serving.lines import Lines

PATIENCE_SECONDS = 10.0


@pytest.fixture
def log(tmp_path: Path) -> Iterator[tuple[logging.Logger, Path]]:
    """Give a logger of its own, and the file that it writes."""
    path = tmp_path / "log"
    logger = logging.getLogger("grange.test")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    with path.open("w") as stream:
        handler = Lines(stream)
        logger.addHandler(handler)
        yield logger, path
        logger.removeHandler(handler)
        handler.close()


def test_lines_are_written_a_moment_later(log: tuple[logging.Logger, Path]) -> None:
    """Nobody has to ask for it, however few there are; also after a rest."""
    logger, path = log
    for word in ("one", "two"):
        logger.info(word)
        _until(path, word)

    assert ["one", "two"] == [line.split()[-1] for line in path.read_text().splitlines()]


def test_a_line_says_when_how_grave_and_who(log: tuple[logging.Logger, Path]) -> None:
    """As the lines of Python's own log do."""
    logger, path = log
    logger.warning("it is %d", 7)

    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING grange\.test it is 7\n"
    assert re.fullmatch(pattern, path.read_text())


def test_a_warning_is_there_at_once(
    log: tuple[logging.Logger, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what came before it, in order: it may be the last that is said."""
    monkeypatch.setattr(lines, "GATHER_SECONDS", 3600.0)
    logger, path = log
    logger.info("before")
    logger.error("it broke")

    assert ["before", "broke"] == [line.split()[-1] for line in path.read_text().splitlines()]


def test_the_end_writes_what_waits(
    log: tuple[logging.Logger, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `logging` does at the end of a process leaves nothing unsaid."""
    monkeypatch.setattr(lines, "GATHER_SECONDS", 3600.0)
    logger, path = log
    logger.info("the last")
    logger.handlers[0].flush()

    assert path.read_text().endswith("the last\n")


def test_no_line_is_lost_among_many_threads(log: tuple[logging.Logger, Path]) -> None:
    """Each line is there once and whole, while it is written behind their backs."""
    logger, path = log

    def tell(who: int) -> None:
        for number in range(500):
            logger.info("%d-%d", who, number)

    threads = [threading.Thread(target=tell, args=(who,)) for who in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    logger.handlers[0].flush()

    said = sorted(line.split()[-1] for line in path.read_text().splitlines())
    assert sorted(f"{who}-{number}" for who in range(4) for number in range(500)) == said


def _until(path: Path, word: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while word not in path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
