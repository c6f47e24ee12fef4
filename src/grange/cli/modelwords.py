"""How models are said on the command line: what is given of them, and what is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grange.errors import UsageError

if TYPE_CHECKING:
    from grange.client.schemas.models import Model

# So many names are shown before it says how many more there are.
_SHOWN = 40
_KINDS = {"detector": "a detector", "classifier": "a classifier", "pose": "a pose model"}
_MOST_BYTES = 1024 * 1024


def _option(flag: str, metavar: str, said: str) -> Any:  # noqa: ANN401  # typer's own
    return typer.Option(flag, metavar=metavar, show_default=False, help=said)


Name = Annotated[str, _option("--name", "NAME", "What to call it.")]
TaskName = Annotated[
    str,
    _option("--task", "TASK", "detector, classifier or pose, where the graph does not show it."),
]
Classes = Annotated[
    str, _option("--classes", "NAMES", "What it tells apart, in its order: A,B,… or @FILE.")
]
CountsAs = Annotated[
    str,
    _option("--counts-as", "NAMES", "For each class: animal, person, vehicle, or a name to keep."),
]
Keypoints = Annotated[
    str, _option("--keypoints", "NAMES", "A pose model's points, in its order: A,B,… or @FILE.")
]
Layout = Annotated[
    str,
    _option("--layout", "LAYOUT", "yolov5, yolov8, yolov10 or rtdetr, where it can't be seen."),
]
Size = Annotated[
    str, _option("--input", "HEIGHTxWIDTH", "The size of its pictures, where the graph takes any.")
]
Licence = Annotated[str, _option("--licence", "TEXT", "Its licence.")]
Source = Annotated[str, _option("--source", "TEXT", "Where it comes from.")]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="Any other field of its manifest; may be repeated."
    ),
]


def names(text: str) -> list[str]:
    """Names with commas between them, or those of a file, one a line."""
    if text.startswith("@"):
        try:
            with Path(text[1:]).expanduser().open(encoding="utf-8") as opened:
                lines = opened.read(_MOST_BYTES).splitlines()
        except (OSError, ValueError) as error:
            raise UsageError(f"The file {text[1:]} can't be read: {error}.") from error
        return [line.strip() for line in lines if line.strip()]
    return [one.strip() for one in text.split(",") if one.strip()]


def size(text: str) -> list[int]:
    """Height and width of `HEIGHTxWIDTH`; one number stands for both."""
    found = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text.strip().lower())
    if text and not found:
        raise UsageError(f"{text!r} is no size.", hint="Say it as HEIGHTxWIDTH: --input 640x640")
    return [int(found[1]), int(found[2] or found[1])] if found else []


def fields(settings: Iterable[str]) -> dict[str, Any]:
    """Fields of a manifest from FIELD=VALUE, where the value is JSON or plain text."""
    told: dict[str, Any] = {}
    for setting in settings:
        field, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(
                f"{setting!r} is no FIELD=VALUE.", hint="Such as: --set crop_scale=1.2"
            )
        try:
            told[field.strip()] = json.loads(value)
        except (ValueError, RecursionError):
            told[field.strip()] = value
    return told


def row(model: Model) -> tuple[str, ...]:
    """A model as a row of a list."""
    place = "built in" if model.shipped else "added"
    if model.error:
        return model.name, f"! {model.error}", "", "", "", place, ""
    size_shown = _size(model.input)
    layout = model.layout or model.backend
    return model.name, model.task, layout, size_shown, model.licence, place, model.sha256[:12]


def pairs(model: Model) -> Iterator[tuple[str, str]]:
    """A model in full, as names and values."""
    yield "model", model.name
    yield "error", model.error
    yield "is", _KINDS.get(model.task, model.task)
    yield "version", model.version
    yield "licence", model.licence
    yield "source", model.source
    yield "from", "built in" if model.shipped else "added"
    yield "sha256", model.sha256
    yield "runs with", model.backend
    yield "layout", model.layout
    yield "pictures", " ".join((_size(model.input), model.channels, model.resize)).strip()
    yield "classes", _listed(model.classes)
    counted = [one for one in model.categories.values() if one not in model.classes]
    yield "categories", _listed(list(model.categories.values())) if counted else ""
    yield "keypoints", _listed(model.keypoints)
    if model.typical_threshold is not None:
        kept = f"{model.conservative_threshold:g} conservative"
        yield "thresholds", f"{model.typical_threshold:g} typical, {kept}"


def _size(sides: list[int]) -> str:
    return f"{sides[0]}x{sides[1]}" if any(sides) else ""


def _listed(shown: list[str]) -> str:
    more = f", and {len(shown) - _SHOWN:,} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
