"""What is done to frames: animals are found, named and posed, or known from an earlier run."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from grange.pipelines.base import Work
from grange.pipelines.wildlife.kit import Kit
from grange.pipelines.wildlife.records import (
    guesses_of,
    pose_of,
    rounded_box,
    rounded_conf,
    rounded_point,
)
from grange.pipelines.wildlife.results import Detection, Guess, Point

if TYPE_CHECKING:
    from grange.pipelines.wildlife.media.decoding import Frame
    from grange.pipelines.wildlife.models.interface import (
        Classifier,
        Detector,
        PoseModel,
        Prepared,
    )

JSON = Any
Model = TypeVar("Model")
Crop = TypeVar("Crop")

# What models take at once: so many pictures, and so many pixels of their inputs; more is not
# quicker on a processor, and takes memory.
BATCH_PICTURES: Final = 16
BATCH_PIXELS: Final = 4 * 640 * 640
# What a detector takes whose manifest doesn't say it: as much as any.
UNKNOWN_PIXELS: Final = 1280 * 1280

FINDING: Final = "finding"
NAMING: Final = "naming"
POSING: Final = "posing"
# What is kept is of no use any more once this is another: count it up whenever the stages find
# something else in the same pixels with the same models.
FINDINGS_VERSION: Final = 2
# Wanted frames that could not be decoded are counted beside what the stages have seen.
SKIPPED: Final = "skipped"
# And all damaged ones: the frames behind them may look wrong.
DAMAGED: Final = "damaged"


class Loaded:
    """The models of a run, each opened when it is first needed."""

    def __init__(self, kit: Kit) -> None:
        """Nothing is opened yet."""
        self.kit = kit
        # How often each model was opened.
        self.loads: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._models: dict[str, Any] = {}

    @property
    def detector(self) -> Detector:
        """What finds."""
        from grange.pipelines.wildlife.models.opening import open_detector

        return self._opened(FINDING, lambda: open_detector(self.kit.detector))

    @property
    def classifier(self) -> Classifier | None:
        """What names, if anything does."""
        from grange.pipelines.wildlife.models.opening import open_classifier

        manifest = self.kit.classifier
        return self._opened(NAMING, lambda: open_classifier(manifest)) if manifest else None

    @property
    def pose(self) -> PoseModel | None:
        """What poses, if anything does."""
        from grange.pipelines.wildlife.models.opening import open_pose

        manifest = self.kit.pose
        return self._opened(POSING, lambda: open_pose(manifest)) if manifest else None

    def _opened(self, stage: str, opening: Callable[[], Model]) -> Model:
        with self._lock:
            if stage not in self._models:
                self._models[stage] = opening()
                self.loads[stage] += 1
            model: Model = self._models[stage]
            return model


@dataclass(slots=True)
class Stretch:
    """A segment of a video, or a picture, on its way through the stages."""

    number: int
    # What each stage's findings are kept under, and those that are known, by frame.
    keys: dict[str, str]
    known: dict[str, dict[int, JSON]]
    # What was found now, by frame, as it will be kept.
    found: dict[str, list[JSON]] = field(default_factory=dict)


@dataclass(slots=True)
class Piece:
    """Some frames of a stretch; with the last one the stretch is whole."""

    stretch: Stretch
    frames: Sequence[Frame]
    # For the detector; empty where it has nothing to do.
    prepared: Sequence[Prepared]
    last: bool
    detections: list[tuple[Detection, ...]] = field(default_factory=list)


class Stages:
    """Takes pieces through all stages, for one attempt."""

    def __init__(self, loaded: Loaded, work: Work, *, in_video: bool) -> None:
        """Count from zero."""
        self._loaded = loaded
        self._kit = loaded.kit
        self._work = work
        self._in_video = in_video
        # How many pictures or parts of pictures each model has seen.
        self.seen: Counter[str] = Counter()

    def begin(self, number: int, address: str) -> Stretch:
        """A stretch whose frames are what `address` says, with what is known of them."""
        kit = self._kit
        finding = f"{FINDINGS_VERSION} {address} {kit.detector.digest} {kit.threshold}"
        keys = {FINDING: finding}
        for stage, manifest in ((NAMING, kit.classifier), (POSING, kit.pose)):
            if manifest is not None:
                keys[stage] = f"{finding} {stage} {kit.label_threshold} {manifest.digest}"
        keys = {stage: hashlib.sha256(key.encode()).hexdigest() for stage, key in keys.items()}
        known: dict[str, dict[int, JSON]] = {}
        for stage, key in keys.items():
            found = self._known(key)
            if found is not None:
                known[stage] = found
            elif stage == FINDING:
                # Names and poses lie in the order of those finds, and other finds may come out:
                # on another processor, the last digit of a confidence can be another one.
                break
        return Stretch(number, keys, known)

    def batch(self, frame_bytes: int, most_bytes: int) -> int:
        """How many frames of this size a piece has; the manifest and the video alone decide."""
        height, width = self._kit.detector.input
        pixels = height * width or UNKNOWN_PIXELS
        fitting = min(BATCH_PIXELS // pixels, most_bytes // max(1, frame_bytes))
        return min(max(1, fitting), BATCH_PICTURES)

    def look(self, piece: Piece) -> Piece:
        """Fill in what is in the piece's frames.

        Raises:
            ModelFailed: A model stopped, or its numbers are none.
        """
        found = self._find(piece)
        animals = [
            (place, number)
            for place, detections in enumerate(found)
            for number, one in enumerate(detections)
            if one.conf >= self._kit.label_threshold and one.category in self._kit.animals
        ]
        guesses, poses = self._name(piece, found, animals), self._pose(piece, found, animals)
        for position, (place, number) in enumerate(animals):
            one = found[place][number]
            found[place][number] = replace(
                one,
                guesses=guesses[position] if guesses else one.guesses,
                pose=poses[position] if poses else (),
            )
        piece.detections = [tuple(detections) for detections in found]
        if piece.last:
            self._keep(piece.stretch)
        return piece

    # ---- the stages

    def _find(self, piece: Piece) -> list[list[Detection]]:
        known = piece.stretch.known.get(FINDING)
        if known is None:
            known = self._detect(piece)
            piece.stretch.found.setdefault(FINDING, []).extend(map(list, known.items()))
        return [
            [self._detection(frame, *one) for one in known.get(frame.number, ())]
            for frame in piece.frames
        ]

    def _detect(self, piece: Piece) -> dict[int, JSON]:
        """What the detector finds, by frame, as it is kept: whatever else is asked for."""
        answers = []
        if piece.prepared:
            answers = self._loaded.detector.detect(piece.prepared, self._kit.threshold)
        self.seen[FINDING] += len(answers)
        return {
            frame.number: [
                [one.category, rounded_conf(one.conf), rounded_box(one.box), one.kind]
                for one in answer
            ]
            for frame, answer in zip(piece.frames, answers, strict=True)
        }

    def _detection(
        self, frame: Frame, category: str, conf: float, box: Sequence[float], kind: int
    ) -> Detection:
        x, y, width, height = box
        species = self._kit.species if self._kit.classifier is None else {}
        own = species.get(str(kind), "")
        named = own and own != self._kit.detector.categories.get(category)
        guesses = ((str(kind), conf),) if named else ()
        return Detection(category, conf, (x, y, width, height), self._frame(frame), None, guesses)

    def _frame(self, frame: Frame) -> int | None:
        return frame.number if self._in_video else None

    def _name(
        self, piece: Piece, found: list[list[Detection]], animals: Sequence[tuple[int, int]]
    ) -> list[tuple[Guess, ...]]:
        if NAMING not in piece.stretch.keys:
            return []
        known = piece.stretch.known.get(NAMING)
        if known is not None:
            return [guesses_of(one) for one in _of_frames(piece.frames, known)]
        named: list[tuple[Guess, ...]] = []
        model = self._loaded.classifier if animals else None
        if model is not None:
            for crops in _batches(_crops(model, piece.frames, found, animals), model):
                named.extend(
                    tuple([(str(number), rounded_conf(conf)) for number, conf in answer])
                    for answer in model.classify(crops)
                )
        self._note(piece, NAMING, animals, named)
        return named

    def _pose(
        self, piece: Piece, found: list[list[Detection]], animals: Sequence[tuple[int, int]]
    ) -> list[tuple[Point, ...]]:
        if POSING not in piece.stretch.keys:
            return []
        known = piece.stretch.known.get(POSING)
        if known is not None:
            return [pose_of(one) for one in _of_frames(piece.frames, known)]
        posed: list[tuple[Point, ...]] = []
        model = self._loaded.pose if animals else None
        if model is not None:
            for crops in _batches(_crops(model, piece.frames, found, animals), model):
                posed.extend(tuple(map(rounded_point, answer)) for answer in model.pose(crops))
        self._note(piece, POSING, animals, posed)
        return posed

    def _note(
        self, piece: Piece, stage: str, animals: Sequence[tuple[int, int]], found: Sequence[JSON]
    ) -> None:
        self.seen[stage] += len(found)
        by_place: dict[int, list[JSON]] = {}
        for (place, _), one in zip(animals, found, strict=True):
            by_place.setdefault(place, []).append(one)
        piece.stretch.found.setdefault(stage, []).extend(
            [piece.frames[place].number, answers] for place, answers in by_place.items()
        )

    # ---- what is kept

    def _known(self, key: str) -> dict[int, JSON] | None:
        data = self._work.known(key)
        return None if data is None else dict(json.loads(data))

    def _keep(self, stretch: Stretch) -> None:
        for stage, key in stretch.keys.items():
            if stage not in stretch.known:
                data = json.dumps(stretch.found.get(stage, []), separators=(",", ":"))
                self._work.keep(key, data.encode())


def _of_frames(frames: Sequence[Frame], known: dict[int, JSON]) -> Iterator[JSON]:
    for frame in frames:
        yield from known.get(frame.number, ())


def _crops(
    model: Classifier | PoseModel,
    frames: Sequence[Frame],
    found: list[list[Detection]],
    animals: Sequence[tuple[int, int]],
) -> Iterator[Prepared]:
    """The animals as the model takes them: cut out of the original pixels."""
    for place, number in animals:
        yield model.prepare(frames[place].picture, found[place][number].box)


def _batches(crops: Iterator[Crop], model: Classifier | PoseModel) -> Iterator[list[Crop]]:
    height, width = model.manifest.input
    size = min(max(1, BATCH_PIXELS // max(1, height * width)), BATCH_PICTURES)
    batch: list[Crop] = []
    for one in crops:
        batch.append(one)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
