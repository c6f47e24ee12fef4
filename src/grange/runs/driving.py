"""Taking a run in hand, keeping it, and letting it go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, select, update

from grange.core.resources import needs_from_json
from grange.core.states import ItemState, RunState, TaskState, move
from grange.core.tasks import Job
from grange.db import Database
from grange.engines.base import Engine
from grange.errors import RunBusy, RunEnded, RunIncomplete
from grange.runs import claims
from grange.runs.driven import Driven
from grange.runs.driver import Driver, is_working, words
from grange.runs.machine import Policy
from grange.runs.models import RUN_FILE
from grange.runs.places import is_named
from grange.runs.queries import counts_of
from grange.runs.reuse import has_kin
from grange.runs.tables import Record, items, runs, tasks
from grange.storage import Store, open_store


@dataclass(frozen=True, slots=True)
class Grip:
    """How a driver holds runs: who it is, for how long without a sign of life, how it retries.

    `kept` is the folder of what stages of pipelines keep for later runs. `engine` names
    what holds the driver's claims if that outlives it; nothing otherwise. `work` and
    `work_bytes` are those of a job.
    """

    driver: Driver
    lease_seconds: float = 60.0
    delay_seconds: float = 1.0
    kept: str = ""
    kept_bytes: int = 0
    engine: str = ""
    work: str = ""
    work_bytes: int = 0


def grip_with(grip: Grip, engine: Engine | None) -> Grip:
    """The grip as it is with this engine, whose claims may end with it."""
    return grip if engine is not None and engine.lasting else replace(grip, engine="")


def take(database: Database, number: int, grip: Grip, *, logs: str, now: float) -> Driven:
    """Take a run in hand: it is this driver's alone from now on.

    What an earlier driver had claimed is given out again, without counting as
    an attempt: the driver's end was not the inputs' fault. What it gave to the very
    engine that this one has, and that outlives both, stays where it is.

    Raises:
        RunBusy: Another driver works on it.
        RunIncomplete: Its submission was cut off.
        RunEnded: It has ended.
    """

    def work(connection: Connection) -> Driven:
        row = connection.execute(
            select(runs).where(runs.c.number == number).with_for_update()
        ).one()
        state = RunState(row.state)
        if state.is_finished():
            raise RunEnded(f"Run {row.id} has ended: it is {state}.")
        mine = row.driver is not None and row.driver["token"] == grip.driver.token
        if not mine and is_working(row.driver, row.driver_until, now=now):
            message = f"Run {row.id} is being worked on by {words(row.driver)}."
            raise RunBusy(message, hint=f"Follow it: grange runs watch {row.id}")
        if state is RunState.SUBMITTING:
            message = f"The inputs of run {row.id} have not all been taken in."
            raise RunIncomplete(message, hint="Give the command that began it once more.")
        if state in {RunState.WAITING, RunState.PAUSED}:
            state = move(state, RunState.RUNNING)
        connection.execute(
            update(runs)
            .where(runs.c.number == number)
            .values(
                state=str(state),
                driver={**grip.driver.record(), "engine": grip.engine},
                driver_until=now + grip.lease_seconds,
                started_at=row.started_at or now,
                note="",
            )
        )
        driven = _driven(connection, row, state, grip, logs)
        if _goes_on(row, grip):
            driven.flying = claims.take_over(connection, number, until=now + grip.lease_seconds)
        else:
            give_back(connection, number)
        return driven

    return database.transact(work)


def keep(
    database: Database, driven: Driven, grip: Grip, *, now: float, note: str | None = None
) -> bool:
    """Renew the hold, read what people want of the run. False when another driver has it.

    A `note` is said of the run from now on.
    """
    said = {} if note is None else {"note": note}

    def work(connection: Connection) -> tuple[RunState, int] | None:
        query = select(runs.c.state, runs.c.driver, runs.c.priority)
        mine = runs.c.number == driven.number
        row = connection.execute(query.where(mine).with_for_update()).first()
        if row is None or row.driver is None or row.driver["token"] != grip.driver.token:
            return None
        until = now + grip.lease_seconds
        connection.execute(update(runs).where(mine).values(driver_until=until, **said))
        return RunState(row.state), row.priority

    found = database.transact(work)
    if found is None:
        return False
    driven.state, driven.priority = found
    return True


def let_go(
    database: Database, driven: Driven, grip: Grip, *, note: str = "", going_on: bool = False
) -> None:
    """Stop driving: the run waits for whoever goes on.

    What is claimed can be claimed again, unless it is `going_on` in an engine that stays.
    """

    def work(connection: Connection) -> None:
        query = select(runs.c.state, runs.c.driver).where(runs.c.number == driven.number)
        row = connection.execute(query.with_for_update()).first()
        if row is None or row.driver is None or row.driver["token"] != grip.driver.token:
            return
        if not going_on:
            give_back(connection, driven.number)
        state = RunState(row.state)
        if state is RunState.RUNNING:
            state = move(state, RunState.WAITING)
        connection.execute(
            update(runs)
            .where(runs.c.number == driven.number)
            .values(state=str(state), driver=None, driver_until=None, note=note)
        )

    database.transact(work)


def finish(database: Database, driven: Driven, grip: Grip, state: RunState, *, now: float) -> None:
    """Bring the run to its end; its output folder is free for others then."""
    sources = {RunState.RUNNING, RunState.CANCELLING}

    def work(connection: Connection) -> None:
        query = select(runs.c.driver).where(runs.c.number == driven.number).with_for_update()
        holder = connection.execute(query).scalar()
        if holder is None or holder["token"] != grip.driver.token:
            return
        connection.execute(
            update(runs)
            .where(runs.c.number == driven.number, runs.c.state.in_([str(one) for one in sources]))
            .values(state=str(state), driver=None, driver_until=None, out_key=None, finished_at=now)
        )

    database.transact(work)
    driven.state = state


def give_back(connection: Connection, number: int) -> None:
    """Make claimed tasks waiting ones. Their epochs stay spent: late outcomes are refused."""
    connection.execute(
        update(tasks)
        .where(tasks.c.run == number, tasks.c.state == TaskState.RUNNING)
        .values(state=str(TaskState.WAITING), lease_until=None)
    )


def cancel_rest(database: Database, number: int, *, now: float) -> int:
    """Call off every item that has no end yet, but those whose result is on its way to its name."""

    def work(connection: Connection) -> int:
        connection.execute(
            update(tasks)
            .where(
                tasks.c.run == number,
                tasks.c.state.in_([str(TaskState.WAITING), str(TaskState.RUNNING)]),
            )
            .values(state=str(TaskState.CANCELLED), lease_until=None)
        )
        result = connection.execute(
            update(items)
            .where(
                items.c.run == number,
                items.c.state.in_([str(ItemState.WAITING), str(ItemState.RUNNING)]),
            )
            .values(state=str(ItemState.CANCELLED), ended_at=now)
        )
        connection.execute(
            update(runs)
            .where(runs.c.number == number)
            .values(items_cancelled=runs.c.items_cancelled + result.rowcount)
        )
        return result.rowcount

    return database.transact(work)


def _goes_on(row: Record, grip: Grip) -> bool:
    """Whether what is claimed is in the engine that this driver has too."""
    if not grip.engine:
        return False
    # Who let go in peace has left claims only where they live on.
    return row.driver is None or row.driver.get("engine") == grip.engine


def _driven(connection: Connection, row: Record, state: RunState, grip: Grip, logs: str) -> Driven:
    plan = row.plan
    store = open_store(row.out, work=Path(grip.work) if grip.work else None)
    return Driven(
        number=row.number,
        id=row.id,
        job=Job(
            run=row.id,
            pipeline=row.pipeline,
            version=row.version,
            params=row.params,
            store=row.out,
            logs=logs,
            timeout_seconds=row.timeout_seconds,
            origin={"cwd": plan.get("cwd", "")},
            kept=grip.kept,
            kept_bytes=grip.kept_bytes,
            work=grip.work,
            work_bytes=grip.work_bytes,
            needs=needs_from_json(plan.get("needs", {})),
        ),
        policy=Policy(retries=row.retries, delay_seconds=grip.delay_seconds),
        function_key=row.function_key,
        store=store,
        splits=plan["splits"],
        reports=plan["reports"],
        reads_name=plan["reads_name"],
        kin=has_kin(connection, row.number, row.function_key),
        state=state,
        counts=counts_of(row),
        bytes_total=row.bytes_total,
        own_before_ns=_own_before_ns(connection, row, store),
        priority=row.priority,
        lasting=bool(grip.engine),
        places=(row.out, *map(str, row.inputs.get("roots", ()))),
    )


def _own_before_ns(connection: Connection, row: Record, store: Store) -> int:
    """Since when there are results of runs in the store; 0 when that can't be told any more."""
    if row.owner is not None and not is_named(row.id, row.out):
        # A server gives each run a folder of its own: nobody keeps anything else in it.
        return 0
    query = select(runs.c.number).where(
        runs.c.out == row.out, runs.c.number != row.number, runs.c.started_at.is_not(None)
    )
    used = connection.execute(query.limit(1)).first() is not None
    return 0 if used or store.stat(RUN_FILE) else int(row.created_at * 1e9)
