"""The first page: what goes on, what went wrong lately, and where to begin."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from grange.accounts.models import Scope
from grange.core.states import RunState
from grange.runs.pages import UNFINISHED, RunFilter
from grange.server import figures, pulse
from grange.server.api.basis import Words
from grange.server.desk import Desk, DeskOf
from grange.server.parts import Parts
from grange.server.visitors import Here
from grange.server.web.charts import columns
from grange.server.web.templating import is_fragment, render

if TYPE_CHECKING:
    from grange.client.schemas.runs import Run

router = APIRouter(include_in_schema=False)

# How many runs each list shows, and among how many it looks for them.
FEW = 5
LOOKED_THROUGH = 100
THUMBNAILS = 4
FOUND = 20
ENDED = (RunState.DONE, RunState.FAILED)


@router.get("/")
def show_overview(request: Request, here: Here, desk: DeskOf) -> Response:
    """Capacity, what runs, what failed and what finished lately; a guide while there is nothing."""
    overview = desk.overview(limit=1)
    if not overview.recent:
        return _first_steps(request, here, desk)
    ended = desk.page(RunFilter(states=ENDED), limit=LOOKED_THROUGH).items
    ended.sort(key=lambda run: -(run.finished_at or 0.0))
    unfinished = desk.page(RunFilter(states=UNFINISHED), limit=pulse.MOST_RUNS).items
    done = [run for run in ended if run.state == "done"][:FEW]
    now = time.time()
    hour, day = pulse.series(here.runs, desk.sight, now=now)
    return render(
        request,
        "overview/page.html",
        counts={state: overview.counts.get(state, 0) for state in RunState},
        unfinished=_in_turn(unfinished)[:FEW],
        places=_places(unfinished, here.settings.runs_at_once),
        failed=[run for run in ended if run.counts.failed][:FEW],
        done=done,
        thumbnails={run.id: _thumbnails(here, desk, run.id) for run in done},
        series={"hour": hour, "day": day},
        figures=figures.figures(here, unfinished, hour, now=now),
        columns=columns,
        capacity=_capacity(here, desk),
        holders=_holders(here, desk, unfinished),
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


def _in_turn(unfinished: list[Run]) -> list[Run]:
    """Those at work before those that wait."""
    return sorted(unfinished, key=lambda run: run.state not in {"running", "cancelling"})


def _places(unfinished: list[Run], at_once: int) -> list[tuple[str, float, str]]:
    """The bar of places for runs: a part for each run at work, with whose it is."""
    working = [run for run in unfinished if run.state in {"running", "cancelling"}]
    share = 1 / max(at_once, len(working), 1)
    return [(run.state, share, f"{run.name or run.id} · {run.owner_name}") for run in working]


def _thumbnails(here: Parts, desk: Desk, run: str) -> list[str]:
    return pulse.pictures(here.runs, desk.sight, run, most=THUMBNAILS)


def _holders(here: Parts, desk: Desk, unfinished: list[Run]) -> list[pulse.Holder]:
    """Who holds work, and for administrators files."""
    rooms = dict(here.uploads.largest(FEW)) if desk.actor.is_admin else None
    names = here.accounts.names({*(run.owner for run in unfinished), *(rooms or ())})
    return pulse.holders(unfinished, rooms, names)[:FEW]


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
