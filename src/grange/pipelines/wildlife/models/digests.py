"""Whether a model's file is the one that its manifest means."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from grange.errors import ModelInvalid

if TYPE_CHECKING:
    from grange.pipelines.wildlife.models.manifest import Manifest

# No protobuf, and so no graph, can be larger.
MOST_BYTES: Final = 2 * 1024**3


def digest_of(path: Path) -> str:
    """The sha256 of a file that may be a model, in hex.

    Raises:
        ModelInvalid: It can't be read, is empty, or larger than 2 GiB.
    """
    try:
        with path.open("rb") as opened:
            _check_size(path, opened.seek(0, 2))
            opened.seek(0)
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def verify(manifest: Manifest) -> None:
    """Make sure that a model's file is the one that the manifest means.

    Raises:
        ModelInvalid: It is another, or can't be read.
    """
    _compare(manifest, digest_of(manifest.file))


def read_verified(manifest: Manifest) -> bytes:
    """The bytes of a model's file: those that were digested, whatever becomes of the file then.

    Raises:
        ModelInvalid: They are not what the manifest means, or can't be read.
    """
    try:
        _check_size(manifest.file, manifest.file.stat().st_size)
        data = manifest.file.read_bytes()
    except OSError as error:
        raise _unreadable(manifest.file, error) from error
    _compare(manifest, hashlib.sha256(data).hexdigest())
    return data


def _check_size(path: Path, size_bytes: int) -> None:
    if size_bytes == 0:
        raise ModelInvalid(f"The model's file {path} is empty.")
    if size_bytes > MOST_BYTES:
        raise ModelInvalid(f"The model's file {path} is larger than 2 GiB.")


def _unreadable(path: Path, error: OSError) -> ModelInvalid:
    return ModelInvalid(f"The model's file {path} can't be read: {error.strerror}.")


def _compare(manifest: Manifest, found: str) -> None:
    if found != manifest.sha256:
        raise ModelInvalid(
            f"The file of the model {manifest.name} is not the one that its manifest means: "
            f"its sha256 is {found[:12]}…, not {manifest.sha256[:12]}….",
            hint=f"Fetch {manifest.file.name} again, or add the new file as a model of its own.",
        )
