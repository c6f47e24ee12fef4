"""The embedded site: this process's own database, folders and workers, no daemon."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from grange.errors import NotFound, PipelineInvalid, SettingInvalid, UsageError
from grange.runs.models import RunPlan, RunRequest, RunSpec, Submitted
from grange.runs.service import Runs

if TYPE_CHECKING:
    from grange.bootstrap.engines import Engines
    from grange.core.events import Observer
    from grange.core.states import ItemState, RunState
    from grange.db import Database
    from grange.engines.base import Engine
    from grange.runs.inputs import Scan
    from grange.runs.models import AttemptView, FailureGroup, ItemView, RunView
    from grange.settings import Settings

_LOG_PIECE_BYTES = 1 << 16
# How many item paths a dry run shows.
EXAMPLES = 10


@contextmanager
def open_site(settings: Settings) -> Iterator[Site]:
    """The embedded site of these settings: its state lies in `settings.home`."""
    with open_runs(settings) as runs:
        yield Site(settings, runs)


@contextmanager
def open_runs(settings: Settings) -> Iterator[Runs]:
    """The runs of the ledger of these settings, whose tables are brought up to date first."""
    from grange.db import open_database
    from grange.db.schema import prepare

    make_home(settings.home)
    database = open_database(settings.database)
    try:
        prepare(database)
        yield runs_of(database, settings)
    finally:
        database.close()


def runs_of(database: Database, settings: Settings) -> Runs:
    """The runs of a ledger that is open, with their logs below the home."""
    return Runs(
        database,
        logs=settings.home / "runs",
        kept=settings.home / "kept",
        kept_bytes=settings.kept_bytes,
        work=settings.home / "work",
        work_bytes=settings.cache_bytes,
        lease_seconds=settings.lease_seconds,
        delay_seconds=settings.retry_delay_seconds,
        engine="" if settings.engine == "local" else settings.shown("engine"),
    )


def make_home(home: Path) -> None:
    """Make the folder of Grange's own state, for its owner alone."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        message = f"The folder {home} for Grange's own state can't be made: {error.strerror}."
        raise SettingInvalid(message, hint="Choose another one: GRANGE_HOME") from error


