"""The picture and the page of a scaling benchmark: one file each, which need no other.

A bar is all the time of all workers of one measurement. What is left of the line
would be there with one worker too; what goes beyond it is what more workers cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from grange.bootstrap.scaling import LOSSES, Compared

WIDTH, MARGIN, LABEL, BAR, GAP = 860, 16, 92, 34, 16
_RIGHT = 128
_TOP = 58
# Told apart by lightness too, where colours are not.
COLOURS = {
    "work": "#2f6f4f",
    "slower work": "#8fbf9f",
    "starting": "#3b6ea5",
    "waiting": "#c9a227",
    "idle at the end": "#b5543a",
    "closing": "#6d6d78",
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{
  color-scheme: light dark;
  --ink: #1d1f23; --paper: #fff; --faint: #5c6068; --line: #d7d9de;
}}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e8e9ec; --paper: #17181b; --faint: #a2a6ae; --line: #3a3d44; }}
}}
body {{ color: var(--ink); background: var(--paper); font: 16px/1.5 system-ui, sans-serif;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
.wide {{ overflow-x: auto; }}
th, td {{ padding: .35rem .6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }}
th {{ font-weight: 600; }}
caption, .about {{ color: var(--faint); text-align: left; }}
svg {{ max-width: 100%; height: auto; }}
svg text {{ fill: var(--ink); }}
</style>
</head>
<body>
<h1>{title}</h1>
<p class="about">{about}</p>
{picture}
<div class="wide" tabindex="0" role="region" aria-label="The numbers">
<table>
<caption>Shares of all the time of all workers. Efficiency: what {base} would have taken in
all, over what these took in all.</caption>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
<h2>What the words mean</h2>
<ul>
<li><b>work</b>: on tasks, as long as it took with the fewest workers.</li>
<li><b>slower work</b>: what the same tasks took longer, since the workers share cores, memory and
disk, and each loads its own models.</li>
<li><b>starting</b>: until a worker's first task: submission, starting processes.</li>
<li><b>waiting</b>: between tasks.</li>
<li><b>idle at the end</b>: nothing left to take, while others still work.</li>
<li><b>closing</b>: after the last task: results and reports are written down.</li>
</ul>
</body>
</html>
"""


def headings() -> list[str]:
    """The columns of the table."""
    return ["workers", "time", "speed-up", "efficiency", "work", *LOSSES]


def table(compared: Sequence[Compared]) -> Iterator[list[str]]:
    """The rows of the table, as text."""
    for one in compared:
        yield [
            f"{one.measured.workers}",
            f"{one.measured.seconds:.2f} s",
            f"{one.speedup:.2f}",
            _percent(one.efficiency),
            _percent(one.useful),
            *(_percent(one.loss[name]) for name in LOSSES),
        ]


def page(compared: Sequence[Compared], about: Mapping[str, str]) -> str:
    """The page: the picture, the table, and what was measured where."""
    rows = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{escape(one)}</td>" for one in row[1:])}'
        "</tr>"
        for row in table(compared)
    )
    told = "; ".join(f"{escape(name)}: {escape(text)}" for name, text in about.items())
    return _PAGE.format(
        title=escape(f"Scaling of {about.get('pipeline', 'a pipeline')}"),
        about=told,
        picture=picture(compared, inside=True),
        base=_workers(compared[0].measured.workers),
        heads="".join(f'<th scope="col">{escape(one)}</th>' for one in headings()),
        rows=rows,
    )


def picture(compared: Sequence[Compared], *, inside: bool = False) -> str:
    """The picture, as SVG; `inside` a page, it has that page's colours."""
    height = _TOP + len(compared) * (BAR + GAP) + 30
    room = WIDTH - LABEL - _RIGHT - 2 * MARGIN
    spent = [one.measured.seconds * one.measured.workers for one in compared]
    scale = room / max(spent)
    words = ", ".join(
        f"{_workers(one.measured.workers)}: {one.measured.seconds:.2f} s, efficiency "
        f"{_percent(one.efficiency)}"
        for one in compared
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-label="{escape(words)}" '
        'font-family="system-ui, sans-serif" font-size="13">'
    )
    lines = [
        head,
        *([] if inside else [f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>']),
        *_legend(),
    ]
    for index, (one, all_of_it) in enumerate(zip(compared, spent, strict=True)):
        lines += _bar(one, all_of_it * scale, _TOP + index * (BAR + GAP))
    ideal = MARGIN + LABEL + spent[0] * scale
    bottom = _TOP + len(compared) * (BAR + GAP) - GAP / 2
    lines.append(
        f'<line x1="{ideal:.1f}" y1="{_TOP - 8}" x2="{ideal:.1f}" y2="{bottom:.1f}" '
        'stroke="currentColor" stroke-dasharray="4 3"/>'
        f'<text x="{ideal:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">'
        f"all time of {_workers(compared[0].measured.workers)}: the ideal</text>"
    )
    return "\n".join([*lines, "</svg>"])


def _bar(one: Compared, length: float, top: float) -> Iterator[str]:
    count = one.measured.workers
    middle = top + BAR / 2 + 5
    yield f'<text x="{MARGIN + LABEL - 10}" y="{middle}" text-anchor="end">{_workers(count)}</text>'
    at = float(MARGIN + LABEL)
    for name, share in {"work": one.useful, **one.loss}.items():
        width = share * length
        yield (
            f'<rect x="{at:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" '
            f'fill="{COLOURS[name]}"><title>{_workers(count)}, {name}: {_percent(share)}</title>'
            "</rect>"
        )
        at += width
    yield (
        f'<text x="{at + 8:.1f}" y="{middle}">{one.measured.seconds:.1f} s, '
        f"{_percent(one.efficiency)}</text>"
    )


def _legend() -> Iterator[str]:
    at = float(MARGIN)
    for name, colour in COLOURS.items():
        yield f'<rect x="{at}" y="{MARGIN}" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{at + 17}" y="{MARGIN + 11}">{name}</text>'
        at += 34 + 7.4 * len(name)


def _workers(count: int) -> str:
    return f"{count} worker{'' if count == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
