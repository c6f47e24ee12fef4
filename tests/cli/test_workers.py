"""`grange workers` and `grange top`, at the server's own machine and over the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from grange.accounts.secret import new_secret
from grange.client.schemas.workers import Beat, Capacity, Facts, TaskNow
from grange.client.workers import Me, join
from grange.errors import CredentialsInvalid
from tests.cli.invocations import Grange, events
from tests.cli.test_terminal import CONTROL, Terminal
from tests.server import scene
from tests.server.scene import Serving

# Nobody listens there: what is tested here needs no broker that answers.
ENGINE = {
    "GRANGE_ENGINE": "amqp://drive:secret@127.0.0.1:1/",
    "GRANGE_WORKERS_ENGINE": "amqp://all:shared@127.0.0.1:1/",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Share a server with an engine for workers."""
    with scene.serving(tmp_path_factory.mktemp("served") / "home", **ENGINE) as server:
        yield server


@pytest.fixture(scope="module")
def admin(server: Serving) -> Iterator[httpx.Client]:
    """Set the server up, and give its administrator."""
    with closing(scene.set_up(server)) as ada:
        yield ada


@pytest.fixture
def there(server: Serving, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands speak to the server, as an administrator."""
    made = admin.post("/tokens", json={"name": "t", "scopes": ["read", "run", "admin"]})
    monkeypatch.setenv("GRANGE_SERVER", server.url)
    monkeypatch.setenv("GRANGE_TOKEN", made.json()["text"])


@pytest.fixture(params=["here", "there"])
def site(
    request: pytest.FixtureRequest, server: Serving, monkeypatch: pytest.MonkeyPatch
) -> Serving:
    """Run the test as the operator at the server's machine, and as an administrator elsewhere."""
    if request.param == "there":
        request.getfixturevalue("there")
    else:
        # What the server was told in its environment, this shell need not know.
        monkeypatch.setenv("GRANGE_HOME", str(server.home))
    return server


def test_who_has_no_workers_yet_is_told_how_to_get_one(grange: Grange, home: Path) -> None:
    """No bare headings over nothing: what to do next."""
    for what in ("list", "tokens"):
        said = grange("workers", what)
        assert (0, 1) == (said.returncode, len(said.stdout.splitlines()))
        assert "grange workers token" in said.stdout
        assert "" == grange("workers", what, "--json").stdout


def test_the_printed_line_lets_a_machine_join(site: Serving, grange: Grange) -> None:
    """What `token` prints is a command to paste; the words about it go beside it."""
    made = grange("workers", "token", "--expires", "1h", "--label", "gpu")
    assert 0 == made.returncode, made.stderr
    command, line = made.stdout.strip().split(" '")
    joined = join(line, _facts("pasted"), secret=new_secret()).joined

    assert ("grange worker", ["gpu"]) == (command, joined.labels)
    assert "one machine may join" in made.stderr
    assert "Only the server's own machine reaches http://127.0.0.1" in made.stderr
    assert 0 == grange("workers", "remove", "pasted").returncode


def test_workers_are_looked_after(site: Serving, admin: httpx.Client, grange: Grange) -> None:
    """They are listed, shown, drained, renamed and removed."""
    with closing(_worker(admin, "rack-1")) as me:
        me.beat(_beat())
        # Other processes see a beat once it is written down.
        me.beat(_beat())
        listed = grange("workers", "list")
        assert ("rack-1", True, True) == (
            listed.stdout.splitlines()[1].split()[0],
            "working" in listed.stdout,
            "2/4" in listed.stdout,
        )
        assert "2 of 4 at work" in grange("workers", "show", "rack-1").stdout
        assert "takes nothing new" in grange("workers", "drain", "rack-1").stdout
        assert "takes work again" in grange("workers", "drain", "rack-1", "--undo").stdout
        assert 0 == grange("workers", "rename", "rack-1", "attic").returncode
        (shown,) = events(grange("workers", "show", "attic", "--json").stdout)
        assert ("attic", 2, "active") == (shown["name"], shown["busy"], shown["state"])
        asked = grange("workers", "remove", "attic")
        assert (2, True) == (asked.returncode, "At work: attic" in asked.stderr)
        assert 0 == grange("workers", "remove", "attic", "--yes").returncode
        with pytest.raises(CredentialsInvalid):
            _until_refused(me)
    assert "No worker is called" in grange("workers", "show", "attic").stderr


def test_those_that_are_gone_are_removed_together(
    there: None, admin: httpx.Client, grange: Grange
) -> None:
    """`--gone` takes those that have left or were not heard of for long, and no other."""
    with closing(_worker(admin, "left")) as left, closing(_worker(admin, "stays")) as stays:
        left.beat(Beat(leaving=True))
        stays.beat(_beat())
        assert "left is removed." == grange("workers", "remove", "--gone").stdout.strip()
        names = [one["name"] for one in events(grange("workers", "list", "--json").stdout)]
        assert ["stays"] == names
        assert 0 == grange("workers", "remove", "stays", "--yes").returncode
    assert 2 == grange("workers", "remove").returncode


def test_tokens_are_listed_and_revoked(there: None, grange: Grange) -> None:
    """Each by its id; nothing of their secrets is shown again."""
    (made,) = events(grange("workers", "token", "--uses", "3", "--json").stdout)
    (listed,) = events(grange("workers", "tokens", "--json").stdout)
    assert (made["token"]["id"], 3, 0) == (listed["id"], listed["uses"], listed["used"])
    assert made["line"].rpartition(".")[2] not in grange("workers", "tokens").stdout
    assert 0 == grange("workers", "revoke", listed["id"]).returncode

    assert [] == events(grange("workers", "tokens", "--json").stdout)


@pytest.mark.parametrize("expires", ["15", "x", "15y", "", "0s", "400d", "nan"])
def test_a_time_that_is_none_is_refused(there: None, grange: Grange, expires: str) -> None:
    """Before anything is made; so is one that is too short or too long."""
    refused = grange("workers", "token", "--expires", expires)

    expected = 0 if expires == "15" else 2
    assert expected == refused.returncode, refused.stderr
    assert "expires_seconds" not in refused.stderr


def test_top_says_it_once_without_a_terminal(
    there: None, admin: httpx.Client, grange: Grange
) -> None:
    """In a pipe it is plain lines, and with --json a record; either way it ends."""
    with closing(_worker(admin, "rack-1")) as me:
        me.beat(_beat())
        plain = grange("top")
        (record,) = events(grange("top", "--json").stdout)

    assert plain.stdout.startswith("1 of 1 workers up · 2 of 4 slots at work (50%)")
    assert "\x1b" not in plain.stdout
    assert (["rack-1"], []) == ([one["name"] for one in record["workers"]], record["runs"])
    assert 0 == grange("workers", "remove", "rack-1", "--yes").returncode


def test_top_is_live_and_left_by_a_key(
    there: None, admin: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What workers do changes on the screen; q gives the terminal back as it was."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    with closing(_worker(admin, "rack-1")) as me:
        me.beat(_beat())
        terminal = Terminal("top", cwd=tmp_path)
        terminal.read_until("2 of 4 slots")
        me.beat(Beat(busy=3, capacity=Capacity(slots=4)))
        terminal.read_until("3 of 4 slots")
        terminal.type("q")

        assert 0 == terminal.finish()
    assert terminal.seen.count("\x1b[?1049h") == terminal.seen.count("\x1b[?1049l") == 1
    assert "q to leave" in CONTROL.sub("", terminal.seen)
    assert 204 == admin.delete("/workers/rack-1").status_code


def _worker(admin: httpx.Client, name: str) -> Me:
    line = admin.post("/workers/tokens", json={}).json()["line"]
    member = join(line, _facts(name), secret=new_secret())
    return Me(member.server, member.key)


def _facts(name: str) -> Facts:
    return Facts(name=name, capacity=Capacity(slots=4, cores=4), version="0.1.0")


def _beat() -> Beat:
    tasks = [TaskNow(run="0" * 10, task=one, seconds=2.0) for one in range(2)]
    return Beat(busy=2, tasks=tasks, cpu=0.5)


def _until_refused(me: Me) -> None:
    """Beat until the server knows what another process did: that takes two seconds."""
    for _ in range(1000):
        me.beat(_beat())
