"""`grange export`: a run's results in the formats of other programs."""

from __future__ import annotations

from typing import Annotated

import typer

from grange.cli import terminal, words
from grange.cli.options import Json, RunArgument, examples, open_site

EXAMPLES = examples(
    "grange export last --to csv",
    "grange export last --to camtrap-dp --deployments cameras.csv --out package/",
    "grange export night-shift --to coco-ct --threshold 0.5 --out night.json",
)

To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="FORMAT",
        show_default=False,
        help="For wildlife: md, timelapse, csv, camtrap-dp, coco-ct, coco-keypoints, dlc-csv, "
        "dlc-h5.",
    ),
]
Out = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        metavar="PATH",
        show_default=False,
        help="A new folder, or a new file where the format has only one; RUN-FORMAT unless set.",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        metavar="0-1",
        show_default=False,
        help="Leave out detections that are less sure.",
    ),
]
Pcutoff = Annotated[
    float | None,
    typer.Option(
        "--pcutoff",
        metavar="0-1",
        show_default=False,
        help="coco-keypoints: points that are less likely are hidden (0.6).",
    ),
]
Deployments = Annotated[
    str,
    typer.Option(
        "--deployments",
        metavar="FILE.csv",
        show_default=False,
        help="camtrap-dp: where cameras stood and when. Left out, a file to fill in is written.",
    ),
]
Times = Annotated[
    str,
    typer.Option(
        "--times",
        metavar="FILE.csv",
        show_default=False,
        help="camtrap-dp: when files were taken that do not say it.",
    ),
]
Taxa = Annotated[
    str,
    typer.Option(
        "--taxa",
        metavar="FILE.csv",
        show_default=False,
        help="camtrap-dp: the scientific names of labels.",
    ),
]
Project = Annotated[
    str,
    typer.Option(
        "--project",
        metavar="FILE.json",
        show_default=False,
        help="camtrap-dp: contributors, project, licences.",
    ),
]
Level = Annotated[
    str,
    typer.Option(
        "--level",
        metavar="LEVEL",
        show_default=False,
        help="camtrap-dp: observations of each file (media, unless set) or of events (event).",
    ),
]
EventGap = Annotated[
    float | None,
    typer.Option(
        "--event-gap",
        metavar="SECONDS",
        show_default=False,
        help="camtrap-dp: the pause after which an event is over (120).",
    ),
]


def export(
    run: RunArgument,
    to: To,
    *,
    out: Out = "",
    threshold: Threshold = None,
    pcutoff: Pcutoff = None,
    deployments: Deployments = "",
    times: Times = "",
    taxa: Taxa = "",
    project: Project = "",
    level: Level = "",
    event_gap: EventGap = None,
    json: Json = False,
) -> None:
    """Write a run's results in the format of another program.

    What each format holds, and what is lost in it: docs/guides/formats.md.
    """
    from grange.bootstrap import exporting

    given = {
        "threshold": threshold,
        "pcutoff": pcutoff,
        "deployments": deployments,
        "times": times,
        "taxa": taxa,
        "project": project,
        "level": level,
        "event_gap": event_gap,
    }
    options = {name: str(value) for name, value in given.items() if value not in {None, ""}}
    with open_site() as site:
        found = exporting.export(site, run, to, options, out=out)
    for remark in found.remarks:
        terminal.say(words.visible(remark))
    if json:
        about = {"run": found.run.id, "format": to, "path": str(found.place), "files": found.files}
        terminal.put_json(about | {"remarks": list(found.remarks)})
    else:
        terminal.put(words.visible(str(found.place)))
