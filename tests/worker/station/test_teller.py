"""Outcomes are told until they are confirmed, and soon once they can be."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

import pytest

from grange.core.tasks import Outcome, OutcomeState
from grange.errors import BrokerUnreachable
from grange.worker.station.journal import Journal
from grange.worker.station.teller import Teller
from tests import aside

# Nobody who waits for this is helped by a pause that is over some day.
FOR_EVER_SECONDS = 1000.0


def test_what_could_not_be_told_is_told_at_once_when_the_broker_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the pause between two tries has become meanwhile."""
    monkeypatch.setattr("grange.worker.station.teller._FIRST_PAUSE_SECONDS", FOR_EVER_SECONDS)

    tries, quiet = aside.run(_away_and_back(tmp_path))

    assert (["away", "back"], True) == (tries, quiet)


async def _away_and_back(folder: Path) -> tuple[list[str], bool]:
    tries: list[str] = []
    tried = asyncio.Event()
    broker = "away"

    async def publish(_run: str, _outcomes: Collection[Outcome]) -> bool:
        tries.append(broker)
        tried.set()
        if broker == "away":
            raise BrokerUnreachable("It is away.")
        return True

    journal = Journal(folder / "journal")
    teller = Teller(publish, journal)
    teller.tell("run", [Outcome(1, 1, OutcomeState.DONE)])
    async with asyncio.timeout(30):
        await tried.wait()
    broker = "back"
    teller.hurry()
    quiet = await teller.quiet(30)
    await teller.close()
    journal.close()
    return tries, quiet
