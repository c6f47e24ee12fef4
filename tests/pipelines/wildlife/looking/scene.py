"""A run's outputs to look at: real videos, pictures and results, made in a second.

What the videos show is two discs that walk; what is asked of it is in `Sample`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from grange.pipelines.wildlife.formats.md import write_results
from grange.pipelines.wildlife.looking.plots import NAMES, write_plots
from grange.pipelines.wildlife.looking.review import Entry, write_review
from grange.pipelines.wildlife.looking.thumbs import write_thumb
from grange.pipelines.wildlife.results import (
    CATEGORIES,
    Detection,
    Kind,
    Media,
    Point,
    Results,
    Source,
)

KEYPOINTS = ("nose", "neck", "back", "tail", "left paw", "right paw")
SKELETON = (
    ("nose", "neck"),
    ("neck", "back"),
    ("back", "tail"),
    ("neck", "left paw"),
    ("tail", "right paw"),
)
SPECIES = {"1": "deer", "2": "fox", "3": "boar"}
SIZE = (320, 180)
RATE = Fraction(25)
# Of the original's frames every fifth is analysed.
EVERY = 5
TYPICAL = 0.25
# The names of items that a page must not stumble over.
ODD_NAMES = (
    "cam 1/50% & <b>bold</b> #3?.mp4",
    "cam 1/quote\"'`.mp4",
    "Kamera Süd/Füchse 🦊 .mp4",
    "cam 1/</script><img src=x onerror=alert(1)>.mp4",
)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An item of the run: what is found in it, how sure, when it was taken."""

    path: str
    found: dict[str, float] = field(default_factory=dict)  # category to the best confidence
    species: str = ""
    taken: datetime | None = None
    frames: int = 15
    failure: str = ""
    still: bool = False
    individuals: int = 1
    loss: str = ""


def pose_at(box: tuple[float, float, float, float], step: float) -> tuple[Point, ...]:
    """A pose within a box; its likelihood goes up and down, and below a half now and then."""
    x, y, width, height = box
    return tuple(
        (
            round(x + width * (0.5 + 0.4 * math.cos(number)), 4),
            round(y + height * (0.5 + 0.4 * math.sin(number + step / 3)), 4),
            round(0.7 + 0.3 * math.sin(number + step / 4), 3),
        )
        for number in range(len(KEYPOINTS))
    )


def results_of(sample: Sample) -> Results:
    """What was found in an item."""
    processed = () if sample.still else tuple(range(0, sample.frames * EVERY, EVERY))
    detections = [
        _detection(sample, category, conf, number, place)
        for place in range(1 if sample.still else sample.frames)
        for category, conf in sample.found.items()
        for number in range(sample.individuals)
    ]
    media = Media(
        sample.path,
        Kind.IMAGE if sample.still else Kind.VIDEO,
        *SIZE,
        taken=sample.taken,
        failure=sample.failure,
        detections=() if sample.failure else tuple(detections),
        frame_rate=None if sample.still else RATE,
        frames=0 if sample.still else sample.frames * EVERY,
        processed=processed,
    )
    return replace_media(media)


def replace_media(*media: Media) -> Results:
    """Results with these media, and the names that all of this scene share."""
    return Results(
        media,
        Source("sample-detector", "sample-classifier", "sample-pose", TYPICAL),
        dict(CATEGORIES),
        SPECIES,
        KEYPOINTS,
        SKELETON,
    )


def _detection(sample: Sample, category: str, conf: float, number: int, place: int) -> Detection:
    share = place / max(sample.frames, 1)
    way = share if number % 2 == 0 else 1 - share
    box = (round(0.05 + 0.65 * way, 4), round(0.3 + 0.2 * number, 4), 0.25, 0.35)
    named = next((key for key, name in SPECIES.items() if name == sample.species), None)
    animal = category == "1"
    return Detection(
        category,
        round(conf * (1 - 0.1 * share), 3),
        box,
        None if sample.still else place * EVERY,
        None if sample.still else number + 1 + 10 * (int(category) - 1),
        ((named, 0.9),) if named and animal else (),
        pose_at(box, place) if animal and not sample.still else (),
    )


