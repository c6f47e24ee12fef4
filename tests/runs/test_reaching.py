"""A bucket that is away is noticed in seconds, by whoever has to tell of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from grange.errors import StoreUnreachable
from grange.runs.reaching import AGAIN_SECONDS, QUIET_SECONDS, Reach, check_buckets
from tests import services

PLACE = "s3://videos/in"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{services.free_port()}")


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a server be at the endpoint that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        yield


def test_a_server_that_is_gone_is_away() -> None:
    """Its bucket is named, its address is not."""
    with pytest.raises(StoreUnreachable, match="'videos' can't be reached") as caught:
        check_buckets(["file:///srv", PLACE])

    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.usefixtures("frozen")
def test_a_server_that_is_frozen_is_away_within_seconds() -> None:
    """Nobody learns of it by a minute's silence."""
    began = time.monotonic()

    with pytest.raises(StoreUnreachable):
        check_buckets([PLACE])

    assert time.monotonic() - began < 15


def test_what_is_wrong_otherwise_shows_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing keys keep no run from being begun, since only its inputs may need none."""
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    check_buckets([PLACE])


def test_nobody_is_asked_while_outcomes_come() -> None:
    """Only after some silence, and then not at every turn; what was said holds meanwhile."""
    reach = Reach([PLACE, "/srv/folder"])
    assert "" == reach.look(heard=False, now=100.0)
    assert "" == reach.look(heard=False, now=99.0 + QUIET_SECONDS)

    said = reach.look(heard=False, now=101.0 + QUIET_SECONDS)

    assert "'videos' can't be reached" in said
    assert said == reach.look(heard=False, now=100.0 + AGAIN_SECONDS)
    assert "" == reach.look(heard=True, now=101.0 + AGAIN_SECONDS)
    assert "" == Reach(["/srv/folder"]).look(heard=False, now=1000.0)
