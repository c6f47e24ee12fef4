"""What `grange worker` runs: a station of a server, on this machine. No database is known here."""

from __future__ import annotations

import asyncio
import gc
import platform
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from grange.bootstrap.engines import WITHHELD

if TYPE_CHECKING:
    from grange.core.resources import Capacity
    from grange.settings import Settings
    from grange.telemetry.station import StationCount
    from grange.worker.station.home import Home
    from grange.worker.station.link import Link
    from grange.worker.station.mounts import Mounts
    from grange.worker.station.papers import Papers
    from grange.worker.station.station import Habits
    from grange.worker.station.works import Means

# Where a station keeps its own, below the home.
FOLDER = "worker"
# What opens buckets is the station's: it brings inputs and takes outputs for its workers.
_OF_BUCKETS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})
_NAME_LENGTH = 100
# New objects between two looks of the garbage collector: thousands of tasks at hand are no garbage.
_COLLECT_AFTER = 50_000


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the person at the machine has said; None and empty stand for: find out."""

    line: str = ""
    name: str = ""
    slots: int | None = None
    memory_bytes: int | None = None
    gpus: str = "auto"
    labels: Sequence[str] = ()
    mounts: Sequence[str] = ()
    metrics_port: int | None = None
    drain_seconds: float = 60.0
    idle_seconds: float | None = None


def work(
    settings: Settings, choices: Choices, *, say: Callable[[str], None], stop: threading.Event
) -> bool:
    """Take work until `stop` is set; whether all that was held has come to its end.

    Raises:
        CredentialsInvalid: The line is used up, or this worker was removed.
        Conflict: Another worker on this machine has this home.
        SettingInvalid, UsageError: It can't work as it is told to.
        ExtraMissing: The client for the broker is not installed.
        ServerError: It has joined no server yet, and the server can't be reached.
        WorkerStartFailed: No worker process can be started.
    """
    from grange.engines.rabbit.trial import check_client
    from grange.telemetry.exporter import Exporter
    from grange.telemetry.nodes import node_port
    from grange.telemetry.station import StationCount
    from grange.worker.station import machine
    from grange.worker.station.home import open_home
    from grange.worker.station.link import Link
    from grange.worker.station.mounts import Mounts, parse_mounts
    from grange.worker.station.station import Habits

    check_client()
    elsewhere = parse_mounts(choices.mounts)
    capacity = machine.find_capacity(
        slots=choices.slots,
        memory_bytes=choices.memory_bytes,
        gpus=choices.gpus,
        labels=tuple(choices.labels),
    )
    machine.hide()
    with ExitStack() as opened:
        home = opened.enter_context(open_home(settings.home / FOLDER))
        count = StationCount(version=version("grange"))
        port = None
        if choices.metrics_port is not None:
            port = opened.enter_context(Exporter(count.tally, port=choices.metrics_port)).port
        papers = _papers(home, choices, capacity, port)
        capacity = replace(capacity, labels=tuple(sorted({*capacity.labels, *papers.labels})))
        say(f"joined {papers.server} as {papers.name} ({_words(capacity)})")
        for doubt in machine.doubts(capacity):
            say(f"{doubt}; tasks that need it are taken all the same")
        link = Link(papers)
        opened.callback(link.close)
        means = _means(
            *(settings, home, papers),
            link=link,
            capacity=capacity,
            count=count,
            mounts=Mounts(papers.probes, elsewhere),
        )
        habits = Habits(
            drain_seconds=choices.drain_seconds,
            idle_seconds=choices.idle_seconds,
            version=version("grange"),
            metrics_url=_metrics_url(papers.server, port),
            node_port=node_port(settings.node_port),
        )
        return asyncio.run(_run(papers, means, habits, say, stop))


async def _run(
    papers: Papers,
    means: Means,
    habits: Habits,
    say: Callable[[str], None],
    stop: threading.Event,
) -> bool:
    from grange.worker.station.station import Station

    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    station = Station(papers, means, habits, say)
    loop = asyncio.get_running_loop()

    def watch() -> None:
        stop.wait()
        with suppress(RuntimeError):  # It has ended by itself.
            loop.call_soon_threadsafe(station.leave)

    threading.Thread(target=watch, name="signals", daemon=True).start()
    return await station.run()


def _means(
    settings: Settings,
    home: Home,
    papers: Papers,
    *,
    link: Link,
    capacity: Capacity,
    count: StationCount,
    mounts: Mounts,
) -> Means:
    from grange.engines.strays import STATION_MARKER
    from grange.worker.station.benches import Workers
    from grange.worker.station.works import Means

    workers = Workers(
        command=(sys.executable, "-m", "grange.worker"),
        environment=((STATION_MARKER, home.mark),),
        withheld=WITHHELD | _OF_BUCKETS,
        lease_seconds=papers.lease_seconds,
        recycle_bytes=settings.recycle_bytes,
    )
    return Means(
        name=papers.name,
        home=home,
        link=link,
        capacity=capacity,
        workers=workers,
        mounts=mounts,
        cache_bytes=settings.cache_bytes,
        count=count,
    )


def _papers(home: Home, choices: Choices, capacity: Capacity, metrics_port: int | None) -> Papers:
    from grange.client.workers import parse_line
    from grange.worker.station import signs
    from grange.worker.station.joining import papers_of

    server = parse_line(choices.line).server if choices.line else ""
    facts = signs.facts(
        (choices.name or socket.gethostname())[:_NAME_LENGTH] or "worker",
        capacity,
        version=version("grange"),
        system=platform.platform()[:_NAME_LENGTH],
        metrics_url=_metrics_url(server, metrics_port),
    )
    return papers_of(home, choices.line, facts)


def _metrics_url(server: str, port: int | None) -> str:
    from grange.worker.station.machine import address_towards

    if port is None:
        return ""
    address = address_towards(server)
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}/metrics"


def _words(capacity: Capacity) -> str:
    from grange.core import sizes

    parts = [
        f"{capacity.slots} slot{'s' if capacity.slots != 1 else ''}",
        f"{capacity.cores:g} core{'s' if capacity.cores != 1 else ''}",
        sizes.size(capacity.memory_bytes),
    ]
    if capacity.gpus:
        parts.append(f"GPUs {', '.join(str(gpu.index) for gpu in capacity.gpus)}")
    return ", ".join([*parts, *(f"+{label}" for label in capacity.labels)])
