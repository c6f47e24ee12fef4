"""Transactions keep every update, and end as a whole or not at all."""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, text, update

from grange import errors
from grange.db import Database, open_database
from tests.db.tables import add, counters, files, make_tables, value

# One of several processes: says that it is ready, waits for the word, adds from five threads.
ADDER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from grange.db import open_database
from tests.db.tables import add
db = open_database(Path(sys.argv[1]))
def count_up():
    # No second try: whoever may write at all has seen the newest value.
    with db.write() as connection:
        add(db, connection)
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(5) as threads:
    for done in [threads.submit(count_up) for _ in range(5)]:
        done.result()
db.close()
"""

# How each server ends the connection that asks.
WHO_AM_I = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}
END_IT = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


def test_twenty_threads_lose_no_update(database: Database) -> None:
    """Of 20 transactions that read, then write at the same time, all 20 count."""
    together = threading.Barrier(20)

    def count_up() -> None:
        together.wait()
        database.transact(lambda connection: add(database, connection))

    with ThreadPoolExecutor(20) as threads:
        for done in [threads.submit(count_up) for _ in range(20)]:
            done.result()

    assert value(database) == 20


def test_processes_lose_no_update_in_one_sqlite_file(tmp_path: Path) -> None:
    """Of 20 such transactions in 4 processes, all 20 count."""
    file = tmp_path / "grange.db"
    with closing(open_database(file)) as db:
        make_tables(db)
        adders = [
            subprocess.Popen(
                [sys.executable, "-c", ADDER, str(file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[2],
            )
            for _ in range(4)
        ]
        for adder in adders:
            assert adder.stdout is not None
            assert adder.stdout.readline() == "ready\n"
        for adder in adders:
            assert adder.stdin is not None
            adder.stdin.write("go\n")
            adder.stdin.flush()
        for adder in adders:
            adder.communicate(timeout=60)

        assert [adder.returncode for adder in adders] == [0, 0, 0, 0]
        assert value(db) == 20


def test_a_deadlock_is_run_again(database: Database) -> None:
    """Two transactions that wait for each other's rows both get done."""
    both_have_one = threading.Barrier(2)
    runs: list[str] = []

    def add_to(first: str, second: str) -> None:
        def work(connection: Connection) -> None:
            runs.append(first)
            add(database, connection, name=first)
            if database.dialect_name != "sqlite" and runs.count(first) == 1:
                both_have_one.wait(10)
            add(database, connection, name=second)

        database.transact(work)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(add_to, *names) for names in (("x", "y"), ("y", "x"))]:
            done.result()

    assert (value(database, "x"), value(database, "y")) == (2, 2)
    # SQLite has one writer at a time, so there is nothing to run again.
    assert (len(runs) > 2) == (database.dialect_name != "sqlite")


def test_a_lock_that_never_comes_is_an_error(database_url: str) -> None:
    """A row that another transaction keeps for longer than `busy_seconds` is DatabaseBusy."""
    with (
        closing(open_database(database_url)) as holder,
        closing(open_database(database_url, busy_seconds=1)) as waiter,
    ):
        make_tables(holder)
        with holder.write() as connection:
            add(holder, connection)
            began = time.monotonic()
            with pytest.raises(errors.DatabaseBusy):
                waiter.transact(lambda connection: add(waiter, connection))
            waited = time.monotonic() - began

        assert 0.9 < waited < 5
        assert value(holder) == 1


def test_a_write_waits_for_another_program(tmp_path: Path) -> None:
    """A SQLite file that another program is writing to is waited for."""
    file = tmp_path / "grange.db"
    with closing(open_database(file, busy_seconds=20)) as db:
        make_tables(db)
        with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            end = threading.Timer(0.3, lambda: other.execute("COMMIT"))
            end.start()
            db.transact(lambda connection: add(db, connection))
            end.join()

        assert value(db) == 1


def test_an_error_undoes_the_whole_transaction(database: Database) -> None:
    """What a block wrote before it raised is gone, and the error is the block's own."""

    def work(connection: Connection) -> None:
        add(database, connection)
        raise LookupError

    with pytest.raises(LookupError):
        database.transact(work)

    assert value(database) == 0


def test_a_read_sees_one_state_of_things(database: Database) -> None:
    """What others commit meanwhile is not seen before the next transaction."""
    query = counters.select().where(counters.c.name == "x")
    with database.read() as connection:
        before = connection.execute(query).one()
        with ThreadPoolExecutor(1) as threads:
            threads.submit(database.transact, lambda c: add(database, c)).result()
        after = connection.execute(query).one()

    assert before == after
    assert value(database) == 1


