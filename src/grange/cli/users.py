"""`grange users`: who may use the site, and as what."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from grange.cli import terminal, words
from grange.cli.exits import DONE
from grange.cli.options import Json, examples, open_people
from grange.errors import UsageError

if TYPE_CHECKING:
    from grange.bootstrap.accounts import People
    from grange.client.schemas.accounts import Invited, User

app = typer.Typer(no_args_is_help=True)

UserArgument = Annotated[
    str,
    typer.Argument(metavar="USER", show_default=False, help="An e-mail address, an id, or a name."),
]
Role = Annotated[
    str | None,
    typer.Option(
        "--role", metavar="ROLE", show_default=False, help="admin, member or viewer (member)."
    ),
]
Quota = Annotated[
    str | None,
    typer.Option(
        "--quota",
        metavar="SIZE",
        show_default=False,
        help="How much they may keep: 500GB; or 'default'.",
    ),
]
# The word for a quota that is the site's own.
DEFAULT = "default"
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


def list_users(
    query: Annotated[
        str, typer.Option("--find", metavar="TEXT", help="Only those with this in name or address.")
    ] = "",
    json: Json = False,
) -> None:
    """List the users."""
    with open_people() as people:
        found = list(people.users(query))
    if json:
        from grange.cli.records import answer_record

        for one in found:
            terminal.put_json(answer_record(one))
        return
    terminal.put_table(("email", "name", "role", "state", "seen", "id"), map(_row, found))


def show(user: UserArgument, json: Json = False) -> None:
    """Show a user."""
    from grange.bootstrap.accounts import find_user

    with open_people() as people:
        found = find_user(people, user)
        groups = _groups(people)
    _put_user(found, groups, as_json=json)


def invite(
    email: Annotated[
        str, typer.Argument(metavar="EMAIL", show_default=False, help="Their e-mail address.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", metavar="TEXT", show_default=False, help="Their name.")
    ] = None,
    role: Role = None,
    quota: Quota = None,
    json: Json = False,
) -> None:
    """Make a user, and print the one-time link with which they choose a password."""
    from grange.client.requests import request
    from grange.client.schemas.accounts import NewUser

    called = name or email.partition("@")[0]
    new = request(NewUser, email=email, name=called, role=role, quota_bytes=_bytes(quota))
    with open_people() as people:
        invited = people.invite(new)
    _put_invited(invited, as_json=json)


def change(
    user: UserArgument,
    name: Annotated[
        str | None, typer.Option("--name", metavar="TEXT", show_default=False, help="A new name.")
    ] = None,
    role: Role = None,
    quota: Quota = None,
    json: Json = False,
) -> None:
    """Change a user's name, role or quota."""
    from grange.client.requests import request
    from grange.client.schemas.accounts import UserChange

    wanted = request(UserChange, name=name, role=role, quota_bytes=_bytes(quota))
    if quota == DEFAULT:
        wanted = wanted.model_copy(update={"quota_bytes": None})
    if not wanted.model_fields_set:
        raise UsageError("Nothing is to be changed.", hint="Give --name, --role or --quota.")
    with open_people() as people:
        changed = people.change(_id(people, user), wanted)
        groups = _groups(people)
    _put_user(changed, groups, as_json=json)


def reset(user: UserArgument, json: Json = False) -> None:
    """Print a one-time link with which a user chooses a new password."""
    with open_people() as people:
        invited = people.reset(_id(people, user))
    _put_invited(invited, as_json=json)


def disable(
    user: UserArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Let them in again.")] = False,
    json: Json = False,
) -> None:
    """Shut a user out: sessions and tokens stop working at once. What is theirs stays."""
    from grange.client.schemas.accounts import UserChange

    with open_people() as people:
        changed = people.change(_id(people, user), UserChange(disabled=not undo))
        groups = _groups(people)
    _put_user(changed, groups, as_json=json)


def delete(user: UserArgument, yes: Yes = False, json: Json = False) -> None:
    """Delete a user with their sessions and tokens. The audit log keeps what they did."""
    from grange.bootstrap.accounts import find_user

    with open_people() as people:
        found = find_user(people, user)
        if not yes:
            ask(f"Deleting {words.visible(found.email)} ends all their sessions and tokens.")
        people.delete(found.id)
    if json:
        terminal.put_json({"event": "deleted", "user": found.id})
    else:
        terminal.put(f"{words.visible(found.email)} is deleted.")


def ask(loss: str) -> None:
    """Say what will be lost, and go on only with a yes."""
    terminal.say(loss)
    if not sys.stdin.isatty():
        raise UsageError("Nobody is there to be asked.", hint="Give --yes to do it.")
    if not typer.confirm("Do it?", err=True):
        terminal.say("Nothing was done.")
        raise typer.Exit(DONE)


app.command("list", epilog=examples("grange users list", "grange users list --find ana"))(
    list_users
)
app.command("show", epilog=examples("grange users show ana@example.org"))(show)
app.command(
    "invite", epilog=examples("grange users invite ana@example.org --name 'Ana B.' --role member")
)(invite)
app.command(
    "change",
    epilog=examples(
        "grange users change ana@example.org --role admin",
        "grange users change ana@example.org --quota 500GB",
    ),
)(change)
app.command("reset", epilog=examples("grange users reset ana@example.org"))(reset)
app.command(
    "disable",
    epilog=examples(
        "grange users disable ana@example.org", "grange users disable ana@example.org --undo"
    ),
)(disable)
app.command("delete", epilog=examples("grange users delete ana@example.org --yes"))(delete)


def _bytes(quota: str | None) -> int | None:
    from grange.settings.kinds import size

    if quota in {None, DEFAULT}:
        return None
    try:
        return int(str(size(0).parse(quota)))
    except ValueError as error:
        message = f"{quota!r} is no size."
        raise UsageError(message, hint="Write 500GB or 2TiB, or 'default'.") from error


def _id(people: People, text: str) -> str:
    from grange.bootstrap.accounts import find_user

    return find_user(people, text).id


def _groups(people: People) -> dict[str, str]:
    return {one.id: one.name for one in people.groups()}


def _state(user: User) -> str:
    return "disabled" if user.disabled else "invited" if user.invited else "active"


def _row(user: User) -> tuple[str, ...]:
    return (
        user.email,
        user.name,
        user.role,
        _state(user),
        words.moment(user.seen_at),
        user.id,
    )


def _put_user(user: User, groups: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        from grange.cli.records import answer_record

        terminal.put_json(answer_record(user))
        return
    quota = "the site's default" if user.quota_bytes is None else words.size(user.quota_bytes)
    terminal.put_pairs(
        [
            ("user", words.visible(user.name)),
            ("email", words.visible(user.email)),
            ("role", user.role),
            ("state", _state(user)),
            ("quota", quota),
            ("groups", ", ".join(words.visible(groups.get(one, one)) for one in user.groups)),
            ("created", words.moment(user.created_at)),
            ("seen", words.moment(user.seen_at)),
            ("id", user.id),
        ]
    )


def _put_invited(invited: Invited, *, as_json: bool) -> None:
    if as_json:
        from grange.cli.records import answer_record

        terminal.put_json(answer_record(invited))
        return
    terminal.say(
        f"Send this link to {words.visible(invited.user.email)}. It works once, "
        f"until {words.moment(invited.expires_at)}, and is not shown again."
    )
    terminal.put(invited.link)
