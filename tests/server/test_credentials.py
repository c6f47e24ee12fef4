"""Sessions and tokens over HTTP: what opens, and what no longer does."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing

import httpx
import pytest

from tests import services
from tests.server import scene
from tests.server.scene import Cast, Serving

ME = "/session"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer x",
        "Bearer grange_0000000000_" + "a" * 43,
        "Bearer grange__",
        "Bearer " + "g" * 10_000,
        "Basic YWRhOnBhc3N3b3Jk",
        "Bearer grange_%s_%s",
        "\xff\xfe",
    ],
)
def test_forged_tokens_open_nothing(server: Serving, header: str) -> None:
    """What is no token of this server is answered with 401, whatever it looks like."""
    with server.client(headers={"Authorization": header.encode("latin-1")}) as forger:
        answer = forger.get(ME)

        assert (401, "auth.invalid") == (answer.status_code, answer.json()["code"])
        assert "Bearer" in answer.headers["www-authenticate"]


def test_a_token_with_another_secret_opens_nothing(server: Serving, cast: Cast) -> None:
    """The id of a token that exists is worth nothing without its secret."""
    with scene.with_token(cast.member, server.url) as good:
        text = good.headers["Authorization"]
        assert 200 == good.get(ME).status_code
        changed = text[:-1] + ("a" if text[-1] != "a" else "b")
        assert 401 == good.get(ME, headers={"Authorization": changed}).status_code
        assert 401 == good.get(ME, headers={"Authorization": text + "a"}).status_code


def test_a_wrong_token_is_not_made_good_by_a_cookie(cast: Cast) -> None:
    """Who sends a token means it: the session beside it does not help."""
    answer = cast.member.get(ME, headers={"Authorization": "Bearer grange_x_y"})

    assert 401 == answer.status_code


@pytest.mark.parametrize("cookie", ["", "x", "a" * 4000, "../../etc/passwd", "%00"])
def test_forged_sessions_open_nothing(server: Serving, cookie: str) -> None:
    """What is no session of this server is answered with 401."""
    with server.client(headers={"Cookie": f"grange_session={cookie}"}) as forger:
        assert 401 == forger.get(ME).status_code


def test_revoked_tokens_open_nothing(server: Serving, cast: Cast) -> None:
    """From the very next request on."""
    with scene.with_token(cast.member, server.url) as client:
        assert 200 == client.get(ME).status_code
        for one in cast.member.get("/tokens").json()["items"]:
            assert 204 == cast.member.delete(f"/tokens/{one['id']}").status_code

        assert 401 == client.get(ME).status_code


def test_any_token_may_revoke_itself(server: Serving, cast: Cast) -> None:
    """To log out with a token ends that token, however little it may do otherwise."""
    with scene.with_token(cast.member, server.url, "read") as client:
        assert 204 == client.delete(ME).status_code

        assert 401 == client.get(ME).status_code


def test_expired_tokens_open_nothing(server: Serving, cast: Cast) -> None:
    """A token ends when it was said to."""
    with scene.with_token(cast.member, server.url, "read", expires_seconds=1.5) as client:
        assert 200 == client.get(ME).status_code
        deadline = time.monotonic() + 20
        while client.get(ME).status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.1)

        assert 401 == client.get(ME).status_code


def test_a_session_ends_when_it_is_told_to(server: Serving) -> None:
    """Logged out is logged out: the cookie's text is worth nothing any longer."""
    with (
        closing(scene.log_in(server.url, "otto")) as first,
        closing(scene.log_in(server.url, "otto")) as second,
    ):
        kept = dict(first.cookies)
        assert 204 == first.delete(ME).status_code
        with server.client(cookies=kept) as thief:
            assert 401 == thief.get(ME).status_code
        own = [one for one in second.get("/sessions").json()["items"] if one["current"]]
        assert 1 == len(own)
        assert 204 == second.delete(f"/sessions/{own[0]['id']}").status_code
        assert 401 == second.get(ME).status_code


def test_a_new_password_ends_the_other_sessions(server: Serving, cast: Cast) -> None:
    """Whoever knew the old one is out; the browser in which it was changed stays in."""
    guest = scene.invite(cast.admin, server.url, "pia", role="member")
    with closing(guest), closing(scene.log_in(server.url, "pia")) as other:
        body = {"old": scene.PASSWORD, "new": "nine quiet otters swam"}
        assert 204 == guest.post("/password", json=body).status_code

        assert 401 == other.get(ME).status_code
        assert 200 == guest.get(ME).status_code


