"""Whether a model can be used: its file, its graph, and what it answers to made-up pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from grange.errors import GrangeError, ModelFailed
from grange.pipelines.wildlife.models import opening
from grange.pipelines.wildlife.models.digests import verify
from grange.pipelines.wildlife.models.interface import Check, Finding
from grange.pipelines.wildlife.models.manifest import Manifest, Task

if TYPE_CHECKING:
    from grange.pipelines.wildlife.pictures import Pixels

WIDTH: Final = 640
HEIGHT: Final = 360
BOX: Final = (0.25, 0.25, 0.5, 0.5)
# How far an answer may depend on the pictures beside it.
_SLACK: Final = 0.01

Answers = list[list[float]]


def check(manifest: Manifest) -> Check:
    """Look at a model as a run would use it. What is wrong is in the findings, not raised."""
    trial = _Trial(manifest)
    steps: tuple[tuple[str, Callable[[], str]], ...] = (
        ("file", trial.look_at_file),
        ("graph", trial.load),
        ("answer", trial.ask_alone),
        ("batch", trial.ask_together),
    )
    findings: list[Finding] = []
    for name, step in steps:
        try:
            findings.append(Finding(name, good=True, said=step()))
        except GrangeError as error:
            findings.append(Finding(name, good=False, said=error.message, hint=error.hint))
            break
    return Check(manifest.name, tuple(findings), trial.seconds)


class _Trial:
    """A model under test; each step needs those before it."""

    def __init__(self, manifest: Manifest) -> None:
        self.seconds = 0.0
        self._manifest = manifest
        self._pictures = _pictures()
        self._alone: Answers = []
        self._ask: Callable[[Sequence[MadePicture]], Answers]

    def look_at_file(self) -> str:
        verify(self._manifest)
        return f"sha256 {self._manifest.sha256}"

    def load(self) -> str:
        told, self._ask = _opened(self._manifest)
        size = f"{told.input[0]}x{told.input[1]}" if any(told.input) else "any size"
        what = told.keypoints if told.task is Task.POSE else told.classes
        named = "keypoints" if told.task is Task.POSE else "classes"
        return f"{told.layout or told.backend}, pictures of {size}, {len(what)} {named}"

    def ask_alone(self) -> str:
        # The first one takes longer: memory is still to be had.
        self._ask(self._pictures[:1])
        started = time.perf_counter()
        self._alone = [self._ask([picture])[0] for picture in self._pictures]
        self.seconds = (time.perf_counter() - started) / len(self._pictures)
        return f"sound numbers, {self.seconds * 1000:.1f} ms a picture on one core"

    def ask_together(self) -> str:
        together = self._ask(self._pictures)
        apart = max(
            abs(one - other)
            for alone, beside in zip(self._alone, together, strict=True)
            for one, other in zip(alone, beside, strict=True)
        )
        if apart > _SLACK:
            raise ModelFailed(
                f"The model {self._manifest.name} answers differently when it is given several "
                f"pictures at once: by {apart:.3f}.",
                hint="Let it have one at a time: options = { batch = 1 } in its manifest.",
            )
        return f"the same for {len(self._pictures)} pictures at once"


def _opened(manifest: Manifest) -> tuple[Manifest, Callable[[Sequence[MadePicture]], Answers]]:
    """The model's completed manifest, and how to ask it."""
    if manifest.task is Task.DETECTOR:
        detector = opening.open_detector(manifest)
        threshold = manifest.conservative_threshold

        def detect(pictures: Sequence[MadePicture]) -> Answers:
            found = detector.detect([detector.prepare(one) for one in pictures], threshold)
            # Which of many unsure ones are found is a matter of rounding; the surest is not.
            return [[max((one.conf for one in ones), default=threshold)] for ones in found]

        return detector.manifest, detect
    if manifest.task is Task.CLASSIFIER:
        classifier = opening.open_classifier(manifest)

        def classify(pictures: Sequence[MadePicture]) -> Answers:
            guesses = classifier.classify([classifier.prepare(one, BOX) for one in pictures])
            return [[share for _, share in ones] for ones in guesses]

        return classifier.manifest, classify
    model = opening.open_pose(manifest)

    def pose(pictures: Sequence[MadePicture]) -> Answers:
        points = model.pose([model.prepare(one, BOX) for one in pictures])
        return [[conf for _, _, conf in ones] for ones in points]

    return model.manifest, pose


@dataclass(frozen=True, slots=True)
class MadePicture:
    """A picture that is made up."""

    held: Pixels

    @property
    def width(self) -> int:
        """Its width in pixels."""
        return int(self.held.shape[1])

    @property
    def height(self) -> int:
        """Its height in pixels."""
        return int(self.held.shape[0])

    def pixels(self) -> Pixels:
        """All of it."""
        return self.held

    def scaled(self, width: int, height: int) -> Pixels:
        """All of it in another size."""
        from PIL import Image

        picture = Image.fromarray(self.held)
        return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))

    def cropped(self, left: int, top: int, right: int, bottom: int) -> Pixels:
        """A part of it."""
        return self.held[max(top, 0) : bottom, max(left, 0) : right]


def _pictures() -> list[MadePicture]:
    """Noise, a slope of light, and night."""
    shape = (HEIGHT, WIDTH, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    slope: Any = np.linspace(0, 255, WIDTH).astype(np.uint8)[None, :, None]
    return [
        MadePicture(noise),
        MadePicture(np.ascontiguousarray(np.broadcast_to(slope, shape))),
        MadePicture(np.zeros(shape, np.uint8)),
    ]
