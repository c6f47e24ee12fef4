"""The index of a video: numbers, times, rates and segments, from packets alone."""

from __future__ import annotations

import subprocess
import sys
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from grange.pipelines.wildlife.media.indexing import index_video
from grange.pipelines.wildlife.media.videos import VideoInfo
from tests.pipelines.wildlife.media import filming
from tests.pipelines.wildlife.media.filming import NTSC, film, read, told

MIB = 1 << 20
PEAK = """
import sys
from pathlib import Path
from grange.pipelines.wildlife.media.indexing import index_video
info = index_video(Path(sys.argv[1]))
lines = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(info.frames, peak)
"""


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("plain.mp4", "libx264", {"bf": "0"}),
        ("b-frames.mp4", "libx264", {"bf": "3"}),
        ("b-frames.mkv", "libx264", {"bf": "3"}),
        ("b-frames.mov", "libx264", {"bf": "3"}),
        ("b-frames.ts", "libx264", {"bf": "3"}),
        ("b-frames.avi", "libx264", {"bf": "3"}),
        ("plain.avi", "libx264", {"bf": "0"}),
        ("motion.avi", "mjpeg", {}),
        ("asp.avi", "mpeg4", {"bf": "2"}),
        ("raw.h264", "libx264", {"bf": "3"}),
        ("two.mpg", "mpeg2video", {"bf": "2"}),
        ("web.webm", "libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    ],
)
def test_frames_are_numbered_in_the_order_in_which_they_are_shown(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    """In each container, with or without B-frames and times, frame n is the n-th that is shown."""
    path = film(tmp_path / name, 50, codec=codec, options=options)

    info = index_video(path)
    frames = read(path, info)

    assert (50, False, NTSC) == (info.frames, info.variable_rate, info.frame_rate)
    assert [(number, number) for number in range(50)] == told(frames)
    assert [number / float(NTSC) for number in range(50)] == pytest.approx(
        [each.seconds for each in frames], abs=0.001
    )


@pytest.mark.parametrize("rate", [25, 30, NTSC, Fraction(24000, 1001), 15, 60, Fraction(25, 2)])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_constant_rate_is_exact(tmp_path: Path, rate: Fraction, container: str) -> None:
    """The rate is a fraction without rounding, even where times are rounded to milliseconds."""
    info = index_video(film(tmp_path / f"clip.{container}", 40, rate=rate))

    assert (Fraction(rate), False) == (info.frame_rate, info.variable_rate)
    assert float(40 / Fraction(rate)) == pytest.approx(info.seconds, abs=0.002)


def test_a_variable_rate_is_said(tmp_path: Path) -> None:
    """Frames at uneven distances are variable; the rate is their mean and the times are exact."""
    times = [0, 40, 80, 170, 210, 250, 400, 440]
    path = film(tmp_path / "uneven.mp4", 8, times=times, time_base=Fraction(1, 1000), rate=25)

    info = index_video(path)
    frames = read(path, info)

    assert (True, Fraction(7000, 440)) == (info.variable_rate, info.frame_rate)
    assert [each / 1000 for each in times] == [each.seconds for each in frames]


def test_one_frame_left_out_makes_a_rate_variable(tmp_path: Path) -> None:
    """A gap of a single frame is found, in the coarsest time base too."""
    times = [*range(20), *range(21, 40)]
    path = film(tmp_path / "gap.mp4", 39, times=times, rate=25)

    assert index_video(path).variable_rate


def test_a_video_that_begins_late_or_early_counts_from_its_first_frame(tmp_path: Path) -> None:
    """Whatever the file's clock says at the first frame, that frame's time is 0."""
    times = [90_000 + 3600 * number for number in range(20)]
    path = film(tmp_path / "late.mp4", 20, times=times, time_base=Fraction(1, 90_000), rate=25)

    info = index_video(path)
    frames = read(path, info)

    assert [0.0, 0.04] == [each.seconds for each in frames[:2]]
    assert [(number, number) for number in range(20)] == told(frames)


def test_frames_that_an_edit_list_hides_are_not_counted(tmp_path: Path) -> None:
    """What a player skips at the beginning is no frame of the video."""
    path = film(
        tmp_path / "edited.mp4",
        40,
        times=list(range(-7, 33)),
        rate=25,
        container_options={"avoid_negative_ts": "disabled"},
    )

    info = index_video(path)
    frames = read(path, info)

    assert 33 == info.frames
    assert [(number, number + 7) for number in range(33)] == told(frames)
    assert 0.0 == frames[0].seconds


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("odd.mp4", "libx264", "yuv444p"),
        ("odd.mkv", "ffv1", "yuv420p"),
        ("odd.webm", "libvpx-vp9", "yuv420p"),
        ("odd.avi", "mjpeg", "yuvj420p"),
        ("raw.avi", "rawvideo", "yuv420p"),
        ("odd.mov", "png", "rgb24"),
        ("deep.mov", "prores_ks", "yuv422p10le"),
    ],
)
def test_odd_sizes_and_rare_formats_are_read(
    tmp_path: Path, name: str, codec: str, pix_fmt: str
) -> None:
    """Sides that no two divides, more than 8 bits, colours of all kinds."""
    size = (62, 48) if codec == "prores_ks" else (61, 47)
    path = film(tmp_path / name, 12, codec=codec, size=size, pix_fmt=pix_fmt)

    info = index_video(path)

    assert (size, 12, "") == ((info.width, info.height), info.frames, info.loss)
    assert [(number, number) for number in range(12)] == told(read(path, info))


