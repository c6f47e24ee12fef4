"""The list of runs, and what can be done with several of them at once."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from grange.client.schemas import runs as schemas
from grange.core.states import RunState
from grange.errors import Conflict, NotFound
from grange.runs.pages import RunFilter
from grange.server.desk import Desk, DeskOf
from grange.server.visitors import Here
from grange.server.web.forms import Sent
from grange.server.web.lists import Address
from grange.server.web.templating import render

PAGE_ROWS = 50
# What one form may ask for at once.
MOST_CHOSEN = 200
MOST_OWNERS = 200
LIVE: Final = tuple(state for state in RunState if not state.is_finished())
STATES: Final[dict[str, tuple[RunState, ...]]] = {
    "active": LIVE,
    "done": (RunState.DONE,),
    "failed": (RunState.FAILED,),
    "cancelled": (RunState.CANCELLED,),
}

Word = Annotated[str, Query(max_length=200)]
After = Annotated[str, Query(max_length=200)]

router = APIRouter(include_in_schema=False)


@router.get("/runs")
def runs_page(  # noqa: PLR0913  # each is a filter in the address
    request: Request,
    parts: Here,
    desk: DeskOf,
    *,
    state: Word = "",
    pipeline: Word = "",
    owner: Word = "",
    q: Word = "",
    after: After = "",
) -> Response:
    """The runs that the visitor sees, the newest first."""
    wanted = RunFilter(
        states=STATES.get(state, ()),
        pipeline=pipeline,
        owner=desk.actor.user.id if owner == "me" else owner,
        text=q.strip(),
    )
    page = desk.page(wanted, after=after or None, limit=PAGE_ROWS)
    address = Address(
        "/runs", {"state": state, "pipeline": pipeline, "owner": owner, "q": q}, after
    )
    owners = parts.accounts.users(desk.actor, limit=MOST_OWNERS).items if _sees_all(desk) else []
    return render(
        request,
        "runs/list.html",
        page=page,
        address=address,
        states=tuple(STATES),
        pipelines=[one.name for one in desk.pipelines()],
        owners=owners,
        me=desk.actor.user.id,
        may_run=may_run(desk),
        left_seconds=functools.partial(left_seconds, now=time.time()),
    )


@router.post("/runs/bulk")
def change_several(request: Request, desk: DeskOf, form: Sent) -> Response:
    """Cancel, retry or delete the chosen runs; deleting is asked about first."""
    chosen = form.several.get("run", [])[:MOST_CHOSEN]
    action = form.text("action")
    if not chosen or action not in _BULK:
        return RedirectResponse("/runs", HTTPStatus.SEE_OTHER)
    if action == "delete" and not form.text("sure"):
        shown = [desk.show(one) for one in chosen]
        return render(request, "runs/ask_bulk.html", runs=shown)
    changed = sum(_try(_BULK[action], desk, one) for one in chosen)
    done = f"runs_{action}" if changed else "runs_none"
    return RedirectResponse(f"/runs?done={done}", HTTPStatus.SEE_OTHER)


def left_seconds(run: schemas.Run, now: float) -> float | None:
    """How long a run will still take if it goes on as it did; the stream knows better soon."""
    counts = run.counts
    ended = counts.done - counts.reused + counts.failed
    if run.state != "running" or not run.started_at or ended <= 0:
        return None
    left = counts.total - counts.done - counts.failed - counts.cancelled
    return left * (now - run.started_at) / ended


def may_run(desk: Desk) -> bool:
    """Whether the visitor may start runs at all."""
    from grange.accounts.models import Scope

    return desk.actor.may(Scope.RUN)


def _sees_all(desk: Desk) -> bool:
    return desk.actor.is_admin


_BULK: Final[dict[str, Callable[[Desk, str], object]]] = {
    "cancel": Desk.cancel,
    "retry": Desk.retry,
    "delete": Desk.delete,
}


def _try(action: Callable[[Desk, str], object], desk: Desk, run: str) -> bool:
    """Do it where it can be done: of several runs some may have ended or gone meanwhile."""
    try:
        action(desk, run)
    except (Conflict, NotFound):
        return False
    return True
