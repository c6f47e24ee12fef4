"""Ctrl-C and its kin: the first asks the work to stop, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from grange.cli.exits import INTERRUPTED

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHOW_CURSOR = b"\x1b[?25h\n"


class StopSignals:
    """While entered, signals set `event` instead of ending the process in the middle of things.

    Workers end with this process however it ends, so the second signal need
    not wait for anything.
    """

    def __init__(self) -> None:
        """Nothing has been asked yet."""
        self.event = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals over."""
        for number in _SIGNALS:
            # What whoever started us wants ignored (nohup) stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.event.is_set():
            _leave_at_once()
        self.event.set()


def _leave_at_once() -> None:
    if os.isatty(2):
        os.write(2, _SHOW_CURSOR)
    os._exit(INTERRUPTED)
