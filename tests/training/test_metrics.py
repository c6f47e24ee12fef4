"""The measures: right by hand on cases small enough to reckon."""

from __future__ import annotations

import numpy as np
import pytest

from training.metrics import correct_keypoints, curve

TRUTH = np.array([(0, 0, 0, 10, 10, 1), (0, 20, 0, 30, 10, 1), (1, 0, 0, 10, 10, 1)], float)


def test_finding_all_is_worth_one() -> None:
    """Each body found once, and nothing else: the whole area."""
    found = np.insert(TRUTH[:, :5], 1, 0.9, axis=1)

    assert 1.0 == pytest.approx(curve(found, TRUTH).average)


def test_a_second_box_on_a_body_is_wrong() -> None:
    """Of two boxes on one body the more confident one is right, the other counts against."""
    found = np.array([(0, 0.9, 0, 0, 10, 10), (0, 0.8, 0, 0, 10, 9.9)])
    result = curve(found, TRUTH)

    assert [1.0, 0.5] == result.precision.tolist()
    assert 1 / 3 == pytest.approx(result.average)


def test_what_is_not_asked_for_counts_neither_way() -> None:
    """A box on a body that does not count is as though it weren't there."""
    truth = TRUTH.copy()
    truth[1, 5] = 0
    found = np.array([(0, 0.9, 20, 0, 30, 10), (0, 0.8, 0, 0, 10, 10), (1, 0.7, 0, 0, 10, 10)])

    assert 1.0 == pytest.approx(curve(found, truth).average)


def test_a_box_beside_the_body_is_wrong() -> None:
    """At least half of both together must be shared."""
    found = np.array([(0, 0.9, 5, 0, 15, 10)])

    assert 0.0 == curve(found, TRUTH).average


def test_the_area_takes_the_best_precision_to_come() -> None:
    """Wrong, right, right of three: 2/3 precision up to a recall of 2/3."""
    found = np.array([(0, 0.9, 50, 50, 60, 60), (0, 0.8, 0, 0, 10, 10), (1, 0.7, 0, 0, 10, 10)])

    assert 4 / 9 == pytest.approx(curve(found, TRUTH).average)


def test_a_keypoint_may_be_off_by_a_tenth() -> None:
    """Near enough is a tenth of the longer side; hidden ones are left out."""
    truth = np.array([[(0, 0, 1), (50, 0, 1), (0, 50, 0)]], float)
    found = np.array([[(9, 0, 0.9), (61, 0, 0.9), (0, 50, 0.9)]], float)

    assert [1.0, 0.0] == correct_keypoints(found, truth, np.array([100.0]))[0, :2].tolist()
    assert np.isnan(correct_keypoints(found, truth, np.array([100.0]))[0, 2])
