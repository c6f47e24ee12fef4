"""Constant or variable: what the times of frames say of their rate."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grange.pipelines.wildlife.media.timing import FALLBACK_RATE, Pace

RATES = [Fraction(30000, 1001), Fraction(24000, 1001), *map(Fraction, (5, 10, 15, 24, 25, 30, 60))]
BASES = [Fraction(1, 1000), Fraction(1, 90_000), Fraction(1, 30_000), Fraction(1, 600)]


def pace(times: list[int], pieces: int = 1) -> Pace:
    """A pace that was given these times in so many pieces."""
    found = Pace()
    for piece in np.array_split(np.array(times, np.int64), pieces):
        found.add(piece)
    return found


@settings(deadline=None)
@given(
    st.sampled_from(RATES),
    st.sampled_from(BASES),
    st.integers(40, 400),
    st.integers(-1000, 10**9),
    st.integers(1, 5),
)
def test_a_constant_rate_is_found_through_rounding(
    rate: Fraction, base: Fraction, count: int, start: int, pieces: int
) -> None:
    """Rounded or cut to ticks, from any beginning: the rate is constant, and is that rate."""
    exact = [number / rate / base for number in range(count)]
    for times in ([start + round(each) for each in exact], [start + int(each) for each in exact]):
        found = pace(times, pieces)

        assert not found.variable
        assert rate == found.rate(base, [rate])
        assert float(rate) == pytest.approx(float(found.rate(base, [])), rel=0.001)


@settings(deadline=None)
@given(st.sampled_from(RATES), st.sampled_from(BASES), st.integers(1, 38), st.integers(1, 3))
def test_a_frame_left_out_is_found(rate: Fraction, base: Fraction, gap: int, lost: int) -> None:
    """Wherever it is missing, and whatever the file declares."""
    times = [round(number / rate / base) for number in range(40 + lost)]
    del times[gap : gap + lost]

    found = pace(times)

    assert found.variable
    assert (len(times) - 1) / ((times[-1] - times[0]) * base) == found.rate(base, [rate])


def test_a_drift_is_no_rounding() -> None:
    """Steps that differ by one tick but add up to no rate are variable."""
    times = np.cumsum([33] * 50 + [34] * 50).tolist()

    assert pace(times).variable


def test_what_a_file_declares_is_believed_only_where_its_times_allow_it() -> None:
    """A header that says 30 does not make it so."""
    times = [40 * number for number in range(50)]

    assert Fraction(25) == pace(times).rate(Fraction(1, 1000), [Fraction(30)])


def test_one_frame_has_the_rate_that_is_declared() -> None:
    """A rate that is really a time base is not believed."""
    base = Fraction(1, 1000)

    assert Fraction(12) == pace([7]).rate(base, [None, Fraction(12)])
    assert FALLBACK_RATE == pace([7]).rate(base, [Fraction(90_000)])
    assert not pace([7]).variable
    assert pace([7, 7]).variable
