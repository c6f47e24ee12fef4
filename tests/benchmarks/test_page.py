"""The benchmarks run, and their page tells what they found."""

from __future__ import annotations

import json

import pytest

from benchmarks import page
from benchmarks.measure import RESULTS, Target


def test_the_page_is_what_the_results_say() -> None:
    """Nobody edits a number by hand: the page is made from what is kept."""
    assert page.text() == page.PAGE.read_text()


def test_every_benchmark_has_a_kept_result() -> None:
    """What is on the page can be looked up, every repetition of it."""
    for name in page.ORDER:
        kept = json.loads((RESULTS / f"{name}.json").read_text())

        assert name == kept["name"]
        assert all(row["values"] for row in kept["rows"])


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (Target("times", 2.0, 2), "PASS"),
        (Target("times", 1.99, 2), "MISS"),
        (Target("times", 1.5, 1.5, at_most=True), "PASS"),
        (Target("times", 1.51, 1.5, at_most=True), "MISS"),
    ],
)
def test_a_target_is_reached_from_its_own_side(target: Target, verdict: str) -> None:
    """At least and at most are not mixed up."""
    assert verdict == target.verdict
