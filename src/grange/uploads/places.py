"""Where what people send lies on disk, below the home.

    uploads/<id>            what has come of an unfinished upload
    uploads/<id>.unproven   how much of it is proven, while a part with a checksum comes
    blobs/ab/<sha256>       contents, each once, read-only
    blobs/.new/<id>         contents that are being made, each locked by its maker
    folders/<id>/<path>     hard links to contents

No name that people give is part of a path, but for the checked ones below `folders/<id>/`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grange.core.ids import ID_LENGTH, looks_like_id
from grange.storage.folders import make_folders
from grange.storage.oserrors import told

PRIVATE = 0o700


class Places:
    """The paths of uploads, contents and folders below one home."""

    def __init__(self, home: Path) -> None:
        """Name the folders; nothing is made before it is needed."""
        self.home = home
        self.uploads = home / "uploads"
        self.blobs = home / "blobs"
        self.folders = home / "folders"

    def make(self) -> None:
        """Make the folders, for the eyes of the server's user alone.

        Raises:
            StoreError: They can't be made.
        """
        with told("make folders", "", root=self.home):
            for place in (self.uploads, self.new, self.folders):
                make_folders(os.fsencode(place))
            for place in (self.uploads, self.blobs, self.folders):
                place.chmod(PRIVATE)

    @property
    def new(self) -> Path:
        """Where contents are made that don't come as uploads."""
        return self.blobs / ".new"

    def upload(self, upload: str) -> Path:
        """The file of an unfinished upload."""
        return self.uploads / _checked(upload)

    def unproven(self, upload: str) -> Path:
        """The file that says from where on an upload's bytes are not proven yet."""
        return self.uploads / f"{_checked(upload)}.unproven"

    def blob(self, digest: str) -> Path:
        """The file of a content."""
        return self.blobs / digest[:2] / digest

    def folder(self, folder: str) -> Path:
        """The folder of this id."""
        return self.folders / _checked(folder)

    @contextmanager
    def changing(self, name: str, *, alone: bool = False) -> Iterator[None]:
        """Hold the lock of this name against those who hold it alone, in all processes."""
        descriptor = os.open(self.uploads / f".{name}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)


def _checked(name: str) -> str:
    # Ids come from rows or were made here; this is the wall behind that.
    if len(name) != ID_LENGTH or not looks_like_id(name):
        raise ValueError(name)
    return name
