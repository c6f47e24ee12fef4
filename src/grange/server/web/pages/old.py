"""The addresses of the service that came before: its users know them by heart."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse

from grange.client.schemas import runs as schemas
from grange.core.states import ItemState
from grange.errors import ItemNotFound, RunNotFound
from grange.runs.itempages import ItemFilter
from grange.server.desk import Desk, DeskOf
from grange.server.web.templating import render

# How far back a name is looked for.
MOST_RUNS = 50
MOST_ITEMS = 50
VIDEOS: Final = (".mp4", ".webm", ".m4v", ".mov", ".avi", ".mkv")
PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg")
_LABELLED: Final = ("label", "annotated", "overlay")
_PLOT: Final = "plot"
_FIRST: Final = "trajectory"
# A browser would not show it in place: it can hold scripts.
_DRAWING: Final = ".svg"

# What a file's name without its ending can be: one part of a path.
Stem = Annotated[str, Path(min_length=1, max_length=255, pattern=r"^[^/\\\x00-\x1f\x7f]+$")]

router = APIRouter(include_in_schema=False)


@router.get("/Log")
def progress(desk: DeskOf) -> Response:
    """How it goes: the newest run's page, or the list while there is none."""
    try:
        return _to(f"/runs/{desk.find('last').id}")
    except RunNotFound:
        return _to("/runs")


@router.get("/output/{name}")
def output(desk: DeskOf, name: Stem) -> Response:
    """The labelled video, or else the main output, of the newest item of this name."""
    run, item = _newest(desk, name, bool)
    return _to(_address(run, main_output(item.outputs, name)))


@router.get("/plot/{name}")
def plot(request: Request, desk: DeskOf, name: Stem) -> Response:
    """The plot of the newest item of this name that has one; a choice where it has several."""
    run, item = _newest(desk, name, plots)
    found = plots(item.outputs)
    if len(found) == 1:
        return _to(f"{_address(run, found[0])}?inline=true")
    return render(request, "runs/plots.html", run=run, item=item, plots=found, name=name)


def main_output(outputs: list[schemas.OutputFile], name: str) -> schemas.OutputFile:
    """The file that stands for an item: its labelled video, a video, what is named after it."""

    def rank(one: schemas.OutputFile) -> tuple[bool, bool, bool, int]:
        file = one.path.rpartition("/")[2].lower()
        is_video = file.endswith(VIDEOS)
        is_labelled = is_video and any(word in file for word in _LABELLED)
        return not is_labelled, not is_video, not file.startswith(name.lower()), -one.size

    return min(outputs, key=rank)


def plots(outputs: list[schemas.OutputFile]) -> list[schemas.OutputFile]:
    """The pictures among the outputs; those that say they are plots, where any does."""
    pictures = [one for one in outputs if one.path.lower().endswith(PICTURES)]
    named = [one for one in pictures if _PLOT in one.path.lower()] or pictures
    shown = [one for one in named if not one.path.lower().endswith(_DRAWING)] or named
    # It is what this address showed when there was no other.
    return sorted(shown, key=lambda one: _FIRST not in one.path.lower())


def _newest(
    desk: Desk, name: str, has: Callable[[list[schemas.OutputFile]], object]
) -> tuple[schemas.Run, schemas.Item]:
    """The newest done item whose file is called so, whatever its ending, and that has it.

    Raises:
        ItemNotFound: There is none.
    """
    wanted = ItemFilter(state=ItemState.DONE, text=name)
    for run in desk.page(limit=MOST_RUNS).items:
        found = desk.items(run.id, wanted, limit=MOST_ITEMS).items
        for item in reversed(found):
            if _stem(item.path) == name and has(item.outputs):
                return run, item
    raise ItemNotFound(
        f"In the newest {MOST_RUNS} runs that you can see, no item called {name!r} has this yet.",
        hint="It may still be on its way: /Log shows how it goes. All runs are at /runs.",
    )


def _stem(path: str) -> str:
    file = path.rpartition("/")[2]
    return file.rpartition(".")[0] or file


def _address(run: schemas.Run, one: schemas.OutputFile) -> str:
    return f"/api/v1/runs/{run.id}/outputs/{quote(one.path)}"


def _to(address: str) -> Response:
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)
