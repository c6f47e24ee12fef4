"""Runs' results in the formats of other programs."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query
from fastapi.responses import StreamingResponse

from grange.server import downloads
from grange.server.api.basis import Router
from grange.server.api.outputs import Downloading
from grange.server.api.runs import RunInPath
from grange.server.heavy import EXPORTING

router = Router(prefix="/runs/{run}/exports", tags=["outputs"])

Dialect = Annotated[str, Path(min_length=1, max_length=64, description="Such as md or csv.")]
Threshold = Annotated[
    float | None, Query(ge=0, le=1, description="Leave out detections that are less sure.")
]
Pcutoff = Annotated[
    float | None, Query(ge=0, le=1, description="Keypoints that are less likely are hidden.")
]
Level = Annotated[
    Literal["media", "event"] | None,
    Query(description="Whether observations are of single files, or of events."),
]
EventGap = Annotated[
    float | None, Query(ge=0, le=86_400, description="Seconds after which an event is over.")
]


@router.get(
    "/{dialect}",
    response_class=StreamingResponse,
    responses={200: {"description": "The files.", "content": {"application/zip": {}}}},
)
async def export_run(  # each is an option of the formats
    run: RunInPath,
    dialect: Dialect,
    desk: Downloading,
    *,
    threshold: Threshold = None,
    pcutoff: Pcutoff = None,
    level: Level = None,
    event_gap: EventGap = None,
) -> StreamingResponse:
    """A run's results in another format, as one archive; its pipeline says which it knows."""
    given = {
        "threshold": threshold,
        "pcutoff": pcutoff,
        "level": level,
        "event_gap": event_gap,
    }
    options = {name: str(value) for name, value in given.items() if value is not None}
    found, chunks = await EXPORTING.do(
        desk.actor.user.id, lambda: desk.export(run, dialect, options)
    )
    name = f"{found.name or found.id}-{dialect}.zip"
    headers = {"content-disposition": downloads.disposition(name)}
    return StreamingResponse(iter(chunks), media_type="application/zip", headers=headers)
