"""The names under which this server may be asked for."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from grange.settings import Settings

_HERE = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


class Hosts:
    """Tells a request's header Host that means this server from one that does not.

    An address always does: names are what others can let point to this machine.
    """

    def __init__(self, settings: Settings) -> None:
        """Take the names from the settings and from the machine."""
        machine = socket.gethostname().lower()
        self._names = _HERE | {settings.host.lower(), machine, machine.partition(".")[0]}
        self.public_origin: str | None = None
        if settings.public_url:
            public = urlsplit(settings.public_url)
            self._names |= {(public.hostname or "").lower()}
            self.public_origin = f"{public.scheme}://{public.netloc}"

    def __call__(self, header: str) -> bool:
        """Whether the header names this server."""
        name = _without_port(header).lower().rstrip(".")
        return name in self._names or name.endswith(".localhost") or _is_address(name)


def _without_port(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
