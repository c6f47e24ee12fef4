"""What each stage of the work takes by itself, in processor seconds, without any engine."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from benchmarks.clips import Warm, finish, imported, part_result, work
from grange.pipelines.wildlife.kit import kit_of
from grange.pipelines.wildlife.media.indexing import index_video
from grange.pipelines.wildlife.parameters import WildlifeParameters
from grange.pipelines.wildlife.reading import pieces_of
from grange.pipelines.wildlife.stages import Piece, Stages
from grange.pipelines.wildlife.writing import PartWriter

T = TypeVar("T")

PROCESSES = 2
ASKED = ("detect", "classify", "pose")

DECODE = "decode"
INFERENCE = "inference"
ENCODE = "encode"
INDEX = "index"
CROPS = "crops"
TABLES = "tables"
# What could run at the same time, if nothing else was to be done.
ALONE = (DECODE, INFERENCE, ENCODE)


class Spent(Counter[str]):
    """Processor seconds of this thread, by stage."""

    def timed(self, stage: str, do: Callable[..., T]) -> Callable[..., T]:
        def doing(*given: Any, **named: Any) -> T:  # noqa: ANN401
            begun = time.thread_time()
            try:
                return do(*given, **named)
            finally:
                self[stage] += time.thread_time() - begun  # type: ignore[assignment]

        return doing

    def through(self, stage: str, source: Iterable[T]) -> Iterator[T]:
        following = self.timed(stage, iter(source).__next__)
        while True:
            try:
                one = following()
            except StopIteration:
                return
            yield one


class Clocked:
    """A model of which each answer is timed."""

    def __init__(self, model: Any, spent: Spent) -> None:  # noqa: ANN401
        self.manifest = model.manifest
        self.prepare = model.prepare
        for name in ASKED:
            if (asked := getattr(model, name, None)) is not None:
                setattr(self, name, spent.timed(INFERENCE, asked))


class Models(Warm):
    def __init__(self, params: WildlifeParameters, spent: Spent) -> None:
        super().__init__(kit_of(params), 1)
        self._spent = spent

    def _open(self, opening: Callable[..., Any], manifest: object) -> Any:  # noqa: ANN401
        return Clocked(super()._open(opening, manifest), self._spent)


def look(clips: list[str], sample: str) -> dict[str, float]:
    """Analyse clips one by one, as one worker does."""
    imported()
    params = WildlifeParameters(sample_fps=sample)
    spent = Spent()
    models = Models(params, spent)
    models.load()
    with TemporaryDirectory() as out:
        for clip in clips:
            _look(Path(clip), Path(out, Path(clip).name), params, models, spent)
    # What is not inside of a model is its preparation.
    spent[CROPS] -= spent[INFERENCE]
    return dict(spent)


def _look(clip: Path, out: Path, params: WildlifeParameters, models: Models, spent: Spent) -> None:
    info = spent.timed(INDEX, index_video)(clip)
    with work() as own:
        stages = Stages(models, own, in_video=True)
        rate = params.sampling.rate_of(info.frame_rate)
        pieces: Iterator[Piece] = pieces_of(clip, info, params.sampling, stages, models)
        with PartWriter(own.output, info, models.kit, labelled_rate=rate) as writer:
            for piece in spent.through(DECODE, pieces):
                seen = spent.timed(CROPS, stages.look)(piece)
                spent.timed(ENCODE, writer.write)(seen)
            best = spent.timed(ENCODE, writer.end)()
        result = part_result(writer, info, own.output, best)
        spent.timed(TABLES, finish)(clip, out, params, models.kit, result)


def run(folder: str, sample: str) -> dict[str, float]:
    """The sum over all clips, as two processes measure it that run side by side."""
    clips = [str(path) for path in sorted(Path(folder).glob("*.mp4"))]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        shares = [clips[number::PROCESSES] for number in range(PROCESSES)]
        found = list(pool.map(look, shares, [sample] * PROCESSES))
    return {stage: sum(one[stage] for one in found) for stage in found[0]}


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[1:])))
