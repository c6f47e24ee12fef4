"""Folders of files that people send, and what the server sees itself."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from grange.client.schemas.basis import ONE_LINE, Answer, Digest, Request

# How many files one request may name.
MOST_FILES = 1000

FilePath = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Size = Annotated[int, Field(ge=0, le=1 << 50)]


class NewFolder(Request):
    """A folder to be filled and then used as a run's input."""

    name: Annotated[str, StringConstraints(max_length=200, pattern=ONE_LINE)] = ""


class Folder(Answer):
    """A folder of sent files."""

    id: str
    name: str
    created_at: float
    files: int
    bytes: int


class NewFile(Request):
    """A file by its content, to be put into a folder if the server knows it from you already."""

    path: FilePath
    size: Size
    sha256: Digest


class NewFiles(Request):
    """Files to be put into a folder."""

    files: Annotated[list[NewFile], Field(min_length=1, max_length=MOST_FILES)]


class Missing(Answer):
    """Which of the named files were not known: their paths; the others are in the folder now."""

    missing: list[str]
    added: int


class FolderFile(Answer):
    """A file in a folder. `kind` is the media type that its first bytes say."""

    path: str
    size: int
    sha256: str
    kind: str


class Unpack(Request):
    """A finished upload of a .zip or .tar(.gz|.bz2|.xz) to be unpacked into a folder."""

    upload: Annotated[str, StringConstraints(max_length=40)]


class Unpacked(Answer):
    """What an archive brought."""

    files: int
    bytes: int


class Upload(Answer):
    """An upload in pieces. `offset` bytes are on disk; `sha256` is there once it is whole."""

    id: str
    name: str
    size: int
    offset: int
    folder: str | None = None
    path: str | None = None
    sha256: str | None = None
    expires_at: float


class Share(Answer):
    """A folder that the server sees itself."""

    path: str


class ShareProbe(Request):
    """What a client sees at a path: does the server see the very same there?"""

    path: FilePath
    samples: Annotated[list[ShareSample], Field(min_length=1, max_length=20)]


class ShareSample(Request):
    """A file as the client sees it; `path` is below the probed one, empty for itself."""

    path: Annotated[str, StringConstraints(max_length=4096)]
    size: Size
    mtime_ns: int


class ShareMatch(Answer):
    """Whether the server sees the very same."""

    same: bool


ShareProbe.model_rebuild()
