"""Frames of segments: those that are wanted, the same whatever was read before."""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from grange.errors import InputMissing
from grange.pipelines.wildlife.media import stretches
from grange.pipelines.wildlife.media.decoding import VideoReader, digest_of, frames_of
from grange.pipelines.wildlife.media.indexing import index_video
from grange.pipelines.wildlife.media.stills import open_still
from tests.pipelines.wildlife.media import filming
from tests.pipelines.wildlife.media.filming import every, film, read, told

MIB = 1 << 20
PEAK = """
import json, sys
from pathlib import Path
from grange.pipelines.wildlife.media.indexing import index_video
from tests.pipelines.wildlife.media.filming import read, shown
info = index_video(Path(sys.argv[1]))
numbers = [shown(frame.picture.scaled(320, 180)) for frame in read(Path(sys.argv[1]), info)]
lines = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(json.dumps([numbers, [info.width, info.height, info.frame_bytes], peak * 1024]))
"""
OPEN = {"x264-params": "open-gop=1:scenecut=0:bframes=3:b-adapt=0"}


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("closed.mp4", "libx264", {"bf": "3"}),
        ("open.mp4", "libx264", OPEN),
        ("open.mkv", "libx264", OPEN),
        ("open.ts", "libx264", OPEN),
        ("motion.avi", "mjpeg", {}),
        ("two.mpg", "mpeg2video", {"bf": "2"}),
    ],
)
@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(lambda number, _pts: number % 6 == 0, id="every sixth"),
        pytest.param(lambda number, _pts: number % 100 == 99, id="few"),
        pytest.param(lambda number, _pts: number in {0, 47, 48, 287, 288, 599}, id="at the seams"),
    ],
)
def test_only_wanted_frames_come_and_they_are_the_right_ones(
    tmp_path: Path,
    name: str,
    codec: str,
    options: dict[str, str],
    wanted: Callable[[int, int], bool],
) -> None:
    """What need not be decoded is left out, without a change to what is wanted."""
    path = film(tmp_path / name, 600, rate=25, gop=48, codec=codec, options=options)
    info = index_video(path)

    whole = {each.number: each.picture.pixels() for each in read(path, info)}
    some = read(path, info, wanted)

    expected = [number for number in range(600) if wanted(number, 0)]
    assert [(number, number) for number in expected] == told(some)
    assert all(np.array_equal(whole[each.number], each.picture.pixels()) for each in some)


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts", "avi"])
def test_a_segment_is_the_same_whatever_was_read_before(tmp_path: Path, container: str) -> None:
    """In any order, or each by a reader of its own: the same frames and the same digest."""
    path = film(tmp_path / f"clip.{container}", 900, rate=25, gop=48, options={"bf": "2"})
    info = index_video(path)
    plain = info.alone()
    order = list(info.segments)
    random.Random(4).shuffle(order)

    alone = {each.number: told(list(frames_of(path, plain, each, every))) for each in info.segments}
    digests = {each.number: digest_of(path, plain, each) for each in info.segments}
    with VideoReader(path, plain) as reader:
        mixed = {each.number: told(list(reader.frames(each, every))) for each in order}
        mixed_digests = {each.number: reader.digest(each) for each in order}

    assert 900 == sum(len(frames) for frames in alone.values())
    assert alone == mixed
    assert digests == mixed_digests
    assert len(info.segments) == len(set(digests.values()))


def test_a_digest_tells_of_each_change(tmp_path: Path) -> None:
    """Other packets, other times or another place in the video make another digest."""
    clips = [
        film(tmp_path / "a.mp4", 30, rate=25),
        film(tmp_path / "b.mp4", 31, rate=25),
        film(tmp_path / "c.mp4", 30, rate=24),
        film(tmp_path / "d.mp4", 30, rate=25, rotation=90),
        film(tmp_path / "again.mp4", 30, rate=25),
    ]
    digests = []
    for clip in clips:
        info = index_video(clip)
        digests.append(digest_of(clip, info, info.segments[0]))

    assert digests[0] == digests[4]
    assert 4 == len(set(digests))


