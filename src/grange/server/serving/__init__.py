"""Serving the app over HTTP: sockets, TLS, limits of the protocol, and a clean end."""

from grange.server.serving.listening import Listener, listen
from grange.server.serving.serve import serve

__all__ = ["Listener", "listen", "serve"]
