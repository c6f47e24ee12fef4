"""Damaged, cut-off and mislabelled media: one clear sentence, or what can be read of them."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import av
import pytest
from PIL import Image

from grange.errors import InputMissing, InputUnreadable
from grange.pipelines.wildlife.media.indexing import index_video
from grange.pipelines.wildlife.media.probe import kind_of
from grange.pipelines.wildlife.media.stills import open_still
from grange.pipelines.wildlife.results import Kind
from tests.pipelines.wildlife.media import filming
from tests.pipelines.wildlife.media.filming import film, read, told


def test_the_content_says_what_a_file_is(tmp_path: Path) -> None:
    """A picture that is called a video is a picture, and the other way round."""
    Image.new("RGB", (8, 8)).save(tmp_path / "picture.mp4", "JPEG")
    film(tmp_path / "film.mp4", 3).rename(tmp_path / "film.jpg")

    assert Kind.IMAGE == kind_of(tmp_path / "picture.mp4")
    assert Kind.VIDEO == kind_of(tmp_path / "film.jpg")
    assert 3 == index_video(tmp_path / "film.jpg").frames


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"Dear diary, today I saw a deer.\n" * 50, "is neither a video nor a picture"),
        ("zeros.avi", bytes(4096), "is neither a video nor a picture"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n", "is neither"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile /etc/passwd\n", "is neither"),
        ("photo.heic", b"\0\0\0\x18ftypheic" + bytes(64), "is a HEIF picture"),
        (
            "huge.y4m",
            b"YUV4MPEG2 W60000 H60000 F25:1 Ip A1:1 C420\nFRAME\n" + bytes(99),
            "read as a video",
        ),
    ],
)
def test_what_is_no_media_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    """Each says which file, and what is wrong with it."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(InputUnreadable) as refused:
        kind_of(path)

    assert f"The input {name!r} " in refused.value.message
    assert said in refused.value.message
    assert "\n" not in refused.value.message


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Folders are not opened, and what is missing is said to be."""
    with pytest.raises(InputUnreadable, match="is no regular file"):
        kind_of(tmp_path)
    with pytest.raises(InputMissing):
        kind_of(tmp_path / "nothing.mp4")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    """A sound recorder's file is named as such, with a cover picture too."""
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as file:
        sound = file.add_stream("aac", rate=16000)
        cover = file.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(filming.numbered(1), format="rgb24")
        file.mux(cover.encode(picture))
        for _ in range(20):
            silence = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            silence.sample_rate = 16000
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            file.mux(sound.encode(silence))
        file.mux(sound.encode(None))

    with pytest.raises(InputUnreadable, match=r"'sound\.m4a' holds sound but no video"):
        kind_of(path)


def test_an_mp4_without_its_end_is_refused(tmp_path: Path) -> None:
    """An MP4's index stands at its end: what was cut off can't be read at all."""
    whole = film(tmp_path / "clip.mp4", 60, size=(320, 240)).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(InputUnreadable, match=r"MP4 without its index: .* was cut off"):
        kind_of(path)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("clip.mkv", None, "cut off"),
        ("clip.mp4", {"movflags": "+faststart"}, "of its 100 frames"),
        ("clip.avi", None, "of its 100 frames"),
        ("clip.ts", None, ""),
    ],
)
def test_what_can_be_read_of_a_cut_off_video_is_read(
    tmp_path: Path, name: str, options: dict[str, str] | None, said: str
) -> None:
    """All frames before the cut have their right numbers; what is missing is said."""
    whole = film(
        tmp_path / name, 100, rate=25, options={"bf": "0"}, container_options=options, grain=40
    )
    path = tmp_path / f"cut-{name}"
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])

    info = index_video(path)
    frames = read(path, info)

    assert 30 < len(frames) < 100
    assert [(number, number) for number in range(len(frames))] == told(frames)
    assert info.frames - len(frames) <= 1
    assert said in info.loss


def test_a_whole_video_has_no_loss(tmp_path: Path) -> None:
    """Nothing is said to be missing of what is all there."""
    for name in ["clip.mkv", "clip.mp4", "clip.avi", "clip.ts", "clip.mov"]:
        assert not index_video(film(tmp_path / name, 100, rate=25)).loss


@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4", "clip.avi", "clip.ts", "motion.avi"])
def test_a_damaged_stretch_loses_its_own_frames_only(tmp_path: Path, name: str) -> None:
    """Garbage in the middle: what comes before and well behind it has its right number."""
    codec = "mjpeg" if name.startswith("motion") else "libx264"
    path = film(tmp_path / name, 300, rate=25, gop=25, options={"bf": "0"}, codec=codec, grain=40)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = random.Random(1).randbytes(400)
    path.write_bytes(content)

    info = index_video(path)
    frames = {each.number: filming.shown(each.picture.pixels()) for each in read(path, info)}

    assert 250 <= info.frames <= 300
    assert all(number == frames[number] for number in range(100))
    gone = 300 - info.frames
    # Behind a lost frame of which nothing is known any more, numbers are lower by it.
    assert {frames[number] - number for number in frames if number > 230} <= {0, gone}
    assert max(frames) < info.frames
    assert 250 <= len(frames)


def test_a_video_of_noise_is_refused(tmp_path: Path) -> None:
    """Where not one frame can be decoded, the file fails as a whole."""
    path = film(tmp_path / "clip.avi", 30, codec="mjpeg")
    with av.open(str(path)) as file:
        places = [(each.pos, each.size) for each in file.demux(video=0) if each.size]
    content = bytearray(path.read_bytes())
    for place, size in places:
        assert place is not None
        content[place + 8 : place + 8 + size] = bytes(size)
    path.write_bytes(content)

    with pytest.raises(InputUnreadable, match="of which no frame can be decoded"):
        index_video(path)


def test_random_bytes_after_any_signature_end_in_one_error(tmp_path: Path) -> None:
    """Whatever follows a known beginning, nothing but the one error comes of it."""
    luck = random.Random(7)
    clips = [film(tmp_path / f"clip.{kind}", 10).read_bytes() for kind in ("mp4", "mkv", "avi")]
    Image.new("RGB", (64, 64), (9, 99, 200)).save(tmp_path / "still.jpg")
    clips.append((tmp_path / "still.jpg").read_bytes())
    for turn in range(120):
        content = bytearray(clips[turn % len(clips)])
        for _ in range(luck.randrange(1, 40)):
            content[luck.randrange(len(content))] = luck.randrange(256)
        path = tmp_path / "damaged"
        path.write_bytes(content[: luck.randrange(20, len(content) + 1)])
        with contextlib.suppress(InputUnreadable):
            if kind_of(path) is Kind.IMAGE:
                open_still(path).picture.scaled(32, 32)
            else:
                for frame in read(path, index_video(path)):
                    frame.picture.scaled(32, 32)
