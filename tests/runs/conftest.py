"""Ledgers over all three databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from grange.db import Database, open_database
from tests.runs.ledgers import Hand


@pytest.fixture
def database(prepared_url: str) -> Iterator[Database]:
    """Give a migrated database, once of each kind."""
    opened = open_database(prepared_url)
    yield opened
    opened.close()


@pytest.fixture
def hand(database: Database, tmp_path: Path) -> Hand:
    """Give a hand that drives runs of this ledger."""
    return Hand(database, tmp_path)
