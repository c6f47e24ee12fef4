"""Waking a thread that waits for an engine."""

from __future__ import annotations

import threading
import time
from contextlib import closing

from grange.engines.bell import Bell
from grange.engines.local import LocalEngine

PATIENCE_SECONDS = 60.0


def test_a_bell_that_nobody_hushes_can_be_rung_for_ever() -> None:
    """Ringing never blocks, however often it is done."""
    bell = Bell()
    for _ in range(100_000):
        bell.ring()
    bell.hush()
    bell.close()
    bell.ring()


def test_a_collect_that_waits_returns_when_it_is_rung() -> None:
    """Another thread has something for the engine: it need not wait for an outcome."""
    with closing(LocalEngine(["true"], workers=1)) as engine:
        began = time.monotonic()
        threading.Timer(0.1, engine.ring).start()
        assert engine.collect(PATIENCE_SECONDS) == []
        assert time.monotonic() - began < PATIENCE_SECONDS / 2


def test_a_ring_before_the_collect_is_heard_too() -> None:
    """What was rung while nobody waited is not lost."""
    with closing(LocalEngine(["true"], workers=1)) as engine:
        engine.ring()
        began = time.monotonic()
        assert engine.collect(PATIENCE_SECONDS) == []
        assert time.monotonic() - began < PATIENCE_SECONDS / 2
