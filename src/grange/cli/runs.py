"""`grange runs`: what there is to be known of runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from grange.cli import control, logs, summary, terminal, words
from grange.cli.options import Json, Limit, RunArgument, examples, open_site
from grange.errors import UsageError

if TYPE_CHECKING:
    from grange.runs.models import FailureGroup, ItemView, RunView

app = typer.Typer(no_args_is_help=True)

_INPUT_WORDS = {"roots": "inputs"}

# Parameters that say nothing are not shown.
_EMPTY: tuple[object, ...] = (None, "", [], {})

S = TypeVar("S", bound=StrEnum)

State = Annotated[
    str | None, typer.Option("--state", metavar="STATE", help="Only those in this state.")
]
All = Annotated[bool, typer.Option("--all", help="All, however many there are.")]


def list_runs(
    state: State = None,
    limit: Limit = 50,
    everything: All = False,
    json: Json = False,
) -> None:
    """List runs, the newest first."""
    from grange.core.states import RunState

    with open_site() as site:
        wanted = _state(RunState, state)
        found = site.list_runs(state=wanted, limit=None if everything else limit)
    if json:
        from grange.cli.records import run_record

        for one in found:
            terminal.put_json(run_record(one))
        return
    if not found:
        terminal.put("No runs yet. A first one: grange map 'wc {input} > {output}/count' FILES")
        return
    terminal.put_table(
        ("run", "state", "done", "failed", "items", "created", "pipeline", "name"),
        map(_row, found),
        right="done failed items",
    )
    if len(found) == limit and not everything:
        terminal.say(f"the newest {limit}; see all with --all")


def show(run: RunArgument, json: Json = False) -> None:
    """Show a run: its state, what failed and why, where its results are."""
    with open_site() as site:
        view = site.find_run(run)
        failures = site.failures(view.id)
    if json:
        from grange.cli.records import record, run_record

        why = {"failures": [record(group) for group in failures]}
        terminal.put_json(run_record(view) | why | {"report": summary.report_of(view)})
        return
    terminal.put_pairs(_facts(view))
    _put_failures(failures)
    for command in summary.next_steps(view):
        terminal.put(f"next: {command}")


def items(
    run: RunArgument,
    state: State = None,
    limit: Limit = 1000,
    everything: All = False,
    json: Json = False,
) -> None:
    """List a run's items in the order of their submission."""
    from grange.core.states import ItemState

    with open_site() as site:
        view = site.find_run(run)
        every = site.items(view.id, state=_state(ItemState, state))
        found = every if everything else itertools.islice(every, limit)
        if json:
            from grange.cli.records import record

            for one in found:
                terminal.put_json(record(one))
            return
        headings = ("state", "attempts", "seconds", "size", "outputs", "path", "why")
        terminal.put_table(headings, map(_item_row, found), right="attempts seconds size outputs")
    if view.counts.total > limit and not everything and state is None:
        terminal.say(f"the first {limit} of {view.counts.total:,}; see all with --all")


app.command(
    "list", epilog=examples("grange runs list --state failed", "grange runs list --all --json")
)(list_runs)
app.command("show", epilog=examples("grange runs show last"))(show)
app.command("items", epilog=examples("grange runs items last --state failed"))(items)
app.command(
    "logs",
    epilog=examples(
        "grange runs logs last --failed", "grange runs logs last day1/0031.mp4 --attempt 2"
    ),
)(logs.show_logs)
app.command("watch", epilog=examples("grange runs watch last"))(control.watch)
app.command("cancel", epilog=examples("grange runs cancel last"))(control.cancel)
app.command("pause", epilog=examples("grange runs pause night-shift"))(control.pause)
app.command("resume", epilog=examples("grange runs resume last --workers 8"))(control.resume)
app.command("retry", epilog=examples("grange runs retry last"))(control.retry)
app.command(
    "delete", epilog=examples("grange runs delete 4bx", "grange runs delete last --outputs --yes")
)(control.delete)


def _facts(run: RunView) -> Iterator[tuple[str, str]]:
    from grange.core.resources import Needs
    from grange.core.resources import words as needed

    yield "run", run.id
    yield "name", words.visible(run.name)
    yield "state", terminal.state_word(summary.state_of(run))
    yield "worked on by", run.driver or ""
    yield "note", words.visible(run.note)
    yield "pipeline", f"{words.visible(run.pipeline)}, version {run.version}"
    for name, value in run.params.items():
        yield f"  {name}", words.value(value) if value not in _EMPTY else ""
    if run.needs != Needs():
        yield "each task needs", needed(run.needs)
    for name, digest in run.models.items():
        yield f"  model {name}", digest
    for name, values in run.inputs.items():
        yield _INPUT_WORDS.get(name, name), ", ".join(map(words.value, values))
    yield "items", f"{summary.counts_words(run.counts)}; {words.size(run.bytes_total)}"
    yield "created", words.moment(run.created_at)
    yield "started", words.moment(run.started_at)
    yield "finished", words.moment(run.finished_at)
    yield "took", words.duration(summary.seconds_of(run) or 0) if run.finished_at else ""
    yield "results", words.place(run.out)
    yield "report", words.place(summary.report_of(run) or "")
    yield from summary.pages(run)


def _put_failures(groups: list[FailureGroup]) -> None:
    if groups:
        terminal.put("what failed:")
    for group in groups:
        terminal.put(f"  {group.count:,} × {group.code}: {words.visible(group.message)}")
        terminal.put(f"      for example {words.visible(group.example)}")


def _state(states: type[S], name: str | None) -> S | None:
    if name is None:
        return None
    if name not in list(states):
        raise UsageError(f"There is no state {name!r}.", hint=f"There are: {', '.join(states)}.")
    return states(name)


def _row(run: RunView) -> tuple[str, ...]:
    return (
        run.id,
        summary.state_of(run),
        f"{run.counts.done:,}",
        f"{run.counts.failed:,}",
        f"{run.counts.total:,}",
        words.moment(run.created_at),
        run.pipeline,
        run.name,
    )


def _item_row(item: ItemView) -> tuple[str, ...]:
    return (
        item.state,
        str(item.attempts),
        f"{item.seconds:.1f}",
        words.size(item.size),
        str(len(item.outputs)),
        item.path,
        str(item.failure["message"]) if item.failure else "known already" if item.reused else "",
    )
