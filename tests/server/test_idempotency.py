"""Creates that come twice, and what the site says of itself."""

from __future__ import annotations

import httpx
import pytest

from tests.server import scene
from tests.server.scene import Cast, Serving

KEY = {"Idempotency-Key": "the-same-key"}


def test_a_repeat_makes_nothing_new(cast: Cast) -> None:
    """The second answer is the first one, and there is one group."""
    first, second = (cast.admin.post("/groups", json={"name": "A"}, headers=KEY) for _ in range(2))

    assert (201, first.json()) == (second.status_code, second.json())
    names = [one["name"] for one in cast.admin.get("/groups").json()["items"]]
    assert 1 == names.count("A")


def test_another_request_under_the_same_key_is_a_mistake(cast: Cast) -> None:
    """It would be wrong to make nothing silently, and wrong to make it."""
    headers = {"Idempotency-Key": "used-twice"}
    assert 201 == cast.admin.post("/groups", json={"name": "B"}, headers=headers).status_code
    again = cast.admin.post("/groups", json={"name": "C"}, headers=headers)

    assert (409, "request.repeated_differently") == (again.status_code, again.json()["code"])


def test_what_was_refused_may_come_again_mended(cast: Cast) -> None:
    """A request that made nothing does not use its key up."""
    headers = {"Idempotency-Key": "mended"}
    cast.admin.post("/groups", json={"name": "D"})
    refused = cast.admin.post("/groups", json={"name": "D"}, headers=headers)
    mended = cast.admin.post("/groups", json={"name": "E"}, headers=headers)

    assert (409, 201) == (refused.status_code, mended.status_code)


def test_a_key_is_its_users_own(cast: Cast) -> None:
    """What one user sent under a key is nothing to another."""
    body = {"name": "mine", "scopes": ["read"]}
    own = cast.member.post("/tokens", json=body, headers=KEY).json()
    other = cast.other.post("/tokens", json=body, headers=KEY).json()

    assert own["token"]["user"] != other["token"]["user"]


def test_a_token_that_got_lost_is_replaced(cast: Cast, server: Serving) -> None:
    """A text is told once: its repeat gives another one, and the first opens nothing."""
    headers = {"Idempotency-Key": "lost"}
    body = {"name": "for a script", "scopes": ["read"]}
    first, second = (
        cast.member.post("/tokens", json=body, headers=headers).json() for _ in range(2)
    )

    assert first["text"] != second["text"]
    codes = []
    for made in (first, second):
        with server.client(headers={"Authorization": f"Bearer {made['text']}"}) as program:
            codes.append(program.get("/session").status_code)
    assert [401, 200] == codes


def test_an_invitation_that_got_lost_is_replaced(cast: Cast, server: Serving) -> None:
    """There is one user, whose second link works."""
    headers = {"Idempotency-Key": "invited"}
    body = {"email": scene.email("zoe"), "name": "Zoe"}
    first, second = (cast.admin.post("/users", json=body, headers=headers).json() for _ in range(2))

    assert first["user"]["id"] == second["user"]["id"]
    with server.client() as zoe:
        welcome = {"key": scene.key_in(second["link"]), "password": scene.PASSWORD}
        assert 201 == zoe.post("/welcome", json=welcome).status_code


@pytest.mark.parametrize("key", ["", "x" * 201, "with blank"])
def test_keys_that_are_none_are_refused(cast: Cast, key: str) -> None:
    """A key is a short word."""
    headers = {"Idempotency-Key": key}
    answer = cast.admin.post("/groups", json={"name": "F"}, headers=headers)

    assert 422 == answer.status_code


def test_health_is_for_everyone_and_the_system_for_administrators(cast: Cast) -> None:
    """What a load balancer asks is public; what an administrator looks for is not."""
    assert {"status", "version"} == set(cast.nobody.get("/health").json())
    system = cast.admin.get("/system").json()

    assert {"database", "sessions", "disk", "engine", "events", "encryption", "driver"} == {
        one["name"] for one in system["checks"]
    }
    assert {"good"} == {one["verdict"] for one in system["checks"] if one["name"] != "disk"}
    assert 0 < system["disk_free_bytes"] < system["disk_total_bytes"]
    assert scene.PASSWORD not in httpx.Response(200, json=system).text
