"""`grange login`, `logout` and `whoami`: which server the commands talk to, and as whom."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from grange.cli import terminal, words
from grange.cli.options import Json, examples, settings_with
from grange.errors import UsageError

if TYPE_CHECKING:
    from grange.client.schemas.accounts import Me

LOGIN_EXAMPLES = examples(
    "grange login https://grange.example.org",
    "grange login https://grange.example.org --email me@example.org --ca our-ca.pem",
    "pass grange-token | grange login https://grange.example.org --token -",
)
LOGOUT_EXAMPLES = examples("grange logout")
WHOAMI_EXAMPLES = examples("grange whoami", "grange whoami --json")

_MOST_LETTERS = 1024


def login(
    url: Annotated[
        str, typer.Argument(metavar="URL", show_default=False, help="The server's address.")
    ],
    *,
    email: Annotated[
        str | None,
        typer.Option("--email", metavar="EMAIL", show_default=False, help="Else it is asked for."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="-",
            show_default=False,
            help="Read a token from stdin in place of asking for a password.",
        ),
    ] = None,
    ca: Annotated[
        str | None,
        typer.Option(
            "--ca",
            metavar="FILE",
            show_default=False,
            help="The certificate (PEM) to trust, if the server's is of your own making.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Log in to a server: from then on the commands work there.

    The password makes a token for this machine, which is kept in a file that
    only you can read. `grange logout` revokes it. Where no login is to be kept,
    set GRANGE_SERVER and GRANGE_TOKEN; GRANGE_SERVER=none works on this machine.
    """
    from grange.bootstrap import logins

    logins.check(url)
    if logins.is_open_to_others(url) and not json:
        terminal.say("warning: this is not HTTPS; whoever sits in between can read all of it.")
    if token is not None:
        me = logins.with_token(url, _read_token(token), ca=ca)
    else:
        address = email or _ask_email()
        me = logins.with_password(url, address, _ask_password(address), ca=ca)
    server = settings_with().server
    _put_me(me, str(server), as_json=json)
    kept = logins.server_kept()
    if kept != server:
        terminal.say(f"GRANGE_SERVER says {server or 'none'}, which wins over this login.")


def logout(json: Json = False) -> None:
    """Revoke this machine's token, and forget the server."""
    from grange.bootstrap import logins

    server, failure = logins.log_out()
    if json:
        terminal.put_json({"event": "logged_out", "server": server, "revoked": failure is None})
    elif server is None:
        terminal.put("Nobody was logged in.")
    else:
        terminal.put(f"Logged out of {server}. The commands work on this machine now.")
    if failure is not None and not json:
        terminal.say(f"warning: its token could not be revoked: {failure.message}")
        terminal.say("It is forgotten here; revoke it there, on your profile's page.")


def whoami(json: Json = False) -> None:
    """Say which server the commands talk to, and as whom."""
    from grange.bootstrap.remote.login import open_client

    settings = settings_with()
    if settings.server is None:
        if json:
            terminal.put_json({"server": None})
        else:
            terminal.put("No server: the commands work on this machine. Log in: grange login URL")
        return
    with open_client(settings) as client:
        me = client.accounts.show_session()
    _put_me(me, settings.server, as_json=json)


def _put_me(me: Me, server: str, *, as_json: bool) -> None:
    if as_json:
        told = me.model_dump(exclude={"csrf"})
        terminal.put_json({"server": server, **told})
        return
    quota = f" of {words.size(me.quota_bytes)}" if me.quota_bytes is not None else ""
    terminal.put_pairs(
        [
            ("server", server),
            ("user", f"{words.visible(me.user.name)} <{words.visible(me.user.email)}>"),
            ("role", me.user.role),
            ("may", ", ".join(me.scopes)),
            ("keeps there", f"{words.size(me.used_bytes)}{quota}"),
        ]
    )


def _read_token(given: str) -> str:
    if given != "-":
        raise UsageError(
            "A token on the command line can be read by everyone on this machine.",
            hint="Give it on stdin: --token - < FILE",
        )
    return sys.stdin.readline(_MOST_LETTERS).strip()


def _ask_email() -> str:
    if not sys.stdin.isatty():
        raise UsageError("Nobody is there to be asked.", hint="Give --email, or --token -")
    return str(typer.prompt("E-mail", err=True))


def _ask_password(email: str) -> str:
    if not sys.stdin.isatty():
        # A script may hand it over; it never stands on a command line.
        return sys.stdin.readline(_MOST_LETTERS).rstrip("\r\n")
    return str(typer.prompt(f"Password of {email}", hide_input=True, err=True))
