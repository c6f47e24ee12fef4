"""Folders that the server sees itself: what lies there need not be sent."""

from __future__ import annotations

from pathlib import Path

from grange.client.schemas import files as schemas
from grange.client.schemas.basis import Page
from grange.errors import InputsInvalid
from grange.server import buckets
from grange.server.api.basis import Router
from grange.server.visitors import Here, Submitter
from grange.uploads import shares

router = Router(prefix="/shares", tags=["shares"])


@router.get("")
def list_shares(_submitter: Submitter, here: Here) -> Page[schemas.Share]:
    """The folders that the server sees itself, and the buckets that it may read."""
    paths = [str(one) for one in shares.listed(here.settings.shares)]
    paths += buckets.listed(here.settings.buckets)
    items = [schemas.Share(path=one) for one in paths]
    return Page[schemas.Share](items=items, total=len(items))


@router.post("/probe")
def probe_share(body: schemas.ShareProbe, _submitter: Submitter, here: Here) -> schemas.ShareMatch:
    """Whether the server sees the very same files at a path as you do."""
    samples = [
        shares.Sample(path=one.path, size=one.size, mtime_ns=one.mtime_ns) for one in body.samples
    ]
    try:
        place: Path = shares.resolve(shares.listed(here.settings.shares), body.path)
    except InputsInvalid:
        return schemas.ShareMatch(same=False)
    return schemas.ShareMatch(same=shares.matches(place, samples))
