"""Runs and items as the API and the pages tell them: nothing of the server's folders is in it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grange.client.schemas import runs as schemas
from grange.core.resources import needs_to_json
from grange.core.states import RunState
from grange.runs.manifest import published_path
from grange.runs.models import AttemptView, ItemView, RunView
from grange.runs.places import is_named
from grange.runs.timeline import Span

JSON = Any

_WAITS = {
    RunState.SUBMITTING: "Its inputs are being taken in.",
    RunState.WAITING: "It waits for its turn.",
    RunState.PAUSED: "It is paused.",
}


class Veil:
    """Tells what an error says of the server's folders in other words."""

    def __init__(self, home: Path) -> None:
        """Hide where the server keeps its files."""
        self._hidden = sorted({str(home), str(home.resolve())}, key=len, reverse=True)

    def over(self, value: JSON) -> JSON:
        """The same value with the server's own folder left out of every text in it."""
        if isinstance(value, str):
            for path in self._hidden:
                value = value.replace(path, "…")
            return value
        if isinstance(value, dict):
            return {name: self.over(one) for name, one in value.items()}
        return [self.over(one) for one in value] if isinstance(value, list | tuple) else value


@functools.lru_cache(maxsize=16)
def veil_over(home: Path) -> Veil:
    """The veil over this folder; made once, for to resolve a path asks the file system."""
    return Veil(home)


def run_shown(run: RunView, names: Mapping[str, str], veil: Veil) -> schemas.Run:
    """A run; `names` are those of users by their ids."""
    return schemas.Run(
        id=run.id,
        name=run.name,
        state=run.state.value,
        owner=run.owner or "",
        owner_name=names.get(run.owner or "", ""),
        group=run.shared_with or "",
        priority=run.priority,
        pipeline=veil.over(run.pipeline),
        version=run.version,
        params=veil.over(run.params),
        models=run.models,
        inputs=veil.over(run.inputs),
        retries=run.retries,
        timeout_seconds=run.timeout_seconds,
        note=veil.over(run.note),
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        counts=schemas.Counts(**vars(run.counts)),
        bytes_total=run.bytes_total,
        driver=run.driver,
        needs=needs_to_json(run.needs),
        waits=_waits(run),
        out=run.out if run.owner is not None and is_named(run.id, run.out) else "",
    )


def item_shown(item: ItemView, veil: Veil) -> schemas.Item:
    """An item with its outputs, whose paths begin at the run's."""
    folder = published_path(item.path)
    return schemas.Item(
        id=item.id,
        path=item.path,
        size=item.size,
        state=item.state.value,
        attempts=item.attempts,
        seconds=item.seconds,
        sha256=item.sha256,
        reused=item.reused,
        result=veil.over(item.result),
        failure=veil.over(item.failure),
        ended_at=item.ended_at,
        outputs=[
            schemas.OutputFile(
                path=f"{folder}/{one['path']}",
                size=one["size"],
                sha256=one["sha256"],
                item=item.id,
            )
            for one in item.outputs
        ],
    )


def attempt_shown(attempt: AttemptView, veil: Veil) -> schemas.Attempt:
    """An ended attempt, with how much it has written to its logs."""
    return schemas.Attempt(
        task=attempt.task,
        epoch=attempt.epoch,
        kind=attempt.kind,
        part=attempt.part,
        end=attempt.end,
        worker=attempt.worker,
        ended_at=attempt.ended_at,
        seconds=attempt.seconds,
        peak_bytes=attempt.peak_bytes,
        failure=veil.over(attempt.failure),
        out_bytes=_size(attempt.out_log),
        err_bytes=_size(attempt.err_log),
    )


def ended_shown(item: ItemView, veil: Veil) -> schemas.EndedItem:
    """An item that reached its end, as the stream of events tells it."""
    return schemas.EndedItem(
        id=item.id,
        path=item.path,
        state=item.state.value,
        seconds=item.seconds,
        attempts=item.attempts,
        reused=item.reused,
        outputs=len(item.outputs),
        failure=veil.over(item.failure),
    )


def timeline_shown(spans: Sequence[Span]) -> schemas.TimeLine:
    """A run's time line, from the first of these to the last."""
    return schemas.TimeLine(
        began_at=min((one.began_at for one in spans), default=0.0),
        ended_at=max((one.ended_at for one in spans), default=0.0),
        spans=[schemas.WorkerSpan(**asdict(one)) for one in spans],
    )


def _waits(run: RunView) -> str:
    if run.driver is not None or run.note:
        return ""
    if run.owner is None and not run.state.is_finished():
        return f"It was begun without the server: grange runs resume {run.id} goes on with it."
    return _WAITS.get(run.state, "")


def _size(log: str | None) -> int | None:
    try:
        return Path(log).stat().st_size if log else None
    except OSError:
        return None
