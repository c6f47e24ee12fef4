"""The small pictures of items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grange.pipelines.wildlife.looking import colours
from grange.pipelines.wildlife.looking.thumbs import thumb_size, write_thumb
from grange.pipelines.wildlife.results import ANIMAL, Box, Detection


def _grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 128, dtype=np.uint8)


def _near(picture: Image.Image, colour: colours.Colour) -> np.ndarray:
    """Where the picture has about this colour."""
    near: np.ndarray = np.abs(np.asarray(picture).astype(int) - colour).max(axis=2) < 60
    return near


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1920, 1080), (320, 180)),
        ((640, 360), (320, 180)),
        ((7680, 4320), (320, 180)),
        ((100, 60), (100, 60)),
        ((1080, 1920), (180, 320)),
        ((8000, 10), (320, 1)),
    ],
)
def test_a_thumbnail_is_320_pixels_wide(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    """Proportions stay; a small picture stays as it is, a tall one gets no higher."""
    write_thumb(_grey(*size), [], tmp_path / "thumb.jpg")

    assert expected == thumb_size(*size)
    with Image.open(tmp_path / "thumb.jpg") as picture:
        assert ("JPEG", expected) == (picture.format, picture.size)


def test_boxes_are_where_something_was_found(tmp_path: Path) -> None:
    """Each has its category's colour."""
    found = [
        Detection("1", 0.9, (0.25, 0.25, 0.5, 0.5)),
        Detection("2", 0.5, (0.05, 0.1, 0.1, 0.6)),
    ]
    write_thumb(_grey(640, 360), found, tmp_path / "thumb.jpg")
    with Image.open(tmp_path / "thumb.jpg") as picture:
        rows, columns = np.nonzero(_near(picture, colours.CATEGORIES["1"]))
        people = _near(picture, colours.CATEGORIES["2"])

    assert (80, 240) == pytest.approx((columns.min(), columns.max()), abs=3)
    assert (45, 135) == pytest.approx((rows.min(), rows.max()), abs=3)
    assert 100 < people[:, :60].sum()


@pytest.mark.parametrize(
    "box",
    [
        (0.0, 0.0, 1.0, 1.0),
        (-0.5, -0.5, 3.0, 3.0),
        (0.99, 0.99, 0.5, 0.5),
        (0.5, 0.5, 0.0, 0.0),
        (1.0, 1.0, 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("size", [(640, 360), (3, 3), (1, 1)])
def test_any_box_can_be_drawn(tmp_path: Path, box: Box, size: tuple[int, int]) -> None:
    """Whatever leaves the picture or is nothing breaks nothing."""
    write_thumb(_grey(*size), [Detection(ANIMAL, 0.9, box)], tmp_path / "thumb.jpg")

    assert (tmp_path / "thumb.jpg").stat().st_size > 100


def test_the_same_pixels_give_the_same_bytes(tmp_path: Path) -> None:
    """A thumbnail is part of an item's results."""
    pixels = np.random.default_rng(1).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    for name in ("a.jpg", "b.jpg"):
        write_thumb(pixels, [Detection(ANIMAL, 0.9, (0.1, 0.1, 0.3, 0.3))], tmp_path / name)

    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()
