"""Clips to be analysed, and one clip analysed as a script would do it: one step after the other.

The same models, decoder, drawing, encoder, tracks, tables and plots as Grange's own, so that
what differs is how the work is organised: no batches, no overlap, nothing shared between clips
but what the caller keeps.
"""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

from grange.pipelines.base import Item, PartResult
from grange.pipelines.wildlife.kit import Kit, kit_of
from grange.pipelines.wildlife.media.decoding import Frame, VideoReader
from grange.pipelines.wildlife.media.indexing import index_video
from grange.pipelines.wildlife.media.videos import VideoInfo
from grange.pipelines.wildlife.merging import Merge
from grange.pipelines.wildlife.models import graphs
from grange.pipelines.wildlife.models.opening import open_classifier, open_detector, open_pose
from grange.pipelines.wildlife.parameters import WildlifeParameters
from grange.pipelines.wildlife.reading import clock_of
from grange.pipelines.wildlife.results import Box
from grange.pipelines.wildlife.sampling import wanted_frames
from grange.pipelines.wildlife.stages import FINDING, NAMING, POSING, Loaded, Piece, Stages, Stretch
from grange.pipelines.wildlife.writing import PartWriter

JSON = Any

WIDTH, HEIGHT, FPS = 640, 360, 30
# Instead of a number of threads: a session without options, which takes a thread for each core,
# and lets those that wait for work spin.
AS_IT_COMES = 0


