"""Clips through Ray Data: stages that decode and write, and between them actors with warm models.

One row is one clip with its frames: they flow from stage to stage while others are decoded.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clips import Scratch, Warm, finish, imported, part_result, stretches_of, work
from benchmarks.measure import ROOT
from grange.pipelines.wildlife.kit import kit_of
from grange.pipelines.wildlife.looking.thumbs import thumb_size
from grange.pipelines.wildlife.media.decoding import Frame, VideoReader
from grange.pipelines.wildlife.media.indexing import index_video
from grange.pipelines.wildlife.media.videos import VideoInfo
from grange.pipelines.wildlife.parameters import WildlifeParameters
from grange.pipelines.wildlife.reading import clock_of
from grange.pipelines.wildlife.records import Analysed, frame_of, line_of
from grange.pipelines.wildlife.sampling import wanted_frames
from grange.pipelines.wildlife.stages import Piece, Stages
from grange.pipelines.wildlife.writing import PartWriter

Row = dict[str, Any]

CORES = 2
BATCH = 16
READY = "ready-"


@dataclass(frozen=True, slots=True)
class Pixels:
    """A frame that has travelled: as it was, and in the one smaller size that is needed."""

    whole: Any
    less: Any

    @property
    def width(self) -> int:
        return int(self.whole.shape[1])

    @property
    def height(self) -> int:
        return int(self.whole.shape[0])

    def pixels(self) -> Any:  # noqa: ANN401
        return self.whole

    def scaled(self, width: int, height: int) -> Any:  # noqa: ANN401
        found = self.whole if (width, height) == (self.width, self.height) else self.less
        assert found.shape[1::-1] == (width, height)
        return found

    def cropped(self, left: int, top: int, right: int, bottom: int) -> Any:  # noqa: ANN401
        return self.whole[top:bottom, left:right]


def decode(row: Row, sample: str) -> Row:
    """Read the wanted frames of a clip."""
    clip = Path(row["clip"])
    sampling = WildlifeParameters(sample_fps=sample).sampling
    info = index_video(clip)
    frames: list[Frame] = []
    with VideoReader(clip, info.alone()) as reader:
        for segment in info.segments:
            wanted = wanted_frames(sampling, clock_of(info), segment.before)
            frames.extend(reader.frames(segment, wanted))
    less = thumb_size(info.width, info.height)
    return {
        "clip": str(clip),
        "info": json.dumps(info.plain()),
        "places": np.array([(one.number, one.pts) for one in frames]),
        "whole": np.stack([one.picture.pixels() for one in frames]),
        "less": np.stack([one.picture.scaled(*less) for one in frames]),
    }


class Look:
    """An actor that keeps its models."""

    def __init__(self, sample: str, threads: int, out: str) -> None:
        imported()
        self._models = Warm(kit_of(WildlifeParameters(sample_fps=sample)), threads).load()
        Path(out).mkdir(exist_ok=True)
        Path(out, f"{READY}{os.getpid()}").write_text(repr(time.time()))

    def __call__(self, row: Row) -> Row:
        frames = frames_of(row)
        (stretch, *_) = stretches_of(VideoInfo.of(json.loads(row["info"])))
        found: list[str] = []
        with work() as own:
            stages = Stages(self._models, own, in_video=True)
            for start in range(0, len(frames), BATCH):
                some = frames[start : start + BATCH]
                prepared = [self._models.detector.prepare(one.picture) for one in some]
                piece = stages.look(Piece(stretch, some, prepared, last=False))
                found.extend(
                    line_of(Analysed(frame.number, frame.seconds, detections))
                    for frame, detections in zip(some, piece.detections, strict=True)
                )
        return {**row, "found": "".join(found)}


def write(row: Row, sample: str, out: str) -> Row:
    """Write all outputs of a clip."""
    params = WildlifeParameters(sample_fps=sample)
    kit = kit_of(params)
    clip, info = Path(row["clip"]), VideoInfo.of(json.loads(row["info"]))
    with work() as own:
        finish(clip, Path(out, clip.name), params, kit, _written(row, info, params, own))
    return {"clip": row["clip"]}


def _written(row: Row, info: VideoInfo, params: WildlifeParameters, own: Scratch) -> Any:  # noqa: ANN401
    frames = frames_of(row)
    found = [tuple(frame_of(line).detections) for line in row["found"].splitlines()]
    rate = params.sampling.rate_of(info.frame_rate)
    with PartWriter(own.output, info, kit_of(params), labelled_rate=rate) as writer:
        for number, stretch in enumerate(stretches_of(info)):
            segment = info.segments[number]
            places = [
                place
                for place, one in enumerate(frames)
                if segment.first <= one.number < segment.first + segment.frames
            ]
            some = [frames[place] for place in places]
            detections = [found[place] for place in places]
            writer.write(Piece(stretch, some, [], last=True, detections=detections))
        best = writer.end()
    return part_result(writer, info, own.output, best)


def frames_of(row: Row) -> list[Frame]:
    base = VideoInfo.of(json.loads(row["info"])).time_base
    return [
        Frame(int(number), int(pts), float(int(pts) * base), Pixels(whole, less))
        for (number, pts), whole, less in zip(row["places"], row["whole"], row["less"], strict=True)
    ]


def run(folder: str, out: str, sample: str, threads: str) -> dict[str, float]:
    """Analyse the folder's clips; the clock starts when both actors have loaded all models.

    Clips that were decoded before are not held against Ray.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    ray.init(num_cpus=CORES, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    ray.data.DataContext.get_current().enable_progress_bars = False
    clips = [str(path) for path in sorted(Path(folder).glob("*.mp4"))]
    _flow(clips[:CORES], f"{out}-warm", sample, threads)
    done = _flow(clips, out, sample, threads)
    ended = time.time()
    ray.shutdown()
    assert done == len(clips)
    ready = [float(path.read_text()) for path in Path(out).glob(f"{READY}*")]
    assert len(ready) == CORES
    return {"seconds": ended - max(ready)}


def _flow(clips: list[str], out: str, sample: str, threads: str) -> int:
    import ray

    # Half a core for each actor: else the other stages would find none.
    actors = ray.data.ActorPoolStrategy(size=CORES)
    done = (
        ray.data.from_items([{"clip": clip} for clip in clips], override_num_blocks=len(clips))
        .map(decode, fn_args=(sample,), num_cpus=0.5)
        .map(Look, fn_constructor_args=(sample, int(threads), out), compute=actors, num_cpus=0.5)
        .map(write, fn_args=(sample, out), num_cpus=0.5)
        .take_all()
    )
    return len(done)


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[1:])))
