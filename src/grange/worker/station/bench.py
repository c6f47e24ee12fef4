"""Worker processes of a station: an engine of this machine, in a thread of its own.

The station's own thread waits for connections and must never wait for a
process. It says here what is to be done, and hears of outcomes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from grange.core.tasks import Batch, Outcome
from grange.engines import Engine, WorkerView
from grange.errors import EngineError, GrangeError

log = logging.getLogger("grange.worker")

# How long the thread waits for outcomes when nobody rings.
_WAIT_SECONDS = 0.5
# How often it looks at what the workers do.
_LOOK_SECONDS = 0.25
_JOIN_SECONDS = 10.0
# Where so many outcomes come together, workers have more tasks at hand that are as short: the
# next ones wait so long for company, as each look costs about as much for one as for a hundred.
_MANY = 4
_COMPANY_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Look:
    """What the workers did a moment ago, at `at` of `time.monotonic`."""

    at: float = 0.0
    alive: frozenset[int] = frozenset()
    views: Sequence[WorkerView] = ()


@dataclass(frozen=True, slots=True)
class _Abandon:
    tasks: frozenset[int]
    done: Future[None]

    def fulfil(self) -> None:
        """Nobody is at the tasks any more."""
        # Whoever waited may have given that up.
        if self.done.set_running_or_notify_cancel():
            self.done.set_result(None)


class Bench:
    """Every method may be called from any thread, and none waits for a process but `close`."""

    def __init__(
        self,
        engine: Engine,
        *,
        hear: Callable[[list[Outcome]], None],
        fail: Callable[[GrangeError], None],
    ) -> None:
        """Take an engine over, which nobody else uses from now on.

        `hear` is called in the bench's own thread with outcomes, `fail` when no
        worker can be started: the bench does nothing more then.
        """
        self._engine = engine
        self._hear = hear
        self._fail = fail
        self._orders: deque[Batch | _Abandon] = deque()
        self._closing = self._is_over = False
        self._look = Look()
        self._thread = threading.Thread(target=self._work, name="bench", daemon=True)

    def start(self) -> None:
        """Start the workers."""
        self._thread.start()

    def publish(self, batch: Batch) -> None:
        """Let workers do these tasks."""
        self._orders.append(batch)
        self._engine.ring()

    def abandon(self, tasks: Collection[int]) -> Future[None]:
        """Stop these tasks; no outcome comes of them, unless it was under way already.

        What is returned is done as soon as nobody is at them any more.
        """
        order = _Abandon(frozenset(tasks), Future())
        self._orders.append(order)
        self._engine.ring()
        if self._is_over:
            self._let_go()
        return order.done

    def look(self) -> Look:
        """What the workers do."""
        return self._look

    def close(self) -> None:
        """Kill all workers with all that they started. Idempotent."""
        self._closing = True
        self._engine.ring()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_SECONDS)

    def _work(self) -> None:
        try:
            self._engine.start()
            while not self._closing:
                self._obey()
                outcomes = self._engine.collect(_WAIT_SECONDS)
                if outcomes:
                    self._hear(outcomes)
                self._look_around()
                if len(outcomes) >= _MANY:
                    time.sleep(_COMPANY_SECONDS)
        except GrangeError as error:
            self._fail(error)
        except Exception as error:
            # Nobody would do any more what is given to this bench.
            log.exception("what looks after worker processes has failed")
            self._fail(EngineError(f"The worker processes can't be looked after: {error!r}."))
        finally:
            self._engine.close()
            self._is_over = True
            self._let_go()

    def _obey(self) -> None:
        while self._orders:
            order = self._orders.popleft()
            if isinstance(order, Batch):
                self._engine.publish(order)
            else:
                self._engine.abandon(order.tasks)
                order.fulfil()

    def _let_go(self) -> None:
        """All workers are gone, and with them what they were at."""
        with suppress(IndexError):
            while True:
                order = self._orders.popleft()
                if isinstance(order, _Abandon):
                    order.fulfil()

    def _look_around(self) -> None:
        now = time.monotonic()
        if now - self._look.at >= _LOOK_SECONDS:
            alive = frozenset(self._engine.alive())
            self._look = Look(now, alive, tuple(self._engine.workers()))
