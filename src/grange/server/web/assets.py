"""The files that browsers load: read once, named by content, kept for good."""

from __future__ import annotations

import functools
import gzip
import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

from grange import errors
from grange.pipelines import Review, catalog
from grange.server.access import is_own_code

FOLDER = Path(__file__).parent / "static"
# Put there when Grange is built; see hatch_build.py.
VENDORED = ("vendor/htmx.js", "vendor/tus.js")
FOREVER = "public, max-age=31536000, immutable"
# Below this a packed answer is no quicker than a plain one.
_LEAST_PACKED = 1000

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent; `packed` is its gzip form where that is smaller."""

    kind: str
    body: bytes
    packed: bytes | None


class Assets:
    """All static files. One digest names them together, so that modules may import each other."""

    def __init__(self, folder: Path, needed: Sequence[str] = VENDORED) -> None:
        """Read everything below the folder; some hundred kB.

        Raises:
            ExtraMissing: What is needed is not there.
        """
        names = sorted(
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        )
        if absent := [name for name in needed if name not in names]:
            raise errors.ExtraMissing(
                f"The pages lack {' and '.join(absent)}: this Grange was not built whole.",
                hint="Install it again with pip; in a checkout, run `make install`.",
            )
        self._assets = {name: _read(folder / name) for name in names}
        digest = hashlib.sha256()
        for name, asset in self._assets.items():
            digest.update(f"{name}\0{len(asset.body)}\0".encode() + asset.body)
        self.digest = digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """Where browsers find a file; a name that is none is a mistake in a template."""
        if name not in self._assets:
            raise KeyError(name)
        return f"/static/{self.digest}/{name}"

    def find(self, name: str) -> Asset | None:
        """The file of this name, if there is one."""
        return self._assets.get(name)


@dataclass(frozen=True, slots=True)
class OwnReview:
    """A pipeline's own way of looking at results: addresses of its files, and its words."""

    assets: Assets
    scripts: Sequence[str]
    style: str
    texts: Mapping[str, str]


def review_of(pipeline: str) -> OwnReview | None:
    """How the results of an installed pipeline are looked at, where it brings a way along.

    Only what an administrator installed puts scripts on this server's pages:
    a pipeline from a file never does.
    """
    if is_own_code(pipeline):
        return None
    try:
        found = catalog.find(pipeline).review
    except (errors.PipelineNotFound, errors.PipelineInvalid):
        return None
    return _review(pipeline, found) if found else None


@functools.cache
def _review(pipeline: str, found: Review) -> OwnReview:
    held = Assets(found.folder, (*found.scripts, found.style))
    base = f"/static/{held.digest}/pipelines/{pipeline}/"
    scripts = [base + name for name in found.scripts]
    return OwnReview(held, scripts, base + found.style, found.texts())


@functools.cache
def assets() -> Assets:
    """The files of this installation; `ExtraMissing` where the build left some out."""
    return Assets(FOLDER)


@router.get("/static/{digest}/pipelines/{pipeline}/{name}")
def pipeline_file(request: Request, digest: str, pipeline: str, name: str) -> Response:
    """A file of an installed pipeline's own review."""
    found = review_of(pipeline)
    if found is None:
        raise errors.NotFound(f"No pipeline {pipeline[:100]!r} shows results of its own.")
    return _answer(request, found.assets, digest, name)


@router.get("/static/{digest}/{name:path}")
def static_file(request: Request, digest: str, name: str) -> Response:
    """A static file; one of another version of the server is not kept by browsers."""
    return _answer(request, assets(), digest, name)


def _answer(request: Request, held: Assets, digest: str, name: str) -> Response:
    found = held.find(name)
    if found is None:
        raise errors.NotFound(f"There is no static file {name[:200]!r}.")
    headers = {
        "Cache-Control": FOREVER if digest == held.digest else "no-cache",
        "Vary": "Accept-Encoding",
    }
    body = found.body
    if found.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        body = found.packed
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type=found.kind, headers=headers)


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    packed = None
    if len(body) >= _LEAST_PACKED:
        # Without the time, so that the same file gives the same bytes.
        packed = gzip.compress(body, mtime=0)
    return Asset(kind, body, packed if packed is not None and len(packed) < len(body) else None)
