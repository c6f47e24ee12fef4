"""One task, from its message to its outcome."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from grange.core.tasks import (
    JSON,
    Job,
    Outcome,
    OutcomeState,
    Output,
    Task,
    TaskKind,
)
from grange.engines.register import Register
from grange.errors import PipelineFailed, PipelineInvalid, StoreError
from grange.pipelines.base import Item, Part, PartResult, Pipeline
from grange.storage import Store, open_store, seal, uri_path
from grange.worker.copying import copy_outputs
from grange.worker.failures import failed_in, failure_of
from grange.worker.fetching import fetcher_in
from grange.worker.inputs import Input
from grange.worker.memory import resident_bytes
from grange.worker.printed import Printed
from grange.worker.records import fetched_records, local_records
from grange.worker.work import Identity, TaskWork

# Models kept loaded at once, the least lately used one goes first.
WARM_MODELS = 4
# Runs whose pipeline and parameters are kept at hand.
KNOWN_JOBS = 16
MAX_RESULT_BYTES = 1 << 20
MAX_PARTS_BYTES = 8 << 20
MAX_PARTS = 100_000


class Prepared:
    """A job with its pipeline found and its parameters checked."""

    def __init__(self, job: Job) -> None:
        """Find what the tasks need.

        Raises:
            PipelineInvalid: The pipeline is another one by now.
            ParameterInvalid: What the parameters name, a model say, is another one by now.
        """
        from grange.pipelines import catalog

        self.job = job
        self.pipeline: Pipeline[Any] = catalog.find(job.pipeline)
        if job.version and self.pipeline.version != job.version:
            message = f"The pipeline {job.pipeline} has changed since the run was submitted."
            raise PipelineInvalid(message, hint="Cancel the run, and give its command again.")
        self.params = catalog.check_params(self.pipeline, job.params)
        self.store: Store = open_store(job.store, work=Path(job.work) if job.work else None)
        self.fetcher = fetcher_in(job.work, job.work_bytes)

    @cached_property
    def model_key(self) -> str:
        """What the loaded model depends on."""
        return json.dumps([self.job.pipeline, self.job.version, self.job.params], sort_keys=True)


class Executor:
    """Executes tasks; keeps pipelines and models warm between them."""

    def __init__(self, identity: Identity, register: Register) -> None:
        """Begin with nothing loaded."""
        self._identity = identity
        self._register = register
        self._jobs: OrderedDict[str, Prepared] = OrderedDict()
        self._models: OrderedDict[str, Any] = OrderedDict()
        self._printed = Printed()

    def execute(self, job: Job, task: Task) -> Outcome:
        """Execute one task. Whatever it raises becomes its outcome."""
        begun = time.perf_counter()
        outcome = Outcome(task.id, task.epoch, OutcomeState.DONE, worker=self._identity.name)
        work: TaskWork | None = None
        try:
            prepared = self._prepare(job)
            work = TaskWork(job, task, prepared.store, self._register, self._identity)
            self._perform(prepared, task, work, outcome)
        except BaseException as error:  # noqa: BLE001  # a pipeline may raise anything, SystemExit too
            outcome.state = OutcomeState.FAILED
            outcome.failure = failure_of(error)
            outcome.outputs, outcome.result = (), None
        if work is not None:
            self._tidy(work, outcome)
            outcome.counts = dict(work.counts)
        # To the microsecond: more digits take longer to write and to read than all the rest.
        outcome.seconds = round(time.perf_counter() - begun, 6)
        return outcome

    def _prepare(self, job: Job) -> Prepared:
        known = self._jobs.get(job.run)
        if known is None:
            known = self._jobs[job.run] = Prepared(job)
            if len(self._jobs) > KNOWN_JOBS:
                self._jobs.popitem(last=False)
        return known

    def _perform(self, prepared: Prepared, task: Task, work: TaskWork, outcome: Outcome) -> None:
        if task.kind is TaskKind.COPY:
            copy_outputs(task.payload, work)
        elif task.kind is TaskKind.REPORT:
            self._report(prepared, task, work)
        else:
            with Input(task, prepared.fetcher) as source:
                self._use(source, prepared, task, work, outcome)
        if work.staged is not None:
            sealed = seal(work.staged)
            if not sealed:
                work.discard()
                return
            sealed = work.settle(sealed)
            outcome.outputs = tuple(
                Output(one.path, one.size, one.sha256 or "", one.mtime_ns or 0) for one in sealed
            )
            if task.kind is not TaskKind.PROCESS or not prepared.pipeline.splits():
                # A part is merged before anything is published.
                work.hand_in(sealed)

    def _use(
        self, source: Input, prepared: Prepared, task: Task, work: TaskWork, outcome: Outcome
    ) -> None:
        try:
            if task.kind is TaskKind.SPLIT:
                self._split(prepared, task, work, source.path, outcome)
            elif task.kind is not TaskKind.DIGEST:
                result = self._call(prepared, task, work, source.path)
                outcome.result = _checked(task.kind, result)
        finally:
            # Known even of an input that fails: whoever looks for the cause wants to know it.
            outcome.sha256 = source.wait()
        source.check()

    def _split(
        self, prepared: Prepared, task: Task, work: TaskWork, file: Path, outcome: Outcome
    ) -> None:
        """Split the item. One of one part is processed and merged at once: why ask for more?"""
        pipeline, params = prepared.pipeline, prepared.params
        item = Item(task.path, file, task.size)
        parts = _checked(task.kind, list(_bounded_parts(pipeline.split(item, params, work))))
        if len(parts) != 1:
            outcome.result = parts
            return
        model = self._model(prepared)
        with work.part() as folder:
            result = pipeline.process(Part(item, 0, parts[0]), params, model, work)
            part = PartResult(0, _checked(TaskKind.PROCESS, result), folder)
            work.merge_part()
            merged = pipeline.merge(item, iter([part]), params, work)
        outcome.result, outcome.merged = _checked(TaskKind.MERGE, merged), True

    def _call(self, prepared: Prepared, task: Task, work: TaskWork, file: Path) -> JSON:
        pipeline, params = prepared.pipeline, prepared.params
        item = Item(task.path, file, task.size)
        if task.kind is TaskKind.MERGE:
            parts = _parts(prepared.store, task.payload["parts"])
            return pipeline.merge(item, parts, params, work)
        part = Part(item, task.part, task.payload)
        return pipeline.process(part, params, self._model(prepared), work)

    def _model(self, prepared: Prepared) -> Any:  # noqa: ANN401  # the pipeline's own type
        key = prepared.model_key
        if key in self._models:
            self._models.move_to_end(key)
            return self._models[key]
        while len(self._models) >= WARM_MODELS:
            self._models.popitem(last=False)
        try:
            model = self._models[key] = prepared.pipeline.load(prepared.params)
        except Exception as error:
            raise failed_in("load", error) from error
        return model

    def _report(self, prepared: Prepared, task: Task, work: TaskWork) -> None:
        lines, store = Path(task.payload["items"]), prepared.job.store
        if store.startswith("file://"):
            records = local_records(lines, uri_path(store))
        else:
            reads = prepared.pipeline.report_reads
            records = fetched_records(lines, prepared.store, reads, work.scratch)
        prepared.pipeline.report(records, prepared.params, work)

    def _tidy(self, work: TaskWork, outcome: Outcome) -> None:
        try:
            try:
                self._printed.keep(work)
            finally:
                if outcome.state is not OutcomeState.DONE:
                    work.discard()
                work.close()
        except (OSError, StoreError) as error:
            # Logs that can't be kept are no reason to lose a result, but a full disk is a reason
            # to say so when the attempt failed anyway.
            if outcome.failure is not None:
                outcome.failure.evidence["tidying"] = str(error)
        failed = outcome.failure is not None
        outcome.peak_bytes = work.peak_bytes or (resident_bytes() if failed else 0)


def _checked(kind: TaskKind, result: JSON) -> JSON:
    """The result, if it is plain data of a bearable size."""
    if result is None:
        return None
    limit = MAX_PARTS_BYTES if kind is TaskKind.SPLIT else MAX_RESULT_BYTES
    try:
        # Encoded, since a name that is no Unicode can be part of a text, but of no JSON.
        size = len(json.dumps(result, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        message = f"What {kind} returned is no plain JSON data: {error}."
        raise PipelineFailed(message, hint="Return numbers, texts, lists and tables.") from None
    if size > limit:
        message = f"What {kind} returned is {size} bytes of JSON; {limit} are allowed."
        raise PipelineFailed(message, hint="Write it into a file in work.output instead.")
    return result


def _bounded_parts(parts: Iterator[JSON]) -> Iterator[JSON]:
    for number, part in enumerate(parts):
        if number >= MAX_PARTS:
            raise PipelineFailed(f"An item was split into more than {MAX_PARTS} parts.")
        yield part


def _parts(store: Store, parts: list[JSON]) -> Iterator[PartResult]:
    for part in parts:
        yield PartResult(part["number"], part["result"], store.staged_here(part["token"]))
