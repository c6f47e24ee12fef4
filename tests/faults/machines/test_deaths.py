"""Workers that die of what they work on, and many that go at once."""

from __future__ import annotations

import signal
import time

import pytest

from tests.faults.machines.promises import recovery_seconds
from tests.faults.machines.stage import RECOVERY_SECONDS, STAFF, Machines
from tests.worker.station.stage import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

# Of ten workers with the three that are always there.
MORE = tuple(f"extra{number}" for number in range(7))
# The shell's parent is the process that does one task at a time; its parent is all of the worker.
PROCESS = "kill -9 $PPID"
WORKER = "kill -9 $(cut -d ' ' -f 4 /proc/$PPID/stat)"


@pytest.mark.parametrize("victim", [PROCESS, WORKER], ids=["its process", "its whole worker"])
def test_a_poison_input_fails_alone(site: Machines, victim: str) -> None:
    """Tried again as often as any failure, then it has failed, and all others are done."""
    site.begin(poison=victim)

    deadline = time.monotonic() + 200
    while site.unfinished():
        assert time.monotonic() < deadline, site.said()
        for name, afar in STAFF.items():
            # What a service manager does.
            if site.staff[name].process.poll() is not None:
                site.hire(name, afar=afar)
        time.sleep(0.1)

    assert [] == site.broken()
    query = "SELECT failure_code FROM items WHERE failure_code IS NOT NULL"
    assert {"worker.lost"} == {row.failure_code for row in site.recorder.ask(query)}


def test_three_of_ten_workers_vanish_at_once(site: Machines) -> None:
    """What they had is done by the others, within two leases from then."""
    for name in MORE:
        site.hire(name, slots=1)
    site.ready()
    run = site.begin(80, seconds=1)
    until(lambda: site.done(run) >= 4, "work in flight")
    struck = time.time()

    for name in ("one", *MORE[:2]):
        site.send(name, signal.SIGKILL)

    site.end_of_all()
    assert [] == site.broken()
    assert RECOVERY_SECONDS >= recovery_seconds(site.recorder.notes(), struck)


def test_what_a_worker_holds_that_stays_away_is_done_once_it_is_removed(site: Machines) -> None:
    """It has no way to the server for what it has made; who removes it gives that to others."""
    site.hire("far", afar=True)
    site.ready()
    run = site.begin(60, seconds=1)
    until(lambda: site.done(run) >= 4, "work in flight")
    site.net.cut(site.hosts["far"], site.hosts["server"])
    until(lambda: site.done(run) >= 40, "most of the work")
    removed = time.time()

    site.remove("far")

    site.end_of_all()
    assert [] == site.broken()
    assert RECOVERY_SECONDS >= recovery_seconds(site.recorder.notes(), removed)
