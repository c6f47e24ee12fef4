"""The first thing that many people try."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_demo_finds_animals_and_says_what_is_damaged(tmp_path: Path) -> None:
    """`make demo` ends well though one clip is torn, leads to its reports, and repeats for free."""
    if not Path(sys.prefix).is_relative_to(ROOT):
        pytest.skip("make demo uses the checkout's own .venv, which is not in use here")
    command = ["make", "--old-file=.venv/.user", "demo", f"DEMO={tmp_path}"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    out = tmp_path / "wildlife"
    items = {item["path"]: item for item in map(json.loads, _lines(out))}
    failed = [path for path, item in items.items() if item["state"] == "failed"]
    assert ["creek/2026-05-04_0612_torn.mp4"] == failed
    found = items["gate/2026-05-07_0802_cattle.mp4"]["result"]["found"]
    assert "animal" in found
    for report in (out / "report" / "review.html", out / "report.html"):
        assert report.exists()
        assert str(report) in done.stdout
    assert not (out / ".grange").exists()

    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 0 == again.returncode, again.stderr
    reused = [item["path"] for item in map(json.loads, _lines(out)) if item["reused"]]
    assert sorted(set(items) - set(failed)) == sorted(reused)


def _lines(out: Path) -> list[str]:
    return (out / "items.jsonl").read_text().splitlines()
