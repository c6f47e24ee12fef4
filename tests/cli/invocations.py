"""How tests run the command line, and read what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

COMMAND = [sys.executable, "-m", "grange"]


class Grange(Protocol):
    def __call__(
        self, *words: str, cwd: Path | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]: ...


def events(output: str) -> list[dict[str, Any]]:
    """Read lines of JSON; anything else among them fails the test."""
    return [json.loads(line) for line in output.splitlines()]
