"""The services that other tests stand on."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy

from grange.accounts.service import Accounts
from grange.accounts.sessions import open_cache
from grange.db import open_database
from grange.db.schema import HEAD, current
from tests import fresh, services


def test_each_database_starts_empty(database_url: str) -> None:
    """A test gets a working database that holds nothing of another test."""
    engine = sqlalchemy.create_engine(database_url, poolclass=sqlalchemy.NullPool)

    assert [] == sqlalchemy.inspect(engine).get_table_names()

    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE mine (id INTEGER)"))


def test_a_fresh_database_is_a_whole_site_of_its_own(tmp_path: Path) -> None:
    """Nothing has to be changed in it, nobody is known to it, and no two are the same site."""
    sites = []
    for name in ("one", "other"):
        file = tmp_path / name / "grange.db"
        fresh.put(file)
        before = file.read_bytes()
        with closing(open_database(file)) as database:
            assert HEAD == current(database)
            accounts = Accounts(database, open_cache("memory"))
            sites.append(accounts.site())
            assert not accounts.is_set_up()
            assert accounts.verify_audit(None).whole
        assert before == file.read_bytes()

    assert 2 == len(set(sites))


@pytest.mark.postgresql
def test_a_killed_server_comes_back_on_the_same_address() -> None:
    """A test may cut the power of a server of its own and start it again."""
    with services.postgresql() as server:
        server.kill()

        with pytest.raises(sqlalchemy.exc.OperationalError):
            server.execute("SELECT 1")

        server.start()
        server.execute("SELECT 1")


def test_a_test_never_sees_the_real_home(home: Path) -> None:
    """Whatever looks for the user's folders finds the test's own."""
    assert str(home) == os.environ["GRANGE_HOME"]
    assert home.parent == Path.home()
    assert not home.exists()


def test_a_test_never_leaves_the_machine() -> None:
    """A connection to the outside fails the test before it is made."""
    with socket.socket() as outside, pytest.raises(pytest.fail.Exception):
        outside.connect(("192.0.2.1", 80))


def test_a_small_disk_fills_up(small_disk: Callable[[int], Path]) -> None:
    """Writing more than the disk holds fails as on a real full disk."""
    folder = small_disk(1 << 20)

    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        (folder / "big").write_bytes(bytes(2 << 20))
