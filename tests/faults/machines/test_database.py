"""A database that is cut off in the middle of a transaction is given up, by both ends."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grange.db import open_database
from grange.errors import DatabaseBusy
from tests import services
from tests.faults.machines.network import Host, Network, network
from tests.places import Place

pytestmark = [pytest.mark.faults, pytest.mark.timeout(200)]

PATIENCE_SECONDS = 40.0
# Holds a row, and asks for it once more when it is told to.
HOLDER = """
import sys
from sqlalchemy import text
from grange.db import open_database
from grange.errors import DatabaseUnreachable
database = open_database(sys.argv[1])
try:
    with database.write() as connection:
        connection.execute(text("UPDATE held SET number = 2"))
        print("holds", flush=True)
        sys.stdin.readline()
        connection.execute(text("UPDATE held SET number = 3"))
except DatabaseUnreachable:
    print("unreachable", flush=True)
"""


@pytest.fixture(
    params=[
        pytest.param(services.postgresql, marks=pytest.mark.postgresql, id="PostgreSQL"),
        pytest.param(services.mariadb, marks=pytest.mark.mariadb, id="MariaDB"),
    ]
)
def parties(request: pytest.FixtureRequest) -> Iterator[tuple[Network, Host, Host, str]]:
    """Give a network of a client and a database, and the database's URL."""
    with contextlib.ExitStack() as opened:
        net = opened.enter_context(network())
        client, host = net.host("client"), net.host("database")
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        place = Place(host.address, host.prefix, folder)
        server = opened.enter_context(request.param(place))
        yield net, client, host, opened.enter_context(server.database())


@pytest.mark.parametrize("asks", [True, False], ids=["it asks", "it says no more"])
def test_a_silent_end_is_given_up(parties: tuple[Network, Host, Host, str], asks: bool) -> None:
    """Who asks hears that it can't be reached; what it had locked is free for others."""
    net, client, host, url = parties
    database = open_database(url, busy_seconds=1)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE held AS SELECT 1 AS number")
    words = [*client.prefix, sys.executable, "-c", HOLDER, url]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert "holds\n" == holder.stdout.readline()
        net.cut(client, host)
        began = time.monotonic()
        try:
            if asks:
                holder.stdin.write("\n")
                holder.stdin.flush()
                assert "unreachable\n" == holder.stdout.readline()
            while True:
                with contextlib.suppress(DatabaseBusy), database.write() as connection:
                    connection.exec_driver_sql("UPDATE held SET number = 4")
                    break
            assert PATIENCE_SECONDS > time.monotonic() - began
        finally:
            holder.kill()
            database.close()
