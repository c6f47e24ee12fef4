"""`grange tokens`: keys for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from grange.cli import terminal, words
from grange.cli.options import Json, examples, open_people

if TYPE_CHECKING:
    from grange.bootstrap.accounts import People
    from grange.client.schemas.accounts import Token

app = typer.Typer(no_args_is_help=True)

_DAY_SECONDS = 86_400.0
_USUAL_SCOPES = ["read", "run"]

Whose = Annotated[
    str | None,
    typer.Option("--user", metavar="USER", show_default=False, help="Another user's."),
]


def list_tokens(user: Whose = None, json: Json = False) -> None:
    """List tokens, without their secrets."""
    with open_people() as people:
        found = people.tokens(_id(people, user))
    if json:
        from grange.cli.records import answer_record

        for one in found:
            terminal.put_json(answer_record(one))
        return
    if not found:
        terminal.put("No tokens yet. Make one: grange tokens make NAME")
        return
    terminal.put_table(("name", "may", "state", "until", "used", "id"), map(_row, found))


def make(
    name: Annotated[
        str, typer.Argument(metavar="NAME", show_default=False, help="What it is for.")
    ],
    *,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="SCOPE",
            show_default=False,
            help="read, run, admin or metrics; may be repeated (read and run).",
        ),
    ] = None,
    days: Annotated[
        float, typer.Option("--days", metavar="N", help="How long it is good for; at most 366.")
    ] = 90.0,
    user: Whose = None,
    json: Json = False,
) -> None:
    """Make a token and print it: this once, and never again."""
    import time

    from grange.client.requests import request
    from grange.client.schemas.accounts import NewToken

    scopes = scope or _USUAL_SCOPES
    new = request(NewToken, name=name, scopes=scopes, expires_seconds=days * _DAY_SECONDS)
    with open_people() as people:
        made = people.make_token(new, _id(people, user))
    if json:
        from grange.cli.records import answer_record

        terminal.put_json(answer_record(made))
        return
    until = made.token.expires_at
    if until is not None and until < time.time() + days * _DAY_SECONDS - _DAY_SECONDS:
        terminal.say(
            "It ends with your login here, which made it. For a longer one: My tokens on the page, "
            "or this command on the server's own machine, with --user."
        )
    terminal.say(f"It is good until {words.moment(until)}. Keep it as a password:")
    terminal.put(made.text)


def revoke(
    token: Annotated[
        str, typer.Argument(metavar="TOKEN", show_default=False, help="A token's id.")
    ],
    json: Json = False,
) -> None:
    """Revoke a token: it opens nothing any longer."""
    with open_people() as people:
        people.revoke_token(token)
    if json:
        terminal.put_json({"event": "revoked", "token": token})
    else:
        terminal.put(f"Token {words.visible(token)} is revoked.")


app.command(
    "list", epilog=examples("grange tokens list", "grange tokens list --user ana@example.org")
)(list_tokens)
app.command(
    "make", epilog=examples("grange tokens make nightly", "grange tokens make dash --scope read")
)(make)
app.command("revoke", epilog=examples("grange tokens revoke 4bxk29sd0q"))(revoke)


def _id(people: People, user: str | None) -> str | None:
    from grange.bootstrap.accounts import find_user

    return None if user is None else find_user(people, user).id


def _row(token: Token) -> tuple[str, ...]:
    import time

    over = token.expires_at is not None and token.expires_at <= time.time()
    state = "revoked" if token.revoked else "expired" if over else "good"
    return (
        token.name,
        ", ".join(token.scopes),
        state,
        words.moment(token.expires_at),
        words.moment(token.used_at),
        token.id,
    )
