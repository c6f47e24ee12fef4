"""The wildlife benchmarks run, and they don't compare what differs."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import longvideo, wildlife
from benchmarks.wildlife import GRANGE, SAMPLES, USUAL, check_equal


def test_the_comparison_runs() -> None:
    """With little to do it takes seconds, and whoever is not installed is left out."""
    result = wildlife.measure(quick=True)

    assert result.median(f"{GRANGE}, {SAMPLES[USUAL]}") > 0
    assert {"PASS"} == {one.verdict for one in result.targets if "loads" in one.what}


def test_the_long_video_runs() -> None:
    """Longer videos are made of the same frames, and both lengths are measured."""
    result = longvideo.measure(quick=True)

    # The index of a film of a minute is too small to be seen.
    assert all(row.median > 0 for row in result.rows if longvideo.INDEX not in row.what)
    assert 1 == len(result.targets)


FOUND: dict[str, Any] = {
    "frame_number": 6,
    "category": "1",
    "conf": 0.8,
    "bbox": [0.1, 0.2, 0.3, 0.4],
    "track": 1,
    "keypoints": [[0.2, 0.3, 0.9], [0.4, 0.5, 0.1]],
}


@pytest.mark.parametrize(
    "other",
    [
        [],
        [FOUND | {"frame_number": 12}],
        [FOUND | {"category": "2"}],
        [FOUND | {"bbox": [0.1, 0.25, 0.3, 0.4]}],
        [FOUND | {"keypoints": []}],
        [FOUND | {"keypoints": [[0.2, 0.4, 0.9], [0.4, 0.5, 0.1]]}],
    ],
)
def test_who_finds_something_else_is_refused(other: list[Any]) -> None:
    """Nobody is quick because it leaves out or changes something."""
    with pytest.raises(AssertionError, match=r"Ray found something else in a\.mp4"):
        check_equal({"a.mp4": [FOUND]}, {"a.mp4": other}, "Ray")


def test_rounding_and_unsure_points_are_no_difference() -> None:
    """Batches of another size may round another way; where nothing is seen, a peak is anywhere."""
    other = FOUND | {"conf": 0.801, "keypoints": [[0.2, 0.3001, 0.9], [0.9, 0.1, 0.1]]}

    check_equal({"a.mp4": [FOUND]}, {"a.mp4": [other]}, "Ray")
