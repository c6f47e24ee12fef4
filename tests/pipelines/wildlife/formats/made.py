"""Results made up by hypothesis: all that a result may hold."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st

from grange.pipelines.wildlife.results import (
    ANIMAL,
    CATEGORIES,
    PERSON,
    VEHICLE,
    Box,
    Detection,
    Kind,
    Media,
    Point,
    Results,
    Source,
)

# Results are large, and each example shows much.
few = settings(max_examples=25, deadline=None)
SPECIES = ("deer", "wild boar", "red fox", "hare, European", "ünknown \N{CAT FACE}")
KEYPOINTS = ("nose", "tail_base", "front_left_paw", "back_left_paw")
RATES = (Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(1, 3), Fraction(10))
_WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\x00", exclude_categories=["C", "Z"]),
    min_size=1,
    max_size=8,
)
_CONFS = st.integers(0, 1000).map(lambda n: round(n / 1000, 3))


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder for one example of a test, which has no fixture of its own."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """A box of some size inside of the picture, with the digits that results carry."""
    x, y = draw(st.integers(0, 9000)), draw(st.integers(0, 9000))
    width = draw(st.integers(10, 10_000 - x))
    height = draw(st.integers(10, 10_000 - y))
    return x / 10_000, y / 10_000, width / 10_000, height / 10_000


def moments(*, zoned: bool | None = None) -> st.SearchStrategy[datetime]:
    """Times of pictures, to the second, as cameras say them."""
    zones = st.sampled_from([None, UTC, timezone(timedelta(hours=2))])
    if zoned is not None:
        zones = st.just(UTC) if zoned else st.just(None)
    days = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1))  # noqa: DTZ001
    return st.builds(lambda at, zone: at.replace(microsecond=0, tzinfo=zone), days, zones)


def points() -> st.SearchStrategy[Point]:
    """A keypoint; it may lie outside of the picture."""
    places = st.integers(-500, 10_500).map(lambda n: n / 10_000)
    return st.tuples(places, places, _CONFS)


@st.composite
def detections(draw: st.DrawFn, frames: tuple[int, ...], *, poses: bool) -> Detection:
    """One detection; in one of the frames, if there are any."""
    ids = st.sampled_from([str(number) for number in range(len(SPECIES))])
    guesses = draw(st.lists(st.tuples(ids, _CONFS), max_size=3, unique_by=lambda one: one[0]))
    count = len(KEYPOINTS)
    pose = draw(st.lists(points(), min_size=count, max_size=count)) if poses else []
    return Detection(
        category=draw(st.sampled_from([ANIMAL, PERSON, VEHICLE])),
        conf=draw(_CONFS),
        box=draw(boxes()),
        frame=draw(st.sampled_from(frames)) if frames else None,
        track=draw(st.none() | st.integers(0, 5)) if frames else None,
        guesses=tuple(sorted(guesses, key=lambda one: (-one[1], one[0]))),
        pose=tuple(pose) if draw(st.booleans()) else (),
    )


@st.composite
def stills(draw: st.DrawFn, file: str, *, poses: bool = True) -> Media:
    """A picture, in which nothing or much was found, or which failed."""
    if draw(st.integers(0, 5)) == 0:
        return Media(file=file, failure=draw(_WORDS))
    some = st.lists(detections((), poses=poses), max_size=4)
    return Media(
        file=file,
        width=draw(st.integers(1, 9000)),
        height=draw(st.integers(1, 9000)),
        taken=draw(st.none() | moments()),
        detections=tuple(draw(some)),
    )


@st.composite
def videos(draw: st.DrawFn, file: str, *, poses: bool = True) -> Media:
    """A video of constant or variable rate, or one that failed."""
    if draw(st.integers(0, 5)) == 0:
        return Media(file=file, kind=Kind.VIDEO, failure=draw(_WORDS))
    processed = tuple(sorted(draw(st.sets(st.integers(0, 40), min_size=1, max_size=6))))
    variable = draw(st.booleans())
    rate = draw(st.sampled_from(RATES))
    times = tuple(round(float(frame / rate) + 0.001, 4) for frame in processed)
    found = draw(st.lists(detections(processed, poses=poses), max_size=6))
    return Media(
        file=file,
        kind=Kind.VIDEO,
        width=draw(st.integers(1, 9000)),
        height=draw(st.integers(1, 9000)),
        taken=draw(st.none() | moments()),
        detections=tuple(sorted(found, key=lambda one: one.frame or 0)),
        frame_rate=rate,
        variable_rate=variable,
        frames=processed[-1] + draw(st.integers(1, 9)),
        processed=processed,
        times=times if variable else (),
    )


@st.composite
def results(
    draw: st.DrawFn, *, poses: bool = True, kinds: tuple[Kind, ...] = tuple(Kind), least: int = 0
) -> Results:
    """The results of some items, in folders and not."""
    stems = draw(st.lists(_WORDS, min_size=least, max_size=4, unique_by=str.casefold))
    media = []
    for number, stem in enumerate(stems):
        below = draw(st.sampled_from(["", "cam1/", "cam2/day 1/"]))
        kind = draw(st.sampled_from(kinds))
        name = f"{below}{stem}{number}.{'mp4' if kind is Kind.VIDEO else 'jpg'}"
        maker = videos if kind is Kind.VIDEO else stills
        media.append(draw(maker(name, poses=poses)))
    return Results(
        media=tuple(media),
        source=Source(
            detector=draw(_WORDS),
            classifier=draw(st.just("") | _WORDS),
            pose=draw(st.just("") | _WORDS),
            typical_threshold=draw(_CONFS),
            conservative_threshold=draw(_CONFS),
            finished=draw(st.none() | moments()),
        ),
        categories=dict(CATEGORIES),
        species={str(number): name for number, name in enumerate(SPECIES)},
        keypoints=KEYPOINTS if poses else (),
        skeleton=((KEYPOINTS[0], KEYPOINTS[1]),) if poses else (),
    )
