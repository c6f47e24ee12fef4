"""Streams of events end for whoever may not read them any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.server import scene
from tests.server.scene import Cast, Serving

SECONDS = 30.0


def _shut_out(cast: Cast, user: str) -> None:
    assert 200 == cast.admin.patch(f"/users/{user}", json={"disabled": True}).status_code


def _demote(cast: Cast, user: str) -> None:
    assert 200 == cast.admin.patch(f"/users/{user}", json={"role": "member"}).status_code


def _delete(cast: Cast, user: str) -> None:
    assert 204 == cast.admin.delete(f"/users/{user}").status_code


@pytest.mark.parametrize(
    ("role", "change", "status"),
    [("member", _shut_out, 401), ("admin", _demote, 200), ("viewer", _delete, 401)],
)
def test_a_stream_ends_with_the_rights_of_its_reader(
    server: Serving, cast: Cast, role: str, change: Callable[[Cast, str], None], status: int
) -> None:
    """Within seconds, not when the stream would end anyway; whoever still may comes back."""
    reader = scene.invite(cast.admin, server.url, f"{role}.leaving", role=role)
    with ThreadPoolExecutor(1) as pool, closing(reader):
        with reader.stream("GET", "/events?topic=runs", timeout=SECONDS) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("retry:")
            change(cast, scene.user_id(reader))
            began = time.monotonic()
            pool.submit(_drain, lines).result(SECONDS)
        assert time.monotonic() - began < SECONDS / 2
        assert status == reader.get("/runs").status_code


def _drain(lines: Iterator[str]) -> None:
    for _ in lines:
        pass
