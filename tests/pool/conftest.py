"""Pools over real databases, with a clock in the test's hands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from grange.db import Database, open_database
from tests import fresh
from tests.pool.crews import Crew


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Give a migrated SQLite database."""
    fresh.put(tmp_path / "pool.db")
    with closing(open_database(tmp_path / "pool.db")) as opened:
        yield opened


@pytest.fixture
def crew(database: Database) -> Crew:
    """Give a site with an administrator and no workers."""
    return Crew(database)


@pytest.fixture
def crew_anywhere(prepared_url: str) -> Iterator[Crew]:
    """Give the same once on each of the databases."""
    with closing(open_database(prepared_url)) as opened:
        yield Crew(opened)
