"""The types of what people send."""

from __future__ import annotations

from dataclasses import dataclass

DAY_SECONDS = 86_400.0
# An upload that gets nothing for so long is given up; a finished one is forgotten then.
UPLOAD_SECONDS = 7 * DAY_SECONDS


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of sent files, which runs take as their input."""

    id: str
    owner: str
    name: str
    created_at: float
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class FolderFile:
    """A file in a folder. `kind` is the media type that its first bytes say."""

    path: str
    size: int
    sha256: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class NamedFile:
    """A file by its content, as somebody names it who may have sent that content before."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Added:
    """What became of named files: how many are in the folder now, and which were not known."""

    added: int
    missing: list[str]


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An upload in pieces: `offset` bytes are on disk, `sha256` is there once it is whole."""

    id: str
    owner: str
    name: str
    size: int
    offset: int
    folder: str | None
    path: str | None
    sha256: str | None
    created_at: float
    progress_at: float

    @property
    def expires_at(self) -> float:
        """When it is given up, or forgotten, if nothing comes until then."""
        return self.progress_at + UPLOAD_SECONDS

    @property
    def is_whole(self) -> bool:
        """Whether all of it has become a content."""
        return self.sha256 is not None


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """What an archive brought."""

    files: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep deleted."""

    uploads: int = 0
    contents: int = 0
    folders: int = 0
