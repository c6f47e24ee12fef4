"""What runs have published: listed, downloaded, and all of it as one archive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from grange.client.schemas.basis import Page
from grange.client.schemas.runs import OutputFile
from grange.server import downloads
from grange.server.api.basis import After, Limit, Router
from grange.server.api.runs import RunInPath
from grange.server.desk import Desk, DeskOf
from grange.server.heavy import DOWNLOADS

router = Router(prefix="/runs/{run}", tags=["outputs"])


async def _downloading(desk: DeskOf) -> AsyncIterator[Desk]:
    """The desk of whoever downloads, who has a place for that until all is sent."""
    with DOWNLOADS.place(desk.actor.user.id):
        yield desk


Downloading = Annotated[Desk, Depends(_downloading)]
Inline = Annotated[
    bool, Query(description="Show it in place, if it is of a kind that can do no harm.")
]
FilePath = Annotated[str, Path(min_length=1, max_length=4096)]


@router.get("/outputs")
def list_outputs(
    run: RunInPath, desk: DeskOf, after: After = None, limit: Limit = 50
) -> Page[OutputFile]:
    """The files that a run has published: its own first, then those of its items."""
    return desk.outputs(run, after=after, limit=limit)


@router.get(
    "/outputs.zip",
    response_class=StreamingResponse,
    responses={200: {"description": "All files.", "content": {"application/zip": {}}}},
)
def download_all(run: RunInPath, desk: Downloading) -> StreamingResponse:
    """All that a run has published, as one archive that is made while you read it."""
    found, chunks = desk.archive(run)
    headers = {"content-disposition": downloads.disposition(f"{found.name or found.id}.zip")}
    return StreamingResponse(chunks, media_type="application/zip", headers=headers)


@router.head("/outputs/{path:path}", include_in_schema=False)
@router.get(
    "/outputs/{path:path}",
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": {"application/octet-stream": {}}},
        206: {"description": "The range.", "content": {"application/octet-stream": {}}},
        304: {"description": "The client has it."},
        416: {"description": "There is no such range."},
    },
)
def download_output(
    run: RunInPath, path: FilePath, desk: Downloading, request: Request, *, inline: Inline = False
) -> Response:
    """Download a published file; takes one range, and conditions on the ETag."""
    return downloads.answer(request, desk.open_output(run, path), inline=inline)
