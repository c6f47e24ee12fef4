"""Tests of models that other packages run: with the real packages, and weights made at random.

`make test-models` makes an environment for each package and runs them there. Where a package is
not installed, as in a contributor's own environment, its tests are none of the suite.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from grange.pipelines.wildlife.media.pictures import FramePicture

NEEDS = {
    "test_deeplabcut.py": ("deeplabcut",),
    "test_deeplabcut_reading.py": ("deeplabcut",),
    "test_pytorch_wildlife.py": ("PytorchWildlife",),
    "test_running.py": ("deeplabcut", "PytorchWildlife"),  # either
}
collect_ignore = [name for name, any_of in NEEDS.items() if not any(map(find_spec, any_of))]

WIDTH, HEIGHT = 640, 360


def picture_of(pixels: np.ndarray) -> FramePicture:
    """The same picture as the pipeline sees a frame."""
    return FramePicture(VideoFrame.from_ndarray(pixels, format="rgb24"))


@pytest.fixture(scope="session")
def scenes() -> list[np.ndarray]:
    """Five pictures with colours, gradients and edges, each unlike the others."""
    rng = np.random.default_rng(20_260_504)
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    made = []
    for number in range(5):
        base = np.stack((across * 255 / WIDTH, down * 255 / HEIGHT, np.full_like(down, 40)), axis=2)
        for _ in range(6 + number):
            left, top = rng.integers(0, WIDTH - 90), rng.integers(0, HEIGHT - 70)
            width, height = rng.integers(20, 90), rng.integers(20, 70)
            base[top : top + height, left : left + width] = rng.integers(0, 255, 3)
        noisy = base + rng.normal(0, 6, base.shape)
        made.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return made


@pytest.fixture(scope="session")
def pictures(scenes: list[np.ndarray]) -> list[FramePicture]:
    """The scenes, as the pipeline sees them."""
    return [picture_of(pixels) for pixels in scenes]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the weights are that these tests make."""
    return tmp_path_factory.mktemp("weights")
