"""How the numbers of the process that drives runs reach the server that is scraped.

The server and what drives its runs are two processes. The one that drives writes
what it has counted into a small file, every few seconds and whole; the server
reads it when it is asked. A process that begins goes on from what the one before
it has counted, so counters don't fall. Each takes a place of its own, of which
there is more than one for the case that several drive runs over one home.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from grange.telemetry import metrics
from grange.telemetry.counting import Counting
from grange.telemetry.metrics import Kind
from grange.telemetry.tally import JSON, Sample, Tally, added_up, from_json, to_json

FOLDER: Final = "telemetry"
PLACES: Final = 8
WRITE_SECONDS: Final = 2.0
# What is older says nothing about now; what was counted stays counted.
FRESH_SECONDS: Final = 30.0
# A file that is larger is none of ours.
LARGEST_BYTES: Final = 8 << 20
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@contextmanager
def counted(home: Path) -> Iterator[Counting]:
    """Count what this process does to runs, and keep that readable for the server of the home."""
    tally = Tally()
    with ExitStack() as opened:
        file = _place(home / FOLDER, opened)
        if file is not None:
            tally.take(_counters(_read(file)))
            writer = _Writer(file, tally)
            opened.callback(writer.close)
            writer.start()
        yield Counting(tally)


def told(home: Path, *, now: float) -> list[Sample]:
    """What those that drive runs over this home have counted; gauges only of those that live."""
    samples: list[Sample] = []
    for number in range(PLACES):
        data = _read(_file(home / FOLDER, number))
        if data is None:
            continue
        fresh = now - FRESH_SECONDS < float(data["at"])
        every = _counters(data) if not fresh else from_json(data["samples"])
        samples += every
    return added_up(samples)


@dataclass
class _Writer:
    """Writes what was counted, again and again, in a thread of its own."""

    file: Path
    tally: Tally

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="telemetry", daemon=True)

    def start(self) -> None:
        """Begin, with a first file that says that somebody is there."""
        self._write()
        self._thread.start()

    def close(self) -> None:
        """Write a last time."""
        self._over.set()
        self._thread.join()
        self._write()

    def _work(self) -> None:
        while not self._over.wait(WRITE_SECONDS):
            self._write()

    def _write(self) -> None:
        now = time.time()
        self.tally.put(metrics.DRIVER_SEEN, value=now)
        self.tally.put(metrics.DRIVER_BYTES, value=_resident_bytes())
        told = {"at": now, "samples": to_json(self.tally.samples())}
        aside = self.file.with_suffix(".new")
        # No run fails by a full disk for what is only looked at.
        with suppress(OSError):
            aside.write_text(json.dumps(told, separators=(",", ":")), encoding="ascii")
            os.replace(aside, self.file)


def _place(folder: Path, opened: ExitStack) -> Path | None:
    """The first place that no living process has; None where there is none to be had."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in range(PLACES):
            file = _file(folder, number)
            lock = opened.enter_context(file.with_suffix(".lock").open("a"))
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
    return None


def _file(folder: Path, number: int) -> Path:
    return folder / f"drive-{number}.json"


def _read(file: Path) -> Mapping[str, JSON] | None:
    """What a file holds; nothing where there is none, or none that this version can read."""
    try:
        with file.open("rb") as opened:
            data = json.loads(opened.read(LARGEST_BYTES))
        from_json(data["samples"])
        float(data["at"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    found: Mapping[str, JSON] = data
    return found


def _counters(data: Mapping[str, JSON] | None) -> list[Sample]:
    every = from_json(data["samples"]) if data else []
    return [one for one in every if one.metric.kind is not Kind.GAUGE]


def _resident_bytes() -> float:
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0.0
    return float(int(pages) * _PAGE_BYTES)
