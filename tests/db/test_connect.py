"""How databases are opened."""

from __future__ import annotations

import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from grange.db import open_database, prepare

ODD_NAMES = ["with space", "100%25", "what?", "a#b", "quote'\"", "ünï🦊", ":memory:", "a=b&c;d"]


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_database_is_its_owners_alone(tmp_path: Path) -> None:
    """The file, what SQLite keeps beside it, and folders made for it are closed to others."""
    file = tmp_path / "new" / "home" / "grange.db"
    with closing(open_database(file)) as db:
        prepare(db)
        with db.read() as connection:
            connection.execute(text("SELECT version_num FROM alembic_version"))
            kept = list(file.parent.iterdir())

        assert [_mode(folder) for folder in (file.parent, file.parent.parent)] == [0o700, 0o700]
        assert {path.name for path in kept} >= {"grange.db", "grange.db-wal", "grange.db-shm"}
        assert {_mode(path) for path in kept} == {0o600}


def test_what_is_there_keeps_its_mode(tmp_path: Path) -> None:
    """A folder or file that was there before is not changed."""
    file = tmp_path / "grange.db"
    tmp_path.chmod(0o755)
    file.touch(mode=0o640)
    file.chmod(0o640)
    with closing(open_database(file)) as db:
        prepare(db)

    assert (_mode(tmp_path), _mode(file)) == (0o755, 0o640)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_path_may_have_any_name(tmp_path: Path, name: str) -> None:
    """A database given by its path is made at that very path."""
    file = tmp_path / name / name
    with closing(open_database(file)) as db:
        prepare(db)

        assert db.file == file
    assert file.stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_relative_url_stays_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that changes its folder later does not change its database."""
    monkeypatch.chdir(tmp_path)
    with closing(open_database("sqlite:///here%20and%20now.db")) as db:
        monkeypatch.chdir("/")
        prepare(db)

    assert (tmp_path / "here and now.db").stat().st_size > 0


def test_sqlite_is_set_to_keep_what_it_promised(tmp_path: Path) -> None:
    """Each connection logs ahead, syncs each commit, and minds foreign keys."""
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 7000}
    # Two at once, so that they are two connections.
    with (
        closing(open_database(tmp_path / "grange.db", busy_seconds=7)) as db,
        db.read() as one,
        db.read() as other,
    ):
        for connection in (one, other):
            found = {name: connection.scalar(text(f"PRAGMA {name}")) for name in wanted}
            assert found == wanted


def test_the_dialect_has_one_name_for_each_family(database_url: str) -> None:
    """MariaDB counts as MySQL, whichever scheme the URL has."""
    family = database_url.partition(":")[0].partition("+")[0]
    for scheme in {"mysql": ("mysql", "mariadb", "mysql+pymysql")}.get(family, (family,)):
        with closing(open_database(f"{scheme}:{database_url.partition(':')[2]}")) as db:
            assert db.dialect_name == family
            with db.read() as connection:
                assert connection.scalar(text("SELECT 1")) == 1


def test_a_closed_database_opens_again(database_url: str) -> None:
    """Closing gives up connections, not the database."""
    db = open_database(database_url)
    for _ in range(2):
        with db.read() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
        db.close()


def test_opening_sqlite_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    """A command that looks into an up-to-date database starts fast."""
    program = """
import sys
from pathlib import Path
from grange.db import open_database, prepare
prepare(open_database(Path(sys.argv[1])))
heavy = {"alembic", "mako", "psycopg", "pymysql", "pydantic", "sqlalchemy.dialects.mysql",
         "sqlalchemy.dialects.postgresql", "sqlalchemy.orm", "sqlalchemy.ext.asyncio"}
print(sorted(heavy & set(sys.modules)))
"""
    file = tmp_path / "grange.db"
    with closing(open_database(file)) as db:
        prepare(db)
    run = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True
    )

    assert run.stdout == "[]\n"
