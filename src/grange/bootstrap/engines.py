"""The engine that the settings name: made for each run, kept warm between runs, and watched."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from grange.bootstrap.gpus import Gpus, visible
from grange.core.ids import new_id
from grange.core.resources import Capacity, Needs, Room
from grange.engines.base import Health
from grange.settings import usable_cores

if TYPE_CHECKING:
    from grange.engines.base import Engine
    from grange.runs.models import RunView
    from grange.settings import Settings

LOCAL = "local"
# What holds passwords and tokens, of which no pipeline has any need.
WITHHELD = frozenset(
    {
        "GRANGE_DATABASE",
        "GRANGE_ENGINE",
        "GRANGE_ENGINE_MANAGEMENT",
        "GRANGE_SESSIONS",
        "GRANGE_TOKEN",
        "GRANGE_WORKERS_ENGINE",
    }
)
# The system knows no lower priority.
LEAST_NICE = 19
# Copies and reports that are made at once beside the work of other machines.
AT_HOME = 2
# In the home: how the engine stands, as the process that drives runs sees it.
STANDING_NAME = "engine.json"
# It is written when it changes, and this often; what is older by far says nothing any more.
TOLD_SECONDS = 5.0
STALE_SECONDS = 30.0


class Engines:
    """Makes engines as the settings say."""

    def __init__(self, settings: Settings, command: list[str]) -> None:
        """Local workers are started by `command`."""
        self._settings = settings
        self._command = command
        self._site = ""
        self._gpus = Gpus()

    def make(self, run: RunView, workers: int) -> Engine:
        """The engine for this run. Nothing is started yet.

        Raises:
            ExtraMissing, SettingInvalid: The engine that is set can't be used.
            Conflict: It needs GPUs, and other runs have all of this machine.
        """
        from grange.engines import make_engine

        if self._settings.engine == LOCAL:
            return self._local(slots_here(workers, run.needs), run.priority, run.needs)
        return make_engine("housed", self._local(AT_HOME, run.priority), self._far(run))

    def standby(self) -> Engine | None:
        """An engine that has no run, and keeps the way to the workers open; None without one."""
        return None if self._settings.engine == LOCAL else self._far(None)

    def _far(self, run: RunView | None) -> Engine:
        from grange.engines import make_engine

        return make_engine(
            self._settings.engine,
            run=run.id if run else "",
            site=self._site_word(),
            needs=run.needs if run else Needs(),
            lease_seconds=self._settings.lease_seconds,
        )

    def _local(self, workers: int, priority: int, needs: Needs = Needs()) -> Engine:  # noqa: B008  # frozen
        from grange.engines import make_engine

        owner = new_id()
        places = self._gpus.take(owner, needs, workers)
        return make_engine(
            LOCAL,
            [*_yielding(priority), *self._command],
            workers=workers,
            lease_seconds=self._settings.lease_seconds,
            recycle_bytes=self._settings.recycle_bytes,
            withheld=WITHHELD,
            places=places,
            closed=lambda: self._gpus.leave(owner),
        )

    def _site_word(self) -> str:
        """What queues of this site are called after: its database decides that."""
        if not self._site:
            from grange.accounts.service import Accounts
            from grange.accounts.sessions import open_cache
            from grange.db import open_database
            from grange.pool.models import site_word

            database = open_database(self._settings.database)
            try:
                self._site = site_word(Accounts(database, open_cache("memory")).site())
            finally:
                database.close()
        return self._site


def is_brokered(settings: Settings) -> bool:
    """Whether work reaches workers by a message broker."""
    return settings.engine.startswith(("amqp://", "amqps://"))


def slots_here(workers: int, needs: Needs) -> int:
    """How many of so many local workers may be at such tasks at once; one in any case."""
    if needs == Needs():
        return workers
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    here = Capacity(slots=workers, cores=usable_cores(), memory_bytes=memory)
    # Labels tell machines apart, of which there is one; its GPUs are counted, not measured,
    # so that a task that would share one has it for itself.
    plain = replace(needs, gpus=0, gpu_memory_bytes=0, labels=())
    slots = Room(here).count(plain, most=workers)
    if needs.gpus:
        slots = min(slots, len(visible()) // needs.gpus)
    return max(1, slots)


def check_engine(settings: Settings) -> None:
    """See that the engine which is set can be used here; whether it can be reached is told later.

    Raises:
        ExtraMissing: What it needs is not installed.
        SettingInvalid: Its address is none.
    """
    if settings.engine != LOCAL:
        from grange.engines import make_engine

        lease = settings.lease_seconds
        make_engine(
            settings.engine, run="", site="check", needs=Needs(), lease_seconds=lease
        ).close()


class Standing:
    """Tells the server how the engine stands: the process that drives runs writes it down."""

    def __init__(self, home: Path) -> None:
        """Nothing is told yet."""
        self._file = home / STANDING_NAME
        self._said: Health | None = None
        self._next = 0.0

    def tell(self, health: Health | None) -> None:
        """Write down how it stands, when that is new, or was told long ago."""
        now = time.monotonic()
        if health is None or (health == self._said and now < self._next):
            return
        self._said, self._next = health, now + TOLD_SECONDS
        fresh = self._file.with_suffix(".new")
        with suppress(OSError):  # A full disk is told of elsewhere.
            fresh.write_text(json.dumps({**asdict(health), "at": time.time()}), encoding="utf-8")
            fresh.replace(self._file)

    def close(self) -> None:
        """Nobody tells any more."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)


def standing_of(home: Path) -> Health | None:
    """How the engine stands, as the process that drives runs says; None when nobody says."""
    try:
        said = json.loads((home / STANDING_NAME).read_text(encoding="utf-8"))
        health = Health(said["state"], float(said["since"]), str(said["reason"]))
        return health if abs(time.time() - said["at"]) < STALE_SECONDS else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _yielding(priority: int) -> list[str]:
    """What makes the workers of a run of low priority yield to whoever else uses the machine."""
    return ["nice", "-n", str(min(-priority, LEAST_NICE))] if priority < 0 else []
