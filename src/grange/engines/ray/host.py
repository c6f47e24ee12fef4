"""An actor: it hands what it is sent to a worker process of its own, and tells what comes of it.

This runs on the machines of a Ray cluster and knows nothing of Ray. The work
is done in a process that a `LocalEngine` looks after, so that time limits,
kills and deaths are what they are on one machine, and no task can take the
actor with it.
"""

from __future__ import annotations

import json
import os
import platform
import queue
import sys
import threading
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from grange.core.tasks import JSON, Batch, Job, Outcome, batch_from_json, outcome_to_json
from grange.engines.local import PATIENCE_SECONDS, LocalEngine
from grange.errors import EngineError, GrangeError

# What is said between the engine and its actors; both sides must speak the same.
PROTOCOL: Final = 1
WORKER: Final = ("-m", "grange.worker")
# How soon an actor notices what its worker does, where nothing wakes it.
LOOK_SECONDS = 0.1
_SECRETS = ("DATABASE", "ENGINE", "KEY", "PASSWORD", "SECRET", "SESSIONS", "TOKEN")
# Jobs that are known again when more of their tasks come.
KNOWN_JOBS = 16


@dataclass(frozen=True, slots=True)
class Terms:
    """How an actor is to work. A sign of life comes every `beat_seconds` at least."""

    lease_seconds: float = 60.0
    beat_seconds: float = 1.0
    recycle_bytes: int = 1 << 30
    withheld: tuple[str, ...] = ()


class WorkerHost:
    """The actor. Each of its methods may be called while others are under way."""

    def __init__(self, terms: Terms) -> None:
        """Start the worker; it comes up by itself."""
        self._terms = terms
        self._engine = LocalEngine(
            [sys.executable, *WORKER],
            workers=1,
            lease_seconds=terms.lease_seconds,
            recycle_bytes=terms.recycle_bytes,
            withheld=[*terms.withheld, *filter(_is_secret, os.environ)],
        )
        self._orders: queue.SimpleQueue[JSON] = queue.SimpleQueue()
        self._seats: dict[int, int] = {}  # by task: which engine wants to hear of it
        self._jobs: dict[str, Job] = {}
        self._news = threading.Condition()
        self._is_news = True
        self._closing = False
        self._state: dict[str, JSON] = {"stale": [], "views": []}
        self._untold: list[JSON] = []
        self._told: list[JSON] = []
        self._number = 0
        self._thread = threading.Thread(target=self._work, name="host", daemon=True)
        self._thread.start()

    def give(self, message: bytes) -> None:
        """Take tasks over, and stop others. Returns at once.

        Raises:
            EngineError: The engine speaks another protocol.
        """
        data = json.loads(message)
        if data["protocol"] != PROTOCOL:
            text = f"The engine speaks protocol {data['protocol']}, this actor {PROTOCOL}."
            raise EngineError(text, hint="Install one version of Grange on all machines.")
        self._orders.put(data)
        self._engine.ring()

    def report(self, seen: int) -> bytes:
        """What has happened since report `seen`; waits for something to tell, or for a beat.

        What was in a report is told again until a later call says that it was seen.
        """
        with self._news:
            self._news.wait_for(lambda: self._is_news, timeout=self._terms.beat_seconds)
            self._is_news = False
            again = [] if seen == self._number else self._told
            self._told = again + self._untold
            self._untold = []
            self._number += 1
            answer = {
                **self._state,
                "protocol": PROTOCOL,
                "versions": {"grange": version("grange"), "python": platform.python_version()},
                "node": platform.node(),
                "number": self._number,
                "outcomes": self._told,
            }
        return json.dumps(answer, separators=(",", ":")).encode()

    def close(self) -> None:
        """End the worker with all that it started; returns when it is gone."""
        with self._news:
            self._closing = True
        self._engine.ring()
        self._thread.join()

    # ---- in the host's own thread

    def _work(self) -> None:
        try:
            self._engine.start()
            while not self._closing:
                self._obey()
                self._tell(self._engine.collect(LOOK_SECONDS))
                self._give_back()
        except GrangeError as error:
            with self._news:
                self._state = {**self._state, "broken": str(error)}
                self._wake()
        finally:
            self._engine.close()

    def _obey(self) -> None:
        while not self._orders.empty():
            data = self._orders.get()
            if data["abandon"]:
                self._engine.abandon(data["abandon"])
                for task in data["abandon"]:
                    self._seats.pop(task, None)
            for seat, one in data["batches"]:
                batch = batch_from_json(one)
                self._seats.update((task.id, seat) for task in batch.tasks)
                self._engine.publish(Batch(self._known(one["job"], batch.job), batch.tasks))

    def _known(self, data: JSON, job: Job) -> Job:
        """The same job as before, so that its tasks travel together."""
        key = json.dumps(data, sort_keys=True)
        while key not in self._jobs and len(self._jobs) >= KNOWN_JOBS:
            del self._jobs[next(iter(self._jobs))]
        return self._jobs.setdefault(key, job)

    def _tell(self, came: list[Outcome]) -> None:
        told = [
            [self._seats.pop(one.task), outcome_to_json(one)]
            for one in came
            if one.task in self._seats
        ]
        views = self._engine.workers()
        alive = set(self._engine.alive())
        state: dict[str, JSON] = {
            "stale": [task for task in self._seats if task not in alive],
            "views": [
                [view.name, view.task, view.seconds, view.progress, view.silent] for view in views
            ],
        }
        with self._news:
            at_hand = [view[:2] for view in self._state["views"]]
            moved = at_hand != [view[:2] for view in state["views"]]
            self._state = state
            self._untold += told
            if told or moved:
                self._wake()

    def _give_back(self) -> None:
        """What waits behind a task that takes long, others may do sooner."""
        if any(view.seconds > PATIENCE_SECONDS for view in self._engine.workers() if view.task):
            back = [task.id for task in self._engine.give_back() if task.id in self._seats]
            with self._news:
                self._untold += [[self._seats.pop(task), task] for task in reversed(back)]
                if back:
                    self._wake()

    def _wake(self) -> None:
        self._is_news = True
        self._news.notify_all()


def _is_secret(name: str) -> bool:
    """Whether a variable opens something of a server's, from whose environment Ray has it."""
    return name.startswith(("GRANGE_", "RAY_")) and any(word in name for word in _SECRETS)
