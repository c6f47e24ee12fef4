"""What a station says of itself: to drivers of what it holds, to the server of how it is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from grange.client.schemas.workers import Beat, Facts, Gpu, TaskNow
from grange.client.schemas.workers import Capacity as SaidCapacity
from grange.core.resources import Capacity
from grange.engines import WorkerView
from grange.engines.rabbit.messages import PROTOCOL
from grange.engines.rabbit.messages import Held as HeldSign
from grange.worker.station.holding import Held, Phase
from grange.worker.station.machine import Load

# So many tasks are named to the server; the drivers hear of all.
_MOST_TASKS = 64
_MOST_PATH = 300
# Who is at work for so much of the time is not idle.
_AT_WORK = 0.1


class Busy:
    """How many slots were at work lately, on average: of short tasks a glance sees none."""

    def __init__(self, now: float) -> None:
        """Begin at `now` of `time.monotonic`."""
        self._since = now
        self._seconds = 0.0

    def ended(self, seconds: float, now: float) -> None:
        """A task that took so long has ended."""
        self._seconds += max(0.0, min(seconds, now - self._since))

    def lately(self, now: float) -> float:
        """How many there were since this was asked last, not counting what goes on."""
        share = self._seconds / (now - self._since) if now > self._since else 0.0
        self._since, self._seconds = now, 0.0
        return share


@dataclass(slots=True)
class Totals:
    """What the station has done since it began."""

    done: int = 0
    failed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


def by_run(
    holding: Iterable[Held],
    untold: Iterable[tuple[str, int, int]],
    working: Mapping[int, WorkerView],
    *,
    is_alive: Callable[[Held], bool],
) -> dict[str, list[HeldSign]]:
    """What is held of each run. What a silent process has is left out: its lease may run out."""
    signs: dict[str, list[HeldSign]] = {}
    for held in holding:
        if held.phase is Phase.WORKING and not is_alive(held):
            continue
        sign = HeldSign(*held.key)
        view = working.get(held.task.id) if held.phase is Phase.WORKING else None
        if view is not None:
            sign.seconds, sign.progress = view.seconds, view.progress
        signs.setdefault(held.run, []).append(sign)
    for run, task, epoch in untold:
        signs.setdefault(run, []).append(HeldSign(task, epoch))
    return signs


def facts(name: str, capacity: Capacity, *, version: str, system: str, metrics_url: str) -> Facts:
    """What the machine says of itself when it joins."""
    return Facts(
        name=name,
        capacity=_said(capacity),
        labels=list(capacity.labels),
        version=version,
        protocol=PROTOCOL,
        system=system,
        metrics_url=metrics_url,
    )


def beat(
    holding: Iterable[Held],
    working: Mapping[int, WorkerView],
    capacity: Capacity,
    totals: Totals,
    load: Load,
    *,
    lately: float,
    now: float,
) -> Beat:
    """How the station is at `now` of `time.monotonic`. The caller adds what only it knows.

    `lately` is how many slots were at work with what has ended since the last beat.
    """
    every = list(holding)
    begun = sum(held.phase is Phase.WORKING for held in every)
    at_hand = _at_hand(every, working, capacity.slots)
    waiting = sum(held.phase in {Phase.COMING, Phase.READY} for held in every)
    return Beat(
        capacity=_said(capacity),
        labels=list(capacity.labels),
        protocol=PROTOCOL,
        busy=min(capacity.slots, max(begun, round(lately), int(lately >= _AT_WORK))),
        held=waiting + max(0, begun - capacity.slots),
        tasks=[_now(held, working.get(held.task.id), now) for held in at_hand[:_MOST_TASKS]],
        done=totals.done,
        failed=totals.failed,
        cpu=load.cpu,
        load=load.load,
        memory_used_bytes=load.memory_used_bytes,
        memory_bytes=load.memory_bytes,
        bytes_in=totals.bytes_in,
        bytes_out=totals.bytes_out,
    )


def _at_hand(every: Iterable[Held], working: Mapping[int, WorkerView], slots: int) -> list[Held]:
    """What is being done. What was begun just now is in no look at the workers yet."""
    begun = [held for held in every if held.phase is Phase.WORKING]
    begun.sort(key=lambda held: (held.task.id not in working, held.since))
    return begun[:slots]


def _now(held: Held, view: WorkerView | None, now: float) -> TaskNow:
    return TaskNow(
        run=held.run,
        task=held.task.id,
        epoch=held.task.epoch,
        seconds=max(0.0, view.seconds if view else now - held.since),
        progress=view.progress if view else None,
        path=held.task.path[-_MOST_PATH:],
    )


def _said(capacity: Capacity) -> SaidCapacity:
    return SaidCapacity(
        slots=capacity.slots,
        cores=capacity.cores,
        memory_bytes=capacity.memory_bytes,
        gpus=[
            Gpu(index=gpu.index, name=gpu.name[:200], memory_bytes=gpu.memory_bytes)
            for gpu in capacity.gpus
        ],
    )
