"""Items of a run, the attempts at them, and what these wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Path, Query, Request, Response

from grange.client.schemas import runs as schemas
from grange.client.schemas.basis import Page
from grange.core.states import ItemState
from grange.runs.itempages import ItemFilter
from grange.server import downloads
from grange.server.api.basis import After, Limit, Router, Words
from grange.server.api.outputs import Downloading
from grange.server.api.runs import RunInPath
from grange.server.desk import DeskOf

router = Router(prefix="/runs/{run}/items", tags=["items"])

Number = Annotated[int, Path(ge=0, le=(1 << 63) - 1)]
Epoch = Annotated[int, Path(ge=0, le=(1 << 31) - 1)]
PathPart = Annotated[str, Query(max_length=4096, description="What must be in the path.")]


@dataclass
class Written:
    """Which log of which attempt."""

    task: Number
    epoch: Epoch
    stream: Literal["out", "err"]


@router.get("")
def list_items(
    run: RunInPath,
    desk: DeskOf,
    *,
    state: schemas.ItemStateName | None = None,
    code: Words = "",
    q: PathPart = "",
    after: After = None,
    limit: Limit = 50,
) -> Page[schemas.Item]:
    """Items in the order of submission. A page may hold few and yet have a next one."""
    wanted = ItemFilter(state=ItemState(state) if state else None, code=code, text=q)
    return desk.items(run, wanted, after=after, limit=limit)


@router.get("/{item}")
def show_item(run: RunInPath, item: Number, desk: DeskOf) -> schemas.Item:
    """An item."""
    return desk.item(run, item)


@router.get("/{item}/attempts")
def list_attempts(run: RunInPath, item: Number, desk: DeskOf) -> Page[schemas.Attempt]:
    """The ended attempts at an item, in their order."""
    found = desk.attempts(run, item)
    return Page[schemas.Attempt](items=found, total=len(found))


@router.get(
    "/{item}/attempts/{task}/{epoch}/{stream}",
    response_class=Response,
    responses={
        200: {"description": "What was written.", "content": {"text/plain": {}}},
        206: {"description": "The range that was asked for.", "content": {"text/plain": {}}},
        304: {"description": "The client has it."},
        416: {"description": "There is no such range."},
    },
)
def show_log(
    run: RunInPath,
    item: Number,
    written: Annotated[Written, Depends()],
    desk: Downloading,
    request: Request,
) -> Response:
    """What an attempt wrote to stdout or stderr; takes ranges."""
    log = desk.log(run, item, task=written.task, epoch=written.epoch, stream=written.stream)
    return downloads.answer(request, log, inline=True, kind="text/plain")
