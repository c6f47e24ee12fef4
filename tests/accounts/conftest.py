"""Sites over all three databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from grange.accounts.models import Actor
from grange.db import Database, open_database
from tests import fresh
from tests.accounts.sites import Site


@pytest.fixture
def database(prepared_url: str) -> Iterator[Database]:
    """Give a migrated database, once of each kind."""
    with closing(open_database(prepared_url)) as opened:
        yield opened


@pytest.fixture
def site(database: Database) -> Site:
    """Give a site that nobody has set up, on each of the databases."""
    return Site(database)


@pytest.fixture
def admin(site: Site) -> Actor:
    """Set the site up, and give its administrator."""
    return site.admin()


@pytest.fixture
def small_database(tmp_path: Path) -> Iterator[Database]:
    """Give a migrated SQLite database, for what no database has a say in."""
    fresh.put(tmp_path / "small.db")
    with closing(open_database(tmp_path / "small.db")) as opened:
        yield opened


@pytest.fixture
def small_site(small_database: Database) -> Site:
    """Give a site that nobody has set up, on SQLite."""
    return Site(small_database)
