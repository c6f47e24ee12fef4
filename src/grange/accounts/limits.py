"""How often a login may fail: for an e-mail address, from a network, and both together.

Guesses from one network leave the user of the e-mail address, who is elsewhere, a way in.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select, update

from grange import errors
from grange.accounts.models import Place
from grange.accounts.secret import digest
from grange.accounts.tables import Record, login_failures

WINDOW_SECONDS = 15 * 60.0
PER_EMAIL_AND_NETWORK = 10
PER_EMAIL = 100
PER_ADDRESS = 50

# The wait after the failure that was one too many; doubled by each that follows.
FIRST_WAIT_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 15 * 60.0

# Whoever has an address of IPv6 has all of its network; of IPv4, perhaps some neighbours.
IPV6_NETWORK = 64
IPV4_NETWORK = 24


def subjects(email: str, place: Place) -> dict[str, int]:
    """What failures are counted for, each with how many are allowed."""
    found = {_here(email, place): PER_EMAIL_AND_NETWORK, _everywhere(email): PER_EMAIL}
    if place.address:
        found[digest(f"address {_network(place.address, 32)}")] = PER_ADDRESS
    return found


def check(connection: Connection, counted: Mapping[str, int], *, now: float) -> None:
    """See that nobody has to wait.

    Raises:
        TooMany: It says for how long.
    """
    query = select(login_failures.c.blocked_until).where(login_failures.c.subject.in_(counted))
    until = max((row.blocked_until for row in connection.execute(query)), default=0.0)
    if until > now:
        seconds = math.ceil(until - now)
        raise errors.TooMany(
            "Too many logins have failed.",
            hint=f"Wait for {seconds} seconds, then try again.",
            retry_seconds=seconds,
        )


def count(connection: Connection, counted: Mapping[str, int], *, now: float) -> None:
    """Count a failure; call it with the head of the audit log locked."""
    query = select(login_failures).where(login_failures.c.subject.in_(counted))
    known = {row.subject: row for row in connection.execute(query)}
    for subject, allowed in counted.items():
        row = known.get(subject)
        if row is None:
            values = _after(0, now, now=now, allowed=allowed)
            connection.execute(insert(login_failures).values(subject=subject, **values))
            continue
        failures, first_at = (
            (0, now) if _is_over(row, allowed, now) else (row.failures, row.first_at)
        )
        values = _after(failures, first_at, now=now, allowed=allowed)
        connection.execute(
            update(login_failures).where(login_failures.c.subject == subject).values(**values)
        )


def forgive(connection: Connection, email: str, place: Place) -> None:
    """Forget the failures of an e-mail address: its user is here. Other networks' guesses stay."""
    over = login_failures.c.subject.in_([_here(email, place), _everywhere(email)])
    connection.execute(delete(login_failures).where(over))


def sweep(connection: Connection, *, now: float) -> None:
    """Delete what counts no longer."""
    old = (login_failures.c.last_at < now - WINDOW_SECONDS) & (login_failures.c.blocked_until < now)
    connection.execute(delete(login_failures).where(old))


def _after(failures: int, first_at: float, *, now: float, allowed: int) -> dict[str, float]:
    failures += 1
    over = failures - allowed
    wait = min(FIRST_WAIT_SECONDS * 2 ** min(over, 10), LONGEST_WAIT_SECONDS) if over >= 0 else 0.0
    return {
        "failures": failures,
        "first_at": first_at,
        "last_at": now,
        "blocked_until": now + wait if wait else 0.0,
    }


def _is_over(row: Record, allowed: int, now: float) -> bool:
    """Whether the count begins anew: for those who had to wait, only after some quiet."""
    since = row.first_at if row.failures < allowed else row.last_at
    return bool(now - since > WINDOW_SECONDS)


def _here(email: str, place: Place) -> str:
    return digest(f"email {email} from {_network(place.address, IPV4_NETWORK)}")


def _everywhere(email: str) -> str:
    return digest(f"email {email}")


def _network(address: str, ipv4_network: int) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return str(ipaddress.ip_network((found, IPV6_NETWORK), strict=False))
        found = found.ipv4_mapped
    return str(ipaddress.ip_network((found, ipv4_network), strict=False))
