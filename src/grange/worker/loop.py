"""The loop of a worker: batches in, tasks executed one after another, outcomes out."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import suppress

from grange.core.tasks import (
    JSON,
    Outcome,
    OutcomeState,
    Task,
    batch_from_json,
    outcome_to_json,
)
from grange.engines.channel import Channel
from grange.engines.register import Register
from grange.errors import ChannelBroken
from grange.worker.execute import Executor
from grange.worker.memory import MemoryWatch
from grange.worker.postbox import Postbox
from grange.worker.pulse import Pulse, end_all
from grange.worker.work import Identity


def work(channel: Channel, identity: Identity, *, recycle_bytes: int) -> None:
    """Work until memory has grown by so much: a fresh worker follows.

    When the engine is gone, this process ends with all that it has started.
    """
    # With the default handler a stray Ctrl-C would look like the task's own
    # failure; ignored, it would be ignored by commands as well.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    register = Register(identity.folder / "register")
    postbox = Postbox(channel)
    loop = _Loop(Executor(identity, register), register, postbox, identity)
    memory = MemoryWatch(recycle_bytes)
    # Before any work can come: this process knows by it whether the engine still lives.
    pulse = Pulse(identity, register, postbox)
    # The engine may be gone by now: then this worker leaves as any other does.
    with suppress(ChannelBroken):
        channel.send({"ready": True})
        pulse.start()
        while (message := channel.receive()) is not None:
            loop.work_on(message)
            if memory.has_grown():
                # The engine takes it from here, even if threads of a pipeline never end.
                channel.close()
                return
    end_all(identity, register)


class _Loop:
    """Works on batches."""

    def __init__(
        self, executor: Executor, register: Register, postbox: Postbox, identity: Identity
    ) -> None:
        self._executor = executor
        self._register = register
        self._postbox = postbox
        self._identity = identity

    def work_on(self, message: JSON) -> None:
        batch = batch_from_json(message)
        for place, task in enumerate(batch.tasks):
            self._register.begin(task.id)
            if self._register.recalled() >= message["batch"]:
                self._give_back(batch.tasks[place:])
                break
            self._postbox.put(outcome_to_json(self._executor.execute(batch.job, task)))
        self._register.rest()
        self._postbox.empty()

    def _give_back(self, tasks: Sequence[Task]) -> None:
        name = self._identity.name
        for task in tasks:
            outcome = Outcome(task.id, task.epoch, OutcomeState.RETURNED, worker=name)
            self._postbox.put(outcome_to_json(outcome))
