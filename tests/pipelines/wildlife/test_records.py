"""Detections between the parts and the merge: nothing is lost, and memory is bounded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grange.pipelines.wildlife import records
from grange.pipelines.wildlife.records import (
    Analysed,
    Spool,
    frame_of,
    line_of,
    rounded_box,
    rounded_conf,
    rounded_point,
)
from grange.pipelines.wildlife.results import Detection

_share = st.floats(0, 1).map(lambda value: round(value, 4))
_detections = st.builds(
    Detection,
    category=st.sampled_from(["1", "2", "3"]),
    conf=_share,
    box=st.tuples(_share, _share, _share, _share),
    frame=st.just(7),
    track=st.none() | st.integers(1, 99),
    guesses=st.lists(st.tuples(st.sampled_from(["0", "12"]), _share), max_size=2).map(tuple),
    pose=st.lists(st.tuples(_share, _share, _share), max_size=3).map(tuple),
)
_anything = st.floats(-3, 3)


@settings(max_examples=50, deadline=None)
@given(found=st.lists(_detections, max_size=4))
def test_a_line_says_all_of_a_frame(found: list[Detection]) -> None:
    """What is read is what was written, to the last digit."""
    frame = Analysed(7, 1.234567, found)

    assert frame == frame_of(line_of(frame))
    still = frame_of(line_of(frame), in_video=False)
    assert [replace(one, frame=None) for one in found] == still.detections


@settings(max_examples=100, deadline=None)
@given(box=st.tuples(_anything, _anything, _anything, _anything))
def test_a_rounded_box_lies_in_the_picture(box: tuple[float, float, float, float]) -> None:
    """Whatever the detector says; rounding again changes nothing."""
    x, y, width, height = rounded_box(box)

    assert min(x, y, width, height) >= 0
    assert max(x + width, y + height) <= 1 + 1e-9
    assert (x, y, width, height) == rounded_box((x, y, width, height))


def test_numbers_have_the_digits_of_the_format() -> None:
    """Three for what is believed, four for places; none of them is a negative nothing."""
    assert [0.0, 0.123, 1.0] == [rounded_conf(conf) for conf in (-0.1, 0.12345, 1.2)]
    assert (0.1235, -0.2, 0.988) == rounded_point((0.12349, -0.2, 0.98765))
    nothing = [*rounded_point((-1e-9, -0.0, -0.0)), *rounded_box((-0.0, -0.0, 0.0, -0.0))]
    assert ["0.0"] * 7 == [str(one) for one in nothing]


@pytest.mark.parametrize("held", [0, 5, 1000])
def test_a_spool_gives_all_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    """In order, whether they lie in memory, on the disk, or in both."""
    monkeypatch.setattr(records, "HELD", held)
    frames = [
        Analysed(n, n / 5, [Detection("1", 0.5, (0, 0, 1, 1), frame=n)] * (n % 4))
        for n in range(50)
    ]
    expected = [one for frame in frames for one in frame.detections]

    with Spool(tmp_path / "spool") as spool:
        for frame in frames:
            spool.add(frame)

        assert len(expected) == len(spool)
        assert expected == list(spool) == list(spool)
        assert (expected[3], expected[10:20]) == (spool[3], list(spool[10:20]))
        assert (held < len(expected)) == (tmp_path / "spool").exists()

    assert not (tmp_path / "spool").exists()
