"""The one table of metrics: what each is called, counts and is labelled with.

Labels take few values, and none that names a person's work: a pipeline, a state,
a stage, a worker; never a run, an input or a path. What has no row here is not told.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Labels = tuple[str, ...]

# From a no-op to a long video.
SECONDS = (0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
# What a person waits for.
ANSWER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MEBIBYTE = 1 << 20
BYTES = tuple(float(MEBIBYTE << power) for power in (4, 6, 7, 8, 9, 10, 11, 12, 13, 15))


class Kind(StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"  # only grows, across restarts of what counts too
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Source(StrEnum):
    """Who tells a metric."""

    SERVER = "server"
    WORKER = "worker"


@dataclass(frozen=True)
class Metric:
    """A row of the table. `buckets` are the upper bounds of a histogram's, without the last."""

    name: str
    kind: Kind
    unit: str
    help: str
    labels: Labels = ()
    source: Source = Source.SERVER
    buckets: tuple[float, ...] = ()


def _counter(name: str, unit: str, text: str, *labels: str) -> Metric:
    return Metric(f"{name}_total", Kind.COUNTER, unit, text, labels, _source(name))


def _gauge(name: str, unit: str, text: str, *labels: str) -> Metric:
    return Metric(name, Kind.GAUGE, unit, text, labels, _source(name))


def _histogram(
    name: str, text: str, *labels: str, unit: str = "seconds", buckets: tuple[float, ...] = SECONDS
) -> Metric:
    return Metric(name, Kind.HISTOGRAM, unit, text, labels, _source(name), buckets)


def _source(name: str) -> Source:
    return Source.WORKER if name.startswith("grange_worker_") else Source.SERVER


# ---- what waits and what is under way, from the ledger

RUNS = _gauge("grange_runs", "runs", "Runs that have not ended.", "pipeline", "state")
ITEMS = _gauge("grange_items", "items", "Items of runs that have not ended.", "pipeline", "state")
TASKS = _gauge(
    "grange_tasks", "tasks", "Tasks that wait, or are with a worker.", "pipeline", "state"
)
QUEUE_ITEMS = _gauge(
    "grange_queue_items", "items", "Items to be worked on: paused runs don't count.", "pipeline"
)
QUEUE_AGE = _gauge(
    "grange_queue_age_seconds",
    "seconds",
    "How long ago the oldest run was submitted that has work left and is not paused.",
    "pipeline",
)
QUEUE_QUIET = _gauge(
    "grange_queue_quiet_seconds",
    "seconds",
    "For how long a run with work left has seen no item end, nor begun; the longest of all.",
    "pipeline",
)

# ---- what was done, from the process that drives runs

ATTEMPTS = _counter(
    "grange_attempts", "attempts", "Attempts at tasks that ended.", "pipeline", "stage", "end"
)
ATTEMPT_SECONDS = _histogram(
    "grange_attempt_seconds", "How long attempts took.", "pipeline", "stage"
)
ATTEMPT_PEAK = _histogram(
    "grange_attempt_peak_bytes",
    "The most memory that attempts took, where that is known.",
    "pipeline",
    unit="bytes",
    buckets=BYTES,
)
RETRIES = _counter(
    "grange_retries", "attempts", "Attempts that are to be made again.", "pipeline", "stage"
)
LEASE_LOSSES = _counter(
    "grange_lease_losses", "tasks", "Tasks whose worker fell silent for a lease.", "pipeline"
)
REFUSED = _counter(
    "grange_outcomes_refused", "outcomes", "Outcomes that came too late, or twice.", "pipeline"
)
ITEMS_ENDED = _counter(
    "grange_items_ended", "items", "Items that came to their end.", "pipeline", "state"
)
ITEMS_REUSED = _counter(
    "grange_items_reused", "items", "Items whose result was known already.", "pipeline"
)
STAGE_SECONDS = _histogram(
    "grange_stage_seconds",
    "Processor time of a pipeline's own stages, for each attempt.",
    "pipeline",
    "stage",
)
MODEL_LOADS = _counter(
    "grange_model_loads", "loads", "Models that stages have loaded.", "pipeline", "stage"
)
COUNTED = _counter(
    "grange_counted",
    "as the pipeline says",
    "What pipelines count: frames that a stage has seen, pixels, records.",
    "pipeline",
    "what",
)
INPUT_BYTES = _counter("grange_input_bytes", "bytes", "Inputs of items done.", "pipeline")
OUTPUT_BYTES = _counter("grange_output_bytes", "bytes", "Outputs of items done.", "pipeline")
ENGINE_UP = _gauge("grange_engine_up", "1 or 0", "Whether the engine can give out work.", "engine")
ENGINE_WORKERS = _gauge(
    "grange_engine_slots", "slots", "Places for tasks of runs at work.", "state"
)
DRIVER_BYTES = _gauge(
    "grange_driver_memory_bytes", "bytes", "Memory of the process that drives runs."
)
DRIVER_SEEN = _gauge(
    "grange_driver_seen_timestamp_seconds",
    "seconds since 1970",
    "When the process that drives runs told its numbers last.",
)

