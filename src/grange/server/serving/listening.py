"""The socket and the certificate, found good or bad before anything else is opened."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grange.errors import SettingInvalid

if TYPE_CHECKING:
    from grange.settings import Settings

BACKLOG = 512


@dataclass(frozen=True)
class Listener:
    """A socket that is bound, and the TLS that is spoken on it."""

    socket: socket.socket
    tls: ssl.SSLContext | None
    url: str  # how it is reached from this machine, with the real port

    def close(self) -> None:
        """Give the port back."""
        self.socket.close()


def listen(settings: Settings) -> Listener:
    """Bind the address of the settings; port 0 takes any that is free.

    Raises:
        SettingInvalid: The address is taken or not this machine's, the
            certificate is no good, or passwords would travel unencrypted.
    """
    _check_encrypted(settings)
    tls = _tls_context(settings.tls) if settings.tls else None
    bound = _bind(settings.host, settings.port)
    port = bound.getsockname()[1]
    return Listener(bound, tls, f"{'https' if tls else 'http'}://{_shown(settings.host)}:{port}")


def _check_encrypted(settings: Settings) -> None:
    if settings.tls or settings.plain_http or is_loopback(settings.host):
        return
    raise SettingInvalid(
        f"On {settings.host}, passwords would travel over the network unencrypted.",
        hint="Give a certificate: --tls cert.pem,key.pem. Behind a proxy that speaks HTTPS, listen "
        "on 127.0.0.1 and set public_url. If the network is trusted, allow it: --plain-http",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bind(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _unusable(host, error) from error
    try:
        # A port that a server has just left is free for the next one at once.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingInvalid(
                f"Another program listens on port {port} of {host} already.",
                hint="Stop it, or take another port: grange serve --port 4051",
            ) from error
        if error.errno == errno.EACCES:
            raise SettingInvalid(
                f"This user may not listen on port {port}.", hint="Take one from 1024 on: --port"
            ) from error
        raise _unusable(host, error) from error
    return bound


def _unusable(host: str, error: OSError) -> SettingInvalid:
    return SettingInvalid(
        f"Nothing can listen on {host}: {error.strerror}.",
        hint="Name an address of this machine: --host 127.0.0.1, or 0.0.0.0 for all of them.",
    )


def _shown(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _tls_context(files: str) -> ssl.SSLContext:
    certificate, key = files.split(",")
    for path in (certificate, key):
        _check_readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without the answer to a question for a password, nobody is asked at the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, ValueError, OSError) as error:
        raise SettingInvalid(
            f"The certificate {certificate} and the key {key} can't be used together: "
            f"{_tls_reason(error)}.",
            hint="Give PEM files: the certificate with its chain, and its key without a password.",
        ) from error
    return context


def _check_readable(path: str) -> None:
    try:
        with open(path, "rb"):  # only to see whether it opens
            pass
    except OSError as error:
        raise SettingInvalid(
            f"The file {path} can't be read: {error.strerror}.",
            hint="Give the files of a certificate and of its key: --tls cert.pem,key.pem",
        ) from error


def _tls_reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else "they are no PEM files"
