"""`grange watch wildlife`: clips that arrive become results."""

from __future__ import annotations

import json
import os
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.cli.invocations import COMMAND, events


def _write_clip(target: Path, *, frames: int = 12) -> None:
    with av.open(str(target), "w") as file:
        stream = file.add_stream("libx264", rate=Fraction(12))
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(frames):
            pixels = np.full((96, 160, 3), 10 * number, dtype=np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode())


def test_clips_that_arrive_become_results(tmp_path: Path) -> None:
    """Two visits of a card: one run, one report over both; the clip that came first is kept."""
    inbox, out = tmp_path / "card", tmp_path / "results"
    inbox.mkdir()
    (inbox / "notes.txt").write_text("no clip")
    said = []
    for name in ("first.mp4", "second.mp4"):
        _write_clip(inbox / name)
        watched = subprocess.run(
            [*COMMAND, "watch", "wildlife", str(inbox), "--out", str(out), "--once", "--json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            env={**os.environ, "OMP_NUM_THREADS": "1", "GRANGE_WORKERS": "1"},
        )
        assert 0 == watched.returncode, watched.stdout + watched.stderr
        said.append([one["path"] for one in events(watched.stdout) if one["event"] == "item"])

    assert [["first.mp4"], ["second.mp4"]] == said
    for name in ("first.mp4", "second.mp4"):
        assert (out / name / "labelled.mp4").stat().st_size > 0
    images = json.loads((out / "report" / "detections.json").read_text())["images"]
    assert ["first.mp4", "second.mp4"] == sorted(one["file"] for one in images)
