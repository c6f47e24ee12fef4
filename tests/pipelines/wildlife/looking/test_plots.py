"""The plots of poses: what is in them, and how long they take."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grange.pipelines.wildlife.looking import plots
from grange.pipelines.wildlife.looking.axes import HEIGHT, WIDTH, Axis, axis_of, ticks
from grange.pipelines.wildlife.looking.colours import ramp
from grange.pipelines.wildlife.looking.plots import NAMES, write_plots
from grange.pipelines.wildlife.results import Detection, Kind, Media, Results
from tests.pipelines.wildlife.looking import scene
from tests.pipelines.wildlife.looking.scene import Sample

MOST_SECONDS = 1.0
MEBIBYTE = 1 << 20


def _walk(**more: object) -> Results:
    sample = Sample(path="cam/a.mp4", found={"1": 0.9}, individuals=2, **more)  # type: ignore[arg-type]
    return scene.results_of(sample)


def _coloured(path: Path) -> int:
    """How many pixels between the axes are neither grey nor white."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)[41:397, 65:480]
    return int((pixels.max(axis=2) - pixels.min(axis=2) > 40).sum())


def test_four_pictures_have_deeplabcuts_names(tmp_path: Path) -> None:
    """They are PNGs of one size, each with something in it."""
    write_plots(tmp_path / "plot-poses" / "a", _walk(), 0.6)

    assert {"trajectory.png", "plot.png", "plot-likelihood.png", "hist.png"} == set(NAMES)
    for name in NAMES:
        with Image.open(tmp_path / "plot-poses" / "a" / name) as picture:
            assert ("PNG", (WIDTH, HEIGHT)) == (picture.format, picture.size)
        assert 300 < _coloured(tmp_path / "plot-poses" / "a" / name)


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the time or of chance is in a plot."""
    for name in ("one", "other"):
        write_plots(tmp_path / name, _walk(), 0.6)

    for name in NAMES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_what_is_less_sure_than_the_cutoff_is_left_out(tmp_path: Path) -> None:
    """Places are, likelihoods are not."""
    write_plots(tmp_path / "all", _walk(), 0.0)
    write_plots(tmp_path / "none", _walk(), 1.1)

    assert 0 == _coloured(tmp_path / "none" / "trajectory.png")
    assert 0 == _coloured(tmp_path / "none" / "plot.png")
    assert 1000 < _coloured(tmp_path / "all" / "plot.png")
    assert 1000 < _coloured(tmp_path / "none" / "plot-likelihood.png")


def test_a_dot_lies_where_the_body_part_is(tmp_path: Path) -> None:
    """The trajectory's axes are those of the picture: x to the right, y downwards."""
    pose = tuple((0.9, 0.9, 1.0) for _ in scene.KEYPOINTS)
    (media,) = _walk().media
    one = replace(media.detections[0], pose=pose)
    write_plots(tmp_path, scene.replace_media(replace(media, detections=(one,))), 0.6)
    pixels = np.asarray(Image.open(tmp_path / "trajectory.png").convert("RGB")).astype(int)
    rows, columns = np.nonzero((pixels.max(axis=2) - pixels.min(axis=2) > 40)[:, 66 : 62 + _wide()])

    assert 0.9 == pytest.approx((rows.mean() - 40) / (HEIGHT - 92), abs=0.02)
    assert 0.9 == pytest.approx((columns.mean() + 2) / _wide(), abs=0.02)


def _wide() -> int:
    """How wide the plane of a chart with this scene's legend is."""
    longest = max(len(name) for name in scene.KEYPOINTS)
    return WIDTH - 64 - 16 - (26 + 6 * longest)


def test_a_video_without_poses_gives_empty_plots(tmp_path: Path) -> None:
    """Nothing is known, and nothing breaks."""
    (media,) = _walk().media
    bare = [replace(one, pose=()) for one in media.detections]
    for number, detections in enumerate((bare, ())):
        given = replace(media, detections=tuple(detections))
        write_plots(tmp_path / str(number), scene.replace_media(given), 0.6)
        assert 0 == _coloured(tmp_path / str(number) / "plot.png")


class Stream(Sequence[Detection]):
    """Detections that are made while they are read, as those of a long video are."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: object) -> Detection:  # type: ignore[override]
        raise NotImplementedError

    def __iter__(self) -> Iterator[Detection]:
        chance = random.Random(1)
        for number in range(self._count):
            box = (0.4 + 0.2 * chance.random(), 0.4, 0.2, 0.2)
            pose = scene.pose_at(box, number)
            yield Detection("1", 0.9, box, number * 5, 1 + number // 5000, (), pose)


def test_memory_stays_flat_however_long_the_video_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Detections are thinned out while they are read; a video of hours is drawn all the same."""
    monkeypatch.setattr(plots, "MOST_FRAMES", 500)
    peaks = []
    for count in (2000, 16_000):
        media = Media(
            "long.mp4",
            Kind.VIDEO,
            1920,
            1080,
            detections=Stream(count),
            frame_rate=Fraction(25),
            frames=count * 5,
            processed=range(0, count * 5, 5),
        )
        tracemalloc.start()
        write_plots(tmp_path, Results((media,), keypoints=scene.KEYPOINTS), 0.6)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < peaks[0] + MEBIBYTE
    assert 1000 < _coloured(tmp_path / "plot.png")


def test_plots_of_a_clip_are_quick(tmp_path: Path) -> None:
    """Four pictures cost a fraction of what reading the clip costs."""
    results = _walk()
    write_plots(tmp_path, results, 0.6)
    began = time.process_time()
    write_plots(tmp_path, results, 0.6)

    assert time.process_time() - began < MOST_SECONDS


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-0.04, 1.04, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 640.0, [0.0, 200.0, 400.0, 600.0]),
        (-30.0, 30.0, [-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    """So that one can read what lies between."""
    assert expected == pytest.approx(ticks(low, high))


def test_an_axis_has_room_for_all_it_shows() -> None:
    """One number, or none, has an axis too; frames have whole numbers alone."""
    for values in ([3.0], [np.nan], [], [1.0, 9.0]):
        axis = axis_of("Frame", np.array(values), whole=True)
        assert axis.low < axis.high
        assert all(tick == int(tick) for tick in axis.ticks())

    assert Axis("y", 0, 1).ticks()[0] == 0


def test_neighbouring_body_parts_have_colours_of_their_own() -> None:
    """However many there are; the first is the darkest."""
    for count in (1, 2, 17, 39):
        colours = ramp(count)
        assert count == len(set(colours))
        assert sum(colours[0]) <= sum(colours[-1])
    assert [] == ramp(0)
