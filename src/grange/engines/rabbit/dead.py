"""What no station could take: it comes back to its run as lost."""

from __future__ import annotations

import asyncio
import logging

from grange.core.tasks import Failure, Outcome, OutcomeState
from grange.engines.rabbit.line import Incoming, Line
from grange.engines.rabbit.link import Session
from grange.engines.rabbit.messages import Report, pack_report, unpack_batch
from grange.engines.rabbit.names import DELIVERY_LIMIT, Names
from grange.errors import EngineError

log = logging.getLogger("grange.rabbit")

_PREFETCH = 8


async def bury(session: Session, names: Names) -> None:
    """Report what is in the dead queue to the runs that it belongs to, from now on."""
    reader, sender = await session.line(), await session.line(confirms=True)
    busy: set[asyncio.Task[None]] = set()

    def take(message: Incoming) -> None:
        task = asyncio.create_task(_bury(reader, sender, names, message))
        busy.add(task)
        task.add_done_callback(busy.discard)

    await reader.consume(names.dead, take, prefetch=_PREFETCH)


async def _bury(reader: Line, sender: Line, names: Names, message: Incoming) -> None:
    try:
        batch = unpack_batch(message.body)
    except EngineError as error:
        log.warning("a message that no worker could take is dropped: %s", error)
    else:
        outcomes = tuple(_lost(task.id, task.epoch) for task in batch.tasks)
        body = pack_report(Report(station="", session="", outcomes=outcomes))
        try:
            # When there is no queue for it, the run is over.
            await sender.send(body, "", names.outcomes(batch.job.run))
        except EngineError as error:
            reader.session.fail(error)
            return
    try:
        await reader.accept(message.tag)
    except EngineError as error:
        reader.session.fail(error)


def _lost(task: int, epoch: int) -> Outcome:
    failure = Failure(
        "worker.lost",
        f"{DELIVERY_LIMIT + 1} times a worker was given this task and could not take it.",
        evidence={"deliveries": DELIVERY_LIMIT + 1},
    )
    return Outcome(task, epoch, OutcomeState.LOST, failure=failure)
