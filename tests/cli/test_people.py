"""`grange users|groups|tokens|audit`, at the server's own machine and over the API."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.invocations import Grange, events
from tests.server import scene
from tests.server.scene import Serving

ANA = "ana@example.org"


@pytest.fixture(params=["here", "there"])
def site(
    request: pytest.FixtureRequest, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Run the test as the operator of a home, and as an administrator of a server."""
    if request.param == "here":
        yield home
        return
    with scene.serving(tmp_path / "served") as server:
        monkeypatch.setenv("GRANGE_SERVER", server.url)
        monkeypatch.setenv("GRANGE_TOKEN", _token(server))
        yield server.home


def _token(server: Serving) -> str:
    with closing(scene.set_up(server)) as ada:
        made = ada.post(
            "/tokens", json={"name": "t", "scopes": ["read", "run", "admin", "metrics"]}
        )
    text: str = made.json()["text"]
    return text


@pytest.mark.usefixtures("site")
def test_people_are_looked_after(grange: Grange) -> None:
    """Somebody is invited, changed, put into a group, shut out and deleted."""
    invited = grange("users", "invite", ANA, "--name", "Ana B.", "--quota", "5GB")
    assert 0 == invited.returncode, invited.stderr
    assert "/welcome?key=" in invited.stdout

    assert 0 == grange("users", "change", "ana b.", "--role", "viewer").returncode
    (shown,) = events(grange("users", "show", ANA, "--json").stdout)
    assert ("viewer", 5_000_000_000, True) == (
        shown["role"],
        shown["quota_bytes"],
        shown["invited"],
    )
    assert 0 == grange("users", "change", ANA, "--quota", "default").returncode
    assert 0 == grange("groups", "make", "herons").returncode
    assert 0 == grange("groups", "add", "herons", ANA).returncode
    assert 0 == grange("groups", "rename", "herons", "grey herons").returncode
    assert ANA in grange("groups", "list").stdout
    assert "grey herons" in grange("users", "show", ANA).stdout
    assert "grey herons" in grange("users", "change", ANA, "--role", "member").stdout
    assert 0 == grange("groups", "remove", "grey herons", ANA).returncode
    assert 0 == grange("groups", "delete", "grey herons", "--yes").returncode
    assert 0 == grange("users", "disable", ANA).returncode
    (shown,) = events(grange("users", "show", ANA, "--json").stdout)
    assert (True, None) == (shown["disabled"], shown["quota_bytes"])
    assert "/welcome?key=" in grange("users", "reset", ANA).stdout
    assert 0 == grange("users", "delete", ANA, "--yes").returncode
    assert 1 == grange("users", "show", ANA).returncode


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["users", "show", "nobody"], 1, "user.not_found"),
        (["users", "invite", "no address"], 2, "request.invalid"),
        (["users", "invite", ANA, "--role", "king"], 2, "request.invalid"),
        (["users", "invite", ANA, "--quota", "much"], 2, "usage"),
        (["users", "change", "nobody"], 2, "usage"),
        (["groups", "add", "nobodies", ANA], 1, "group.not_found"),
        (["tokens", "revoke", "nonesuch00"], 1, "token.not_found"),
        (["tokens", "list"], 2, "usage"),
    ],
)
def test_what_makes_no_sense_is_refused(
    grange: Grange, words: list[str], code: int, error: str
) -> None:
    """One line says what is wrong."""
    done = grange(*words)

    assert code == done.returncode
    assert f"[{error}]" in done.stderr


def test_deleting_wants_a_yes(grange: Grange) -> None:
    """A script that forgot --yes deletes nobody."""
    grange("users", "invite", ANA)

    done = grange("users", "delete", ANA)

    assert 2 == done.returncode
    assert ANA in grange("users", "list").stdout


def test_a_token_is_shown_once(grange: Grange) -> None:
    """The operator makes one for somebody, who can use it until it is revoked."""
    grange("users", "invite", ANA)

    made = grange("tokens", "make", "nightly", "--user", ANA, "--scope", "read", "--days", "3")

    assert made.stdout.startswith("grange_")
    (listed,) = events(grange("tokens", "list", "--user", ANA, "--json").stdout)
    assert ("nightly", ["read"], False) == (listed["name"], listed["scopes"], listed["revoked"])
    assert made.stdout.strip() not in str(listed)
    assert 0 == grange("tokens", "revoke", listed["id"]).returncode
    assert "revoked" in grange("tokens", "list", "--user", ANA).stdout


@pytest.mark.parametrize("site", ["there"], indirect=True)
def test_a_token_that_ends_with_its_login_says_so(grange: Grange, site: Path) -> None:
    """What was asked for can't be had there, and where it can be is told."""
    short = grange("tokens", "make", "a", "--scope", "metrics", "--days", "30")
    long = grange("tokens", "make", "b", "--scope", "metrics", "--days", "366")

    assert (0, 0) == (short.returncode, long.returncode), long.stderr
    assert "ends with your login" not in short.stderr
    assert "ends with your login" in long.stderr


def test_the_audit_log_is_listed_and_checked(grange: Grange, site: Path) -> None:
    """Whoever changes a line of it is found out; so is whoever cuts it off."""
    grange("users", "invite", ANA)
    (before,) = events(grange("audit", "verify", "--json").stdout)
    grange("users", "delete", ANA, "--yes")

    listed = events(grange("audit", "list", "--action", "user", "--json").stdout)
    assert ["user.deleted", "user.invited"] == [one["action"] for one in listed]
    assert 0 == grange("audit", "verify", "--head", before["head"]).returncode
    unknown = grange("audit", "verify", "--head", "0" * 64)
    assert (1, True) == (unknown.returncode, "[audit.broken]" in unknown.stderr)

    with closing(sqlite3.connect(site / "grange.db")) as database, database:
        for (trigger,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        database.execute("UPDATE audit SET who = 'somebody else' WHERE number = 1")
    broken = grange("audit", "verify")

    assert 1 == broken.returncode
    assert "line 1" in broken.stderr
