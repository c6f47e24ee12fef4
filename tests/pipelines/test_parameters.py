"""Parameters: described, read from a command line's texts, and checked."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, field_validator

from grange.errors import ParameterInvalid, PipelineInvalid
from grange.pipelines import Bytes, Parameters, Part, Pipeline, Work
from grange.pipelines.catalog import check_params, describe, parse_settings
from grange.pipelines.parameters import FILE_LIMIT_BYTES


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Settings(Parameters):
    """One of each kind."""

    size: int = Field(default=10, ge=1, le=100, description="How large.")
    share: float = Field(default=0.5, gt=0)
    mode: Literal["fast", "good"] = "fast"
    colour: Colour = Colour.RED
    dry: bool = False
    title: str = ""
    names: list[str] = Field(default=[])
    weights: dict[str, float] = Field(default={})
    memory: Bytes | None = None
    either: str | list[str] = ""
    folder: Path = Path()
    even: int = 2

    @field_validator("even")
    @classmethod
    def _even(cls, given: int) -> int:
        if given % 2:
            raise ValueError("should be even")
        return given


class Kinds(Pipeline[Settings]):
    """Has every kind of parameter."""

    name = "kinds"
    version = "1"
    summary = "Has every kind of parameter."
    Parameters = Settings

    def process(self, part: Part, params: Settings, model: None, work: Work) -> None:
        """Do nothing: parameters are what this is about."""


KINDS = Kinds()


def _given(*settings: str) -> Any:
    return check_params(KINDS, parse_settings(KINDS, settings))


def _refused(*settings: str) -> ParameterInvalid:
    with pytest.raises(ParameterInvalid) as refused:
        _given(*settings)
    return refused.value


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("size=42", 42),
        ("share=1e-3", 0.001),
        ("mode=good", "good"),
        ("colour=blue", Colour.BLUE),
        ("dry=yes", True),
        ("title=a = b", "a = b"),
        ("title=", ""),
        ("title=[not] {a} list", "[not] {a} list"),
        ("title=@@home", "@home"),
        ('names=["a", "b c"]', ["a", "b c"]),
        ('weights={"a": 1}', {"a": 1.0}),
        ("memory=500MB", 500_000_000),
        ("memory=1.5 GiB", 1_610_612_736),
        ("memory=2k", 2000),
        ("memory=4096", 4096),
        ("memory=7B", 7),
        ("memory=none", None),
        ('either=["a"]', ["a"]),
        ("either=[a", "[a"),
        ("folder=a/b", Path("a/b")),
    ],
)
def test_a_text_becomes_a_typed_value(setting: str, value: object) -> None:
    """What is written after the name means what a person would take it for."""
    assert value == getattr(_given(setting), setting.partition("=")[0])


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("size=abc", "size = 'abc': should be a valid integer"),
        ("size=abc", "allowed: whole number, at least 1, at most 100"),
        ("size=1000", "size = '1000': should be less than or equal to 100"),
        ("share=0", "allowed: number, more than 0"),
        ("mode=best", "allowed: one of fast, good"),
        ("colour=green", "allowed: one of red, blue"),
        ("names=a,b", "allowed: list of text"),
        ("names=[a", "names = '[a': is no JSON"),
        ('weights={"a": "x"}', "allowed: table of number"),
        ("memory=much", "memory = 'much': should be a size, such as 500MB, 2GiB or 4096"),
        ("memory=5iB", "should be a size"),
        ("even=3", "even = '3': should be even"),
        ("seize=3", "seize is unknown; did you mean size?"),
        ("zzzzzz=3", "zzzzzz is unknown; known are size, share, "),
        ("size", "'size' is not of the form NAME=VALUE"),
        ("=3", "'=3' is not of the form NAME=VALUE"),
    ],
)
def test_a_wrong_text_is_refused_with_what_is_allowed(setting: str, told: str) -> None:
    """The message names the parameter, what was given, and what may be given."""
    refused = _refused(setting)

    assert told in refused.message
    assert "kinds" in refused.message
    assert "grange pipelines show kinds" in refused.hint


def test_all_wrong_parameters_are_told_at_once() -> None:
    """One line for each, so that nobody has to mend them one by one."""
    lines = _refused("size=abc", "mode=best", "seize=3").message.splitlines()

    assert ["size", "mode", "seize"] == [line.split()[0] for line in lines[1:]]


def test_a_parameter_given_twice_is_refused() -> None:
    """Neither of two values is silently dropped."""
    assert "size is given twice" in _refused("size=1", "size=2").message


def test_a_long_value_does_not_flood_the_message() -> None:
    """A value is shown by its beginning."""
    assert len(_refused(f"size={'x' * 100_000}").message) < 300


def test_a_value_comes_from_a_file(tmp_path: Path) -> None:
    """NAME=@FILE takes the file's text, from the folder where the run was asked for."""
    (tmp_path / "title.txt").write_text("Läuft\n")
    (tmp_path / "names.json").write_text('["a",\n "b"]\n')

    settings = ["title=@title.txt", f"names=@{tmp_path}/names.json"]
    values = parse_settings(KINDS, settings, cwd=tmp_path)

    assert {"title": "Läuft", "names": ["a", "b"]} == values


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "can't be read: No such file"),
        (b"\xff", "is no UTF-8 text"),
        (b"x" * (FILE_LIMIT_BYTES + 1), "is larger than 1024 KiB"),
    ],
)
def test_a_file_that_is_no_value_is_refused(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    """What can't be taken from a file is said with the reason."""
    if content is not None:
        (tmp_path / "file").write_bytes(content)

    assert told in _refused(f"title=@{tmp_path / 'file'}").message


def test_checked_parameters_survive_their_way_to_a_worker() -> None:
    """Plain data made of them gives the same parameters again."""
    params = _given("memory=2GiB", "colour=blue", "folder=a", 'names=["x"]', "dry=1")

    assert params == check_params(KINDS, params.model_dump(mode="json"))


def test_parameters_are_described_for_people() -> None:
    """Each has its name, kind, default, help and limits, in the order of the code."""
    infos = {info.name: info for info in describe(KINDS)}

    assert list(Settings.model_fields) == list(infos)
    assert ("whole number", 10, "How large.") == (
        infos["size"].type,
        infos["size"].default,
        infos["size"].help,
    )
    assert "at least 1, at most 100" == infos["size"].limits
    assert ("fast", "good") == infos["mode"].choices
    assert ("red", "blue") == infos["colour"].choices
    assert "size (such as 500MB or 2GiB)" == infos["memory"].allowed
    assert "text or list of text" == infos["either"].type
    assert "table of number" == infos["weights"].type
    assert "path" == infos["folder"].type
    assert not any(info.required for info in infos.values())


def _pipeline_with(settings: type[Parameters]) -> Pipeline[Any]:
    class Other(Kinds):
        Parameters = settings  # type: ignore[assignment]

    return Other()


def test_a_parameter_without_a_default_is_asked_for() -> None:
    """What has to be given is described so, and named when it is missing."""

    class Needy(Parameters):
        threshold: float

    needy = _pipeline_with(Needy)

    assert [True] == [info.required for info in describe(needy)]
    with pytest.raises(ParameterInvalid, match="threshold is needed; allowed: number"):
        check_params(needy, {})


def test_a_pipeline_s_own_check_that_breaks_down_is_its_fault() -> None:
    """An exception that is no refusal is not blamed on the user."""

    class Broken(Parameters):
        size: int = 1

        @field_validator("size")
        @classmethod
        def _check(cls, given: int) -> int:
            raise KeyError(given)

    with pytest.raises(PipelineInvalid, match="can't be checked: KeyError: 2"):
        check_params(_pipeline_with(Broken), {"size": 2})