def test_who_is_shut_out_is_out_at_once(server: Serving, cast: Cast) -> None:
    """A disabled user's sessions and tokens open nothing from the next request on."""
    guest = scene.invite(cast.admin, server.url, "quentin", role="member")
    with closing(guest), scene.with_token(guest, server.url) as program:
        user = scene.user_id(guest)
        assert 200 == program.get(ME).status_code
        assert 200 == cast.admin.patch(f"/users/{user}", json={"disabled": True}).status_code

        assert 401 == guest.get(ME).status_code
        assert 401 == program.get(ME).status_code
        with server.client() as nobody:
            body = {"email": scene.email("quentin"), "password": scene.PASSWORD}
            assert 401 == nobody.post("/session", json=body).status_code


def test_a_one_time_link_works_once(server: Serving, cast: Cast) -> None:
    """An invitation's link sets one password, and no second one."""
    body = {"email": scene.email("rosa"), "name": "Rosa"}
    link = cast.admin.post("/users", json=body).json()["link"]
    assert link.startswith(f"{server.url}/welcome?key=")
    welcome = {"key": scene.key_in(link), "password": scene.PASSWORD}
    with server.client() as rosa, server.client() as thief:
        assert 201 == rosa.post("/welcome", json=welcome).status_code
        assert 401 == thief.post("/welcome", json=welcome).status_code


def test_guessing_passwords_is_slowed_down(own_server: Serving) -> None:
    """After some wrong ones even the right one has to wait, and is told for how long."""
    scene.set_up(own_server).close()
    body = {"email": scene.email("ada"), "password": "wrong"}
    with own_server.client() as guesser:
        answers = [guesser.post("/session", json=body) for _ in range(30)]
        right = guesser.post("/session", json={**body, "password": scene.PASSWORD})

    assert 401 == answers[0].status_code
    assert 429 == right.status_code
    assert 1 <= int(right.headers["retry-after"])


def test_what_a_proxy_says_counts_where_there_is_one(
    serving: Callable[..., AbstractContextManager[Serving]],
) -> None:
    """The header X-Forwarded-For is believed only with public_url, and then its last entry."""
    forwarded = {"X-Forwarded-For": "198.51.100.9, 203.0.113.7"}
    for flags, expected in ((), "127.0.0.1"), (("--public-url", "http://localhost"), "203.0.113.7"):
        with serving(*flags) as server, server.client(headers=forwarded) as client:
            log_in = {"email": scene.email("ada"), "password": scene.PASSWORD}
            if server.setup:
                body = {"key": server.setup_key, "name": "Ada", **log_in}
                answer = client.post("/setup", json=body)
            else:
                answer = client.post("/session", json=log_in)
            assert 201 == answer.status_code
            newest = client.get("/audit", params={"limit": 1}).json()["items"][0]

            assert expected == newest["address"]


def test_a_lost_cache_logs_nobody_out(
    redis_server: services.CacheServer,
    serving: Callable[..., AbstractContextManager[Serving]],
) -> None:
    """With Redis killed, hanging or empty, sessions and tokens go on, and so do revocations."""
    with serving("--sessions", redis_server.url) as server:
        admin = scene.set_up(server)
        member = scene.invite(admin, server.url, "mia", role="member")
        with closing(admin), closing(member), scene.with_token(member, server.url) as program:
            assert _verdict(admin) == "good"
            redis_server.kill()
            for person in (admin, member, program):
                assert 200 == person.get(ME).status_code
            assert _verdict(admin) == "warning"
            kept = dict(member.cookies)
            assert 204 == member.delete(ME).status_code
            with server.client(cookies=kept) as thief:
                assert 401 == thief.get(ME).status_code
            scene.log_in(server.url, "mia").close()
            redis_server.start()
            for person in (admin, program):
                assert 200 == person.get(ME).status_code


def _verdict(admin: httpx.Client) -> str:
    checks = admin.get("/system").json()["checks"]
    found: str = next(one["verdict"] for one in checks if one["name"] == "sessions")
    return found
