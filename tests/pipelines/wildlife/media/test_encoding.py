"""Labelled videos: exact times, identical bytes, joined without encoding again."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from grange.pipelines.wildlife.media.encoding import (
    LabelledWriter,
    join,
    labelled_size,
    write_jpeg,
)
from grange.pipelines.wildlife.media.indexing import index_video
from tests.pipelines.wildlife.media.filming import numbered, read, shown

NTSC_TICK = Fraction(1001, 30000)


def write(path: Path, pictures: dict[int, int], tick: Fraction = NTSC_TICK) -> Path:
    """A segment that shows at each time a number."""
    with LabelledWriter(path, 64, 48, tick, Fraction(5)) as writer:
        for pts, number in pictures.items():
            writer.write(numbered(number), pts)
    return path


@pytest.mark.parametrize(
    "tick", [NTSC_TICK, Fraction(1, 1000), Fraction(1, 90_000), Fraction(1, 1_000_000)]
)
def test_joined_segments_show_each_picture_at_its_exact_time(
    tmp_path: Path, tick: Fraction
) -> None:
    """Across segments, from a late first picture on, at even and at uneven distances."""
    pictures = {7: 1, 13: 2, 19: 3, 300: 4, 306: 5, 331: 6, 900: 7}
    items = list(pictures.items())
    parts = [
        write(tmp_path / str(number), dict(chunk), tick)
        for number, chunk in enumerate([items[:3], items[3:5], [], items[5:]])
    ]

    join(parts, tmp_path / "labelled.mp4")

    with av.open(str(tmp_path / "labelled.mp4")) as file:
        stream = file.streams.video[0]
        frames = list(file.decode(stream))
        found = {
            frame.pts * stream.time_base: shown(frame.to_ndarray(format="rgb24"))
            for frame in frames
            if frame.pts is not None and stream.time_base is not None
        }
    assert {pts * tick: number for pts, number in items} == found


def test_a_labelled_video_plays_in_browsers_as_it_arrives(tmp_path: Path) -> None:
    """H.264 of 8 bits in an MP4 whose index comes first."""
    join([write(tmp_path / "a", {0: 1, 6: 2})], tmp_path / "labelled.mp4")

    content = (tmp_path / "labelled.mp4").read_bytes()
    with av.open(str(tmp_path / "labelled.mp4")) as file:
        context = file.streams.video[0].codec_context
        assert ("h264", "yuv420p") == (context.name, context.pix_fmt)
    assert content.index(b"moov") < content.index(b"mdat")
    assert not index_video(tmp_path / "labelled.mp4").loss


def test_the_same_pictures_make_the_same_bytes(tmp_path: Path) -> None:
    """Segments and whole: no clock, no version and no path goes into them."""
    digests = set()
    for name in ("one", "another"):
        folder = tmp_path / name
        folder.mkdir()
        parts = [write(folder / "a", {0: 1, 6: 2}), write(folder / "b", {12: 3})]
        join(parts, folder / "labelled.mp4")
        files = [*parts, folder / "labelled.mp4"]
        digests.add(tuple(hashlib.sha256(each.read_bytes()).hexdigest() for each in files))

    assert 1 == len(digests)


def test_joining_in_steps_of_any_size_gives_the_same_packets(tmp_path: Path) -> None:
    """Whether segments were made by one worker or by many can't be told from the video."""
    segments = [write(tmp_path / str(n), {60 * n: n, 60 * n + 6: n + 50}) for n in range(5)]

    join(segments, tmp_path / "labelled.mp4")
    info = index_video(tmp_path / "labelled.mp4")
    frames = read(tmp_path / "labelled.mp4", info)

    assert 10 == info.frames
    assert [0, 50, 1, 51, 2, 52, 3, 53, 4, 54] == [shown(each.picture.pixels()) for each in frames]


def test_pictures_of_one_time_are_told_apart(tmp_path: Path) -> None:
    """A broken file that shows two pictures at once still gives a video that plays."""
    path = tmp_path / "segment"
    with LabelledWriter(path, 64, 48, Fraction(1, 1000), Fraction(5)) as writer:
        for number, pts in enumerate([0, 200, 200, 400]):
            writer.write(numbered(number), pts)

    join([path], tmp_path / "labelled.mp4")

    assert 4 == index_video(tmp_path / "labelled.mp4").frames


def test_no_pictures_make_no_video(tmp_path: Path) -> None:
    """Of segments in which nothing was analysed there is nothing to join."""
    join([write(tmp_path / "a", {}), write(tmp_path / "b", {})], tmp_path / "labelled.mp4")

    assert not (tmp_path / "labelled.mp4").exists()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 360), (640, 360)),
        ((641, 361), (640, 360)),
        ((7680, 4320), (1920, 1080)),
        ((2160, 3840), (1080, 1920)),
        ((1, 1), (2, 2)),
    ],
)
def test_a_labelled_video_has_a_size_that_encoders_take(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    """Even, and full HD at most, whatever the camera made."""
    assert expected == labelled_size(*size)
    width, height = expected
    with LabelledWriter(tmp_path / "a", width, height, NTSC_TICK, Fraction(5)) as writer:
        writer.write(np.full((height, width, 3), 99, np.uint8), 0)
    join([tmp_path / "a"], tmp_path / "labelled.mp4")
    info = index_video(tmp_path / "labelled.mp4")
    assert expected == (info.width, info.height)


def test_colours_survive(tmp_path: Path) -> None:
    """What is painted red is red in the video, to anyone who decodes it as it says."""
    colours = [(230, 159, 0), (86, 180, 233), (255, 255, 255), (0, 0, 0), (200, 20, 20)]
    with LabelledWriter(tmp_path / "a", 64, 48, NTSC_TICK, Fraction(5)) as writer:
        for number, colour in enumerate(colours):
            writer.write(np.full((48, 64, 3), colour, np.uint8), 6 * number)
    join([tmp_path / "a"], tmp_path / "labelled.mp4")

    frames = read(tmp_path / "labelled.mp4", index_video(tmp_path / "labelled.mp4"))

    for colour, frame in zip(colours, frames, strict=True):
        assert np.abs(frame.picture.pixels()[24, 32].astype(int) - colour).max() < 8


def test_a_jpeg_is_as_wide_as_was_asked_for(tmp_path: Path) -> None:
    """Never wider than the picture itself, and the same bytes each time."""
    pixels = numbered(77, (640, 360))
    write_jpeg(pixels, tmp_path / "a.jpg", width=320)
    write_jpeg(pixels, tmp_path / "b.jpg", width=320)
    write_jpeg(pixels, tmp_path / "c.jpg", width=9999)

    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()
    with Image.open(tmp_path / "a.jpg") as small, Image.open(tmp_path / "c.jpg") as whole:
        assert ((320, 180), (640, 360)) == (small.size, whole.size)
