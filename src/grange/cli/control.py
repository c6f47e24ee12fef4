"""What may be done to a run: watch, cancel, pause, resume, retry, delete."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from grange.cli import terminal, words
from grange.cli.exits import DONE
from grange.cli.options import Detach, Json, Quiet, RunArgument, Workers, open_site, settings_with
from grange.cli.run import go_on
from grange.errors import RunEnded, UsageError

if TYPE_CHECKING:
    from grange.runs.models import RunView


def watch(run: RunArgument, json: Json = False) -> None:
    """Follow a run that another process works on. Ctrl-C stops watching, not the run."""
    from grange.cli.driving import watch as follow
    from grange.runs.models import Submitted

    with open_site() as site:
        view = site.find_run(run)
        code = follow(site, Submitted(run=view, driver=view.driver), as_json=json)
    raise typer.Exit(code)


def cancel(run: RunArgument, json: Json = False) -> None:
    """Stop a run for good. What is done stays done; the rest can be retried."""
    with open_site() as site:
        _put_state(site.cancel(site.find_run(run).id), as_json=json)


def pause(run: RunArgument, json: Json = False) -> None:
    """Let a run stand still until it is resumed."""
    with open_site() as site:
        _put_state(site.pause(site.find_run(run).id), as_json=json)


def resume(
    run: RunArgument,
    workers: Workers = None,
    detach: Detach = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Go on with a run that was interrupted or paused, and follow it to its end."""
    from grange.runs.models import Submitted

    chosen = settings_with(workers=workers)
    with open_site(chosen) as site:
        view = site.find_run(run)
        if view.state.is_finished():
            raise RunEnded(
                f"Run {view.id} has ended: it is {view.state}.",
                hint=f"Try its failed items again: grange runs retry {view.id}",
            )
        if view.state == "paused":
            view = site.unpause(view.id)
        submitted = Submitted(run=view, resumed=True, driver=view.driver)
        go_on(site, submitted, workers=chosen.workers, detach=detach, as_json=json, quiet=quiet)


def retry(
    run: RunArgument,
    workers: Workers = None,
    detach: Detach = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Work again on the items of a run that failed or were cancelled."""
    from grange.runs.models import Submitted

    chosen = settings_with(workers=workers)
    with open_site(chosen) as site:
        view = site.retry(site.find_run(run).id)
        submitted = Submitted(run=view, resumed=True)
        go_on(site, submitted, workers=chosen.workers, detach=detach, as_json=json, quiet=quiet)


def delete(
    run: RunArgument,
    outputs: Annotated[
        bool, typer.Option("--outputs", help="Delete the run's results and report too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    json: Json = False,
) -> None:
    """Forget a run, its items and its logs; the results stay, unless --outputs is given."""
    with open_site() as site:
        view = site.find_run(run)
        if not yes:
            _ask(view, outputs=outputs)
        site.delete(view.id, outputs=outputs)
    if json:
        terminal.put_json({"event": "deleted", "run": view.id, "outputs": outputs})
    else:
        terminal.put(f"Run {view.id} is deleted.")


def _ask(run: RunView, *, outputs: bool) -> None:
    """Say what will be lost, and go on only with a yes."""
    name = f" ({words.visible(run.name)})" if run.name else ""
    lost = f"the account and the logs of {words.items(run.counts.total)}"
    if outputs:
        lost += f", and all its results in {words.place(run.out)}"
    terminal.say(f"Deleting run {run.id}{name} loses {lost}.")
    if not sys.stdin.isatty():
        raise UsageError("Nobody is there to be asked.", hint="Give --yes to delete it.")
    if not typer.confirm("Delete it?", err=True):
        terminal.say("Nothing was deleted.")
        raise typer.Exit(DONE)


def _put_state(run: RunView, *, as_json: bool) -> None:
    if as_json:
        from grange.cli.records import run_record

        terminal.put_json(run_record(run))
    elif run.driver and not run.state.is_finished():
        terminal.put(f"Run {run.id} is {run.state}; {run.driver} lets go of it.")
    else:
        terminal.put(f"Run {run.id} is {run.state}.")