def clips(number: int, seconds: float) -> Path:
    """A folder with so many clips, two in three with animals, people or vehicles.

    It stays: clips that are there already are taken as they are.
    """
    folder = Path(tempfile.gettempdir(), f"grange-bench-{number}-clips-of-{seconds:g}-s")
    folder.mkdir(exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(partial(_film, folder, seconds), range(number), chunksize=1)
    return folder


def _film(folder: Path, seconds: float, number: int) -> None:
    from training.clips import write_clip
    from training.scenes import Scene

    path = folder / f"clip-{number:03}.mp4"
    if not path.exists():
        scene = Scene(7000 + number, size=(WIDTH, HEIGHT), count=number % 3, height=(0.2, 0.6))
        part = path.with_suffix(".part.mp4")
        write_clip(part, scene, seconds, FPS)
        part.replace(path)


class Scratch:
    """The folders that a method of a pipeline writes into; nothing is kept between clips."""

    def __init__(self, folder: Path) -> None:
        self.output = folder / "output"
        self.scratch = folder / "scratch"
        self.logs = (folder / "out", folder / "err")
        self.timeout_seconds: float | None = None
        self.marker: dict[str, str] = {}
        self.output.mkdir(parents=True)
        self.scratch.mkdir()

    def progress(self, fraction: float) -> None:
        pass

    def peak(self, peak_bytes: int) -> None:
        pass

    def count(self, name: str, amount: float = 1.0) -> None:
        pass

    def known(self, key: str) -> bytes | None:
        return None

    def keep(self, key: str, data: bytes) -> None:
        pass


_Given = tuple[Scratch, Sequence[Stretch]]


@contextmanager
def work() -> Iterator[Scratch]:
    with tempfile.TemporaryDirectory() as folder:
        yield Scratch(Path(folder))


class Warm(Loaded):
    """Models that use as many threads as they are told."""

    def __init__(self, kit: Kit, threads: int) -> None:
        super().__init__(kit)
        self._threads = threads

    @property
    def detector(self) -> Any:  # noqa: ANN401  # whatever the manifest's backend is
        return self._opened(FINDING, partial(self._open, open_detector, self.kit.detector))

    @property
    def classifier(self) -> Any:  # noqa: ANN401
        manifest = self.kit.classifier
        return manifest and self._opened(NAMING, partial(self._open, open_classifier, manifest))

    @property
    def pose(self) -> Any:  # noqa: ANN401
        manifest = self.kit.pose
        return manifest and self._opened(POSING, partial(self._open, open_pose, manifest))

    def load(self) -> Warm:
        """Open all of them now."""
        assert self.detector, "there is always one"
        _ = self.classifier, self.pose
        return self

    def _open(self, opening: Callable[..., Any], manifest: object) -> Any:  # noqa: ANN401
        if self._threads != AS_IT_COMES:
            return opening(manifest, threads=self._threads)
        with patch.object(graphs, "_session", _session_as_it_comes):
            return opening(manifest, threads=1)


def _session_as_it_comes(data: bytes, *_others: object) -> Any:  # noqa: ANN401
    import onnxruntime

    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def one_pass(clip: Path, out: Path, params: WildlifeParameters, models: Loaded) -> None:
    """Find, name and pose in one go, frame by frame, and write all outputs of the clip."""
    with work() as own:
        info = index_video(clip)
        result = _look(clip, info, params, models, (own, stretches_of(info)))
        finish(clip, out, params, models.kit, result)


def two_passes(
    clip: Path, out: Path, params: WildlifeParameters, threads: int, scales: int
) -> None:
    """As the cluster's consumer did: models anew for each clip, then two programs, one by one.

    The first finds and names, and leaves a labelled video alone. So the second
    has to find the animals again before it poses them, at so many scales.
    """
    kit = kit_of(params)
    with work() as own:
        info = index_video(clip)
        first = stretches_of(info, NAMING)
        finder = Warm(replace(kit, pose=None), threads).load()
        _look(clip, info, params, finder, (own, first))
    with work() as own:
        info = index_video(clip)
        second = stretches_of(info)
        # Names are carried over, which the cluster's loop did not do: outputs have to be equal.
        for mine, earlier in zip(second, first, strict=True):
            mine.known[NAMING] = dict(earlier.found.get(NAMING, ()))
        poser = Poser(kit, threads, scales).load()
        result = _look(clip, info, params, poser, (own, second))
        finish(clip, out, params, kit, result)


class Poser(Warm):
    """Poses at many scales, of which the manifest's own counts; names are known already."""

    def __init__(self, kit: Kit, threads: int, scales: int) -> None:
        super().__init__(kit, threads)
        self._scales = scales

    @property
    def classifier(self) -> Any:  # noqa: ANN401
        return None

    @property
    def pose(self) -> Any:  # noqa: ANN401
        return _ScaledPose(super().pose, self._scales)


class _ScaledPose:
    def __init__(self, model: Any, scales: int) -> None:  # noqa: ANN401
        self._model = model
        self._scales = scales
        self.manifest = model.manifest

    def prepare(self, picture: Any, box: Box) -> Any:  # noqa: ANN401
        x, y, width, height = box
        for number in range(1, self._scales):
            grown = 1 + number / 10
            around = (
                x - width * (grown - 1) / 2,
                y - height * (grown - 1) / 2,
                width * grown,
                height * grown,
            )
            self._model.pose([self._model.prepare(picture, around)])
        return self._model.prepare(picture, box)

    def pose(self, batch: Sequence[Any]) -> Any:  # noqa: ANN401
        return self._model.pose(batch)


def imported() -> None:
    """Import what is slow to import: before the clock starts."""
    for name in ("av", "onnxruntime", "PIL.ImageDraw", "PIL.JpegImagePlugin"):
        import_module(name)


def stretches_of(info: VideoInfo, *later: str) -> list[Stretch]:
    """A clip's segments, of which nothing is known from earlier runs."""
    keys = dict.fromkeys((FINDING, *(later or (NAMING, POSING))), "")
    return [Stretch(segment.number, keys, {}) for segment in info.segments]


def part_result(writer: PartWriter, info: VideoInfo, folder: Path, best: JSON) -> PartResult:
    """What the merge wants to know."""
    data = {
        "info": info.alone().plain(),
        "frames": writer.frames,
        "labelled": writer.labelled,
        "best": best,
        "seen": {},
    }
    return PartResult(0, data, folder)


def finish(clip: Path, out: Path, params: WildlifeParameters, kit: Kit, result: PartResult) -> None:
    """Write the clip's tables, tracks, plots and labelled video, and move them to their place."""
    with work() as own:
        item = Item(clip.name, clip, clip.stat().st_size)
        Merge(item, params, kit, own).merge(iter([result]))
        shutil.move(own.output, out)


def _look(
    clip: Path, info: VideoInfo, params: WildlifeParameters, models: Loaded, given: _Given
) -> PartResult:
    own, stretches = given
    stages = Stages(models, own, in_video=True)
    rate = params.sampling.rate_of(info.frame_rate)
    with PartWriter(own.output, info, models.kit, labelled_rate=rate) as writer:
        for piece in _frame_by_frame(clip, info, params, models, stretches):
            writer.write(stages.look(piece))
        best = writer.end()
    return part_result(writer, info, own.output, best)


def _frame_by_frame(
    clip: Path,
    info: VideoInfo,
    params: WildlifeParameters,
    models: Loaded,
    stretches: Sequence[Stretch],
) -> Iterator[Piece]:
    with VideoReader(clip, info.alone()) as reader:
        for segment, stretch in zip(info.segments, stretches, strict=True):
            wanted = wanted_frames(params.sampling, clock_of(info), segment.before)
            for frame in reader.frames(segment, wanted):
                yield _piece(frame, stretch, models)
            yield Piece(stretch, [], [], last=True)


def _piece(frame: Frame, stretch: Stretch, models: Loaded) -> Piece:
    return Piece(stretch, [frame], [models.detector.prepare(frame.picture)], last=False)
