"""Write scenes as the files of trail cameras: python -m training.clips FOLDER.

Makes folders of cameras with short clips and a few photographs, with dates in
names and metadata: what `make demo`, the tests and the benchmarks work on.
"""

from __future__ import annotations

import argparse
import multiprocessing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import cast

import av
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from training.scenes import Scene

TICKS = 90_000  # a second, in the time base of every clip
EXACT = Interpolation.BILINEAR | Interpolation.BITEXACT | Interpolation.ACCURATE_RND
# Nothing may depend on frames to come, on the processor, or on how many of them there are.
X264 = {
    "preset": "superfast",
    "crf": "23",
    "x264-params": "threads=1:lookahead-threads=1:sliced-threads=0:cpu-independent=1:bframes=0:"
    "rc-lookahead=0:sync-lookahead=0:mbtree=0:open-gop=0:scenecut=0",
}
TAKEN = 0x9003  # EXIF: DateTimeOriginal
EXIF = 0x8769


def write_clip(  # noqa: PLR0913 - what a camera can be set to
    path: Path,
    scene: Scene,
    seconds: float,
    fps: Fraction | int = 30,
    *,
    gop: int | None = None,
    codec: str = "libx264",
    variable_rate: bool = False,
    started: datetime | None = None,
) -> None:
    """Write so many seconds of a scene as a video, the same bytes each time.

    Frame n is shown at exactly n / fps; with `variable_rate` every second frame comes a third of
    a frame later. `gop` is the number of frames from one keyframe to the next (two seconds);
    `started` goes into the file's metadata.
    """
    rate = Fraction(fps)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        if started is not None:
            moment = started.astimezone(UTC) if started.tzinfo else started
            container.metadata["creation_time"] = f"{moment:%Y-%m-%dT%H:%M:%S}.000000Z"
        options = X264 if codec == "libx264" else {}
        stream = cast("VideoStream", container.add_stream(codec, rate=rate, options=options))
        stream.width, stream.height = scene.size
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        stream.codec_context.time_base = Fraction(1, TICKS)
        stream.codec_context.gop_size = gop or max(1, round(2 * rate))
        scaler = VideoReformatter()
        for number in range(max(1, round(seconds * rate))):
            late = Fraction(number % 2, 3) if variable_rate else Fraction(0)
            ticks = round((number + late) * TICKS / rate)
            picture = av.VideoFrame.from_ndarray(scene.frame(ticks / TICKS).pixels, format="rgb24")
            # Quicker conversions depend on where in memory the picture happens to lie.
            picture = scaler.reformat(picture, format="yuv420p", interpolation=EXACT, threads=1)
            picture.pts, picture.time_base = ticks, Fraction(1, TICKS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def write_photograph(path: Path, scene: Scene, seconds: float, taken: datetime) -> None:
    """Write one moment of a scene as a JPEG with its date in the EXIF."""
    picture = Image.fromarray(scene.frame(seconds).pixels)
    exif = Image.Exif()
    exif[0x0110] = "Trail camera"
    exif.get_ifd(EXIF)[TAKEN] = f"{taken:%Y:%m:%d %H:%M:%S}"
    picture.save(path, quality=88, exif=exif)


@dataclass(frozen=True)
class Shot:
    """One file of the demonstration: where, when, and what comes by."""

    camera: str
    moment: datetime
    name: str
    seed: int  # of a scene in which one sees well what comes by
    kinds: tuple[str, ...]
    count: int
    light: str
    country: str
    height: tuple[float, float] = (0.25, 0.6)
    still: bool = False


def _at(day: int, hour: int, minute: int) -> datetime:
    return datetime(2026, 5, day, hour, minute, 20, tzinfo=UTC)


SHOTS = (
    Shot("creek", _at(4, 6, 12), "deer", 20101, ("deer",), 2, "day", "meadow"),
    Shot("creek", _at(4, 22, 47), "fox", 20111, ("fox",), 1, "night", "meadow", (0.2, 0.35)),
    Shot("ridge", _at(5, 19, 58), "boar", 20122, ("boar",), 3, "dusk", "wood", (0.2, 0.45)),
    Shot("ridge", _at(6, 10, 5), "person", 20134, ("person",), 1, "day", "wood", (0.4, 0.7)),
    Shot("gate", _at(6, 11, 31), "vehicle", 20141, ("vehicle",), 1, "day", "dry", (0.25, 0.4)),
    Shot("gate", _at(7, 3, 40), "empty", 20150, (), 0, "night", "dry"),
    Shot("gate", _at(7, 8, 2), "cattle", 20166, ("cattle",), 2, "day", "dry", (0.3, 0.6)),
    Shot("ridge", _at(8, 7, 20), "bear", 20175, ("bear",), 1, "day", "moor", (0.3, 0.55)),
    Shot(
        "creek", _at(8, 6, 50), "deer", 20180, ("deer",), 1, "day", "snow", (0.3, 0.6), still=True
    ),
    Shot(
        "creek",
        _at(8, 6, 55),
        "deer",
        20196,
        ("deer",),
        3,
        "day",
        "meadow",
        (0.15, 0.4),
        still=True,
    ),
    Shot(
        "gate",
        _at(9, 23, 15),
        "boar",
        20204,
        ("boar",),
        2,
        "night",
        "meadow",
        (0.2, 0.4),
        still=True,
    ),
    Shot("ridge", _at(9, 12, 0), "empty", 20210, (), 0, "day", "moor", still=True),
)


def write_demo(folder: Path, count: int | None, seconds: float, seed: int) -> list[Path]:
    """Write the first `count` files of the demonstration; further ones repeat with other seeds.

    A file that is there stays as it is. Without a count, a damaged clip comes last.
    """
    numbers = range(len(SHOTS) if count is None else count)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        paths = pool.map(partial(_write, folder, seconds, seed), numbers, chunksize=1)
    if count is None:
        paths.append(_torn(paths[0]))
    return paths


def _write(folder: Path, seconds: float, seed: int, number: int) -> Path:
    turn, at = divmod(number, len(SHOTS))
    shot = SHOTS[at]
    moment = shot.moment + timedelta(days=7 * turn)
    ending = "jpg" if shot.still else "mp4"
    path = folder / shot.camera / f"{moment:%Y-%m-%d_%H%M}_{shot.name}.{ending}"
    if path.exists():
        return path
    scene = Scene(
        shot.seed + seed + 1000 * turn,
        kinds=shot.kinds or None,
        count=shot.count,
        light=shot.light,
        country=shot.country,
        height=shot.height,
        started=moment.replace(tzinfo=None),
        camera=shot.camera,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whoever stops this half-way finds no half file the next time.
    part = path.with_suffix(f".part.{ending}")
    if shot.still:
        write_photograph(part, scene, 2.5, moment)
    else:
        write_clip(part, scene, seconds, started=moment)
    return part.replace(path)


def _torn(whole: Path) -> Path:
    """Write what a camera leaves whose battery dies: a clip without its end, and its index."""
    path = whole.with_name(whole.name.replace("_deer", "_torn"))
    if not path.exists():
        content = whole.read_bytes()
        data = content.index(b"mdat")
        path.write_bytes(content[:32] + content[data - 4 : (data + len(content)) // 2])
    return path


def main() -> None:
    """Write the clips that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m training.clips", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, help=f"how many files (default: {len(SHOTS)})")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long a clip is")
    parser.add_argument(
        "--seed", type=int, default=0, help="another seed has other animals come by"
    )
    asked = parser.parse_args()
    paths = write_demo(asked.folder, asked.count, asked.seconds, asked.seed)
    print(f"{len(paths)} files are in {asked.folder}")


if __name__ == "__main__":
    main()
