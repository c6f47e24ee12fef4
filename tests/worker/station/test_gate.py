"""Who may begin at a station: never more than the machine has, in the order of coming."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from grange.core.resources import Capacity, Gpu, Needs
from grange.core.tasks import Job, Task, TaskKind
from grange.worker.station.appetite import Appetite
from grange.worker.station.gate import Gate, is_small
from grange.worker.station.holding import Held, Holding, Phase
from grange.worker.station.routes import Route, Way
from grange.worker.station.wants import ASKING_SECONDS, PATIENCE_SECONDS, Turns, credit

GIB = 1 << 30
MACHINE = Capacity(slots=4, cores=4, memory_bytes=8 * GIB, gpus=(Gpu(0, 4 * GIB), Gpu(1, 4 * GIB)))
NOW: Any = {"travelling": False, "turns": Turns(), "now": 0.0}
NEEDS = (
    Needs(),
    Needs(cores=4),
    Needs(cores=2, memory_bytes=3 * GIB),
    Needs(gpus=1),
    Needs(gpus=1, gpu_memory_bytes=2 * GIB),
    Needs(gpus=2),
)


@given(st.lists(st.tuples(st.sampled_from(NEEDS), st.integers(0, 10)), max_size=60))
def test_no_more_begins_than_the_machine_has(steps: list[tuple[Needs, int]]) -> None:
    """Whatever comes and goes: cores, memory and GPUs are never promised twice, and all get in."""
    gate = Gate(MACHINE)
    inside: dict[int, tuple[Needs, tuple[int, ...]]] = {}
    came = {}
    for number, (needs, leaving) in enumerate(steps):
        gate.come(number, needs)
        came[number] = needs
        _let_in(gate, inside, came)
        for task in list(inside)[:leaving]:
            del inside[task]
            gate.leave(task)
        _let_in(gate, inside, came)
    while inside:
        task = next(iter(inside))
        del inside[task]
        gate.leave(task)
        _let_in(gate, inside, came)
    assert 0 == gate.waiting


def test_small_tasks_wait_at_the_workers_themselves() -> None:
    """Without others, as many go through as come: a worker with nothing to do costs more."""
    gate = Gate(MACHINE)
    for number in range(10):
        gate.come(number, Needs())

    admitted = [gate.admit() for _ in range(10)]

    assert None not in admitted
    assert (0, 6) == (gate.waiting, gate.behind)


def test_a_large_task_is_not_overtaken() -> None:
    """What comes after it waits until it has had its turn: it would never begin otherwise."""
    gate = Gate(MACHINE)
    for number, needs in enumerate((Needs(), Needs(cores=4), Needs())):
        gate.come(number, needs)
    first = gate.admit()
    assert first is not None
    assert (0, None) == (first[0], gate.admit())

    gate.leave(0)

    second = gate.admit()
    assert second is not None
    assert (1, None) == (second[0], gate.admit())


def test_what_a_large_task_does_not_need_is_not_kept_from_others() -> None:
    """One that waits for a GPU leaves cores to those that need no more, and no GPU to anybody."""
    gate = Gate(MACHINE)
    for number, needs in enumerate(
        (Needs(gpus=1), Needs(gpus=2), Needs(gpus=1), Needs(), Needs(), Needs())
    ):
        gate.come(number, needs)

    begun = [admitted[0] for admitted in iter(gate.admit, None)]

    # The fourth core is the one that waits for its GPUs.
    assert [0, 3, 4] == begun
    assert gate.is_held_up
    assert (0, 0) == (gate.count(Needs()), gate.count(Needs(gpus=1)))
    gate.leave(0)
    assert [1] == [admitted[0] for admitted in iter(gate.admit, None)]


@given(st.integers(2, 4), st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_a_large_task_begins_when_those_before_it_have_ended(cores: int, coming: list[int]) -> None:
    """However many small ones come meanwhile, and wait at the workers themselves at first."""
    gate = Gate(MACHINE)
    before = set(range(6))
    for number in before:
        gate.come(number, Needs())
    inside = [admitted[0] for admitted in iter(gate.admit, None)]
    gate.come(100, Needs(cores=float(cores)))
    number = 200
    while before & set(inside) and 100 not in inside:
        for _ in range(coming[number % len(coming)]):
            gate.come(number, Needs())
            number += 1
        number += 1
        first = next(task for task in inside if task in before)
        inside.remove(first)
        gate.leave(first)
        inside += [admitted[0] for admitted in iter(gate.admit, None)]

    assert 100 in inside


def test_of_long_tasks_nothing_waits_here() -> None:
    """What waits at one machine can't be done by another that has nothing to do."""
    appetite = Appetite(4)
    for _ in range(50):
        appetite.ended(60.0)

    assert [4, 1, 0, 0] == [appetite.messages(held, travelling=False) for held in (0, 3, 4, 8)]


