"""What may be done with runs over HTTP, with the rules of access inside.

Routers and pages hold a desk and never the runs themselves.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from grange.client.schemas import runs as schemas
from grange.client.schemas.basis import Page
from grange.client.schemas.models import Model
from grange.core.ids import looks_like_id, new_id
from grange.core.states import RunState
from grange.errors import DatabaseBusy, ItemNotFound, RunBusy, UsageError
from grange.runs.itempages import ItemFilter
from grange.runs.models import AttemptView, RunSpec, RunView, Submitted
from grange.runs.pages import RunFilter
from grange.server import access, buckets, offers, published, shown, submitting, visitors
from grange.server.downloads import Download
from grange.server.exports import Export
from grange.server.watchlist import WatchList, watch_list

if TYPE_CHECKING:
    from grange.accounts.models import Actor
    from grange.runs.control import Also
    from grange.runs.submission import AlsoSealed
    from grange.server.parts import Parts


# How long a repeated request waits for the first one of its kind, and how often it looks.
PATIENCE_SECONDS = 20.0
LOOK_SECONDS = 0.1

# So many attempts a time line shows.
MOST_SPANS = 2000


@dataclass(frozen=True, kw_only=True)
class Overview:
    """How the runs that somebody sees stand: counts of those unfinished, and the newest ones."""

    counts: dict[RunState, int]
    recent: list[schemas.Run] = field(default_factory=list)


class Desk:
    """Runs, as one actor may see and change them.

    `ref` is a run's id, the beginning of one, a name, or `last`, among what the actor sees.
    Everything may raise `RunNotFound`, and what changes something `NotAllowed`.
    """

    def __init__(self, parts: Parts, actor: Actor) -> None:
        """Stand at the desk for one request."""
        self._parts = parts
        self._runs = parts.runs
        self.actor = actor
        self.sight = access.sight_of(actor)
        self._veil = shown.veil_over(parts.settings.home)

    # ---- looking at runs

    def find(self, ref: str) -> RunView:
        """The run that is meant.

        Raises:
            RunNotFound: There is none that the actor sees.
            UsageError: Several ids begin so.
        """
        run = self._runs.of_id(ref)
        if run is None or not self.sight.sees(run):
            run = self._runs.seen(self.sight, ref) if ref else None
        if run is None and ref == "last":
            run = self._runs.seen(self.sight, "")
        if run is None and looks_like_id(ref):
            several = self._runs.beginning(self.sight, ref)
            if len(several) > 1:
                raise UsageError(f"Several runs' ids begin with {ref!r}.", hint="Give more of it.")
            run = several[0] if several else None
        if run is None:
            raise access.not_there(ref)
        return run

    def show(self, ref: str) -> schemas.Run:
        """The run that is meant, as people see it."""
        return self._shown(self.find(ref))

    def may_change(self, run: RunView) -> bool:
        """Whether this actor may say what becomes of the run."""
        return access.may_change(self.actor, run)

    def page(
        self, wanted: RunFilter | None = None, *, after: str | None = None, limit: int = 50
    ) -> Page[schemas.Run]:
        """The newest runs first, from `after` on."""
        part = self._runs.page(self.sight, wanted or RunFilter(), after=after, limit=limit)
        return Page(items=self._all_shown(part.rows), next=part.next)

    def overview(self, *, limit: int = 10) -> Overview:
        """How things stand."""
        return Overview(
            counts=self._runs.count_states(self.sight), recent=self.page(limit=limit).items
        )

    # ---- looking into a run

    def items(
        self,
        ref: str,
        wanted: ItemFilter | None = None,
        *,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[schemas.Item]:
        """A run's items in the order of submission; a page may be short and yet have a next one."""
        part = self._runs.page_of_items(
            self.find(ref), wanted or ItemFilter(), after=after, limit=limit
        )
        items = [shown.item_shown(item, self._veil) for item in part.rows]
        return Page(items=items, next=part.next)

    def item(self, ref: str, item: int) -> schemas.Item:
        """One of a run's items.

        Raises:
            ItemNotFound: The run has no such item.
        """
        return shown.item_shown(self._runs.item_by_id(self.find(ref), item), self._veil)

    def item_at(self, ref: str, path: str) -> schemas.Item:
        """The item of a path, or of the end of one. Looks through all of them: for people."""
        return shown.item_shown(self._runs.item(self.find(ref), path), self._veil)

    def attempts(self, ref: str, item: int) -> list[schemas.Attempt]:
        """The ended attempts at an item, in their order."""
        return [shown.attempt_shown(one, self._veil) for one in self._attempts(ref, item)]

    def log(self, ref: str, item: int, *, task: int, epoch: int, stream: str) -> Download:
        """What an attempt has written to `out` or `err`; nothing where it wrote nothing.

        Raises:
            ItemNotFound: There was no such attempt.
        """
        for one in self._attempts(ref, item):
            if (one.task, one.epoch) == (task, epoch):
                log = one.out_log if stream == "out" else one.err_log
                return published.log_of(log, name=f"{task}-{epoch}.{stream}.txt")
        message = f"Item {item} has no attempt {task}/{epoch}."
        raise ItemNotFound(message, hint="See the list of its attempts.")

    def failures(self, ref: str) -> list[schemas.FailureGroup]:
        """Why items failed, the most frequent reason first."""
        return [
            schemas.FailureGroup(
                code=group.code,
                count=group.count,
                message=self._veil.over(group.message),
                example=group.example,
            )
            for group in self._runs.failures(self.find(ref))
        ]

    def watch_list(self, ref: str) -> WatchList:
        """Slow inputs, and those that fail and are tried again."""
        return watch_list(self._runs, self.find(ref), self._veil, self._parts.hub.called)

    def cells(self, ref: str) -> schemas.Cells:
        """All items of a run at a glance."""
        found = self._runs.cells(self.find(ref))
        return schemas.Cells(
            total=found.total,
            per_cell=found.per_cell,
            first_ids=list(found.first_ids),
            states=found.states,
        )

    def timeline(self, ref: str) -> schemas.TimeLine:
        """What the workers did for the items that ended last."""
        return shown.timeline_shown(self._runs.newest_spans(self.find(ref), limit=MOST_SPANS))

    def ended(self, ref: str, *, limit: int = 50) -> list[schemas.Item]:
        """The items that ended last, the newest first."""
        found = self._runs.newest_ended(self.find(ref), limit=limit)
        return [shown.item_shown(item, self._veil) for item in found]

    def ended_after(
        self, ref: str, place: tuple[float, int], *, limit: int = 500
    ) -> list[schemas.Item]:
        """The items that ended after one of this (time, id), in the order of their ends."""
        found = self._runs.ended(self.find(ref), after=place, limit=limit)
        return [shown.item_shown(item, self._veil) for item in found]

    # ---- outputs

    def outputs(
        self, ref: str, *, after: str | None = None, limit: int = 50
    ) -> Page[schemas.OutputFile]:
        """What a run has published: its own files first, then those of its items in their order."""
        return published.listed(self._runs, self.find(ref), after=after, limit=limit)

    def open_output(self, ref: str, path: str) -> Download:
        """A published file, by its path below the run's outputs.

        Raises:
            StoreMissing: There is none.
        """
        return published.find(self._runs, self.find(ref), path)

    def archive(self, ref: str) -> tuple[RunView, Iterator[bytes]]:
        """The run, and all that it has published as one .zip, made while it is read."""
        run = self.find(ref)
        return run, published.zipped(self._runs, run)

    def export(self, ref: str, dialect: str, options: Mapping[str, str]) -> tuple[RunView, Export]:
        """The run, and its results in another format, written anew.

        Raises:
            ExportRefused: Its pipeline knows no such format, or the format demands more.
        """
        run = self.find(ref)
        return run, Export(run, dialect, options, below=self._parts.settings.home)

    # ---- submitting

    def submit(self, new: schemas.NewRun, id: str | None = None) -> schemas.Run:  # noqa: A002
        """Put a run on disk; it is there, whole, when this returns. The same `id` finds it again.

        Raises:
            NotAllowed: The pipeline is not for this actor.
            UsageError, NotFound: What was asked for makes no sense, or is not there.
        """
        run = id or new_id()
        known = self._runs.of_id(run)
        if known is not None and known.state is not RunState.SUBMITTING:
            self._parts.wake()
            return self._shown(known).model_copy(update={"resumed": True})
        prepared = submitting.prepare(self._parts, self.actor, new, run)
        if new.out is not None:
            buckets.check_results(prepared.spec.out)
        submitted = self._put(prepared, run)
        self._parts.wake()
        told = {"skipped": dict(prepared.scan.skipped), "resumed": submitted.resumed}
        return self._shown(submitted.run).model_copy(update=told)

    def plan(self, new: schemas.NewRun) -> schemas.RunPlan:
        """What a request would do: checks all of it and counts, writes nothing."""
        return submitting.plan(submitting.prepare(self._parts, self.actor, new, new_id()))

    def pipelines(self) -> list[schemas.Pipeline]:
        """The installed pipelines that work, with whether the actor may run them."""
        return offers.pipelines(self.actor, self._parts.settings.commands)

    def pipeline(self, name: str) -> schemas.Pipeline:
        """The installed pipeline of a name.

        Raises:
            PipelineNotFound: There is none.
        """
        return offers.pipeline(self.actor, name, self._parts.settings.commands)

    def models(self) -> list[Model]:
        """The models that pipelines can use."""
        return offers.models(self._parts.settings.home, self._veil)

    def model(self, name: str) -> Model:
        """The model of a name.

        Raises:
            ModelNotFound: There is none.
        """
        return offers.model(self._parts.settings.home, name, self._veil)

    # ---- saying what becomes of a run

    def change(self, ref: str, change: schemas.RunChange) -> schemas.Run:
        """Change a run's name, priority, or whom it is shared with."""
        run = self._mine(ref)
        if change.group:
            access.check_group(self.actor, change.group)
            self._parts.accounts.group(self.actor, change.group)
        changed = self._runs.change(
            run, name=change.name, priority=change.priority, shared_with=change.group
        )
        detail = change.model_dump(exclude_none=True)
        self._parts.accounts.record(self.actor, "run.changed", f"run {run.id}", detail=detail)
        return self._shown(changed)

    def cancel(self, ref: str) -> schemas.Run:
        """Call the run off; whoever drives it stops within seconds."""
        run = self._mine(ref)
        cancelled = self._runs.cancel(run, self._recording("run.cancelled", run))
        return self._shown(cancelled)

    def pause(self, ref: str) -> schemas.Run:
        """Let the run stand still until somebody resumes it."""
        run = self._mine(ref)
        paused = self._runs.pause(run, self._recording("run.paused", run))
        return self._shown(paused)

    def resume(self, ref: str) -> schemas.Run:
        """Let a run go on that is paused, or that waits because something was in its way."""
        run = self._mine(ref)
        resumed = self._runs.unpause(run, self._recording("run.resumed", run))
        self._parts.wake()
        return self._shown(resumed)

    def retry(self, ref: str) -> schemas.Run:
        """Open the run's failed and cancelled items again."""
        run = self._mine(ref)
        retried = self._runs.retry(run, self._recording("run.retried", run))
        self._parts.wake()
        return self._shown(retried)

    def delete(self, ref: str) -> None:
        """Delete an ended run with its logs and its outputs.

        Raises:
            RunBusy: It has not ended.
        """
        run = self._mine(ref)
        if not run.state.is_finished():
            raise RunBusy(f"Run {run.id} has not ended.", hint="Cancel it first.")
        published.remove(run, self._parts.outputs)
        self._runs.delete(run, self._recording("run.deleted", run))

    def _put(self, prepared: submitting.Prepared, run: str) -> Submitted:
        """Submit, unless the same request is under way: then its end is waited for."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        recording = self._recording_submission(prepared.spec, run)
        while True:
            try:
                return self._runs.submit(prepared.spec, prepared.items(), run, recording)
            except RunBusy:
                if time.monotonic() > deadline:
                    message = f"Run {run} is still being submitted."
                    raise DatabaseBusy(message, hint="Send the same request again.") from None
                time.sleep(LOOK_SECONDS)

    def _mine(self, ref: str) -> RunView:
        run = self.find(ref)
        access.check_change(self.actor, run)
        return run

    def _attempts(self, ref: str, item: int) -> Sequence[AttemptView]:
        run = self.find(ref)
        return self._runs.attempts(run, self._runs.item_by_id(run, item))

    def _shown(self, run: RunView) -> schemas.Run:
        return self._all_shown([run])[0]

    def _all_shown(self, views: Iterable[RunView]) -> list[schemas.Run]:
        found = list(views)
        names = self._parts.accounts.names({run.owner for run in found if run.owner})
        return [shown.run_shown(run, names, self._veil) for run in found]

    def _recording(self, action: str, run: RunView) -> Also:
        record, target = self._parts.accounts.record, f"run {run.id}"
        return lambda connection: record(self.actor, action, target, connection=connection)

    def _recording_submission(self, spec: RunSpec, run: str) -> AlsoSealed:
        record, target = self._parts.accounts.record, f"run {run}"
        return lambda connection, items: record(
            self.actor,
            "run.submitted",
            target,
            detail={"pipeline": spec.pipeline, "items": items},
            connection=connection,
        )


async def desk_of(request: Request) -> Desk:
    """The desk for whoever asks."""
    return Desk(visitors.parts(request), await visitors.reader(request))


DeskOf = Annotated[Desk, Depends(desk_of)]
