"""The benchmark over RabbitMQ runs, and measures what it says."""

from __future__ import annotations

import pytest

from benchmarks import brokered
from benchmarks.broker import broker_there
from benchmarks.brokered import GRANGE, IDEAL, RUN, TASK, WHOLE
from tests.services import unavailable


@pytest.mark.long
def test_tasks_over_a_broker_are_measured() -> None:
    """With little to do it takes seconds, and whoever is not installed is left out."""
    if not broker_there():
        unavailable("RabbitMQ, and the right to start it")

    result = brokered.measure(quick=True)

    rows = {row.what: row.median for row in result.rows}
    assert {GRANGE, WHOLE, IDEAL} <= rows.keys()
    assert all(median > 0 for median in rows.values())
    # A run of three tasks takes longer than each of them.
    assert rows[f"{TASK}, p50"] < rows[f"{RUN}, p50"]
    assert any("ideal" in target.what for target in result.targets)
