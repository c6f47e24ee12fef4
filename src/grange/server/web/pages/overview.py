"""The first page: what goes on, what went wrong lately, and where to begin."""

from __future__ import annotations

import shutil
import time

from fastapi import APIRouter, Request, Response

from grange.accounts.models import Scope
from grange.core.states import RunState
from grange.runs.pages import UNFINISHED, RunFilter
from grange.server.api.basis import Words
from grange.server.desk import Desk, DeskOf
from grange.server.parts import Parts
from grange.server.visitors import Here
from grange.server.web.charts import columns, days
from grange.server.web.templating import is_fragment, render

router = APIRouter(include_in_schema=False)

# How many runs each list shows, and from how many the chart is made.
FEW = 5
CHARTED = 200
FOUND = 20
ENDED = (RunState.DONE, RunState.FAILED)


@router.get("/")
def show_overview(request: Request, here: Here, desk: DeskOf) -> Response:
    """Capacity, what runs, what failed and what finished lately; a guide while there is nothing."""
    overview = desk.overview(limit=1)
    if not overview.recent:
        return _first_steps(request, here, desk)
    ended = desk.page(RunFilter(states=ENDED), limit=CHARTED).items
    shown = days(ended, now=time.time())
    return render(
        request,
        "overview/now.html" if is_fragment(request) else "overview/page.html",
        counts={state: overview.counts.get(state, 0) for state in RunState},
        unfinished=desk.page(RunFilter(states=UNFINISHED), limit=FEW).items,
        failed=[run for run in ended if run.counts.failed][:FEW],
        done=[run for run in ended if run.state == "done"][:FEW],
        days=shown,
        columns=columns(shown),
        capacity=_capacity(here, desk),
    )


@router.get("/search")
def search(request: Request, here: Here, desk: DeskOf, q: Words = "") -> Response:
    """Runs by name or id, and for administrators people."""
    runs = desk.page(RunFilter(text=q), limit=FOUND).items if q else []
    people = here.accounts.users(desk.actor, limit=FOUND, query=q).items if q else []
    return render(
        request,
        "overview/search.html",
        asked=q,
        runs=runs,
        people=people if desk.actor.is_admin else [],
    )


def _first_steps(request: Request, here: Here, desk: Desk) -> Response:
    steps = render(
        request,
        "overview/first.html",
        url=here.url,
        may_run=desk.actor.may(Scope.RUN),
        alone=desk.actor.is_admin and here.accounts.users(desk.actor, limit=1).total == 1,
    )
    if is_fragment(request):
        # Nothing to put in place: the page that asks was made before the last run was deleted.
        steps.headers["HX-Refresh"] = "true"
    return steps


def _capacity(here: Parts, desk: Desk) -> dict[str, object]:
    user = desk.actor.user
    disk = shutil.disk_usage(here.settings.home)
    own = user.quota_bytes
    return {
        "workers": here.settings.workers,
        "at_once": here.settings.runs_at_once,
        "used": here.uploads.used_bytes(user.id),
        "quota": here.settings.quota_bytes if own is None else own,
        "disk": disk if desk.actor.is_admin else None,
    }
