"""The machines that take work: all of them, one of them, and how another one joins."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple, get_args
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from grange import errors
from grange.client.schemas.workers import NewWorkerToken, StandingName, Worker, WorkerChange
from grange.runs.pages import UNFINISHED, RunFilter
from grange.runs.report import words
from grange.server import pulse
from grange.server.api.basis import IdInPath, Words
from grange.server.crew import Crew, crew_of
from grange.server.desk import Desk, DeskOf
from grange.server.problems import http_status
from grange.server.serving.listening import is_loopback
from grange.server.visitors import Administrator, Here, Visitor
from grange.server.web.forms import Form, Sent
from grange.server.web.lists import Address
from grange.server.web.once import once
from grange.server.web.questions import Question, ask
from grange.server.web.templating import render
from grange.server.web.texts import texts

router = APIRouter(prefix="/workers", include_in_schema=False)

# So many of a worker's tasks stand in its row.
FEW = 2
MOST_CHOSEN = 1000
STANDINGS: tuple[str, ...] = get_args(StandingName)
SORTS: dict[str, Callable[[Worker], tuple[Any, ...]]] = {
    "name": lambda worker: (worker.name, worker.id),
    "busy": lambda worker: (-worker.busy, worker.name),
    "rate": lambda worker: (worker.presence != "up", worker.per_minute, worker.name),
    "seen": lambda worker: (worker.seen_at, worker.name),
}


class _Queue(NamedTuple):
    """What waits for workers, as far as one sees it."""

    items: int
    runs: int


@router.get("")
def list_workers(
    request: Request,
    visitor: Visitor,
    here: Here,
    desk: DeskOf,
    *,
    q: Words = "",
    state: Words = "",
    sort: Words = "name",
) -> Response:
    """All workers, with what each does now; the page asks again by itself."""
    everyone = crew_of(here, visitor).all()
    sort = sort if sort in SORTS else "name"
    shown = [one for one in everyone if _fits(one, q.strip().lower(), state)]
    return render(
        request,
        "workers/list.html",
        all=everyone,
        shown=sorted(shown, key=SORTS[sort]),
        standings=STANDINGS,
        sorts=SORTS,
        sort=sort,
        few=FEW,
        rough=words.round_duration,
        queue=_queue(desk),
        engine=here.engine_health(),
        joinable=here.workers.is_joinable(),
        trouble=here.workers.trouble,
        url=here.url,
        address=Address("/workers", {"q": q, "state": state}),
    )


@router.get("/add")
def show_adding(request: Request, _admin: Administrator) -> Response:
    """Ask how many machines are to join, and until when."""
    return _adding(request, Form(values={"uses": 1, "expires_seconds": 900}))


@router.post("/add")
def add(request: Request, admin: Administrator, here: Here, form: Sent) -> Response:
    """Make a token, and show the line to paste on the machines: this once."""
    wanted = form.read(NewWorkerToken, labels=form.text("labels").replace(",", " ").split())
    if wanted is None:
        return _adding(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        with once(here, admin, form):
            made = here.workers.make_token(
                admin, labels=wanted.labels, seconds=wanted.expires_seconds, uses=wanted.uses
            )
    except (errors.Conflict, errors.RequestInvalid) as error:
        return _adding(request, form.refuse(error), http_status(error))
    own = is_loopback(urlsplit(made.line).hostname or "")
    return render(request, "workers/line.html", made=made, own=own)


@router.post("/bulk")
def change_several(request: Request, admin: Administrator, here: Here, form: Sent) -> Response:
    """Let the chosen workers drain, or work again, or remove them, which is asked about first."""
    chosen = form.several.get("worker", [])[:MOST_CHOSEN]
    action = form.text("action")
    crew = crew_of(here, admin)
    there = [found for one in chosen if (found := _found(crew, one)) is not None]
    if not there or action not in {"drain", "resume", "remove"}:
        return _to("/workers")
    if action == "remove" and not form.text("sure"):
        return render(request, "workers/ask_bulk.html", workers=there)
    for worker in there:
        if action == "remove":
            here.workers.remove(admin, worker.id)
        else:
            here.workers.drain(admin, worker.id, drain=action == "drain")
    done = {"drain": "draining", "resume": "active", "remove": "removed"}[action]
    return _to(f"/workers?done=workers_{done}")


@router.get("/{worker}")
def show_worker(request: Request, worker: IdInPath, visitor: Visitor, here: Here) -> Response:
    """A worker, what it does now, and what the machine has; the page asks again by itself."""
    found = crew_of(here, visitor).one(worker)
    return _worker(request, found, Form(values={"name": found.name}))


@router.post("/{worker}")
def rename(
    request: Request, worker: IdInPath, admin: Administrator, here: Here, form: Sent
) -> Response:
    """Give a worker another name."""
    found = crew_of(here, admin).one(worker)
    wanted = form.read(WorkerChange, state=None)
    if wanted is None or wanted.name is None:
        return _worker(request, found, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        here.workers.rename(admin, found.id, wanted.name)
    except errors.NameTaken as error:
        return _worker(request, found, form.refuse(error, "name"), http_status(error))
    return _to(f"/workers/{found.id}?done=worker_renamed")


@router.post("/{worker}/drain")
def drain(worker: IdInPath, admin: Administrator, here: Here) -> Response:
    """Let a worker finish what it holds, and take nothing new."""
    here.workers.drain(admin, worker)
    return _to(f"/workers/{worker}?done=worker_draining")


@router.post("/{worker}/resume")
def resume(worker: IdInPath, admin: Administrator, here: Here) -> Response:
    """Let a worker take work again."""
    here.workers.drain(admin, worker, drain=False)
    return _to(f"/workers/{worker}?done=worker_active")


@router.get("/{worker}/remove")
def ask_to_remove(request: Request, worker: IdInPath, admin: Administrator, here: Here) -> Response:
    """Ask whether the worker should be removed, naming what goes with it."""
    t, found = texts(), crew_of(here, admin).one(worker)
    losses = [t("workers.ask.key")]
    if found.busy and found.presence != "gone":
        losses.append(t.n("workers.ask.tasks", found.busy))
    question = Question(
        title=t("workers.ask.title", name=found.name),
        text=t("workers.ask.text"),
        verb=t("workers.ask.verb"),
        path=f"/workers/{found.id}/remove",
        back=f"/workers/{found.id}",
        losses=tuple(losses),
    )
    return ask(request, question)


@router.post("/{worker}/remove")
def remove(worker: IdInPath, admin: Administrator, here: Here) -> Response:
    """Remove the worker."""
    here.workers.remove(admin, worker)
    return _to("/workers?done=worker_removed")


def _fits(worker: Worker, text: str, state: str) -> bool:
    named = not text or text in worker.name.lower() or text in worker.labels
    return named and (not state or worker.standing == state)


def _queue(desk: Desk) -> _Queue:
    unfinished = desk.page(RunFilter(states=UNFINISHED), limit=pulse.MOST_RUNS).items
    ended = sum(run.counts.done + run.counts.failed + run.counts.cancelled for run in unfinished)
    return _Queue(sum(run.counts.total for run in unfinished) - ended, len(unfinished))


def _found(crew: Crew, worker: str) -> Worker | None:
    """Of several workers some may have gone meanwhile."""
    try:
        return crew.one(worker)
    except errors.WorkerNotFound:
        return None


def _worker(request: Request, worker: Worker, form: Form, status: int = HTTPStatus.OK) -> Response:
    return render(
        request,
        "workers/worker.html",
        status=status,
        worker=worker,
        form=form,
        rough=words.round_duration,
    )


def _adding(request: Request, form: Form, status: int = HTTPStatus.OK) -> Response:
    return render(request, "workers/add.html", status=status, form=form)


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)
