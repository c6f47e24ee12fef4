"""SQLite databases with all tables and nothing in them, for what begins with those.

To make the tables costs a third of a second in each new process, and there are
thousands of tests. That they are made is the business of `tests/db`, and of
those who start without any.
"""

from __future__ import annotations

import functools
import secrets
import tempfile
from contextlib import closing
from pathlib import Path

from sqlalchemy import text

from grange.db import open_database, prepare


def put(file: Path) -> None:
    """Put such a database there, as `prepare` leaves it; its folder is made if need be."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole, genesis = _made()
    # It is what tells one site from another: two of the same would share a broker's queues.
    file.write_bytes(whole.replace(genesis, secrets.token_hex(len(genesis) // 2).encode()))
    file.chmod(0o600)


@functools.cache
def _made() -> tuple[bytes, bytes]:
    """A whole file, and what is only its own in it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "grange.db"
        with closing(open_database(file)) as database:
            prepare(database)
            with database.read() as connection:
                genesis = connection.execute(text("SELECT genesis FROM audit_head")).scalar_one()
        return file.read_bytes(), str(genesis).encode()
