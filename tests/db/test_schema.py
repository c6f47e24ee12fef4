"""Migrations make the tables that the code expects, and lose no data on the way."""

from __future__ import annotations

import fcntl
import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    MetaData,
    column,
    insert,
    inspect,
    select,
    table,
    text,
)

from grange import errors
from grange.db import Database, metadata, open_database, prepare
from grange.db.schema import HEAD, current, downgrade, upgrade

FOX = "fuchs 🦊 'n' \\ more"
PREPARE = """
import sys
from grange.db import open_database, prepare
sys.stdin.readline()
prepare(open_database(sys.argv[1]))
"""


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """Open each of the three databases in turn, empty."""
    with closing(open_database(database_url, busy_seconds=20)) as opened:
        yield opened


def seed_0001_runs(connection: Connection) -> None:
    """Put one run with one item, task, attempt and output into the tables of 0001."""
    run = {"number": 7, "id": "r7", "name": FOX, "state": "running", "retries": 2}
    run |= {"pipeline": "command", "version": "1", "created_at": 1.5, "out": FOX, "out_key": "o"}
    run |= {"function_key": "f", "request_key": "q"}
    run |= dict.fromkeys(("params", "models", "inputs", "plan"), "{}")
    item = {"id": 9, "run": 7, "path": FOX, "uri": FOX, "uri_key": FOX, "size": 2**53 + 1}
    item |= {"mtime_ns": 1, "weight": 4, "state": "done"}
    task = {"id": 3, "run": 7, "item": 9, "kind": "process", "part": 0, "state": "done"}
    task |= {"weight": 4}
    attempt = {"task": 3, "epoch": 1, "end": "done", "ended_at": 2.0, "seconds": 1.0}
    output = {"item": 9, "number": 0, "path": FOX, "size": 5, "sha256": "abc", "mtime_ns": 1}
    _insert(connection, runs=run, items=item, tasks=task, attempts=attempt, outputs=output)


def check_0001_runs(connection: Connection) -> None:
    """See that all of it is as it was."""
    assert _only_row(connection, "runs", "id", "name", "created_at") == ("r7", FOX, 1.5)
    assert _only_row(connection, "items", "run", "path", "uri_key") == (7, FOX, FOX)
    assert _only_row(connection, "items", "size", "attempts") == (2**53 + 1, 0)
    assert _only_row(connection, "tasks", "item", "epoch") == (9, 0)
    assert _only_row(connection, "attempts", "task", "end", "seconds") == (3, "done", 1.0)
    assert _only_row(connection, "outputs", "item", "path", "size") == (9, FOX, 5)


def seed_0002_accounts(connection: Connection) -> None:
    """Put a user with all that may hang on one, and a line of the audit log, into 0002."""
    user: dict[str, object] = {
        "id": "u1",
        "email": "fox@example.org",
        "name": FOX,
        "role": "member",
    }
    user |= {"password": "hash", "quota_bytes": 2**53 + 1, "created_at": 1.5}
    group: dict[str, object] = {"id": "g1", "name": FOX, "created_at": 1.5}
    key: dict[str, object] = {
        "key": "k",
        "kind": "reset",
        "user": "u1",
        "created_at": 1.5,
        "expires_at": 2.5,
    }
    session: dict[str, object] = {
        "id": "s1",
        "key": "k",
        "user": "u1",
        "created_at": 1.5,
        "seen_at": 2.0,
    }
    session |= {"expires_at": 2.5}
    token: dict[str, object] = {"id": "t1", "key": "k", "user": "u1", "name": FOX, "scopes": "read"}
    token |= {"created_at": 1.5, "expires_at": 2.5}
    failures: dict[str, object] = {"subject": "s", "failures": 3, "first_at": 1.5, "last_at": 2.5}
    line: dict[str, object] = {
        "number": 1,
        "at": 1.5,
        "who": FOX,
        "action": "user.made",
        "target": FOX,
        "hash": "h",
    }
    line |= {"outcome": "done", "address": "::1", "detail": "{}"}
    repeat: dict[str, object] = {
        "user": "u1",
        "key": "k",
        "fingerprint": "f",
        "resource": "r7",
        "created_at": 1.5,
    }
    _insert(connection, users=user, user_groups=group, login_failures=failures)
    _insert(connection, group_members={"group": "g1", "user": "u1"}, one_time_keys=key)
    _insert(connection, sessions=session, tokens=token, audit=line, repeats=repeat)


