"""What tests of the client stand on: a real server, and somebody's token for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from grange.client.api import Client
from grange.client.known import Known
from tests.client.wire import Wire, wire_to
from tests.server import scene
from tests.server.scene import Serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Share one server among the tests of a module."""
    with scene.serving(tmp_path_factory.mktemp("server") / "home") as server:
        yield server


@pytest.fixture(scope="module")
def token(server: Serving) -> str:
    """Give a token of the server's administrator."""
    with closing(scene.set_up(server)) as ada:
        made = ada.post("/tokens", json={"name": "tests", "scopes": ["read", "run", "admin"]})
    text: str = made.json()["text"]
    return text


@pytest.fixture
def client(server: Serving, token: str) -> Iterator[Client]:
    """Give a client of the server."""
    with Client(server.url, token=token) as client:
        yield client


@pytest.fixture
def wire(server: Serving) -> Iterator[Wire]:
    """Lay a wire to the server that can be cut."""
    with wire_to(server.port) as wire:
        yield wire


@pytest.fixture
def wired(wire: Wire, token: str) -> Iterator[Client]:
    """Give a client at the near end of the wire."""
    with Client(wire.url, token=token) as client:
        yield client


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Known]:
    """Give a memory of its own."""
    known = Known(tmp_path / "client.db")
    yield known
    known.close()
