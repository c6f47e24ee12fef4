"""One run: how it goes, what it has made, what happened to it, what may be changed of it."""

from __future__ import annotations

import time
from http import HTTPStatus
from itertools import groupby
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from grange.client.schemas import runs as schemas
from grange.core.resources import needs_from_json, words
from grange.errors import NotFound
from grange.server.desk import Desk, DeskOf
from grange.server.exports import offered
from grange.server.visitors import Here
from grange.server.web.assets import review_of
from grange.server.web.forms import Form, Sent
from grange.server.web.lists import Address
from grange.server.web.pages.runs import left_seconds
from grange.server.web.questions import Question
from grange.server.web.questions import ask as ask_first
from grange.server.web.templating import render
from grange.server.web.texts import texts

OUTPUT_ROWS = 200
EVENT_ROWS = 100
ACTIONS: Final = ("cancel", "pause", "resume", "retry")
# What is worth a question before it is done.
ASKED: Final = ("cancel", "delete")
UNENDED: Final = frozenset({"submitting", "waiting", "running", "paused", "cancelling"})
PICTURES: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")
VIDEOS: Final = (".mp4", ".webm", ".m4v")
# From here on a rate needs no decimals.
_TENS = 10

router = APIRouter(include_in_schema=False)


def about(desk: Desk, ref: str) -> dict[str, Any]:
    """What every page about a run shows: the run, and what its visitor may do with it."""
    run = desk.show(ref)
    return {
        "run": run,
        "mine": desk.may_change(desk.find(run.id)),
        "actions": actions_of(run),
        "left": left_of(run),
        "share": share_of,
        "review": review_of(run.pipeline),
    }


def actions_of(run: schemas.Run) -> list[str]:
    """What can be done with a run in its state, the main thing first."""
    if run.state == "paused":
        return ["resume", "cancel"]
    if run.state == "waiting" and run.note:
        return ["resume", "cancel"]
    if run.state in {"waiting", "running"}:
        return ["cancel", "pause"]
    if run.state in {"failed", "cancelled"}:
        return ["retry"]
    return ["cancel"] if run.state == "submitting" else []


def left_of(run: schemas.Run) -> int:
    """How many of its items have not ended."""
    counts = run.counts
    return counts.total - counts.done - counts.failed - counts.cancelled


def share_of(count: int, total: int) -> float:
    """A part of the whole, of 1."""
    return count / total if total else 0.0


@router.get("/runs/{ref}")
def overview_page(request: Request, desk: DeskOf, ref: str) -> Response:
    """How the run goes: all items at once, workers, failures by reason."""
    context = about(desk, ref)
    run = context["run"]
    if run.id != ref:
        return RedirectResponse(f"/runs/{run.id}", HTTPStatus.SEE_OTHER)
    seconds = _seconds(run)
    return render(
        request,
        "runs/overview.html",
        failures=desk.failures(run.id) if run.counts.failed else [],
        watched=desk.watch_list(run.id),
        seconds=seconds,
        rate=_rate(run.counts.done - run.counts.reused + run.counts.failed, seconds),
        left_seconds=left_seconds(run, time.time()),
        **context,
    )


