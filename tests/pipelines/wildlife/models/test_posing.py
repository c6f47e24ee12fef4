"""Pose models: keypoints in the places of the picture, finer than a heatmap's cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grange.errors import ModelFailed, ModelInvalid
from grange.pipelines.wildlife.models import adding, opening
from grange.pipelines.wildlife.models.interface import PoseModel
from tests.pipelines.wildlife.models.graphs import Made, plain

WHOLE = (0.0, 0.0, 1.0, 1.0)
NAMES = ("nose", "tail")
# Of the input, from its left upper corner.
PLACES = np.array([[0.31, 0.62], [0.77, 0.48]])
CONFS = np.array([0.9, 0.4])


def opened(path: Path, **said: Any) -> PoseModel:
    """Open a pose model as a path names it."""
    said = {"task": "pose", "keypoints": NAMES, "skeleton": [NAMES]} | said
    return opening.open_pose(adding.told_from(path, said))


def heatmap(path: Path, *, size: tuple[int, int] = (128, 96), **more: Any) -> Path:
    """A graph whose heatmaps have a normal curve around each place."""
    height, width = (one // 4 for one in size)
    rows, columns = np.mgrid[:height, :width]
    maps = [
        conf
        * np.exp(-((columns + 0.5 - x * width) ** 2 + (rows + 0.5 - y * height) ** 2) / (2 * 2**2))
        for (x, y), conf in zip(PLACES, CONFS, strict=True)
    ]
    return Made(size=size, fixed={"maps": np.array(maps)}, **more).write(path)


def simcc(path: Path, *, size: tuple[int, int] = (128, 96), turned: bool = False) -> Path:
    """A graph that has two cells for each pixel of its input's sides."""
    lines = {}
    for axis, (name, side) in enumerate((("simcc_x", size[1] * 2), ("simcc_y", size[0] * 2))):
        lines[name] = np.zeros((2, side), np.float32)
        for number in range(2):
            lines[name][number, round(PLACES[number][axis] * side)] = CONFS[number] + axis
    names = sorted(lines, reverse=turned)
    return Made(size=size, fixed={name: lines[name] for name in names}).write(path)


@pytest.mark.parametrize("batch", ["N", 3])
def test_heatmaps_are_read_finer_than_their_cells(batch: int | str, tmp_path: Path) -> None:
    """A peak between cells is found there: to a hundredth of a cell."""
    model = opened(heatmap(tmp_path / "m.onnx", batch=batch))

    (points,) = model.pose([model.prepare(plain(96, 128), WHOLE)])

    assert "heatmap" == model.manifest.layout
    for (x, y), (found_x, found_y, _) in zip(PLACES, points, strict=True):
        assert x == pytest.approx(found_x, abs=0.01 / 24)
        assert y == pytest.approx(found_y, abs=0.01 / 32)
    assert CONFS == pytest.approx([conf for _, _, conf in points], abs=0.06)


@pytest.mark.parametrize("turned", [False, True])
def test_lines_of_simcc_cross(turned: bool, tmp_path: Path) -> None:
    """Two lines make a place, in whichever order they come; the unsurer one says how sure it is."""
    model = opened(simcc(tmp_path / "m.onnx", turned=turned))

    (points,) = model.pose([model.prepare(plain(96, 128), WHOLE)])

    assert "simcc" == model.manifest.layout
    assert PLACES[:, 0] == pytest.approx([x for x, _, _ in points], abs=1 / 192)
    assert PLACES[:, 1] == pytest.approx([y for _, y, _ in points], abs=1 / 256)
    assert CONFS == pytest.approx([conf for _, _, conf in points], abs=1e-5)


def test_places_come_back_from_crop_and_letterbox(tmp_path: Path) -> None:
    """They are fractions of the whole picture, whatever part of it the model has seen."""
    model = opened(heatmap(tmp_path / "m.onnx"), crop_scale=1.0)
    box = (0.25, 0.5, 0.5, 0.25)

    (points,) = model.pose([model.prepare(plain(800, 400), box)])

    # 400x100 pixels go into 96x128 as 96x24, with 52 rows of grey above.
    for (x, y), (found_x, found_y, _) in zip(PLACES, points, strict=True):
        inside = min(max((y * 128 - 52) / 24, -2.0), 2.0)
        assert 0.25 + 0.5 * x == pytest.approx(found_x, abs=0.002)
        assert 0.5 + 0.25 * inside == pytest.approx(found_y, abs=0.02)


def test_where_a_cell_lies_may_be_said(tmp_path: Path) -> None:
    """Models that count cells from their corner say so."""
    path = heatmap(tmp_path / "m.onnx")
    middle, corner = opened(path), opened(path, options={"cell_offset": 0.0})

    picture = plain(96, 128)
    ((*one,),) = middle.pose([middle.prepare(picture, WHOLE)])
    ((*other,),) = corner.pose([corner.prepare(picture, WHOLE)])

    assert 0.5 / 24 == pytest.approx(one[0][0] - other[0][0])
    with pytest.raises(ModelInvalid, match="cell_offset = 'middle'"):
        opened(path, options={"cell_offset": "middle"})


def test_a_map_without_a_peak_is_unsure_and_harmless(tmp_path: Path) -> None:
    """Flat or empty maps, and peaks at the edge, give places within the picture."""
    maps = np.zeros((2, 32, 24), np.float32)
    maps[1, 31, 23] = 2.0
    model = opened(Made(size=(128, 96), fixed={"maps": maps}).write(tmp_path / "m.onnx"))

    (points,) = model.pose([model.prepare(plain(96, 128), WHOLE)])

    assert [0.0, 1.0] == [conf for _, _, conf in points]
    assert all(0 <= place <= 1 for point in points for place in point[:2])


def test_keypoints_must_match_the_graph(tmp_path: Path) -> None:
    """One name for each map, and a graph that is one of these."""
    path = heatmap(tmp_path / "m.onnx")

    with pytest.raises(ModelInvalid, match="has 2 keypoints, and 1 are named"):
        opened(path, keypoints=["nose"], skeleton=[])
    with pytest.raises(ModelInvalid, match="calls its 2 keypoints"):
        opened(path, keypoints=[], skeleton=[])
    with pytest.raises(ModelInvalid, match="fits no known layout of a pose"):
        opened(Made(fixed={"x": np.zeros((2,))}).write(tmp_path / "n.onnx"))


def test_no_number_is_no_place(tmp_path: Path) -> None:
    """NaN fails what was asked, with the model's name."""
    maps = np.full((2, 32, 24), np.nan, np.float32)
    path = Made(size=(128, 96), fixed={"maps": maps}).write(tmp_path / "odd.onnx")
    model = opened(path)

    with pytest.raises(ModelFailed, match="The model odd gave numbers that are none"):
        model.pose([model.prepare(plain(), WHOLE)])