# ---- the server

BUILD = _gauge("grange_build_info", "1", "The version that answers.", "version")
STARTED = _gauge("grange_start_timestamp_seconds", "seconds since 1970", "When the server began.")
DRIVER_UP = _gauge("grange_driver_up", "1 or 0", "Whether somebody who drives runs is alive.")
DATABASE_UP = _gauge("grange_database_up", "1 or 0", "Whether the database answers.")
DATABASE_SECONDS = _gauge(
    "grange_database_answer_seconds", "seconds", "How long the database took to say what waits."
)
SESSIONS_UP = _gauge("grange_sessions_up", "1 or 0", "Whether the cache of logins answers.")
DISK_FREE = _gauge("grange_disk_free_bytes", "bytes", "Room on the disk with the server's state.")
DISK_TOTAL = _gauge("grange_disk_total_bytes", "bytes", "Size of that disk.")
UPLOAD_BYTES = _gauge("grange_upload_bytes", "bytes", "What people have sent and the server keeps.")
STREAMS = _gauge("grange_event_streams", "streams", "Pages and clients that follow events.")
REQUESTS = _counter(
    "grange_http_requests", "requests", "Requests answered.", "method", "route", "status"
)
REQUEST_SECONDS = _histogram(
    "grange_http_request_seconds",
    "How long answers took, to their end.",
    "route",
    buckets=ANSWER_SECONDS,
)
POOL_WORKERS = _gauge("grange_pool_workers", "workers", "Workers that have joined.", "state")
POOL_SILENT = _gauge(
    "grange_pool_silent_seconds",
    "seconds",
    "How long ago a worker that is not removed was heard of.",
    "worker",
)
POOL_SLOTS = _gauge("grange_pool_slots", "slots", "Tasks that a worker can take at once.", "worker")
POOL_BUSY = _gauge("grange_pool_busy_slots", "slots", "Tasks that a worker is at.", "worker")

# ---- a worker's own exporter

WORKER_INFO = _gauge(
    "grange_worker_info", "1", "The version of the worker that answers.", "version"
)
WORKER_SLOTS = _gauge("grange_worker_slots", "slots", "Tasks that it can take at once.")
WORKER_BUSY = _gauge("grange_worker_busy_slots", "slots", "Tasks that it is at.")
WORKER_DRAINING = _gauge("grange_worker_draining", "1 or 0", "Whether it takes nothing new.")
WORKER_CONNECTED = _gauge("grange_worker_connected", "1 or 0", "Whether the broker is reached.")
WORKER_RECONNECTS = _counter(
    "grange_worker_reconnects", "connections", "Connections to the broker made anew."
)
WORKER_UNSENT = _gauge(
    "grange_worker_unsent_outcomes", "outcomes", "Outcomes that the broker has not confirmed."
)
WORKER_TASKS = _counter(
    "grange_worker_tasks", "tasks", "Tasks that it ended.", "pipeline", "stage", "end"
)
WORKER_TASK_SECONDS = _histogram(
    "grange_worker_task_seconds", "How long its tasks took.", "pipeline", "stage"
)
WORKER_STAGE_SECONDS = _histogram(
    "grange_worker_stage_seconds",
    "Processor time of a pipeline's own stages, for each task.",
    "pipeline",
    "stage",
)
WORKER_LOADS = _counter(
    "grange_worker_model_loads", "loads", "Models that stages have loaded.", "pipeline", "stage"
)
WORKER_COUNTED = _counter(
    "grange_worker_counted", "as the pipeline says", "What pipelines count.", "pipeline", "what"
)
WORKER_FETCHED = _counter("grange_worker_fetched_bytes", "bytes", "Inputs brought to it.")
WORKER_SENT = _counter("grange_worker_sent_bytes", "bytes", "Outputs brought away from it.")
WORKER_CACHE_BYTES = _gauge("grange_worker_cache_bytes", "bytes", "Inputs that it keeps.")
WORKER_CACHE_HITS = _counter("grange_worker_cache_hits", "inputs", "Inputs that were here already.")
WORKER_CACHE_MISSES = _counter(
    "grange_worker_cache_misses", "inputs", "Inputs that had to be brought."
)

METRICS: tuple[Metric, ...] = tuple(one for one in list(vars().values()) if isinstance(one, Metric))
BY_NAME: dict[str, Metric] = {one.name: one for one in METRICS}
