"""Engines that leave nothing behind, whatever a test does to them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from grange.engines.ray import dismiss
from tests.engines import rays
from tests.engines.rays import RayCluster
from tests.engines.rig import Rig


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Lend a rig; when it is given back, its engines have left no file."""
    rig = Rig(tmp_path)
    monkeypatch.setenv("TMPDIR", str(rig.temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(rig.temporary))
    yield rig
    for engine in rig.engines:
        engine.close()
    assert list(rig.temporary.iterdir()) == []


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """Share one Ray cluster among the tests of this process."""
    with rays.ray_cluster() as cluster:
        yield cluster
        dismiss()
