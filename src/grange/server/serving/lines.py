"""The server's log: lines that are written together, a tenth of a second's worth at a time.

To write each line at once costs the loop a turn: other threads take over while
it waits for the system, and hand back late.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TextIO

GATHER_SECONDS = 0.1
LAYOUT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class Lines(logging.StreamHandler[TextIO]):
    """Writes what is only told a moment later, and warnings at once with all before them."""

    def __init__(self, stream: TextIO) -> None:
        """Write to this stream."""
        super().__init__(stream)
        self.setFormatter(_Formatter(LAYOUT))
        self._waiting: list[str] = []
        self._woken = threading.Event()
        self._writer: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line; called with the handler's lock held."""
        try:
            self._waiting.append(self.format(record))
            if record.levelno >= logging.WARNING:
                self.flush()
            elif len(self._waiting) == 1:
                self._wake()
        except Exception:  # noqa: BLE001  # no fault of the log may stop what is logged
            self.handleError(record)

    def flush(self) -> None:
        """Write all lines that wait."""
        with self.lock or threading.RLock():
            lines, self._waiting = self._waiting, []
            if lines:
                self.stream.write("".join(f"{line}\n" for line in lines))
                self.stream.flush()

    def _wake(self) -> None:
        if self._writer is None:
            self._writer = threading.Thread(target=self._keep_writing, name="log", daemon=True)
            self._writer.start()
        self._woken.set()

    def _keep_writing(self) -> None:
        while self._woken.wait():
            time.sleep(GATHER_SECONDS)
            self._woken.clear()
            try:
                self.flush()
            except (OSError, ValueError):
                return  # whoever read the log is gone, and there is nobody to tell


class _Formatter(logging.Formatter):
    """Puts the time of a second together once."""

    _second = -1
    _text = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """The local time, to the millisecond."""
        second = int(record.created)
        if second != self._second:
            self._text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._second = second
        return f"{self._text},{int(record.msecs):03}"
