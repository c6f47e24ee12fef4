"""Where Prometheus is sent: to where machines are heard from, each machine once."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from grange.telemetry.nodes import node_port
from grange.telemetry.targets import Machine, Place, groups, port_of


def _of(kind: str, found: list[Any]) -> list[str]:
    return [one["targets"][0] for one in found if one["labels"]["kind"] == kind]


@pytest.mark.parametrize(
    ("host", "scheme", "target"),
    [
        ("grange.example.org", "https", "grange.example.org:443"),
        ("grange.example.org", "http", "grange.example.org:80"),
        ("10.0.0.5:4050", "http", "10.0.0.5:4050"),
        ("[fd00::5]:4050", "https", "[fd00::5]:4050"),
        ("[fd00::5]", "https", "[fd00::5]:443"),
    ],
)
def test_the_server_is_where_it_was_reached(host: str, scheme: str, target: str) -> None:
    """With the port that its address leaves out."""
    (found,) = groups(Place(host=host, scheme=scheme), [])

    assert [target] == found["targets"]
    assert {"kind": "server", "__scheme__": scheme} == found["labels"]


def test_machines_are_where_they_are_heard_from() -> None:
    """Those on the server's own machine are where the server is, seen from elsewhere."""
    machines = [
        Machine(name="rack-1", address="10.0.0.7", metrics_port=9464, node_port=9100),
        Machine(name="here", address="127.0.0.1", metrics_port=9465, node_port=9100),
        Machine(name="six", address="fd00::7", metrics_port=9464),
        Machine(name="silent", address="10.0.0.8"),
    ]
    found = groups(Place(host="10.0.0.5:4050", scheme="http", node_port=9100), machines)

    assert ["10.0.0.7:9464", "10.0.0.5:9465", "[fd00::7]:9464"] == _of("worker", found)
    assert ["10.0.0.5:9100", "10.0.0.7:9100"] == _of("node", found)
    assert "rack-1" == next(one for one in found if "worker" in one["labels"])["labels"]["worker"]


def test_workers_of_one_machine_share_its_node_exporter() -> None:
    """A target that is named twice would count twice."""
    machines = [
        Machine(
            name=f"rack-1-{number}", address="10.0.0.7", metrics_port=9464 + number, node_port=9100
        )
        for number in range(3)
    ]
    found = groups(Place(host="10.0.0.5", scheme="http"), machines)

    assert ["10.0.0.7:9100"] == _of("node", found)
    assert 3 == len(_of("worker", found))


@pytest.mark.parametrize(
    ("engine", "target"),
    [
        ("amqp://u:p@broker.example.org:5672/v", ["broker.example.org:15692"]),
        ("amqps://u:p@10.0.0.9", ["10.0.0.9:15692"]),
        ("amqp://u:p@127.0.0.1", ["10.0.0.5:15692"]),
        ("amqp://u:p@[fd00::9]:5672", ["[fd00::9]:15692"]),
        ("local", []),
        ("ray://10.0.0.9:10001", []),
    ],
)
def test_the_broker_is_found_by_its_address(engine: str, target: list[str]) -> None:
    """And nothing of its password is told."""
    found = groups(Place(host="10.0.0.5:4050", scheme="http", engine=engine), [])

    assert target == _of("broker", found)
    assert "u:p" not in str(found)


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://10.0.0.7:9464/metrics", 9464),
        ("https://rack-1/metrics", 443),
        ("http://rack-1/metrics", 80),
        ("", 0),
        ("http://rack-1:port/metrics", 0),
        ("http://rack-1:99999/", 0),
        ("no address", 0),
    ],
)
def test_a_port_is_taken_from_an_address(url: str, port: int) -> None:
    """What is none has none."""
    assert port == port_of(url)


def test_a_node_exporter_is_there_or_not() -> None:
    """Found where something listens, and by nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert port == node_port(port)
    assert 0 == node_port(port)
