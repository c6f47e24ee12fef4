"""`grange pipelines`: what can be run, and with which parameters."""

from __future__ import annotations

from pathlib import Path

from tests.cli.invocations import Grange, events

OWN = """
from pydantic import Field
from grange.pipelines.base import Parameters, Pipeline

class Numbers(Parameters):
    size: int = Field(640, ge=1, description="The longer side, in pixels.")
    label: str = Field(description="What is written below.")

class Shrink(Pipeline[Numbers]):
    name, version, summary = "shrink", "2", "Makes pictures smaller."
    accepts = ("*.jpg",)
    Parameters = Numbers

    def process(self, part, params, model, work):
        return None
"""


def test_installed_pipelines_are_listed(grange: Grange) -> None:
    """Each with its version, its source and a summary."""
    done = grange("pipelines", "list")
    told = events(grange("pipelines", "list", "--json").stdout)

    assert ["name", "version", "from", "summary"] == done.stdout.splitlines()[0].split()
    command = next(one for one in told if one["name"] == "command")
    assert "" == command["error"]
    assert command["summary"] in done.stdout


def test_parameters_are_shown_with_types_defaults_and_help(grange: Grange, tmp_path: Path) -> None:
    """What can be given to --set is told where it is needed."""
    (tmp_path / "shrink.py").write_text(OWN)

    done = grange("pipelines", "show", "./shrink.py")
    (told,) = events(grange("pipelines", "show", "./shrink.py", "--json").stdout)

    assert 0 == done.returncode, done.stderr
    assert "--set size=" in done.stdout
    assert "default: 640" in done.stdout
    assert "required" in done.stdout
    assert "The longer side, in pixels." in done.stdout
    assert ["size", "label"] == [one["name"] for one in told["parameters"]]
    assert [False, True] == [one["required"] for one in told["parameters"]]
    assert (["*.jpg"], "shrink") == (told["accepts"], told["name"])


def test_a_pipeline_that_is_not_there_is_an_error_with_a_suggestion(grange: Grange) -> None:
    """A slip of the finger is told what was meant."""
    done = grange("pipelines", "show", "comand")

    assert 1 == done.returncode
    assert "[pipeline.not_found]" in done.stderr
    assert "command" in done.stderr.splitlines()[1]
