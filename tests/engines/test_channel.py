"""Messages between an engine and a worker arrive whole, or not at all."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from grange.engines.channel import Channel, pack
from grange.errors import ChannelBroken


@pytest.fixture
def raw() -> Iterator[tuple[Channel, socket.socket]]:
    """Lend a channel, and the bare socket at its other end."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    yield channel, theirs
    channel.close()
    theirs.close()


def test_messages_arrive_whole_and_in_order(raw: tuple[Channel, socket.socket]) -> None:
    """Small and large messages come out as they went in."""
    ours, theirs = raw
    sent = [{"n": 1}, {"text": "x" * 3_000_000}, {"names": ["é", "\udcff", "\0", "\n"]}, {"n": 4}]
    other = Channel(theirs)
    sender = threading.Thread(target=lambda: [*map(other.send, sent)])

    sender.start()
    received = [ours.receive() for _ in sent]
    sender.join()

    assert sent == received


def test_posting_never_waits_for_the_other_end(raw: tuple[Channel, socket.socket]) -> None:
    """What there is no room for is kept, and sent when there is."""
    ours, theirs = raw
    sent = [{"number": number, "text": "x" * 100_000} for number in range(50)]

    for message in sent:
        ours.post(message)

    kept = ours.sending
    other = Channel(theirs)
    received: list[object] = []
    while len(received) < len(sent):
        ours.flush()
        received += other.drain()
    assert kept
    assert sent == received


def test_a_message_cut_off_is_none(raw: tuple[Channel, socket.socket]) -> None:
    """The other end died while it was writing: what was whole counts, the rest does not."""
    ours, theirs = raw
    theirs.sendall(pack({"n": 1}) + pack({"n": 2})[:-1])
    theirs.close()

    messages = ours.drain()

    assert [{"n": 1}] == messages
    assert ours.closed


@pytest.mark.parametrize(
    "nonsense", [struct.pack("!I", 2**31), struct.pack("!I", 3) + b"{{{"], ids=["length", "json"]
)
def test_nonsense_breaks_the_channel(raw: tuple[Channel, socket.socket], nonsense: bytes) -> None:
    """What is no message raises, and is never waited for."""
    ours, theirs = raw
    theirs.sendall(nonsense)

    with pytest.raises(ChannelBroken):
        ours.drain()


def test_sending_to_nobody_raises(raw: tuple[Channel, socket.socket]) -> None:
    """A worker learns that its engine is gone."""
    ours, theirs = raw
    theirs.close()

    with pytest.raises(ChannelBroken):
        ours.send({"n": 1})


def test_posting_to_nobody_closes_the_channel(raw: tuple[Channel, socket.socket]) -> None:
    """An engine goes on when a worker is gone."""
    ours, theirs = raw
    theirs.close()

    ours.post({"n": 1})

    assert ours.closed
    assert [] == ours.drain()
