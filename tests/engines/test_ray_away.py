"""A server whose Ray cluster is in trouble in the middle of a run."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.engines import rays
from tests.server import scene, works

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

CONTENTS = {f"{number:02}": f"{number}\n" * 1000 for number in range(24)}


def test_a_run_goes_on_when_its_cluster_is_back(tmp_path: Path) -> None:
    """People see why nothing happens; in the end each item is done once, its bytes whole."""
    share = tmp_path / "share"
    share.mkdir()
    for name, content in CONTENTS.items():
        (share / name).write_text(content)
    with rays.ray_cluster(cores=2) as cluster:
        engine = {"GRANGE_ENGINE": cluster.address, "GRANGE_SHARES": str(share)}
        server = scene.launch(tmp_path / "home", **engine)
        try:
            admin = scene.set_up(server)
            shell = "sleep 0.5; cat {input} > {output}/copy"
            run = works.submit(admin, _request(share, shell))["id"]
            _until(lambda: _run(admin, run)["counts"]["done"] >= 3)
        except BaseException:
            scene.end(server)
            raise
    try:
        with closing(admin):
            _until(lambda: "can't be reached" in _run(admin, run)["note"])
            with rays.ray_cluster(cores=2, port=cluster.port):
                _until(lambda: _run(admin, run)["state"] in works.ENDS)
                ended = _run(admin, run)
                scene.end(server)
        assert (24, 0, "") == (ended["counts"]["done"], ended["counts"]["failed"], ended["note"])
        outputs = server.home / "outputs" / run
        assert CONTENTS == {name: (outputs / name / "copy").read_text() for name in CONTENTS}
    finally:
        scene.end(server)


def test_a_server_stops_while_its_cluster_is_frozen(tmp_path: Path) -> None:
    """Within seconds, as ever, and nothing of it is left."""
    share = tmp_path / "share"
    begun = tmp_path / "begun"
    share.mkdir()
    (share / "one").write_text("1")
    with rays.ray_cluster(cores=2) as cluster:
        engine = {"GRANGE_ENGINE": cluster.address, "GRANGE_SHARES": str(share)}
        with (
            scene.serving(tmp_path / "home", **engine) as server,
            closing(scene.set_up(server)) as admin,
        ):
            works.submit(admin, _request(share, f"touch {begun}; sleep 100"))
            _until(begun.exists)
            rays.signal_all(cluster.mark, signal.SIGSTOP)
            began = time.monotonic()
            code = server.stop()
            took = time.monotonic() - began

    assert 0 == code
    assert took < 15
    assert [] == works.drivers(tmp_path / "home")


def _request(share: Path, shell: str) -> dict[str, Any]:
    return {
        "pipeline": "command",
        "inputs": [{"share": str(share)}],
        "params": {"shell": shell},
        "retries": 0,
    }


def _run(who: Any, run: str) -> dict[str, Any]:
    found: dict[str, Any] = who.get(f"/runs/{run}").json()
    return found


def _until(check: Callable[[], bool], *, seconds: float = 150.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)