def test_a_segment_too_large_to_be_kept_is_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packets beyond the limit are not held in memory; the frames are the same."""
    path = film(tmp_path / "clip.mp4", 600, rate=25, gop=48, options=OPEN)
    info = index_video(path)
    held = told(read(path, info))
    monkeypatch.setattr(stretches, "MAX_HELD_BYTES", 100)

    assert held == told(read(path, info))


def test_more_threads_give_the_same_pixels(tmp_path: Path) -> None:
    """How many threads decode changes nothing of what comes out."""
    path = film(tmp_path / "clip.mp4", 100, rate=25, size=(320, 240))
    info = index_video(path)
    one = read(path, info, lambda number, _pts: number % 5 == 0)

    with VideoReader(path, info, threads=3) as reader:
        three = list(reader.frames(info.segments[0], lambda number, _pts: number % 5 == 0))

    assert told(one) == told(three)
    assert all(
        np.array_equal(a.picture.pixels(), b.picture.pixels())
        for a, b in zip(one, three, strict=True)
    )


def test_a_picture_gives_its_whole_and_its_parts_in_any_size(tmp_path: Path) -> None:
    """Scaled pictures have the size that was asked for, parts end at the picture's edge."""
    path = film(tmp_path / "clip.mp4", 3, size=(63 * 2, 46))
    info = index_video(path)
    picture = read(path, info)[2].picture

    assert (46, 126, 3) == picture.pixels().shape
    assert (20, 31, 3) == picture.scaled(31, 20).shape
    assert 2 == filming.shown(picture.scaled(240, 120))
    assert np.array_equal(picture.pixels()[10:46, 100:126], picture.cropped(100, 10, 500, 90))
    assert (0, 0, 3) == picture.cropped(200, 10, 500, 90).shape
    with pytest.raises(ValueError, match="read-only"):
        picture.scaled(31, 20)[0, 0] = 0


def test_parts_of_a_large_picture_are_those_of_the_whole(tmp_path: Path) -> None:
    """Cut out before it is converted, a part shows the same to the eye."""
    path = film(tmp_path / "large.mp4", 2, size=(2048, 1536), options={"preset": "ultrafast"})
    info = index_video(path)
    frame = read(path, info)[1]
    whole = frame.picture.pixels().astype(int)

    for box in [(501, 301, 900, 700), (0, 0, 33, 31), (2000, 1500, 2100, 1600), (7, 8, 9, 10)]:
        left, top, right, bottom = box
        part = frame.picture.cropped(*box).astype(int)
        expected = whole[top:bottom, left:right]
        assert expected.shape == part.shape
        assert np.abs(expected - part).max() <= 8


def test_a_frame_of_8k_is_decoded_in_bounded_memory(tmp_path: Path) -> None:
    """No more of it is converted than the size that is asked for."""
    path = film(tmp_path / "8k.avi", 2, size=(7680, 4320), codec="mjpeg")
    ran = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    numbers, size, peak = json.loads(ran.stdout)

    assert [0, 1] == numbers
    assert [7680, 4320, 7680 * 4320 * 3] == size
    # Two frames of 50 MB are alive at once; in RGB they would take 200 MB more.
    assert peak < 330 * MIB


def test_two_hundred_files_leave_nothing_open_and_nothing_behind(tmp_path: Path) -> None:
    """Whoever reads file after file keeps as many descriptors and as much memory as before."""
    clip = film(tmp_path / "clip.mp4", 12, size=(320, 240))
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:2000])
    still = tmp_path / "still.png"
    open_picture = av.VideoFrame.from_ndarray(filming.numbered(5, (320, 240)), format="rgb24")
    open_picture.to_image().save(still)

    def go_through() -> None:
        info = index_video(clip)
        read(clip, info, lambda number, _pts: number == 7)
        next(frames_of(clip, info, info.segments[0], every)).picture.pixels()
        open_still(still)
        with pytest.raises(Exception, match="cut off"):
            index_video(broken)

    for _ in range(10):
        go_through()
    descriptors, memory = _descriptors(), _resident()
    for _ in range(50):
        go_through()

    assert descriptors == _descriptors()
    assert _resident() - memory < 12 * MIB


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_file_that_went_away_is_said_to_be_missing(tmp_path: Path) -> None:
    """Between the index and the work, a file may have been moved."""
    path = film(tmp_path / "clip.mp4", 5)
    info = index_video(path)
    path.unlink()

    with pytest.raises(InputMissing, match=r"'clip\.mp4' is not there any more"):
        list(frames_of(path, info, info.segments[0], every))


def test_names_are_taken_as_they_are(tmp_path: Path) -> None:
    """Colons, per cent signs, spaces and bytes that are no UTF-8 are nothing special in a name."""
    for name in ["a:b.mp4", "img%03d.mp4", "two words.mp4", "b\udcff.mp4", "ü.mp4", "concat:x|y"]:
        path = tmp_path / "plain.mp4"
        film(path, 3).rename(tmp_path / name)
        info = index_video(tmp_path / name)
        assert (3, Fraction(30000, 1001)) == (info.frames, info.frame_rate)
