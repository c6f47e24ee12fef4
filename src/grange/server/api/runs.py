"""Runs: submitted, looked at, and told what becomes of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query

from grange.client.schemas import runs as schemas
from grange.client.schemas.basis import Page
from grange.core.states import RunState
from grange.runs.pages import RunFilter
from grange.server.api.basis import After, Limit, Router, Words
from grange.server.desk import DeskOf
from grange.server.heavy import SUBMITTING
from grange.server.idempotency import Repeatable

router = Router(prefix="/runs", tags=["runs"])

RunInPath = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        description="An id, the beginning of one, a name, or `last`, among what you see.",
    ),
]
States = Annotated[list[schemas.RunStateName], Query(max_length=8, description="In one of these.")]


async def _wanted(
    *,
    state: States = [],  # noqa: B006  # FastAPI copies it
    pipeline: Words = "",
    owner: Words = "",
    group: Words = "",
    q: Words = "",
) -> RunFilter:
    return RunFilter(
        states=[RunState(one) for one in dict.fromkeys(state)],
        pipeline=pipeline,
        owner=owner,
        group=group,
        text=q,
    )


Wanted = Annotated[RunFilter, Depends(_wanted)]


@router.post("", status_code=201)
async def submit_run(body: schemas.NewRun, desk: DeskOf, once: Repeatable) -> schemas.Run:
    """Submit a run: it is on disk, whole, before the answer comes."""
    return await SUBMITTING.do(
        desk.actor.user.id,
        lambda: once.make(schemas.Run, body, lambda run: desk.submit(body, run)),
    )


@router.post("/plan")
async def plan_run(body: schemas.NewRun, desk: DeskOf) -> schemas.RunPlan:
    """Say what a run would do, and do nothing."""
    return await SUBMITTING.do(desk.actor.user.id, lambda: desk.plan(body))


@router.get("")
def list_runs(
    desk: DeskOf, wanted: Wanted, after: After = None, limit: Limit = 50
) -> Page[schemas.Run]:
    """The runs that you see, the newest first; `q` is in a name or begins an id."""
    return desk.page(wanted, after=after, limit=limit)


@router.get("/{run}")
def show_run(run: RunInPath, desk: DeskOf) -> schemas.Run:
    """A run."""
    return desk.show(run)


@router.patch("/{run}")
def change_run(run: RunInPath, body: schemas.RunChange, desk: DeskOf) -> schemas.Run:
    """Change a run's name, its priority, or whom it is shared with."""
    return desk.change(run, body)


@router.delete("/{run}", status_code=204)
def delete_run(run: RunInPath, desk: DeskOf) -> None:
    """Delete a run that has ended, with its logs and outputs."""
    desk.delete(run)


@router.post("/{run}/cancel")
def cancel_run(run: RunInPath, desk: DeskOf) -> schemas.Run:
    """Call a run off; what is done stays, and whoever works on it stops within seconds."""
    return desk.cancel(run)


@router.post("/{run}/pause")
def pause_run(run: RunInPath, desk: DeskOf) -> schemas.Run:
    """Let a run stand still."""
    return desk.pause(run)


@router.post("/{run}/resume")
def resume_run(run: RunInPath, desk: DeskOf) -> schemas.Run:
    """Let a run go on."""
    return desk.resume(run)


@router.post("/{run}/retry")
def retry_run(run: RunInPath, desk: DeskOf) -> schemas.Run:
    """Try a run's failed and cancelled items again."""
    return desk.retry(run)


@router.get("/{run}/failures")
def list_failures(run: RunInPath, desk: DeskOf) -> Page[schemas.FailureGroup]:
    """Why items failed, the most frequent reason first."""
    found = desk.failures(run)
    return Page[schemas.FailureGroup](items=found, total=len(found))


@router.get("/{run}/cells")
def show_cells(run: RunInPath, desk: DeskOf) -> schemas.Cells:
    """All items of a run at a glance."""
    return desk.cells(run)


@router.get("/{run}/timeline")
def show_timeline(run: RunInPath, desk: DeskOf) -> schemas.TimeLine:
    """What the run's workers did, as far as the items go that ended last."""
    return desk.timeline(run)
