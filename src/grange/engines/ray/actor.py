"""A handle of an actor on the cluster, by which nobody has to wait for Ray."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from grange.core.resources import Needs
from grange.core.tasks import JSON
from grange.engines.ray import joining
from grange.engines.ray.host import Terms
from grange.engines.ray.line import Line

Answer = Future[Any]
Then = Callable[[Answer], None]


class Actor:
    """What it is told goes by a line, in order.

    What is called is answered by a call of `then`, in any thread; with an error
    also when it could not be said.
    """

    def __init__(self, line: Line, terms: Terms, needs: Needs) -> None:
        """Ask for an actor; Ray starts it where there is room for it."""
        self._line = line
        self._handle: Any = None
        self._error: Exception | None = None
        line.say(partial(self._make, terms, needs))

    def call(self, method: str, argument: JSON, then: Then) -> None:
        """Call a method, and `then` with what comes of it."""
        self._line.say(partial(self._call, method, (argument,), then))

    def close(self, then: Then) -> None:
        """Let it end its worker, and `then` be called; `kill` follows."""
        self._line.say(partial(self._call, "close", (), then))

    def kill(self) -> None:
        """End it at once; its worker notices and ends too."""
        self._line.say(self._kill)

    # ---- in the line's thread

    def _make(self, terms: Terms, needs: Needs) -> None:
        try:
            self._handle = joining.hire(terms, needs)
        except Exception as error:  # noqa: BLE001  # Ray has many kinds; who calls it is told
            self._error = error

    def _call(self, method: str, arguments: tuple[JSON, ...], then: Then) -> None:
        answer: Answer = Future()
        try:
            answer = getattr(self._handle, method).remote(*arguments).future()
        except Exception as error:  # noqa: BLE001  # as above
            answer.set_exception(self._error or error)
        answer.add_done_callback(then)

    def _kill(self) -> None:
        if self._handle is not None:
            joining.kill(self._handle)
