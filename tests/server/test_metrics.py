"""The numbers of a site: who may read them, what they say, and where Prometheus finds more."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from grange.telemetry.metrics import BY_NAME, METRICS, Source
from tests.server import scene, works
from tests.server.scene import Cast, Serving

TARGETS = "/prometheus/targets"
PATIENCE_SECONDS = 30.0


def _scrape(person: httpx.Client, server: Serving, **options: Any) -> httpx.Response:
    return person.get(f"{server.url}/metrics", **options)


def _numbers(text: str) -> dict[str, float]:
    """Give each series of a scrape by its name and labels, as they are written."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def _wait_for(person: httpx.Client, server: Serving, series: str, value: float) -> dict[str, float]:
    """Scrape until a series has a value: what drives runs tells its numbers every two seconds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        numbers = _numbers(_scrape(person, server).text)
        if numbers.get(series) == value or time.monotonic() > deadline:
            assert value == numbers.get(series), sorted(numbers)
            return numbers
        time.sleep(0.3)


@contextmanager
def _listening() -> Iterator[int]:
    """Listen as a node exporter would."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def scraper(server: Serving, cast: Cast) -> Iterator[httpx.Client]:
    """Give a program with a token for the numbers, and for nothing else."""
    with scene.with_token(cast.admin, server.url, "metrics") as client:
        yield client


@pytest.mark.parametrize("path", ["/metrics", f"{scene.API}{TARGETS}"])
def test_nobody_reads_the_numbers_without_a_token(server: Serving, path: str) -> None:
    """A site's numbers are no business of whoever reaches its port."""
    assert 401 == httpx.get(server.url + path).status_code


@pytest.mark.parametrize("who", ["member", "viewer"])
def test_members_do_not_read_the_numbers(server: Serving, cast: Cast, who: str) -> None:
    """They tell of everybody's work."""
    person: httpx.Client = getattr(cast, who)

    assert 403 == _scrape(person, server).status_code
    assert 403 == person.get(TARGETS).status_code


def test_no_member_makes_a_token_for_them(cast: Cast) -> None:
    """A token can do no more than who makes it."""
    answer = cast.member.post("/tokens", json={"name": "scrape", "scopes": ["metrics"]})

    assert 403 == answer.status_code


def test_a_token_for_other_things_does_not_read_them(server: Serving, cast: Cast) -> None:
    """Each use has its own scope, for administrators' tokens too."""
    with scene.with_token(cast.admin, server.url, "read", "run") as client:
        assert 403 == _scrape(client, server).status_code


def test_a_token_for_the_numbers_does_nothing_else(scraper: httpx.Client) -> None:
    """What stands in a file of Prometheus' opens nothing but the numbers."""
    assert 403 == scraper.get("/runs").status_code
    assert 403 == scraper.get("/users").status_code
    assert 403 == scraper.post("/tokens", json={"name": "x", "scopes": ["read"]}).status_code


def test_numbers_are_plain_text(server: Serving, scraper: httpx.Client) -> None:
    """Every version of Prometheus reads them, whatever it asks for."""
    answer = _scrape(scraper, server, headers={"Accept": "application/openmetrics-text;version=x"})

    assert 200 == answer.status_code
    assert "text/plain; version=0.0.4; charset=utf-8" == answer.headers["content-type"]
    assert "no-store" == answer.headers["cache-control"]


def test_every_number_is_in_the_table(server: Serving, scraper: httpx.Client) -> None:
    """What is told is documented, with these very labels, and none is a run's or a path's."""
    _scrape(scraper, server)
    endings = ("_bucket", "_sum", "_count")
    told = [name for name in _numbers(_scrape(scraper, server).text) if name.startswith("grange_")]

    for series in told:
        name, _, labels = series.partition("{")
        ending = next((one for one in endings if name.endswith(one)), "")
        metric = BY_NAME.get(name) or BY_NAME[name.removesuffix(ending)]
        keys = {one.partition("=")[0] for one in labels.rstrip("}").split(",") if "=" in one}

        assert set(metric.labels) == keys - {"le"}
    assert len(told) > 15


def test_requests_are_counted_by_what_answers_them(server: Serving, scraper: httpx.Client) -> None:
    """By the pattern of the address: what people ask for has no end."""
    for number in range(3):
        scraper.get(f"/runs/nobody{number}")
        scraper.get(f"{server.url}/there/is/nothing/{number}")
    route = f"{scene.API}/runs/{{run}}"
    refused = f'grange_http_requests_total{{method="GET",route="{route}",status="403"}}'
    numbers = _wait_for(scraper, server, refused, 3.0)

    assert 3 <= numbers['grange_http_requests_total{method="GET",route="none",status="404"}']
    assert 3 == numbers[f'grange_http_request_seconds_count{{route="{route}"}}']
    assert not [name for name in numbers if "nobody" in name or "nothing" in name]


