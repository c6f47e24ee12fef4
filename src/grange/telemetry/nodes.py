"""Whether a node exporter of Prometheus answers on this machine."""

from __future__ import annotations

import socket

PATIENCE_SECONDS = 0.2


def node_port(port: int) -> int:
    """The port, if something listens there; else 0."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS):
            return port
    except OSError:
        return 0
