"""`grange groups`: users who see each other's runs where these say so."""

from __future__ import annotations

from typing import Annotated

import typer

from grange.cli import terminal, words
from grange.cli.options import Json, examples, open_people
from grange.cli.users import UserArgument, Yes, ask

app = typer.Typer(no_args_is_help=True)

GroupArgument = Annotated[
    str, typer.Argument(metavar="GROUP", show_default=False, help="A group's name or id.")
]
NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", show_default=False, help="What to call it.")
]


def list_groups(json: Json = False) -> None:
    """List the groups and who is in them."""
    with open_people() as people:
        found = people.groups()
        names = {} if json else {user.id: user.email for user in people.users()}
    if json:
        from grange.cli.records import answer_record

        for one in found:
            terminal.put_json(answer_record(one))
        return
    if not found:
        terminal.put("No groups yet. Make one: grange groups make NAME")
        return
    terminal.put_table(
        ("group", "members", "id"),
        (
            (one.name, ", ".join(names.get(member, member) for member in one.members), one.id)
            for one in found
        ),
    )


def make(name: NameArgument, json: Json = False) -> None:
    """Make a group; nobody is in it yet."""
    with open_people() as people:
        made = people.make_group(name)
    _put(f"The group {words.visible(made.name)} is made.", "made", made.id, as_json=json)


def rename(group: GroupArgument, name: NameArgument, json: Json = False) -> None:
    """Give a group another name."""
    from grange.bootstrap.accounts import find_group

    with open_people() as people:
        renamed = people.rename_group(find_group(people, group).id, name)
    _put(f"It is called {words.visible(renamed.name)} now.", "renamed", renamed.id, as_json=json)


def delete(group: GroupArgument, yes: Yes = False, json: Json = False) -> None:
    """Delete a group. Its members stay; runs shared with it are shared no longer."""
    from grange.bootstrap.accounts import find_group

    with open_people() as people:
        found = find_group(people, group)
        if not yes:
            ask(f"Runs shared with {words.visible(found.name)} will be shared no longer.")
        people.delete_group(found.id)
    _put(f"The group {words.visible(found.name)} is deleted.", "deleted", found.id, as_json=json)


def add(group: GroupArgument, user: UserArgument, json: Json = False) -> None:
    """Put a user into a group."""
    from grange.bootstrap.accounts import find_group, find_user

    with open_people() as people:
        found, member = find_group(people, group), find_user(people, user)
        people.add_member(found.id, member.id)
    told = f"{words.visible(member.email)} is in {words.visible(found.name)} now."
    _put(told, "added", found.id, as_json=json)


def remove(group: GroupArgument, user: UserArgument, json: Json = False) -> None:
    """Take a user out of a group."""
    from grange.bootstrap.accounts import find_group, find_user

    with open_people() as people:
        found, member = find_group(people, group), find_user(people, user)
        people.remove_member(found.id, member.id)
    told = f"{words.visible(member.email)} is in {words.visible(found.name)} no longer."
    _put(told, "removed", found.id, as_json=json)


app.command("list", epilog=examples("grange groups list"))(list_groups)
app.command("make", epilog=examples("grange groups make herons"))(make)
app.command("rename", epilog=examples("grange groups rename herons 'grey herons'"))(rename)
app.command("delete", epilog=examples("grange groups delete herons --yes"))(delete)
app.command("add", epilog=examples("grange groups add herons ana@example.org"))(add)
app.command("remove", epilog=examples("grange groups remove herons ana@example.org"))(remove)


def _put(told: str, event: str, group: str, *, as_json: bool) -> None:
    if as_json:
        terminal.put_json({"event": event, "group": group})
    else:
        terminal.put(told)
