"""In whose name a server is spoken to: the login that was kept, or a token from the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from grange.client.api import Client
from grange.errors import NotAuthenticated, UsageError
from grange.settings import TOKEN_VARIABLE, read_credentials

if TYPE_CHECKING:
    from grange.settings import Settings


def open_client(settings: Settings) -> Client:
    """A client of the server that the settings name.

    The token of a login goes to the server of that login alone.

    Raises:
        UsageError: No server is set.
        NotAuthenticated: There is no token for it.
    """
    server = settings.server
    if server is None:
        raise UsageError("No server is set.", hint="Log in: grange login URL")
    kept = read_credentials()
    ours = kept if kept is not None and kept.server == server else None
    token = os.environ.get(TOKEN_VARIABLE) or (ours.token if ours else None)
    if not token:
        message = f"There is no login for {server}."
        hint = f"Log in: grange login {server}, or set {TOKEN_VARIABLE}."
        raise NotAuthenticated(message, hint=hint)
    return Client(server, token=token, ca=ours.ca if ours else None)
