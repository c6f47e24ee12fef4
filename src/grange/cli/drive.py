"""The command `grange drive`: work on a server's runs. `grange serve` starts it by itself."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Annotated

import typer

from grange.cli.options import settings_with
from grange.cli.stopping import StopSignals


def drive(
    *,
    stdin: Annotated[
        bool,
        typer.Option("--stdin", help="Look when a byte comes on stdin, and end when that ends."),
    ] = False,
) -> None:
    """Work on the runs that wait on this machine's server, until SIGTERM or Ctrl-C.

    `grange serve` starts this by itself; it is of use where a server's work is
    to be done by another process.
    """
    from grange.bootstrap.driving import listen_to_parent, open_shift

    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with StopSignals() as stop, open_shift(settings_with()) as shift:

        def watch() -> None:
            stop.event.wait()
            shift.stop()

        threading.Thread(target=watch, name="signals", daemon=True).start()
        if stdin:
            listen_to_parent(shift)
        shift.work()
