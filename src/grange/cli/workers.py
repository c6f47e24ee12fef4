"""`grange workers`: the machines that take work from a server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from grange.cli import terminal, words
from grange.cli.options import Json, examples, open_crew
from grange.cli.workerwords import facts, is_here, percent, row, task_words
from grange.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grange.client.schemas.workers import Worker

app = typer.Typer(no_args_is_help=True)

_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

# For how long a line may be good.
LEAST_SECONDS = 10.0
MOST_SECONDS = 30 * 86_400.0

WorkerArgument = Annotated[
    str, typer.Argument(metavar="WORKER", show_default=False, help="A worker's name or id.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


def list_workers(json: Json = False) -> None:
    """List the workers, and what each does now."""
    with open_crew() as crew:
        found = crew.workers()
    if json:
        _put_records(found)
        return
    if not found:
        terminal.put("No machine has joined yet. Make a token: grange workers token")
        return
    headings = ("worker", "state", "slots", "does", "per min", "cpu", "memory", "labels", "seen")
    now = time.time()
    rows = [row(worker, now) for worker in found]
    terminal.put_table(headings, rows, right="slots cpu memory")
    for one in found:
        if one.misfit:
            terminal.say(words.visible(f"{one.name}: {one.misfit}"))


def show(worker: WorkerArgument, json: Json = False) -> None:
    """Show one worker: what it has, what it does, and which folders it shares with the server."""
    with open_crew() as crew:
        found = crew.find(worker)
    if json:
        _put_records([found])
        return
    terminal.put_pairs(facts(found))
    if found.tasks:
        terminal.put()
        rows = [
            (task_words(task), words.duration(task.seconds), percent(task.progress), task.run)
            for task in found.tasks
        ]
        terminal.put_table(("at work on", "since", "done", "run"), rows, right="since done")


def make_token(
    *,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="How long: 90s, 15m, 12h or 7d.")
    ] = "15m",
    uses: Annotated[
        int, typer.Option("--uses", metavar="N", min=1, help="How many machines may join by it.")
    ] = 1,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="LABEL",
            show_default=False,
            help="Give the machines this label; may be repeated.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make a token, and print the line that lets a machine join: this once, and never again."""
    from grange.client.requests import request
    from grange.client.schemas.workers import NewWorkerToken
    from grange.core.resources import check_labels

    new = request(
        NewWorkerToken,
        labels=list(check_labels(label or ())),
        expires_seconds=_seconds(expires),
        uses=uses,
    )
    with open_crew() as crew:
        made = crew.make_token(new)
    if json:
        from grange.cli.records import answer_record

        terminal.put_json(answer_record(made) | {"command": f"grange worker '{made.line}'"})
        return
    machines = "one machine" if uses == 1 else f"{uses} machines"
    until = words.moment(made.token.expires_at)
    terminal.say(f"Until {until} {machines} may join. Run this there:")
    terminal.put(f"grange worker '{made.line}'")
    server = made.line.partition("#")[0]
    if is_here(server):
        terminal.say(
            f"Only the server's own machine reaches {server}. For others, say where it listens and "
            "how it is reached: the settings host, tls and public_url."
        )


def list_tokens(json: Json = False) -> None:
    """List the tokens by which machines may still join, without their secrets."""
    with open_crew() as crew:
        found = crew.tokens()
    if json:
        from grange.cli.records import answer_record

        for one in found:
            terminal.put_json(answer_record(one))
        return
    if not found:
        terminal.put("No token is open. Make one: grange workers token")
        return
    rows = [
        (one.id, words.moment(one.expires_at), f"{one.used}/{one.uses}", ", ".join(one.labels))
        for one in found
    ]
    terminal.put_table(("id", "until", "used", "labels"), rows, right="used")


def revoke(
    token: Annotated[
        str, typer.Argument(metavar="TOKEN", show_default=False, help="A token's id.")
    ],
    json: Json = False,
) -> None:
    """Revoke a token: nobody joins by it any longer. Who has joined stays."""
    with open_crew() as crew:
        crew.revoke_token(token)
    if json:
        terminal.put_json({"event": "revoked", "token": token})
    else:
        terminal.put(f"Token {words.visible(token)} is revoked.")


def drain(
    worker: WorkerArgument,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Let it take work again.")] = False,
    json: Json = False,
) -> None:
    """Let a worker finish what it holds, and take nothing new."""
    from grange.client.schemas.workers import WorkerChange

    with open_crew() as crew:
        changed = crew.change(worker, WorkerChange(state="active" if undo else "draining"))
    if json:
        _put_records([changed])
        return
    does = "takes work again" if undo else "finishes what it holds, and takes nothing new"
    terminal.put(f"{words.visible(changed.name)} {does}.")


def rename(
    worker: WorkerArgument,
    name: Annotated[
        str, typer.Argument(metavar="NAME", show_default=False, help="What it is called then.")
    ],
    json: Json = False,
) -> None:
    """Give a worker another name."""
    from grange.client.requests import request
    from grange.client.schemas.workers import WorkerChange

    with open_crew() as crew:
        changed = crew.change(worker, request(WorkerChange, name=name))
    if json:
        _put_records([changed])
        return
    terminal.put(f"{words.visible(worker)} is {words.visible(changed.name)} from now on.")


def remove(
    workers: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORKER", show_default=False, help="Names or ids of workers."),
    ] = None,
    *,
    gone: Annotated[
        bool, typer.Option("--gone", help="All that are gone, or were stopped.")
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Remove workers: their credentials open nothing any longer."""
    from grange.cli.users import ask

    if bool(workers) == gone:
        raise UsageError("Which workers?", hint="Name them, or give --gone for all that are gone.")
    with open_crew() as crew:
        found = [crew.find(one) for one in workers or ()]
        if gone:
            found = [one for one in crew.workers() if one.presence == "gone"]
        busy = [one.name for one in found if one.busy and one.presence != "gone"]
        if busy and not yes:
            ask(f"At work: {', '.join(map(words.visible, busy))}. Others will begin that anew.")
        for one in found:
            crew.remove(one.id)
            if json:
                terminal.put_json({"event": "removed", "worker": one.id, "name": one.name})
            else:
                terminal.put(f"{words.visible(one.name)} is removed.")


app.command(
    "token",
    epilog=examples("grange workers token", "grange workers token --expires 1h --uses 5"),
)(make_token)
app.command("list", epilog=examples("grange workers list", "grange workers list --json"))(
    list_workers
)
app.command("show", epilog=examples("grange workers show rack-2"))(show)
app.command(
    "drain", epilog=examples("grange workers drain rack-2", "grange workers drain rack-2 --undo")
)(drain)
app.command("rename", epilog=examples("grange workers rename rack-2 attic"))(rename)
app.command(
    "remove", epilog=examples("grange workers remove rack-2", "grange workers remove --gone")
)(remove)
app.command("tokens", epilog=examples("grange workers tokens"))(list_tokens)
app.command("revoke", epilog=examples("grange workers revoke 4bxk29sd0q"))(revoke)


def _seconds(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNIT_SECONDS:
        number, unit = text, "s"
    try:
        seconds = float(number) * _UNIT_SECONDS[unit]
    except ValueError as error:
        message = f"{text!r} is no time."
        raise UsageError(message, hint="Write 90s, 15m, 12h or 7d.") from error
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        message = f"A line can't be good for {text!r}."
        raise UsageError(message, hint="It is for 10 seconds at least, and for 30 days at most.")
    return seconds


def _put_records(found: Sequence[Worker]) -> None:
    from grange.cli.records import answer_record

    for one in found:
        terminal.put_json(answer_record(one))
