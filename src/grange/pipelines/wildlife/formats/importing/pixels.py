"""Lists of boxes in pixels: Microsoft's list, and what PytorchWildlife saves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from grange.pipelines.wildlife.formats.importing.names import Detected
from grange.pipelines.wildlife.formats.importing.sizes import Shape, Sizes
from grange.pipelines.wildlife.formats.jsontext import JsonText, open_json
from grange.pipelines.wildlife.formats.mdreading import (
    MOST_DETECTIONS,
    conf_of,
    list_of,
    mapping_of,
    number_of,
    refuse,
    text_of,
)
from grange.pipelines.wildlife.results import CATEGORIES, Detection, Media, Results

JSON = Any


class MicrosoftList:
    """A list of {file, detections: [{category, confidence, bbox: [x1, y1, x2, y2]}]}."""

    def __init__(self, path: Path, sizes: Sizes) -> None:
        """Read the names of all categories."""
        self._path = path
        self._sizes = sizes
        self._numbers = Detected()
        for where, entry in self._entries():
            for one in _found(entry, where):
                self._number(one, where)
        self.head = Results(media=(), categories=self._numbers.names)

    def __iter__(self) -> Iterator[Media]:
        """The pictures, in their order."""
        for where, entry in self._entries():
            file = text_of(entry.get("file"), f"{where}.file").replace("\\", "/")
            found = _found(entry, where)
            if not found:
                yield Media(file=file)
                continue
            shape = self._sizes.of(file)
            yield _still(
                file,
                shape,
                [
                    Detection(
                        category=self._number(one, where),
                        conf=conf_of(one.get("confidence", one.get("conf")), where),
                        box=_fractions(one.get("bbox"), shape, where),
                    )
                    for one in found
                ],
            )

    def _number(self, one: dict[str, JSON], where: str) -> str:
        return self._numbers.of(_name(one.get("category"), {}, where))

    def _entries(self) -> Iterator[tuple[str, dict[str, JSON]]]:
        with open_json(self._path) as text:
            for number, _ in enumerate(text.elements()):
                yield f"[{number}]", mapping_of(text.value(), f"[{number}]")
            text.end()


class Annotations:
    """What PytorchWildlife saves: {annotations: [{img_id, bbox, category, confidence}], …}."""

    def __init__(self, path: Path, sizes: Sizes) -> None:
        """Read the names of all categories."""
        self._path = path
        self._sizes = sizes
        self._names: dict[str, str] = {}
        with open_json(path) as text:
            for name in text.members():
                if name == "categories":
                    self._names = _names(text.value())
                else:
                    _skip(text)
            text.end()
        self._numbers = Detected()
        for where, entry in self._entries():
            for one in list_of(entry.get("category") or [], where):
                self._numbers.of(_name(one, self._names, where))
        self.head = Results(media=(), categories=self._numbers.names)

    def __iter__(self) -> Iterator[Media]:
        """The pictures, in their order."""
        for where, entry in self._entries():
            file = text_of(entry.get("img_id"), f"{where}.img_id").replace("\\", "/")
            boxes, names, confs = (
                list_of(entry.get(one) or [], f"{where}.{one}")
                for one in ("bbox", "category", "confidence")
            )
            if not len(boxes) == len(names) == len(confs) <= MOST_DETECTIONS:
                refuse(where, "has not as many boxes as categories and confidences")
            if not boxes:
                yield Media(file=file)
                continue
            shape = self._sizes.of(file)
            yield _still(
                file,
                shape,
                [
                    Detection(
                        category=self._numbers.of(_name(name, self._names, where)),
                        conf=conf_of(conf, where),
                        box=_fractions(box, shape, where),
                    )
                    for box, name, conf in zip(boxes, names, confs, strict=True)
                ],
            )

    def _entries(self) -> Iterator[tuple[str, dict[str, JSON]]]:
        with open_json(self._path) as text:
            for name in text.members():
                if name != "annotations":
                    _skip(text)
                    continue
                for number, _ in enumerate(text.elements()):
                    where = f"annotations[{number}]"
                    yield where, mapping_of(text.value(), where)


def _skip(text: JsonText) -> None:
    if text.peek() != "[":
        text.value()
        return
    for _ in text.elements():
        text.value()


def _found(entry: dict[str, JSON], where: str) -> list[dict[str, JSON]]:
    found = list_of(entry.get("detections") or [], f"{where}.detections")
    if len(found) > MOST_DETECTIONS:
        refuse(where, f"has more than {MOST_DETECTIONS:,} detections")
    return [mapping_of(one, f"{where}.detections[{number}]") for number, one in enumerate(found)]


def _names(given: JSON) -> dict[str, str]:
    """Categories by number: an object of them, or a list of {id, name}, or of names."""
    if isinstance(given, dict):
        return {str(number): str(name) for number, name in given.items()}
    found = {}
    for number, one in enumerate(list_of(given or [], "categories")):
        if isinstance(one, dict):
            found[str(one.get("id", number))] = str(one.get("name", ""))
        else:
            found[str(number)] = str(one)
    return found


def _name(given: JSON, names: dict[str, str], where: str) -> str:
    """The name of a category, which comes by name, or by its number: theirs begin at 0."""
    if isinstance(given, str) and not given.isdigit():
        return given
    if isinstance(given, bool) or not isinstance(given, int | str):
        _no_category(given, where)
    if str(given) in names:
        return names[str(given)]
    usual = str(int(given) + 1)
    return CATEGORIES[usual] if usual in CATEGORIES else _no_category(given, where)


def _no_category(given: JSON, where: str) -> NoReturn:
    refuse(where, f"has the category {given!r}, which is none")


def _fractions(given: JSON, shape: Shape, where: str) -> tuple[float, float, float, float]:
    match given:
        case [left, top, right, bottom]:
            x1, y1, x2, y2 = (number_of(one, where) for one in (left, top, right, bottom))
        case _:
            refuse(where, "has a box without four numbers")
    if x2 < x1 or y2 < y1:
        refuse(where, "has a box whose right lower corner lies before the left upper one")
    return shape.fractions(x1, y1, x2, y2)


def _still(file: str, shape: Shape, found: list[Detection]) -> Media:
    width, height = shape.shown
    return Media(file=file, width=width, height=height, detections=tuple(found))
