"""The table of faults: what is done to which party, and how it is undone."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.machines.stage import LEASE_SECONDS, Machines
from tests.services import unavailable

Deed = Callable[[Machines], object]

# Longer than a lease: whoever was silent for all of it has lost what it had.
LONG_SECONDS = 1.5 * LEASE_SECONDS
# As long as it takes somebody to start it again.
SHORT_SECONDS = 3.0
# How far from an hour a clock may be that is an hour off: it takes time to ask.
AN_HOUR_ABOUT = 60.0
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    `seconds` are those between the deed and its undoing. What befalls one worker is made good
    by the others from when it happens; what all need is waited for, so the time to
    recover begins when it is back: then the fault is `central`.
    """

    name: str
    strike: Deed
    heal: Deed
    seconds: float = LONG_SECONDS
    central: bool = False


def _killed_worker(site: Machines) -> None:
    site.power_off("one")


def _killed_broker(site: Machines) -> None:
    site.broker.kill()


def _wiped_broker(site: Machines) -> None:
    site.broker.kill()
    site.broker.wipe()


def _killed_database(site: Machines) -> None:
    site.send("database", signal.SIGKILL)
    site.database.kill()


def _killed_server(site: Machines) -> None:
    site.send("server", signal.SIGKILL)
    site.server.process.wait()


def _killed_driver(site: Machines) -> None:
    site.send_one(site.driver(), signal.SIGKILL)


def _killed(party: str, strike: Deed, heal: Deed) -> Fault:
    return Fault(f"{party} killed", strike, heal, seconds=SHORT_SECONDS, central=True)


def _frozen(party: str) -> Fault:
    return Fault(
        f"{party} frozen",
        lambda site: site.send(party, signal.SIGSTOP),
        lambda site: site.send(party, signal.SIGCONT),
        central=party not in {"one", "two", "three"},
    )


def _full(party: str) -> Fault:
    return Fault(
        f"disk of {party} full",
        lambda site: site.fill_up(party),
        lambda site: site.room_again(party),
        central=party not in {"one", "two", "three"},
    )


def _between(one: str, other: str, *, central: bool) -> list[Fault]:
    """What may go wrong on the way between two parties."""

    def mend(site: Machines) -> None:
        site.net.mend()

    return [
        Fault(
            f"{one} cut off from {other}",
            lambda site: site.net.cut(site.hosts[one], site.hosts[other]),
            mend,
            central=central,
        ),
        Fault(
            f"{one} not heard by {other}",
            lambda site: site.net.half_cut(site.hosts[one], site.hosts[other]),
            mend,
            central=central,
        ),
        Fault(
            f"{one} does not hear {other}",
            lambda site: site.net.half_cut(site.hosts[other], site.hosts[one]),
            mend,
            central=central,
        ),
        Fault(
            f"slow way between {one} and {other}",
            lambda site: site.net.slow(site.hosts[one], site.hosts[other]),
            mend,
            seconds=3 * LEASE_SECONDS,
            central=central,
        ),
    ]


def _with_clock(hours: int) -> dict[str, str]:
    if not Path(FAKETIME).exists():
        unavailable("clocks of their own need the Debian package faketime")
    return {
        "LD_PRELOAD": FAKETIME,
        "FAKETIME": f"{hours:+}h",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def _worker_with_clock(hours: int) -> Deed:
    def strike(site: Machines) -> None:
        site.power_off("one")
        site.hire("one", environment=_with_clock(hours))

    return strike


def _server_with_clock(hours: int) -> Deed:
    def strike(site: Machines) -> None:
        _killed_server(site)
        site.serve_again(_with_clock(hours))

    return strike


def _party_with_clock(party: str, hours: int) -> Deed:
    """Start the broker or the database again, with a clock of its own."""

    def strike(site: Machines) -> None:
        with_clock = _with_clock(hours)
        _end(site, party)
        site.start(party, with_clock)
        assert abs(hours * 3600 - (site.clock(party) - time.time())) < AN_HOUR_ABOUT

    return strike


def _party_again(party: str) -> Deed:
    def heal(site: Machines) -> None:
        if getattr(site, party).lives():
            _end(site, party)
        site.start(party)

    return heal


def _end(site: Machines, party: str) -> None:
    {"broker": _killed_broker, "database": _killed_database}[party](site)


def _party_clock(party: str, way: str, hours: int) -> Fault:
    name = f"clock of the {party} an hour {way}"
    return Fault(name, _party_with_clock(party, hours), _party_again(party), central=True)


def _worker_again(site: Machines) -> None:
    if site.staff["one"].process.poll() is None:
        site.power_off("one")
    site.hire("one")


def _server_again(site: Machines) -> None:
    if site.server.process.poll() is None:
        _killed_server(site)
    site.serve_again()


def _server_clock(way: str, hours: int) -> Fault:
    name = f"clock of the server an hour {way}"
    return Fault(name, _server_with_clock(hours), _server_again, central=True)


FAULTS = [
    Fault("worker killed", _killed_worker, _worker_again),
    _killed("server", _killed_server, _server_again),
    Fault("driver killed", _killed_driver, lambda _: None, seconds=0, central=True),
    _killed("broker", _killed_broker, lambda site: site.broker.start()),
    _killed("broker and its disk", _wiped_broker, lambda site: site.broker.start()),
    _killed("database", _killed_database, lambda site: site.database.start()),
    *map(_frozen, ("one", "server", "broker", "database")),
    *_between("two", "broker", central=False),
    # Its bytes go this way, and nobody else has what it made.
    *_between("two", "server", central=True),
    *_between("server", "database", central=True),
    *_between("server", "broker", central=True),
    *map(_full, ("two", "server", "broker", "database")),
    Fault("clock of a worker an hour ahead", _worker_with_clock(1), _worker_again),
    Fault("clock of a worker an hour behind", _worker_with_clock(-1), _worker_again),
    _server_clock("ahead", 1),
    _server_clock("behind", -1),
    *(
        _party_clock(party, way, hours)
        for party in ("broker", "database")
        for way, hours in (("ahead", 1), ("behind", -1))
    ),
]
