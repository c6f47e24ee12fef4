"""How values look on pages: times, sizes, numbers, ids."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from grange.runs.report import words
from grange.server.web.texts import Texts

# Short enough to read out, long enough to find one's own.
SHORT_ID = 6
# What browsers call themselves: the first that fits, for most name others too.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrom", "Chrome"),
    ("Safari", "Safari"),
    ("grange", "Grange"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)
_STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (30, "day"), (12, "month"))
# Within so many seconds it is "just now".
_NOW = 10


def filters(t: Texts) -> Mapping[str, Callable[..., Any]]:
    """The filters of one language's templates."""
    return {
        "ago": lambda at: ago(t, at),
        "clock": clock,
        "size": words.size,
        "number": words.number,
        "duration": words.duration,
        "short_id": lambda text: text[:SHORT_ID],
        "shortened": words.shortened,
        "initials": initials,
        "prose": prose,
        "browser": lambda agent: browser(t, agent),
    }


def ago(t: Texts, at: float | None) -> Markup:
    """A point in time from here, with the exact one on hover; the page keeps it current."""
    if at is None:
        return Markup("<span class=quiet>{}</span>").format(t("frame.time.never"))
    moment = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
        moment.isoformat(timespec="seconds"), words.moment(at), relative(t, at - time.time())
    )


def clock(at: float | None) -> Markup:
    """A point in time, exactly; in the reader's own time zone where scripts run."""
    if at is None:
        return Markup("")
    moment = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}" data-clock>{}</time>').format(
        moment.isoformat(timespec="seconds"), moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def relative(t: Texts, seconds: float) -> str:
    """A distance in time in words: 3 minutes ago, in 2 days."""
    # What is over is told by what is full, what comes by what is nearest.
    rounded = int if seconds < 0 else round
    count, unit = abs(seconds), "year"
    if count < _NOW:
        return t("frame.time.now")
    for length, name in _STEPS:
        if rounded(count) < length:
            unit = name
            break
        count /= length
    way = "past" if seconds < 0 else "future"
    return t.n(f"frame.time.{way}.{unit}", rounded(count))


def initials(name: str) -> str:
    """The letters that stand for a person: Ada Lovelace is AL."""
    parts = name.split() or ["?"]
    chosen = parts if len(parts) == 1 else [parts[0], parts[-1]]
    return "".join(part[0] for part in chosen).upper()


def prose(text: str) -> Markup:
    """A sentence in which what stands between backticks is code, as errors and helps write it."""
    parts = text.split("`")
    whole = parts if len(parts) % 2 else [*parts[:-2], "`".join(parts[-2:])]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else part
        for place, part in enumerate(whole)
    )


def browser(t: Texts, agent: str) -> str:
    """A browser and its system by what it says of itself, as far as people know them."""
    known = [
        next((words for sign, words in names if sign in agent), "")
        for names in (_BROWSERS, _SYSTEMS)
    ]
    return ", ".join(filter(None, known)) or agent[:40] or t("me.unknown_browser")
