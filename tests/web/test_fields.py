"""A pipeline's parameters as the fields of a form."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from grange.client.schemas.runs import OutputFile
from grange.pipelines.base import Bytes, Parameters
from grange.server.web.pages.old import main_output, plots
from grange.server.web.pages.runs_fields import fields_of


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Wanted(Parameters):
    model: str = Field(description="Which model.")
    score: float = Field(default=0.5, ge=0, le=1)
    frames: int | None = Field(default=None, gt=0)
    colour: Colour = Colour.RED
    plot: bool = True
    memory: Bytes | None = None
    kinds: list[str] = Field(default=["a"], json_schema_extra={"advanced": False})


def test_a_field_knows_what_may_be_written_into_it() -> None:
    """Types, bounds, choices, defaults and help come from the pipeline's own declaration."""
    found = {one.name: one for one in fields_of(Wanted.model_json_schema())}

    assert ("text", True, "Which model.") == (
        found["model"].control,
        found["model"].required,
        found["model"].help,
    )
    assert {"step": "any", "min": "0", "max": "1"} == found["score"].bounds
    assert "0.5" == found["score"].value
    assert ("number", "", (("more", "0"),)) == (
        found["frames"].control,
        found["frames"].value,
        found["frames"].limits,
    )
    assert ("choice", ("red", "blue"), "red") == (
        found["colour"].control,
        found["colour"].choices,
        found["colour"].value,
    )
    assert ("check", "true") == (found["plot"].control, found["plot"].value)
    assert ("text", "string") == (found["memory"].control, found["memory"].kind)
    assert ("lines", '["a"]') == (found["kinds"].control, found["kinds"].value)


def test_of_a_long_form_the_rest_is_folded() -> None:
    """The first few parameters, the needed ones, and those that ask for it are in view."""
    folded = [one.name for one in fields_of(Wanted.model_json_schema()) if one.advanced]

    assert ["plot", "memory"] == folded


def test_the_labelled_video_stands_for_an_item() -> None:
    """The labelled one, else a video: what users of the service before expect under a name."""
    files = [
        OutputFile(path=path, size=size)
        for path, size in (
            ("abc.mp4/table.csv", 900),
            ("abc.mp4/abc.mp4", 50),
            ("abc.mp4/abcwildDLC_snapshot-700000_labeled.mp4", 10),
            ("abc.mp4/plot-poses/trajectory.png", 5),
            ("abc.mp4/thumb.png", 5),
        )
    ]

    assert files[2] == main_output(files, "abc")
    assert files[1] == main_output([files[0], files[1], files[3]], "abc")
    assert [files[3]] == plots(files)
    assert [files[4]] == plots([files[0], files[4]])
