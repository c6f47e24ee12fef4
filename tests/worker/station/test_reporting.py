"""A station that can't report works on, and reports again when it can."""

from __future__ import annotations

import asyncio

from grange.client.schemas.workers import Beat, TaskNow
from grange.worker.station.link import Link
from grange.worker.station.papers import Papers
from grange.worker.station.reporting import REPORT, Reporting
from grange.worker.station.words import Words
from tests import aside

NOBODY = "http://127.0.0.1:9"


def test_a_report_that_breaks_the_rules_ends_nothing() -> None:
    """Nor does the last one, when the station leaves; the trouble is told once."""
    said: list[str] = []
    composed: list[int] = []

    def compose() -> Beat:
        composed.append(1)
        return Beat(tasks=[TaskNow(run="no run is called so", task=1)])

    papers = Papers(server=NOBODY, pin="", worker="w", name="w", key="k", engine="", site="s")
    link = Link(papers)
    reporting = Reporting(
        link, Words(said.append), compose=compose, ordered=lambda _: None, beat_seconds=1.0
    )

    async def report() -> None:
        running = asyncio.create_task(reporting.run())
        while len(composed) < 3:
            assert not running.done()
            reporting.soon()
            await asyncio.sleep(0.01)
        await reporting.leave()
        running.cancel()

    aside.run(report())
    link.close()

    assert [True] == [line.startswith(REPORT) for line in said]
