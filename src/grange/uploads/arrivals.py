"""One part of an upload on its way in: held, written, proven."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import new as new_hash
from typing import TYPE_CHECKING

from grange.errors import ChecksumWrong, RequestInvalid, UploadConflict
from grange.uploads.models import Upload
from grange.uploads.parts import Part, Parts

if TYPE_CHECKING:
    from hashlib import _Hash

# What a client may prove a part with; neither is there to keep an attacker off.
CHECKSUMS = ("sha256", "sha1")
_LENGTHS = {"sha256": 32, "sha1": 20}


@dataclass(frozen=True)
class Proof:
    """What a part has to be: a digest of all its bytes."""

    algorithm: str
    digest: bytes

    def __post_init__(self) -> None:
        """Refuse what no part could be."""
        if _LENGTHS.get(self.algorithm) != len(self.digest):
            raise RequestInvalid(
                "The part's checksum is of no known kind, or too long or short for it.",
                hint=f"Use one of {', '.join(CHECKSUMS)}.",
            )


class Arrival:
    """Holds an upload from its making to `close`. Methods block; one is called at a time."""

    def __init__(self, parts: Parts, upload: Upload, proof: Proof | None) -> None:
        """Hold the upload.

        Raises:
            UploadConflict: Another one is sending it.
        """
        self.upload = upload
        self._proof = proof
        self._sum: _Hash | None = new_hash(proof.algorithm) if proof else None
        self._exit = ExitStack()
        self.part: Part = self._exit.enter_context(parts.held(upload.id))
        self._begun_at = self.part.position
        self._proven = False

    def begin(self, upload: Upload, offset: int) -> None:
        """Let bytes come from this offset on.

        Raises:
            UploadConflict: The upload stands elsewhere.
        """
        self.upload = upload
        stands = upload.size if upload.is_whole else self.part.position
        if stands != offset:
            raise UploadConflict(
                f"The upload stands at {stands}, not at {offset}.",
                hint="Ask where it stands, and go on from there.",
            )
        if self._proof and not upload.is_whole:
            self.part.begin_unproven()

    def write(self, chunks: Sequence[bytes]) -> None:
        """Add what came."""
        limit = 0 if self.upload.is_whole else self.upload.size
        self.part.write(chunks, limit=limit)
        if self._sum is not None:
            for chunk in chunks:
                self._sum.update(chunk)

    def complete(self) -> None:
        """Make what came durable, once it is proven.

        Raises:
            ChecksumWrong: It is not what was sent; it is dropped.
        """
        if self._proof and self._sum:
            if not hmac.compare_digest(self._sum.digest(), self._proof.digest):
                self.part.go_back()
                raise ChecksumWrong(
                    "What arrived is not what its checksum says; nothing of it was kept.",
                    hint="Send it again from the same offset.",
                )
            self.part.prove()
        self.part.flush()
        self._proven = True

    def close(self) -> bool:
        """Let go of the upload, keeping what may be kept; returns whether it has advanced."""
        try:
            if not self._proven:
                self.part.go_back()
                self.part.flush()
            return self.part.position > self._begun_at
        finally:
            self._exit.close()
