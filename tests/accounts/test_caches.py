"""The caches of sessions: one contract over memory, Redis and memcached."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from grange import errors
from grange.accounts.models import UserChange
from grange.accounts.service import Accounts
from grange.accounts.sessions import SessionCache, open_cache
from grange.accounts.sessions.memory import MemoryCache
from grange.db import Database
from tests import services
from tests.accounts.sites import ADMIN, HERE, Site

# Longer than a key is held, or a lost server left alone.
PATIENCE_SECONDS = 30.0

SERVERS = [
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("memcached", marks=pytest.mark.memcached),
]


@pytest.fixture(params=["memory", *SERVERS])
def cache(request: pytest.FixtureRequest) -> Iterator[SessionCache]:
    """Give each kind of cache in turn; servers are shared, so keys are the test's own."""
    kind = request.param
    url = kind if kind == "memory" else request.getfixturevalue(f"{kind}_server").url
    with closing(open_cache(url)) as opened:
        yield opened


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[services.CacheServer]:
    """Give a server of the test's own, to be killed."""
    with getattr(services, request.param)() as started:
        yield started


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """Give a key that no other test has."""
    return f"test:{abs(hash(request.node.nodeid)):x}:{time.monotonic_ns()}"


def _until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_put_is_found(cache: SessionCache, key: str) -> None:
    """The same text, whatever letters are in it; other keys know nothing of it."""
    cache.put(key, '{"näme": "🦊 \\u0000"}', seconds=10)

    assert '{"näme": "🦊 \\u0000"}' == cache.get(key)
    assert cache.get(f"{key}2") is None


def test_what_is_there_stays(cache: SessionCache, key: str) -> None:
    """A second put changes nothing: of two who read the truth, neither knows who read last."""
    cache.put(key, "first", seconds=10)
    cache.put(key, "second", seconds=10)

    assert "first" == cache.get(key)


def test_entries_expire(cache: SessionCache, key: str) -> None:
    """After their seconds they are gone, and the key is free."""
    cache.put(key, "old", seconds=1)

    _until(lambda: cache.get(key) is None)
    cache.put(key, "new", seconds=10)

    assert "new" == cache.get(key)


def test_what_is_dropped_stays_gone(cache: SessionCache, key: str) -> None:
    """One who read the truth before it changed can't bring the old back after the drop."""
    cache.put(key, "old", seconds=10)
    cache.drop(key)
    assert cache.get(key) is None

    cache.put(key, "old", seconds=10)

    assert cache.get(key) is None


def test_what_never_was_can_be_dropped(cache: SessionCache, key: str) -> None:
    """And is held from then on as well: somebody may be about to put it in."""
    cache.drop(key)
    cache.put(key, "late", seconds=10)

    assert cache.get(key) is None


