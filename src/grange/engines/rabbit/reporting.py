"""What a station reports to the drivers of runs: once and for all, on the broker's disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from grange.core.tasks import Failure, Outcome, OutcomeState
from grange.engines.rabbit.line import Line
from grange.engines.rabbit.messages import Report, pack_report
from grange.engines.rabbit.names import Names
from grange.errors import BrokerMessageInvalid, BrokerUnreachable

# When a run's queue is gone, the run is over, or the broker has lost its disk and the driver is
# about to make the queue again.
GONE_SECONDS = 30.0
# A message to a driver has so many outcomes at most.
OUTCOMES_AT_ONCE = 1000
# That a message was taken waits so long for what comes of it: of short tasks one report tells
# both, and the broker's disk is waited for once.
COMPANY_SECONDS = 0.02


class Reporter:
    """Sends reports on the line that it is given for each session."""

    def __init__(self, station: str, session: str, names: Names) -> None:
        """Report for this station, as it has been since its program was started."""
        self.sender: Line | None = None
        self._station = station
        self._session = session
        self._names = names
        self._gone: dict[str, float] = {}  # runs without a queue, since when
        # By run: messages that were taken, which is still to be said.
        self._taken: dict[str, dict[str, asyncio.Future[bool]]] = {}

    async def taken(self, run: str, message: str) -> bool:
        """Say that a message was taken. False when nobody waits for that any more.

        Raises:
            BrokerUnreachable: Nobody knows whether it came there.
        """
        waiting = self._taken.setdefault(run, {})
        # A message that comes twice is told of once, and both that took it hear of that.
        said = waiting.setdefault(message, asyncio.get_running_loop().create_future())
        await asyncio.wait({said}, timeout=COMPANY_SECONDS)
        if not said.done() and message in self._taken.get(run, ()):
            await self._report(run, ())
        return await said

    async def ended(self, run: str, outcomes: Sequence[Outcome]) -> bool:
        """Say what came of tasks. False when nobody will ever read it, because the run is over.

        Raises:
            BrokerUnreachable: Nobody knows whether it came there: send it again.
        """
        for start in range(0, len(outcomes), OUTCOMES_AT_ONCE):
            if not await self._ended(run, tuple(outcomes[start : start + OUTCOMES_AT_ONCE])):
                return False
        return True

    async def _ended(self, run: str, outcomes: tuple[Outcome, ...]) -> bool:
        try:
            sent = await self._report(run, outcomes)
        except BrokerMessageInvalid as error:
            half = len(outcomes) // 2
            if not half:
                return await self._ended(run, (_too_long(outcomes[0], error),))
            first = await self._ended(run, outcomes[:half])
            return await self._ended(run, outcomes[half:]) and first
        if sent:
            self._gone.pop(run, None)
            return True
        since = self._gone.setdefault(run, time.monotonic())
        if time.monotonic() - since < GONE_SECONDS:
            message = f"There is no queue for the outcomes of run {run} at the message broker."
            raise BrokerUnreachable(message)
        return False

    async def _report(self, run: str, outcomes: tuple[Outcome, ...]) -> bool:
        """Say all that there is to say."""
        taken = self._taken.pop(run, {})
        wanted = True
        try:
            report = Report(self._station, self._session, tuple(taken), outcomes)
            wanted = await self._send(run, pack_report(report))
        except BrokerMessageInvalid:
            # It is told with a shorter one.
            self._taken[run] = taken | self._taken.get(run, {})
            taken = {}
            raise
        finally:
            # If nobody knows whether that came there, beats will say it.
            for said in taken.values():
                if not said.done():
                    said.set_result(wanted)
        return wanted

    async def _send(self, run: str, body: bytes) -> bool:
        if self.sender is None:
            raise BrokerUnreachable("The message broker is away.")
        return await self.sender.send(body, self._names.reports, run)


def _too_long(outcome: Outcome, error: BrokerMessageInvalid) -> Outcome:
    failure = Failure(error.code, str(error), retryable=False)
    return Outcome(
        outcome.task,
        outcome.epoch,
        OutcomeState.FAILED,
        seconds=outcome.seconds,
        worker=outcome.worker,
        failure=failure,
    )
