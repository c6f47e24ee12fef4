"""`grange import`: results of other programs, in Grange's own format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grange.cli import terminal, words
from grange.cli.options import Json, examples

EXAMPLES = examples(
    "grange import predictions.json --out detections.json",
    "grange import wild.json --out detections.json --images photos/",
)

File = Annotated[
    Path, typer.Argument(metavar="FILE", show_default=False, help="A file of results, in JSON.")
]
Out = Annotated[
    Path,
    typer.Option(
        "--out", "-o", metavar="CANONICAL.json", show_default=False, help="The file to write."
    ),
]
From = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="FORMAT",
        show_default=False,
        help="md, microsoft, pytorch-wildlife, speciesnet or dive; found out unless set.",
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="FOLDER",
        show_default=False,
        help="The pictures or the video, where boxes are in pixels and sizes are not said.",
    ),
]
Size = Annotated[
    str,
    typer.Option(
        "--size",
        metavar="WIDTHxHEIGHT",
        show_default=False,
        help="The size of all pictures that are not there.",
    ),
]


def import_command(
    file: File,
    out: Out,
    *,
    from_: From = "",
    images: Images = None,
    size: Size = "",
    json: Json = False,
) -> None:
    """Write the results of another program as MegaDetector's batch output, version 1.6."""
    from grange.bootstrap import exporting

    found = exporting.import_file(file, out, dialect=from_, images=images, size=size)
    for fault in found.faults:
        terminal.say(f"{out.name}: {words.visible(fault)}")
    if json:
        about = {"path": str(found.place), "format": found.dialect, "items": found.items}
        terminal.put_json(about | {"faults": list(found.faults)})
    else:
        terminal.put(f"{words.visible(str(out))}: {found.items:,} items, from {found.dialect}")
