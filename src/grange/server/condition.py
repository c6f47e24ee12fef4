"""How the site does, with what an administrator would look for first."""

from __future__ import annotations

import shutil
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from grange.client.schemas.system import Check, System
from grange.core.ids import new_id
from grange.core.states import RunState
from grange.errors import GrangeError
from grange.runs.pages import Sight
from grange.server.visitors import is_secure

if TYPE_CHECKING:
    from grange.server.parts import Parts

LITTLE_ROOM = 0.1
HARDLY_ROOM = 0.02
BUSY_STREAMS = 0.9
PROBE_SECONDS = 5


def examine(parts: Parts) -> System:
    """Look at everything now; what can't be looked at is a check that says so."""
    settings = parts.settings
    disk = shutil.disk_usage(settings.home)
    counts = parts.runs.count_states(Sight(everything=True))
    return System(
        version=version("grange"),
        started_at=parts.started_at,
        now=time.time(),
        database=parts.database.url,
        sessions=settings.shown("sessions"),
        workers=settings.workers,
        runs_running=counts.get(RunState.RUNNING, 0),
        runs_waiting=counts.get(RunState.WAITING, 0),
        event_streams=parts.hub.streams,
        event_streams_limit=settings.streams,
        disk_free_bytes=disk.free,
        disk_total_bytes=disk.total,
        upload_bytes=parts.uploads.total_bytes(),
        checks=[
            _database(parts),
            _cache(parts),
            _room(disk.free / disk.total if disk.total else 0),
            _streams(parts),
            _encryption(parts),
            _driver(parts),
            _engine(parts),
        ],
    )


def _database(parts: Parts) -> Check:
    began = time.perf_counter()
    try:
        parts.runs.recent(limit=1)
    except GrangeError as error:
        return Check(name="database", verdict="bad", said=error.message, hint=error.hint)
    took = (time.perf_counter() - began) * 1000
    return Check(name="database", verdict="good", said=f"It answered within {took:.0f} ms.")


def _cache(parts: Parts) -> Check:
    key = f"probe-{new_id()}"
    parts.cache.put(key, "here", seconds=PROBE_SECONDS)
    if parts.cache.get(key) == "here":
        return Check(name="sessions", verdict="good", said="The cache of logins answers.")
    return Check(
        name="sessions",
        verdict="warning",
        said="The cache of logins does not answer: each request asks the database.",
        hint="People stay logged in. Start the cache again, or set `sessions` to memory.",
    )


def _room(share: float) -> Check:
    said = f"{share:.0%} of the disk with the server's state is free."
    if share >= LITTLE_ROOM:
        return Check(name="disk", verdict="good", said=said)
    hint = "Delete runs and folders that nobody needs, or give it a larger disk."
    if share >= HARDLY_ROOM:
        return Check(name="disk", verdict="warning", said=said, hint=hint)
    return Check(name="disk", verdict="bad", said=said, hint=hint)


def _streams(parts: Parts) -> Check:
    open_now, most = parts.hub.streams, parts.settings.streams
    said = f"{open_now} of at most {most} pages and clients follow the server's events."
    if open_now < most * BUSY_STREAMS:
        return Check(name="events", verdict="good", said=said)
    return Check(name="events", verdict="warning", said=said, hint="Raise the setting `streams`.")


def _encryption(parts: Parts) -> Check:
    if is_secure(parts.settings):
        return Check(name="encryption", verdict="good", said="People reach the server by HTTPS.")
    if parts.settings.plain_http:
        return Check(
            name="encryption",
            verdict="warning",
            said="Passwords and data travel over the network unencrypted.",
            hint="Give a certificate: grange serve --tls cert.pem,key.pem",
        )
    return Check(name="encryption", verdict="good", said="Only this machine reaches the server.")


def _driver(parts: Parts) -> Check:
    if parts.is_driven():
        return Check(name="driver", verdict="good", said="Waiting runs are worked on.")
    return Check(
        name="driver",
        verdict="bad",
        said="Nobody works on waiting runs: the process that does has ended.",
        hint="It is started again by itself; if not, see the server's log.",
    )


def _engine(parts: Parts) -> Check:
    shown = parts.settings.shown("engine")
    if parts.settings.engine == "local":
        return Check(name="engine", verdict="good", said="Workers of this machine do the work.")
    health = parts.engine_health()
    if health is None:
        hint = "Wait a moment; if it stays so, see the server's log."
        said = f"Nobody says whether {shown} can be reached."
        return Check(name="engine", verdict="warning", said=said, hint=hint)
    if health.state == "up":
        return Check(name="engine", verdict="good", said=f"Work reaches workers by {shown}.")
    return Check(
        name="engine",
        verdict="bad",
        said=health.reason or f"{shown} can't be reached.",
        hint="Runs wait, and go on when it is back; nothing is lost.",
    )
