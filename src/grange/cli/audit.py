"""`grange audit`: who did what to what, when, from where; and whether the log is whole."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated

import typer

from grange.cli import terminal, words
from grange.cli.options import Json, Limit, examples, open_people
from grange.errors import AuditBroken

if TYPE_CHECKING:
    from grange.bootstrap.accounts import People
    from grange.client.schemas.accounts import AuditEntry

app = typer.Typer(no_args_is_help=True)


def list_audit(
    who: Annotated[
        str, typer.Option("--who", metavar="USER", help="Only what this user did: e-mail or id.")
    ] = "",
    action: Annotated[
        str, typer.Option("--action", metavar="ACTION", help="Only this: run.submitted, or run.")
    ] = "",
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List the audit log, the newest first."""
    with open_people() as people:
        found = itertools.islice(people.audit(who=who, action=action), limit)
        if json:
            from grange.cli.records import answer_record

            for one in found:
                terminal.put_json(answer_record(one) | {"at": words.iso(one.at)})
            return
        terminal.put_table(
            ("number", "at", "who", "action", "target", "outcome", "from"),
            map(_row, found),
            right="number",
        )


def verify(
    head: Annotated[
        str,
        typer.Option(
            "--head", metavar="HASH", help="A hash that was kept earlier; it must still be there."
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Check that nothing in the audit log was changed or taken out.

    Keep the hash that it prints somewhere else: given as --head later, it
    proves that the log was not cut off and written anew either.
    """
    with open_people() as people:
        verdict = people.verify_audit()
        kept = not head or head == verdict.head or _has(people, head)
    if not verdict.whole:
        raise AuditBroken(
            f"The audit log is broken at line {verdict.broken_at}: {verdict.reason}",
            hint="Keep the database as it is, and compare it with a backup.",
        )
    if not kept:
        raise AuditBroken(
            "No line of the audit log has the hash that was kept.",
            hint="The log was cut off or written anew since; compare it with a backup.",
        )
    if json:
        terminal.put_json({"whole": True, "entries": verdict.entries, "head": verdict.head})
        return
    terminal.put(f"The audit log is whole: {verdict.entries:,} lines.")
    terminal.put(f"head: {verdict.head}")


app.command(
    "list",
    epilog=examples("grange audit list", "grange audit list --who ana@example.org --action run"),
)(list_audit)
app.command(
    "verify", epilog=examples("grange audit verify", "grange audit verify --head 9f86d081…")
)(verify)


def _has(people: People, head: str) -> bool:
    return any(entry.hash == head for entry in people.audit())


def _row(entry: AuditEntry) -> tuple[str, ...]:
    return (
        str(entry.number),
        words.moment(entry.at),
        entry.who,
        entry.action,
        entry.target,
        entry.outcome,
        entry.address,
    )
