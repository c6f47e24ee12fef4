"""A video of ten hours: what it takes of memory, beside one of an hour."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
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


def measure(*, quick: bool = False) -> Result:
    """Analyse a short one and a long one, in turn."""
    lengths, repetitions = ((0.02, 0.04), 1) if quick else (HOURS, REPETITIONS)
    result = Result(
        "longvideo",
        f"Wildlife, a video of {lengths[-1]:g} hours, {WORKERS} workers",
        f"Made of the same {LOOP_SECONDS} s of an animal again and again, {SIZE[0]}x{SIZE[1]} at "
        f"{FPS} frames a second, of which every {Fraction(SAMPLE_FPS).denominator * FPS}th is "
        "analysed; the labelled video, tables and plots are written too. Memory is the largest "
        "resident set of any worker, which all libraries and models are part of. The time is that "
        "of the whole run.",
    )
    with tempfile.TemporaryDirectory() as folder:
        videos = {hours: _film(Path(folder, f"{hours}.mp4"), hours) for hours in lengths}
        contestants = {
            f"{hours:g} h": partial(in_child, "longvideo", video) for hours, video in videos.items()
        }
        found = in_turn(contestants, repetitions=repetitions)
    for name, answers in found.items():
        memory = [one["peak_bytes"] / 1e6 for one in answers]
        result.rows += [
            Row(f"{name}, peak memory of a worker", "MB", memory),
            Row(f"{name}, whole run", "s", [one["seconds"] for one in answers], 1),
        ]
    small, large = (result.median(f"{hours:g} h, peak memory of a worker") for hours in lengths)
    what = f"times the memory of {lengths[0]:g} h"
    result.targets.append(Target(what, large / small, LARGER_AT_MOST, at_most=True))
    return result


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


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1])))
