"""What every test stands on: a home of its own, and real databases on demand."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grange.db import open_database, prepare
from tests import brokers, buckets, fresh, services
from tests.places import OWN_NETWORKS

_home_numbers = itertools.count()


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def home(_homes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test an empty GRANGE_HOME, and never the user's real home."""
    user_home = _homes / str(next(_home_numbers))
    user_home.mkdir()
    for name in list(os.environ):
        if name.startswith(("GRANGE_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(user_home))
    grange_home = user_home / "grange"
    monkeypatch.setenv("GRANGE_HOME", str(grange_home))
    return grange_home


@pytest.fixture(scope="session", autouse=True)
def _no_outside_network() -> Iterator[None]:
    """Refuse connections that leave this machine: tests must pass without any network."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and not (
            address[0] in {"127.0.0.1", "127.0.0.2", "::1", "localhost"}
            or str(address[0]).startswith(OWN_NETWORKS)
        ):
            pytest.fail(f"a test reached out to {address}")
        connect(self, address)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[services.Server]:
    """Share one PostgreSQL server among the tests of this process."""
    with services.postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[services.Server]:
    """Share one MariaDB server among the tests of this process."""
    with services.mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[services.CacheServer]:
    """Share one Redis server among the tests of this process."""
    with services.redis() as server:
        yield server


@pytest.fixture(scope="session")
def memcached_server() -> Iterator[services.CacheServer]:
    """Share one memcached server among the tests of this process."""
    with services.memcached() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[brokers.Broker]:
    """Share one RabbitMQ server, with its management API, among the tests of this process.

    A test may kill it and start it again, since each uses a site of its own.
    """
    with brokers.rabbitmq() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[buckets.S3Server]:
    """Share one S3 server among the tests of this process."""
    with buckets.s3() as server:
        yield server


@pytest.fixture
def bucket(s3_server: buckets.S3Server, monkeypatch: pytest.MonkeyPatch) -> buckets.Bucket:
    """Give an empty bucket, and the environment in which programs reach it."""
    for name, value in s3_server.variables.items():
        monkeypatch.setenv(name, value)
    return s3_server.make_bucket()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Name a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'grange.db'}"


@pytest.fixture
def postgresql_url(postgresql_server: services.Server) -> Iterator[str]:
    """Give an empty PostgreSQL database."""
    with postgresql_server.database() as url:
        yield url


@pytest.fixture
def mariadb_url(mariadb_server: services.Server) -> Iterator[str]:
    """Give an empty MariaDB database."""
    with mariadb_server.database() as url:
        yield url


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def database_url(request: pytest.FixtureRequest) -> str:
    """Run the test once on each of the three databases."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def prepared_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Run the test once on each of the three databases, with all tables and nothing in them."""
    if request.param == "sqlite":
        fresh.put(tmp_path / "grange.db")
        yield request.getfixturevalue("sqlite_url")
        return
    server: services.Server = request.getfixturevalue(f"{request.param}_server")
    with server.prepared_database(_prepare) as url:
        yield url


def _prepare(url: str) -> None:
    with contextlib.closing(open_database(url)) as database:
        prepare(database)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Give a function that mounts a disk of so many bytes; needs root."""
    with contextlib.ExitStack() as disks:
        yield lambda size_bytes: disks.enter_context(
            services.small_disk(tmp_path, size_bytes=size_bytes)
        )