def check_0002_accounts(connection: Connection) -> None:
    """See that all of it is as it was."""
    assert _only_row(connection, "users", "id", "name", "disabled") == ("u1", FOX, 0)
    assert _only_row(connection, "users", "password", "quota_bytes") == ("hash", 2**53 + 1)
    assert _only_row(connection, "user_groups", "id", "name") == ("g1", FOX)
    assert _only_row(connection, "group_members", "group", "user") == ("g1", "u1")
    assert _only_row(connection, "one_time_keys", "kind", "user") == ("reset", "u1")
    assert _only_row(connection, "sessions", "user", "seen_at", "agent") == ("u1", 2.0, "")
    assert _only_row(connection, "tokens", "user", "name", "used_at") == ("u1", FOX, None)
    assert _only_row(connection, "login_failures", "failures", "blocked_until") == (3, 0)
    assert _only_row(connection, "audit", "number", "who", "hash") == (1, FOX, "h")
    assert _only_row(connection, "audit_head", "id", "number") == (1, 0)
    assert _only_row(connection, "repeats", "resource", "answer") == ("r7", None)


def seed_0003_run_owners(connection: Connection) -> None:
    """Give the run of 0001 to somebody."""
    connection.execute(
        text("UPDATE runs SET owner = 'u1', shared_with = 'g1', items_last = 1099511627776")
    )


def check_0003_run_owners(connection: Connection) -> None:
    """See that it is still theirs."""
    row = _only_row(connection, "runs", "owner", "shared_with", "items_first", "items_last")
    assert row == ("u1", "g1", None, 2**40)


def seed_0004_uploads(connection: Connection) -> None:
    """Put a folder with a file, an upload and a known content into the tables of 0004."""
    folder: dict[str, object] = {
        "id": "f1",
        "owner": "u1",
        "name": FOX,
        "created_at": 1.5,
        "bytes": 2**53 + 1,
    }
    file: dict[str, object] = {
        "folder": "f1",
        "path_key": FOX,
        "path": FOX,
        "sha256": "abc",
        "size": 5,
    }
    upload: dict[str, object] = {
        "id": "p1",
        "owner": "u1",
        "name": FOX,
        "folder": "f1",
        "path": FOX,
    }
    upload |= {"size": 2**53 + 1, "created_at": 1.5, "progress_at": 2.5}
    blob: dict[str, object] = {
        "owner": "u1",
        "sha256": "abc",
        "size": 5,
        "kind": "text/plain",
        "known_at": 1.5,
    }
    _insert(connection, folders=folder, folder_files=file | {"kind": "text/plain"})
    _insert(connection, uploads=upload, blobs=blob)


def check_0004_uploads(connection: Connection) -> None:
    """See that all of it is as it was."""
    assert _only_row(connection, "folders", "name", "files", "bytes") == (FOX, 0, 2**53 + 1)
    assert _only_row(connection, "folder_files", "path_key", "path", "size") == (FOX, FOX, 5)
    assert _only_row(connection, "uploads", "path", "size", "sha256") == (FOX, 2**53 + 1, None)
    assert _only_row(connection, "blobs", "owner", "sha256", "kind") == ("u1", "abc", "text/plain")


def seed_0005_attempt_counts(connection: Connection) -> None:
    """Let the attempt of 0001 have counted something."""
    connection.execute(text("UPDATE attempts SET counts = 'frames'"))


def check_0005_attempt_counts(connection: Connection) -> None:
    """See that it is still told."""
    assert _only_row(connection, "attempts", "task", "counts") == (3, "frames")


def seed_0006_workers(connection: Connection) -> None:
    """Put a worker and a token into the tables of 0006."""
    token: dict[str, object] = {"id": "w1", "key": "k", "labels": "[]"}
    token |= {"created_at": 1.5, "expires_at": 2.5}
    worker: dict[str, object] = {"id": "w2", "key": "k", "name": FOX, "token": "w1"}
    worker |= {"state": "active", "labels": "[]", "capacity": "{}", "version": "1"}
    worker |= {"protocol": 1, "system": FOX, "address": "::1", "metrics_url": ""}
    _insert(connection, worker_tokens=token, workers=worker | {"joined_at": 1.5, "seen_at": 2.5})


