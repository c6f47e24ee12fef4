"""The last steps of a run: tidy up, and write down what came of it beside its outputs."""

from __future__ import annotations

import dataclasses
import time

from grange.core.states import RunState
from grange.db import Database
from grange.runs import driving, publishing, queries
from grange.runs.driven import Driven
from grange.runs.driving import Grip
from grange.runs.manifest import software, write_manifests


def call_off(database: Database, driven: Driven, grip: Grip) -> None:
    """Cancel what has no end yet, publish what was accepted, and end the run."""
    now = time.time()
    publishing.publish(database, driven, publishing.recover(database, driven), now=now)
    driving.cancel_rest(database, driven.number, now=now)
    close(database, driven, grip, RunState.CANCELLED)


def close(database: Database, driven: Driven, grip: Grip, state: RunState) -> None:
    """Clean up, write down what came of the run, and only then say that it has ended."""
    now = time.time()
    clear_staging(driven)
    write_files(database, driven, state, now=now)
    driven.store.clean()
    driving.finish(database, driven, grip, state, now=now)


def clear_staging(driven: Driven) -> None:
    """Remove what attempts of this run have staged and nobody will publish."""
    mine = [token for token in driven.store.staged() if token.startswith(f"{driven.id}-")]
    for token in mine:
        driven.store.discard(token)


def write_files(database: Database, driven: Driven, state: RunState, *, now: float | None) -> None:
    """Write run.json, items.jsonl and report.html, each whole. Repeating it is harmless.

    `now` is when the run ends; None for one that goes on.
    """
    from grange.runs.report import write_report

    run = queries.find_run(database, driven.id)
    # The files say what the ledger is about to say.
    run = dataclasses.replace(run, state=state, finished_at=now, driver=None)
    number = driven.number
    write_manifests(driven.store, run, queries.iterate_items(database, number), software())
    write_report(
        driven.store,
        run,
        lambda: queries.iterate_items(database, number),
        queries.failures(database, number),
    )
