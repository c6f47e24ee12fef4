"""What is whole or absent stays so when its maker is killed anywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("operation", "exchange"),
    [
        ("write a file", "yes"),
        ("write over a file", "yes"),
        ("publish", "yes"),
        ("publish over a folder", "yes"),
        ("publish over a folder", "no"),
        ("delete a folder", "yes"),
    ],
)
def test_a_kill_at_any_line_leaves_whole_or_absent(
    tmp_path: Path, operation: str, exchange: str
) -> None:
    """Readers find the old or the new; the same call again completes it, with nothing left."""
    script = Path(__file__).with_name("killed.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path, operation, exchange],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
