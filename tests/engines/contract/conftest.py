"""One rig for each engine: every test of the contract runs over all of them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from grange.core.ids import new_id
from tests.brokers import Broker
from tests.engines.contract.doubling import Doubling, doubled
from tests.engines.contract.rigs import RIGS, ContractRig, RabbitRig, RayRig
from tests.engines.rays import RayCluster
from tests.worker.station.stage import Stage, staged


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory, rabbitmq_server: Broker) -> Iterator[Stage]:
    """Share a server with two stations among the tests of a module: of one slot, and of two."""
    short = {"GRANGE_LEASE_SECONDS": str(RabbitRig.shortest_lease_seconds)}
    with staged(tmp_path_factory.mktemp("farm"), rabbitmq_server, **short) as stage:
        workers = [
            stage.worker(f"slots-{slots}", "--labels", f"slots-{slots}", slots=slots)
            for slots in (1, 2)
        ]
        for worker in workers:
            worker.wait_for("with the server")
        yield stage


RAY = pytest.param("ray", marks=pytest.mark.ray)
# What holds with each message twice holds with each once: that has a command of its own.
RABBIT = pytest.param("rabbit", marks=[pytest.mark.rabbitmq, pytest.mark.faults])
TWICE = pytest.param("rabbit-twice", marks=pytest.mark.rabbitmq)


@pytest.fixture(params=["local", RAY, RABBIT, TWICE])
def rig(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ContractRig]:
    """Lend a rig; when it is given back, its engines have left no file."""
    kind, folder = RIGS[request.param], tmp_path
    doubling: Doubling | None = None
    with ExitStack() as stack:
        if issubclass(kind, RabbitRig):
            farm: Stage = request.getfixturevalue("farm")
            # In a folder that the stations see: how they reach others is not the engine's business.
            folder = farm.share / new_id()
            folder.mkdir()
            if request.param == "rabbit-twice":
                doubling = stack.enter_context(doubled(farm.broker))
        made = kind(folder)
        if isinstance(made, RabbitRig):
            made.doubling = doubling
            made.url = farm.broker.url
            papers = farm.workers[0].home / "worker" / "papers.json"
            made.site = json.loads(papers.read_text())["site"]
        elif isinstance(made, RayRig):
            cluster: RayCluster = request.getfixturevalue("ray_cluster")
            made.address = cluster.address
        monkeypatch.setenv("TMPDIR", str(made.temporary))
        monkeypatch.setattr(tempfile, "tempdir", str(made.temporary))
        yield made
        for engine in made.engines:
            made.end(engine)
    assert list(made.temporary.iterdir()) == []
