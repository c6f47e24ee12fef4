"""What tests of the server stand on: real ones, with people in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.server import scene, works
from tests.server.scene import Cast, Serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Share one server among the tests of a module, for those that do it no harm."""
    with scene.serving(tmp_path_factory.mktemp("server") / "home") as server:
        yield server


@pytest.fixture(scope="module")
def cast(server: Serving) -> Iterator[Cast]:
    """Give people of every role on the module's server."""
    people = scene.cast(server)
    yield people
    people.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Serving]:
    """Give a server to this test alone, to be killed or filled."""
    with scene.serving(tmp_path / "home") as server:
        yield server


@pytest.fixture
def serving(tmp_path: Path) -> Callable[..., AbstractContextManager[Serving]]:
    """Give a function that starts servers over one home, with flags: `serving("--tls", …)`."""
    return lambda *flags, **environment: scene.serving(tmp_path / "home", *flags, **environment)


@pytest.fixture
def people() -> Iterator[works.People]:
    """Give what meets people on servers, and closes their connections at the end."""
    met = works.People()
    yield met
    met.close()
