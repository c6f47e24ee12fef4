"""Logging in and out of a server: a password becomes a token, which is kept."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from grange.errors import CredentialsInvalid, GrangeError, SettingInvalid
from grange.settings import Credentials, forget_credentials, read_credentials, write_credentials
from grange.settings.kinds import url as url_kind

if TYPE_CHECKING:
    from grange.client.api import Client
    from grange.client.schemas.accounts import Me

# A login that is not used for so long has to be made anew.
TOKEN_SECONDS = 90 * 86_400.0
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


def check(server: str) -> str:
    """The URL of a server, as it is kept.

    Raises:
        SettingInvalid: It is none.
    """
    try:
        text = url_kind("http", "https")(server)
        parts = urlsplit(text)
    except ValueError as error:
        raise _no_url(server) from error
    if not parts.hostname or parts.query or parts.fragment or parts.username:
        raise _no_url(server)
    return text


def is_open_to_others(server: str) -> bool:
    """Whether what is said to this server crosses a network unencrypted."""
    parts = urlsplit(server)
    return parts.scheme == "http" and parts.hostname not in _HERE


def with_password(server: str, email: str, password: str, *, ca: str | None) -> Me:
    """Log in with a password, and keep a token of this machine in its place.

    Raises:
        CredentialsInvalid: The address or the password is wrong.
    """
    from grange.client.requests import request
    from grange.client.schemas.accounts import LogIn, NewToken

    who = request(LogIn, email=email, password=password)
    with _client(server, None, ca) as client:
        me = client.accounts.log_in(who)
        try:
            name = f"grange on {socket.gethostname()}"[:200]
            new = NewToken(name=name, scopes=me.scopes, expires_seconds=TOKEN_SECONDS)
            made = client.accounts.make_token(new)
        finally:
            client.accounts.log_out()
    _keep(server, made.text, ca, me)
    return me


def with_token(server: str, token: str, *, ca: str | None) -> Me:
    """Keep a token that was made elsewhere, if the server takes it.

    Raises:
        CredentialsInvalid: It does not.
    """
    if not token:
        raise CredentialsInvalid("There is no token on stdin.")
    with _client(server, token, ca) as client:
        me = client.accounts.show_session()
    _keep(server, token, ca, me)
    return me


def log_out() -> tuple[str | None, GrangeError | None]:
    """Revoke the token and forget it; the server that it was for, and why it is not revoked."""
    kept = read_credentials()
    if kept is None:
        return None, None
    failure = None
    try:
        ca = str(kept.ca) if kept.ca else None
        with _client(kept.server, kept.token, ca) as client:
            client.accounts.log_out()
    except GrangeError as error:
        failure = error
    forget_credentials()
    return kept.server, failure


def server_kept() -> str | None:
    """The server of the login that is kept."""
    kept = read_credentials()
    return kept.server if kept else None


def _no_url(server: str) -> SettingInvalid:
    return SettingInvalid(
        f"{server!r} is not the URL of a server.", hint="It looks like https://grange.example.org"
    )


def _client(server: str, token: str | None, ca: str | None) -> Client:
    from grange.client.api import Client

    return Client(check(server), token=token, ca=Path(ca).expanduser() if ca else None)


def _keep(server: str, token: str, ca: str | None, me: Me) -> None:
    file = Path(os.path.abspath(Path(ca).expanduser())) if ca else None
    write_credentials(Credentials(server=check(server), token=token, ca=file, email=me.user.email))
