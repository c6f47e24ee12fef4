"""A server whose Ray cluster dies in the middle of a run, and comes back."""

from __future__ import annotations

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
            run = works.submit(
                admin,
                {
                    "pipeline": "command",
                    "inputs": [{"share": str(share)}],
                    "params": {"shell": "sleep 0.5; cat {input} > {output}/copy"},
                    "retries": 0,
                },
            )["id"]
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


def _run(who: Any, run: str) -> dict[str, Any]:
    found: dict[str, Any] = who.get(f"/runs/{run}").json()
    return found


def _until(check: Callable[[], bool], *, seconds: float = 150.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)
