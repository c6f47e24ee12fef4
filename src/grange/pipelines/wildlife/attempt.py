"""One attempt at a part of an item: its frames go through the stages while others are read."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from grange.pipelines.base import Part, Work
from grange.pipelines.wildlife.flow import Spent, overlap
from grange.pipelines.wildlife.looking.thumbs import write_thumb
from grange.pipelines.wildlife.media.decoding import Frame
from grange.pipelines.wildlife.media.drawing import draw
from grange.pipelines.wildlife.media.encoding import labelled_size, write_jpeg
from grange.pipelines.wildlife.media.stills import open_still
from grange.pipelines.wildlife.media.videos import VideoInfo
from grange.pipelines.wildlife.parameters import WildlifeParameters
from grange.pipelines.wildlife.reading import pieces_of
from grange.pipelines.wildlife.records import Analysed, line_of
from grange.pipelines.wildlife.results import Detection
from grange.pipelines.wildlife.stages import FINDING, Loaded, Piece, Stages
from grange.pipelines.wildlife.writing import (
    LABELLED_STILL,
    LINES,
    THUMB,
    PartWriter,
    small,
    sure_of,
)

if TYPE_CHECKING:
    from grange.pipelines.wildlife.pictures import Picture

JSON = Any


def look_at_video(part: Part, params: WildlifeParameters, model: Loaded, work: Work) -> JSON:
    """Look at a part's segments; says what the merge needs beside its files."""
    info = VideoInfo.of(part.data)
    stages = Stages(model, work, in_video=True)
    source = pieces_of(part.item.file, info, params.sampling, stages, model)
    total, first = sum(one.frames for one in info.segments), info.segments[0].first
    rate = params.sampling.rate_of(info.frame_rate) if params.labelled else None
    with PartWriter(work.output, info, model.kit, labelled_rate=rate) as writer:

        def write(piece: Piece) -> None:
            writer.write(piece)
            if piece.frames:
                work.progress((piece.frames[-1].number + 1 - first) / max(1, total))

        spent = overlap(source, stages.look, write)
        best = writer.end()
    return {
        "info": info.alone().plain(),
        "frames": writer.frames,
        "labelled": writer.labelled,
        "best": best,
        **_counted(stages, model, spent, work),
    }


def look_at_still(part: Part, params: WildlifeParameters, model: Loaded, work: Work) -> JSON:
    """Look at a picture."""
    began = time.thread_time()
    with part.item.file.open("rb") as file:
        address = f"still {hashlib.file_digest(file, 'sha256').hexdigest()}"
    still = open_still(part.item.file)
    stages = Stages(model, work, in_video=False)
    stretch = stages.begin(0, address)
    known = FINDING in stretch.known
    prepared = [] if known else [model.detector.prepare(still.picture)]
    piece = Piece(stretch, [Frame(0, 0, 0.0, still.picture)], prepared, last=True)
    (detections,) = stages.look(piece).detections
    (work.output / LINES).write_text(line_of(Analysed(0, 0.0, detections)), encoding="ascii")
    _paint(still.picture, sure_of(detections, model.kit), params, model, work)
    return {
        "width": still.picture.width,
        "height": still.picture.height,
        "taken": still.taken.isoformat() if still.taken else None,
        **_counted(stages, model, Spent(looking=time.thread_time() - began), work),
    }


def _paint(
    picture: Picture,
    sure: Sequence[Detection],
    params: WildlifeParameters,
    model: Loaded,
    work: Work,
) -> None:
    write_thumb(small(picture), sure, work.output / THUMB)
    if params.labelled:
        pixels = picture.scaled(*labelled_size(picture.width, picture.height)).copy()
        draw(pixels, sure, model.kit.legend())
        write_jpeg(pixels, work.output / LABELLED_STILL)


def _counted(stages: Stages, model: Loaded, spent: Spent, work: Work) -> dict[str, JSON]:
    """Tell whoever watches where the time goes; gives what the merge wants to know of it."""
    for name, number in stages.seen.items():
        work.count(name, number)
    for stage, number in model.loads.items():
        work.count(f"{stage} loads", number)
    model.loads.clear()
    for stage, seconds in asdict(spent).items():
        work.count(f"{stage} seconds", seconds)
    return {"seen": dict(stages.seen)}
