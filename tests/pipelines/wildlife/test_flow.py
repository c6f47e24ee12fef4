"""Reading, looking and writing beside each other: in order, bounded, and nothing is left behind."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from grange.pipelines.wildlife.flow import overlap

MANY = 200


class _Trouble(Exception):
    pass


def _source(closed: list[str], *, fails_at: int = -1) -> Generator[int, None, None]:
    try:
        for number in range(MANY):
            if number == fails_at:
                raise _Trouble
            yield number
    finally:
        closed.append(threading.current_thread().name)


def test_pieces_arrive_in_order() -> None:
    """All of them, once; the time that each thread took is told."""
    closed: list[str] = []
    seen: list[int] = []

    spent = overlap(_source(closed), lambda number: number * 2, seen.append)

    assert list(range(0, 2 * MANY, 2)) == seen
    assert 1 == len(closed)
    assert min(spent.reading, spent.looking, spent.writing) >= 0


def test_all_three_work_at_the_same_time() -> None:
    """Each waits for the other two within one step, which one after another never ends."""
    together = threading.Barrier(3, timeout=20)

    def source() -> Generator[int, None, None]:
        for number in range(3):
            if number == 2:
                together.wait()
            yield number

    def look(number: int) -> int:
        if number == 1:
            together.wait()
        return number

    def sink(number: int) -> None:
        if number == 0:
            together.wait()

    overlap(source(), look, sink)

    assert not together.broken


def test_the_reader_is_never_far_ahead() -> None:
    """What waits is bounded: the pieces are as large as memory allows."""
    read = 0
    written = 0
    ahead: list[int] = []

    def source() -> Generator[int, None, None]:
        nonlocal read
        for number in range(MANY):
            read += 1
            ahead.append(read - written)
            yield number

    def sink(_: int) -> None:
        nonlocal written
        written += 1

    overlap(source(), lambda number: number, sink)

    # One with each thread, one on each belt, and one that is being handed on.
    assert max(ahead) <= 6


@pytest.mark.parametrize("place", ["source", "look", "sink"])
def test_an_exception_comes_out_and_ends_all(place: str) -> None:
    """From whichever thread; then no thread is left and the source is closed."""
    closed: list[str] = []
    before = threading.active_count()

    def fail_at(number: int) -> int:
        if number == MANY // 2:
            raise _Trouble
        return number

    def sink(number: int) -> None:
        if place == "sink":
            fail_at(number)

    with pytest.raises(_Trouble):
        overlap(
            _source(closed, fails_at=MANY // 2 if place == "source" else -1),
            fail_at if place == "look" else lambda number: number,
            sink,
        )

    assert 1 == len(closed)
    assert before == threading.active_count()


def test_what_was_read_before_a_failure_is_written() -> None:
    """So that nothing depends on how far ahead the reader was."""
    seen: list[int] = []

    with pytest.raises(_Trouble):
        overlap(_source([], fails_at=50), lambda number: number, seen.append)

    assert list(range(50)) == seen