def check_0006_workers(connection: Connection) -> None:
    """See that all of it is as it was."""
    assert _only_row(connection, "worker_tokens", "id", "uses", "used") == ("w1", 1, 0)
    assert _only_row(connection, "workers", "name", "seen_at", "beat") == (FOX, 2.5, None)


def seed_0007_task_holders(connection: Connection) -> None:
    """Let a worker hold the task of 0001."""
    connection.execute(text("UPDATE tasks SET holder = 'w2'"))


def check_0007_task_holders(connection: Connection) -> None:
    """See that it still does."""
    assert _only_row(connection, "tasks", "id", "holder") == (3, "w2")


# For each revision: what is put in once it is reached, and how that looks from then on.
DATA: dict[str, tuple[Callable[[Connection], None], Callable[[Connection], None]]] = {
    "0001_runs": (seed_0001_runs, check_0001_runs),
    "0002_accounts": (seed_0002_accounts, check_0002_accounts),
    "0003_run_owners": (seed_0003_run_owners, check_0003_run_owners),
    "0004_uploads": (seed_0004_uploads, check_0004_uploads),
    "0005_attempt_counts": (seed_0005_attempt_counts, check_0005_attempt_counts),
    "0006_workers": (seed_0006_workers, check_0006_workers),
    "0007_task_holders": (seed_0007_task_holders, check_0007_task_holders),
}


def revisions() -> list[str]:
    """Return all revisions, the oldest first."""
    config = Config()
    config.set_main_option("script_location", "grange.db:migrations")
    scripts = ScriptDirectory.from_config(config)
    return [script.revision for script in scripts.walk_revisions()][::-1]


def test_the_newest_revision_is_the_one_that_is_looked_for() -> None:
    """A revision that is added must be named as HEAD, and be walked with data."""
    assert revisions()[-1] == HEAD
    assert list(DATA) == revisions()


def test_migrations_make_what_the_tables_say(db: Database) -> None:
    """The migrated database has each table, column, type, index and constraint of the code."""
    prepare(db)
    assert _differences(db, _all_tables()) == []


def test_a_difference_would_be_seen(db: Database) -> None:
    """The comparison notices a column or an index that no migration makes."""
    prepare(db)
    tables = MetaData(naming_convention=metadata.naming_convention)
    for each in _all_tables().tables.values():
        each.to_metadata(tables)
    runs = tables.tables["runs"]
    runs.append_column(Column("forgotten", Integer))
    Index("ix_runs_retries", runs.c.retries)

    found = {difference[0] for difference in _differences(db, tables)}
    assert found == {"add_column", "add_index"}


def test_every_revision_goes_up_and_down_with_data(db: Database) -> None:
    """Data put in at each revision is there at all later ones, and on the way back."""
    for reached, revision in enumerate(revisions()):
        upgrade(db, revision)
        assert current(db) == revision
        with db.write() as connection:
            DATA[revision][0](connection)
        _check(db, revisions()[: reached + 1])
    for left, revision in reversed(list(enumerate(revisions()))):
        downgrade(db, revisions()[left - 1] if left else "base")
        _check(db, revisions()[:left])
        upgrade(db, revision)
        downgrade(db, revisions()[left - 1] if left else "base")

    with db.read() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    assert current(db) is None


def test_prepare_is_done_once(db: Database) -> None:
    """The second time, nothing happens."""
    assert current(db) is None
    prepare(db)
    with db.write() as connection:
        seed_0001_runs(connection)
    prepare(db)

    assert current(db) == HEAD
    _check(db, ["0001_runs"])


