"""Where the numbers of a site's machines are, as Prometheus' HTTP service discovery wants them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

JSON = Any

# Where the broker's own exporter listens: its plugin rabbitmq_prometheus.
BROKER_PORT: Final = 15_692
_HTTPS_PORT: Final = 443
_HTTP_PORT: Final = 80


class TargetKind(StrEnum):
    """What is scraped."""

    SERVER = "server"
    WORKER = "worker"
    NODE = "node"  # a machine's processors, memory, disks: Prometheus' node exporter
    BROKER = "broker"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine that works: where the server hears it from, and what listens there, or 0."""

    name: str
    address: str
    metrics_port: int = 0
    node_port: int = 0


@dataclass(frozen=True, kw_only=True)
class Place:
    """The server, as whoever asks has reached it, and what it works with."""

    host: str  # with a port, if the address had one
    scheme: str
    node_port: int = 0
    engine: str = "local"


def groups(place: Place, machines: Sequence[Machine]) -> list[JSON]:
    """All targets, each with what it is and whose: labels `kind` and `worker`.

    `instance` stays the address, so that queries by instance mean the same machine.
    """
    return [*_of_server(place), *_of_machines(place, machines)]


def port_of(url: str) -> int:
    """The port of an exporter's address; 0 where there is none."""
    try:
        parts = urlsplit(url)
        known = _HTTPS_PORT if parts.scheme == "https" else _HTTP_PORT if parts.hostname else 0
        return parts.port or known
    except ValueError:
        return 0


def _of_server(place: Place) -> Iterator[JSON]:
    usual = _HTTPS_PORT if place.scheme == "https" else _HTTP_PORT
    name, port = _split(place.host)
    yield _group(TargetKind.SERVER, _join(name, port or usual), __scheme__=place.scheme)
    if place.node_port:
        yield _group(TargetKind.NODE, _join(name, place.node_port), machine="server")
    engine = urlsplit(place.engine)
    if engine.scheme in {"amqp", "amqps"} and engine.hostname:
        host = name if _is_here(engine.hostname) else engine.hostname
        yield _group(TargetKind.BROKER, _join(host, BROKER_PORT))


def _of_machines(place: Place, machines: Sequence[Machine]) -> Iterator[JSON]:
    own, _ = _split(place.host)
    seen = {_join(own, place.node_port)} if place.node_port else set()
    for machine in machines:
        # One on the server's machine is heard from an address that means another one elsewhere.
        host = own if _is_here(machine.address) or not machine.address else machine.address
        if machine.metrics_port:
            address = _join(host, machine.metrics_port)
            yield _group(TargetKind.WORKER, address, worker=machine.name)
        node = _join(host, machine.node_port)
        # Several workers of one machine share its node exporter.
        if machine.node_port and node not in seen:
            seen.add(node)
            yield _group(TargetKind.NODE, node, machine=machine.name)


def _group(kind: TargetKind, address: str, **labels: str) -> JSON:
    return {"targets": [address], "labels": {"kind": str(kind), **labels}}


def _split(host: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname or "localhost", parts.port or 0
    except ValueError:
        return "localhost", 0


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in {"", "localhost"}
