"""One open database for each test of the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from grange.db import Database, open_database
from tests.db.tables import make_tables


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Open each of the three databases in turn, with the tables of the tests."""
    with _opened(database_url) as db:
        yield db


@pytest.fixture(
    params=[
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def server_database_url(request: pytest.FixtureRequest) -> str:
    """Name those databases in turn that are reached by a connection that can break."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def server_database(server_database_url: str) -> Iterator[Database]:
    """Open them, with the tables of the tests."""
    with _opened(server_database_url) as db:
        yield db


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    db = open_database(url, busy_seconds=20)
    make_tables(db)
    yield db
    db.close()
