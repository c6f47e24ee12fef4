"""The remote site: a server works on the runs, and this machine sends inputs and brings results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grange.bootstrap.remote.site import RemoteSite
    from grange.settings import Settings

# What this machine remembers of servers, below the home.
KNOWN_FILE = "client.db"
# What was asked of servers and is not done, where the results come to no folder of this machine.
ORDERS_FOLDER = "orders"


@contextmanager
def open_site(settings: Settings) -> Iterator[RemoteSite]:
    """The site of the server that the settings name."""
    from grange.bootstrap.embedded import make_home
    from grange.bootstrap.remote.login import open_client
    from grange.bootstrap.remote.site import RemoteSite
    from grange.client.known import Known

    make_home(settings.home)
    with open_client(settings) as client:
        known = Known(settings.home / KNOWN_FILE)
        try:
            yield RemoteSite(client, known, settings.home / ORDERS_FOLDER)
        finally:
            known.close()
