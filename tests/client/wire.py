"""A wire between a client and a real server, that counts what passes and can be cut."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

_PIECE_BYTES = 65_536


class Wire:
    """Passes connections on to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._far = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.up_bytes = 0
        self.down_bytes = 0
        self.cuts = 0
        # After so many bytes in all, everything is cut, once.
        self.cut_after_up: int | None = None
        self.cut_after_down: int | None = None
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        # Shut down first: closing alone wakes no thread that waits in accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        for one in self._threads:
            one.join(timeout=10)
        self._listener.close()

    def cut(self) -> None:
        """Break every connection, as a network does."""
        with self._lock:
            doomed, self._open = self._open, set()
        for one in doomed:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _start(self, function: Callable[..., None], *what: object) -> None:
        thread = threading.Thread(target=function, args=what, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._start(self._join, near)

    def _join(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError), socket.create_connection(self._far) as far:
            with self._lock:
                self._open |= {near, far}
            back = threading.Thread(target=self._pass, args=(far, near, "down"), daemon=True)
            back.start()
            self._pass(near, far, "up")
            back.join()
            with self._lock:
                self._open -= {near, far}

    def _pass(self, source: socket.socket, target: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                if self._is_cut(len(piece), way):
                    self.cut()
                    return
                target.sendall(piece)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _is_cut(self, count: int, way: str) -> bool:
        with self._lock:
            passed = getattr(self, f"{way}_bytes") + count
            setattr(self, f"{way}_bytes", passed)
            limit = getattr(self, f"cut_after_{way}")
            if limit is None or passed < limit:
                return False
            setattr(self, f"cut_after_{way}", None)
            self.cuts += 1
            return True


@contextlib.contextmanager
def wire_to(port: int) -> Iterator[Wire]:
    """Lay a wire to this port for as long as the block lasts."""
    wire = Wire(port)
    try:
        yield wire
    finally:
        wire.close()