@router.get("/runs/{ref}/outputs")
def outputs_page(
    request: Request,
    desk: DeskOf,
    ref: str,
    view: Annotated[str, Query(max_length=20)] = "list",
    after: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """What the run has published: by folder, or as a gallery of what can be seen."""
    context = about(desk, ref)
    page = desk.outputs(ref, after=after or None, limit=OUTPUT_ROWS)
    folders = [
        (folder, list(files))
        for folder, files in groupby(page.items, lambda one: _folder(one.path))
    ]
    seen = [(one, kind) for one in page.items if (kind := _seen_as(one.path))]
    return render(
        request,
        "runs/outputs.html",
        formats=offered(context["run"].pipeline) if context["run"].counts.done else (),
        page=page,
        folders=folders,
        seen=seen,
        view=view if view == "gallery" else "list",
        address=Address(f"/runs/{context['run'].id}/outputs", {"view": view}, after),
        **context,
    )


@router.get("/runs/{ref}/events")
def events_page(request: Request, desk: DeskOf, ref: str) -> Response:
    """What happened to the run, the newest first; more comes while one looks."""
    context = about(desk, ref)
    return render(request, "runs/events.html", ended=desk.ended(ref, limit=EVENT_ROWS), **context)


@router.get("/runs/{ref}/settings")
def settings_page(request: Request, parts: Here, desk: DeskOf, ref: str) -> Response:
    """What the run was asked to do, and what may be changed of it."""
    return _settings(request, parts, desk, ref, None)


@router.post("/runs/{ref}/settings")
def change_settings(request: Request, parts: Here, desk: DeskOf, ref: str, form: Sent) -> Response:
    """Rename the run, change its priority, share it with a group."""
    change = form.read(schemas.RunChange)
    if change is not None:
        try:
            run = desk.change(ref, change)
            return RedirectResponse(f"/runs/{run.id}/settings?done=saved", HTTPStatus.SEE_OTHER)
        except NotFound as error:
            form.refuse(error, "group")
    return _settings(request, parts, desk, ref, form)


@router.get("/runs/{ref}/{action}")
def ask(request: Request, desk: DeskOf, ref: str, action: str) -> Response:
    """Ask whether this is meant, and say what will be lost."""
    if action not in ASKED:
        raise NotFound("Nothing is served under this address.")
    return ask_first(request, _question(desk.show(ref), action))


@router.post("/runs/{ref}/{action}")
def act(desk: DeskOf, ref: str, action: str, _form: Sent) -> Response:
    """Do it, and come back to the run."""
    if action == "delete":
        desk.delete(ref)
        return RedirectResponse("/runs?done=run_delete", HTTPStatus.SEE_OTHER)
    if action not in ACTIONS:
        raise NotFound("Nothing is served under this address.")
    run: schemas.Run = getattr(desk, action)(ref)
    return RedirectResponse(f"/runs/{run.id}?done=run_{action}", HTTPStatus.SEE_OTHER)


def _question(run: schemas.Run, action: str) -> Question:
    """What is asked, and what will be lost."""
    t = texts()
    losses, stays = [t.n("runs.ask.cancel_items", left_of(run))], ""
    if action == "delete":
        losses = [t("runs.ask.delete_account")]
        if run.out:
            stays = t("runs.settings.delete_stays", out=run.out)
        else:
            losses.append(t.n("runs.ask.delete_outputs", run.counts.done))
    return Question(
        title=t(f"runs.ask.{action}", name=run.name or run.id),
        text=t(f"runs.ask.{action}_text"),
        verb=t(f"runs.action.{action}"),
        path=f"/runs/{run.id}/{action}",
        back=f"/runs/{run.id}",
        losses=tuple(losses),
        stays=stays,
    )


def _settings(request: Request, parts: Here, desk: Desk, ref: str, form: Form | None) -> Response:
    context = about(desk, ref)
    run = context["run"]
    shown = form or Form(values={"name": run.name, "priority": run.priority, "group": run.group})
    groups = parts.accounts.groups(desk.actor)
    return render(
        request,
        "runs/settings.html",
        form=shown,
        groups=[(one.id, one.name) for one in groups],
        needs=words(needs_from_json(run.needs)) if run.needs else "",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if shown.mistakes else HTTPStatus.OK,
        **context,
    )


def _seconds(run: schemas.Run) -> float | None:
    if run.started_at is None:
        return None
    return max(0.0, (run.finished_at or time.time()) - run.started_at)


def _rate(count: int, seconds: float | None) -> str:
    """How many items ended in the time, in words; empty while none has."""
    if not seconds or not count:
        return ""
    for unit, length in (("second", 1), ("minute", 60), ("hour", 3600)):
        rate = count * length / seconds
        if rate >= 1 or unit == "hour":
            return texts()(f"runs.rate.{unit}", count=f"{rate:.{0 if rate >= _TENS else 1}f}")
    raise AssertionError(seconds)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _seen_as(path: str) -> str:
    """How a file looks in a gallery; nothing for what can't be seen."""
    ending = path.lower()
    return "picture" if ending.endswith(PICTURES) else "video" if ending.endswith(VIDEOS) else ""
