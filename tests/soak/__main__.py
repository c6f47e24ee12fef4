"""A soak: `python -m tests.soak [MINUTES [SEED]]`, or `make soak MINUTES=20`.

Runs are submitted all the time to a site of several machines, while things happen to it by
chance. At the end every promise is checked as after a single fault, and neither the
server's memory nor its driver's may have grown without bound.
"""

from __future__ import annotations

import random
import secrets
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.faults.machines.stage import Machines, machines
from tests.soak.churn import Churn

MINUTES = 20.0
ITEMS = 24
# Runs that are not done yet, so that work never ends and never piles up.
RUNS_AT_ONCE = 3
LOOK_SECONDS = 2.0
# To the end of what is left, once nothing happens any more.
LAST_SECONDS = 300.0
MEGABYTE = 1 << 20
# What a process may grow by between the end of its first third and its last look.
GROWTH_BYTES = 64 * MEGABYTE


@dataclass
class Memory:
    """What a process has had, look by look; a new process begins anew."""

    seen: dict[int, list[int]] = field(default_factory=dict)

    def look(self, pid: int) -> None:
        """Write down what it has now."""
        with suppress(OSError, IndexError, ValueError):
            words = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()
            self.seen.setdefault(pid, []).append(int(words[0]) * 1024)

    def growth_bytes(self) -> int:
        """The most that any process has grown after it had warmed up."""
        return max((look[-1] - look[len(look) // 3] for look in self.seen.values()), default=0)

    def most_bytes(self) -> int:
        """The most that any has had."""
        return max((max(looks) for looks in self.seen.values()), default=0)


class Feeder(threading.Thread):
    """Keeps the site at work, and looks at its memory."""

    def __init__(self, site: Machines) -> None:
        """Nothing is begun yet."""
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.refused = 0
        self.memory = {"server": Memory(), "driver": Memory()}
        self._site = site

    def run(self) -> None:
        """Feed until `over` is set."""
        while not self.over.wait(LOOK_SECONDS):
            # Whatever is away just now is there again later.
            with suppress(Exception):
                self._look()
            with suppress(Exception):
                self._feed()

    def _look(self) -> None:
        self.memory["server"].look(self._site.server.process.pid)
        self.memory["driver"].look(self._site.driver())

    def _feed(self) -> None:
        if self._site.unfinished() >= RUNS_AT_ONCE:
            return
        try:
            self._site.begin(ITEMS, seconds=0.3)
        except (AssertionError, httpx.HTTPError):
            self.refused += 1


def main(minutes: float = MINUTES, seed: int | None = None) -> int:
    """Soak for so long; 0 when every promise was kept."""
    seed = secrets.randbelow(1 << 32) if seed is None else seed
    _say(f"{minutes:g} minutes of churn; the same again: make soak MINUTES={minutes:g} SEED={seed}")
    with machines() as site:
        site.settle()
        feeder = Feeder(site)
        feeder.start()
        churn = Churn(site, random.Random(seed))
        deadline = time.monotonic() + 60 * minutes
        while time.monotonic() < deadline:
            churn.step(_say)
            if churn.chance.random() < 1 / 2:
                site.settle()
        feeder.over.set()
        feeder.join()
        site.settle()
        began = time.monotonic()
        site.end_of_all(seconds=LAST_SECONDS)
        _say(f"all runs have ended, {time.monotonic() - began:.0f} s after the last of it")
        return _judge(site, feeder, churn)


def _judge(site: Machines, feeder: Feeder, churn: Churn) -> int:
    found = site.broken()
    for name, memory in feeder.memory.items():
        grown = memory.growth_bytes()
        _say(
            f"{name}: {memory.most_bytes() / MEGABYTE:.0f} MiB at the most, in"
            f" {len(memory.seen)} processes; the most that one grew is {grown / MEGABYTE:.0f} MiB"
        )
        if grown > GROWTH_BYTES:
            found.append(f"The {name} has grown by {grown / MEGABYTE:.0f} MiB.")
    deeds = ", ".join(f"{name} {times}" for name, times in sorted(churn.done.items()))
    _say(f"what happened: {deeds}")
    items = sum(len(run.expected) for run in site.acknowledged) // 2
    notes = site.recorder.notes()
    claims = sum(note.kind == "task" and note.after == "running" for note in notes)
    _say(
        f"{len(site.acknowledged)} runs with {items} items were acknowledged, {feeder.refused} were"
        f" not; {claims} attempts were given out"
    )
    for sentence in found[:50]:
        _say(f"BROKEN: {sentence}")
    _say("BROKEN" if found else "All promises were kept.")
    return 1 if found else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(float(given[0]) if given else MINUTES, int(given[1]) if len(given) > 1 else None))
