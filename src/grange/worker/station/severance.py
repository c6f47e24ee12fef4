"""A station that its server is away from for good: others do what can't go on without it."""

from __future__ import annotations

from collections.abc import Callable

from grange.worker.station.exchange import Exchange
from grange.worker.station.holding import Held, Phase
from grange.worker.station.routes import Way
from grange.worker.station.words import Words
from grange.worker.station.works import Works

CUT_OFF = "cut off from the server"


def is_stuck(held: Held, silent_seconds: float, lease_seconds: float) -> bool:
    """Whether an attempt has waited for long enough for a server that was silent for so long.

    That is a lease; for what has been made, as long as it took to make, if that was longer: to
    do it again takes as long. What the workers are at goes on, since the server may be back
    before they are done.
    """
    if silent_seconds < lease_seconds:
        return False
    outputs = held.route.outputs
    if held.phase is Phase.LEAVING:
        sends = outputs is Way.SERVER or held.route.carries_logs
        return sends and silent_seconds >= held.spent_seconds
    if held.phase is Phase.COMING:
        return outputs is Way.SERVER or not held.task.uri.lower().startswith("s3://")
    return held.phase is Phase.READY and outputs is Way.SERVER


class Severance:
    """Looks whether the server is away from this station alone. Lives in the station's loop.

    A server that is away from everybody takes nothing back: what is here waits for it. So it
    is asked at the broker whether somebody drives the runs; then it is only the way there that
    is cut, and other workers may have another one.
    """

    def __init__(
        self,
        works: Works,
        exchange: Exchange,
        words: Words,
        *,
        silent: Callable[[], float],
        lease_seconds: float,
    ) -> None:
        """`silent` says for how many seconds the server has owed an answer."""
        self._works = works
        self._exchange = exchange
        self._words = words
        self._silent = silent
        self._lease_seconds = lease_seconds

    async def look(self) -> None:
        """See to it; to be called every few seconds."""
        silent = self._silent()
        if silent < self._lease_seconds:
            self._words.over(CUT_OFF, "the server answers again: work is taken")
            self._exchange.stop(CUT_OFF, stop=False)
            return
        runs = {held.run for held in self._stuck(silent)}
        driven = {run for run in runs if await self._exchange.is_driven(run)}
        # It may have answered while that was asked, or what was stuck have gone.
        stuck = [held for held in self._stuck(self._silent()) if held.run in driven]
        if stuck:
            self._exchange.stop(CUT_OFF)
            self._words.trouble(
                CUT_OFF,
                "gives back what needs it, and takes nothing new until it answers.",
            )
            self._works.labour.hand_back(stuck)

    def _stuck(self, silent: float) -> list[Held]:
        return [one for one in self._works.holding if is_stuck(one, silent, self._lease_seconds)]
