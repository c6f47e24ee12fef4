"""One rig for each engine: every test of the contract runs over all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.contract.rigs import RIGS, ContractRig


@pytest.fixture(params=sorted(RIGS))
def rig(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ContractRig]:
    """Lend a rig; when it is given back, its engines have left no file."""
    rig: ContractRig = RIGS[request.param](tmp_path)
    monkeypatch.setenv("TMPDIR", str(rig.temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(rig.temporary))
    yield rig
    for engine in rig.engines:
        engine.close()
    assert list(rig.temporary.iterdir()) == []
