"""What may be done with runs. The embedded program and the server both stand on this.

What changes runs is imported where it is used: a list of runs must be quick.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from grange.core.states import RunState
from grange.db import Database
from grange.errors import GrangeError, RunBusy
from grange.errors import RunEnded as RunHasEnded
from grange.runs import queries, walking
from grange.runs.models import (
    ITEMS_FILE,
    REPORT_FILE,
    REPORT_FOLDER,
    RUN_FILE,
    AttemptView,
    ItemView,
    NewItem,
    RunSpec,
    RunView,
    Submitted,
)
from grange.runs.reaching import check_reached
from grange.runs.reads import Reads

if TYPE_CHECKING:
    from grange.core.events import Observer
    from grange.engines.base import Engine
    from grange.runs.control import Also
    from grange.runs.driving import Grip
    from grange.runs.sharing import Shared
    from grange.runs.submission import AlsoSealed
    from grange.runs.watching import Watcher

CUT_OFF_SECONDS = 86_400.0


class Runs(Reads):
    """The runs of one ledger. Safe to use from several threads and processes at once."""

    def __init__(  # noqa: PLR0913  # each is a setting
        self,
        database: Database,
        *,
        logs: Path,
        kept: Path | None = None,
        kept_bytes: int = 0,
        work: Path | None = None,
        work_bytes: int = 0,
        lease_seconds: float = 60.0,
        delay_seconds: float = 1.0,
        engine: str = "",
    ) -> None:
        """Look after the runs of `database`; logs go below `logs`, a folder for each run.

        Stages of pipelines keep at most `kept_bytes` below `kept` for later runs. Below `work`
        lie what is built for stores elsewhere, and at most `work_bytes` of fetched inputs. `engine`
        tells the one that runs are driven with from others that outlive their drivers too.
        """
        super().__init__(database)
        self._logs = logs
        self._kept = str(kept or "")
        self._kept_bytes = kept_bytes
        self._work = work
        self._work_bytes = work_bytes
        self._lease_seconds = lease_seconds
        self._delay_seconds = delay_seconds
        self._engine = engine

    def submit(
        self,
        spec: RunSpec,
        found: Iterable[NewItem],
        id: str | None = None,  # noqa: A002
        also: AlsoSealed | None = None,
    ) -> Submitted:
        """Put a run on disk, streaming its items.

        With an `id` chosen beforehand, doing it again finds the very same run,
        or goes on with it where a dead process had left it.

        The very same request as that of an unfinished run goes on with that
        one: inputs that are new by now join it, unless somebody works on it.

        Of this and of what changes a run, `also` is done in the very transaction
        that makes it true, and not when there was nothing to do.

        Raises:
            OutputInUse: An unfinished run of another request writes to the same place.
            InputsInvalid: There is no input.
            RunBusy: Another submission of the same `id` is under way.
        """
        from grange.runs import submission

        known = queries.run_of_id(self._database, id) if id else None
        if known is not None and known.state is not RunState.SUBMITTING:
            return Submitted(run=known, resumed=True, driver=known.driver)
        opened = submission.open_run(self._database, spec, id)
        run = queries.find_run(self._database, opened.id)
        if opened.busy and id is not None and run.state is RunState.SUBMITTING:
            raise RunBusy(f"Run {id} is being submitted.", hint="Ask again in a moment.")
        if opened.busy:
            return Submitted(run=run, resumed=True, driver=run.driver)
        if opened.state is RunState.CANCELLING:
            # Whoever was to stop it has died: bring it to its end, then begin anew.
            self._cancel_here(run)
            opened = submission.open_run(self._database, spec)
        try:
            submission.add_items(self._database, opened, found)
        except BaseException:
            if id is not None:
                # Whoever asked is told, and may ask anew: nothing half stays behind.
                with suppress(GrangeError):
                    submission.withdraw(self._database, opened)
            raise
        submission.seal(self._database, opened, also)
        return Submitted(run=queries.find_run(self._database, opened.id), resumed=opened.known)

    def drive(
        self,
        run: RunView,
        engine: Callable[[], Engine],
        *,
        observer: Observer,
        stop: threading.Event,
    ) -> RunView:
        """Work on the run until it ends or `stop` is set. While another process does, follow it.

        Raises:
            StoreFull, DatabaseFull: There is no room; the run can go on when there is.
            WorkerStartFailed: Workers can't be started.
        """
        from grange.core.events import RunEnded, RunNote

        noted = False
        while not stop.is_set():
            try:
                self._drive_once(run, engine, observer, stop)
            except RunBusy as busy:
                if not noted:
                    text = f"{busy.message} This one follows it, and takes over if that one ends."
                    observer(RunNote(run=run.id, text=text))
                    noted = True
                from grange.runs.follow import Follower

                Follower(self._database, run, observer).follow(stop)
            except RunHasEnded:
                pass
            run = queries.find_run(self._database, run.id)
            if run.state.is_finished() or run.state is RunState.PAUSED:
                break
        observer(RunEnded(run=run.id, state=run.state))
        return run

    def work_on(
        self,
        run: RunView,
        engine: Callable[[], Engine],
        *,
        observer: Observer,
        stop: threading.Event,
        shared: Shared | None = None,
    ) -> None:
        """Work on the run until it ends, somebody pauses it, or `stop` is set.

        With `shared` it leaves others that have it too their part of the workers.

        Raises:
            RunBusy: Somebody else works on it.
            RunEnded: There is nothing left to do.
            StoreFull, DatabaseFull: There is no room.
            StoreUnreachable: A bucket is away; where that is known at once, nothing was touched.
            WorkerStartFailed: Workers can't be started.
        """
        if run.note and run.state is not RunState.CANCELLING:
            # It could not go on before: as long as that is so, its note is to stay.
            check_reached(run)
        if run.state is RunState.CANCELLING and not self._engine:
            # Its driver died before it had called everything off.
            self._cancel_here(run)
        else:
            self._drive_once(run, engine, observer, stop, shared=shared)

    def watcher(self) -> Watcher:
        """What drives runs that grow, as one driver."""
        from grange.runs.watching import Watcher

        return Watcher(self._database, self._grip(), self._logs)

    def follow(self, run: RunView, *, observer: Observer, stop: threading.Event) -> RunView:
        """Say what happens to the run until it ends, or nobody works on it any more."""
        from grange.core.events import RunEnded
        from grange.runs.follow import Follower

        Follower(self._database, run, observer).follow(stop)
        run = queries.find_run(self._database, run.id)
        observer(RunEnded(run=run.id, state=run.state))
        return run

    def attempts(self, run: RunView, item: ItemView) -> list[AttemptView]:
        """The ended attempts at an item, with where their logs are."""
        return queries.attempts_of(self._database, item.id, logs=str(self.logs_of(run)))

    def change(
        self,
        run: RunView,
        *,
        name: str | None = None,
        priority: int | None = None,
        shared_with: str | None = None,
    ) -> RunView:
        """Change what is given; sharing with "" is sharing with nobody."""
        from grange.runs import control

        control.change(
            self._database, run, {"name": name, "priority": priority, "shared_with": shared_with}
        )
        return queries.find_run(self._database, run.id)

    def note(self, run: RunView, text: str) -> None:
        """Say why a run that waits does not go on."""
        from grange.runs import control

        control.note(self._database, run, text)

    def cancel(self, run: RunView, also: Also | None = None) -> RunView:
        """Call the run off: whoever drives it stops within seconds; else it ends here and now."""
        from grange.runs import control

        while control.ask_cancel(self._database, run, also):
            also = None  # Once is enough.
            try:
                self._cancel_here(run)
            except RunBusy:
                # Somebody took it in hand just now: they are to be asked.
                continue
            break
        return queries.find_run(self._database, run.id)

    def pause(self, run: RunView, also: Also | None = None) -> RunView:
        """Let the run stand still until somebody resumes it."""
        from grange.runs import control

        control.pause(self._database, run, also)
        return queries.find_run(self._database, run.id)

    def unpause(self, run: RunView, also: Also | None = None) -> RunView:
        """Let a paused run wait for a driver again."""
        from grange.runs import control

        control.unpause(self._database, run, also)
        return queries.find_run(self._database, run.id)

    def retry(self, run: RunView, also: Also | None = None) -> RunView:
        """Open the run's failed and cancelled items again."""
        from grange.runs import control

        control.retry(self._database, run, also)
        return queries.find_run(self._database, run.id)

    def delete(self, run: RunView, also: Also | None = None, *, outputs: bool = False) -> None:
        """Delete the run's account and logs; its outputs too, when `outputs` says so."""
        from grange.runs import control

        if outputs:
            self._delete_outputs(run)
        control.delete_run(self._database, run, also, logs=self.logs_of(run))

    def sweep(self, *, clock: Callable[[], float] = time.time) -> int:
        """Call off what a server's users began to submit and never did again; says how many.

        Their requests were cut off, and nothing repeated them for a day.
        """
        from grange.runs import control, driving

        now = clock()
        numbers = control.cut_off(self._database, silent_since=now - CUT_OFF_SECONDS)
        for number in numbers:
            driving.cancel_rest(self._database, number, now=now)
            control.close_cancelled(self._database, number, now=now)
        return len(numbers)

    def logs_of(self, run: RunView) -> Path:
        """The folder of the run's logs."""
        return self._logs / run.id

    def _drive_once(
        self,
        run: RunView,
        engine: Callable[[], Engine],
        observer: Observer,
        stop: threading.Event,
        *,
        shared: Shared | None = None,
    ) -> None:
        from grange.runs import driving
        from grange.runs.dispatch import Dispatcher

        # Made first: once the run is in hand, nothing but the work itself may fail.
        workers = engine()
        grip = driving.grip_with(self._grip(), workers)
        driven = driving.take(
            self._database, run.number, grip, logs=str(self.logs_of(run)), now=time.time()
        )
        Dispatcher(self._database, workers, driven, grip, observer, shared=shared).run(stop)

    def _cancel_here(self, run: RunView) -> None:
        """End a run that nobody drives: take it in hand, so that nobody else does meanwhile."""
        from grange.runs import closing, control, driving

        if run.state is RunState.SUBMITTING:
            driving.cancel_rest(self._database, run.number, now=time.time())
            control.close_cancelled(self._database, run.number, now=time.time())
            return
        grip = driving.grip_with(self._grip(), None)
        driven = driving.take(
            self._database, run.number, grip, logs=str(self.logs_of(run)), now=time.time()
        )
        closing.call_off(self._database, driven, grip)

    def _grip(self) -> Grip:
        from grange.runs.driver import this_driver
        from grange.runs.driving import Grip

        return Grip(
            this_driver(),
            self._lease_seconds,
            self._delay_seconds,
            self._kept,
            self._kept_bytes,
            engine=self._engine,
            work=str(self._work or ""),
            work_bytes=self._work_bytes,
        )

    def _delete_outputs(self, run: RunView) -> None:
        from grange.runs.manifest import published_path
        from grange.storage import open_store

        store = open_store(run.out, work=self._work)
        for item in walking.iterate_items(self._database, run.number):
            if item.outputs:
                store.delete_tree(published_path(item.path))
        store.delete_tree(REPORT_FOLDER)
        for name in (RUN_FILE, ITEMS_FILE, REPORT_FILE):
            store.delete(name)
        store.clean()
