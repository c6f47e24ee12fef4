"""What a run works with: its models, as their manifests tell of them, and its thresholds."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from grange.pipelines.wildlife.models.manifest import Manifest, Task
from grange.pipelines.wildlife.models.registry import default_models
from grange.pipelines.wildlife.parameters import NONE, WildlifeParameters
from grange.pipelines.wildlife.results import ANIMAL, PERSON, VEHICLE, Results, Source

if TYPE_CHECKING:
    from grange.pipelines.wildlife.media.drawing import Legend

# Kits of so many runs are kept at hand.
_KNOWN_KITS: Final = 16


@dataclass(frozen=True, slots=True)
class Kit:
    """The models of a run and what follows from them; nothing of it is loaded."""

    detector: Manifest
    classifier: Manifest | None
    pose: Manifest | None
    # Of less confidence is left out; of more is painted, named and posed.
    threshold: float
    label_threshold: float
    pcutoff: float

    def manifests(self) -> Iterator[Manifest]:
        """Those of all stages that there are."""
        yield from (one for one in (self.detector, self.classifier, self.pose) if one)

    def models(self) -> dict[str, str]:
        """All that decides what is found, by sha256: the models' files and what is said of them."""
        files = {one.name: one.sha256 for one in self.manifests()}
        return files | {f"{one.name} (manifest)": one.digest for one in self.manifests()}

    @property
    def animals(self) -> frozenset[str]:
        """The categories whose detections get names and poses.

        Those of a detector that knows no animals but, say, deer and boar, are all that are
        neither people nor vehicles.
        """
        found = set(self.detector.category_ids)
        return frozenset({ANIMAL} if ANIMAL in found else found - {PERSON, VEHICLE})

    @property
    def species(self) -> dict[str, str]:
        """What the numbers of guesses mean: those of the classifier, else of the detector."""
        if self.classifier is not None:
            return _numbered(self.classifier.classes)
        names = set(self.detector.categories.values())
        own = {name for name in self.detector.classes if name not in names}
        return _numbered(self.detector.classes) if own else {}

    def head(self) -> Results:
        """What all results of the run share; without any item."""
        return Results(
            media=(),
            source=Source(
                detector=self.detector.pinned,
                classifier=self.classifier.pinned if self.classifier else "",
                pose=self.pose.pinned if self.pose else "",
                # What was asked for stands above what the manifest recommends.
                typical_threshold=self.label_threshold,
                conservative_threshold=self.threshold,
            ),
            categories=self.detector.categories,
            species=self.species,
            keypoints=self.pose.keypoints if self.pose else (),
            skeleton=self.pose.skeleton if self.pose else (),
        )

    def legend(self) -> Legend:
        """What is painted, and how it is called."""
        # Whoever only submits a run draws nothing, and needs no NumPy.
        from grange.pipelines.wildlife.media.drawing import Legend

        head = self.head()
        return Legend(head.categories, head.species, head.keypoints, head.skeleton, self.pcutoff)


@functools.lru_cache(maxsize=_KNOWN_KITS)
def lasting_kit(params: WildlifeParameters) -> Kit:
    """The same as `kit_of` for as long as this process lives: for workers, item after item.

    Raises:
        ModelNotFound, ModelInvalid: A model is not there, or another one by now.
    """
    return kit_of(params)


def kit_of(params: WildlifeParameters) -> Kit:
    """What a run of these parameters works with, as the manifests are now.

    Raises:
        ModelNotFound, ModelInvalid: A model is not there, or another one by now.
    """
    models = default_models()
    detector = models.find(params.detector, task=Task.DETECTOR)
    classifier, pose = (
        None if name == NONE else models.find(name, task=task)
        for name, task in ((params.classifier, Task.CLASSIFIER), (params.pose, Task.POSE))
    )
    kept, labelled = params.threshold, params.label_threshold
    return Kit(
        detector,
        classifier,
        pose,
        detector.conservative_threshold if kept is None else kept,
        detector.typical_threshold if labelled is None else labelled,
        params.pcutoff,
    )


def _numbered(classes: tuple[str, ...]) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(classes)}
