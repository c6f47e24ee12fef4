"""`grange watch`: a pipeline over whatever arrives in a folder or a bucket."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from grange.cli.arrivals import ArrivalsDisplay, ArrivalsLines
from grange.cli.exits import run_exit_code
from grange.cli.options import (
    Exclude,
    Include,
    Json,
    Name,
    Out,
    Quiet,
    Retries,
    Set,
    Timeout,
    Workers,
    examples,
    settings_with,
)
from grange.cli.stopping import StopSignals

if TYPE_CHECKING:
    from grange.bootstrap.watching import WatchRequest
    from grange.settings import Settings

_LONGEST_SECONDS = 3600.0
_SHORTEST_SECONDS = 0.1

EXAMPLES = examples(
    "grange watch wildlife /mnt/cards --out results/",
    "grange watch ./words.py s3://bucket/texts --out counted/",
    "grange watch wildlife inbox/ --out results/ --once",
)

Inbox = Annotated[
    str,
    typer.Argument(
        metavar="INBOX",
        show_default=False,
        help="A folder (with all below), or s3://bucket/folder.",
    ),
]
Every = Annotated[
    float | None,
    typer.Option(
        "--every",
        metavar="SECONDS",
        min=_SHORTEST_SECONDS,
        max=_LONGEST_SECONDS,
        show_default=False,
        help="How often to look: 1 for a folder, 2 for a bucket, unless set otherwise.",
    ),
]
Settle = Annotated[
    float,
    typer.Option(
        "--settle",
        metavar="SECONDS",
        min=0.0,
        max=_LONGEST_SECONDS,
        help="For how long a file has to stay as it is before it counts as whole.",
    ),
]
Once = Annotated[bool, typer.Option("--once", help="Take what is there by now, then end.")]


def watch(
    pipeline: Annotated[
        str,
        typer.Argument(
            metavar="PIPELINE",
            show_default=False,
            help="A name (see: grange pipelines list), or the file of one's own: ./file.py",
        ),
    ],
    inbox: Inbox,
    out: Out,
    *,
    settings: Set = None,
    include: Include = None,
    exclude: Exclude = None,
    workers: Workers = None,
    retries: Retries = None,
    timeout: Timeout = None,
    every: Every = None,
    settle: Settle = 2.0,
    once: Once = False,
    name: Name = "",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Apply a pipeline to what arrives in a folder or a bucket, until Ctrl-C.

    Each file is taken once it is whole, and once for each content that it has.
    The same command again goes on with the same run.
    """
    from grange.bootstrap.watching import WatchRequest
    from grange.runs.models import RunRequest

    chosen = settings_with(workers=workers, retries=retries, timeout_seconds=timeout)
    request = RunRequest(
        pipeline=pipeline,
        inputs=[inbox],
        out=out,
        settings=settings or (),
        include=include or (),
        exclude=exclude or (),
        workers=chosen.workers,
        retries=chosen.retries,
        timeout_seconds=chosen.timeout_seconds,
        name=name,
        cwd=os.getcwd(),
    )
    wanted = WatchRequest(run=request, every_seconds=every, settle_seconds=settle, once=once)
    display = ArrivalsLines() if json else ArrivalsDisplay(quiet=quiet)
    if chosen.server is not None and not quiet:
        display.note(
            f"This machine watches and works, not {chosen.server}; "
            "see its runs with: GRANGE_SERVER=none grange runs list"
        )
    raise typer.Exit(_watch(chosen, wanted, display))


def _watch(settings: Settings, wanted: WatchRequest, display: ArrivalsDisplay) -> int:
    from grange.bootstrap.watching import open_watch

    (inbox,) = wanted.run.inputs
    with StopSignals() as stop, open_watch(settings, wanted, display.note) as watch:
        display.watching(watch.run, inbox)
        run = watch.work(observer=display.observe, told=display.note, stop=stop.event)
        display.ended(run, watch.failures(), watch.left_out)
    return run_exit_code(run)
