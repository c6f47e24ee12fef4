"""How the site does."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, RootModel

from grange.client.schemas.basis import Answer

Verdict = Literal["good", "warning", "bad"]


class Health(Answer):
    """Whether the server answers at all: for load balancers, so for everyone."""

    status: Literal["ok"] = "ok"
    version: str


class Check(Answer):
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    said: str
    hint: str = ""


class System(Answer):
    """How the site does, with what an administrator would look for first."""

    version: str
    started_at: float
    now: float
    database: str
    sessions: str
    workers: int
    runs_running: int
    runs_waiting: int
    event_streams: int
    event_streams_limit: int
    disk_free_bytes: int
    disk_total_bytes: int
    upload_bytes: int
    checks: list[Check] = Field(default_factory=list)


class TargetGroup(Answer):
    """Addresses that Prometheus can scrape; the label `kind` says what answers there."""

    targets: list[str]
    labels: dict[str, str]


class Targets(RootModel[list[TargetGroup]]):
    """All of them, as Prometheus' HTTP service discovery wants them: a bare list."""
