"""Individuals are followed: past gaps, past each other, and the same way each time."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import pytest

from grange.pipelines.wildlife.results import ANIMAL, PERSON, Box, Detection, Guess
from grange.pipelines.wildlife.tracking import GAP_FRAMES, GAP_SECONDS, Tracker

FPS = 5
THRESHOLD = 0.2


def _seen(
    frame: int,
    x: float,
    y: float = 0.5,
    *,
    size: float = 0.2,
    conf: float = 0.9,
    category: str = ANIMAL,
    guesses: tuple[Guess, ...] = (),
) -> Detection:
    box: Box = (x - size / 2, y - size / 2, size, size)
    return Detection(category, conf, box, frame=frame, guesses=guesses)


def _follow(
    frames: Iterable[Sequence[Detection]], fps: float = FPS
) -> tuple[Tracker, list[list[int | None]]]:
    """The tracker, and the track of each detection of each frame."""
    tracker = Tracker(THRESHOLD)
    followed = [
        [one.track for one in tracker.follow(number / fps, found)]
        for number, found in enumerate(frames)
    ]
    return tracker, followed


def test_an_animal_that_walks_is_one_track() -> None:
    """Even where it moves nearly its own length from frame to frame."""
    tracker, followed = _follow([[_seen(n, 0.1 + 0.15 * n)] for n in range(6)])

    assert [[1]] * 6 == followed
    (track,) = tracker.tracks
    assert (0, 5, 6, 0.0, 1.0) == (
        track.first,
        track.last,
        track.detections,
        track.first_seconds,
        track.last_seconds,
    )


def test_two_that_stay_apart_are_two() -> None:
    """Whatever order the detector tells them in."""
    frames = [[_seen(n, 0.2), _seen(n, 0.8)] for n in range(4)]
    frames[2].reverse()

    _, followed = _follow(frames)

    assert [[1, 2], [1, 2], [2, 1], [1, 2]] == followed


def test_two_that_cross_go_on_as_they_went() -> None:
    """Where they meet, each is expected where its own way leads."""
    frames = [[_seen(n, 0.1 + 0.08 * n, 0.5), _seen(n, 0.9 - 0.08 * n, 0.53)] for n in range(11)]

    _, followed = _follow(frames)

    assert [[1, 2]] * 11 == followed


def test_a_gap_ends_nobody() -> None:
    """An animal behind a tree is the same one when it comes out where it should."""
    frames = [[_seen(n, 0.1 + 0.05 * n)] for n in range(12)]
    for hidden in range(4, 4 + GAP_FRAMES):
        frames[hidden] = []

    _, followed = _follow(frames)

    assert [1] == sorted({track for found in followed for track in found if track})


@pytest.mark.parametrize("fps", [1, 5, 30])
def test_who_comes_much_later_is_another(fps: float) -> None:
    """After a long time nobody can tell, at any rate of frames."""
    missing = max(GAP_FRAMES, int(GAP_SECONDS * fps)) + 2
    frames = [[_seen(0, 0.5)], *([[]] * missing), [_seen(missing + 1, 0.5)]]

    _, followed = _follow(frames, fps)

    assert ([1], [2]) == (followed[0], followed[-1])


def test_a_weak_detection_goes_on_but_begins_nothing() -> None:
    """What flickers below the threshold is no individual by itself."""
    frames = [
        [_seen(0, 0.2), _seen(0, 0.8, conf=0.1)],
        [_seen(1, 0.2, conf=0.1), _seen(1, 0.8, conf=0.1)],
    ]

    tracker, followed = _follow(frames)

    assert [[1, None], [1, None]] == followed
    assert 1 == len(tracker.tracks)


def test_categories_are_never_mixed() -> None:
    """A person in an animal's place is another individual."""
    _, followed = _follow([[_seen(0, 0.5)], [_seen(1, 0.5, category=PERSON)]])

    assert [[1], [2]] == followed


def test_another_size_is_another_individual() -> None:
    """A fox does not become a deer within a fifth of a second."""
    _, followed = _follow([[_seen(0, 0.5, size=0.1)], [_seen(1, 0.5, size=0.4)]])

    assert [[1], [2]] == followed


def test_the_species_is_what_most_speaks_for() -> None:
    """Sure sightings count more than many doubtful ones; equals go to the lesser number."""
    frames = [
        [_seen(0, 0.5, conf=0.9, guesses=(("2", 0.9), ("10", 0.1)))],
        [_seen(1, 0.5, conf=0.3, guesses=(("10", 0.6), ("2", 0.4)))],
        [_seen(2, 0.5, conf=0.3, guesses=(("10", 0.6), ("2", 0.4)))],
        [_seen(3, 0.5, conf=0.9)],
    ]

    tracker, _ = _follow(frames)
    even, _ = _follow([[_seen(0, 0.5, guesses=(("10", 0.5), ("2", 0.5)))]])
    silent, _ = _follow([[_seen(0, 0.5)]])

    assert ("2", 0.7) == tracker.tracks[0].species
    assert even.tracks[0].species == ("2", 0.5)
    assert silent.tracks[0].species is None


def test_the_same_detections_make_the_same_tracks() -> None:
    """Also in a crowd, with frames of no time between them and boxes of no size."""
    chance = random.Random(5)
    frames = [
        [
            _seen(
                n,
                chance.random(),
                chance.random(),
                size=chance.choice([0, 0.05, 0.3]),
                conf=chance.random(),
            )
            for _ in range(chance.randint(0, 12))
        ]
        for n in range(60)
    ]

    first, again = _follow(frames, 1e9), _follow(frames, 1e9)

    assert first[1] == again[1]
    for found in first[1]:
        tracks = [track for track in found if track is not None]
        assert len(tracks) == len(set(tracks))
