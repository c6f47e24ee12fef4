"""What tests of the command line stand on: real invocations of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.invocations import COMMAND, Grange


@pytest.fixture
def grange(tmp_path: Path) -> Grange:
    """Give a function that runs `grange` in a folder of its own and returns what it said."""

    def run(
        *words: str, cwd: Path | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words],
            cwd=cwd or tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Give a folder of three small files."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (folder / name).write_text(f"this is {name}\n")
    return folder
