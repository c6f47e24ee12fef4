"""How much of the server's room a user takes: the contents they know, and what is on its way."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from grange.core import sizes
from grange.errors import QuotaExceeded
from grange.uploads.tables import blobs, folders, uploads

# Whoever takes room holds this lock, so that two never take the same.
QUOTA_LOCK = "quota"
# What costs no bytes that count, but rows and entries on the disk. Several requests at once
# may go past these by as much as each of them brings.
MOST_FOLDERS = 10_000
MOST_FILES = 1_000_000
MOST_UNFINISHED = 1_000


def used_bytes(connection: Connection, owner: str) -> int:
    """The contents that a user knows, and the whole sizes of uploads that are not finished."""
    known = select(func.coalesce(func.sum(blobs.c.size), 0)).where(blobs.c.owner == owner)
    coming = select(func.coalesce(func.sum(uploads.c.size), 0)).where(
        uploads.c.owner == owner, uploads.c.sha256.is_(None)
    )
    return int(connection.execute(known).scalar_one()) + int(
        connection.execute(coming).scalar_one()
    )


def largest(connection: Connection, limit: int) -> list[tuple[str, int]]:
    """The users whose contents take the most room, with their bytes; without what is on its way."""
    room = func.sum(blobs.c.size).label("room")
    query = select(blobs.c.owner, room).group_by(blobs.c.owner).order_by(room.desc()).limit(limit)
    return [(row.owner, int(row.room)) for row in connection.execute(query)]


def total_bytes(connection: Connection) -> int:
    """What all users know and send together, each counted on their own."""
    known = select(func.coalesce(func.sum(blobs.c.size), 0))
    coming = select(func.coalesce(func.sum(uploads.c.size), 0)).where(uploads.c.sha256.is_(None))
    return sum(int(connection.execute(one).scalar_one()) for one in (known, coming))


def check_room(connection: Connection, owner: str, *, more_bytes: int, quota_bytes: int) -> None:
    """Let so much more pass if it is within the user's quota.

    Raises:
        QuotaExceeded: It is not; the message says how much is left.
    """
    left = max(0, quota_bytes - used_bytes(connection, owner))
    if more_bytes > left:
        raise QuotaExceeded(
            f"{sizes.size(more_bytes)} more don't fit: {sizes.size(left)} of your "
            f"{sizes.size(quota_bytes)} are left.",
            hint="Delete folders that you no longer need, or ask an administrator for more room.",
        )


def check_folders(connection: Connection, owner: str) -> None:
    """Let a user have one more folder.

    Raises:
        QuotaExceeded: They have as many as anybody may.
    """
    query = select(func.count()).select_from(folders).where(folders.c.owner == owner)
    if int(connection.execute(query).scalar_one()) >= MOST_FOLDERS:
        raise QuotaExceeded(
            f"You have {MOST_FOLDERS:,} folders, and may have no more.",
            hint="Delete folders that you no longer need.",
        )


def check_files(connection: Connection, owner: str, *, more: int) -> None:
    """Let a user have so many more files in their folders.

    Raises:
        QuotaExceeded: That would be more than anybody may have.
    """
    query = select(func.coalesce(func.sum(folders.c.files), 0)).where(folders.c.owner == owner)
    left = max(0, MOST_FILES - int(connection.execute(query).scalar_one()))
    if more > left:
        raise QuotaExceeded(
            f"{more:,} more files don't fit: of the {MOST_FILES:,} that you may have in your "
            f"folders, {left:,} are left.",
            hint="Delete folders that you no longer need.",
        )


def check_unfinished(connection: Connection, owner: str) -> None:
    """Let a user begin one more upload.

    Raises:
        QuotaExceeded: They have too many that are not finished.
    """
    query = select(func.count()).select_from(uploads)
    query = query.where(uploads.c.owner == owner, uploads.c.sha256.is_(None))
    if int(connection.execute(query).scalar_one()) >= MOST_UNFINISHED:
        raise QuotaExceeded(
            f"{MOST_UNFINISHED:,} of your uploads are not finished, and there may be no more.",
            hint="Finish them or give them up; they expire after a week without progress.",
        )