def test_a_held_key_is_free_again(
    cache: SessionCache, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hold ends by itself."""
    for module in ("memory", "remote"):
        monkeypatch.setattr(f"grange.accounts.sessions.{module}.HOLD_SECONDS", 1)
    cache.drop(key)

    def put_in() -> bool:
        cache.put(key, "new", seconds=10)
        return cache.get(key) == "new"

    _until(put_in)


def test_two_clients_see_the_same(server: services.CacheServer, key: str) -> None:
    """What one process puts or drops on a server, the other finds or misses."""
    with closing(open_cache(server.url)) as one, closing(open_cache(server.url)) as other:
        one.put(key, "text", seconds=10)
        assert "text" == other.get(key)
        other.drop(key)
        assert one.get(key) is None


def test_twenty_threads_share_one_cache(cache: SessionCache, key: str) -> None:
    """Each finds what it put, and nobody else's."""
    wrong: list[str | None] = []

    def work(number: int) -> None:
        for turn in range(20):
            mine = f"{key}:{number}:{turn}"
            cache.put(mine, mine, seconds=10)
            found = cache.get(mine)
            if found != mine:
                wrong.append(found)

    threads = [threading.Thread(target=work, args=[number]) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == wrong


def test_a_closed_cache_opens_again(cache: SessionCache, key: str) -> None:
    """Closing gives connections back, and forbids nothing."""
    cache.close()
    cache.put(key, "text", seconds=10)

    assert "text" == cache.get(key)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many entries push the oldest ones out."""
    monkeypatch.setattr("grange.accounts.sessions.memory.MOST_ENTRIES", 10)
    cache = MemoryCache()
    for number in range(25):
        cache.put(str(number), "x", seconds=10)

    assert 10 == len(cache._entries)
    assert (None, "x") == (cache.get("14"), cache.get("15"))


def test_a_killed_server_is_a_miss(server: services.CacheServer, key: str) -> None:
    """Nothing is found, nothing fails; and once it is back, it is used again."""
    with closing(open_cache(server.url)) as cache:
        cache.put(key, "text", seconds=20)
        assert "text" == cache.get(key)
        server.kill()

        for _ in range(3):
            assert cache.get(key) is None
            cache.put(key, "text", seconds=20)
            cache.drop(f"{key}2")

        server.start()

        def put_in() -> bool:
            cache.put(key, "text", seconds=20)
            return cache.get(key) == "text"

        _until(put_in)


def test_a_dead_server_slows_nothing_down(server: services.CacheServer, key: str) -> None:
    """A thousand questions while it is gone, or hangs, take hardly longer than one."""
    with closing(open_cache(server.url)) as cache:
        cache.put(key, "text", seconds=20)
        for lose in (server.freeze, server.kill):
            lose()
            began = time.monotonic()
            for _ in range(1000):
                cache.get(key)
            assert time.monotonic() - began < 1.5


def test_what_was_dropped_while_the_server_hung_is_gone(
    server: services.CacheServer, key: str
) -> None:
    """A server that was only out of reach does not bring ended sessions back."""
    with closing(open_cache(server.url)) as cache, closing(open_cache(server.url)) as other:
        cache.put(key, "old", seconds=20)
        server.freeze()
        cache.drop(key)
        assert cache.get(key) is None
        server.thaw()

        probe = f"{key}:probe"

        def is_back() -> bool:
            cache.put(probe, "there", seconds=20)
            return cache.get(probe) == "there"

        _until(is_back)
        assert (None, None) == (cache.get(key), other.get(key))


def test_people_stay_logged_in_without_the_cache(
    server: services.CacheServer, small_database: Database
) -> None:
    """The cache is killed in the middle: sessions and tokens go on, and can still be ended."""
    with closing(open_cache(server.url)) as cache:
        site = Site(small_database, cache)
        admin = site.admin()
        opened, other = site.log_in(ADMIN), site.log_in(ADMIN)
        made = site.accounts.make_token(admin, name="t", scopes=["read"])
        assert site.is_open(opened.secret)
        assert site.works(made.text)

        server.kill()

        assert site.is_open(opened.secret)
        assert site.works(made.text)
        assert site.is_open(site.log_in(ADMIN).secret)
        site.accounts.log_out(site.actor(other))
        site.accounts.revoke_token(admin, made.token.id)
        assert not site.is_open(other.secret)
        assert not site.works(made.text)
        server.start()
        assert site.is_open(opened.secret)
        assert not site.is_open(other.secret)


def test_processes_that_share_a_server_agree_at_once(
    server: services.CacheServer, small_database: Database
) -> None:
    """A user whom one process shuts out is out for the others, too."""
    with closing(open_cache(server.url)) as one, closing(open_cache(server.url)) as two:
        site = Site(small_database, one)
        admin = site.admin()
        member = site.user(admin, "bea@example.org")
        opened = site.log_in("bea@example.org")
        assert site.is_open(opened.secret)
        other = site.process(two)
        other.actor_of_session(opened.secret, place=HERE)

        other.change_user(Accounts.operator(), member.id, UserChange(disabled=True))

        assert not site.is_open(opened.secret)


@pytest.mark.redis
def test_the_cookie_is_nowhere_in_the_cache(
    redis_server: services.CacheServer, small_database: Database
) -> None:
    """Neither keys nor values hold a secret, and every key says whose it is."""
    with closing(open_cache(redis_server.url)) as cache:
        site = Site(small_database, cache)
        admin = site.admin()
        opened = site.log_in(ADMIN)
        made = site.accounts.make_token(admin, name="t", scopes=["read"])
        assert site.is_open(opened.secret)
        assert site.works(made.text)
        keys = redis_server.ask(b"KEYS grange:*").split(b"\r\n")[2::2]
        values = [redis_server.ask(b"GET " + key) for key in keys]

    assert len(keys) >= 2
    kept = b"".join([*keys, *values])
    assert opened.secret.encode() not in kept
    assert opened.session.csrf.encode() not in kept
    assert made.text.encode() not in kept
    assert made.text.split("_")[2].encode() not in kept


def test_a_server_that_talks_nonsense_is_a_miss(key: str) -> None:
    """Something else that listens there breaks nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def babble() -> None:
            while True:
                try:
                    talk = listening.accept()[0]
                except OSError:
                    return
                with talk:
                    talk.recv(100)
                    talk.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=babble, daemon=True).start()
        port = listening.getsockname()[1]
        for scheme in ("redis", "memcached"):
            with closing(open_cache(f"{scheme}://127.0.0.1:{port}")) as cache:
                cache.put(key, "text", seconds=10)
                assert cache.get(key) is None
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "url",
    ["", "disk", "redis://", "memcached://:s3cret@", "redis://:s3cret@host:port", "http://host"],
)
def test_a_url_of_no_cache_is_refused(url: str) -> None:
    """Without quoting it: there may be a password in it."""
    with pytest.raises(errors.SettingInvalid) as caught:
        open_cache(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(("scheme", "module"), [("redis", "redis"), ("memcached", "pymemcache")])
def test_a_missing_client_says_what_to_install(scheme: str, module: str) -> None:
    """The clients are extras, imported only where they are used."""
    program = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from grange.accounts.sessions import open_cache\n"
        "open_cache('memory')\n"
        f"open_cache('{scheme}://127.0.0.1:1')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert f"Install it: pip install 'grange[{scheme}]'" in ran.stderr
    assert "ExtraMissing" in ran.stderr
