"""The engine that the settings name, and how it stands."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from grange.bootstrap.engines import STALE_SECONDS, STANDING_NAME, Standing, slots_here, standing_of
from grange.core.resources import Needs
from grange.engines.base import Health
from grange.settings import usable_cores

MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("needs", "slots"),
    [
        (Needs(), 4),
        (Needs(cores=0.5), 4),
        (Needs(cores=2), min(4, max(4, usable_cores()) // 2)),
        (Needs(cores=1000), 1),
        (Needs(memory_bytes=MEMORY // 2), 2),
        (Needs(memory_bytes=2 * MEMORY), 1),
        (Needs(labels=("elsewhere",)), 4),
    ],
)
def test_this_machine_takes_as_much_at_a_time_as_it_has(needs: Needs, slots: int) -> None:
    """With nothing asked for, as ever; with more than there is, one at a time."""
    assert slots == slots_here(4, needs)


def test_the_server_reads_how_the_engine_stands(tmp_path: Path) -> None:
    """What drives runs writes it down, and takes it away when it ends."""
    standing = Standing(tmp_path)
    down = Health("down", 1000.0, "nobody listens")

    assert standing_of(tmp_path) is None
    standing.tell(down)
    assert down == standing_of(tmp_path)
    standing.tell(Health("up", 1010.0))
    assert Health("up", 1010.0) == standing_of(tmp_path)
    standing.close()
    assert standing_of(tmp_path) is None


@pytest.mark.parametrize(
    "said",
    ["", "[]", "{}", '{"state": "up", "since": 0, "reason": "", "at": "now"}'],
)
def test_what_makes_no_sense_says_nothing(tmp_path: Path, said: str) -> None:
    """Half a file, or one of another version."""
    (tmp_path / STANDING_NAME).write_text(said)

    assert standing_of(tmp_path) is None


def test_what_was_said_long_ago_says_nothing(tmp_path: Path) -> None:
    """The process that said it may have died since."""
    said = {"state": "up", "since": 0.0, "reason": "", "at": time.time() - STALE_SECONDS - 1}
    (tmp_path / STANDING_NAME).write_text(json.dumps(said))

    assert standing_of(tmp_path) is None
