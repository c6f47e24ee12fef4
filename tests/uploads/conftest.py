"""What tests of uploads stand on: the service over a real home and real databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from grange.db import Database, open_database
from tests import fresh
from tests.uploads.rig import Rig


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """Open a SQLite ledger with its tables."""
    fresh.put(tmp_path / "grange.db")
    with closing(open_database(tmp_path / "grange.db")) as opened:
        yield opened


@pytest.fixture
def rig(db: Database, tmp_path: Path) -> Iterator[Rig]:
    """Give the service over a home of its own."""
    with closing(Rig(db, tmp_path / "home")) as rig:
        yield rig
