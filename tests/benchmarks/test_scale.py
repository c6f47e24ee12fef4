"""The benchmarks of the ledger and of scheduling run, with next to nothing to do."""

from __future__ import annotations

import statistics

import pytest

from benchmarks import databases, fed, million
from benchmarks.broker import broker_there


@pytest.mark.long
def test_a_run_of_many_items_is_measured() -> None:
    """Memory and pages are looked at before and after."""
    result = million.measure(quick=True)

    assert all(row.median > 0 for row in result.rows)
    assert 2 == sum("memory" in one.what for one in result.targets)


@pytest.mark.long
def test_a_fed_queue_is_measured() -> None:
    """Here and, where there is a broker, on machines that have joined."""
    result = fed.measure(quick=True)

    assert all(one.value > 0 for one in result.targets)
    assert (4 if broker_there() else 2) == len(result.targets)


@pytest.mark.parametrize("number", [12, 300])
def test_tasks_are_spread_as_in_daily_use(number: int) -> None:
    """Shortest, longest, and the one in the middle are those of the cluster."""
    amounts = fed.units(number)

    assert (fed.LEAST, fed.MOST) == (min(amounts), max(amounts))
    assert statistics.median(amounts) == pytest.approx(fed.MEDIAN, rel=0.2)


@pytest.mark.long
def test_databases_are_compared() -> None:
    """Both do the same, and all that is asked for is measured."""
    result = databases.measure(quick=True)

    assert all(row.median > 0 for row in result.rows)
