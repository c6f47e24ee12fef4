"""Which dialect a file is in, and what reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from grange.errors import FormatInvalid
from grange.pipelines.wildlife.formats.importing.dive import Tracks
from grange.pipelines.wildlife.formats.importing.pixels import Annotations, MicrosoftList
from grange.pipelines.wildlife.formats.importing.sizes import Sizes
from grange.pipelines.wildlife.formats.importing.speciesnet import Predictions
from grange.pipelines.wildlife.formats.jsontext import JsonText, open_json
from grange.pipelines.wildlife.formats.md import ResultsFile, RunWriter
from grange.pipelines.wildlife.results import Media, Results


class Imported(Protocol):
    """A file of results, whatever it was; its items may be gone through as often as needed."""

    @property
    def head(self) -> Results:
        """What all items share."""

    def __iter__(self) -> Iterator[Media]:
        """The items, in their order."""


# By name: what each is, as people may call it.
DIALECTS: Final[Mapping[str, str]] = {
    "md": "MegaDetector's batch output, any version, and what PytorchWildlife writes for Timelapse",
    "microsoft": "the list of Microsoft's MegaDetector package (boxes in pixels)",
    "pytorch-wildlife": "PytorchWildlife's annotations (boxes in pixels)",
    "speciesnet": "SpeciesNet's predictions",
    "dive": "DIVE's annotations of a video (boxes in pixels)",
}
_READERS: Final[Mapping[str, Callable[[Path, Sizes], Imported]]] = {
    "md": lambda path, _: ResultsFile(path),
    "microsoft": MicrosoftList,
    "pytorch-wildlife": Annotations,
    "speciesnet": lambda path, _: Predictions(path),
    "dive": Tracks,
}
# What only files of one dialect have at their top.
_MARKS: Final = (
    ("predictions", "speciesnet"),
    ("tracks", "dive"),
    ("images", "md"),
    ("annotations", "pytorch-wildlife"),
)


def import_results(
    path: Path,
    target: Path,
    *,
    dialect: str = "",
    images: Path | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[str, int]:
    """Write a file of results in the canonical format; returns its dialect and how many items.

    Args:
        path: The file.
        target: Where to write.
        dialect: One of `DIALECTS`; found out where it is not said.
        images: The folder of the pictures, for formats that do not say their sizes.
        size: The width and height of all pictures that are not there.

    Raises:
        FormatInvalid: It is in no dialect that is known, or breaks its rules.
    """
    found = dialect or dialect_of(path)
    if found not in _READERS:
        raise FormatInvalid(
            f"There is no dialect {found[:100]!r}.", hint=f"There are: {', '.join(_READERS)}."
        )
    results = _READERS[found](path, Sizes(images, size))
    items = 0
    aside = target.with_name(f".{target.name}.part")
    try:
        with RunWriter(aside, replace(results.head, media=())) as run:
            for one in results:
                run.add(one)
                items += 1
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return found, items


def dialect_of(path: Path) -> str:
    """The dialect that a file is in, by what stands at its top.

    Raises:
        FormatInvalid: It is in none that is known.
    """
    with open_json(path) as text:
        if text.peek() == "[":
            return "microsoft"
        names = set(_names(text))
    if {"images", "annotations"} <= names:
        raise FormatInvalid(
            f"{path.name!r} is a COCO file: annotations that people made, or an export.",
            hint="Import the results that it was made of.",
        )
    for mark, dialect in _MARKS:
        if mark in names:
            return dialect
    shown = ", ".join(sorted(names)[:5]) or "nothing"
    raise FormatInvalid(
        f"{path.name!r} is in no format of results that is known; at its top: {shown[:200]}.",
        hint=f"Known are: {', '.join(_READERS)}. If it is one of them, say which: --from",
    )


def _names(text: JsonText) -> Iterator[str]:
    """The names at the top; long lists are passed over an entry at a time."""
    for name in text.members():
        yield name
        if text.peek() == "[":
            for _ in text.elements():
                text.value()
        elif text.peek() == "{":
            for _ in text.members():
                text.value()
        else:
            text.value()