def test_a_read_cannot_write(database: Database) -> None:
    """A write in a transaction for reading is refused, and the next write works."""
    with (
        pytest.raises(errors.DatabaseError, match="can only be read"),
        database.read() as connection,
    ):
        connection.execute(update(counters).values(value=9))

    database.transact(lambda connection: add(database, connection))
    assert value(database) == 1


def test_a_read_cannot_write_on_a_connection_that_wrote(tmp_path: Path) -> None:
    """Each transaction's kind counts, not that of the one before on the same connection."""
    with closing(open_database(tmp_path / "turns.db")) as database:
        make_tables(database)
        for turn in range(2):
            assert value(database) == turn
            with pytest.raises(errors.DatabaseError), database.read() as connection:
                connection.execute(update(counters).values(value=9))
            database.transact(lambda connection: add(database, connection))

        assert value(database) == 2


def test_what_is_read_once_is_read_as_ever(database: Database) -> None:
    """It is read as everything else is, and can't be written either."""
    with database.read_once() as connection:
        found = connection.execute(counters.select().where(counters.c.name == "x")).one()
    with pytest.raises(errors.DatabaseError), database.read_once() as connection:
        connection.execute(update(counters).values(value=9))

    assert ("x", 0) == tuple(found)
    assert 0 == value(database)


def test_sqlite_keeps_nothing_in_memory_of_what_is_read_once(tmp_path: Path) -> None:
    """Who walks through a million rows takes no more memory than for a thousand."""
    in_use = getattr(ctypes.CDLL(_sqlite3.__file__), "sqlite3_memory_used", None)
    if in_use is None:
        pytest.skip("this SQLite can't be asked")
    in_use.restype = ctypes.c_int64
    with closing(open_database(tmp_path / "large.db")) as database:
        make_tables(database)
        row = {"facts": "x" * 100_000}
        with database.write() as connection:
            connection.execute(insert(files), [{"key": str(one), **row} for one in range(80)])
        query = select(func.sum(func.length(files.c.facts)))
        with database.read() as connection:
            connection.execute(query).one()
        kept = in_use()
        with database.read_once() as connection:
            connection.execute(query).one()

        assert 6_000_000 < kept
        assert 2_000_000 > in_use()


def test_a_connection_that_broke_is_made_anew(server_database: Database) -> None:
    """A connection lost before the commit costs a second run, and nothing else."""
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        add(server_database, connection)
        if len(runs) == 1:
            _end(server_database, connection)
        add(server_database, connection)

    server_database.transact(work)

    assert (len(runs), value(server_database)) == (2, 2)


def test_a_connection_that_breaks_twice_is_an_error(server_database: Database) -> None:
    """A server that ends every connection is not asked for ever."""
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        _end(server_database, connection)
        add(server_database, connection)

    with pytest.raises(errors.DatabaseUnreachable):
        server_database.transact(work)

    assert (len(runs), value(server_database)) == (2, 0)


def test_a_commit_without_an_answer_is_never_repeated(server_database: Database) -> None:
    """A connection lost at the commit leaves open what happened, so nothing runs again."""
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        add(server_database, connection)
        _end(server_database, connection)

    with pytest.raises(errors.DatabaseUnreachable):
        server_database.transact(work)

    assert len(runs) == 1


def test_an_idle_connection_that_died_is_not_noticed(server_database: Database) -> None:
    """A server's restart between two transactions fails neither."""
    with server_database.read() as connection:
        who = connection.execute(text(WHO_AM_I[server_database.dialect_name])).scalar_one()
    with closing(open_database(_secret_url(server_database))) as other, other.write() as connection:
        connection.execute(text(END_IT[server_database.dialect_name].format(who)))

    assert value(server_database) == 0


def test_a_forked_process_leaves_the_connections_alone(database: Database) -> None:
    """A fork gets connections of its own from a server, and a clear no from SQLite."""
    assert value(database) == 0

    def child() -> int:
        try:
            return 10 + value(database)
        except errors.DatabaseError:
            return 20

    expected = 20 if database.dialect_name == "sqlite" else 10
    assert _in_fork(child) == expected
    database.transact(lambda connection: add(database, connection))
    assert value(database) == 1


def _in_fork(function: Callable[[], int]) -> int:
    process = os.fork()
    if process == 0:
        code = 99
        try:
            code = function()
        finally:
            # Without the exit handlers, which belong to the parent.
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _end(db: Database, connection: Connection) -> None:
    """Have the server end a connection, as a restart or a broken network would."""
    who = connection.execute(text(WHO_AM_I[db.dialect_name])).scalar_one()
    with closing(open_database(_secret_url(db))) as other, other.write() as killer:
        killer.execute(text(END_IT[db.dialect_name].format(who)))


def _secret_url(db: Database) -> str:
    return db._engine.url.render_as_string(hide_password=False)
