"""A run's results as its pipeline shows them, and the records that its scripts ask for."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from grange.client.schemas import runs as schemas
from grange.errors import NotFound
from grange.runs.manifest import published_path
from grange.server.desk import DeskOf
from grange.server.web.pages.runs_detail import about
from grange.server.web.templating import render

JSON = Any

# So many records come at once.
RECORDS = 500

router = APIRouter(include_in_schema=False)

# When the last item that is known ended, and its id.
Place = Annotated[str, Query(pattern=r"^\d{1,12}(\.\d{1,20})?:\d{1,18}$")]


@router.get("/runs/{ref}/review")
def review_page(request: Request, desk: DeskOf, ref: str) -> Response:
    """The run's results as its pipeline shows them; they come while one looks."""
    context = about(desk, ref)
    if context["review"] is None:
        raise NotFound("Results of this pipeline are shown as a list of files alone.")
    return render(request, "runs/review.html", **context)


@router.get("/runs/{ref}/review/records")
def records(desk: DeskOf, ref: str, after: Place = "0:0") -> JSONResponse:
    """What the run recorded of its items, in the order of their ends; `next` goes on from there."""
    at, _, last = after.partition(":")
    found = desk.ended_after(ref, (float(at), int(last)), limit=RECORDS)
    told = [_record(item) for item in found if item.state != "cancelled"]
    place = f"{found[-1].ended_at!r}:{found[-1].id}" if found else after
    return JSONResponse({"items": told, "next": place, "more": len(found) == RECORDS})


def _record(item: schemas.Item) -> dict[str, JSON]:
    return {
        "id": item.id,
        "path": item.path,
        "href": quote(published_path(item.path), safe="/"),
        "result": item.result if item.state == "done" else None,
        "failure": item.failure["message"] if item.failure else "",
    }
