"""GPUs of this machine among its own runs: a variable says who may use which, if there is any."""

from __future__ import annotations

import pytest

from grange.bootstrap.engines import slots_here
from grange.bootstrap.gpus import VISIBLE, Gpus, visible
from grange.core.resources import Needs
from grange.errors import Conflict

ONE = Needs(gpus=1)


@pytest.mark.parametrize(
    ("said", "names"),
    [("3,5", ("3", "5")), (" 0 , GPU-8f2a ", ("0", "GPU-8f2a")), ("", ()), ("-1", ())],
)
def test_what_this_process_may_use_is_what_there_is(
    monkeypatch: pytest.MonkeyPatch, said: str, names: tuple[str, ...]
) -> None:
    """As CUDA has it: names of any kind, and nothing where that is said."""
    monkeypatch.setenv(VISIBLE, said)

    assert names == visible()


def test_no_two_slots_have_the_same_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of one run, nor those of another one, until the first has ended."""
    monkeypatch.setenv(VISIBLE, "3,5,7")
    gpus = Gpus()

    assert [{VISIBLE: "3"}, {VISIBLE: "5"}] == gpus.take("first", ONE, 2)
    assert [{VISIBLE: "7"}] == gpus.take("second", ONE, 4)
    with pytest.raises(Conflict, match="at other runs"):
        gpus.take("third", ONE, 1)
    gpus.leave("first")
    gpus.leave("first")
    assert [{VISIBLE: "3,5"}] == gpus.take("third", Needs(gpus=2), 4)


def test_who_needs_none_is_told_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment stays as it is; so it does where no GPU is known."""
    monkeypatch.setenv(VISIBLE, "3")
    assert () == Gpus().take("run", Needs(), 4)
    monkeypatch.setenv(VISIBLE, "")
    assert () == Gpus().take("run", ONE, 4)


@pytest.mark.parametrize(
    ("needs", "slots"),
    [
        (ONE, 3),
        (Needs(gpus=2), 1),
        (Needs(gpus=9), 1),
        (Needs(gpus=1, gpu_memory_bytes=1 << 30), 3),
    ],
)
def test_no_more_is_done_at_a_time_than_there_are_gpus(
    monkeypatch: pytest.MonkeyPatch, needs: Needs, slots: int
) -> None:
    """A task that would share one has it for itself here: how much memory it has nobody knows."""
    monkeypatch.setenv(VISIBLE, "0,1,2")

    assert slots == slots_here(8, needs)
