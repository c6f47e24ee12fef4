"""The command `grange worker`: let this machine take work from a server."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from grange.cli import terminal
from grange.cli.exits import DONE, INTERRUPTED
from grange.cli.options import examples, settings_with
from grange.cli.stopping import StopSignals
from grange.errors import UsageError

EXAMPLES = examples(
    "grange worker 'https://grange.example.org#…'    # the line of: grange workers token",
    "grange worker                                   # again, after a restart",
    "grange worker 'https://…#…' --slots 4 --labels fast,cellar --gpu 0",
    "grange worker 'https://…#…' --mount /srv/data=/mnt/data",
)
_MOST_LINE = 1000
_MOST_SLOTS = 1024
_MOST_SECONDS = 86_400

Line = Annotated[
    str,
    typer.Argument(
        metavar="[LINE]",
        show_default=False,
        help="The line of `grange workers token`, in quotation marks; - reads it from stdin. "
        "Not needed again after the first time.",
    ),
]
Slots = Annotated[
    int | None,
    typer.Option(
        min=1, max=_MOST_SLOTS, metavar="N", show_default=False, help="Tasks at once; one per core."
    ),
]
Labels = Annotated[
    str,
    typer.Option(
        "--labels", metavar="A,B", show_default=False, help="Words by which runs can ask for it."
    ),
]
Gpu = Annotated[
    str,
    typer.Option(
        "--gpu", metavar="WHICH", help="Its GPUs: auto, none, indices 0,1 or with memory 0:24GiB."
    ),
]
Memory = Annotated[
    str, typer.Option(metavar="SIZE", show_default=False, help="Memory for tasks; nearly all.")
]
Name = Annotated[
    str, typer.Option(metavar="TEXT", show_default=False, help="Its name; that of the machine.")
]
Mount = Annotated[
    list[str] | None,
    typer.Option(
        metavar="THERE=HERE",
        show_default=False,
        help="A folder that is called THERE on the server is HERE; may be repeated.",
    ),
]
Cache = Annotated[
    str,
    typer.Option(
        "--cache-bytes", metavar="SIZE", show_default=False, help="Room for inputs (20GiB)."
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(min=0, max=65_535, metavar="N", show_default=False, help="Tell Prometheus here."),
]
DrainSeconds = Annotated[
    float,
    typer.Option(
        min=0, max=_MOST_SECONDS, metavar="SECONDS", help="How long it finishes work when it ends."
    ),
]
UntilIdle = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=_MOST_SECONDS,
        metavar="SECONDS",
        show_default=False,
        help="End when there was no work for so long.",
    ),
]


def worker(
    line: Line = "",
    *,
    slots: Slots = None,
    labels: Labels = "",
    gpu: Gpu = "auto",
    memory: Memory = "",
    name: Name = "",
    mount: Mount = None,
    cache_bytes: Cache = "",
    metrics_port: MetricsPort = None,
    drain_seconds: DrainSeconds = 60.0,
    until_idle: UntilIdle = None,
) -> None:
    """Let this machine take work from a server.

    It joins once, by the line that `grange workers token` prints on the server, and
    keeps its own credentials in the home. SIGTERM or Ctrl-C let it finish what is
    begun, and end; once more ends it at once.
    """
    from grange.bootstrap.working import Choices, work

    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    choices = Choices(
        line=_line(line),
        name=name,
        slots=slots,
        memory_bytes=_size(memory),
        gpus=gpu,
        labels=[part.strip() for part in labels.split(",") if part.strip()],
        mounts=mount or [],
        metrics_port=metrics_port,
        drain_seconds=drain_seconds,
        idle_seconds=until_idle,
    )
    settings = settings_with(cache_bytes=cache_bytes or None)
    with StopSignals() as stop:
        whole = work(settings, choices, say=terminal.say, stop=stop.event)
    raise typer.Exit(DONE if whole else INTERRUPTED)


def _line(text: str) -> str:
    return sys.stdin.readline(_MOST_LINE).strip() if text == "-" else text.strip()


def _size(text: str) -> int | None:
    if not text:
        return None
    from grange.settings import kinds

    try:
        return int(str(kinds.size(1).parse(text)))
    except ValueError:
        message = f"{text!r} is no amount of memory."
        raise UsageError(message, hint="Write it as 16GB or 16GiB.") from None