def test_what_an_edit_list_cuts_off_is_no_loss(tmp_path: Path) -> None:
    """A video that was shortened without encoding it again is whole."""
    path = film(tmp_path / "edited.mp4", 60, rate=25)
    content = bytearray(path.read_bytes())
    # Version, number of entries, and the first entry's duration in the movie's ticks.
    place = content.index(b"elst") + 12
    lasting = int.from_bytes(content[place : place + 4], "big")
    content[place : place + 4] = (lasting // 2).to_bytes(4, "big")
    path.write_bytes(content)

    info = index_video(path)
    frames = read(path, info)

    assert (30, 1.2, "") == (info.frames, info.seconds, info.loss)
    assert [(number, number) for number in range(30)] == told(frames)


def test_a_video_that_begins_later_than_its_sound_is_whole(tmp_path: Path) -> None:
    """What a container says of its end counts from the container's beginning."""
    times = [5000 + 40 * number for number in range(50)]
    path = film(tmp_path / "late.mkv", 50, times=times, time_base=Fraction(1, 1000), rate=25)

    info = index_video(path)

    assert 2.0 == pytest.approx(info.seconds)
    assert not info.loss


def test_open_groups_of_pictures_lose_nothing(tmp_path: Path) -> None:
    """A picture that is shown before its keyframe belongs to the segment before, whole."""
    options = {"x264-params": "open-gop=1:scenecut=0:bframes=3:b-adapt=0", "g": "48"}
    path = film(tmp_path / "open.mp4", 600, rate=25, gop=48, options=options)

    info = index_video(path)

    assert [0, 288, 576] == [each.first for each in info.segments]
    assert _has_pictures_before_keyframes(path)
    assert [(number, number) for number in range(600)] == told(read(path, info))


def _has_pictures_before_keyframes(path: Path) -> bool:
    with av.open(str(path)) as file:
        packets = [each for each in file.demux(video=0) if each.pts is not None]
    return any(
        following.pts < key.pts
        for key, following in pairwise(packets)
        if key.is_keyframe and key.pts is not None and following.pts is not None
    )


def test_segments_are_whole_groups_of_ten_seconds(tmp_path: Path) -> None:
    """Each segment begins at a keyframe and lasts for ten seconds; together they are all."""
    info = index_video(film(tmp_path / "clip.mp4", 700, rate=25, gop=30))

    assert [0, 270, 540] == [each.first for each in info.segments]
    assert [270, 270, 160] == [each.frames for each in info.segments]
    assert [None, 269, 539] == [
        None if each.before is None else round(each.before * info.time_base * 25)
        for each in info.segments
    ]


def test_an_index_travels_as_plain_data(tmp_path: Path) -> None:
    """What an index says survives JSON, fractions and dates included."""
    metadata = {"creation_time": "2026-05-04T06:12:00.000000Z"}
    info = index_video(film(tmp_path / "clip.mp4", 20, metadata=metadata))

    assert info == VideoInfo.of(info.plain())
    assert info.taken is not None
    assert () == info.alone().segments


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"creation_time": "2026-05-04T06:12:00.000000Z"}, "2026-05-04T06:12:00+00:00"),
        ({"creation_time": "1904-01-01T00:00:00.000000Z"}, None),
        ({}, None),
        (
            {
                "com.apple.quicktime.creationdate": "2026-05-04T08:12:00+0200",
                "creation_time": "2026-05-04T06:12:00.000000Z",
            },
            "2026-05-04T08:12:00+02:00",
        ),
    ],
)
def test_the_time_of_recording_is_what_the_container_says(
    tmp_path: Path, metadata: dict[str, str], expected: str | None
) -> None:
    """With its zone where there is one; a clock that was never set says nothing."""
    path = film(
        tmp_path / "clip.mov",
        5,
        metadata=metadata,
        container_options={"movflags": "use_metadata_tags"},
    )

    taken = index_video(path).taken

    assert expected == (taken.isoformat() if taken else None)


