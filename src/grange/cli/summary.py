"""What is said when a run has ended, or is left for later: counts, reasons, what to do next."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from grange.cli import words

if TYPE_CHECKING:
    from grange.runs.models import Counts, FailureGroup, RunView

# Reasons that are listed; the report has them all.
_REASONS = 5
_MESSAGE_WIDTH = 200
# Pages that a pipeline makes of a run; more would hide the rest.
_PAGES = 3


def lines(run: RunView, failures: list[FailureGroup]) -> list[str]:
    """The whole summary, line by line."""
    report = report_of(run)
    return [
        headline(run),
        *reasons(failures),
        f"results: {words.place(run.out)}",
        *([f"report:  {words.place(report)}"] if report else []),
        *(f"{name + ':':8} {place}" for name, place in pages(run)),
        *(f"next:    {command}" for command in next_steps(run)),
    ]


def headline(run: RunView) -> str:
    """How the run stands: `Run 4bxk… is done: 8 of 8 items done, in 3.2 s.`."""
    label = f"Run {run.id}" + (f" ({words.visible(run.name)})" if run.name else "")
    note = f" {words.visible(run.note)}" if run.note else ""
    return f"{label} {_ending(run)}: {counts_words(run.counts)}, {_took(run)}.{note}"


def counts_words(counts: Counts) -> str:
    """`8 of 10 items done, 2 failed`, and whatever else is not nothing."""
    more = {
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "left": counts.left,
    }
    done = f"{counts.done:,} of {words.items(counts.total)} done"
    known = f" ({counts.reused:,} known already)" if counts.reused else ""
    return done + known + "".join(f", {count:,} {word}" for word, count in more.items() if count)


def reasons(failures: list[FailureGroup]) -> list[str]:
    """Why items failed, grouped, each with one item to look at."""
    shown = [
        f"{group.count:,} × {group.code}: {_one_line(group.message)} "
        f"(for example {words.visible(group.example)})"
        for group in failures[:_REASONS]
    ]
    if len(failures) > _REASONS:
        shown.append(f"and {len(failures) - _REASONS} more reasons")
    return shown


def next_steps(run: RunView) -> list[str]:
    """Commands that make sense now."""
    if not run.state.is_finished():
        return [f"grange runs resume {run.id}"] if run.driver is None else []
    if run.counts.failed:
        return [f"grange runs logs {run.id} --failed", f"grange runs retry {run.id}"]
    return [f"grange runs retry {run.id}"] if run.counts.cancelled else []


def report_of(run: RunView) -> str | None:
    """Where the report is, as a URL; None while there is none."""
    from grange.runs.models import REPORT_FILE

    return f"{run.out.rstrip('/')}/{REPORT_FILE}" if run.state.is_finished() else None


def pages(run: RunView) -> list[tuple[str, str]]:
    """The pages that the pipeline itself made of a run, by name; of results that lie here."""
    from grange.runs.models import REPORT_FOLDER

    out = words.folder(run.out)
    if out is None or not run.state.is_finished():
        return []
    found = sorted((out / REPORT_FOLDER).glob("*.html"))[:_PAGES]
    return [(words.visible(page.stem), words.short(page)) for page in found]


def state_of(run: RunView) -> str:
    """The state in a word; `interrupted` where it says running and nobody is."""
    return "interrupted" if run.interrupted and run.state == "running" else str(run.state)


def seconds_of(run: RunView) -> float | None:
    """From the first work to the end, or to now."""
    if run.started_at is None:
        return None
    return round((run.finished_at or time.time()) - run.started_at, 3)


def _ending(run: RunView) -> str:
    if run.state == "failed":
        return "has ended with failures"
    if run.state in {"waiting", "running"} and run.driver is None:
        return "was stopped before its end"
    return f"is {run.state}"


def _took(run: RunView) -> str:
    seconds = seconds_of(run)
    if seconds is None:
        return "not begun"
    return f"{'in' if run.state.is_finished() else 'begun'} {words.duration(seconds)}" + (
        "" if run.state.is_finished() else " ago"
    )


def _one_line(message: str) -> str:
    flat = " ".join(words.visible(line) for line in message.splitlines())
    return flat if len(flat) <= _MESSAGE_WIDTH else f"{flat[:_MESSAGE_WIDTH]}…"
