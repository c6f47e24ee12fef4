"""A worker's exporter answers scrapes, and nobody else holds it up."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from grange.core.tasks import Outcome, OutcomeState, TaskKind
from grange.errors import SettingInvalid
from grange.telemetry import exporter as exporting
from grange.telemetry.exporter import Exporter
from grange.telemetry.station import StationCount


@pytest.fixture
def count() -> StationCount:
    """Give the counts of a worker that has done something."""
    count = StationCount(version="1.2.3")
    outcome = Outcome(1, 1, OutcomeState.DONE, 2.5, counts={"frames": 300.0, "pose loads": 1.0})
    count.ended(pipeline="wildlife", kind=TaskKind.SPLIT, outcomes=[outcome])
    count.fetched(1000)
    count.fetched(500, from_cache=True)
    count.sent(70)
    count.reconnected()
    count.stands(slots=4, busy=2, draining=True, connected=False, unsent=3, cache_bytes=99)
    return count


@pytest.fixture
def exporter(count: StationCount) -> Iterator[Exporter]:
    """Run its exporter."""
    with Exporter(count.tally, port=0, host="127.0.0.1") as exporter:
        yield exporter


def _url(exporter: Exporter, path: str = "/metrics") -> str:
    return f"http://127.0.0.1:{exporter.port}{path}"


def test_a_worker_tells_what_it_does(exporter: Exporter) -> None:
    """Its tasks, bytes, slots and connection."""
    answer = httpx.get(_url(exporter))
    lines = answer.text.splitlines()

    assert "text/plain; version=0.0.4; charset=utf-8" == answer.headers["content-type"]
    for line in (
        'grange_worker_info{version="1.2.3"} 1.0',
        'grange_worker_tasks_total{end="done",pipeline="wildlife",stage="split"} 1.0',
        'grange_worker_counted_total{pipeline="wildlife",what="frames"} 300.0',
        'grange_worker_model_loads_total{pipeline="wildlife",stage="pose"} 1.0',
        "grange_worker_fetched_bytes_total 1000.0",
        "grange_worker_cache_hits_total 1.0",
        "grange_worker_cache_misses_total 1.0",
        "grange_worker_sent_bytes_total 70.0",
        "grange_worker_reconnects_total 1.0",
        "grange_worker_slots 4.0",
        "grange_worker_busy_slots 2.0",
        "grange_worker_draining 1.0",
        "grange_worker_connected 0.0",
        "grange_worker_unsent_outcomes 3.0",
        "grange_worker_cache_bytes 99.0",
    ):
        assert line in lines


def test_it_answers_nothing_else(exporter: Exporter) -> None:
    """Other addresses and methods are refused, and nothing says what runs there."""
    assert 404 == httpx.get(_url(exporter, "/")).status_code
    assert 501 == httpx.post(_url(exporter), content=b"x").status_code
    assert "Python" not in httpx.get(_url(exporter)).headers["server"]


def test_those_who_say_nothing_hold_up_nobody(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take the places that there are, and lose them again soon."""
    monkeypatch.setattr(exporting._Handler, "timeout", 0.2)
    with ExitStack() as opened:
        for _ in range(3 * exporting.MOST_AT_ONCE):
            opened.enter_context(socket.create_connection(("127.0.0.1", exporter.port)))
        answer = None
        for _ in range(100):
            try:
                answer = httpx.get(_url(exporter))
                break
            except httpx.TransportError:
                continue

    assert answer is not None
    assert 200 == answer.status_code


def test_a_port_that_is_taken_is_said_to_be(exporter: Exporter, count: StationCount) -> None:
    """With what to do about it."""
    with pytest.raises(SettingInvalid) as caught:
        Exporter(count.tally, port=exporter.port, host="127.0.0.1")

    assert str(exporter.port) in caught.value.message
    assert caught.value.hint


def test_it_lets_go_of_its_port(count: StationCount) -> None:
    """The next worker can have it at once."""
    with Exporter(count.tally, port=0, host="127.0.0.1") as first:
        port = first.port
    with Exporter(count.tally, port=port, host="127.0.0.1") as second:
        assert 200 == httpx.get(_url(second)).status_code
