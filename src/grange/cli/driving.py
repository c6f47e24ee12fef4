"""Working on a run, or watching it, until it ends or somebody says stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grange.cli import displays, terminal
from grange.cli.exits import run_exit_code
from grange.cli.stopping import StopSignals
from grange.errors import GrangeError

if TYPE_CHECKING:
    from grange.bootstrap import Site
    from grange.runs.models import Submitted


def work_on(
    site: Site, submitted: Submitted, *, workers: int | None, as_json: bool, quiet: bool
) -> int:
    """Drive the run to its end and show how it goes; returns the exit code.

    When another process drives it, follow that one, and take over when it dies.
    """
    run = submitted.run
    with StopSignals() as stop:
        with displays.choose(as_json=as_json, quiet=quiet, stop=stop.event) as display:
            display.submitted(submitted)
            try:
                run = site.drive(run.id, workers=workers, observer=display.observe, stop=stop.event)
            except GrangeError:
                _say_kept(run.id)
                raise
        display.ended(run, site.failures(run.id))
    return run_exit_code(run)


def watch(site: Site, submitted: Submitted, *, as_json: bool) -> int:
    """Show how a run goes that others work on, until it ends or nobody works on it any longer."""
    run = submitted.run
    with StopSignals() as stop:
        with displays.choose(as_json=as_json, quiet=False, stop=stop.event) as display:
            display.submitted(submitted)
            run = site.follow(run.id, observer=display.observe, stop=stop.event)
        display.ended(run, site.failures(run.id))
    return run_exit_code(run)


def _say_kept(run: str) -> None:
    terminal.say(f"Run {run} is kept as it stands; go on with it: grange runs resume {run}")
