"""A video of ten hours: what it takes of memory, beside one of an hour."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

from benchmarks.measure import Result, Row, Target, in_child, in_turn

HOURS = (1, 10)
REPETITIONS = 2
WORKERS = 2
SIZE, FPS, LOOP_SECONDS = (160, 90), 5, 20
SAMPLE_FPS = "1/2"
LARGER_AT_MOST = 1.1
PEAK, INDEX = "peak memory of a worker", "of it FFmpeg's index of the file"


def measure(*, quick: bool = False) -> Result:
    """Analyse a short one and a long one, in turn."""
    lengths, repetitions = ((0.02, 0.04), 1) if quick else (HOURS, REPETITIONS)
    result = Result(
        "longvideo",
        f"Wildlife, a video of {lengths[-1]:g} hours, {WORKERS} workers",
        f"Made of the same {LOOP_SECONDS} s of an animal again and again, {SIZE[0]}x{SIZE[1]} at "
        f"{FPS} frames a second, of which every {Fraction(SAMPLE_FPS).denominator * FPS}th is "
        "analysed; the labelled video, tables and plots are written too. Memory is the largest "
        "resident set of any worker, which all libraries and models are part of. FFmpeg holds an "
        "MP4's index of all frames as long as the file is open, in whatever program: that is "
        "measured by opening the file and nothing else, and the target is about what is there "
        "besides. The time is that of the whole run.",
    )
    with tempfile.TemporaryDirectory() as folder:
        videos = {hours: _film(Path(folder, f"{hours}.mp4"), hours) for hours in lengths}
        contestants = {
            f"{hours:g} h": partial(in_child, "longvideo", video) for hours, video in videos.items()
        }
        indexes = in_turn(
            {
                name: partial(in_child, "longvideo", video, "index")
                for name, video in zip(contestants, videos.values(), strict=True)
            },
            repetitions=repetitions,
        )
        found = in_turn(contestants, repetitions=repetitions)
    for name, answers in found.items():
        result.rows += [
            Row(f"{name}, {PEAK}", "MB", _megabytes(answers)),
            Row(f"{name}, {INDEX}", "MB", _megabytes(indexes[name])),
            Row(f"{name}, whole run", "s", [one["seconds"] for one in answers], 1),
        ]
    small, large = (_besides(result, f"{hours:g} h") for hours in lengths)
    what = f"times the memory of {lengths[0]:g} h, besides the file's index"
    result.targets.append(Target(what, large / small, LARGER_AT_MOST, at_most=True))
    return result


def _megabytes(answers: Sequence[dict[str, float]]) -> list[float]:
    return [one["peak_bytes"] / 1e6 for one in answers]


def _besides(result: Result, name: str) -> float:
    return result.median(f"{name}, {PEAK}") - result.median(f"{name}, {INDEX}")


def _film(path: Path, hours: float) -> Path:
    """Film one loop, and put its packets behind one another."""
    import av

    from training.clips import write_clip
    from training.scenes import Scene

    loop = path.with_name("loop.mp4")
    if not loop.exists():
        write_clip(loop, Scene(7001, size=SIZE, kinds=("deer",), count=1), LOOP_SECONDS, FPS)
    with av.open(str(loop)) as source, av.open(str(path), "w") as target:
        template = source.streams.video[0]
        stream = target.add_stream_from_template(template)
        tick = template.time_base or Fraction(1, 90_000)
        packets = [
            (bytes(one), one.pts or 0, one.dts or 0, one.is_keyframe)
            for one in source.demux(template)
            if one.size
        ]
        for number in range(round(hours * 3600 / LOOP_SECONDS)):
            later = round(number * LOOP_SECONDS / tick)
            for data, pts, dts, key in packets:
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, tick
                packet.pts, packet.dts, packet.is_keyframe = pts + later, dts + later, key
                target.mux(packet)
    return path


def run(video: str) -> dict[str, float]:
    from grange import settings
    from grange.bootstrap import open_site
    from grange.runs.models import RunRequest

    with tempfile.TemporaryDirectory() as folder:
        request = RunRequest(
            pipeline="wildlife",
            inputs=[video],
            out=f"{folder}/out",
            params={"sample_fps": SAMPLE_FPS},
        )
        with open_site(settings.load({"home": f"{folder}/home"})) as site:
            begun = time.perf_counter()
            view = site.drive(site.submit(request).run.id, workers=WORKERS)
            seconds = time.perf_counter() - begun
    assert view.counts.done == 1, view.counts
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"seconds": seconds, "peak_bytes": largest * 1024}


def index(video: str) -> dict[str, float]:
    """What opening the file takes, and nothing else."""
    import av

    from grange.worker.memory import resident_bytes

    before = resident_bytes()
    with av.open(video) as source:
        assert source.streams.video
        return {"peak_bytes": resident_bytes() - before}


if __name__ == "__main__":
    print(json.dumps(index(sys.argv[1]) if sys.argv[2:] == ["index"] else run(sys.argv[1])))
