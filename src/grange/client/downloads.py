"""Bringing files from the server: in pieces that go on where they were cut off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx

from grange.client.connection import Connection
from grange.client.trouble import not_understood
from grange.errors import StoreCorrupt

PIECE_BYTES = 1 << 20
# What has come of so much is lost by a cut.
_TAKEN_BYTES = 1 << 16
_PARTIAL = 206
_NOTHING_LEFT = 416


def pieces(connection: Connection, path: str, *, start: int = 0) -> Iterator[bytes]:
    """The bytes of a file from `start` on, as they come.

    When the connection is cut it goes on where it was, as long as the file is
    still the same one.

    Raises:
        ServerUnreachable: It was cut, and patience has ended.
        ServerRefused: The file is another one by now.
    """
    at, tag = start, ""
    delays = connection.delays()
    while True:
        headers = {"Accept-Encoding": "identity", "Accept": "*/*"}
        if at:
            headers |= {"Range": f"bytes={at}-"} | ({"If-Range": tag} if tag else {})
        try:
            with connection.stream(path, headers=headers) as response:
                if at and response.status_code != _PARTIAL:
                    raise not_understood(f"{path}, from byte {at} on")
                tag = tag or response.headers.get("etag", "")
                for piece in response.iter_bytes(_TAKEN_BYTES):
                    at += len(piece)
                    delays = connection.delays()
                    connection.check()
                    yield piece
                return
        except httpx.TransportError as error:
            if not delays.wait():
                raise connection.told(error) from error


def fetch(connection: Connection, path: str, target: Path, *, size: int, digest: str) -> None:
    """Bring a file of known content to `target`, going on with what is there of it.

    It is flushed to the disk, and what is there afterwards has the digest.

    Raises:
        StoreCorrupt: What came is something else; nothing is left of it.
    """
    if _fetched(connection, path, target, size=size) == digest:
        return
    # What was there before may have been the beginning of something else.
    target.unlink(missing_ok=True)
    if _fetched(connection, path, target, size=size) != digest:
        target.unlink(missing_ok=True)
        raise StoreCorrupt(
            f"{target.name!r} came from the server with other bytes than it has there.",
            hint="Try again; if it stays so, look at the server's disk and at what is in between.",
        )


def fetch_passing(connection: Connection, path: str, target: Path, *, size: int) -> str | None:
    """Bring a file of which only the size is known; returns its digest, None for another size.

    It goes on with what is there, and is not flushed to the disk: for what is needed for a while.
    """
    found = _fetched(connection, path, target, size=size, durable=False)
    return found if found and target.stat().st_size == size else None


def _fetched(
    connection: Connection, path: str, target: Path, *, size: int, durable: bool = True
) -> str:
    """Add to the target what it lacks; returns the digest of the whole."""
    found = sha256()
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    with os.fdopen(os.open(target, flags, 0o666), "r+b") as file:
        at = 0
        while piece := file.read(PIECE_BYTES):
            found.update(piece)
            at += len(piece)
        if at > size:
            return ""
        if at < size or not size:
            for piece in pieces(connection, path, start=at) if size else ():
                at += len(piece)
                if at > size:
                    return ""
                file.write(piece)
                found.update(piece)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    return found.hexdigest()
