"""What drivers count on of the machines that they hear of."""

from __future__ import annotations

from typing import Any

from grange.core.resources import Capacity, Needs, capacity_to_json
from grange.engines.rabbit.messages import Beat
from grange.engines.rabbit.stations import LONGEST_NAME, MOST_SLOTS, Stations


def beat(slots: int, **about: Any) -> Beat:
    """Make a station's own beat."""
    return Beat("st", "session", 0.0, slots, about=about)


def test_a_machine_is_believed_no_more_slots_than_machines_have() -> None:
    """Whatever it says, it takes no driver's time to count them, and gets no run's whole work."""
    boast = 1 << 40
    for about in ({}, {"capacity": capacity_to_json(Capacity(boast, float(boast)))}):
        stations = Stations()
        stations.beat(beat(boast, **about), 0.0)

        assert [MOST_SLOTS] == stations.slots(Needs(), 1.0)


def test_a_machine_has_a_name_of_a_length_that_can_be_told() -> None:
    """It goes into the ledger with each attempt."""
    stations = Stations()
    stations.beat(beat(1, name="n" * 10_000), 0.0)

    assert "n" * LONGEST_NAME == stations.called("st")
