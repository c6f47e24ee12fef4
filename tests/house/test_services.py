"""The services that other tests stand on."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy

from tests import services


def test_each_database_starts_empty(database_url: str) -> None:
    """A test gets a working database that holds nothing of another test."""
    engine = sqlalchemy.create_engine(database_url, poolclass=sqlalchemy.NullPool)

    assert [] == sqlalchemy.inspect(engine).get_table_names()

    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE mine (id INTEGER)"))


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
