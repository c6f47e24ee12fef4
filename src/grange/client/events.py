"""Following what happens on the server: its event stream, which goes on after every cut."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import httpx
from pydantic import BaseModel, ValidationError

from grange.client.connection import Connection
from grange.client.schemas.runs import ItemsEnded, RunSnapshot
from grange.client.trouble import not_understood
from grange.errors import DatabaseError, GrangeError, ServerRefused, ServerUnreachable, TooMany

# The server says something every 15 seconds.
SILENCE_SECONDS = 45.0
# How often whoever follows may look after other things.
TICK_SECONDS = 0.2
MOST_EVENT_BYTES = 8 << 20
_MOST_WAITING = 1000


class Gone(BaseModel):
    """The run is there no longer, or no longer ours to see."""


class Cut(BaseModel):
    """No word comes from the server; it is tried again."""

    why: str


@dataclass(slots=True)
class Told:
    """One event of the stream, as it was sent."""

    event: str
    data: str
    id: str


Happening = RunSnapshot | ItemsEnded | Gone | Cut


def parse(pieces: Iterator[bytes]) -> Iterator[Told]:
    """The events of a stream, as the standard says; comments are passed over.

    Raises:
        ServerRefused: An event has no end.
    """
    event, last, size = "", "", 0
    data: list[str] = []
    for line in _lines(pieces):
        size += len(line)
        if size > MOST_EVENT_BYTES:
            raise not_understood("events (one has no end)")
        if not line:
            if data:
                yield Told(event or "message", "\n".join(data), last)
            event, data, size = "", [], 0
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            event = value
        elif field == "data":
            data.append(value)
        elif field == "id" and "\0" not in value:
            last = value


class Following:
    """Follows one run in the background; iterate over it for what happens.

    The iteration gives None every so often, so that its reader can look after
    other things, and ends when it is closed.
    """

    def __init__(self, connection: Connection, run: str, *, after: str = "") -> None:
        """Begin to follow the run from now on, or after an event's id; `start` is before all."""
        self._connection = connection
        self._run = run
        self._after = after
        self._last = ""
        self._heard: queue.Queue[Happening | GrangeError] = queue.Queue(_MOST_WAITING)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True, name=f"events of {run}")
        self._thread.start()

    def __iter__(self) -> Iterator[Happening | None]:
        """What happens, in order, with None where nothing does.

        Raises:
            ServerUnreachable: Nothing was heard for long.
            GrangeError: The server refuses.
        """
        while not self._closed.is_set():
            try:
                heard = self._heard.get(timeout=TICK_SECONDS)
            except queue.Empty:
                yield None
                continue
            if isinstance(heard, GrangeError):
                raise heard
            yield heard

    def close(self) -> None:
        """Stop following. A thread that still waits for a word ends with the next one."""
        self._closed.set()

    def _listen(self) -> None:
        try:
            self._go_on_listening()
        except GrangeError as error:
            self._put(error)
        except Exception as error:  # noqa: BLE001  # a thread's end must not leave its reader waiting
            self._put(
                ServerUnreachable(f"Following the run ended: {type(error).__name__}: {error}")
            )

    def _go_on_listening(self) -> None:
        delays = self._connection.delays()
        while not self._closed.is_set():
            asked = 0.0
            try:
                for happening in self._happenings():
                    delays = self._connection.delays()
                    self._put(happening)
                    if self._closed.is_set():
                        return
                failure: GrangeError = ServerUnreachable("The server ended its stream of events.")
            except httpx.TransportError as error:
                failure = self._connection.told(error)
            except (ServerRefused, DatabaseError) as error:
                # What a server says that is coming up, or a proxy in its stead.
                failure = error
            except TooMany as error:
                failure, asked = error, error.retry_seconds
            if self._closed.is_set():
                return
            self._put(Cut(why=failure.message))
            if not delays.wait(asked):
                raise failure

    def _happenings(self) -> Iterator[Happening]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._last:
            headers["Last-Event-ID"] = self._last
        query = {"topic": f"run:{self._run}", "after": self._after}
        with self._connection.stream(
            "events", query=query, headers=headers, silence_seconds=SILENCE_SECONDS
        ) as response:
            for told in parse(response.iter_bytes()):
                happening = _happening(told)
                if happening is not None:
                    yield happening
                # Kept once it was taken, so that nothing is lost by a cut in between.
                self._last = told.id or self._last

    def _put(self, heard: Happening | GrangeError) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._heard.put(heard, timeout=TICK_SECONDS)
                return


def _happening(told: Told) -> Happening | None:
    try:
        if told.event == "run":
            return RunSnapshot.model_validate_json(told.data)
        if told.event == "items":
            return ItemsEnded.model_validate_json(told.data)
    except ValidationError as error:
        raise not_understood("events") from error
    return Gone() if told.event == "gone" else None


def _lines(pieces: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        rest += piece
        *lines, rest = rest.replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
        if len(rest) > MOST_EVENT_BYTES:
            raise not_understood("events (a line has no end)")