def test_the_server_says_how_it_stands(server: Serving, scraper: httpx.Client) -> None:
    """Its parts answer, and its disk and memory have sizes."""
    numbers = _wait_for(scraper, server, "grange_driver_up", 1.0)

    assert 1 == numbers["grange_database_up"]
    assert 1 == numbers["grange_sessions_up"]
    assert 0 < numbers["grange_disk_free_bytes"] <= numbers["grange_disk_total_bytes"]
    assert 0 < numbers["process_resident_memory_bytes"]
    assert 0 < numbers["grange_driver_memory_bytes"]


def test_many_scrapes_are_one_look(server: Serving, scraper: httpx.Client) -> None:
    """Whoever asks all the time asks the database no more than once a second."""
    answers: list[bytes] = []

    def ask() -> None:
        with httpx.Client(headers=scraper.headers) as client:
            answers.extend(_scrape(client, server).content for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 20 == len(answers)
    assert len(set(answers)) < 10


def test_a_run_shows_in_the_numbers(tmp_path: Path, people: works.People) -> None:
    """Attempts by end, retries, items by state and bytes, and no name of what was worked on."""
    with works.serving(tmp_path) as (server, shared):
        folder = shared.fill("field", {f"{number}.txt": "x" * 100 for number in range(5)})
        admin = people.set_up(server)
        shell = "case {input} in *3.txt) exit 7;; esac; cp {input} {output}/copy"
        run = works.submit(admin, shared.request(folder, shell, retries=1))
        works.ended(admin, run["id"])
        failed = 'grange_items_ended_total{pipeline="command",state="failed"}'
        numbers = _wait_for(admin, server, failed, 1.0)

    attempts = 'grange_attempts_total{end="%s",pipeline="command",stage="process"}'
    assert 4 == numbers[attempts % "done"]
    assert 2 == numbers[attempts % "failed"]
    assert 1 == numbers['grange_retries_total{pipeline="command",stage="process"}']
    assert 4 == numbers['grange_items_ended_total{pipeline="command",state="done"}']
    assert 400 == numbers['grange_input_bytes_total{pipeline="command"}']
    assert 400 == numbers['grange_output_bytes_total{pipeline="command"}']
    assert 6 == numbers['grange_attempt_seconds_count{pipeline="command",stage="process"}']
    assert not [name for name in numbers if "field" in name or ".txt" in name]


def test_targets_name_the_server_as_it_was_reached(server: Serving, scraper: httpx.Client) -> None:
    """Whoever found this address finds it again."""
    found = scraper.get(TARGETS, params={"kind": "server"}).json()

    labels = {"kind": "server", "__scheme__": "http"}
    assert [{"targets": [f"127.0.0.1:{server.port}"], "labels": labels}] == found


def test_targets_name_a_node_exporter_that_listens(
    serving: Callable[..., AbstractContextManager[Serving]], people: works.People
) -> None:
    """It is found by its port, and left out where nothing listens."""
    with _listening() as port, serving(GRANGE_NODE_PORT=str(port)) as server:
        admin = people.set_up(server)
        found = admin.get(TARGETS, params={"kind": "node"}).json()

    assert [[f"127.0.0.1:{port}"]] == [one["targets"] for one in found]


def test_an_unknown_kind_of_target_is_refused(scraper: httpx.Client) -> None:
    """A typing error in a configuration must not look like a site without machines."""
    assert 422 == scraper.get(TARGETS, params={"kind": "workers"}).status_code


def test_this_machine_reads_the_numbers_if_it_may(
    serving: Callable[..., AbstractContextManager[Serving]],
) -> None:
    """By setting, a Prometheus beside the server needs no token; a proxy's guests still do."""
    with serving(GRANGE_METRICS="local") as server:
        alone = httpx.get(f"{server.url}/metrics")
        through = [
            httpx.get(f"{server.url}/metrics", headers={name: "203.0.113.9"})
            for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")
        ]
        found = httpx.get(f"{server.url}{scene.API}{TARGETS}")

    assert 200 == alone.status_code
    assert 200 == found.status_code
    assert [401] * 4 == [one.status_code for one in through]


def test_the_table_says_who_tells_what() -> None:
    """Names and kinds are as Prometheus wants them, and no name stands for two things."""
    names = [one.name for one in METRICS]

    assert sorted(set(names)) == sorted(names)
    for one in METRICS:
        assert one.name.startswith("grange_worker_") == (one.source is Source.WORKER)
        assert one.name.endswith("_total") == (one.kind == "counter")
        assert one.help.endswith(".")
        assert set(one.labels).isdisjoint({"run", "path", "item", "input", "user"})
