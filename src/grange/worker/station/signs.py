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
) -> Beat:
    """How the station is. The caller adds what only it knows."""
    every = list(holding)
    at_hand = [held for held in every if held.task.id in working]
    begun = sum(held.phase is Phase.WORKING for held in every)
    waiting = sum(held.phase in {Phase.COMING, Phase.READY} for held in every)
    return Beat(
        capacity=_said(capacity),
        labels=list(capacity.labels),
        protocol=PROTOCOL,
        # What was begun just now is in no look at the workers yet.
        busy=min(capacity.slots, begun),
        held=waiting + max(0, begun - capacity.slots),
        tasks=[_now(held, working[held.task.id]) for held in at_hand[:_MOST_TASKS]],
        done=totals.done,
        failed=totals.failed,
        cpu=load.cpu,
        load=load.load,
        memory_used_bytes=load.memory_used_bytes,
        memory_bytes=load.memory_bytes,
        bytes_in=totals.bytes_in,
        bytes_out=totals.bytes_out,
    )


def _now(held: Held, view: WorkerView) -> TaskNow:
    return TaskNow(
        run=held.run,
        task=held.task.id,
        epoch=held.task.epoch,
        seconds=max(0.0, view.seconds),
        progress=view.progress,
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
