"""What a client remembers between commands: digests of files, uploads under way, places of results.

A small SQLite file below the home. Losing it costs time, never correctness.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from hashlib import blake2b
from pathlib import Path

from grange.errors import DatabaseError

# A file that was changed this lately may be changed again within the same tick of its clock.
FRESH_SECONDS = 2.0
KEPT_SECONDS = 180 * 86_400.0

_TABLES = """
CREATE TABLE IF NOT EXISTS digests (
    file BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    content BLOB PRIMARY KEY, upload TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (
    server TEXT NOT NULL, run TEXT NOT NULL, out TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (server, run)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS folders (folder BLOB PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
"""


class Known:
    """The memory of one home. Safe to use from several threads and processes at once."""

    def __init__(self, file: Path) -> None:
        """Open the file, or make it."""
        self._lock = threading.Lock()
        try:
            self._open(file)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise _refused(file, error) from error
            # Damaged: it holds nothing that could not be found out again.
            file.unlink(missing_ok=True)
            self._open(file)

    def digest(self, path: str, *, size: int, mtime_ns: int) -> str | None:
        """The digest of a file that has not changed since it was told."""
        query = "SELECT sha256 FROM digests WHERE file = ? AND size = ? AND mtime_ns = ?"
        return self._one(query, _key(path), size, mtime_ns)

    def keep_digest(self, path: str, *, size: int, mtime_ns: int, sha256: str) -> None:
        """Remember a digest, unless the file is so new that it may change unnoticed."""
        now = time.time()
        if now - mtime_ns / 1e9 < FRESH_SECONDS:
            return
        row = (_key(path), size, mtime_ns, sha256, now)
        self._do("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?)", *row)

    def upload(self, *what: str) -> str | None:
        """The upload under way of some content to some place."""
        return self._one("SELECT upload FROM uploads WHERE content = ?", _key(*what))

    def keep_upload(self, upload: str, *what: str) -> None:
        """Remember an upload, so that another command can go on with it."""
        self._do(
            "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?)", _key(*what), upload, time.time()
        )

    def drop_upload(self, *what: str) -> None:
        """Forget an upload that is whole, or gone."""
        self._do("DELETE FROM uploads WHERE content = ?", _key(*what))

    def place(self, server: str, run: str) -> str | None:
        """Where the results of a server's run are wanted on this machine."""
        return self._one("SELECT out FROM places WHERE server = ? AND run = ?", server, run)

    def keep_place(self, server: str, run: str, out: str) -> None:
        """Remember where a run's results are wanted."""
        row = (server, run, out, time.time())
        self._do("INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?)", *row)

    def is_ours(self, folder: str) -> bool:
        """Whether a folder of results came from a server, and is no person's own."""
        return self._one("SELECT 1 FROM folders WHERE folder = ?", _key(folder)) is not None

    def keep_ours(self, folder: str) -> None:
        """Remember that a folder came from a server."""
        self._do("INSERT OR REPLACE INTO folders VALUES (?, ?)", _key(folder), time.time())

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _open(self, file: Path) -> None:
        self._connection = sqlite3.connect(
            file, timeout=30, isolation_level=None, check_same_thread=False
        )
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=OFF")
            self._connection.executescript(_TABLES)
            for table in ("digests", "uploads", "places", "folders"):
                old = time.time() - KEPT_SECONDS
                self._connection.execute(f"DELETE FROM {table} WHERE at < ?", (old,))  # noqa: S608  # own names
        except sqlite3.Error:
            self._connection.close()
            raise

    def _one(self, query: str, *values: object) -> str | None:
        with self._lock:
            row = self._connection.execute(query, values).fetchone()
        return str(row[0]) if row else None

    def _do(self, statement: str, *values: object) -> None:
        with self._lock:
            self._connection.execute(statement, values)


def _key(*words: str) -> bytes:
    digest = blake2b(digest_size=16)
    for word in words:
        digest.update(word.encode(errors="surrogateescape") + b"\0")
    return digest.digest()


def _refused(file: Path, error: Exception) -> DatabaseError:
    return DatabaseError(
        f"{file} can't be used: {error}.", hint="Is there room, and may you write?"
    )
