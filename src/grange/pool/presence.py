"""Beats: the newest of each worker at once in memory, and in the database by the batch."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from grange.errors import DatabaseBusy, DatabaseFull, DatabaseUnreachable
from grange.pool import rows
from grange.pool.models import GONE_SECONDS, JSON, Worker, beat_seconds_of

if TYPE_CHECKING:
    from grange.db import Database

# How often beats are written down: a few workers or a thousand make as many transactions.
FLUSH_SECONDS = 2.0
# Over how long the rate of a worker is measured.
RATE_SECONDS = 60.0
_MINUTE = 60.0


@dataclass
class _Seen:
    """What this process has heard of a worker."""

    at: float = 0.0
    columns: dict[str, JSON] = field(default_factory=dict)
    ended: deque[tuple[float, int]] = field(default_factory=deque)  # when, and how many by then

    def rate(self, now: float, total: int) -> float:
        """Note how many tasks have ended by now; returns how many end in a minute."""
        if self.ended and total < self.ended[-1][1]:
            self.ended.clear()  # The worker's process is another one.
        self.ended.append((now, total))
        while len(self.ended) > 2 and self.ended[1][0] < now - RATE_SECONDS:  # noqa: PLR2004  # a stretch has two ends
            self.ended.popleft()
        began, first = self.ended[0]
        return (total - first) * _MINUTE / (now - began) if now > began else 0.0


class Beats:
    """What workers have said. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}
        self._pending: set[str] = set()
        self._flushed_at = 0.0

    def put(self, worker: Worker, said: Mapping[str, JSON], *, now: float) -> None:
        """Take a beat; every few seconds one of those who call this writes all down."""
        with self._lock:
            if len(self._seen) > 2 * rows.MOST_WORKERS:
                self._seen.clear()
            came_back = bool(self._newest(worker).beat.get("leaving"))
            seen = self._seen.setdefault(worker.id, _Seen())
            rate = seen.rate(now, int(said.get("done", 0)) + int(said.get("failed", 0)))
            seen.at = now
            seen.columns = _columns(worker, said, rate)
            self._pending.add(worker.id)
            # After the last beat of a worker no other may come for long; and nobody is to be held
            # for gone who is back.
            late = not 0 <= now - self._flushed_at < FLUSH_SECONDS
            due = late or came_back or bool(said.get("leaving"))
            if due:
                self._flushed_at = now
        if due:
            self.flush(now=now)

    def flush(self, *, now: float) -> None:
        """Write down what is not written yet; a database that can't take it is asked again."""
        with self._lock:
            pending, self._pending = self._pending, set()
            beats = [self._row(worker) for worker in sorted(pending) if worker in self._seen]
            # Machines that are gone are no reason for others to say less.
            self._seen = {
                worker: seen
                for worker, seen in self._seen.items()
                if worker in pending or now - seen.at <= GONE_SECONDS
            }
            self._flushed_at = now
        if not beats:
            return
        try:
            self._database.transact(lambda connection: rows.keep_beats(connection, beats))
        except (DatabaseBusy, DatabaseFull, DatabaseUnreachable):
            # A beat says nothing that the next one does not say better.
            with self._lock:
                self._pending |= pending

    def beat_seconds(self) -> float:
        """How often workers should beat, as many as there are."""
        return beat_seconds_of(len(self._seen))

    def newest(self, workers: Sequence[Worker]) -> list[Worker]:
        """The workers with what this process knows better than the database does."""
        with self._lock:
            return [self._newest(worker) for worker in workers]

    def _newest(self, worker: Worker) -> Worker:
        seen = self._seen.get(worker.id)
        if seen is None or seen.at < worker.seen_at:
            return worker
        columns = {**seen.columns, "labels": tuple(seen.columns["labels"])}
        return replace(worker, seen_at=seen.at, **columns)

    def _row(self, worker: str) -> dict[str, JSON]:
        seen = self._seen[worker]
        return {"worker": worker, "at": seen.at, **seen.columns}


def _columns(worker: Worker, said: Mapping[str, JSON], rate: float) -> dict[str, JSON]:
    """What a beat sets in its worker's row: columns of their own, and the rest as it was said."""
    own = {
        "capacity": said.get("capacity") or dict(worker.capacity),
        "labels": sorted(said.get("labels") or worker.labels),
        "version": said.get("version") or worker.version,
        "protocol": said.get("protocol", worker.protocol),
        "metrics_url": said.get("metrics_url") or worker.metrics_url,
        "address": said.get("address") or worker.address,
    }
    rest = {name: value for name, value in said.items() if name not in own}
    return {**own, "beat": {**rest, "per_minute": round(rate, 3)}}
