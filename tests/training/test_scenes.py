"""The scenes that models learn from: the same each time, and true."""

from __future__ import annotations

import numpy as np
import pytest

from training.scenes import CATEGORIES, KEYPOINTS, SPECIES, Scene, Truth


@pytest.fixture(scope="module")
def herd() -> Scene:
    """A meadow by day with three deer, and nothing in the way."""
    return Scene(11, kinds=["deer"], count=3, light="day", country="meadow", clutter=0.0)


def test_a_seed_has_one_picture() -> None:
    """Who renders a scene again gets the same pixels and the same truth."""
    first, second = (Scene(3).frame(1.25) for _ in range(2))

    assert first.pixels.tobytes() == second.pixels.tobytes()
    assert first.animals == second.animals


def test_a_frame_knows_nothing_of_those_before(herd: Scene) -> None:
    """A moment looks the same whichever moments were asked for first."""
    later = Scene(11, kinds=["deer"], count=3, light="day", country="meadow", clutter=0.0)
    for moment in (0.0, 4.0):
        later.frame(moment)

    assert herd.frame(2.0).pixels.tobytes() == later.frame(2.0).pixels.tobytes()


def test_another_seed_has_another_picture() -> None:
    """Scenes differ."""
    assert Scene(3).frame(1.0).pixels.tobytes() != Scene(4).frame(1.0).pixels.tobytes()


@pytest.mark.parametrize("light", ["day", "dusk", "night"])
def test_the_truth_lies_within_the_frame(light: str) -> None:
    """Boxes end at the edge of the picture, and a visible keypoint lies within its box."""
    for seed in range(4):
        frame = Scene(seed, light=light, count=4).frame(2.5)
        assert (360, 640, 3) == frame.pixels.shape
        for body in frame.animals:
            left, top, width, height = body.bbox
            assert 0 <= left < left + width <= 640
            assert 0 <= top < top + height <= 360
            assert 0 < body.visible <= 1
            assert body.category in CATEGORIES
            _check_keypoints(body)


def _check_keypoints(body: Truth) -> None:
    left, top, width, height = body.bbox
    assert (set(KEYPOINTS) if body.category == "animal" else set()) == set(body.keypoints)
    for x, y, visible in body.keypoints.values():
        if visible:
            assert left - 3 <= x <= left + width + 3
            assert top - 3 <= y <= top + height + 3


def test_a_box_holds_what_differs_from_the_empty_place() -> None:
    """Where the truth has a box, and almost nowhere else, an animal changes the picture."""
    place = {"light": "night", "country": "dry", "clutter": 0.0, "height": (0.3, 0.5)}
    scene = Scene(21, kinds=["bear"], count=1, **place)  # type: ignore[arg-type]
    empty = Scene(21, kinds=["bear"], count=0, **place)  # type: ignore[arg-type]
    frame = scene.frame(2.5)
    changed = np.abs(frame.pixels.astype(int) - empty.frame(2.5).pixels).max(-1) > 0
    left, top, width, height = (int(value) for value in frame.animals[0].bbox)
    inside = changed[top : top + height, left : left + width]

    assert inside.mean() > 0.3
    assert changed.sum() - inside.sum() < 0.05 * inside.sum()


def test_a_walker_keeps_its_track(herd: Scene) -> None:
    """From one frame to the next, one number goes one animal's way."""
    first, second = (
        {body.track: body.bbox for body in herd.frame(moment).animals} for moment in (2.0, 2.1)
    )
    shared = first.keys() & second.keys()

    assert shared
    for track in shared:
        assert abs(first[track][0] - second[track][0]) < 40


def test_kinds_and_count_are_as_asked() -> None:
    """A scene has the visitors that it was asked for; none means an empty place."""
    assert 0 == len(Scene(5, count=0).frame(1.0).animals)
    assert {"fox"} == {actor.species for actor in Scene(5, kinds=["fox"], count=4).actors}
    assert "deer" in SPECIES


def test_a_scene_has_any_size() -> None:
    """An odd or a large picture has what a usual one has."""
    frame = Scene(11, (961, 541), count=2).frame(1.0)

    assert (541, 961, 3) == frame.pixels.shape


def test_night_has_no_colour() -> None:
    """An infra-red picture is grey."""
    pixels = Scene(8, light="night", count=2).frame(1.0).pixels

    assert np.array_equal(pixels[..., 0], pixels[..., 2])
