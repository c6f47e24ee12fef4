"""A real Prometheus with our example of a configuration finds a site, its machines, its faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.brokers import Broker
from tests.deploy.conftest import DEPLOY, Prometheus
from tests.deploy.queries import dashboards, expressions
from tests.server import scene
from tests.server.scene import Serving
from tests.worker.station.stage import Stage

# As it stands in the notes of a cluster that this replaces.
PROCESSORS = '(sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[3m])) * 100)'


@contextmanager
def _staged(folder: Path, broker: Broker, node_exporter: int) -> Iterator[Stage]:
    """Serve on a broker beside a node exporter, with a worker that tells its numbers."""
    (folder / "share").mkdir()
    server = scene.launch(
        folder / "server",
        GRANGE_ENGINE=broker.url,
        GRANGE_ENGINE_MANAGEMENT=broker.management,
        GRANGE_SHARES=str(folder / "share"),
        GRANGE_NODE_PORT=str(node_exporter),
    )
    try:
        stage = Stage(folder, broker, server)
        stage.worker("rack-1", "--metrics-port", "0", slots=2)
        yield stage
        stage.close()
        stage.admin.close()
    finally:
        scene.end(server)


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
    rabbitmq_server: Broker,
    node_exporter: int,
    prometheus: Callable[[Path], AbstractContextManager[Prometheus]],
) -> Iterator[tuple[Stage, Prometheus]]:
    """Let a worker do something, and Prometheus find it all."""
    folder = tmp_path_factory.mktemp("monitored")
    with _staged(folder, rabbitmq_server, node_exporter) as stage:
        inputs = stage.fill("field", {f"{number}.txt": "x" for number in range(4)})
        stage.finish(stage.submit(inputs, "cp {input} {output}/copy"))
        made = stage.admin.post("/tokens", json={"name": "prometheus", "scopes": ["metrics"]})
        _configure(folder, stage.server, made.json()["text"])
        with prometheus(folder) as running:
            yield stage, running


def _up(prometheus: Prometheus) -> dict[str, str]:
    """Give each job that answers, with its instance."""
    return {one["metric"]["job"]: one["metric"]["instance"] for one in prometheus.query("up == 1")}


def test_everything_is_found_by_itself(site: tuple[Stage, Prometheus], node_exporter: int) -> None:
    """The server, the worker's exporter and the node exporter, each scraped and up."""
    stage, prometheus = site

    prometheus.until(lambda: len(_up(prometheus)) == 3)
    found = _up(prometheus)

    assert {"grange", "grange-worker", "node"} == set(found)
    # Its plugin is not on here.
    broker = prometheus.until(lambda: prometheus.query('up{job="rabbitmq"}'))
    assert [("127.0.0.1:15692", "0")] == [
        (one["metric"]["instance"], one["value"][1]) for one in broker
    ]
    assert f"127.0.0.1:{stage.server.port}" == found["grange"]
    assert f"127.0.0.1:{node_exporter}" == found["node"]
    # Where the worker is heard from, whatever it says: none sends a scraper elsewhere.
    assert found["grange-worker"].startswith("127.0.0.1:")


def test_processors_are_asked_as_ever(site: tuple[Stage, Prometheus], node_exporter: int) -> None:
    """The query of the cluster's notes works as it stands: percent by node."""
    _, prometheus = site

    found = prometheus.until(lambda: prometheus.query(PROCESSORS))

    assert [{"instance": f"127.0.0.1:{node_exporter}"}] == [one["metric"] for one in found]
    assert 0 <= float(found[0]["value"][1])


def test_a_run_is_in_the_numbers(site: tuple[Stage, Prometheus]) -> None:
    """What ended on the server and on the worker, and how workers and broker stand."""
    _, prometheus = site

    def value(query: str, wanted: str) -> bool:
        return _becomes(prometheus, query, wanted)

    assert value('grange_items_ended_total{pipeline="command", state="done"}', "4")
    assert value('sum(grange_worker_tasks_total{worker="rack-1", end="done"})', "4")
    assert value('grange_worker_slots{worker="rack-1"}', "2")
    assert value('grange_pool_slots{worker="rack-1"}', "2")
    assert value('grange_pool_workers{state="up"}', "1")
    assert value('grange_engine_up{engine="amqp"}', "1")


def test_utilisation_is_in_the_numbers(site: tuple[Stage, Prometheus]) -> None:
    """Who is busy, as the server, its list of workers and the worker itself see it."""
    stage, prometheus = site
    run = stage.submit(stage.fill("long", {"one.txt": "x"}), "sleep 600")

    assert _becomes(prometheus, 'grange_engine_slots{state="busy"}', "1")
    assert _becomes(prometheus, 'grange_worker_busy_slots{worker="rack-1"}', "1")
    assert _becomes(prometheus, 'grange_pool_busy_slots{worker="rack-1"}', "1")
    assert _becomes(prometheus, "sum(grange_queue_items)", "1")
    stage.admin.post(f"/runs/{run}/cancel")
    stage.finish(run)
    assert _becomes(prometheus, 'grange_engine_slots{state="busy"}', "0")


def _becomes(prometheus: Prometheus, query: str, wanted: str) -> bool:
    def there() -> bool:
        return [one["value"][1] for one in prometheus.query(query)] == [wanted]

    return bool(prometheus.until(there))


@pytest.mark.parametrize("name", sorted(dashboards()))
def test_every_query_of_a_dashboard_is_one(site: tuple[Stage, Prometheus], name: str) -> None:
    """Prometheus itself takes each, with the variables filled in as Grafana does."""
    _, prometheus = site

    for text in expressions(dashboards()[name]):
        prometheus.query(re.sub(r"\$\w+", ".*", text))


def test_alerts_load_and_fire(site: tuple[Stage, Prometheus]) -> None:
    """A broker and a server that are gone are said to be: so this is the last test here."""
    stage, prometheus = site
    rules = prometheus.ask("rules")["groups"][0]["rules"]
    assert {"ok"} == {rule["health"] for rule in rules} - {"unknown"}
    prometheus.until(lambda: "grange" in _up(prometheus))

    def fires(name: str) -> bool:
        alerts = prometheus.ask("alerts")["alerts"]
        return (name, "firing") in {(one["labels"]["alertname"], one["state"]) for one in alerts}

    assert not fires("GrangeBrokerDown")
    assert not fires("GrangeServerDown")
    stage.broker.kill()
    try:
        assert prometheus.until(lambda: fires("GrangeBrokerDown"))
        stage.server.kill()
        assert prometheus.until(lambda: fires("GrangeServerDown"))
    finally:
        stage.broker.start()
