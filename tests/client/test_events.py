"""Reading the event stream."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from grange.client.api import Client
from grange.client.events import MOST_EVENT_BYTES, Told, parse
from grange.errors import RunNotFound, ServerRefused


def _told(*pieces: bytes) -> list[Told]:
    return list(parse(iter(pieces)))


def test_events_are_read_however_they_are_cut() -> None:
    """Where the network cuts a stream into pieces makes no difference."""
    text = b": hello\n\nevent: run\r\nid: 7\r\ndata: {\r\ndata: }\r\n\r\n"
    text += b"event: gone\ndata: \xc3\xa4\n\n"
    expected = [Told("run", "{\n}", "7"), Told("gone", "ä", "7")]

    assert expected == _told(text)
    assert expected == _told(*(text[place : place + 1] for place in range(len(text))))


def test_an_event_without_an_end_says_nothing() -> None:
    """What was cut off in the middle of an event is told again after the next connection."""
    assert [] == _told(b"event: run\ndata: {}\n")


@pytest.mark.parametrize("piece", [b"x" * 65_536, b"data: " + b"x" * 1000 + b"\n"])
def test_an_endless_event_is_refused(piece: bytes) -> None:
    """A server can't fill the memory of its clients."""
    endless: Iterator[bytes] = itertools.repeat(piece, 4 * MOST_EVENT_BYTES // len(piece))

    with pytest.raises(ServerRefused):
        list(parse(endless))


def test_a_run_that_is_not_there_can_not_be_followed(client: Client) -> None:
    """The server's refusal reaches whoever follows."""
    following = client.runs.follow_events("nonesuch00")

    with pytest.raises(RunNotFound):
        list(following)
