"""What work needs, what workers have, and that nobody takes more than there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grange.core.resources import (
    Capacity,
    Gpu,
    Needs,
    Place,
    Room,
    can_do,
    capacity_from_json,
    capacity_to_json,
    check_needs,
    needs_from_json,
    needs_of,
    needs_to_json,
    serves,
    shape,
)
from grange.core.tasks import Batch, Job, batch_from_json, batch_to_json
from grange.errors import UsageError

GIB = 1 << 30
LABELS = st.lists(st.sampled_from(["ssd", "lab-2", "a"]), unique=True, max_size=3).map(
    lambda labels: tuple(sorted(labels))
)
MEMORY = st.one_of(st.just(0), st.integers(1, 64 * GIB))


@st.composite
def any_needs(draw: st.DrawFn) -> Needs:
    """Draw what a task could ask for."""
    gpus = draw(st.integers(0, 3))
    return Needs(
        cores=draw(st.one_of(st.integers(1, 9).map(float), st.floats(0.01, 9))),
        memory_bytes=draw(MEMORY),
        gpus=gpus,
        gpu_memory_bytes=draw(MEMORY) if gpus else 0,
        labels=draw(LABELS),
    )


@st.composite
def any_capacity(draw: st.DrawFn) -> Capacity:
    """Draw what a worker could have."""
    return Capacity(
        slots=draw(st.integers(1, 12)),
        cores=draw(st.one_of(st.integers(1, 16).map(float), st.floats(0.1, 16))),
        memory_bytes=draw(MEMORY),
        gpus=tuple(Gpu(index, draw(MEMORY), "card") for index in range(draw(st.integers(0, 4)))),
        labels=draw(LABELS),
    )


@given(any_capacity(), st.lists(st.tuples(st.booleans(), any_needs()), max_size=40))
def test_a_worker_never_takes_more_than_it_has(
    capacity: Capacity, steps: list[tuple[bool, Needs]]
) -> None:
    """However tasks come and go: cores, memory, slots, and each GPU, are never promised twice."""
    room = Room(capacity)
    inside: dict[int, tuple[Needs, Place]] = {}
    for number, (comes, needs) in enumerate(steps):
        if comes:
            fits = room.fits(needs)
            place = room.admit(number, needs)
            assert fits == (place is not None)
            if place is not None:
                inside[number] = (needs, place)
        elif inside:
            gone = min(inside)
            room.leave(gone)
            del inside[gone]

        assert len(room) == len(inside) <= capacity.slots
        held = [one for one, _ in inside.values()]
        assert sum(one.cores for one in held) <= capacity.usable_cores + 1e-9
        assert sum(one.memory_bytes for one in held) <= capacity.memory_bytes or not any(
            one.memory_bytes for one in held
        )
        for gpu in capacity.gpus:
            users = [one for one, place in inside.values() if gpu.index in place.gpus]
            assert len(users) <= 1 or all(one.gpu_memory_bytes for one in users)
            assert sum(one.gpu_memory_bytes for one in users) <= gpu.memory_bytes
        for one, place in inside.values():
            assert one.gpus == len(set(place.gpus))
            assert set(one.labels) <= set(capacity.labels)


@given(any_capacity(), any_needs())
def test_whoever_reads_a_queue_can_do_all_that_is_in_it(capacity: Capacity, needs: Needs) -> None:
    """Rounding up never sends a task to a worker that lacks something."""
    if serves(capacity, shape(needs)):
        assert can_do(capacity, needs)
        assert Room(capacity).admit("it", needs) is not None


@given(any_needs())
def test_every_task_has_a_queue_that_a_capable_worker_reads(needs: Needs) -> None:
    """Who has whole cores and a sixteenth more memory than asked for reads its queue."""
    more = 1 + 1 / 16
    capable = Capacity(
        slots=1,
        cores=float(-(-needs.cores // 1)),
        memory_bytes=int(needs.memory_bytes * more) + (1 << 28),
        gpus=tuple(
            Gpu(index, int(needs.gpu_memory_bytes * more) + (1 << 28))
            for index in range(needs.gpus)
        ),
        labels=needs.labels,
    )

    name = shape(needs)

    assert serves(capable, name)
    assert name == shape(needs_of(name))


@given(any_needs(), any_capacity())
def test_needs_and_capacities_travel_as_plain_data(needs: Needs, capacity: Capacity) -> None:
    """What one side takes apart the other puts together."""
    assert needs == needs_from_json(needs_to_json(needs))
    assert capacity == capacity_from_json(capacity_to_json(capacity))


@pytest.mark.parametrize(
    ("needs", "name"),
    [
        (Needs(), "c1"),
        (Needs(cores=0.5), "c1"),
        (Needs(cores=4, memory_bytes=16 * GIB), "c4-m16"),
        (Needs(memory_bytes=16_000_000_000), "c1-m15"),
        (Needs(gpus=1), "c1-g1"),
        (Needs(gpus=2, gpu_memory_bytes=6 * GIB), "c1-g2-v6"),
        (Needs(labels=("ssd", "lab-2")), "c1+lab-2+ssd"),
    ],
)
def test_a_shape_is_named_after_what_it_asks_for(needs: Needs, name: str) -> None:
    """People meet these names in the broker's own pages."""
    assert name == shape(needs)