def worker_command(*, keeps_keys: bool = False) -> list[str]:
    """How a worker process is started: this very Python, and nothing of the user's main module.

    One that keeps the keys of buckets to itself gives commands none of them.
    """
    return [sys.executable, "-m", "grange.worker", *(["--keep-keys"] if keeps_keys else [])]


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment, and in it the settings that came as flags."""
    from grange.settings import SETTINGS

    flags = {
        setting.env: str(getattr(settings, setting.name))
        for setting in SETTINGS
        if settings.source(setting.name) == "flag"
    }
    return {**os.environ, **flags}


def _ignore(event: object) -> None:
    """Nobody listens."""


class Site:
    """All that may be done with runs, on this machine.

    `keeps_keys` says that keys of buckets are not for what others run here.
    """

    keeps_keys = False

    def __init__(self, settings: Settings, runs: Runs) -> None:
        """Use `open_site`, which opens the database too."""
        self._settings = settings
        self._runs = runs

    @property
    def server(self) -> str:
        """Nothing: this machine does the work."""
        return ""

    def plan(self, request: RunRequest) -> RunPlan:
        """What the request would do: checks everything and counts, writes nothing."""
        from itertools import islice

        spec, scan = self._prepare(request)
        number, size, examples = 0, 0, []
        stream = iter(scan)
        for item in islice(stream, EXAMPLES):
            examples.append(item.path)
            number, size = number + 1, size + item.size
        for item in stream:
            number, size = number + 1, size + item.size
        return RunPlan(
            spec=spec,
            items=number,
            bytes=size,
            skipped=dict(scan.skipped),
            examples=examples,
            resumes=self._runs.unfinished(spec),
        )

    def submit(self, request: RunRequest, *, told: Callable[[str], None] = _ignore) -> Submitted:
        """Put the run on disk. It is not worked on before `drive`."""
        spec, scan = self._prepare(request)
        submitted = self._runs.submit(spec, scan)
        return Submitted(
            run=submitted.run,
            resumed=submitted.resumed,
            driver=submitted.driver,
            skipped=dict(scan.skipped),
        )

    def drive(
        self,
        run: str,
        *,
        workers: int | None = None,
        observer: Observer | None = None,
        stop: threading.Event | None = None,
    ) -> RunView:
        """Work on the run in this process until it ends, or follow whoever does already.

        Returns the run as it is then: unfinished when `stop` was set, or somebody paused it.
        """
        view = self._runs.find(run)
        self._check_version(view)
        self._runs.unpause(view)
        return self._runs.drive(
            view,
            lambda: self._engine(view, workers),
            observer=observer or _ignore,
            stop=stop or threading.Event(),
        )

    def follow(
        self, run: str, *, observer: Observer | None = None, stop: threading.Event | None = None
    ) -> RunView:
        """Say what happens to the run, until it ends or nobody works on it."""
        return self._runs.follow(
            self._runs.find(run), observer=observer or _ignore, stop=stop or threading.Event()
        )

    def detach(self, run: str, *, workers: int | None = None) -> int:
        """Let a process that outlives this one work on the run; returns its number."""
        view = self._runs.find(run)
        folder = self._runs.logs_of(view)
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "grange", "runs", "resume", view.id, "--quiet"]
        if workers is not None:
            command += ["--workers", str(workers)]
        with (folder / "driver.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=environment(self._settings),
            )
        return process.pid

    def find_run(self, text: str) -> RunView:
        """The run of an id, of the beginning of one, or of a name; `last` is the newest."""
        return self._runs.find(text)

    def list_runs(self, *, state: RunState | None = None, limit: int | None = 50) -> list[RunView]:
        """The newest runs first."""
        return self._runs.recent(state=state, limit=limit)

    def items(self, run: str, *, state: ItemState | None = None) -> Iterator[ItemView]:
        """The run's items in the order of submission, streaming."""
        return self._runs.items(self._runs.find(run), state=state)

    def ended(self, run: str, *, after: tuple[float, int] = (0.0, 0)) -> list[ItemView]:
        """The next items that ended after one of this (time, id), in the order of their ends."""
        return self._runs.ended(self._runs.find(run), after=after)

    def find_item(self, run: str, path: str) -> ItemView:
        """The item of a path, or of the end of one."""
        return self._runs.item(self._runs.find(run), path)

    def attempts(self, run: str, item: ItemView) -> list[AttemptView]:
        """The ended attempts at an item, with where their logs are."""
        return self._runs.attempts(self._runs.find(run), item)

    def read_log(self, place: str) -> Iterator[bytes]:
        """The log of this path, in pieces."""
        try:
            with open(place, "rb") as log:
                while piece := log.read(_LOG_PIECE_BYTES):
                    yield piece
        except FileNotFoundError:
            raise NotFound("This log is gone.") from None

    def failures(self, run: str) -> list[FailureGroup]:
        """Why items failed, the most frequent reason first."""
        return self._runs.failures(self._runs.find(run))

    def cancel(self, run: str) -> RunView:
        """Call the run off; whoever drives it stops within seconds."""
        return self._runs.cancel(self._runs.find(run))

    def pause(self, run: str) -> RunView:
        """Let the run stand still until somebody resumes it."""
        return self._runs.pause(self._runs.find(run))

    def unpause(self, run: str) -> RunView:
        """Let a paused run wait for a driver again."""
        return self._runs.unpause(self._runs.find(run))

    def retry(self, run: str) -> RunView:
        """Open the run's failed and cancelled items again; `drive` works on them."""
        return self._runs.retry(self._runs.find(run))

    def export(
        self, run: str, dialect: str, target: Path, options: Mapping[str, str]
    ) -> Sequence[str]:
        """Write the run's results in another format into an empty folder; returns remarks."""
        from grange.bootstrap.exporting import export_here

        return export_here(self._runs.find(run), dialect, target, options)

    def delete(self, run: str, *, outputs: bool = False) -> None:
        """Delete the run's account and logs; its outputs too, when asked to."""
        self._runs.delete(self._runs.find(run), outputs=outputs)

    def _prepare(self, request: RunRequest) -> tuple[RunSpec, Scan]:
        from grange.bootstrap.results import check_out
        from grange.runs.inputs import Scan, find_roots

        spec, accepts, out = self._spec(request)
        roots = find_roots(request.inputs, cwd=spec.cwd)
        check_out(out, [root.path for root in roots])
        scan = Scan(
            roots=roots,
            include=request.include,
            exclude=request.exclude,
            accepts=accepts,
            out=out,
        )
        return replace(spec, inputs={"roots": [root.shown for root in roots], **spec.inputs}), scan

    def _spec(self, request: RunRequest) -> tuple[RunSpec, Sequence[str], str]:
        """The request made exact, but for its inputs; which ones it accepts; where outputs go."""
        from grange.bootstrap.results import place_of, store_of
        from grange.core.resources import asked_for
        from grange.pipelines import catalog, parameters

        if request.group:
            message = f"There are no groups without a server, so none is called {request.group!r}."
            raise UsageError(message, hint="Log in to one (grange login URL), or leave --group.")
        cwd = Path(request.cwd or Path.cwd())
        reference = catalog.absolute(request.pipeline, cwd=cwd)
        pipeline = catalog.find(reference)
        given = parameters.parse_settings(pipeline, request.settings, cwd=cwd)
        params = parameters.check_params(pipeline, {**given, **request.params}, cwd=cwd)
        out = place_of(request.out, cwd)
        spec = RunSpec(
            pipeline=reference,
            version=pipeline.version,
            params=params.model_dump(mode="json"),
            function_key=catalog.function_key(pipeline, params),
            out=store_of(out),
            inputs={"include": list(request.include), "exclude": list(request.exclude)},
            models=pipeline.models(params),
            splits=pipeline.splits(),
            reports=pipeline.reports(),
            reads_name=pipeline.reads_name,
            retries=request.retries,
            timeout_seconds=request.timeout_seconds,
            name=request.name,
            priority=request.priority,
            needs=asked_for(pipeline.needs(params), request.needs),
            cwd=str(cwd),
        )
        return spec, pipeline.accepts, out

    def _check_version(self, run: RunView) -> None:
        """A run goes on with the pipeline that it began with, or not at all."""
        from grange.pipelines import catalog

        present = catalog.find(run.pipeline).version
        if present != run.version:
            message = (
                f"Run {run.id} was begun with version {run.version} of {run.pipeline}, "
                f"which is {present} by now."
            )
            hint = f"Cancel it (grange runs cancel {run.id}) and run the new version."
            raise PipelineInvalid(message, hint=hint)

    def _engine(self, run: RunView, workers: int | None = None) -> Engine:
        return self._engines.make(run, workers or self._settings.workers)

    @cached_property
    def _engines(self) -> Engines:
        from grange.bootstrap.engines import Engines

        return Engines(self._settings, worker_command(keeps_keys=self.keeps_keys))
