"""Write the report: gather what the page says, and stream it into the store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from typing import Any

from grange.core.states import RunState
from grange.errors import StoreError, TaskError
from grange.runs.manifest import software
from grange.runs.models import REPORT_FILE, REPORT_FOLDER, FailureGroup, RunView
from grange.runs.report import charts, words
from grange.runs.report.markup import environment, visible
from grange.runs.report.origin import about, command_line
from grange.runs.report.pictures import thumbnails
from grange.runs.report.survey import Row, Survey
from grange.storage.base import Store, Stored

JSON = Any

_STATE_WORDS = {
    RunState.DONE: "Done",
    RunState.FAILED: "Finished with failures",
    RunState.CANCELLED: "Cancelled",
}
_RUN_GLYPHS = {
    RunState.DONE: "done",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
    RunState.RUNNING: "running",
}
_OWN_REPORT_FILES = 50
_CHUNK_CHARACTERS = 64 * 1024


def write_report(
    store: Store,
    run: RunView,
    seen: Survey,
    failures: Sequence[FailureGroup],
) -> None:
    """Write `report.html`: one file, which needs no network, no script and no other.

    `seen` is what was seen of the run's items. Neither memory nor the file grows with their
    number beyond a bound. An output that can't be shown is left out, never an error.

    Raises:
        StoreError: The page can't be written; what was there stays.
    """
    template = environment(seen).from_string(_data("page.html.jinja"))
    pieces = template.generate(**_context(store, run, seen, failures))
    store.write(REPORT_FILE, _chunks(pieces))


@dataclass(frozen=True, slots=True)
class _Part:
    """One stretch of the bar of totals."""

    kind: str
    words: str
    count: int
    share: str


@dataclass(frozen=True, slots=True)
class _Group:
    """Items that failed for one reason, and the first few of them."""

    code: str
    message: str
    count: int
    example: str
    rows: Sequence[Row]

    @property
    def more(self) -> int:
        return self.count - max(1, len(self.rows))


def _context(
    store: Store, run: RunView, seen: Survey, failures: Sequence[FailureGroup]
) -> dict[str, JSON]:
    from markupsafe import Markup

    made_with = software()
    chosen = seen.pictures.chosen()
    return {
        "about": about(run, made_with),
        "cell_pixels": 14 if len(seen.cells) <= 1500 else 9,  # noqa: PLR2004  # the picture fits a screen
        "command": command_line(run),
        "css": Markup(_data("page.css")),  # noqa: S704  # our own file
        "groups": _groups(seen, failures),
        "histogram": charts.histogram(seen),
        "now": time.time(),
        "own_report": _own_report(store),
        "numbers": _numbers(run, seen),
        "parts": _parts(run),
        "pictures": chosen,
        "run": run,
        "run_glyph": _RUN_GLYPHS.get(run.state, "waiting"),
        "sentence": _sentence(run),
        "software": made_with,
        "state_sentence": _state_sentence(seen),
        "state_words": _STATE_WORDS.get(run.state, run.state.value.capitalize()),
        "survey": seen,
        "throughput": charts.throughput(seen),
        # Consumed while the page is written, so that one thumbnail at a time is in memory.
        "thumbnails": thumbnails(store, chosen),
        "title": visible(run.name or f"Run {run.id}"),
    }


def _data(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _chunks(pieces: Iterator[str]) -> Iterator[bytes]:
    pending: list[str] = []
    size = 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        if size >= _CHUNK_CHARACTERS:
            yield "".join(pending).encode(errors="backslashreplace")
            pending, size = [], 0
    yield "".join(pending).encode(errors="backslashreplace")


def _sentence(run: RunView) -> str:
    counts = run.counts
    if not counts.total:
        return "There was nothing to do: no input was found."
    if counts.done == counts.total:
        said = "The item is done" if counts.total == 1 else f"All {counts.total:,} items are done"
    else:
        said = f"{counts.done:,} of {words.plural(counts.total, 'item')} done"
        others = ((counts.failed, "failed"), (counts.cancelled, "cancelled"), (counts.left, "left"))
        said += "".join(f", {count:,} {word}" for count, word in others if count)
    seconds = _seconds(run)
    return f"{said}, in {words.duration(seconds)}." if seconds is not None else f"{said}."


def _seconds(run: RunView) -> float | None:
    if run.started_at is None:
        return None
    end = time.time() if run.finished_at is None else run.finished_at
    return max(0.0, end - run.started_at)


def _parts(run: RunView) -> list[_Part]:
    counts = run.counts
    fresh = counts.done - counts.reused
    known = (
        ("done", "done", fresh),
        ("reused", "done, known already", counts.reused),
        ("failed", "failed", counts.failed),
        ("cancelled", "cancelled", counts.cancelled),
        ("waiting", "not ended", counts.left),
    )
    return [_Part(kind, said, count, _share(count, counts.total)) for kind, said, count in known]


def _share(count: int, total: int) -> str:
    if not total or count in {0, total}:
        return ""
    percent = 100 * count / total
    return f"{percent:.0f} %" if 1 <= percent <= 99 else f"{percent:.2f} %"  # noqa: PLR2004


def _numbers(run: RunView, seen: Survey) -> list[tuple[str, str]]:
    numbers = [("Read", words.size(run.bytes_total))] if run.bytes_total else []
    if seen.output_files:
        numbers.append(("Written", words.size(seen.output_bytes)))
        numbers.append(("Files written", words.number(seen.output_files)))
    seconds = _seconds(run)
    if seconds is not None:
        numbers.append(("Took", words.duration(seconds)))
    if seconds and run.counts.ended:
        numbers.append(("Rate", charts.rate(run.counts.ended, seconds)))
    if seen.seconds_total:
        numbers.append(("Work of all items", words.duration(seen.seconds_total)))
    return numbers


def _groups(seen: Survey, failures: Sequence[FailureGroup]) -> list[_Group]:
    """One group for each reason, the most frequent first, with the first items of its code."""
    rows = dict(seen.failed)
    ordered = sorted(failures, key=lambda group: -group.count)
    return [_group(one, rows.pop(one.code, ())) for one in ordered]


def _group(known: FailureGroup, rows: Sequence[Row]) -> _Group:
    messages = {row.failure["message"] for row in rows if row.failure}
    # A message that names one file can't stand above the others.
    alike = known.count == 1 or messages <= {known.message}
    message = known.message if alike else _meaning(known.code) or known.message
    return _Group(known.code, message, known.count, known.example, rows)


def _meaning(code: str) -> str:
    """What a code of ours says in words; nothing for a foreign one."""
    docs = (one.__doc__ or "" for one in TaskError.__subclasses__() if one.code == code)
    return next(docs, "").partition("\n")[0]


def _own_report(store: Store) -> list[Stored]:
    """The files in which the pipeline itself reports on the run, pages first.

    What lies in folders below belongs to a page.
    """
    try:
        found = (one for one in store.list(REPORT_FOLDER) if one.path.count("/") == 1)
        files = list(islice(found, _OWN_REPORT_FILES))
    except StoreError:
        return []
    return sorted(files, key=lambda one: not one.path.endswith(".html"))


def _state_sentence(seen: Survey) -> str:
    told = ", ".join(f"{count:,} {state.value}" for state, count in seen.states.most_common())
    return f"{told}." if told else ""
