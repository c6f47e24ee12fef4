"""SpeciesNet's predictions.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from grange.pipelines.wildlife.formats.importing.names import Detected, Numbers
from grange.pipelines.wildlife.formats.jsontext import open_json
from grange.pipelines.wildlife.formats.mdreading import (
    box_of,
    conf_of,
    list_of,
    mapping_of,
    refuse,
    text_of,
)
from grange.pipelines.wildlife.results import (
    ANIMAL,
    CATEGORIES,
    Detection,
    Guess,
    Media,
    Results,
    Source,
)

JSON = Any

_NO_DETECTOR: Final = "DETECTOR"
# uuid;class;order;family;genus;species;common name
_LEVELS: Final = 7


class Predictions:
    """Detections and the five best classes of each picture.

    The classes are of the whole picture; they go to the animal that the
    detector is most sure of, which is the one that was classified.
    """

    def __init__(self, path: Path) -> None:
        """Read the names of all classes and categories."""
        self._path = path
        self._species = Numbers()
        self._categories = Detected()
        version = ""
        for where, entry in self._entries():
            self._guesses(entry, where)
            version = version or str(entry.get("model_version") or "")
            for one in _detections(entry, where):
                self._category(one)
        name = f"SpeciesNet {version}".strip()
        self.head = Results(
            media=(),
            source=Source(detector=name, classifier=name),
            categories=self._categories.names,
            species=self._species.names,
        )

    def __iter__(self) -> Iterator[Media]:
        """The pictures, in their order."""
        for where, entry in self._entries():
            file = text_of(entry.get("filepath"), f"{where}.filepath").replace("\\", "/")
            failures = [str(one) for one in list_of(entry.get("failures") or [], where)]
            if _NO_DETECTOR in failures:
                yield Media(file=file, failure=f"SpeciesNet: {', '.join(failures)} failed")
                continue
            found = [
                Detection(
                    category=self._category(one),
                    conf=conf_of(one.get("conf"), where),
                    box=box_of(one.get("bbox"), where),
                )
                for one in _detections(entry, where)
            ]
            yield Media(file=file, detections=tuple(self._classified(found, entry, where)))

    def _classified(
        self, found: list[Detection], entry: dict[str, JSON], where: str
    ) -> Iterator[Detection]:
        animals = [one for one in found if one.category == ANIMAL]
        best = max(animals, key=lambda one: one.conf, default=None)
        for one in found:
            if one is best:
                guesses = self._guesses(entry, where)
                yield Detection(one.category, one.conf, one.box, guesses=guesses)
            else:
                yield one

    def _guesses(self, entry: dict[str, JSON], where: str) -> tuple[Guess, ...]:
        """The classes, best first; what the ensemble made of them stands among them."""
        said = mapping_of(entry.get("classifications") or {}, f"{where}.classifications")
        classes = list_of(said.get("classes") or [], f"{where}.classifications.classes")
        scores = list_of(said.get("scores") or [], f"{where}.classifications.scores")
        if len(classes) != len(scores):
            refuse(f"{where}.classifications", "has not as many classes as scores")
        found: dict[str, float] = {}
        for label, score in zip(classes, scores, strict=True):
            name = self._species.of(_common(str(label)))
            found[name] = max(found.get(name, 0.0), conf_of(score, where))
        together = entry.get("prediction")
        if classes and together and together not in classes and "prediction_score" in entry:
            name = self._species.of(_common(str(together)))
            found.setdefault(name, conf_of(entry["prediction_score"], where))
        return tuple(sorted(found.items(), key=lambda one: -one[1]))

    def _category(self, one: dict[str, JSON]) -> str:
        given = str(one.get("category", ""))
        if given in CATEGORIES:
            return given
        return self._categories.of(str(one.get("label") or given))

    def _entries(self) -> Iterator[tuple[str, dict[str, JSON]]]:
        with open_json(self._path) as text:
            for name in text.members():
                if name != "predictions":
                    text.value()
                    continue
                for number, _ in enumerate(text.elements()):
                    where = f"predictions[{number}]"
                    yield where, mapping_of(text.value(), where)
            text.end()


def _detections(entry: dict[str, JSON], where: str) -> list[dict[str, JSON]]:
    found = list_of(entry.get("detections") or [], f"{where}.detections")
    return [mapping_of(one, f"{where}.detections") for one in found]


def _common(label: str) -> str:
    """The common name at the end of a taxonomy; else the finest rank that it names."""
    parts = [one.strip() for one in label.split(";")]
    if len(parts) != _LEVELS:
        return label.strip() or "unnamed"
    *_, genus, species, common = parts
    named = [one for one in parts[1:5] if one]
    latin = f"{genus} {species}".strip().capitalize() if genus and species else ""
    return common or latin or (named[-1] if named else "unnamed")
