"""What an engine hears from its hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Up:
    """The broker is reached. `wiped`: it has lost what it had."""

    wiped: bool


@dataclass(frozen=True, slots=True)
class Down:
    """The broker is not reached any more."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A report; settle it by `session` and `tag` once it is on the ledger.

    `direct` says that a driver has put it into the queue itself: no station may do that.
    """

    body: bytes
    user: str
    session: object
    tag: int
    direct: bool = False


@dataclass(frozen=True, slots=True)
class Beaten:
    """A station's beat about this run."""

    body: bytes
    user: str


@dataclass(frozen=True, slots=True)
class Unsent:
    """A message with tasks may not have come to the queue. `refused`: it surely has not."""

    name: str


@dataclass(frozen=True, slots=True)
class Looked:
    """So many messages were in the queue when somebody looked, as `time.monotonic` says it."""

    count: int
    at: float


@dataclass(frozen=True, slots=True)
class Rung:
    """Somebody wants `collect` to return."""


Event: TypeAlias = Up | Down | Reported | Beaten | Unsent | Looked | Rung
