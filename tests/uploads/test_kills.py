"""An upload survives the death of its server anywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(200)
def test_a_kill_on_the_way_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """The client goes on from the offset that it is told, and finds its file once."""
    script = Path(__file__).with_name("killed.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40
