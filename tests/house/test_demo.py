"""The first thing that many people try."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_demo_shows_results_and_failures(tmp_path: Path) -> None:
    """`make demo` ends well though two samples are broken, and leads to a report with pictures."""
    if not Path(sys.prefix).is_relative_to(ROOT):
        pytest.skip("make demo uses the checkout's own .venv, which is not in use here")
    command = ["make", "--old-file=.venv/.user", "demo", f"DEMO={tmp_path}"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    lines = (tmp_path / "packed" / "items.jsonl").read_text().splitlines()
    ends = {item["path"]: item["state"] for item in map(json.loads, lines)}
    assert 11 == len(ends)
    assert {"broken/empty.txt", "broken/torn.png"} == {
        path for path, state in ends.items() if state == "failed"
    }
    report = tmp_path / "packed" / "report.html"
    assert f"The report: {report}" in done.stdout
    assert "data:image/" in report.read_text()
    assert not (tmp_path / "packed" / ".grange").exists()