def test_processes_may_prepare_at_once(db: Database) -> None:
    """Of three that find an empty database, one makes the tables and none fails."""
    url = db._engine.url.render_as_string(hide_password=False)
    others = [
        subprocess.Popen([sys.executable, "-c", PREPARE, url], stdin=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for other in others:
        assert other.stdin is not None
        other.stdin.close()

    assert [other.wait(60) for other in others] == [0, 0, 0]
    assert current(db) == HEAD
    assert _differences(db, _all_tables()) == []


def test_a_long_migration_is_waited_for(tmp_path: Path) -> None:
    """Another process that changes a SQLite file's tables may take longer than any lock."""
    file = tmp_path / "grange.db"
    with (
        (tmp_path / "grange.db.migrate.lock").open("w") as lock,
        closing(open_database(file, busy_seconds=0.1)) as db,
        ThreadPoolExecutor(1) as threads,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = threads.submit(prepare, db)
        with pytest.raises(TimeoutError):
            done.result(timeout=0.5)
        fcntl.flock(lock, fcntl.LOCK_UN)
        done.result(timeout=20)

        assert current(db) == HEAD


def test_a_newer_database_is_left_alone(db: Database) -> None:
    """Tables of a revision that this version doesn't know are not touched."""
    prepare(db)
    with db.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999_future'"))

    with pytest.raises(errors.DatabaseNewer, match="9999_future") as caught:
        prepare(db)

    assert "upgrade" in caught.value.hint
    assert current(db) == "9999_future"


@pytest.mark.parametrize(
    "family", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def test_a_failed_migration_leaves_nothing(family: str, request: pytest.FixtureRequest) -> None:
    """A step that fails undoes those before it, where the database can undo them."""
    with closing(open_database(request.getfixturevalue(f"{family}_url"))) as db:
        with db.write() as connection:
            connection.execute(text("CREATE TABLE tasks (mine INTEGER)"))

        with pytest.raises(errors.DatabaseError):
            prepare(db)

        with db.read() as connection:
            assert inspect(connection).get_table_names() == ["tasks"]


def test_a_revision_that_never_was_is_refused(db: Database) -> None:
    """A wrong name of a revision is an error, and changes nothing."""
    prepare(db)
    with pytest.raises(errors.DatabaseError, match="of-nowhere"):
        downgrade(db, "of-nowhere")

    assert current(db) == HEAD


def test_a_change_of_tables_sets_off_no_cascade(tmp_path: Path) -> None:
    """On SQLite a table may be copied and dropped without its rows' children going too."""
    with closing(open_database(tmp_path / "grange.db")) as db:
        prepare(db)
        with db.write() as connection:
            seed_0001_runs(connection)
        with db.alter() as connection:
            connection.execute(text("CREATE TABLE runs_new AS SELECT * FROM runs"))
            connection.execute(text("DROP TABLE runs"))
            connection.execute(text("ALTER TABLE runs_new RENAME TO runs"))
            connection.execute(text("CREATE UNIQUE INDEX u ON runs (number)"))

        _check(db, ["0001_runs"])


def test_a_change_that_breaks_foreign_keys_is_undone(tmp_path: Path) -> None:
    """Rows that a change of tables would leave without a parent undo it."""
    with closing(open_database(tmp_path / "grange.db")) as db:
        prepare(db)
        with db.write() as connection:
            seed_0001_runs(connection)

        with pytest.raises(errors.DatabaseError, match="foreign keys"), db.alter() as connection:
            connection.execute(text("DELETE FROM runs"))

        _check(db, ["0001_runs"])


def _all_tables() -> MetaData:
    """Return the metadata with the tables of all domains."""
    root = Path(errors.__file__).parents[1]
    for path in root.glob("*/tables.py"):
        importlib.import_module(f"grange.{path.parent.name}.tables")
    return metadata


def _differences(db: Database, tables: MetaData) -> list[tuple[object, ...]]:
    with db.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found: list[tuple[object, ...]] = compare_metadata(context, tables)
        return found


def _check(db: Database, seeded: list[str]) -> None:
    with db.read() as connection:
        for revision in seeded:
            DATA[revision][1](connection)


def _insert(connection: Connection, **rows: dict[str, object]) -> None:
    """Put one row into each of the tables, whatever the code says of them by now."""
    for name, row in rows.items():
        connection.execute(insert(table(name, *map(column, row))).values(**row))


def _only_row(connection: Connection, name: str, *columns: str) -> tuple[object, ...]:
    names: list[ColumnElement[Any]] = [column(each) for each in columns]
    row = connection.execute(select(*names).select_from(table(name))).one()
    return tuple(each.decode() if isinstance(each, bytes) else each for each in row)
