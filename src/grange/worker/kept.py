"""What stages of pipelines keep for later runs: a cache in files, shared by all workers."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

# Entries lie in folders by the first digits of their names; each has an equal share of the room.
_FOLDER_DIGITS = 2
_FOLDERS = 16**_FOLDER_DIGITS
_DIGEST_BYTES = hashlib.sha256().digest_size
# What `st_blocks` counts in.
_BLOCK_BYTES = 512


class Kept:
    """Bytes under keys, until the room is needed for what was used later.

    It promises nothing but that what it gives is what was kept: an entry that
    is missing, damaged or unreadable is just not known, and what can't be
    written is not kept.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Keep at most so much below a folder, which is made when it is needed."""
        self._folder = folder
        self._share_bytes = limit_bytes // _FOLDERS

    def known(self, key: str) -> bytes | None:
        """What was kept under the key; it counts as used now."""
        path = self._path(key)
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        digest, data = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        return data if hashlib.sha256(data).digest() == digest else None

    def keep(self, key: str, data: bytes) -> None:
        """Keep it, in place of what was there; the longest unused goes where room is needed."""
        if len(data) + _DIGEST_BYTES > self._share_bytes:
            return
        path = self._path(key)
        # A cache on a full or foreign disk is no reason to fail.
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not synced to the disk: what a crash leaves half is told by its digest.
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(hashlib.sha256(data).digest())
                    file.write(data)
                os.replace(temporary, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary)
                raise
            self._trim(path.parent)

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / name[:_FOLDER_DIGITS] / name

    def _trim(self, folder: Path) -> None:
        found = []
        with os.scandir(folder) as entries:
            for entry in entries:
                # Another worker may be trimming, too.
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime_ns, entry.path, _held(status)))
        excess = sum(size for _, _, size in found) - self._share_bytes
        for _, path, size in sorted(found):
            if excess <= 0:
                break
            with suppress(FileNotFoundError):
                os.unlink(path)
            excess -= size


def _held(status: os.stat_result) -> int:
    """The room that a file takes, of which a small one takes more than its size."""
    return max(status.st_blocks * _BLOCK_BYTES, status.st_size)
