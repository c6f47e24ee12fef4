"""The types of the pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

JSON = Any

# What servers and workers say to each other. Whoever says another number is refused, in words.
PROTOCOL = 1
# How often a worker says that it is there: seldom enough that a thousand of them cost little.
BEAT_SECONDS = 2.0
LONGEST_BEAT_SECONDS = 10.0
BEATS_PER_SECOND = 50.0
# After so long without a beat a worker is silent, and after so long gone.
SILENT_SECONDS = 20.0
GONE_SECONDS = 120.0

SITE_LENGTH = 12


class WorkerState(StrEnum):
    """What is wanted of a worker."""

    ACTIVE = "active"
    DRAINING = "draining"  # it finishes what it holds, and takes nothing new
    REMOVED = "removed"  # its credentials open nothing any longer


class Presence(StrEnum):
    """What is seen of a worker."""

    UP = "up"
    SILENT = "silent"  # its beats are overdue: it may be cut off, and may still work
    GONE = "gone"  # it has been silent for long, or has said that it leaves


def presence_of(seen_at: float, *, left: bool, now: float) -> Presence:
    """What the time of a worker's last beat says; a clock that was set back says nothing."""
    silence = now - seen_at
    if left or silence > GONE_SECONDS:
        return Presence.GONE
    return Presence.SILENT if silence > SILENT_SECONDS else Presence.UP


class Standing(StrEnum):
    """How a worker stands, in the one word that matters most to people."""

    WORKING = "working"
    IDLE = "idle"
    DRAINING = "draining"
    CUT_OFF = "cut_off"  # it reaches the server, and not the broker
    MISFIT = "misfit"  # its version can't work with the server's
    SILENT = "silent"
    GONE = "gone"
    LEFT = "left"  # it has ended by itself


def beat_seconds_of(workers: int) -> float:
    """How often each of so many workers should beat."""
    return min(max(BEAT_SECONDS, workers / BEATS_PER_SECOND), LONGEST_BEAT_SECONDS)


def site_word(site: str) -> str:
    """The word for a site in the names of its queues: the beginning of `Accounts.site()`."""
    return site[:SITE_LENGTH]


def misfit(protocol: int, version: str, *, server_version: str) -> str:
    """Why a worker of this version can't work with this server; empty when it can."""
    if protocol == PROTOCOL:
        return ""
    older, newer = ("worker", "server") if protocol < PROTOCOL else ("server", "worker")
    return (
        f"The worker has Grange {version or 'of an unknown version'} and speaks the protocol "
        f"{protocol}, the server has Grange {server_version} and speaks {PROTOCOL}: "
        f"the {older} is older than the {newer} can work with."
    )


@dataclass(frozen=True, kw_only=True)
class WorkerToken:
    """A token by which machines may join."""

    id: str
    labels: tuple[str, ...]
    uses: int
    used: int
    created_at: float
    expires_at: float


@dataclass(frozen=True, kw_only=True)
class MadeWorkerToken:
    """A new token with the line that is pasted on the machines, which can't be had again."""

    token: WorkerToken
    line: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A machine that has joined; `beat` is what it said last, and empty until it has."""

    id: str
    name: str
    state: WorkerState
    labels: tuple[str, ...]
    capacity: Mapping[str, JSON]
    version: str
    protocol: int
    system: str
    address: str
    metrics_url: str
    joined_at: float
    seen_at: float
    beat: Mapping[str, JSON] = field(default_factory=dict)

    def presence(self, now: float) -> Presence:
        """Whether it is up, silent or gone."""
        return presence_of(self.seen_at, left=bool(self.beat.get("leaving")), now=now)

    def standing(self, now: float) -> Standing:
        """What matters most about it now."""
        presence = self.presence(now)
        if presence is not Presence.UP:
            return Standing.LEFT if self.beat.get("leaving") else Standing(presence.value)
        if self.protocol != PROTOCOL:
            return Standing.MISFIT
        if not self.beat.get("engine_up", True):
            return Standing.CUT_OFF
        if self.state is WorkerState.DRAINING:
            return Standing.DRAINING
        return Standing.WORKING if self.beat.get("busy") else Standing.IDLE


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a machine says of itself when it joins."""

    name: str
    labels: tuple[str, ...] = ()
    capacity: Mapping[str, JSON] = field(default_factory=dict)
    version: str = ""
    protocol: int = PROTOCOL
    system: str = ""
    metrics_url: str = ""


@dataclass(frozen=True)
class Probe:
    """A file that the server can read, and what stands in it."""

    path: str
    content: str


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A worker, and what it needs to take work."""

    worker: Worker
    engine: str = field(repr=False)  # a URL with the worker's own credentials
    probes: tuple[Probe, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Orders:
    """The answer to a beat; `misfit` says why the versions don't fit, and is empty when they do."""

    state: WorkerState
    beat_seconds: float = BEAT_SECONDS
    misfit: str = ""


class EngineAccess(Protocol):
    """How workers get to the engine, and no longer get there."""

    def check(self) -> None:
        """See that this server has an engine that workers can join; nobody is asked.

        Raises:
            Conflict: It has none.
        """

    def examine(self) -> None:
        """See that the engine gives credentials; it is asked.

        Raises:
            EngineError: It does not.
        """

    def issue(self, worker: str, password: str) -> str:
        """The URL with which this worker reaches the engine; its credentials open it from now on.

        Doing it again changes nothing, and mends what the engine has lost.

        Raises:
            EngineError: The engine can't be asked, or this server has none for workers.
        """

    def revoke(self, worker: str) -> None:
        """Let the worker's credentials open nothing; that it has none is fine.

        Raises:
            EngineError: The engine can't be asked.
        """
