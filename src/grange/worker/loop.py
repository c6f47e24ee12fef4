"""The loop of a worker: batches in, tasks executed one after another, outcomes out."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

from grange.core.tasks import JSON, Batch, Outcome, batch_from_json, outcome_to_json
from grange.engines.channel import Channel
from grange.engines.register import Register
from grange.errors import ChannelBroken
from grange.worker.execute import Executor
from grange.worker.memory import MemoryWatch
from grange.worker.work import Identity

# A sign of life this often, and a look at whether the engine still lives.
BEAT_SECONDS = 0.5
# Outcomes wait no longer than this for company.
FLUSH_SECONDS = 0.05


class Worker:
    """Executes what comes through the channel."""

    def __init__(self, channel: Channel, register: Register, identity: Identity) -> None:
        """Take over the ends that the engine made."""
        self._channel = channel
        self._register = register
        self._identity = identity
        self._outcomes: list[JSON] = []
        self._flushed = 0.0

    def run(self, *, recycle_bytes: int) -> None:
        """Work until the channel closes, or memory has grown by so much: a fresh worker follows."""
        # Ctrl-C on a terminal is the engine's to handle; it ends its workers itself.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        Pulse(self._register).start()
        executor = Executor(self._identity, self._register)
        memory = MemoryWatch(recycle_bytes)
        self._channel.send({"ready": True})
        while (message := self._receive()) is not None:
            self._work(executor, batch_from_json(message))
            if memory.has_grown():
                break
        with suppress(ChannelBroken):
            self._flush()

    def _receive(self) -> JSON | None:
        try:
            return self._channel.receive()
        except OSError:
            return None

    def _work(self, executor: Executor, batch: Batch) -> None:
        for task in batch.tasks:
            self._register.begin(task.id)
            outcome = executor.execute(batch.job, task)
            self._answer(outcome)
        self._register.rest()
        self._flush()

    def _answer(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome_to_json(outcome))
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        if self._outcomes:
            self._channel.send({"outcomes": self._outcomes})
            self._outcomes = []
        self._flushed = time.monotonic()


class Pulse(threading.Thread):
    """Gives signs of life, and ends everything when the engine's process is gone."""

    def __init__(self, register: Register) -> None:
        """Remember whose child this process is."""
        super().__init__(daemon=True, name="pulse")
        self._register = register
        self._parent = os.getppid()

    def run(self) -> None:
        """Beat until the parent is gone."""
        while True:
            self._register.beat()
            if os.getppid() != self._parent:
                end_all()
            time.sleep(BEAT_SECONDS)


def end_all() -> None:
    """Kill every process that this one has started, and this one."""
    import psutil

    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    os.killpg(os.getpgid(0), signal.SIGKILL)
