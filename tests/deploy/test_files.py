"""What ships for Prometheus and Grafana fits the table of metrics, and Prometheus takes it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from grange.telemetry.metrics import BY_NAME, METRICS, Kind, Metric, Source
from tests.deploy.queries import DEPLOY, dashboards, expressions, used, variables

ALERTS = DEPLOY / "prometheus" / "alerts.yml"
# What Prometheus and its service discovery put beside the labels of the table.
OF_TARGETS = {"instance", "job", "worker", "machine", "kind", "le"}
FOREIGN = ("node_", "process_", "rabbitmq_", "up")


def _metric(name: str) -> Metric | None:
    """Give the row of a name, or of the histogram that a series belongs to."""
    if name in BY_NAME:
        found = BY_NAME[name]
        return found if found.kind is not Kind.HISTOGRAM else None
    whole = BY_NAME.get(re.sub(r"_(bucket|sum|count)$", "", name))
    return whole if whole is not None and whole.kind is Kind.HISTOGRAM else None


def _check(query: str) -> None:
    names = [one for one in used(query) if not one[0].startswith(FOREIGN)]
    for name, labels in names:
        metric = _metric(name)
        assert metric is not None, f"{name} is told by nobody: {query}"
        assert labels <= {*metric.labels, *OF_TARGETS}, query
        by = set(re.findall(r"\w+", " ".join(re.findall(r"\bby\s*\(([^)]*)\)", query))))
        known = {label for each in names for label in _metric(each[0]).labels}  # type: ignore[union-attr]
        assert by <= known | OF_TARGETS, query


def _promtool(promtool: str, *command: str | Path) -> str:
    """Let Prometheus' own checker look; it has to have nothing to say."""
    done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_alerts(promtool: str) -> None:
    """All of them are rules."""
    assert "SUCCESS" in _promtool(promtool, "check", "rules", ALERTS)


def test_alerts_fire_when_they_should_and_only_then(promtool: str) -> None:
    """An idle cluster while work waits, silent workers, full disks, failures; and a good day."""
    assert "SUCCESS" in _promtool(
        promtool, "test", "rules", Path(__file__).parent / "alerts_test.yml"
    )


def test_every_alert_is_tried() -> None:
    """No alert ships that no case makes fire."""
    tried = (Path(__file__).parent / "alerts_test.yml").read_text()
    names = re.findall(r"alert: (\w+)", ALERTS.read_text())

    assert len(names) > 10
    assert [] == [
        name for name in names if f'alertname="{name}"' not in tried and name not in _exact(tried)
    ]


def _exact(tried: str) -> set[str]:
    """Give the alerts of which a case says what they say."""
    return set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:\n", tried))


def test_every_alert_says_what_to_do() -> None:
    """Whoever is woken reads what is wrong, and what to do."""
    rules = ALERTS.read_text().split("- alert: ")[1:]

    assert [] == [rule.splitlines()[0] for rule in rules if "summary: " not in rule]
    assert [] == [rule.splitlines()[0] for rule in rules if "action: " not in rule]
    assert [] == [rule.splitlines()[0] for rule in rules if "severity: " not in rule]


def test_alerts_ask_for_what_is_told() -> None:
    """Each metric and label is in the table: a typing error is an alert that never fires."""
    text = re.sub(r"(#|summary:|action:).*", "", ALERTS.read_text())
    for rule in re.findall(r"expr:(.*?)\n\s+for:", text, re.DOTALL):
        _check(" ".join(rule.replace(">-", "").split()))


@pytest.mark.parametrize("name", sorted(dashboards()))
def test_dashboards_ask_for_what_is_told(name: str) -> None:
    """Each metric and label is in the table: a typing error is an empty panel."""
    board = dashboards()[name]

    for query in expressions(board):
        _check(query)
    for query in variables(board):
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", query).groups()  # type: ignore[union-attr]
        found = _metric(metric)
        assert found is not None, query
        assert label in {*found.labels, *OF_TARGETS}


def test_dashboards_show_every_metric() -> None:
    """What is counted and shown nowhere is counted for nothing."""
    asked = {
        metric.name
        for board in dashboards().values()
        for query in [*expressions(board), *variables(board)]
        for name, _ in used(query)
        if (metric := _metric(name)) is not None
    }
    beside = {  # in alerts and in detail pages only
        "grange_runs",
        "grange_sessions_up",
        "grange_driver_seen_timestamp_seconds",
        "grange_start_timestamp_seconds",
        "grange_worker_info",
        "grange_worker_draining",
        "grange_worker_cache_bytes",
        "grange_pool_slots",
        "grange_pool_busy_slots",
        "grange_disk_total_bytes",
    }

    assert set() == {one.name for one in METRICS} - asked - beside


def test_panels_have_places_of_their_own() -> None:
    """No panel of a dashboard lies over another one, or beside the screen."""
    for board in dashboards().values():
        cells = [
            (x, y)
            for panel in board["panels"]
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]

        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24
        assert len(board["panels"]) == len({panel["id"] for panel in board["panels"]})


def test_workers_and_servers_share_no_name() -> None:
    """A sum over all instances counts nothing twice."""
    of_workers = {one.name for one in METRICS if one.source is Source.WORKER}

    assert all(name.startswith("grange_worker_") for name in of_workers)
