"""What tests of the whole program stand on: a place where the real program runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.scene import Scene, scene_in


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Give a place of its own to the test."""
    folder = tmp_path / "scene"
    folder.mkdir()
    with scene_in(folder) as scene:
        yield scene
