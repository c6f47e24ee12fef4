"""One rig for each engine: every test of the contract runs over all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.contract.rigs import RIGS, ContractRig, RayRig
from tests.engines.rays import RayCluster


@pytest.fixture(params=sorted(RIGS))
def rig(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ContractRig]:
    """Lend a rig; when it is given back, its engines have left no file."""
    made = RIGS[request.param](tmp_path)
    if isinstance(made, RayRig):
        cluster: RayCluster = request.getfixturevalue("ray_cluster")
        made.address = cluster.address
    monkeypatch.setenv("TMPDIR", str(made.temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(made.temporary))
    yield made
    for engine in made.engines:
        engine.close()
    assert list(made.temporary.iterdir()) == []
