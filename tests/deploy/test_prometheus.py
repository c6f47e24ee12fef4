"""A real Prometheus with our example of a configuration finds a site, its machines, its faults."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from grange.core.tasks import Outcome, OutcomeState, TaskKind
from grange.telemetry.exporter import Exporter
from grange.telemetry.station import StationCount
from tests.deploy.conftest import DEPLOY, Prometheus
from tests.deploy.queries import dashboards, expressions
from tests.server import scene, works
from tests.server.scene import Serving

# As it stands in the notes of a cluster that this replaces.
PROCESSORS = '(sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[3m])) * 100)'

BROKER = "amqp://guest:guest@127.0.0.1:1"


@contextmanager
def _worker() -> Iterator[Exporter]:
    """Run the exporter of a worker that has done something."""
    count = StationCount(version="0.1.0")
    outcome = Outcome(1, 1, OutcomeState.DONE, 2.5, counts={"frames": 300, "reading seconds": 1.5})
    count.ended(pipeline="wildlife", kind=TaskKind.SPLIT, outcome=outcome)
    count.stands(slots=4, busy=1)
    with Exporter(count.tally, port=0, host="127.0.0.1") as exporter:
        yield exporter


def _configure(folder: Path, server: Serving, token: str) -> None:
    """Put our example there with this server's address, in a hurry, and alerts without patience."""
    example = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    text = example.replace("http://localhost:4050", server.url)
    text = text.replace("interval: 15s", "interval: 1s").replace("interval: 30s", "interval: 1s")
    (folder / "prometheus.yml").write_text(text)
    alerts = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    (folder / "alerts.yml").write_text(re.sub(r"for: \d+[mh]", "for: 0s", alerts))
    (folder / "grange.token").write_text(token)


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    node_exporter: int,
    prometheus: Callable[[Path], AbstractContextManager[Prometheus]],
) -> Iterator[tuple[Serving, Prometheus]]:
    """Serve, run something, let a worker join, and let Prometheus find it all."""
    folder = tmp_path_factory.mktemp("monitored")
    nodes = {"GRANGE_NODE_PORT": str(node_exporter)}
    # Nobody listens there: workers may join all the same, and the broker counts as down.
    broker = {"GRANGE_ENGINE": BROKER, "GRANGE_WORKERS_ENGINE": BROKER}
    with contextlib.closing(works.People()) as people, _worker() as exporter:
        with works.serving(folder, **nodes) as (server, shared):
            admin = people.set_up(server)
            inputs = shared.fill("field", {f"{number}.txt": "x" for number in range(4)})
            works.ended(admin, works.submit(admin, shared.request(inputs))["id"])
        with works.relaunch(folder, **nodes, **broker) as server:
            admin = people.log_in(server)
            _join(server, admin, exporter.port)
            made = admin.post("/tokens", json={"name": "prometheus", "scopes": ["metrics"]})
            _configure(folder, server, made.json()["text"])
            with prometheus(folder) as running:
                yield server, running


def _join(server: Serving, admin: Any, port: int) -> None:
    """Let a machine join that has an exporter; it says so and no more."""
    line = admin.post("/workers/tokens", json={}).json()["line"]
    secret = "s" * 40
    facts = {
        "name": "rack-1",
        "capacity": {"slots": 4},
        "metrics_url": f"http://10.9.9.9:{port}/metrics",
    }
    with scene.client(server.url) as machine:
        token = line.partition("#")[2].partition(".")[2]
        body = {"token": token, "secret": secret, "facts": facts}
        joined = machine.post("/workers/join", json=body)
        assert joined.status_code < 300, joined.text


def _up(prometheus: Prometheus) -> dict[str, str]:
    """Give each job that answers, with its instance."""
    return {one["metric"]["job"]: one["metric"]["instance"] for one in prometheus.query("up == 1")}


def test_everything_is_found_by_itself(
    site: tuple[Serving, Prometheus], node_exporter: int
) -> None:
    """The server, the worker's exporter and the node exporter, each scraped and up."""
    server, prometheus = site

    prometheus.until(lambda: len(_up(prometheus)) == 3)
    found = _up(prometheus)

    assert {"grange", "grange-worker", "node"} == set(found)
    broker = prometheus.until(lambda: prometheus.query('up{job="rabbitmq"}'))
    assert [("127.0.0.1:15692", "0")] == [
        (one["metric"]["instance"], one["value"][1]) for one in broker
    ]
    assert f"127.0.0.1:{server.port}" == found["grange"]
    assert f"127.0.0.1:{node_exporter}" == found["node"]
    # Where the worker is heard from, whatever it says: none sends a scraper elsewhere.
    assert found["grange-worker"].startswith("127.0.0.1:")


def test_processors_are_asked_as_ever(site: tuple[Serving, Prometheus], node_exporter: int) -> None:
    """The query of the cluster's notes works as it stands: percent by node."""
    _, prometheus = site

    found = prometheus.until(lambda: prometheus.query(PROCESSORS))

    assert [{"instance": f"127.0.0.1:{node_exporter}"}] == [one["metric"] for one in found]
    assert 0 <= float(found[0]["value"][1])


def test_a_run_is_in_the_numbers(site: tuple[Serving, Prometheus]) -> None:
    """What ended on the server, and on the worker, by what they are called in the table."""
    _, prometheus = site
    ended = 'grange_items_ended_total{pipeline="command", state="done"}'

    server = prometheus.until(lambda: prometheus.query(ended))
    worker = prometheus.until(lambda: prometheus.query("grange_worker_counted_total"))

    assert "4" == server[0]["value"][1]
    assert "300" == worker[0]["value"][1]
    assert ("rack-1", "frames") == (worker[0]["metric"]["worker"], worker[0]["metric"]["what"])


@pytest.mark.parametrize("name", sorted(dashboards()))
def test_every_query_of_a_dashboard_is_one(site: tuple[Serving, Prometheus], name: str) -> None:
    """Prometheus itself takes each, with the variables filled in as Grafana does."""
    _, prometheus = site

    for text in expressions(dashboards()[name]):
        prometheus.query(re.sub(r"\$\w+", ".*", text))


def test_alerts_load_and_one_fires(site: tuple[Serving, Prometheus]) -> None:
    """A server that is gone is said to be. It is killed: this has to be the last test here."""
    server, prometheus = site
    rules = prometheus.ask("rules")["groups"][0]["rules"]
    assert {"ok"} == {rule["health"] for rule in rules} - {"unknown"}
    prometheus.until(lambda: "grange" in _up(prometheus))

    server.kill()

    def fires() -> bool:
        alerts = prometheus.ask("alerts")["alerts"]
        return any(
            (one["labels"]["alertname"], one["state"]) == ("GrangeServerDown", "firing")
            for one in alerts
        )

    assert prometheus.until(fires)
