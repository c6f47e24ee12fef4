"""Whether a node exporter of Prometheus answers on this machine."""

from __future__ import annotations

import socket

# Where Prometheus' own exporter of a machine's processors, memory and disks listens.
USUAL_PORT = 9100
PATIENCE_SECONDS = 0.2


def node_port(port: int = USUAL_PORT, *, host: str = "127.0.0.1") -> int:
    """The port, if something listens there; else 0."""
    try:
        with socket.create_connection((host, port), timeout=PATIENCE_SECONDS):
            return port
    except OSError:
        return 0
