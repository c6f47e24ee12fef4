"""What a driver could not say while the broker was away, kept until it can. Pure."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice

from grange.engines.rabbit.messages import Abandon, Control, Drain

# So many attempts are kept, the latest ones: stations remember no more of them either.
MOST_ATTEMPTS = 100_000
# Attempts named in one message to stations.
ABANDON_AT_ONCE = 5000


class Unsaid:
    """Each thing once, however often it was to be said.

    Which queues there are is not kept: every connection begins with that.
    """

    def __init__(self) -> None:
        """Nothing waits."""
        self._attempts: OrderedDict[tuple[str, int, int], None] = OrderedDict()
        self._drains: dict[str, Drain] = {}

    def keep(self, control: Control) -> None:
        """Say this later."""
        if isinstance(control, Drain):
            self._drains[control.station] = control
        elif isinstance(control, Abandon):
            for attempt in control.attempts:
                self._attempts[control.run, *attempt] = None
            while len(self._attempts) > MOST_ATTEMPTS:
                self._attempts.popitem(last=False)

    def take(self) -> Control | None:
        """What is to be said next, which is not kept any more; None when that was all."""
        if self._drains:
            return self._drains.pop(next(iter(self._drains)))
        if not self._attempts:
            return None
        run = next(iter(self._attempts))[0]
        same = [one for one in islice(self._attempts, ABANDON_AT_ONCE) if one[0] == run]
        for one in same:
            del self._attempts[one]
        return Abandon(run, tuple((task, epoch) for _, task, epoch in same))
