"""The bytes of a worker that shares no disk with the server: what it fetches, what it sends.

All of it goes on after a cut: inputs where they stopped, outputs piece by piece.
Whatever is sent twice does no harm. An attempt that is over raises `ClaimEnded`:
its work is to be dropped.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TypeVar

from pydantic import BaseModel, ValidationError

from grange.client import downloads
from grange.client.connection import Answered, Connection
from grange.client.paging import every, quoted
from grange.client.schemas.basis import Page
from grange.client.schemas.work import (
    MOST_LOG_BYTES,
    TAR_TYPE,
    Arrived,
    ArrivedFiles,
    Sealed,
    WantedFile,
    WantedFiles,
    WorkPart,
    repr_digest,
)
from grange.client.trouble import not_understood
from grange.core.tasks import Output
from grange.errors import (
    ChecksumWrong,
    InputChanged,
    OutputRefused,
    StoreCorrupt,
    UploadConflict,
)

M = TypeVar("M", bound=BaseModel)

PIECE_BYTES = 16 << 20
# Smaller files travel together: a request for each would cost more than its bytes.
SMALL_BYTES = 1 << 20
MOST_TAR_BYTES = 32 << 20
MOST_TAR_FILES = 1000
# How often a file that arrives as something else is sent anew.
MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt, as the server knows it."""

    run: str
    task: int
    epoch: int

    @property
    def path(self) -> str:
        """Where the API has it."""
        return f"work/{quoted(self.run)}/{self.task}/{self.epoch}"


