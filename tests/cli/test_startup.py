"""Start-up is quick because nothing is imported that a command doesn't need."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.invocations import Grange

HEAVY = {"PIL", "alembic", "fastapi", "httpx", "jinja2", "psutil", "pydantic", "sqlalchemy"}

# Runs a command line and writes the names of all modules that it has imported to stderr.
SCRIPT = """
import json, sys
from grange.cli.main import main
sys.argv = ["grange", *sys.argv[1:]]
try:
    main()
finally:
    sys.stderr.write(json.dumps(sorted(sys.modules)))
"""


def _modules(*words: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr))


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "--help"], ["runs", "--help"], ["--version"]]
)
def test_help_needs_nothing_heavy(words: list[str]) -> None:
    """Who asks for help waits for Python and typer alone."""
    modules = _modules(*words)

    assert set() == modules & HEAVY
    assert {"cli", "errors"} == {
        name.split(".")[1] for name in modules if name.startswith("grange.")
    }


def test_a_list_of_runs_needs_the_database_alone(grange: Grange) -> None:
    """No pipeline, no report, no migration is loaded to look something up."""
    grange("runs", "list")

    assert {"sqlalchemy"} == _modules("runs", "list") & HEAVY
