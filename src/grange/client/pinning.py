"""Servers that are believed by one very certificate, which a pasted line has named."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
from urllib.parse import urlsplit

from grange.client.trouble import error_of_transport

_CONNECT_SECONDS = 10.0
_HTTPS_PORT = 443


def pinned(server: str, pin: str) -> ssl.SSLContext | None:
    """What believes a server by the certificate with this SHA-256, and by no other.

    None when the server shows another one: it may have been renewed, or somebody is in
    between; the usual rules tell.

    Raises:
        ServerUnreachable: It shows none.
    """
    certificate = _shown(server)
    if not hmac.compare_digest(hashlib.sha256(certificate).hexdigest(), pin):
        return None
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The certificate itself is known, whatever name it was reached by and whoever signed it.
    trust.check_hostname = False
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trust.load_verify_locations(cadata=certificate)
    return trust


def _shown(server: str) -> bytes:
    """The certificate that a server shows to whoever connects; nothing is sent to it."""
    parts = urlsplit(server)
    looking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    looking.check_hostname = False
    looking.verify_mode = ssl.CERT_NONE
    try:
        where = (parts.hostname or "", parts.port or _HTTPS_PORT)
        with (
            socket.create_connection(where, timeout=_CONNECT_SECONDS) as plain,
            looking.wrap_socket(plain, server_hostname=parts.hostname) as secure,
        ):
            return secure.getpeercert(binary_form=True) or b""
    except OSError as error:
        raise error_of_transport(error, server) from error
