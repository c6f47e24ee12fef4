"""Start-up is quick because nothing is imported that a command doesn't need."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer.main

from grange.cli.main import app, asked_for
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


@pytest.mark.parametrize("words", [["runs", "list"], ["--debug", "runs", "--help"], ["runs"]])
def test_no_command_is_made_but_the_one_that_is_asked_for(words: list[str]) -> None:
    """Whoever starts one command doesn't wait until all others are made."""
    made = typer.main.get_command(asked_for(words))

    assert ["runs"] == made.list_commands(typer.Context(made))  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", [[], ["--help"], ["--help", "runs"], ["ruin"], ["--debug"]])
def test_whoever_asks_for_none_sees_all_commands(words: list[str]) -> None:
    """Help, and the word for a name that there is not, know all of them."""
    assert app is asked_for(words)