def record_of(sample: Sample, results: Results) -> dict[str, Any]:
    """The small record that the pipeline keeps of an item."""
    (media,) = results.media
    found = {
        CATEGORIES[category]: {
            "conf": conf,
            "detections": sum(one.category == category for one in media.detections),
            "tracks": 0 if sample.still else sample.individuals,
        }
        for category, conf in sample.found.items()
    }
    return {
        "kind": str(media.kind),
        "width": media.width,
        "height": media.height,
        "frames": media.frames,
        "analysed": len(media.processed),
        "frame_rate": str(media.frame_rate) if media.frame_rate else None,
        "variable_rate": False,
        "seconds": float(media.frames / RATE),
        "taken": sample.taken.isoformat() if sample.taken else None,
        "found": found,
        "species": {sample.species: 0.9} if sample.species else {},
        "thumb": "thumb.jpg",
        "labelled": "labelled.jpg" if sample.still else "labelled.mp4",
        "poses": "1" in sample.found and not sample.still,
        "typical": TYPICAL,
        "loss": sample.loss,
    }


Drawn = Callable[[Sample, int], NDArray[np.uint8]]


def drawn(sample: Sample, place: int) -> NDArray[np.uint8]:
    """A frame with discs where the detections are."""
    picture = Image.new("RGB", SIZE, (96, 112, 84))
    pen = ImageDraw.Draw(picture)
    for one in results_of(sample).media[0].detections:
        if one.frame in {None, place * EVERY}:
            x, y, width, height = one.box
            around = (x * SIZE[0], y * SIZE[1], (x + width) * SIZE[0], (y + height) * SIZE[1])
            pen.ellipse(around, fill=(150, 104, 60))
    return np.asarray(picture)


def write_item(folder: Path, sample: Sample, results: Results, pixels: Drawn = drawn) -> None:
    """Write the outputs of an item, as the pipeline does."""
    folder.mkdir(parents=True, exist_ok=True)
    (media,) = results.media
    write_results(results, folder / "detections.json")
    best = 0 if sample.still else sample.frames // 2
    seen = [one for one in media.detections if one.frame in {None, best * EVERY}]
    write_thumb(pixels(sample, best), seen, folder / "thumb.jpg")
    if sample.still:
        Image.fromarray(pixels(sample, 0)).save(folder / "labelled.jpg")
        return
    write_video(folder / "labelled.mp4", (pixels(sample, place) for place in range(sample.frames)))
    if "1" in sample.found:
        write_plots(folder / "plot-poses" / Path(sample.path).stem, results, 0.6)


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]]) -> None:
    """Write a video that browsers play; each frame is shown at its time in the original."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream: VideoStream | None = None
        for place, pixels in enumerate(frames):
            if stream is None:
                stream = container.add_stream("libx264", rate=5)
                stream.width, stream.height = pixels.shape[1], pixels.shape[0]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.time_base = Fraction(1, 25)
                stream.options = {"preset": "veryfast", "bf": "0"}
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = place * EVERY, Fraction(1, 25)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())


def outputs_of(sample: Sample) -> list[str]:
    """The names of the files that an item has."""
    names = ["detections.json", "thumb.jpg", "labelled.jpg" if sample.still else "labelled.mp4"]
    if "1" in sample.found and not sample.still:
        names += [f"plot-poses/{Path(sample.path).stem}/{name}" for name in NAMES]
    return names


def write_run(out: Path, samples: Iterable[Sample], pixels: Drawn = drawn) -> Path:
    """Write a run's outputs with its review; gives the review's page."""
    entries = []
    for sample in samples:
        results = results_of(sample)
        if sample.failure:
            entries.append(Entry(path=sample.path, folder=sample.path, failure=sample.failure))
            continue
        write_item(out / sample.path, sample, results, pixels)
        entries.append(
            Entry(
                path=sample.path,
                folder=sample.path,
                result=json.loads(json.dumps(record_of(sample, results))),
                media=results.media[0],
                outputs=outputs_of(sample),
            )
        )
    (out / "report").mkdir(parents=True, exist_ok=True)
    write_review(out / "report", entries, replace_media(), title="Spring 2026")
    return out / "report" / "review.html"
