"""How single things of the page are written: cells, links, names, evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from grange.core.states import ItemState
from grange.runs.manifest import iso_time
from grange.runs.report import words
from grange.runs.report.origin import text_of
from grange.runs.report.survey import Cell, Row, Survey

if TYPE_CHECKING:
    from jinja2 import Environment

JSON = Any

_GLYPHS = {
    ItemState.DONE: "done",
    ItemState.FAILED: "failed",
    ItemState.CANCELLED: "cancelled",
    ItemState.WAITING: "waiting",
}
# Of the output of a command, what fits the eye; the rest is in items.jsonl.
_EVIDENCE_LINES = 20
_EVIDENCE_CHARACTERS = 2000
_SHORT_EVIDENCE = 100
# A group's cell shows its failures even when they are one in a thousand.
_LEAST_PERCENT = 34


def environment(seen: Survey) -> Environment:
    """A template's environment, with the filters that write this page's things."""
    from jinja2 import Environment, StrictUndefined

    made = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(
        cell=lambda cell: _cell(cell, len(seen.rows), grouped=seen.per_cell > 1),
        duration=words.duration,
        glyph_of=_glyph_of,
        href=_href,
        iso=iso_time,
        item_link=lambda row: _item_link(row, len(seen.rows)),
        long_evidence=_long_evidence,
        moment=words.moment,
        number=words.number,
        plural=words.plural,
        sentence=lambda text: visible(text[:1].upper() + text[1:]),
        seen=visible,
        short_evidence=_short_evidence,
        size=words.size,
    )
    return made


def visible(text: str) -> str:
    """The text, with control characters and marks of direction spelled out."""
    if text.isprintable():
        return text
    joiner = "\u200d"  # holds emoji together
    return "".join(
        char if char.isprintable() or char == joiner else char.encode("unicode_escape").decode()
        for char in text
    )


def _cell(cell: Cell, linked: int, *, grouped: bool) -> str:
    from markupsafe import Markup

    if grouped:
        return _group_cell(cell)
    (state,) = cell.counts
    title = f"{visible(cell.name)} · {state.value} · {words.duration(cell.seconds)}"
    if cell.number >= linked:
        return Markup('<i class="s {}" title="{}"></i>').format(_glyph_of(state), title)
    return Markup('<a class="s {}" href="#i{}" tabindex="-1" title="{}"></a>').format(
        _glyph_of(state), cell.number, title
    )


def _group_cell(cell: Cell) -> str:
    from markupsafe import Markup

    total = cell.counts.total()
    told = ", ".join(f"{count:,} {state.value}" for state, count in cell.counts.most_common())
    title = f"{cell.number + 1:,} to {cell.number + total:,}: {told}"
    failed = cell.counts[ItemState.FAILED]
    if not failed:
        (state, _), *_ = cell.counts.most_common(1)
        return Markup('<i class="s {}" title="{}"></i>').format(_glyph_of(state), title)
    percent = max(_LEAST_PERCENT, round(100 * failed / total))
    return Markup('<i class="mixed" style="--part:{}%" title="{}"></i>').format(percent, title)


def _item_link(row: Row, linked: int) -> str:
    from markupsafe import Markup

    if row.number < linked:
        return Markup('<a href="#i{}"><bdi>{}</bdi></a>').format(row.number, visible(row.path))
    return Markup("<bdi>{}</bdi>").format(visible(row.path))


def _glyph_of(state: ItemState) -> str:
    return _GLYPHS.get(state, "running")


def _href(path: str) -> str:
    """A link that works from the output folder, whatever the file is called."""
    return quote(path, safe="/", errors="replace")


def _short_evidence(failure: Mapping[str, JSON]) -> list[tuple[str, str]]:
    return [(name, text) for name, text in _evidence(failure) if not _is_long(text)]


def _long_evidence(failure: Mapping[str, JSON]) -> list[tuple[str, str]]:
    return [(name, _last_lines(text)) for name, text in _evidence(failure) if _is_long(text)]


def _evidence(failure: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    for name, value in (failure.get("evidence") or {}).items():
        said = name.replace("_", " ")
        if value in (None, "", [], {}):
            continue
        if name.endswith("bytes") and isinstance(value, int):
            # Nought was not measured.
            if value:
                yield said.removesuffix("bytes").strip() or "size", words.size(value)
        elif name.endswith("seconds") and isinstance(value, int | float):
            yield said.removesuffix("seconds").strip() or "took", words.duration(value)
        elif isinstance(value, list) and all(isinstance(line, str) for line in value):
            yield said, "\n".join(value)
        else:
            yield said, text_of(value)


def _is_long(text: str) -> bool:
    return "\n" in text or len(text) > _SHORT_EVIDENCE


def _last_lines(text: str) -> str:
    lines = text.rstrip()[-_EVIDENCE_CHARACTERS:].splitlines()[-_EVIDENCE_LINES:]
    return "\n".join(visible(line.expandtabs(4)) for line in lines)
