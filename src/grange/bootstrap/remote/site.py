"""All that may be done with runs, on a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from grange.bootstrap.remote import asking, views
from grange.bootstrap.remote import order as orders
from grange.bootstrap.remote.bringing import Bringer
from grange.bootstrap.remote.watching import watch
from grange.bootstrap.results import store_of
from grange.core.events import RunEnded
from grange.core.states import RunState
from grange.errors import ItemNotFound, UsageError
from grange.runs.models import RunPlan, RunSpec, Submitted
from grange.storage import uri_path
from grange.storage.s3urls import is_s3

if TYPE_CHECKING:
    from grange.client.api import Client
    from grange.client.known import Known
    from grange.client.schemas.runs import Run
    from grange.core.events import Observer
    from grange.core.states import ItemState
    from grange.runs.models import AttemptView, FailureGroup, ItemView, RunRequest, RunView

# How long a server may be gone while somebody waits for a run: a restart, an upgrade, a reboot.
PATIENCE_SECONDS = 900.0
# How many item paths a dry run shows.
EXAMPLES = 10
GOES_ON = "It goes on at the server; the same command brings its results."


def _ignore(_: object) -> None:
    """Nobody listens."""


class RemoteSite:
    """The runs of a server, as its user sees them."""

    def __init__(self, client: Client, known: Known, kept: Path) -> None:
        """Use `open_site`, which logs in too. Below `kept` lies what was asked for and is not done.

        That is so for results that go to buckets; of others it lies beside them.
        """
        self._client = client
        self._known = known
        self._kept = kept

    @property
    def server(self) -> str:
        """The server's URL."""
        return self._client.server

    def plan(self, request: RunRequest) -> RunPlan:
        """What the request would do. Inputs are counted here; parameters are checked at submit."""
        asked = asking.look_at(self._client, request, self._kept)
        number, size, examples = 0, 0, []
        for item in asked.scan:
            if number < EXAMPLES:
                examples.append(item.path)
            number, size = number + 1, size + item.size
        order, run = asking.unfinished(self._client, asked)
        given = dict(one.partition("=")[::2] for one in asking.settings_sent(request))
        spec = RunSpec(
            pipeline=asked.pipeline.name,
            version=asked.pipeline.version,
            params={**given, **request.params},
            function_key="",
            out=store_of(asked.out),
            inputs={"roots": [root.shown for root in asked.roots]},
        )
        skipped = dict(asked.scan.skipped)
        if asking.is_of_buckets(asked):
            there = self._client.runs.plan_run(asking.seen_run(asked, None))
            number, size, skipped = there.items, there.bytes, there.skipped
            examples = there.examples
        return RunPlan(
            spec=spec,
            items=number,
            bytes=size,
            skipped=skipped,
            examples=examples,
            resumes=order.run if run is not None else None,
        )

    def submit(self, request: RunRequest, *, told: asking.Told = _ignore) -> Submitted:
        """Send what the server can't see, and put the run on its disk.

        The very same request goes on where an earlier command was cut off,
        until its results are all there.
        """
        with self._patiently():
            asked = asking.look_at(self._client, request, self._kept)
            order, run = asking.unfinished(self._client, asked)
            resumed = run is not None
            if run is None:
                orders.write_order(asked.kept, order)
                run = asking.submit(self._client, self._known, asked, order, told)
                orders.write_order(asked.kept, orders.with_run(order, run.id))
            self._known.keep_place(self.server, run.id, store_of(asked.out))
            skipped = dict(asked.scan.skipped)
            return Submitted(run=self._view(run), resumed=resumed, skipped=skipped)

    def drive(
        self,
        run: str,
        *,
        workers: int | None = None,
        observer: Observer | None = None,
        stop: threading.Event | None = None,
    ) -> RunView:
        """Watch the run to its end, and bring its results as they come.

        When `stop` is set it is let go; the server works on.
        """
        observer, stop = observer or _ignore, stop or threading.Event()
        with self._patiently():
            view = self.find_run(run)
            if view.state is RunState.PAUSED:
                view = self.unpause(view.id)
            out = self._wanted_at(view)
            if out is None:
                return self._follow_to_bucket(view, observer, stop)
            with closing(Bringer(self._client, self._known, view.id, out)) as bringer:
                watch(self._client, view, observer, stop, bringer=bringer)
                view = self.find_run(view.id)
                if view.state.is_finished() and not stop.is_set():
                    bringer.finish()
                    orders.drop_order(out)
        observer(RunEnded(run=view.id, state=view.state))
        return self._let_go(view)

    def follow(
        self, run: str, *, observer: Observer | None = None, stop: threading.Event | None = None
    ) -> RunView:
        """Say what happens to the run, until it ends, is paused, or `stop` is set."""
        observer, stop = observer or _ignore, stop or threading.Event()
        with self._patiently():
            view = self.find_run(run)
            watch(self._client, view, observer, stop)
            view = self.find_run(view.id)
        observer(RunEnded(run=view.id, state=view.state))
        return self._let_go(view)

    def detach(self, run: str, *, workers: int | None = None) -> None:
        """Nothing is to be done: the server works on the run in any case."""

    def find_run(self, text: str) -> RunView:
        """The run of an id, of the beginning of one, or of a name; `last` is the newest."""
        return self._view(self._client.runs.show_run(text))

    def list_runs(self, *, state: RunState | None = None, limit: int | None = 50) -> list[RunView]:
        """The newest runs first."""
        found = self._client.runs.every_run(state=str(state) if state else "", part=limit)
        return [self._view(run) for run in islice(found, limit)]

    def items(self, run: str, *, state: ItemState | None = None) -> Iterator[ItemView]:
        """The run's items in the order of submission, streaming."""
        for item in self._client.runs.every_item(run, state=str(state) if state else ""):
            yield views.item_view(item, uri=self._item_url(run, item.id))

    def find_item(self, run: str, path: str) -> ItemView:
        """The item of a path, or of the end of one."""
        near = []
        for item in self._client.runs.every_item(run, q=path):
            if item.path == path:
                return views.item_view(item, uri=self._item_url(run, item.id))
            if item.path.endswith(f"/{path}"):
                near.append(item)
        if len(near) != 1:
            what = "several items whose paths end in" if near else "no item"
            message = f"The run has {what} {path!r}."
            raise ItemNotFound(message, hint="See them all: grange runs items RUN")
        return views.item_view(near[0], uri=self._item_url(run, near[0].id))

    def attempts(self, run: str, item: ItemView) -> list[AttemptView]:
        """The ended attempts at an item; their logs are named by URLs."""
        logs = f"{self._item_url(run, item.id)}/attempts"
        found = self._client.runs.list_attempts(run, item.id).items
        return [views.attempt_view(one, logs=logs) for one in found]

    def read_log(self, place: str) -> Iterator[bytes]:
        """The log that an attempt names, as it comes."""
        return self._client.runs.read_path(place.removeprefix(f"{self._api}/"))

    def failures(self, run: str) -> list[FailureGroup]:
        """Why items failed, the most frequent reason first."""
        return list(map(views.failure_view, self._client.runs.list_failures(run).items))

    def cancel(self, run: str) -> RunView:
        """Call the run off; the server stops within seconds."""
        return self._view(self._client.runs.cancel_run(run))

    def pause(self, run: str) -> RunView:
        """Let the run stand still until somebody resumes it."""
        return self._view(self._client.runs.pause_run(run))

    def unpause(self, run: str) -> RunView:
        """Let a paused run go on."""
        return self._view(self._client.runs.resume_run(run))

    def retry(self, run: str) -> RunView:
        """Open the run's failed and cancelled items again; the server works on them."""
        return self._view(self._client.runs.retry_run(run))

    def export(
        self, run: str, dialect: str, target: Path, options: Mapping[str, str]
    ) -> Sequence[str]:
        """Write the run's results in another format into an empty folder; returns remarks."""
        from grange.bootstrap.exporting import export_there

        return export_there(self._client, self.find_run(run), dialect, target, options)

    def delete(self, run: str, *, outputs: bool = False) -> None:
        """Delete the run at the server, with its logs and outputs there.

        Raises:
            UsageError: `outputs` is set: what came to this machine stays, whatever the server does.
        """
        if outputs:
            raise UsageError(
                "The server deletes its outputs with the run; those on this machine are yours.",
                hint="Leave --outputs out, and delete the folder yourself.",
            )
        self._client.runs.delete_run(run)

    @property
    def _api(self) -> str:
        return f"{self.server}/api/v1"

    def _item_url(self, run: str, item: int) -> str:
        return f"{self._api}/runs/{run}/items/{item}"

    def _follow_to_bucket(
        self, view: RunView, observer: Observer, stop: threading.Event
    ) -> RunView:
        """Nothing has to be brought: the server puts the results where they are wanted."""
        view = self.follow(view.id, observer=observer, stop=stop)
        if is_s3(view.out) and view.state.is_finished():
            orders.drop_order(orders.folder_of(view.out, self.server, self._kept))
        return view

    def _view(self, run: Run) -> RunView:
        place = run.out or self._known.place(self.server, run.id)
        return views.run_view(run, out=place or f"{self._api}/runs/{run.id}/outputs")

    def _wanted_at(self, view: RunView) -> Path | None:
        return uri_path(view.out) if view.out.startswith("file://") else None

    def _let_go(self, view: RunView) -> RunView:
        """The run, with a word for whoever stops waiting for it."""
        if view.state.is_finished() or view.state is RunState.PAUSED:
            return view
        return replace(view, note=" ".join(filter(None, (view.note, GOES_ON))))

    @contextmanager
    def _patiently(self) -> Iterator[None]:
        """While somebody waits for a run, a server that goes away is waited for."""
        connection = self._client.connection
        before = connection.patience_seconds
        connection.patience_seconds = PATIENCE_SECONDS
        try:
            yield
        finally:
            connection.patience_seconds = before
