"""The loop of a driver: claims go to the engine, outcomes come back, results are published."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from grange.core.events import AttemptsEnded, ItemEnded, Observer, RunNote
from grange.core.resources import shape
from grange.core.states import ItemState, RunState
from grange.core.tasks import (
    Batch,
    Outcome,
    OutcomeState,
    Task,
    TaskKind,
    attempt_token,
    staging_token,
)
from grange.db import Database
from grange.engines.base import Engine
from grange.errors import RunBusy, StoreError, StoreFull, StoreUnreachable
from grange.runs import claims, closing, driving, outcomes, publishing
from grange.runs.claims import Wish
from grange.runs.driven import Driven
from grange.runs.driver import at_work
from grange.runs.driving import Grip
from grange.runs.linking import Link
from grange.runs.outcomes import Concluded, Publication
from grange.runs.planning import Plan
from grange.runs.progress import Pace
from grange.runs.reaching import Reach, check_buckets
from grange.runs.runreport import RunReport
from grange.runs.sharing import Claim, Shared, weight

# How long one turn of the loop waits for outcomes, and so how soon it notices that it should stop.
TURN_SECONDS = 0.2
# How often the driver says that it lives and asks what people want of the run.
BEAT_SECONDS = 1.0
# Tasks claimed in one transaction at the most.
CLAIM_LIMIT = 4096
# New objects between two looks of the garbage collector.
COLLECT_AFTER = 50_000
# A lease is renewed this often within its length.
RENEWALS = 4

# What is wrong with a store, and with no item, by the code that a worker tells it with.
_HALTING: dict[str, type[StoreError]] = {one.code: one for one in (StoreFull, StoreUnreachable)}


class Dispatcher:
    """Drives one run over one engine, in one thread, until it ends or is to stop."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        driven: Driven,
        grip: Grip,
        observer: Observer,
        *,
        shared: Shared | None = None,
    ) -> None:
        """Take a run that `driving.take` has put into this driver's hands.

        With `shared` it leaves other runs of this process their part of the workers.
        """
        self._database = database
        self._engine = engine
        self._driven = driven
        self._grip = grip
        self._observer = observer
        self._shared = shared
        self._shape = shape(driven.job.needs)
        self._pace = Pace(driven, observer)
        self._link = Link(engine, driven, observer)
        self._reach = Reach(driven.places)
        # Whether there is more to give out than fits, and whether nothing fits at all.
        self._hungry, self._full = True, False
        # Whether anything has come back lately.
        self._heard = False
        self._halted: StoreError | None = None
        self._last_beat = 0.0
        self._next_renewal = 0.0
        self._next_look = 0.0

    def run(self, stop: threading.Event) -> RunState:
        """Work until the run ends, somebody wants it to stop, or the store is full.

        Returns the state that the run is in then; waiting or paused when it stopped early.

        Raises:
            StoreFull: There is no room for outputs. Nothing half was published.
            StoreUnreachable: The store is away.
            RunBusy: Another driver has taken the run, since this one was silent for too long.
        """
        with at_work(self._grip.driver):
            return self._drive(stop)

    def _drive(self, stop: threading.Event) -> RunState:
        try:
            self._adopt()
            self._try_store()
            self._publish(publishing.recover(self._database, self._driven))
            self._work(stop)
            if self._driven.state is RunState.CANCELLING:
                return self._cancel()
            self._raise_halt()
            if self._stopped(stop):
                return self._leave()
            return self._end(stop)
        except BaseException as error:
            # What is out is worth waiting for, unless nothing can be done with it, ever.
            passes = not isinstance(error, StoreError) or isinstance(error, StoreUnreachable)
            going_on = self._driven.lasting and passes
            note = str(error) if isinstance(error, StoreError) else ""
            self._let_go(going_on=going_on, note=note)
            raise
        finally:
            self._engine.close()
            if self._shared is not None:
                self._shared.leave(self._driven.id)

    def _adopt(self) -> None:
        """Wait for what an earlier driver has given out and this one goes on with."""
        if self._driven.lasting:
            self._engine.adopt([one.task for one in self._driven.flying.values()])
            self._engine.start()

    def _try_store(self) -> None:
        """Find out what the store refuses before every item fails by it."""
        self._driven.store.check(staging_token(self._driven.id, 0, 0))

    def _raise_halt(self) -> None:
        if self._halted is not None:
            raise self._halted

    def _work(self, stop: threading.Event) -> None:
        with _few_collections():
            while self._has_more() and not self._stopped(stop):
                self._turn()

    def _has_more(self) -> bool:
        return self._driven.counts.left > 0

    def _turn(self) -> None:
        self._beat()
        self._fill()
        # With nothing under way nothing can come back: go on at once, if there is more.
        idle = not (self._driven.flying or self._driven.cursor.at_end or self._full)
        self._take(self._engine.collect(0.0 if idle else TURN_SECONDS))
        if self._pace.is_due():
            self._pace.show(self._engine.workers())

    def _stopped(self, stop: threading.Event) -> bool:
        unwanted = self._driven.state in {RunState.PAUSED, RunState.CANCELLING}
        return stop.is_set() or unwanted or self._halted is not None

    def _beat(self) -> None:
        now = time.time()
        if 0 <= now - self._last_beat < BEAT_SECONDS:
            return
        if now < self._last_beat:
            # The clock was set back: what was to be done then is to be done now.
            self._next_renewal = self._next_look = 0.0
        begun = {one.task for one in self._engine.workers() if one.task is not None}
        wanting = bool(self._driven.flying) or self._full
        quiet = wanting and not begun and not self._heard
        away = self._reach.look(heard=self._heard or not self._driven.flying, now=now)
        self._hold(now, note=self._link.look(quiet=quiet, away=away))
        self._heard = False
        if self._driven.lasting:
            self._driven.begun |= begun & self._driven.flying.keys()
        claims.bind(self._database, self._engine.holders())
        if now >= self._next_renewal:
            self._renew(now)
        self._last_beat = now
        self._settle(outcomes.sweep(self._database, self._driven, now=now), overdue=True)

    def _renew(self, now: float) -> None:
        interval = self._grip.lease_seconds / RENEWALS
        alive: Collection[int] = self._engine.alive()
        if self._driven.lasting and self._last_beat and now - self._last_beat > interval:
            # It was this driver that slept: the workers' signs of life are still to be read.
            alive = list(self._driven.flying)
        self._next_renewal = now + interval
        claims.renew(self._database, alive, until=now + self._grip.lease_seconds)

    def _hold(self, now: float, note: str | None = None) -> None:
        if not driving.keep(self._database, self._driven, self._grip, now=now, note=note):
            message = f"Another process has taken over run {self._driven.id}."
            raise RunBusy(message, hint=f"Follow it: grange runs watch {self._driven.id}")

    def _fill(self) -> None:
        now = time.time()
        if self._driven.cursor.at_end and now < self._next_look:
            return
        wish = self._wish(now)
        if wish is None:
            return
        tasks, plan = claims.claim(
            self._database,
            self._driven,
            limit=wish.limit,
            now=now,
            lease_seconds=self._grip.lease_seconds,
        )
        self._give(tasks, plan, wish)

    def _wish(self, now: float, *, landing: int = 0) -> Wish | None:
        """How much to claim now, when so many of those that are out are about to land."""
        room = self._room(landing)
        self._full = room <= 0
        return None if self._full else Wish(room, now, now + self._grip.lease_seconds)

    def _give(self, tasks: list[Task], plan: Plan, wish: Wish) -> None:
        """Let workers do what was claimed."""
        self._hungry = len(tasks) >= wish.limit
        if tasks:
            # Only now: a run of which all is known already needs no worker.
            self._engine.start()
            self._engine.publish(Batch(self._driven.job, tuple(tasks)))
        if not self._hungry:
            # Nothing to claim until a delay is over or an outcome brings new tasks.
            self._next_look = wish.now + TURN_SECONDS
        self._ended(outcomes.known_ended(self._driven, plan))

    def _room(self, landing: int) -> int:
        """How many tasks to give out now."""
        room = min(self._engine.room(), CLAIM_LIMIT)
        if self._shared is None:
            return room
        held = len(self._driven.flying) - landing
        mine = Claim(
            weight=weight(self._driven.priority),
            held=held,
            window=max(1, held + room),
            hungry=self._hungry,
        )
        return min(room, self._shared.room(self._driven.id, self._shape, mine))

    def _take(self, came: list[Outcome]) -> None:
        if not came:
            return
        self._heard = True
        checked = [one if one.failure is None else self._check(one) for one in came]
        now = time.time()
        landing = [one.task for one in came if self._is_of_now(one)]
        going_on = self._halted is None and self._driven.state is RunState.RUNNING
        # Whoever waits for what comes next is kept waiting for one commit, not for two.
        wish = self._wish(now, landing=len(landing)) if going_on else None
        answer = outcomes.conclude(self._database, self._driven, checked, now=now, wish=wish)
        self._landed(landing)
        self._next_look = 0.0
        if wish is not None and answer.drawn is not None:
            tasks, plan = claims.hold(self._driven, answer.drawn)
            self._give(tasks, plan, wish)
        self._settle(answer)

    def _check(self, outcome: Outcome) -> Outcome:
        """A full store is no item's fault: the run stops, and the attempt doesn't count.

        Nor is one that is away; only another machine's may be, and that one's alone.
        """
        code = outcome.failure.code if outcome.failure is not None else ""
        kind = _HALTING.get(code)
        if outcome.failure is None or kind is None:
            return outcome
        if kind is StoreUnreachable and self._driven.lasting and self._reaches_buckets(outcome):
            return outcome
        self._halt(kind(outcome.failure.message))
        return replace(outcome, state=OutcomeState.RETURNED)

    def _reaches_buckets(self, outcome: Outcome) -> bool:
        """Whether the buckets are reached from here, so that it is one machine that doesn't."""
        if isinstance(self._halted, StoreUnreachable):
            return False
        claimed = self._driven.flying.get(outcome.task)
        try:
            check_buckets([self._driven.job.store, claimed.task.uri if claimed else ""])
        except StoreUnreachable:
            return False
        return True

    def _halt(self, error: StoreError) -> None:
        """Stop for a reason that passes, or that somebody has to see to."""
        if self._halted is None:
            first = "Make room" if isinstance(error, StoreFull) else "Wait until it is back"
            hint = f"{first}, then go on: grange runs resume {self._driven.id}"
            self._halted = type(error)(error.message, hint=hint)

    def _settle(self, answer: Concluded, *, overdue: bool = False) -> None:
        if answer.tried or answer.refused:
            tried, refused = answer.tried, len(answer.refused)
            self._observer(
                AttemptsEnded(run=self._driven.id, tried=tried, overdue=overdue, refused=refused)
            )
        self._ended(answer.ended)
        self._publish(answer.publish)
        if answer.abandon:
            self._engine.abandon(answer.abandon)
            self._landed(answer.abandon)
        self._discard(answer.discard)
        for outcome in answer.refused:
            text = f"An outcome of task {outcome.task} came too late and was refused."
            self._observer(RunNote(run=self._driven.id, text=text))

    def _is_of_now(self, outcome: Outcome) -> bool:
        """Whether this is no word of an earlier attempt at a task that was given out again."""
        claimed = self._driven.flying.get(outcome.task)
        return claimed is not None and claimed.task.epoch <= outcome.epoch

    def _landed(self, ids: Iterable[int]) -> None:
        flying, begun = self._driven.flying, self._driven.begun
        for number in ids:
            flying.pop(number, None)
            begun.discard(number)

    def _publish(self, publications: list[Publication]) -> None:
        if not publications:
            return
        answer = publishing.publish(self._database, self._driven, publications, now=time.time())
        self._ended(answer.ended)
        if answer.halted is not None:
            self._halt(answer.halted)

    def _ended(self, ended: Iterable[ItemEnded]) -> None:
        events = list(ended)
        if not events:
            return
        counts = self._driven.counts
        done = [event for event in events if event.state is ItemState.DONE]
        self._driven.counts = replace(
            counts,
            done=counts.done + len(done),
            failed=counts.failed + len(events) - len(done),
            reused=counts.reused + sum(event.reused for event in done),
        )
        for event in events:
            self._observer(event)

    def _discard(self, tokens: Iterable[str]) -> None:
        for token in tokens:
            try:
                self._driven.store.discard(token)
            except StoreError as error:
                self._observer(RunNote(run=self._driven.id, text=str(error)))

    def _cancel(self) -> RunState:
        self._recall()
        self._engine.forget()
        self._engine.close()
        self._hold(time.time())
        closing.call_off(self._database, self._driven, self._grip)
        return RunState.CANCELLED

    def _leave(self) -> RunState:
        # Whoever drives it next finds its work going on; who paused it wants that to stop.
        running = self._driven.state is RunState.RUNNING and self._halted is None
        self._let_go(going_on=self._driven.lasting and running)
        return RunState.PAUSED if self._driven.state is RunState.PAUSED else RunState.WAITING

    def _let_go(self, *, going_on: bool, note: str = "") -> None:
        """Stop driving. What is under way ends with it, unless it is `going_on` elsewhere."""
        if going_on:
            self._engine.close()
        else:
            self._drop_work()
        driving.let_go(self._database, self._driven, self._grip, note=note, going_on=going_on)

    def _recall(self) -> None:
        """Call back what workers have that outlive this driver."""
        if self._driven.lasting and self._driven.flying:
            self._engine.abandon(list(self._driven.flying))

    def _drop_work(self) -> None:
        """End what is under way, and remove what it has staged: nobody will publish that."""
        self._recall()
        # Who comes for what waits at an engine sees by this that nobody wants it.
        self._engine.forget()
        self._engine.close()
        tasks = [claimed.task for claimed in self._driven.flying.values()]
        mine = {staging_token(self._driven.id, task.id, task.epoch) for task in tasks}
        store = self._driven.store
        if isinstance(self._halted, StoreUnreachable):
            return  # It would be waited for once more: whoever goes on tidies up.
        # A store that refuses even this is no reason to say anything else than was to be said.
        with suppress(StoreError):
            for token in [one for one in store.staged() if attempt_token(one) in mine]:
                store.discard(token)
            store.clean()

    def _end(self, stop: threading.Event) -> RunState:
        if self._driven.reports and not self._make_report(stop):
            return self._leave()
        failed = self._driven.counts.failed or self._driven.counts.cancelled
        state = RunState.FAILED if failed else RunState.DONE
        self._engine.forget()
        self._engine.close()
        # Whoever lost the run has no say in its files any more: they may be another run's by now.
        self._hold(time.time())
        closing.close(self._database, self._driven, self._grip, state)
        self._pace.show((), last=True)
        return state

    def _make_report(self, stop: threading.Event) -> bool:
        """Let a worker make the pipeline's own report. False when it was stopped."""
        report = RunReport(self._database, self._driven)
        report.plan()
        while not report.ended() and not self._stopped(stop):
            self._beat()
            self._fill()
            came = self._engine.collect(TURN_SECONDS)
            for outcome in came:
                if self._is_report(outcome) and outcome.state is OutcomeState.DONE:
                    report.publish(outcome)
            self._take(came)
        if report.failure:
            text = f"The pipeline's report could not be made: {report.failure}"
            self._observer(RunNote(run=self._driven.id, text=text))
        return report.ended()

    def _is_report(self, outcome: Outcome) -> bool:
        claimed = self._driven.flying.get(outcome.task)
        return claimed is not None and claimed.task.kind is TaskKind.REPORT


@contextmanager
def _few_collections() -> Iterator[None]:
    """Let the garbage collector look less often.

    Thousands of tasks under way are no garbage; looking through them again
    and again took a tenth of the driver's time.
    """
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
