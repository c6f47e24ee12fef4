"""What things are called at the broker, and the numbers that both sides keep to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from grange.errors import SettingInvalid

# How often a station says that it lives, and what it does.
BEAT_SECONDS: Final = 2.0
# A message that so many stations have given back, or died of, goes to the dead.
DELIVERY_LIMIT: Final = 5
# What is left of a run that nobody drives any more goes after this.
OUTCOMES_EXPIRE_SECONDS: Final = 7 * 86400
# Beats that no driver reads in time are worth nothing later.
BEATS_KEPT: Final = 10_000
BEAT_BYTES_KEPT: Final = 64 << 20
BEAT_EXPIRE_SECONDS: Final = 30
# So many reports come to a driver before the ledger has the first of them.
REPORTS_AT_ONCE: Final = 64
HEARTBEAT_SECONDS: Final = 30
# The routing key of the beats that are about no run.
ALL: Final = "all"

# What the names of users begin with that are one worker's own.
OWN_USER: Final = "grange."

_SITE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PORTS = {"amqp": 5672, "amqps": 5671}


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one site's things."""

    site: str

    def __post_init__(self) -> None:
        """See to it that the name of a site makes names of queues."""
        if not _SITE.fullmatch(self.site):
            raise SettingInvalid(f"{self.site[:80]!r} can't be the name of a site at a broker.")

    def tasks(self, shape: str) -> str:
        """The queue of tasks that need this much."""
        return f"grange.{self.site}.tasks.{shape}"

    @property
    def dead(self) -> str:
        """The exchange, and the queue, of what was given back too often."""
        return f"grange.{self.site}.dead"

    @property
    def reports(self) -> str:
        """The exchange to which stations report; the run is the routing key."""
        return f"grange.{self.site}.outcomes"

    def outcomes(self, run: str) -> str:
        """The queue of what came of a run's tasks."""
        return f"grange.{self.site}.outcomes.{run}"

    @property
    def beats(self) -> str:
        """The exchange of signs of life; the run is the routing key, or `ALL`."""
        return f"grange.{self.site}.beats"

    @property
    def control(self) -> str:
        """The exchange of what drivers say to all stations."""
        return f"grange.{self.site}.control"

    def station(self, station: str) -> str:
        """What the names of a station's own queues begin with."""
        return f"grange.{self.site}.station.{station}."

    def user(self, worker: str) -> str:
        """The user that a worker has at the broker, where each has its own."""
        return f"{OWN_USER}{self.site}.{worker}"

    def is_workers(self, user: str) -> bool:
        """Whether a user is some worker's own."""
        return user.startswith(self.user(""))


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is: what a URL says, taken apart."""

    url: str = field(repr=False)
    where: str  # host and port, to be shown
    user: str
    vhost: str


def address(url: str) -> Address:
    """Check the URL of a broker.

    The password is in `url` alone; what is shown to people never has it.

    Raises:
        SettingInvalid: It is no URL of a broker.
    """
    hint = "It looks like amqp://user:password@host:5672/"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingInvalid("The URL of the message broker is no URL.", hint=hint) from error
    if parts.scheme not in _PORTS or not parts.hostname or parts.fragment:
        raise SettingInvalid("The URL of the message broker is not one of amqp.", hint=hint)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    where = f"{host}:{port or _PORTS[parts.scheme]}"
    user = unquote(parts.username or "guest")
    password = unquote(parts.password if parts.password is not None else "guest")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query["heartbeat"] = str(HEARTBEAT_SECONDS)
    vhost = unquote(parts.path.removeprefix("/")) or "/"
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    whole = (parts.scheme, f"{login}@{where}", parts.path or "/", urlencode(query), "")
    return Address(url=urlunsplit(whole), where=where, user=user, vhost=vhost)
