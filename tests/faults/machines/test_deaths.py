"""Workers that die of what they work on, and many that go at once."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence
from typing import Any

import pytest

from tests.faults.machines.promises import Ended, recovery_seconds
from tests.faults.machines.stage import LEASE_SECONDS, RECOVERY_SECONDS, STAFF, Machines
from tests.worker.station.stage import until

log = logging.getLogger("faults")

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


def test_what_a_worker_holds_that_stays_cut_off_from_the_server_goes_to_others(
    site: Machines,
) -> None:
    """It says so and takes nothing new, within two leases and without blame; until it is back."""
    far = site.hire("far", afar=True)
    site.ready()
    run = site.begin(60, seconds=1)
    until(lambda: site.done(run) >= 4, "work in flight")
    site.net.cut(site.hosts["far"], site.hosts["server"])
    struck = time.time()

    site.end_of_all()

    recovery = recovery_seconds(site.recorder.notes(), struck)
    log.info("cut off from the server for good: recovered after %.1f s", recovery)
    assert RECOVERY_SECONDS >= recovery
    assert [] == site.broken()
    assert "cut off from the server since" in far.text()
    assert {"done"} == _ends(site, run)
    site.net.mend()
    far.wait_for("the server answers again")
    again = site.begin(40)
    site.end_of_all()
    assert [] == site.broken()
    assert any(one.worker.startswith("far/") for one in _attempts(site, again))


def test_a_worker_that_needs_no_server_goes_on_without_it(site: Machines) -> None:
    """It shares the folders: the way to the broker is enough, for as long as it likes."""
    site.net.cut(site.hosts["one"], site.hosts["server"])
    cut = time.time()
    site.begin(20, seconds=1)
    until(lambda: time.time() - cut > 1.5 * LEASE_SECONDS, "more than a lease")

    later = site.begin(40)

    site.end_of_all()
    assert [] == site.broken()
    assert any(one.worker.startswith("one/") for one in _attempts(site, later))
    assert "cut off from the server" not in site.staff["one"].text()


def _ends(site: Machines, run: Ended) -> set[str]:
    """How all attempts at a run's items have ended that count."""
    return {one.end for one in _attempts(site, run)}


def _attempts(site: Machines, run: Ended) -> Sequence[Any]:
    query = (
        'SELECT attempts.worker, attempts."end" FROM attempts JOIN tasks ON tasks.id ='
        " attempts.task JOIN runs ON runs.number = tasks.run WHERE runs.id = :id"
    )
    return site.recorder.ask(query, id=run.id)
