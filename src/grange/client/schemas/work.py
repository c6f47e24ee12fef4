"""What workers fetch and send that share no disk with the server."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

from pydantic import Field

from grange.client.schemas.basis import Answer, Digest, Request
from grange.client.schemas.files import FilePath, Size

# An item may have so many outputs: more are to be packed.
MOST_OUTPUTS = 100_000
MOST_LOG_BYTES = 32 << 20
# Outputs that travel together, as one .tar.
MOST_TAR_BYTES = 64 << 20
TAR_TYPE = "application/x-tar"

_REPR_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_DIGEST_BYTES = 32


class WorkFile(Answer):
    """A file of an attempt, as the server has it."""

    path: str
    size: int
    mtime_ns: int
    sha256: str | None = None


class Arrived(Answer):
    """How much of an output is there; `file` once that is all of it."""

    size: int
    file: WorkFile | None = None


class ArrivedFiles(Answer):
    """Outputs that came together."""

    files: list[WorkFile]


class WantedFile(Request):
    """An output as the attempt has made it."""

    path: FilePath
    size: Size
    sha256: Digest


class WantedFiles(Request):
    """All outputs of an attempt."""

    files: Annotated[list[WantedFile], Field(max_length=MOST_OUTPUTS)]


class Sealed(Answer):
    """The outputs of an attempt, durable; or the paths of those that have yet to be sent."""

    missing: list[str]
    files: list[WorkFile]


class WorkPart(Answer):
    """What an attempt at a part of an item has left for the merge."""

    token: str
    files: list[WorkFile]


def repr_digest(sha256: str) -> str:
    """The header `Repr-Digest` of a file with this sha256, as RFC 9530 says."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def digest_of(header: str | None) -> str | None:
    """The sha256 that such a header says, in hexadecimal; None for none of that kind."""
    found = _REPR_DIGEST.search(header or "")
    if found is None:
        return None
    try:
        return base64.b64decode(found[1], validate=True).hex()
    except binascii.Error:
        return None
