"""What is said of workers on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grange.cli import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grange.client.schemas.workers import TaskSeen, Worker


def state_of(worker: Worker) -> str:
    """How a worker stands, in a word or two."""
    return worker.standing.replace("_", " ")


def task_words(task: TaskSeen) -> str:
    """What a task is, as far as one may know."""
    if not task.run:
        return "somebody's run"
    return words.visible(task.path or task.run_name or task.pipeline or task.run)


def doing(worker: Worker, most: int = 2) -> str:
    """What a worker does, in a few words."""
    names = [task_words(task) for task in worker.tasks]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def share_of_memory(worker: Worker) -> str:
    """How much of its memory a worker's machine uses."""
    if not worker.memory_bytes:
        return "-"
    return percent(worker.memory_used_bytes / worker.memory_bytes)


def row(worker: Worker, now: float) -> tuple[str, ...]:
    """A worker's line in a table of them; of one that is not heard of, nothing that is now."""
    is_up = worker.presence == "up"
    return (
        worker.name,
        state_of(worker),
        f"{worker.busy}/{worker.capacity.slots}",
        doing(worker),
        f"{worker.per_minute:,.1f}" if is_up and worker.per_minute else "",
        percent(worker.cpu) if is_up else "",
        share_of_memory(worker) if is_up else "",
        ", ".join(worker.labels),
        f"{words.duration(max(now - worker.seen_at, 0))} ago",
    )


def facts(worker: Worker) -> Sequence[tuple[str, str]]:
    """All that is known of a worker, by name."""
    has = worker.capacity
    cards = ", ".join(
        f"{one.name or 'GPU'} {one.index} ({words.size(one.memory_bytes)})" for one in has.gpus
    )
    return (
        ("worker", words.visible(worker.name)),
        ("id", worker.id),
        ("state", state_of(worker)),
        ("labels", ", ".join(worker.labels)),
        ("slots", f"{worker.busy} of {has.slots} at work"),
        ("cores", f"{has.cores:g}"),
        ("memory", words.size(has.memory_bytes)),
        ("GPUs", words.visible(cards)),
        ("done", f"{worker.done:,} tasks, {worker.failed:,} failed"),
        ("per minute", f"{worker.per_minute:.1f}"),
        ("machine's CPU", percent(worker.cpu)),
        ("machine's memory", share_of_memory(worker)),
        ("brought here", words.size(worker.bytes_in)),
        ("carried away", words.size(worker.bytes_out)),
        ("shared folders", ", ".join(map(words.visible, worker.shares)) or "none"),
        ("version", words.visible(worker.version)),
        *((("does not fit", words.visible(worker.misfit)),) if worker.misfit else ()),
        ("system", words.visible(worker.system)),
        ("address", worker.address),
        ("metrics", words.visible(worker.metrics_url)),
        ("joined", words.moment(worker.joined_at)),
        ("seen", words.moment(worker.seen_at)),
    )


def is_here(url: str) -> bool:
    """Whether an address means whichever machine it is used on."""
    from ipaddress import ip_address
    from urllib.parse import urlsplit

    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def percent(share: float | None) -> str:
    """A share in hundredths; a dash where it is not known."""
    return "-" if share is None else f"{share:.0%}"
