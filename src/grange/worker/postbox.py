"""Outcomes on their way to the engine: sent by the bunch, by whoever comes first."""

from __future__ import annotations

import threading
import time

from grange.core.tasks import JSON
from grange.engines.channel import Channel

# Outcomes wait no longer than this for company, as long as tasks end at all.
FLUSH_SECONDS = 0.05


class Postbox:
    """What the tasks put in is taken out by them, and by the pulse while a task takes long."""

    def __init__(self, channel: Channel) -> None:
        """Send through this channel, which nobody else sends through from now on."""
        self._channel = channel
        self._lock = threading.Lock()
        self._outcomes: list[JSON] = []
        self._sent_at = 0.0

    def put(self, outcome: JSON) -> None:
        """Take an outcome; what has waited long enough is sent.

        Raises:
            ChannelBroken: The engine is gone.
        """
        with self._lock:
            self._outcomes.append(outcome)
            if time.monotonic() - self._sent_at >= FLUSH_SECONDS:
                self._send()

    def empty(self) -> None:
        """Send what is there, and wait until it is on its way.

        Raises:
            ChannelBroken: The engine is gone.
        """
        with self._lock:
            self._send()

    def try_empty(self) -> bool:
        """Send what can be sent at once. Never blocks; True when nothing is left."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if self._outcomes:
                self._channel.post({"outcomes": self._outcomes})
                self._outcomes = []
            self._channel.flush()
            return not self._channel.sending
        finally:
            self._lock.release()

    def _send(self) -> None:
        if self._outcomes or self._channel.sending:
            self._channel.send({"outcomes": self._outcomes})
            self._outcomes = []
        self._sent_at = time.monotonic()
