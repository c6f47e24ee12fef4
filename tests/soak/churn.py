"""What may happen to a site while it works: drawn by chance, from a seed."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.faults.machines.stage import STAFF, Machines

# How long something lasts: from a hiccup to more than a lease.
SHORTEST_SECONDS = 0.5
LONGEST_SECONDS = 15.0
MOST_EXTRA_WORKERS = 3
LINKS = (
    ("one", "broker"),
    ("two", "broker"),
    ("two", "server"),
    ("server", "broker"),
    ("server", "database"),
)


@dataclass
class Churn:
    """Does one thing after the other to a site, and undoes each."""

    site: Machines
    chance: random.Random
    done: dict[str, int] = field(default_factory=dict)
    _extra: int = 0

    def step(self, say: Callable[[str], None]) -> None:
        """Do something, let it last, undo it."""
        deeds = (
            *(self._kill, self._freeze, self._cut, self._half_cut, self._slow, self._restart),
            *(self._come, self._go, self._fill),
        )
        deed = self.chance.choice(deeds)
        seconds = round(self.chance.uniform(SHORTEST_SECONDS, LONGEST_SECONDS), 1)
        undo, told = deed()
        say(f"{told} for {seconds} s")
        name = deed.__name__.strip("_")
        self.done[name] = self.done.get(name, 0) + 1
        time.sleep(seconds)
        undo()

    def _kill(self) -> tuple[Callable[[], object], str]:
        party = self.chance.choice(["worker", "server", "driver", "broker", "database"])
        site = self.site
        if party == "worker":
            name = self.chance.choice(sorted(STAFF))
            site.power_off(name)
            return lambda: site.hire(name, afar=STAFF[name]), f"worker {name} is killed"
        if party == "driver":
            with suppress(AssertionError):  # It may be on its way.
                site.send_one(site.driver(), signal.SIGKILL)
            return _nothing, "the driver is killed"
        if party == "server":
            site.send("server", signal.SIGKILL)
            site.server.process.wait()
            return site.serve_again, "the server is killed"
        if party == "broker":
            site.broker.kill()
            return site.broker.start, "the broker is killed"
        site.send("database", signal.SIGKILL)
        site.database.kill()
        return site.database.start, "the database is killed"

    def _freeze(self) -> tuple[Callable[[], object], str]:
        party = self.chance.choice([*sorted(STAFF), "server", "broker", "database"])
        self.site.send(party, signal.SIGSTOP)
        return lambda: self.site.send(party, signal.SIGCONT), f"{party} is frozen"

    def _cut(self) -> tuple[Callable[[], object], str]:
        one, other = self.chance.choice(LINKS)
        self.site.net.cut(self.site.hosts[one], self.site.hosts[other])
        return self.site.net.mend, f"{one} and {other} are cut off from each other"

    def _half_cut(self) -> tuple[Callable[[], object], str]:
        one, other = self.chance.sample(self.chance.choice(LINKS), 2)
        self.site.net.half_cut(self.site.hosts[one], self.site.hosts[other])
        return self.site.net.mend, f"{one} is not heard by {other}"

    def _slow(self) -> tuple[Callable[[], object], str]:
        one, other = self.chance.choice(LINKS)
        self.site.net.slow(self.site.hosts[one], self.site.hosts[other])
        return self.site.net.mend, f"the way between {one} and {other} is slow"

    def _restart(self) -> tuple[Callable[[], object], str]:
        self.site.server.stop()
        return self.site.serve_again, "the server is ended in peace"

    def _come(self) -> tuple[Callable[[], object], str]:
        extra = [name for name in self.site.staff if name not in STAFF]
        if len(extra) >= MOST_EXTRA_WORKERS:
            return self._go()
        self._extra += 1
        name = f"extra{self._extra}"
        self.site.hire(name, slots=1)
        return _nothing, f"worker {name} comes"

    def _go(self) -> tuple[Callable[[], object], str]:
        extra = [name for name in self.site.staff if name not in STAFF]
        if not extra:
            return _nothing, "nobody goes"
        name = self.chance.choice(extra)
        worker = self.site.staff.pop(name)
        worker.process.send_signal(signal.SIGTERM)
        return worker.process.wait, f"worker {name} goes"

    def _fill(self) -> tuple[Callable[[], object], str]:
        party = self.chance.choice(["two", "server"])
        self.site.fill_up(party)
        return lambda: self.site.room_again(party), f"the disk of {party} is full"


def _nothing() -> None:
    """There is nothing to undo."""
