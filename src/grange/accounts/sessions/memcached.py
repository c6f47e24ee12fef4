"""The cache on a memcached server."""

from __future__ import annotations

from grange import errors
from grange.accounts.sessions.remote import TIMEOUT_SECONDS, RemoteCache

PORT = 11211
MOST_CONNECTIONS = 64


class MemcachedCache(RemoteCache):
    """Entries are UTF-8 texts that memcached lets expire."""

    def __init__(self, host: str, port: int | None) -> None:
        """Prepare connections; none is made yet."""
        super().__init__()
        try:
            from pymemcache import MemcacheError, PooledClient
        except ImportError as error:
            raise errors.ExtraMissing(
                "The client for memcached is not installed.",
                hint="Install it: pip install 'grange[memcached]'",
            ) from error
        # A pool that has no connection left says so with a RuntimeError.
        self.lost = (MemcacheError, OSError, UnicodeError, RuntimeError)
        self._client = PooledClient(
            (host, port or PORT),
            connect_timeout=TIMEOUT_SECONDS,
            timeout=TIMEOUT_SECONDS,
            no_delay=True,
            max_pool_size=MOST_CONNECTIONS,
        )

    def fetch(self, key: str) -> str | None:
        """Ask the server for a text."""
        found = self._client.get(key)
        return found.decode() if isinstance(found, bytes) else None

    def add(self, key: str, value: str, seconds: int) -> None:
        """Have the server keep a text if it has none under this key."""
        self._client.add(key, value.encode(), expire=seconds, noreply=False)

    def replace(self, key: str, value: str, seconds: int) -> None:
        """Have the server keep a text whatever it has."""
        self._client.set(key, value.encode(), expire=seconds, noreply=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
