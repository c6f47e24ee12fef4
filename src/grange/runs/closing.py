"""The last steps of a run: tidy up, and write down what came of it beside its outputs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

from grange.core.states import RunState
from grange.db import Database
from grange.errors import RunBusy
from grange.runs import driving, publishing, queries, walking
from grange.runs.driven import Driven
from grange.runs.driving import Grip
from grange.runs.manifest import software, write_manifests
from grange.runs.models import ItemView

# A driver is heard so often within the length of its lease, while it writes.
BEATS = 4
# Items between two looks at the clock.
LOOK_EVERY = 1000


def call_off(database: Database, driven: Driven, grip: Grip) -> None:
    """Cancel what has no end yet, publish what was accepted, and end the run."""
    now = time.time()
    publishing.publish(database, driven, publishing.recover(database, driven), now=now)
    driving.cancel_rest(database, driven.number, now=now)
    close(database, driven, grip, RunState.CANCELLED)


def close(database: Database, driven: Driven, grip: Grip, state: RunState) -> None:
    """Clean up, write down what came of the run, and only then say that it has ended.

    Raises:
        RunBusy: Another driver has taken the run meanwhile.
    """
    now = time.time()
    clear_staging(driven)
    write_files(database, driven, state, now=now, grip=grip)
    driven.store.clean()
    driving.finish(database, driven, grip, state, now=now)


def clear_staging(driven: Driven) -> None:
    """Remove what attempts of this run have staged and nobody will publish."""
    mine = [token for token in driven.store.staged() if token.startswith(f"{driven.id}-")]
    for token in mine:
        driven.store.discard(token)


def write_files(
    database: Database,
    driven: Driven,
    state: RunState,
    *,
    now: float | None,
    grip: Grip | None = None,
) -> None:
    """Write run.json, items.jsonl and report.html, each whole. Repeating it is harmless.

    `now` is when the run ends; None for one that goes on. With a grip the run is kept
    in hand meanwhile.

    Raises:
        RunBusy: Another driver has the run.
    """
    from grange.runs.report import Survey, write_report

    run = queries.find_run(database, driven.id)
    # The files say what the ledger is about to say.
    run = dataclasses.replace(run, state=state, finished_at=now, driver=None)
    items = walking.iterate_items(database, driven.number)
    if grip is not None:
        items = _kept(database, driven, grip, items)
    # Both are made of one look: at a million items, each takes a good part of a minute.
    seen = Survey.of(run)
    write_manifests(driven.store, run, seen.along(items), software())
    write_report(driven.store, run, seen, queries.failures(database, driven.number))


def _kept(
    database: Database, driven: Driven, grip: Grip, items: Iterator[ItemView]
) -> Iterator[ItemView]:
    """Pass items on and go on saying that the driver lives: of very many it takes minutes."""
    next_beat = time.monotonic() + grip.lease_seconds / BEATS
    for number, item in enumerate(items):
        if number % LOOK_EVERY == 0 and time.monotonic() >= next_beat:
            next_beat = time.monotonic() + grip.lease_seconds / BEATS
            if not driving.keep(database, driven, grip, now=time.time()):
                message = f"Another process has taken over run {driven.id}."
                raise RunBusy(message, hint=f"Follow it: grange runs watch {driven.id}")
        yield item
