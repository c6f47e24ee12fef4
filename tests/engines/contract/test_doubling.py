"""A mode of the tests that delivers every message twice does so, or it says nothing."""

from __future__ import annotations

import time

import pytest

from tests.engines.contract.rigs import RabbitRig, gone
from tests.engines.rig import PATIENCE_SECONDS


@pytest.mark.parametrize(
    "rig", [pytest.param("rabbit-twice", marks=pytest.mark.rabbitmq)], indirect=True
)
def test_whatever_is_said_is_said_twice(rig: RabbitRig) -> None:
    """Tasks, what came of them, signs of life, and what a driver tells all stations."""
    assert rig.doubling is not None
    sent = rig.doubling.sent
    engine = rig.make()
    task, mark = rig.blocking()
    rig.do(engine, rig.many(5))
    rig.publish(engine, [task])
    rig.turn_until(engine, mark.exists)
    engine.abandon([task.id])
    gone(mark)

    wanted = {"tasks", "outcomes", "beats", "control"}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not wanted <= set(sent) and time.monotonic() < deadline:
        engine.collect(0.1)

    assert wanted == set(sent)
    assert 6 <= sent["tasks"]
