"""What arrives in an inbox: found by looking again and again, taken once it stays as it is.

Each file is offered once for each state that it was whole in. What the ledger had of
it before is known from the start, so that nothing is done twice.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from grange.core.events import ItemEnded
from grange.errors import GrangeError
from grange.runs.growing import ABSENT, Arrival, Grown, Known
from grange.runs.inbox import Inbox
from grange.runs.models import NewItem

# Looking takes at most a fifth of the time: after a look that took long comes a long pause.
_REST_SHARE = 4.0
# How soon what could not be fetched is tried again, doubled each time up to the last.
_FIRST_REST_SECONDS = 5.0
_LONGEST_REST_SECONDS = 300.0
# The least that this waits, whatever it waits for.
_SHORTEST_WAIT_SECONDS = 0.05
# Notes that are remembered, so that each is said once; nobody reads more.
_MOST_NOTES = 1000
_MISSING = "input.missing"
_MASK = (1 << 64) - 1


@dataclass(slots=True)
class _Candidate:
    """A file that is new, or not as it was: since when it has stayed as it is."""

    item: NewItem
    since: float


class Scout:
    """Looks at an inbox in threads of its own, and feeds what has arrived to a growing run.

    Whoever watches hears of it by `told` when the inbox is gone, and when it is back.
    """

    def __init__(
        self,
        inbox: Inbox,
        known: Iterable[Known],
        *,
        every_seconds: float,
        once: bool,
        told: Callable[[str], object],
    ) -> None:
        """Know what the ledger has. `once` says that only what is there by now is taken."""
        self._inbox = inbox
        self._every = every_seconds
        self._once = once
        self._told = told
        self._arrived: Callable[[], object] = _nobody
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._stamps: dict[str, int] = {}
        # Offered or in the ledger, and without an end yet: not to be touched meanwhile.
        self._flying: set[str] = set()
        self._absent: set[str] = set()
        self._rests: dict[str, tuple[float, float]] = {}  # not to be fetched until, for how long
        self._candidates: dict[str, _Candidate] = {}
        self._wanted: queue.SimpleQueue[tuple[NewItem, bool] | None] = queue.SimpleQueue()
        self._fetching = 0
        self._ready: deque[Arrival] = deque()
        self._looked = False
        self._trouble = ""
        self._noted: set[str] = set()
        self._left_out = 0
        for one in known:
            self._learn(one)
        self._threads = [threading.Thread(target=self._watch, name="inbox", daemon=True)]
        self._threads += [
            threading.Thread(target=self._fetch_all, name=f"fetch {number}", daemon=True)
            for number in range(inbox.fetchers)
        ]

    def __enter__(self) -> Self:
        """Begin to look."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop looking, without waiting for a share that does not answer."""
        self._closed.set()
        for _ in range(self._inbox.fetchers):
            self._wanted.put(None)

    @property
    def left_out(self) -> int:
        """With `once`: how many files were still being written."""
        return self._left_out

    # ---- the feed of a run

    def take(self, limit: int) -> list[Arrival]:
        """What has arrived since, the first ones first."""
        with self._lock:
            return [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]

    def taken(self, grown: Grown) -> None:
        """What became of arrivals that were taken."""
        with self._lock:
            for arrival in grown.put_off:
                # Looked at again once its item has come to an end.
                self._stamps.pop(arrival.item.path, None)
            self._flying.difference_update(grown.same)
        for path in grown.same:
            self._inbox.release(path)

    def put_back(self, arrivals: list[Arrival]) -> None:
        """They could not be written down; they come first next time."""
        with self._lock:
            self._ready.extendleft(reversed(arrivals))

    def ended(self, event: ItemEnded) -> None:
        """An item has come to its end; one whose file was not there may come again."""
        code = event.failure["code"] if event.failure else ""
        with self._lock:
            self._flying.discard(event.path)
            if code == _MISSING:
                self._stamps.pop(event.path, None)
            elif code in ABSENT:
                self._absent.add(event.path)
        self._inbox.release(event.path)

    def is_over(self) -> bool:
        """Whether all that was there has been taken; never, when it watches on."""
        with self._lock:
            return (
                self._once
                and self._looked
                and not (self._candidates or self._fetching or self._ready)
            )

    def call(self, arrived: Callable[[], object]) -> None:
        """Call this whenever something has been fetched."""
        self._arrived = arrived

    # ---- looking

    def _learn(self, one: Known) -> None:
        if not one.ended:
            self._flying.add(one.path)
        if one.failure_code == _MISSING:
            return
        if one.failure_code in ABSENT:
            self._absent.add(one.path)
        self._stamps[one.path] = _stamp(one.size, one.mtime_ns)

    def _watch(self) -> None:
        while not self._closed.is_set():
            begun = time.monotonic()
            try:
                self._look()
            except Exception as error:  # noqa: BLE001  # without this thread nothing would arrive
                self._lost(_words(error))
            else:
                self._found()
            now = time.monotonic()
            self._wait_until(max(begun + self._every, now + _REST_SHARE * (now - begun)))

    def _wait_until(self, next_look: float) -> None:
        """Wait for the next look; what has settled meanwhile is taken without one."""
        while not self._closed.is_set():
            with self._lock:
                if self._once and self._looked and not self._candidates:
                    return
                dues = [one.since for path, one in self._candidates.items() if self._free(path)]
            due = min(dues, default=next_look) + (self._inbox.settle_seconds if dues else 0.0)
            wake = due if self._once and self._looked else min(due, next_look)
            if self._closed.wait(max(_SHORTEST_WAIT_SECONDS, wake - time.monotonic())):
                return
            self._settle()
            if time.monotonic() >= next_look and not (self._once and self._looked):
                return

    def _look(self) -> None:
        if self._once and self._looked:
            self._closed.wait()
            return
        seen: set[str] = set()
        now = time.monotonic()
        for item in self._inbox.look():
            if self._closed.is_set():
                return
            seen.add(item.path)
            self._see(item, now)
        with self._lock:
            for path in self._candidates.keys() - seen:
                del self._candidates[path]
            self._looked = True
        self._note(self._inbox.notes())
        self._settle()

    def _see(self, item: NewItem, now: float) -> None:
        stamp = _stamp(item.size, item.mtime_ns)
        with self._lock:
            if self._stamps.get(item.path) == stamp:
                self._candidates.pop(item.path, None)
                return
            before = self._candidates.get(item.path)
            if before is None or _stamp(before.item.size, before.item.mtime_ns) != stamp:
                self._candidates[item.path] = _Candidate(item, now)

    def _settle(self) -> None:
        """Take the candidates that have stayed as they are for long enough."""
        due = time.monotonic() - self._inbox.settle_seconds
        with self._lock:
            settled = [
                one
                for path, one in self._candidates.items()
                if one.since <= due and self._free(path)
            ]
        for one in settled:
            fresh = self._inbox.settled(one.item)
            with self._lock:
                if fresh == one.item:
                    self._offer(one.item)
                elif fresh is None or self._once:
                    self._left_out += fresh is not None
                    del self._candidates[one.item.path]
                else:
                    self._candidates[one.item.path] = _Candidate(fresh, time.monotonic())

    def _free(self, path: str) -> bool:
        until, _ = self._rests.get(path, (0.0, 0.0))
        return path not in self._flying and until <= time.monotonic()

    def _offer(self, item: NewItem) -> None:
        stamp = _stamp(item.size, item.mtime_ns)
        before = self._stamps.get(item.path)
        again = before is not None and before >> 64 == item.size
        del self._candidates[item.path]
        self._stamps[item.path] = stamp
        self._flying.add(item.path)
        self._fetching += 1
        self._wanted.put((item, again))

    # ---- fetching

    def _fetch_all(self) -> None:
        while (wanted := self._wanted.get()) is not None and not self._closed.is_set():
            item, again = wanted
            try:
                arrival = self._inbox.fetch(item, again=again)
            except Exception as error:  # noqa: BLE001  # nor without this one
                arrival = None
                self._put_off(item.path)
                self._note([_words(error)])
            with self._lock:
                self._fetching -= 1
                if arrival is not None:
                    self._ready.append(arrival)
                    self._rests.pop(item.path, None)
                else:
                    # As if it had not been seen: the next look finds it as it is then.
                    self._stamps.pop(item.path, None)
                    self._flying.discard(item.path)
                    self._left_out += self._once
            self._arrived()

    def _put_off(self, path: str) -> None:
        with self._lock:
            _, before = self._rests.get(path, (0.0, _FIRST_REST_SECONDS / 2))
            rest = min(2 * before, _LONGEST_REST_SECONDS)
            self._rests[path] = (time.monotonic() + rest, rest)

    # ---- what people are told

    def _lost(self, trouble: str) -> None:
        with self._lock:
            self._looked = self._looked or self._once
        if not self._trouble:
            self._told(trouble if self._once else f"{trouble} It is waited for.")
        self._trouble = trouble

    def _found(self) -> None:
        if not self._trouble:
            return
        self._trouble = ""
        with self._lock:
            # What could not be read may be readable now.
            for path in self._absent:
                self._stamps.pop(path, None)
            self._absent.clear()
        self._told("The inbox is there again.")

    def _note(self, notes: Iterable[str]) -> None:
        for note in notes:
            with self._lock:
                is_new = note not in self._noted and len(self._noted) < _MOST_NOTES
                self._noted.add(note)
            if is_new:
                self._told(note)


def _nobody() -> None:
    """Nobody waits for arrivals yet."""


def _words(error: Exception) -> str:
    if isinstance(error, GrangeError):
        return f"{error.message} {error.hint}".strip()
    if isinstance(error, OSError):
        return f"The system refused: {error}."
    # Nobody knows whose words these are, or what they would tell.
    return f"The inbox can't be looked at: {type(error).__name__}."


def _stamp(size: int, mtime_ns: int) -> int:
    """A state of a file as one number: half the memory of two, for each file that is known."""
    return size << 64 | (mtime_ns & _MASK)
