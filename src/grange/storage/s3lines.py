"""Connections to S3 servers that stay open from one small request to the next.

To open one costs more than most requests do: ways to and fro, and with TLS the keys of both
sides. A server may close one that was not used for a while; that is met by opening another.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import cache
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

# Servers close what is idle after 5 s (some proxies) to some minutes.
_KEPT_SECONDS = 20.0
# Of one endpoint; more requests than this at once are rare.
_MOST_KEPT = 16
# What an idle connection that the other side has closed meanwhile ends with.
_CLOSED = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the body up to the size that was asked for, and whether that was all."""

    status: int
    headers: Message
    body: bytes
    is_whole: bool


@dataclass(slots=True)
class Lines:
    """The connections of this process. Safe to use from several threads at once."""

    _idle: dict[str, list[tuple[float, http.client.HTTPConnection]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(
        self,
        url: str,
        *,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
        most_bytes: int,
    ) -> Reply:
        """Send a request that may be repeated, and read what comes back; no redirect is followed.

        Raises:
            OSError, http.client.HTTPException: The server can't be reached.
        """
        parts = urlsplit(url)
        way = _way(parts.scheme, parts.netloc)
        target = url if way.is_told_all else url[len(f"{parts.scheme}://{parts.netloc}") :] or "/"
        while True:
            line, is_fresh = self._take(way, timeout_seconds)
            try:
                line.request(method, target, body, {**headers, **way.headers})
                _acknowledge(line)
                answer = line.getresponse()
                _acknowledge(line)
                content = answer.read(most_bytes + 1)
            except BaseException as error:
                line.close()
                if isinstance(error, _CLOSED) and not is_fresh:
                    continue
                raise
            is_whole = len(content) <= most_bytes
            if is_whole and not answer.will_close:
                self._keep(way, line)
            else:
                line.close()
            return Reply(answer.status, answer.headers, content[:most_bytes], is_whole)

    def close(self) -> None:
        """Close those that nobody uses just now."""
        with self._lock:
            idle = [line for lines in self._idle.values() for _, line in lines]
            self._idle.clear()
        for line in idle:
            line.close()

    def _take(self, way: _Way, timeout_seconds: float) -> tuple[http.client.HTTPConnection, bool]:
        """A connection, and whether it is a fresh one; nobody else has it."""
        late = time.monotonic() - _KEPT_SECONDS
        while True:
            with self._lock:
                idle = self._idle.get(way.name)
                found = idle.pop() if idle else None
            if found is None:
                return way.open(timeout_seconds), True
            since, line = found
            if since > late and line.sock is not None:
                line.sock.settimeout(timeout_seconds)
                return line, False
            line.close()

    def _keep(self, way: _Way, line: http.client.HTTPConnection) -> None:
        with self._lock:
            idle = self._idle.setdefault(way.name, [])
            if len(idle) < _MOST_KEPT:
                idle.append((time.monotonic(), line))
                return
        line.close()


@dataclass(frozen=True, slots=True)
class _Way:
    """How an endpoint is reached: directly, or through the proxy that the environment names."""

    name: str
    scheme: str
    host: str
    proxy: SplitResult | None
    headers: Mapping[str, str]

    @property
    def is_told_all(self) -> bool:
        """Whether a request has to name the server, too: a proxy wants that, where it can read."""
        return self.proxy is not None and self.scheme == "http"

    def open(self, timeout_seconds: float) -> http.client.HTTPConnection:
        """A connection that is made when something is sent."""
        at = self.host if self.proxy is None else self.proxy.netloc.rpartition("@")[2]
        if self.scheme == "http":
            return http.client.HTTPConnection(at, timeout=timeout_seconds)
        line = http.client.HTTPSConnection(at, timeout=timeout_seconds, context=_tls())
        if self.proxy is not None:
            line.set_tunnel(self.host, headers=_login(self.proxy))
        return line


def _way(scheme: str, host: str) -> _Way:
    found = getproxies().get(scheme, "")
    # Of an address without a scheme everything would be the path.
    proxy = urlsplit(found if "://" in found else f"http://{found}") if found else None
    if proxy is None or not proxy.hostname or proxy_bypass(host):
        return _Way(f"{scheme}://{host}", scheme, host, None, {})
    headers = _login(proxy) if scheme == "http" else {}
    return _Way(f"{scheme}://{host} {found}", scheme, host, proxy, headers)


def _login(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    words = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}


def _acknowledge(line: http.client.HTTPConnection) -> None:
    """Acknowledge what comes at once.

    A server that writes an answer's head and its body apart sends the second only then, and
    on a connection that was used before Linux would let it wait for 40 ms.
    """
    if line.sock is not None and hasattr(socket, "TCP_QUICKACK"):
        line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


@cache
def _tls() -> ssl.SSLContext:
    """Made once: to read the certificates of all authorities takes longer than a request."""
    return ssl.create_default_context()
