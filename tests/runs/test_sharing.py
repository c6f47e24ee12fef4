"""How runs share workers: by weight, with nothing idle that somebody could use."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grange.runs.sharing import Claim, Shared, shares, weight

CLAIMS = st.dictionaries(
    st.integers(0, 20),
    st.builds(
        Claim,
        weight=st.integers(-100, 100).map(weight),
        held=st.integers(0, 500),
        window=st.integers(1, 300),
        hungry=st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@given(CLAIMS)
def test_shares_never_exceed_the_whole_nor_what_anybody_can_use(claims: dict[int, Claim]) -> None:
    """Together at most 1, and nobody gets more than they have a use for."""
    given_out = shares(claims)

    assert math.fsum(given_out.values()) <= 1 + 1e-9
    for run, claim in claims.items():
        assert 0 <= given_out[run] <= claim.demand + 1e-9


@given(CLAIMS)
def test_nothing_lies_idle_that_somebody_could_use(claims: dict[int, Claim]) -> None:
    """All that is there is shared, or everybody has all that they can use."""
    given_out = shares(claims)
    wanted = math.fsum(claim.demand for claim in claims.values())

    assert min(1.0, wanted) == pytest.approx(math.fsum(given_out.values()))


@given(CLAIMS)
def test_among_those_who_want_more_weight_alone_decides(claims: dict[int, Claim]) -> None:
    """Two that are not sated have shares in the proportion of their weights."""
    given_out = shares(claims)
    unsated = [run for run in claims if given_out[run] < claims[run].demand - 1e-9]

    for one in unsated:
        for other in unsated:
            left = given_out[one] * claims[other].weight
            assert left == pytest.approx(given_out[other] * claims[one].weight)


def test_ten_steps_of_priority_are_worth_twice_the_workers() -> None:
    """As the documentation says."""
    claims = {
        "urgent": Claim(weight(10), held=0, window=300, hungry=True),
        "plain": Claim(weight(0), held=0, window=300, hungry=True),
    }

    assert {"urgent": pytest.approx(2 / 3), "plain": pytest.approx(1 / 3)} == shares(claims)


def test_a_run_alone_has_all_the_room() -> None:
    """Whatever its priority."""
    shared = Shared()

    assert 90 == shared.room("a", "c1", Claim(weight(-50), held=10, window=100, hungry=True))


def test_a_second_run_gets_its_half_and_gives_it_back_when_it_leaves() -> None:
    """What the first one has out too much is not taken away: it gets no more until it fits."""
    shared = Shared()
    full = Claim(1.0, held=100, window=100, hungry=True)
    shared.room("a", "c1", full)

    assert 25 == shared.room("b", "c1", Claim(1.0, held=0, window=50, hungry=True))
    assert -50 == shared.room("a", "c1", full)
    shared.leave("b")
    assert 0 == shared.room("a", "c1", full)


def test_a_run_near_its_end_leaves_the_rest_to_the_others() -> None:
    """It holds its last tasks; all else is the other's."""
    shared = Shared()
    shared.room("ending", "c1", Claim(1.0, held=10, window=100, hungry=False))

    assert 90 == shared.room("other", "c1", Claim(1.0, held=0, window=100, hungry=True))


def test_runs_of_different_shapes_do_not_keep_each_other_waiting() -> None:
    """Work for machines with a GPU takes no room of the machines without."""
    shared = Shared()
    shared.room("gpu", "c1-g1", Claim(1.0, held=0, window=4, hungry=True))

    assert 100 == shared.room("cpu", "c1", Claim(1.0, held=0, window=100, hungry=True))


def test_a_run_of_least_weight_never_stands_still() -> None:
    """One task of it is always allowed."""
    shared = Shared()
    shared.room("vast", "c1", Claim(weight(100), held=0, window=10, hungry=True))

    assert 1 == shared.room("tiny", "c1", Claim(weight(-100), held=0, window=10, hungry=True))
    assert 0 == shared.room("tiny", "c1", Claim(weight(-100), held=1, window=10, hungry=True))
