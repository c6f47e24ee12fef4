"""Messages between an engine and one worker: JSON with its length before it, over a socket.

Never pickle: a worker runs other people's code, and must not be able to run
any in the engine's process.
"""

from __future__ import annotations

import json
import socket
import struct

from grange.core.tasks import JSON
from grange.errors import ChannelBroken

_HEADER = struct.Struct("!I")
# A message holds at most some hundred tasks, or one with very many parts.
MAX_MESSAGE_BYTES = 256 << 20
_READ_BYTES = 1 << 18
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def pack(message: JSON) -> bytes:
    """The message as it travels.

    Raises:
        ChannelBroken: It is too long.
    """
    body = _encode(message).encode("utf-8", "surrogatepass")
    if len(body) > MAX_MESSAGE_BYTES:
        raise ChannelBroken(f"A message of {len(body)} bytes is too long to be sent.")
    return _HEADER.pack(len(body)) + body


class Channel:
    """One end of the way between an engine and a worker."""

    def __init__(self, end: socket.socket) -> None:
        """Take over one end of a connected pair of sockets."""
        self._socket = end
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self.closed = False

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._socket.fileno()

    @property
    def sending(self) -> bool:
        """Whether something waits to be sent by `flush`."""
        return bool(self._outgoing)

    def send(self, message: JSON) -> None:
        """Send a message; blocks until the other end has room for it.

        Raises:
            ChannelBroken: The other end is gone.
        """
        self._outgoing += pack(message)
        try:
            self._socket.sendall(self._outgoing)
        except OSError as error:
            raise ChannelBroken("The other end of a worker's channel is gone.") from error
        self._outgoing.clear()

    def post(self, message: JSON) -> None:
        """Send as much as there is room for, and keep the rest for `flush`. Never blocks."""
        self._outgoing += pack(message)
        self.flush()

    def flush(self) -> None:
        """Send what is kept, as far as there is room. Never blocks."""
        while self._outgoing and not self.closed:
            try:
                sent = self._socket.send(self._outgoing, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                self.closed = True
                return
            del self._outgoing[:sent]

    def receive(self) -> JSON | None:
        """The next message; blocks until it is there. None when the other end is gone.

        Raises:
            ChannelBroken: What comes is no message.
        """
        while True:
            message = self._take()
            if message is not None:
                return message
            try:
                data = self._socket.recv(_READ_BYTES)
            except OSError:
                data = b""
            if not data:
                self.closed = True
                return None
            self._incoming += data

    def drain(self) -> list[JSON]:
        """All messages that are there. Never blocks; `closed` is set when the other end is gone.

        Raises:
            ChannelBroken: What comes is no message.
        """
        while not self.closed:
            try:
                data = self._socket.recv(_READ_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.closed = True
            self._incoming += data
        messages = []
        while (message := self._take()) is not None:
            messages.append(message)
        return messages

    def close(self) -> None:
        """Close this end. Idempotent."""
        self.closed = True
        self._socket.close()

    def _take(self) -> JSON | None:
        if len(self._incoming) < _HEADER.size:
            return None
        (length,) = _HEADER.unpack_from(self._incoming)
        if length > MAX_MESSAGE_BYTES:
            raise ChannelBroken(f"A message of {length} bytes was announced: that is no message.")
        end = _HEADER.size + length
        if len(self._incoming) < end:
            return None
        body = bytes(self._incoming[_HEADER.size : end])
        del self._incoming[:end]
        try:
            return json.loads(body.decode("utf-8", "surrogatepass"))
        except ValueError as error:
            raise ChannelBroken("A worker's channel carries what is no JSON.") from error