@pytest.mark.parametrize(("degrees", "clockwise"), [(90, 270), (180, 180), (-90, 90)])
def test_a_turned_video_is_upright(tmp_path: Path, degrees: int, clockwise: int) -> None:
    """A camera on its side says so in the file; pictures and sizes are as people see them."""
    path = film(tmp_path / "turned.mp4", 5, rotation=degrees)

    info = index_video(path)
    picture = read(path, info)[3].picture
    upright = np.rot90(picture.pixels(), clockwise // 90)

    assert clockwise == info.rotation
    assert ((48, 64) if clockwise % 180 else (64, 48)) == (info.width, info.height)
    assert (info.width, info.height) == (picture.width, picture.height)
    assert 3 == filming.shown(upright)


def test_a_picture_of_one_frame_is_a_video(tmp_path: Path) -> None:
    """One frame has a number, a time and a rate."""
    path = film(tmp_path / "one.mp4", 1, rate=25)

    info = index_video(path)

    assert (1, Fraction(25), False) == (info.frames, info.frame_rate, info.variable_rate)
    assert [(0, 0)] == told(read(path, info))


def test_ten_hours_are_indexed_in_seconds_and_in_flat_memory(tmp_path: Path) -> None:
    """Ten times the video takes hardly more memory, and no more than seconds."""
    source = film(tmp_path / "short.mp4", 300, rate=5, size=(16, 16), gop=50)
    hour = filming.looped(tmp_path / "hour.mkv", source, 3600)
    day = filming.looped(tmp_path / "day.mkv", source, 36_000)

    begun = time.monotonic()
    long_frames, long_peak = _peak(day)
    lasted = time.monotonic() - begun
    short_frames, short_peak = _peak(hour)

    assert (18_000, 180_000) == (short_frames, long_frames)
    assert lasted < 30
    assert long_peak - short_peak < 24 * MIB


def _peak(path: Path) -> tuple[int, int]:
    ran = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True
    )
    frames, kib = ran.stdout.split()
    return int(frames), int(kib) * 1024


def test_the_largest_stream_of_several_is_the_video(tmp_path: Path) -> None:
    """A cover picture beside the video is not what is analysed."""
    clip = film(tmp_path / "clip.mp4", 10)
    covered = tmp_path / "covered.mp4"
    with av.open(str(clip)) as given, av.open(str(covered), "w") as file:
        cover = file.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 320, 240, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        video = file.add_stream_from_template(given.streams.video[0])
        picture = av.VideoFrame.from_ndarray(filming.numbered(1, (320, 240)), format="rgb24")
        file.mux(cover.encode(picture))
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = video
                file.mux(packet)

    info = index_video(covered)

    assert (64, 48, 10) == (info.width, info.height, info.frames)
