"""The cache on a Redis server, or one that speaks its protocol."""

from __future__ import annotations

from grange import errors
from grange.accounts.sessions.remote import TIMEOUT_SECONDS, RemoteCache


class RedisCache(RemoteCache):
    """Entries are plain strings that Redis lets expire."""

    def __init__(self, url: str) -> None:
        """Prepare connections; none is made yet."""
        super().__init__()
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise errors.ExtraMissing(
                "The client for Redis is not installed.",
                hint="Install it: pip install 'grange[redis]'",
            ) from error
        # What it sends back that is no UTF-8 is none of ours.
        self.lost = (redis.RedisError, OSError, UnicodeError)
        try:
            self._client = redis.Redis.from_url(
                url,
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
                decode_responses=True,
            )
        except ValueError as error:
            raise errors.SettingInvalid(
                "The URL of the Redis server can't be read.",
                hint="Write redis://USER:PASSWORD@HOST:6379/0.",
            ) from error

    def fetch(self, key: str) -> str | None:
        """Ask the server for a text."""
        found = self._client.get(key)
        return found if isinstance(found, str) else None

    def add(self, key: str, value: str, seconds: int) -> None:
        """Have the server keep a text if it has none under this key."""
        self._client.set(key, value, ex=seconds, nx=True)

    def replace(self, key: str, value: str, seconds: int) -> None:
        """Have the server keep a text whatever it has."""
        self._client.set(key, value, ex=seconds)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
