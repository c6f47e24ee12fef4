"""What can't be said for now is said once, and not more of it is kept than anybody needs."""

from __future__ import annotations

import pytest

from grange.engines.rabbit.messages import Abandon, Control, Drain, Shapes
from grange.engines.rabbit.unsaid import Unsaid


def test_everything_is_said_once_and_run_by_run() -> None:
    """However often it was kept; which queues there are is said anyway."""
    unsaid = Unsaid()
    unsaid.keep(Abandon("a", ((1, 1), (2, 1))))
    unsaid.keep(Abandon("b", ((3, 1),)))
    unsaid.keep(Abandon("a", ((2, 1), (2, 2))))
    unsaid.keep(Drain("st"))
    unsaid.keep(Drain("st"))
    unsaid.keep(Shapes(("c1",)))

    said = _all(unsaid)

    assert [Drain("st"), Abandon("a", ((1, 1), (2, 1), (2, 2))), Abandon("b", ((3, 1),))] == said
    assert [] == _all(unsaid)


def test_the_latest_attempts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is away for long costs no more memory than that, and no longer messages."""
    monkeypatch.setattr("grange.engines.rabbit.unsaid.MOST_ATTEMPTS", 3)
    monkeypatch.setattr("grange.engines.rabbit.unsaid.ABANDON_AT_ONCE", 2)
    unsaid = Unsaid()

    for number in range(9):
        unsaid.keep(Abandon("a", ((number, 1),)))

    assert [Abandon("a", ((6, 1), (7, 1))), Abandon("a", ((8, 1),))] == _all(unsaid)


def _all(unsaid: Unsaid) -> list[Control]:
    said = []
    while (control := unsaid.take()) is not None:
        said.append(control)
    return said
