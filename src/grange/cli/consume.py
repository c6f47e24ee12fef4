"""`grange consume`: the batches of a folder are worked on, and their inputs moved away."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grange.cli import displays, terminal, words
from grange.cli.exits import DONE, INTERRUPTED, run_exit_code
from grange.cli.options import Json, Quiet, Workers, examples, open_site, settings_with
from grange.cli.produce import Folder
from grange.cli.stopping import StopSignals

if TYPE_CHECKING:
    from grange.bootstrap import Site
    from grange.bootstrap.batches import Batches
    from grange.runs.models import RunView

LOOK_SECONDS = 1.0

EXAMPLES = examples(
    "grange consume /mnt/data",
    "grange consume /mnt/data --workers 2",
    "grange consume /mnt/data --wait",
)

_Wait = Annotated[
    bool, typer.Option("--wait", help="When all is done, wait for what is produced next.")
]


def consume(
    folder: Folder,
    *,
    workers: Workers = None,
    wait: _Wait = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Work on what grange produce has made of DIR/input, until nothing is left.

    Results go to DIR/output. An input goes to DIR/input_done once it is done; one
    that failed stays, and DIR/input_failed says why. Ctrl-C stops it cleanly.
    """
    from grange.bootstrap.batches import Batches

    chosen = settings_with(workers=workers)
    with open_site(chosen) as site:
        batches = Batches(site, Path(folder))
        batches.check()
        tidied = batches.tidy()
        if tidied.moved and not quiet:
            terminal.say(f"{words.items(tidied.moved)} that were done have been moved.")
        with StopSignals() as stop:
            shift = _Shift(site, batches, chosen.workers, as_json=json, quiet=quiet)
            code = shift.work(stop.event, wait=wait)
    raise typer.Exit(code)


class _Shift:
    """Works on one batch after the other."""

    def __init__(
        self, site: Site, batches: Batches, workers: int | None, *, as_json: bool, quiet: bool
    ) -> None:
        self._site = site
        self._batches = batches
        self._workers = workers
        self._as_json = as_json
        self._quiet = quiet

    def work(self, stop: threading.Event, *, wait: bool) -> int:
        code, worked = DONE, False
        while not stop.is_set():
            run = self._batches.next_run()
            if run is not None:
                worked, run = True, self._work_on(run, stop)
                code = max(code, run_exit_code(run))
                if not run.state.is_finished():
                    break  # Somebody has paused it, or wants all of this to stop.
            elif not wait:
                break
            else:
                stop.wait(LOOK_SECONDS)
        if not worked and not self._quiet and not wait:
            terminal.say("Nothing is left to do here. To make a batch: grange produce DIR")
        return code if worked or wait or not stop.is_set() else INTERRUPTED

    def _work_on(self, run: RunView, stop: threading.Event) -> RunView:
        from grange.runs.models import Submitted

        with displays.choose(as_json=self._as_json, quiet=self._quiet, stop=stop) as display:
            display.submitted(Submitted(run=run, resumed=True, driver=run.driver))
            run, tidied = self._batches.work(
                run, workers=self._workers, observer=display.observe, stop=stop
            )
        display.ended(run, self._site.failures(run.id))
        if tidied.failed and not self._quiet:
            terminal.say(f"{words.items(tidied.failed)} stay in input/; why: input_failed/")
        return run
