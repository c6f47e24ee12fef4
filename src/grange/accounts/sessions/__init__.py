"""Caches of who is logged in. The database is the truth; here is what spares it questions."""

from __future__ import annotations

from urllib.parse import urlsplit

from grange import errors
from grange.accounts.sessions.base import SessionCache

__all__ = ["SessionCache", "open_cache"]


def open_cache(url: str) -> SessionCache:
    """Open the cache of this URL: `memory`, `redis://…`, `rediss://…` or `memcached://…`.

    A server is first spoken to when it is used, and need not be there.

    Raises:
        SettingInvalid: The URL is none of a cache.
        ExtraMissing: The server's client is not installed.
    """
    if url == "memory":
        from grange.accounts.sessions.memory import MemoryCache

        return MemoryCache()
    try:
        parts = urlsplit(url)
        readable = bool(parts.hostname) and parts.port is not False
    except ValueError:
        readable = False
    if readable and parts.scheme in {"redis", "rediss"}:
        from grange.accounts.sessions.redis import RedisCache

        return RedisCache(url)
    if readable and parts.scheme == "memcached":
        from grange.accounts.sessions.memcached import MemcachedCache

        return MemcachedCache(str(parts.hostname), parts.port)
    # The URL is not quoted: there may be a password in it.
    raise errors.SettingInvalid(
        "The setting `sessions` names no cache that Grange can use.",
        hint="Write memory, redis://HOST:6379/0 or memcached://HOST:11211.",
    )
