"""Servers and workers of different versions: work in flight is lost by none of their changes.

What the other versions are: see `versions`. All of them run as real processes,
on a real broker.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from grange.db import open_database
from grange.db.schema import HEAD, current, prepare
from tests.brokers import Broker
from tests.faults import versions
from tests.server import scene
from tests.worker.station.stage import Stage, launch, staged, until

OURS = version("grange")
ITEMS = 8


def _later(folder: Path) -> Path:
    return versions.copy(folder, versions.LATER)


@pytest.mark.parametrize(
    ("make", "called"),
    [
        pytest.param(versions.earlier, versions.EARLIER, id="upgrade"),
        pytest.param(_later, versions.LATER, id="back", marks=pytest.mark.faults),
    ],
)
def test_work_in_flight_outlives_a_change_of_versions(
    tmp_path: Path, rabbitmq_server: Broker, make: Callable[[Path], Path], called: str
) -> None:
    """Another server takes over what workers of both versions hold: each item is done once.

    So an older worker works for a newer server here, and a newer one for an older server.
    """
    other = _variables(make(tmp_path / "other"))
    marks, gates = tmp_path / "marks", tmp_path / "gates"
    marks.mkdir()
    gates.mkdir()
    with staged(tmp_path / "stage", rabbitmq_server, **other) as stage:
        assert called == _server_version(stage)
        # They see nothing of the server's disk: inputs and outputs go through it, too.
        for name, theirs in (("other", other), ("ours", {})):
            worker = stage.worker(name, slots=2, prefix=stage.apart(), environment=theirs)
            worker.wait_for("joined")
        texts = {f"{number}.txt": f"text {number}\n" * 1000 for number in range(ITEMS)}
        shell = (
            f"echo $GRANGE_WORKER >> {marks}/{{name}}; "
            f"while [ ! -e {gates}/{{name}} ]; do sleep 0.05; done; cat {{input}} > {{output}}/copy"
        )
        run = stage.submit(stage.fill("in", texts), shell)
        until(lambda: len(_begun(marks)) == 4, "the first tasks")
        begun = _begun(marks)

        assert stage.server.stop() in {0, 130, 143}
        # These end while there is no server; the others while there is the next one.
        for name in begun[::2]:
            (gates / name).touch()
        _replace(stage, {})
        assert OURS == _server_version(stage)
        for name in texts:
            (gates / name).touch()

        assert "done" == stage.finish(run)["state"]
        assert texts == {one.parent.name: one.read_text() for one in _results(stage, run)}
        assert dict.fromkeys(texts, 1) == {
            one.name: len(one.read_text().splitlines()) for one in marks.iterdir()
        }
        assert {1} == {one["attempts"] for one in _items(stage, run)}
        assert {"other": called, "ours": OURS} == {
            one["name"]: one["version"] for one in stage.admin.get("/workers").json()["items"]
        }


@pytest.mark.faults
def test_protocols_that_do_not_fit_say_so(tmp_path: Path, rabbitmq_server: Broker) -> None:
    """Whoever speaks another one is told both versions and takes no task; the rest goes on."""
    foreign = _variables(versions.copy(tmp_path / "foreign", versions.LATER, protocol=2))
    words = (
        f"The worker has Grange {versions.LATER} and speaks the protocol 2, "
        f"the server has Grange {OURS} and speaks 1: the server is older"
    )
    with staged(tmp_path / "stage", rabbitmq_server) as stage:
        stranger = stage.worker("stranger", environment=foreign)
        assert 0 != stranger.process.wait(60)
        stranger.listener.join(10)
        assert words in stranger.text()

        # One that has joined before it was upgraded.
        worker = stage.worker("upgraded")
        worker.wait_for("joined")
        assert 0 == worker.end()
        worker = stage.worker("upgraded", line="", environment=foreign)
        worker.wait_for(words)
        until(lambda: "misfit" == _standing(stage, "upgraded"), "what the server says of it")
        listed = _list_workers(stage)
        assert re.search(r"upgraded +misfit ", listed)
        assert f"upgraded: {words}" in listed

        run = stage.submit(stage.fill("in", {"a": "1", "b": "2"}), "cp {input} {output}/copy")
        # It reads what drivers say to all, and says what it makes of that.
        worker.wait_for(f"Grange {OURS} speaks protocol 1; this is Grange {versions.LATER}")
        stage.worker("fits").wait_for("joined")
        assert "done" == stage.finish(run)["state"]
        assert {"1", "2"} == {one.read_text() for one in _results(stage, run)}
        assert {1} == {one["attempts"] for one in _items(stage, run)}


@pytest.mark.faults
def test_a_server_of_another_protocol_says_so(tmp_path: Path, rabbitmq_server: Broker) -> None:
    """Its workers learn that they are older, and work again when the server is as it was."""
    foreign = _variables(versions.copy(tmp_path / "foreign", versions.LATER, protocol=2))
    with staged(tmp_path / "stage", rabbitmq_server) as stage:
        worker = stage.worker("left-behind")
        worker.wait_for("joined")
        stage.server.stop()
        _replace(stage, foreign)

        worker.wait_for(
            f"The worker has Grange {OURS} and speaks the protocol 1, "
            f"the server has Grange {versions.LATER} and speaks 2: the worker is older"
        )
        until(lambda: "misfit" == _standing(stage, "left-behind"), "what the server says of it")
        stage.server.stop()
        _replace(stage, {})
        worker.wait_for("the versions of server and worker fit again")
        run = stage.submit(stage.fill("in", {"a": "1"}), "cp {input} {output}/copy")
        assert "done" == stage.finish(run)["state"]


def test_an_older_server_leaves_newer_tables_alone(tmp_path: Path) -> None:
    """It says that they are newer than it is, and starts nothing."""
    older = versions.without_the_newest_tables(tmp_path / "older")
    home = tmp_path / "home"
    home.mkdir()
    database = open_database(home / "grange.db")
    prepare(database)

    with pytest.raises(RuntimeError, match=f"revision {HEAD}, which this Grange doesn't know"):
        scene.launch(home, **_variables(older))

    assert HEAD == current(database)
    database.close()


def _variables(place: Path) -> dict[str, str]:
    """What makes a process, and all that it starts, one of this version."""
    return {"PYTHONPATH": str(place)}


def _replace(stage: Stage, variables: dict[str, str]) -> None:
    """Start a server where one was stopped: the same home, the same address."""
    scene.end(stage.server)
    stage.server = launch(stage.folder, stage.broker, "--port", str(stage.server.port), **variables)


def _server_version(stage: Stage) -> str:
    found: str = stage.admin.get("/health").json()["version"]
    return found


def _standing(stage: Stage, name: str) -> str:
    workers = stage.admin.get("/workers").json()["items"]
    return next(one["standing"] for one in workers if one["name"] == name)


def _list_workers(stage: Stage) -> str:
    """What the operator at the server sees."""
    command = [sys.executable, "-m", "grange", "workers", "list"]
    where = {"GRANGE_HOME": str(stage.server.home), "GRANGE_ENGINE": stage.broker.url}
    done = subprocess.run(
        command, env={**os.environ, **where}, capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


def _begun(marks: Path) -> list[str]:
    return sorted(one.name for one in marks.iterdir())


def _results(stage: Stage, run: str) -> list[Path]:
    return list(stage.outputs(run).rglob("copy"))


def _items(stage: Stage, run: str) -> list[dict[str, int]]:
    found: list[dict[str, int]] = stage.admin.get(f"/runs/{run}/items").json()["items"]
    return found