class Work:
    """What a worker asks of the server for its attempts. Safe to use from several threads."""

    def __init__(self, connection: Connection) -> None:
        """Speak over this connection, which brings the worker's key."""
        self._at = connection

    def fetch_input(self, claim: Claim, target: Path, *, size: int, sha256: str | None) -> str:
        """Bring the attempt's input, going on with what is there of it; returns its sha256.

        Raises:
            ClaimEnded: The attempt is over.
            InputMissing, InputUnreadable: It is not there, or can't be read.
            InputChanged: It is not what it was when the run was submitted.
            ServerUnreachable: The server can't be reached, and patience has ended.
        """
        path = f"{claim.path}/input"
        if sha256 is None:
            # Nobody knows yet what it should be: what is there may be of something else.
            target.unlink(missing_ok=True)
        for _ in range(MOST_ROUNDS):
            found = downloads.fetch_passing(self._at, path, target, size=size)
            if found is not None and sha256 in {None, found}:
                return found
            target.unlink(missing_ok=True)
        raise InputChanged(
            f"The input of task {claim.task} comes with other bytes than it had.",
            hint="Look at the server's disk, and at what is in between.",
        )

    def send_outputs(
        self, claim: Claim, folder: Path, outputs: Sequence[Output]
    ) -> tuple[Output, ...]:
        """Bring an attempt's outputs to the server, whole and durable.

        Repeating it is safe, also by another process: what is there is not sent again.

        Returns:
            The outputs as the server has them, which the attempt's outcome has to tell.

        Raises:
            ClaimEnded: The attempt is over.
            StoreFull: The server has no room.
            OutputRefused: They can't be read here, or are not what they were said to be.
            ServerUnreachable: The server can't be reached, and patience has ended.
        """
        wanted = {one.path: one for one in outputs}
        if sum(one.size for one in outputs) < SMALL_BYTES:
            # To ask first would take as long.
            self._send(claim, folder, outputs)
        for _ in range(MOST_ROUNDS):
            sealed = self._seal(claim, outputs)
            if not sealed.missing:
                return tuple(
                    replace(wanted[one.path], mtime_ns=one.mtime_ns) for one in sealed.files
                )
            self._send(claim, folder, [wanted[path] for path in sealed.missing])
        message = f"The outputs of attempt {claim.task}-{claim.epoch} don't arrive as they are."
        raise OutputRefused(message, hint="Look at what is between this machine and the server.")

    def list_parts(self, claim: Claim) -> list[WorkPart]:
        """What was staged of the parts that the attempt is to merge."""

        def fetch(after: str | None) -> Page[WorkPart]:
            return self._at.get(Page[WorkPart], f"{claim.path}/parts", {"after": after})

        return list(every(fetch))

    def fetch_part(self, claim: Claim, token: str, path: str, target: Path, *, size: int) -> None:
        """Bring a file of a part.

        Raises:
            ClaimEnded: The attempt is over.
            StoreMissing: The attempt merges no such part, or the part has no such file.
            StoreCorrupt: It came with another size.
        """
        name = f"{claim.path}/parts/{quoted(token)}/{quoted(path, safe='/')}"
        target.unlink(missing_ok=True)
        if downloads.fetch_passing(self._at, name, target, size=size) is None:
            target.unlink(missing_ok=True)
            raise StoreCorrupt(f"{path!r} came with another size than it had.", hint="Try again.")

    def send_log(self, claim: Claim, stream: str, log: Path) -> None:
        """Bring what the attempt has written to `out` or `err`; of too much the end is left out."""
        try:
            with log.open("rb") as file:
                content = file.read(MOST_LOG_BYTES)
        except FileNotFoundError:
            return
        self._at.send("PUT", f"{claim.path}/logs/{quoted(stream)}", content=content)

    def _seal(self, claim: Claim, outputs: Sequence[Output]) -> Sealed:
        files = [WantedFile(path=one.path, size=one.size, sha256=one.sha256) for one in outputs]
        body = WantedFiles(files=files)
        # The very same list does the very same thing, so it may be sent again.
        return self._at.post(Sealed, f"{claim.path}/outputs", body, key=claim.path)

    def _send(self, claim: Claim, folder: Path, missing: Sequence[Output]) -> None:
        small = [one for one in missing if one.size < SMALL_BYTES]
        for batch in _batches(small):
            if len(batch) > 1:
                self._send_together(claim, folder, batch)
            else:
                self._send_file(claim, folder, batch[0])
        for one in missing:
            if one.size >= SMALL_BYTES:
                self._send_file(claim, folder, one)

    def _send_together(self, claim: Claim, folder: Path, batch: Sequence[Output]) -> None:
        with tempfile.SpooledTemporaryFile(max_size=MOST_TAR_BYTES) as packed:
            with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for one in batch:
                    entry = tarfile.TarInfo(one.path)
                    with _opened(folder, one) as file:
                        entry.size = one.size
                        tar.addfile(entry, file)
            packed.seek(0)
            content = packed.read()
        headers = {"Content-Type": TAR_TYPE}
        answered = self._at.send("PUT", f"{claim.path}/outputs", content=content, headers=headers)
        _parsed(ArrivedFiles, answered, claim)

    def _send_file(self, claim: Claim, folder: Path, output: Output) -> None:
        """Send a file piece by piece; one that arrives as another is sent from its beginning."""
        delays = self._at.delays()
        with _opened(folder, output) as file:
            at = 0
            while at < output.size or not output.size:
                self._at.check()
                try:
                    arrived = self._send_piece(claim, file, output, at)
                except (UploadConflict, ChecksumWrong):
                    # An earlier request may still be at it, or the pieces before are gone.
                    if not delays.wait():
                        raise
                    at = 0
                    continue
                at = arrived.size
                delays = self._at.delays()
                if arrived.file is not None:
                    return

    def _send_piece(self, claim: Claim, file: IO[bytes], output: Output, at: int) -> Arrived:
        file.seek(at)
        piece = file.read(PIECE_BYTES)
        if len(piece) != min(PIECE_BYTES, output.size - at):
            raise OutputRefused(f"The output {output.path!r} is not what it was.")
        headers = {
            "Content-Type": "application/octet-stream",
            "Repr-Digest": repr_digest(output.sha256),
        }
        if len(piece) < output.size:
            headers["Content-Range"] = f"bytes {at}-{at + len(piece) - 1}/{output.size}"
        path = f"{claim.path}/outputs/{quoted(output.path, safe='/')}"
        return _parsed(Arrived, self._at.send("PUT", path, content=piece, headers=headers), claim)


def _parsed(model: type[M], answered: Answered, claim: Claim) -> M:
    try:
        return model.model_validate_json(answered.content)
    except ValidationError as error:
        raise not_understood(claim.path) from error


def _batches(small: Sequence[Output]) -> Iterator[list[Output]]:
    batch: list[Output] = []
    size = 0
    for one in small:
        # A header of a member, and what fills up its last block.
        room = one.size + 2048
        if batch and (size + room > MOST_TAR_BYTES or len(batch) >= MOST_TAR_FILES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += room
    if batch:
        yield batch


def _opened(folder: Path, output: Output) -> IO[bytes]:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        return os.fdopen(os.open(folder / output.path, flags), "rb")
    except OSError as error:
        message = f"The output {output.path!r} can't be read: {error.strerror or error}."
        raise OutputRefused(message) from error
