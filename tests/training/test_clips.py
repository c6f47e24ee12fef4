"""The files that the demonstration, the tests and the benchmarks work on."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from training.clips import write_clip, write_demo, write_photograph
from training.scenes import Scene

STARTED = datetime(2026, 5, 4, 6, 12, 31, tzinfo=UTC)


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A small scene."""
    return Scene(2, (160, 96), count=1)


def _times(path: Path) -> tuple[list[Fraction], list[bool]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        times = [Fraction(frame.pts or 0) * (frame.time_base or 1) for frame in frames]
        return times, [frame.key_frame for frame in frames]


@pytest.mark.parametrize("fps", [Fraction(30), Fraction(30000, 1001), Fraction(25, 2)])
def test_a_frame_is_shown_when_it_is_due(tmp_path: Path, scene: Scene, fps: Fraction) -> None:
    """Frame n is shown at n / fps, as exactly as the file's clock can say."""
    write_clip(tmp_path / "clip.mp4", scene, 1.0, fps)
    times, _ = _times(tmp_path / "clip.mp4")

    assert [Fraction(round(n * 90_000 / fps), 90_000) for n in range(round(fps))] == times


def test_a_variable_rate_is_one(tmp_path: Path, scene: Scene) -> None:
    """Every second frame comes a third of a frame later."""
    write_clip(tmp_path / "clip.mp4", scene, 0.2, 30, variable_rate=True)
    times, _ = _times(tmp_path / "clip.mp4")

    assert [0, 4000, 6000, 10_000, 12_000, 16_000] == [time * 90_000 for time in times]


def test_keyframes_come_as_often_as_asked(tmp_path: Path, scene: Scene) -> None:
    """With a gop of 5 each fifth frame is a keyframe at the latest."""
    write_clip(tmp_path / "clip.mp4", scene, 0.5, 30, gop=5)
    _, keys = _times(tmp_path / "clip.mp4")

    assert all(keys[0::5])


def test_a_clip_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    """Two clips of one scene are one file, start included."""
    for name in ("a.mp4", "b.mp4"):
        write_clip(tmp_path / name, Scene(2, (160, 96)), 0.3, 30, started=STARTED)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.metadata["creation_time"].startswith("2026-05-04T06:12:31")

    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_the_demonstration_is_written_once(tmp_path: Path) -> None:
    """Whoever writes it again keeps the files that are there; one clip is damaged on purpose."""
    first = write_demo(tmp_path, None, 0.1, 0)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in first}
    second = write_demo(tmp_path, None, 0.1, 0)
    (torn,) = (path for path in first if path.stem.endswith("_torn"))

    assert before == {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in second}
    assert sorted(first) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(av.error.InvalidDataError):
        av.open(str(torn))


def test_a_photograph_has_its_date(tmp_path: Path, scene: Scene) -> None:
    """The EXIF of a picture says when it was taken."""
    write_photograph(tmp_path / "deer.jpg", scene, 2.5, STARTED)
    with Image.open(tmp_path / "deer.jpg") as opened:
        taken = opened.getexif().get_ifd(0x8769)[0x9003]

    assert "2026:05:04 06:12:31" == taken
