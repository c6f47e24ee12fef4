"""Runs whose workers are behind a broker, and what becomes of them when their driver goes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.brokers import Broker
from tests.worker.station.stage import Stage, staged

PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def _stage(tmp_path_factory: pytest.TempPathFactory, rabbitmq_server: Broker) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("afar"), rabbitmq_server) as stage:
        yield stage


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """Lend the module's server; the workers that a test starts go with it."""
    try:
        yield _stage
    finally:
        _stage.close()


def until(check: Callable[[], object], what: str) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def driver_of(stage: Stage) -> int:
    """Give the process that drives the server's runs."""
    children = Path(f"/proc/{stage.server.process.pid}/task").glob("*/children")
    for child in " ".join(file.read_text() for file in children).split():
        if b"drive" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
            return int(child)
    raise AssertionError("nobody drives")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_work_in_flight_is_done_once_though_its_driver_goes(
    stage: Stage, how: signal.Signals
) -> None:
    """Killed or ended in the middle: what workers are at goes on, and nothing is begun twice."""
    stage.worker("one", slots=2)
    folder = stage.fill(f"slow-{how}", {f"{number}.txt": str(number) for number in range(6)})
    begun = stage.folder / f"begun-{how}"
    run = stage.submit(folder, f"echo {{name}} >> {begun}; sleep 2; cp {{input}} {{output}}/copy")
    until(begun.exists, "a task to begin")
    first = driver_of(stage)
    os.kill(first, how)

    ended = stage.finish(run)

    assert first != driver_of(stage)
    assert ("done", 6) == (ended["state"], ended["counts"]["done"])
    assert sorted(f"{number}.txt" for number in range(6)) == sorted(begun.read_text().split())
    items = stage.admin.get(f"/runs/{run}/items").json()["items"]
    assert {1} == {item["attempts"] for item in items}


def test_a_broker_that_is_down_is_said_and_waited_for(stage: Stage) -> None:
    """On the run and in the site's health; when it is back, the run goes on by itself."""
    stage.worker("one")
    folder = stage.fill("down", {f"{number}.txt": str(number) for number in range(8)})
    run = stage.submit(folder, "sleep 1; cp {input} {output}/copy")
    until(lambda: stage.run(run)["counts"]["done"], "the first item")

    def engine() -> str:
        checks = stage.admin.get("/system").json()["checks"]
        return next(check["verdict"] for check in checks if check["name"] == "engine")

    until(lambda: engine() == "good", "good health")
    stage.broker.kill()
    try:
        until(lambda: "can't be reached" in stage.run(run)["note"], "the note")
        until(lambda: engine() == "bad", "bad health")
    finally:
        stage.broker.start()
    ended = stage.finish(run)

    assert ("done", 8, "") == (ended["state"], ended["counts"]["done"], ended["note"])
    until(lambda: engine() == "good", "good health again")


def test_work_that_nobody_can_do_says_what_it_needs(stage: Stage) -> None:
    """A run that asks for what no worker has says so, and waits for a worker that has it."""
    stage.worker("plain")
    folder = stage.fill("special", {"a.txt": "a"})
    run = stage.submit(folder, "cp {input} {output}/copy", needs={"labels": ["special"]})

    until(lambda: "the label special" in stage.run(run)["note"], "the note")
    stage.worker("special", "--labels", "special")

    assert "done" == stage.finish(run)["state"]


def test_results_that_are_known_are_copied_at_home(stage: Stage) -> None:
    """No worker is asked for what only the server's files are needed for."""
    worker = stage.worker("one")
    folder = stage.fill("known", {"a.txt": "a", "b.txt": "b"})
    first = stage.submit(folder, "cp {input} {output}/copy")
    assert "done" == stage.finish(first)["state"]
    worker.kill()

    again = stage.submit(folder, "cp {input} {output}/copy", name="again")
    ended = stage.finish(again)

    assert ("done", 2) == (ended["state"], ended["counts"]["reused"])
    assert "a" == (stage.outputs(again) / "a.txt" / "copy").read_text()