def test_a_name_that_is_no_shape_is_served_by_nobody() -> None:
    """A newer server's queues may have names that this worker does not know."""
    assert not serves(Capacity(slots=8, cores=8), "c1-z3")


def test_gpus_are_shared_only_among_those_who_say_how_much_they_need() -> None:
    """A task that says nothing of memory has its card alone; two that do may share one."""
    room = Room(Capacity(slots=4, gpus=(Gpu(0, 8 * GIB), Gpu(1, 8 * GIB))))

    assert Place((0,)) == room.admit("a", Needs(gpus=1, gpu_memory_bytes=4 * GIB))
    assert Place((0,)) == room.admit("b", Needs(gpus=1, gpu_memory_bytes=4 * GIB))
    assert Place((1,)) == room.admit("c", Needs(gpus=1))
    assert room.admit("d", Needs(gpus=1, gpu_memory_bytes=1)) is None
    room.leave("a")
    assert Place((0,)) == room.admit("d", Needs(gpus=1, gpu_memory_bytes=1))


def test_more_slots_than_cores_are_what_somebody_wanted() -> None:
    """`--slots 4` on two cores works on four tasks of one core each."""
    assert 4 == Room(Capacity(slots=4, cores=2)).count(Needs())
    assert 2 == Room(Capacity(slots=4, cores=8)).count(Needs(cores=4))


@pytest.mark.parametrize(
    "needs",
    [
        Needs(cores=0),
        Needs(cores=float("nan")),
        Needs(cores=1e9),
        Needs(memory_bytes=-1),
        Needs(gpus=1000),
        Needs(gpu_memory_bytes=1),
        Needs(labels=("Big",)),
        Needs(labels=("a+b",)),
        Needs(labels=("x" * 33,)),
        Needs(labels=tuple(f"l{number}" for number in range(9))),
    ],
)
def test_needs_that_nobody_could_meet_are_refused(needs: Needs) -> None:
    """In one clear error, before anything is written down."""
    with pytest.raises(UsageError):
        check_needs(needs)


def test_a_job_carries_its_needs_to_the_worker() -> None:
    """A job that needs nothing special says nothing of it, as older workers expect."""
    plain = Job("r", "command", {}, "file:///out", "/logs")
    asking = Job("r", "command", {}, "file:///out", "/logs", needs=Needs(cores=2, labels=("a",)))

    assert "needs" not in batch_to_json(Batch(plain, ()))["job"]
    assert Batch(plain, ()) == batch_from_json(batch_to_json(Batch(plain, ())))
    assert Batch(asking, ()) == batch_from_json(batch_to_json(Batch(asking, ())))
