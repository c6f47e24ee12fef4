"""What travels through the broker comes out as it went in, or is refused in words."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grange.core.tasks import Batch, Failure, Job, Outcome, OutcomeState, Output, Task, TaskKind
from grange.engines.rabbit import messages
from grange.engines.rabbit.messages import Abandon, Beat, Control, Drain, Held, Report, Shapes
from grange.errors import BrokerMessageInvalid, ProtocolMismatch

JOB = Job("run", "command", {"shell": "true"}, "file:///out", "/logs", timeout_seconds=3.0)
UNPACKERS = [
    messages.unpack_batch,
    messages.unpack_report,
    messages.unpack_beat,
    messages.unpack_control,
]

texts = st.text(max_size=20)
numbers = st.integers(1, 1 << 60)
seconds = st.floats(0, 1e6).map(lambda value: round(value, 1))
tasks = st.builds(
    Task, numbers, numbers, st.sampled_from(TaskKind), texts, texts, payload=st.none() | texts
)
failures = st.builds(Failure, texts, texts, st.booleans(), st.dictionaries(texts, texts))
outcomes = st.builds(
    Outcome,
    numbers,
    numbers,
    st.sampled_from(OutcomeState),
    seconds=seconds,
    worker=texts,
    outputs=st.lists(st.builds(Output, texts, numbers, texts, numbers), max_size=3).map(tuple),
    failure=st.none() | failures,
)
helds = st.builds(Held, numbers, numbers) | st.builds(
    Held, numbers, numbers, seconds, st.none() | st.floats(0, 1)
)


@given(st.lists(tasks, max_size=5).map(tuple))
def test_tasks_arrive_as_they_were_sent(sent: tuple[Task, ...]) -> None:
    """A station works on exactly what the driver has claimed."""
    batch = Batch(JOB, sent)

    assert batch == messages.unpack_batch(messages.pack_batch(batch))


@given(
    st.builds(
        Report,
        texts,
        texts,
        st.lists(texts, max_size=3).map(tuple),
        st.lists(outcomes, max_size=3).map(tuple),
    )
)
def test_reports_arrive_as_they_were_sent(report: Report) -> None:
    """The ledger hears exactly what came of a task."""
    assert report == messages.unpack_report(messages.pack_report(report))


@given(
    st.builds(
        Beat,
        texts,
        texts,
        seconds,
        numbers,
        st.lists(helds, max_size=3).map(tuple),
        st.dictionaries(texts, texts, max_size=3),
    )
)
def test_beats_arrive_as_they_were_sent(beat: Beat) -> None:
    """A driver hears what a station holds, and how far it is."""
    assert beat == messages.unpack_beat(messages.pack_beat(beat))


@pytest.mark.parametrize(
    "control", [Abandon("run", ((1, 2), (3, 4))), Drain("st"), Shapes(("c1", "c4-m16"))]
)
def test_what_drivers_say_arrives(control: Control) -> None:
    """A station hears what it is to stop."""
    assert control == messages.unpack_control(messages.pack_control(control))


@pytest.mark.parametrize("unpack", UNPACKERS)
def test_another_protocol_is_refused_with_both_versions(unpack: Callable[[bytes], object]) -> None:
    """Who runs an older Grange is told which side is which."""
    body = json.dumps({"protocol": 2, "grange": "9.9"}).encode()

    with pytest.raises(ProtocolMismatch, match=r"9\.9 speaks protocol 2.*speaks protocol 1"):
        unpack(body)


@pytest.mark.parametrize("unpack", UNPACKERS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"protocol":1}',
        b'{"protocol":1,"job":1,"tasks":2,"station":[],"abandon":3}',
        b'{"protocol":1,"job":{},"tasks":[{}],"abandon":[[1]],"outcomes":[{}]}',
        b"\xff\xfe",
        zlib.compress(b"{" * 1000),
        zlib.compress(b"{}")[:-3],
        b"[" * 100_000,
    ],
)
def test_what_is_no_message_is_refused(unpack: Callable[[bytes], object], body: bytes) -> None:
    """Nonsense in a queue breaks nobody."""
    with pytest.raises(BrokerMessageInvalid):
        unpack(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(body: bytes) -> None:
    """There are no bytes that bring a driver or a station down."""
    for unpack in UNPACKERS:
        with pytest.raises(BrokerMessageInvalid):
            unpack(body)


def test_what_a_later_grange_adds_is_left_out() -> None:
    """Old workers and new servers understand each other while the protocol is the same."""
    data = json.loads(messages.pack_batch(Batch(JOB, (Task(1, 1, TaskKind.PROCESS),))))
    data["job"]["novelty"] = data["tasks"][0]["novelty"] = data["novelty"] = 1

    batch = messages.unpack_batch(json.dumps(data).encode())

    assert Batch(JOB, (Task(1, 1, TaskKind.PROCESS),)) == batch


def test_long_messages_are_packed() -> None:
    """A broker takes no message over its limit, and most long ones are well under it."""
    batch = Batch(JOB, (Task(1, 1, TaskKind.PROCESS, payload="word " * 1_000_000),))

    body = messages.pack_batch(batch)

    assert len(body) < 100_000
    assert batch == messages.unpack_batch(body)


def test_a_message_that_no_broker_would_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too long is an error of the one who sends it."""
    monkeypatch.setattr(messages, "MAX_BODY_BYTES", 1000)

    with pytest.raises(BrokerMessageInvalid, match="too long"):
        messages.pack_batch(Batch(JOB, (Task(1, 1, TaskKind.PROCESS, path="x" * 2000),)))


def test_a_message_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes can't fill the memory of whoever reads them."""
    body = messages.pack_batch(Batch(JOB, (Task(1, 1, TaskKind.PROCESS, path="x" * 200_000),)))
    monkeypatch.setattr(messages, "MAX_PLAIN_BYTES", 100_000)

    with pytest.raises(BrokerMessageInvalid):
        messages.unpack_batch(body)
