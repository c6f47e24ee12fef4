"""How much memory a video takes does not depend on how long it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from training.clips import write_clip
from training.scenes import Scene

ROOT = Path(__file__).parents[3]
MINUTES = (2, 20)
# What the allocator and ever longer tables of frames may take in the longer one.
GROWTH_BYTES = 12 << 20


class _Loop(Scene):
    """A scene that begins again every few seconds: quick to render, however long it is."""

    def __init__(self) -> None:
        super().__init__(3, size=(160, 96), kinds=("deer",), count=1, light="day")
        self._known: dict[int, Any] = {}

    def frame(self, t: float) -> Any:
        moment = round(t) % 10
        if moment not in self._known:
            self._known[moment] = super().frame(float(moment))
        return self._known[moment]


def _peak(file: Path, folder: Path) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.pipelines.wildlife.whole", str(file), str(folder)]
    # All of it in one part, which is the worst.
    settings = ("sample_fps=0.5", "part_seconds=1e9")
    done = subprocess.run(
        [*command, *settings], capture_output=True, text=True, check=True, cwd=ROOT
    )
    told = json.loads(done.stdout)
    return told["peak_bytes"], told["record"]


def test_memory_is_flat(tmp_path: Path) -> None:
    """Ten times the length takes no more, though nothing of it is split."""
    scene, peaks = _Loop(), []
    for minutes in MINUTES:
        file = tmp_path / f"{minutes}.mp4"
        write_clip(file, scene, minutes * 60, 1, gop=5)

        peak, record = _peak(file, tmp_path / str(minutes))

        assert 30 * minutes == record["analysed"]
        peaks.append(peak)

    assert peaks[1] - peaks[0] < GROWTH_BYTES
