"""What models are asked and what they answer, whatever runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from grange.pipelines.wildlife.models.manifest import Manifest
    from grange.pipelines.wildlife.pictures import Picture, Pixels
    from grange.pipelines.wildlife.results import Box, Point

# So many classes a classifier's answer names at most, the likeliest.
MOST_GUESSES = 5


@dataclass(frozen=True, slots=True)
class Found:
    """What a detector found in a picture.

    `category` is the key of the manifest's `categories`, as results carry it; `kind` the index
    of what the model itself calls it, in the manifest's `classes`.
    """

    category: str
    conf: float
    box: Box
    kind: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture, or a part of it, as a model will see it.

    `pixels` are RGB in the size in which they are laid into the model's input, with their first
    pixel at `left` and `top`; `region` is the part of the picture that they show, in fractions.
    """

    pixels: Pixels
    left: int
    top: int
    region: Box


class Detector(Protocol):
    """Finds animals, people and vehicles. Not to be used by two threads at once.

    Only `prepare` may run in another thread than the rest.
    """

    @property
    def manifest(self) -> Manifest:
        """What the model's manifest says, with what the graph has told in addition."""

    def prepare(self, picture: Picture) -> Prepared:
        """The picture as `detect` takes it; it does not hold on to the picture."""

    def detect(self, batch: Sequence[Prepared], threshold: float) -> list[tuple[Found, ...]]:
        """What is in each picture, the surest first: all of at least this confidence.

        Raises:
            ModelFailed: The model stopped, or its numbers are none.
        """


class Classifier(Protocol):
    """Says what an animal is. Not to be used by two threads at once, but for `prepare`."""

    @property
    def manifest(self) -> Manifest:
        """What the model's manifest says."""

    def prepare(self, picture: Picture, box: Box) -> Prepared:
        """The part of the picture as `classify` takes it."""

    def classify(self, batch: Sequence[Prepared]) -> list[tuple[tuple[int, float], ...]]:
        """For each, indices into the manifest's `classes` with probabilities, the likeliest first.

        At most `MOST_GUESSES` of them.

        Raises:
            ModelFailed: The model stopped, or its numbers are none.
        """


class PoseModel(Protocol):
    """Finds an animal's keypoints. Not to be used by two threads at once, but for `prepare`."""

    @property
    def manifest(self) -> Manifest:
        """What the model's manifest says."""

    def prepare(self, picture: Picture, box: Box) -> Prepared:
        """The part of the picture as `pose` takes it."""

    def pose(self, batch: Sequence[Prepared]) -> list[tuple[Point, ...]]:
        """For each, the places of the manifest's `keypoints`, in fractions of the whole picture.

        Raises:
            ModelFailed: The model stopped, or its numbers are none.
        """


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check looked at."""

    name: str
    good: bool
    said: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """What a check of a model has found, in the order in which it looked."""

    model: str
    findings: tuple[Finding, ...]
    # How long one picture takes on one core; 0 where the check did not come so far.
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether the model can be used."""
        return all(one.good for one in self.findings)
