"""Ask a server the same thing over and over: python -m benchmarks.knock PORT PATH TOKEN N SECONDS.

Keeps N connections busy for so long, and prints as JSON how many answers came
and how long they took. A process of its own, so that it takes no turns from the server.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

WARM_SECONDS = 0.5


class Knocker(asyncio.Protocol):
    """One connection, on which a request is sent as soon as the last one is answered."""

    def __init__(self, request: bytes, took: list[float]) -> None:
        """Send this, and note how long each answer took."""
        self._request = request
        self._took = took
        self._received = b""
        self._sent = 0.0
        self.bad = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Go on once the whole answer is there."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._took.append(time.perf_counter() - self._sent)
        self.bad += not head.startswith(b"HTTP/1.1 200 ")
        self._send()

    def _send(self) -> None:
        self._received = b""
        self._sent = time.perf_counter()
        self._transport.write(self._request)


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


async def knock(port: int, request: bytes, connections: int, seconds: float) -> dict[str, float]:
    """What came back in this time, after a moment in which nothing counts."""
    took: list[float] = []
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Knocker(request, took), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.sleep(min(WARM_SECONDS, seconds))
    took.clear()
    begun = time.perf_counter()
    await asyncio.sleep(seconds)
    elapsed, ordered = time.perf_counter() - begun, sorted(took)
    for transport, _ in made:
        transport.abort()
    if bad := sum(knocker.bad for _, knocker in made):
        sys.exit(f"{bad} answers were no 200")
    return {
        "per_second": len(ordered) / elapsed,
        "median_ms": 1000 * ordered[len(ordered) // 2],
        "p99_ms": 1000 * ordered[len(ordered) * 99 // 100],
    }


def main() -> None:
    """Do as the command line says."""
    port, path, token, connections, seconds = sys.argv[1:]
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    request = "\r\n".join([*lines, "Accept: application/json", "", ""]).encode()
    print(json.dumps(uvloop.run(knock(int(port), request, int(connections), float(seconds)))))


if __name__ == "__main__":
    main()
