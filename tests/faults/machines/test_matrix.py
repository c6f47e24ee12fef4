"""Each fault of the table, done for real to a site of several machines while it is at work."""

from __future__ import annotations

import contextlib
import logging
import time

import httpx
import pytest

from tests.faults.machines.promises import recovery_seconds
from tests.faults.machines.stage import RECOVERY_SECONDS, Machines
from tests.faults.machines.table import FAULTS, Fault
from tests.worker.station.stage import until

log = logging.getLogger("faults")

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.mark.parametrize("fault", [pytest.param(one, id=one.name) for one in FAULTS])
def test_nothing_is_lost_or_doubled_whatever_happens(site: Machines, fault: Fault) -> None:
    """One end for each item, the same bytes as ever, and work goes on within two leases."""
    run = site.begin()
    until(lambda: site.done(run) >= 4, "work in flight")
    struck = time.time()

    fault.strike(site)
    with contextlib.suppress(httpx.HTTPError, AssertionError):
        site.begin(8)  # If it is acknowledged, it counts.
    time.sleep(max(0.0, struck + fault.seconds - time.time()))
    fault.heal(site)
    healed = time.time()

    site.end_of_all()
    recovery = recovery_seconds(site.recorder.notes(), healed if fault.central else struck)
    log.info("%s: recovered after %.1f s", fault.name, recovery)
    assert [] == site.broken()
    assert RECOVERY_SECONDS >= recovery