def test_inputs_that_travel_are_asked_for_while_others_are_worked_on() -> None:
    """One for each slot: its bytes come while the one before is worked on."""
    appetite = Appetite(4)
    appetite.ended(60.0)

    assert [4, 1, 0] == [appetite.messages(held, travelling=True) for held in (4, 7, 8)]


def test_short_tasks_are_kept_in_store() -> None:
    """So many that the way to the broker and back doesn't matter, in messages of many."""
    appetite = Appetite(2)
    for _ in range(100):
        appetite.ended(0.001)
        appetite.came(100)

    assert 2 == appetite.messages(0, travelling=False)
    assert 0 == appetite.messages(900, travelling=False)


def test_a_full_machine_asks_for_no_large_task() -> None:
    """Another machine may have room for it now."""
    holding, gate, appetite = Holding(), Gate(MACHINE), Appetite(4)
    appetite.ended(600.0)
    for number in range(4):
        _hold(holding, number, Needs(), Phase.WORKING)
        gate.come(number, Needs())
        gate.admit()

    assert {} == credit(["c1", "c4", "c1-g1"], holding, gate, appetite, **NOW)


def test_a_machine_that_is_always_full_makes_room_for_a_large_task_in_the_end() -> None:
    """It asks for one now and then; while that waits here, nothing that is in its way is taken."""
    holding, gate, appetite, turns = Holding(), Gate(MACHINE), Appetite(4), Turns()
    appetite.ended(600.0)
    for number in range(4):
        _hold(holding, number, Needs(), Phase.WORKING)
        gate.come(number, Needs())
        gate.admit()

    def wanted(now: float) -> dict[str, int]:
        shapes = ["c1", "c4", "c2-m3"]
        return credit(shapes, holding, gate, appetite, travelling=False, turns=turns, now=now)

    due, over = PATIENCE_SECONDS, PATIENCE_SECONDS + ASKING_SECONDS
    assert [{}, {}] == [wanted(0.0), wanted(due - 1)]
    assert {"c4": 1, "c2-m3": 1} == wanted(due)
    assert [{}, {}] == [wanted(over), wanted(over + due - 1)]
    assert {"c4": 1, "c2-m3": 1} == wanted(over + due)
    _hold(holding, 100, Needs(cores=4), Phase.READY)
    gate.come(100, Needs(cores=4))
    assert {} == wanted(over + due + 1)
    gate.leave(0)
    holding.remove(next(iter(holding)))
    assert {} == wanted(over + due + 2)


def test_each_shape_is_asked_for_as_far_as_it_fits() -> None:
    """What waits here for its input already is counted."""
    holding, gate, appetite = Holding(), Gate(MACHINE), Appetite(4)
    appetite.ended(600.0)
    _hold(holding, 1, Needs(gpus=1), Phase.COMING)

    wanted = credit(["c1", "c4", "c1-g1"], holding, gate, appetite, **NOW)

    assert {"c1": 3, "c4": 1, "c1-g1": 1} == wanted


def _let_in(
    gate: Gate, inside: dict[int, tuple[Needs, tuple[int, ...]]], came: dict[int, Needs]
) -> None:
    while (admitted := gate.admit()) is not None:
        task, place = admitted
        inside[task] = (came[task], place.gpus)
    held = list(inside.values())
    large = [needs for needs, _ in held if not is_small(needs)]
    small = len(held) - len(large)
    if large:
        # Small ones that were there before have a slot each, or go on as slots become free.
        assert sum(needs.cores for needs in large) <= MACHINE.cores
    assert sum(needs.memory_bytes for needs in large) <= MACHINE.memory_bytes
    assert len(large) + min(small, gate.capacity.slots - len(large)) <= MACHINE.slots
    whole = [one for needs, gpus in held if not needs.gpu_memory_bytes for one in gpus]
    assert len(whole) == len(set(whole))
    for gpu in MACHINE.gpus:
        shared = sum(needs.gpu_memory_bytes for needs, gpus in held if gpu.index in gpus)
        assert shared <= gpu.memory_bytes
        assert not (shared and gpu.index in whole)


def _hold(holding: Holding, number: int, needs: Needs, phase: Phase) -> None:
    job = Job("run", "command", {}, "file:///out", "/logs")
    route = Route(job, job, Way.MOUNT, carries_logs=False)
    holding.add(Held(route, Task(number, 1, TaskKind.PROCESS), needs, phase, 0.0))
