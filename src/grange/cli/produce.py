"""`grange produce`: what lies in a folder becomes a batch of work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grange.cli import terminal, words
from grange.cli.exits import DONE
from grange.cli.options import (
    Exclude,
    Group,
    Include,
    Json,
    Name,
    Priority,
    Retries,
    Set,
    Timeout,
    examples,
    open_site,
    settings_with,
)

EXAMPLES = examples(
    "grange produce /mnt/data",
    "grange produce /mnt/data wildlife --set detector=finder",
    "grange produce texts/ ./words.py && grange consume texts/",
)

Folder = Annotated[
    str,
    typer.Argument(
        metavar="DIR",
        show_default=False,
        help="The folder that holds input/; input_done/ and output/ are made beside it.",
    ),
]
_Settle = Annotated[
    float,
    typer.Option(
        "--settle",
        metavar="SECONDS",
        min=0.0,
        max=600.0,
        help="For how long a file has to stay as it is before it counts as whole.",
    ),
]


def produce(
    folder: Folder,
    pipeline: Annotated[
        str, typer.Argument(metavar="PIPELINE", help="A name, or the file of one's own.")
    ] = "wildlife",
    *,
    settings: Set = None,
    include: Include = None,
    exclude: Exclude = None,
    retries: Retries = None,
    timeout: Timeout = None,
    name: Name = "",
    priority: Priority = 0,
    group: Group = "",
    settle: _Settle = 2.0,
    json: Json = False,
) -> None:
    """Make a batch of what lies in DIR/input, to be worked on by grange consume.

    What is produced already, or done, is not produced again; what failed is.
    """
    from grange.bootstrap.batches import Batches
    from grange.runs.models import RunRequest

    chosen = settings_with(retries=retries, timeout_seconds=timeout)
    request = RunRequest(
        pipeline=str(Path(pipeline).absolute()) if pipeline.endswith(".py") else pipeline,
        inputs=(),
        out="",
        settings=settings or (),
        include=include or (),
        exclude=exclude or (),
        retries=chosen.retries,
        timeout_seconds=chosen.timeout_seconds,
        name=name,
        priority=priority,
        group=group,
    )
    with open_site(chosen) as site:
        batches = Batches(site, Path(folder))
        submitted = batches.produce(request, settle_seconds=settle, told=terminal.say)
    run = submitted.run if submitted else None
    if json:
        left = run.counts.left if run else None
        terminal.put_json({"event": "produced", "run": run.id if run else None, "items": left})
    elif run is None:
        terminal.put("Kept: who works on this folder goes on with it.")
    else:
        more = "go on as" if submitted and submitted.resumed else "are"
        terminal.put(f"{words.items(run.counts.left)} {more} run {run.id}.")
        terminal.put(f"work on it: grange consume {words.visible(folder)}")
    raise typer.Exit(DONE)
