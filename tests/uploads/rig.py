"""The uploads service with people who use it, as the server's routers would."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from grange.accounts.models import Actor, Role, Scope, User
from grange.db import Database
from grange.uploads.arrivals import Proof
from grange.uploads.models import Upload
from grange.uploads.service import Uploads
from tests import aside

QUOTA = 1 << 30


class Gone(Exception):
    """The client's connection broke."""


def person(user_id: str, *, role: Role = Role.MEMBER, quota_bytes: int | None = None) -> Actor:
    """Make somebody who asks."""
    user = User(
        id=user_id,
        email=f"{user_id}@example.org",
        name=user_id,
        role=role,
        created_at=0.0,
        quota_bytes=quota_bytes,
    )
    return Actor(user=user, scopes=frozenset(Scope))


MIA = person("mmmmmmmmm1")
OTTO = person("tttttttttt")
ADA = person("dddddddddd", role=Role.ADMIN)


class Rig:
    """The service, what it recorded, and short ways to send things."""

    def __init__(self, db: Database, home: Path, *, quota_bytes: int = QUOTA) -> None:
        self.home = home
        self.db = db
        self.records: list[tuple[Any, ...]] = []
        self.uploads = Uploads(db, home, quota_bytes=quota_bytes, record=self._record)

    def close(self) -> None:
        self.uploads.close()

    def _record(self, actor: Any, action: str, target: str = "", **options: Any) -> None:
        self.records.append((action, target))

    def receive(
        self,
        upload: str,
        data: bytes,
        *,
        at: int = 0,
        actor: Actor = MIA,
        proof: Proof | None = None,
        breaks: bool = False,
    ) -> Upload:
        """Send bytes in pieces of an odd size; the connection may break at their end."""

        async def pieces() -> AsyncIterator[bytes]:
            for begin in range(0, len(data), 50_001):
                yield data[begin : begin + 50_001]
            if breaks:
                raise Gone

        return aside.run(self.uploads.receive(actor, upload, at, pieces(), proof))

    def send(self, data: bytes, *, actor: Actor = MIA, **options: Any) -> Upload:
        """Send a file as a whole."""
        begun = self.uploads.begin(actor, size=len(data), **options)
        return self.receive(begun.id, data, actor=actor) if data else begun

    def content(self, folder: str, actor: Actor = MIA) -> dict[str, bytes]:
        """Say what a run would find in a folder."""
        root = self.uploads.path_of(actor, folder)
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    def contents(self) -> set[str]:
        """Say which contents are on disk."""
        return {path.name for path in (self.home / "blobs").glob("??/*")}

    def leftovers(self) -> list[str]:
        """Say what lies in the folders for what is under way."""
        places = [*(self.home / "uploads").iterdir(), *(self.home / "blobs" / ".new").iterdir()]
        return sorted(place.name for place in places if not place.name.endswith(".lock"))


def digest(data: bytes) -> str:
    """Say the SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()
