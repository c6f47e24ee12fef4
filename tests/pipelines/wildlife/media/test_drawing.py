"""Boxes, labels and poses on pictures of any size."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from grange.pipelines.wildlife.media.drawing import Legend, draw
from grange.pipelines.wildlife.results import ANIMAL, PERSON, VEHICLE, Detection

ORANGE, BLUE, PURPLE = (230, 159, 0), (86, 180, 233), (204, 121, 167)
NAMES = tuple(f"joint {number}" for number in range(18))
LEGEND = Legend(species={"0": "deer"}, keypoints=NAMES, skeleton=tuple(itertools.pairwise(NAMES)))
POSE = tuple((0.3 + 0.01 * place, 0.4 + 0.02 * (place % 5), 0.9) for place in range(18))


def ground(width: int = 640, height: int = 360) -> np.ndarray:
    """An even grey."""
    return np.full((height, width, 3), 100, np.uint8)


def has(pixels: np.ndarray, colour: tuple[int, int, int]) -> bool:
    """Whether any pixel has exactly this colour."""
    return bool((pixels == np.array(colour, np.uint8)).all(axis=2).any())


@pytest.mark.parametrize(
    ("category", "colour"), [(ANIMAL, ORANGE), (PERSON, BLUE), (VEHICLE, PURPLE)]
)
def test_a_box_lies_where_the_detection_is(category: str, colour: tuple[int, int, int]) -> None:
    """In its category's colour along all four edges, and nowhere inside of them."""
    pixels = ground()

    draw(pixels, [Detection(category, 0.9, (0.25, 0.25, 0.5, 0.5))], LEGEND)

    assert colour == tuple(pixels[90, 400])
    assert colour == tuple(pixels[270, 300])
    assert colour == tuple(pixels[200, 160])
    assert colour == tuple(pixels[200, 480])
    assert (pixels[120:260, 180:460] == 100).all()
    assert (pixels[300:] == 100).all()


def test_a_label_names_the_species_where_it_is_known() -> None:
    """Another name and another confidence make another label; both stand above the box."""
    known, unknown = ground(), ground()
    box = (0.25, 0.25, 0.5, 0.5)

    draw(known, [Detection(ANIMAL, 0.9, box, guesses=(("0", 0.8),))], LEGEND)
    draw(unknown, [Detection(ANIMAL, 0.9, box)], LEGEND)

    assert has(known[70:89, 160:260], (0, 0, 0))
    assert not np.array_equal(known[70:89], unknown[70:89])


def test_only_points_that_are_sure_enough_are_painted() -> None:
    """A pose of which the model is not sure leaves the picture as it is."""
    sure, unsure, bare = ground(), ground(), ground()
    box = (0.1, 0.1, 0.8, 0.8)

    draw(sure, [Detection(ANIMAL, 0.9, box, pose=POSE)], LEGEND)
    draw(unsure, [Detection(ANIMAL, 0.9, box, pose=tuple((x, y, 0.2) for x, y, _ in POSE))], LEGEND)
    draw(bare, [Detection(ANIMAL, 0.9, box)], LEGEND)

    assert np.array_equal(bare, unsure)
    assert not np.array_equal(bare, sure)
    assert has(sure[130:200, 180:320], (255, 255, 255))


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (97, 31), (320, 240), (1920, 1080)])
@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 1.0, 1.0), (0.9, 0.0, 0.1, 0.1), (-0.2, -0.2, 3.0, 3.0), (0.5, 0.5, 0, 0)]
)
def test_pictures_and_boxes_of_any_size_are_painted(
    size: tuple[int, int], box: tuple[float, float, float, float]
) -> None:
    """At the edges, beyond them, and on pictures with no room for letters."""
    pixels = ground(*size)
    wild = ((-1.0, 2.0, 0.9), (0.5, 0.5, 0.9), (3.0, -4.0, 0.9))

    draw(pixels, [Detection(ANIMAL, 0.9, box, pose=wild)], LEGEND)

    assert (size[1], size[0], 3) == pixels.shape
    assert not (pixels == 100).all()


def test_any_name_can_be_a_label() -> None:
    """Names of no end, of no letters and of other scripts are painted or cut, never refused."""
    for name in ["", "x" * 500, "鹿", "Вепрь", "a\nb", "Übergröße 🦌"]:
        draw(
            pixels := ground(),
            [Detection("9", 0.5, (0.2, 0.2, 0.2, 0.2))],
            Legend(categories={"9": name}),
        )
        assert not (pixels == 100).all()


def test_painting_is_quick() -> None:
    """Two animals with poses at 640x360 take a small part of what encoding takes."""
    animals = [
        Detection(ANIMAL, 0.87, (0.2, 0.3, 0.3, 0.4), guesses=(("0", 0.93),), pose=POSE),
        Detection(ANIMAL, 0.55, (0.6, 0.3, 0.3, 0.4), pose=POSE),
    ]
    pixels = ground()
    draw(pixels, animals, LEGEND)

    begun = time.process_time()
    for _ in range(50):
        draw(pixels, animals, LEGEND)

    assert (time.process_time() - begun) / 50 < 0.003
