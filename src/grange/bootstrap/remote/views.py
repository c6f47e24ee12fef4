"""What a server says, as the types that the commands know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grange.core.events import ItemEnded, RunProgress, WorkerActivity
from grange.core.resources import needs_from_json
from grange.core.states import ItemState, RunState
from grange.runs.models import AttemptView, Counts, FailureGroup, ItemView, RunView

if TYPE_CHECKING:
    from grange.client.schemas import runs as told


def run_view(run: told.Run, *, out: str) -> RunView:
    """A run of a server, with where its results are wanted.

    An unfinished one is never abandoned: the server comes back to it.
    """
    state = RunState(run.state)
    moving = not state.is_finished() and state is not RunState.PAUSED
    return RunView(
        number=0,
        id=run.id,
        name=run.name,
        state=state,
        priority=run.priority,
        pipeline=run.pipeline,
        version=run.version,
        params=run.params,
        models=run.models,
        inputs=run.inputs,
        out=out,
        retries=run.retries,
        timeout_seconds=run.timeout_seconds,
        note=run.note or run.waits,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        counts=Counts(**run.counts.model_dump()),
        bytes_total=run.bytes_total,
        driver="the server" if moving else None,
        owner=run.owner or None,
        shared_with=run.group or None,
        needs=needs_from_json(run.needs),
    )


def item_view(item: told.Item, *, uri: str) -> ItemView:
    """An item of a server's run."""
    return ItemView(
        id=item.id,
        path=item.path,
        uri=uri,
        size=item.size,
        state=ItemState(item.state),
        attempts=item.attempts,
        seconds=item.seconds,
        sha256=item.sha256,
        reused=item.reused,
        result=item.result,
        failure=item.failure,
        ended_at=item.ended_at,
        outputs=tuple(
            {"path": one.path, "size": one.size, "sha256": one.sha256} for one in item.outputs
        ),
    )


def attempt_view(attempt: told.Attempt, *, logs: str) -> AttemptView:
    """An attempt; its logs are named by their URLs below `logs`."""
    base = f"{logs}/{attempt.task}/{attempt.epoch}"
    return AttemptView(
        task=attempt.task,
        epoch=attempt.epoch,
        kind=attempt.kind,
        part=attempt.part,
        end=attempt.end,
        worker=attempt.worker,
        ended_at=attempt.ended_at,
        seconds=attempt.seconds,
        peak_bytes=attempt.peak_bytes,
        failure=attempt.failure,
        out_log=f"{base}/out" if attempt.out_bytes else None,
        err_log=f"{base}/err" if attempt.err_bytes else None,
    )


def failure_view(group: told.FailureGroup) -> FailureGroup:
    """A reason why items failed."""
    return FailureGroup(group.code, group.count, group.message, group.example)


def progress(snapshot: told.RunSnapshot, *, bytes_total: int) -> RunProgress:
    """How a run stands, as displays are told it."""
    counts = snapshot.counts
    return RunProgress(
        run=snapshot.id,
        state=RunState(snapshot.state),
        total=counts.total,
        done=counts.done,
        failed=counts.failed,
        cancelled=counts.cancelled,
        reused=counts.reused,
        bytes_total=bytes_total,
        elapsed_seconds=snapshot.elapsed_seconds,
        per_second=snapshot.per_second,
        left_seconds=snapshot.left_seconds,
        workers=[WorkerActivity(**one.model_dump(exclude={"worker"})) for one in snapshot.workers],
    )


def item_ended(run: str, item: told.EndedItem | told.Item) -> ItemEnded:
    """An item's end, as displays are told it, from an event or from a list of items."""
    outputs = item.outputs
    return ItemEnded(
        run=run,
        path=item.path,
        state=ItemState(item.state),
        seconds=item.seconds,
        attempts=item.attempts,
        reused=item.reused,
        outputs=outputs if isinstance(outputs, int) else len(outputs),
        failure=item.failure,
    )
