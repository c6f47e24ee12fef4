"""`grange benchmark scaling`: one worker against several, and where the rest of the time goes."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grange.cli import terminal, words
from grange.cli.exits import DONE, FAILED_ITEMS, INTERRUPTED
from grange.cli.options import Exclude, Include, Inputs, Json, Set, Timeout, examples, settings_with
from grange.cli.stopping import StopSignals
from grange.errors import SettingInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grange.bootstrap.scaling import Compared, Measured

app = typer.Typer(no_args_is_help=True)

EXAMPLES = examples(
    "grange benchmark scaling wildlife videos/ --workers 1,2,4",
    "grange benchmark scaling ./words.py texts/ --workers 1,2 --repeat 3 --out scaling/",
)

_Counts = Annotated[
    str,
    typer.Option("--workers", "-w", metavar="N,N,…", help="Which numbers of workers to compare."),
]
_Repeat = Annotated[
    int, typer.Option("--repeat", metavar="N", min=1, help="How often each; the median counts.")
]
_Out = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        show_default=False,
        help="Where scaling.html, scaling.svg and scaling.json go; here, unless set.",
    ),
]


@app.callback()
def _benchmark() -> None:
    """Measure this machine."""


@app.command("scaling", epilog=EXAMPLES)
def scaling(
    pipeline: Annotated[
        str,
        typer.Argument(
            metavar="PIPELINE", show_default=False, help="A name, or the file of one's own."
        ),
    ],
    inputs: Inputs,
    *,
    workers: _Counts = "1,2,4",
    repeat: _Repeat = 1,
    settings: Set = None,
    include: Include = None,
    exclude: Exclude = None,
    timeout: Timeout = None,
    out: _Out = ".",
    json: Json = False,
) -> None:
    """Do a run with several numbers of workers on this machine, and compare their times.

    Each run begins from nothing, in a folder of its own that is deleted afterwards.
    Ctrl-C ends it with what has been measured by then.
    """
    from grange.bootstrap.scaling import compare, measure
    from grange.runs.models import RunRequest

    chosen = settings_with(timeout_seconds=timeout)
    request = RunRequest(
        pipeline=pipeline,
        inputs=inputs,
        out="",
        settings=settings or (),
        include=include or (),
        exclude=exclude or (),
        retries=0,
        timeout_seconds=chosen.timeout_seconds,
        cwd=os.getcwd(),
    )
    with StopSignals() as stop:
        measured = measure(
            chosen, request, _counts(workers), repeats=repeat, told=terminal.say, stop=stop.event
        )
        stopped = stop.event.is_set()
    if not measured:
        raise typer.Exit(INTERRUPTED)
    compared = compare(measured)
    _write(Path(out), compared, _about(pipeline, measured, repeat))
    _put(compared, Path(out), as_json=json)
    failed = any(one.failed for one in measured)
    raise typer.Exit(INTERRUPTED if stopped else FAILED_ITEMS if failed else DONE)


def _counts(text: str) -> list[int]:
    try:
        return sorted({int(one) for one in text.split(",")})
    except ValueError:
        message = f"{text!r} are no numbers of workers."
        raise SettingInvalid(message, hint="They look like this: --workers 1,2,4") from None


def _about(pipeline: str, measured: Sequence[Measured], repeat: int) -> dict[str, str]:
    import time

    from grange.runs.manifest import iso_time, software

    return {
        "pipeline": pipeline,
        "inputs": f"{measured[0].items:,}",
        "failed": f"{max(one.failed for one in measured):,}",
        "repetitions": f"{repeat}, the median counts",
        "cores": f"{len(os.sched_getaffinity(0))}",
        "load afterwards": f"{os.getloadavg()[0]:.1f}",
        "machine": f"{platform.node()}, {platform.system()} {platform.release()}",
        "grange": str(software().get("grange")),
        "when": iso_time(time.time()) or "",
    }


def _write(out: Path, compared: Sequence[Compared], about: dict[str, str]) -> None:
    from json import dumps

    from grange.bootstrap import scalingpage

    data = {"about": about, "measured": [_record(one) for one in compared]}
    texts = {
        "scaling.html": scalingpage.page(compared, about),
        "scaling.svg": scalingpage.picture(compared),
        "scaling.json": dumps(data, indent=1),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        message = f"The folder {out} can't be written to: {error.strerror}."
        raise SettingInvalid(message, hint="Name another --out.") from error


def _record(one: Compared) -> dict[str, object]:
    return {
        **asdict(one.measured),
        "speedup": one.speedup,
        "efficiency": one.efficiency,
        "shares": {"work": one.useful, **one.loss},
    }


def _put(compared: Sequence[Compared], out: Path, *, as_json: bool) -> None:
    from grange.bootstrap import scalingpage

    if as_json:
        for one in compared:
            terminal.put_json(_record(one))
        return
    headings = scalingpage.headings()
    # The columns of numbers; their names have blanks in them.
    shown = [name.replace(" ", "-") for name in headings]
    terminal.put_table(shown, scalingpage.table(compared), right=" ".join(shown))
    terminal.put()
    terminal.put(f"picture: {words.short((out / 'scaling.html').absolute())}")
