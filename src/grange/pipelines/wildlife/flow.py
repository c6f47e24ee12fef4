"""Reading, looking and writing at the same time: three threads with belts of bounded length."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")

# Pieces that wait on a belt for the next thread; each piece is bounded by its bytes.
BELT_PLACES: Final = 1


@dataclass(slots=True)
class Spent:
    """The processor time of each thread, in seconds: where the time goes."""

    reading: float = 0.0
    looking: float = 0.0
    writing: float = 0.0


def overlap(
    source: Generator[T, None, None], look: Callable[[T], U], sink: Callable[[U], None]
) -> Spent:
    """Put each piece that `source` gives through `look` into `sink`, in order.

    The source runs in a thread of its own and so does the sink; `look` runs in
    the caller's. When one fails the others stop, and its exception is raised
    here; no thread is left then, and the source is closed.
    """
    before, after, spent = _Belt[T](), _Belt[U](), Spent()

    def read() -> None:
        with before.feeding():
            try:
                for one in source:
                    before.put(one)
            finally:
                source.close()
                spent.reading = time.thread_time()

    def write() -> None:
        try:
            for one in after:
                sink(one)
        except BaseException as error:  # noqa: BLE001  # it is raised again, in the caller's thread
            after.stop(error)
        finally:
            spent.writing = time.thread_time()

    threads = [threading.Thread(target=one, daemon=True) for one in (read, write)]
    began = time.thread_time()
    for thread in threads:
        thread.start()
    try:
        with after.feeding():
            for one in before:
                after.put(look(one))
    finally:
        before.stop()
        for thread in threads:
            thread.join()
        spent.looking = time.thread_time() - began
    after.check()
    return spent


class _Stopped(Exception):
    """Nobody takes anything from the belt any more."""


class _Belt(Generic[T]):
    """Carries pieces from one thread to the next, and the exception that ends them."""

    def __init__(self) -> None:
        self._pieces: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._stopped = False
        self._error: BaseException | None = None

    def feeding(self) -> _Feeding:
        """Say that the belt ends where the block does, with its exception if there is one."""
        return _Feeding(self)

    def put(self, one: T) -> None:
        """Lay a piece on the belt, once there is a place."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._pieces) < BELT_PLACES)
            if self._stopped:
                raise _Stopped
            self._pieces.append(one)
            self._changed.notify_all()

    def end(self, error: BaseException | None) -> None:
        """Nothing more comes."""
        with self._changed:
            self._ended = True
            self._error = self._error or error
            self._changed.notify_all()

    def stop(self, error: BaseException | None = None) -> None:
        """Take nothing any more: whoever puts something on it is stopped."""
        with self._changed:
            self._stopped = True
            self._error = self._error or error
            self._pieces.clear()
            self._changed.notify_all()

    def check(self) -> None:
        """Raise what has ended the belt, if that was an exception."""
        if self._error is not None and not isinstance(self._error, _Stopped):
            raise self._error

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pieces or self._ended or self._stopped)
                if not self._pieces:
                    break
                one = self._pieces.popleft()
                self._changed.notify_all()
            yield one
            # The next wait may be long, and the piece is large.
            del one
        self.check()


class _Feeding:
    """Ends a belt with the block that feeds it."""

    def __init__(self, belt: _Belt[Any]) -> None:
        self._belt = belt

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        self._belt.end(error)
        # The exception travels on the belt.
        return error is not None
