"""Workers over HTTP: a machine joins, says what it does, drains and is removed."""

from __future__ import annotations

import hashlib
import json
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from grange.accounts.secret import new_secret
from grange.client.schemas.workers import Beat, Capacity, Facts, TaskNow
from grange.client.workers import Me, Membership, join, parse_line
from grange.errors import (
    CredentialsInvalid,
    ProtocolMismatch,
    RequestInvalid,
    ServerUntrusted,
)
from tests.server import scene
from tests.server.scene import Cast, Serving

# Nobody listens there: what is tested here needs no broker that answers.
BROKER = "amqp://drive:secret@127.0.0.1:1/"
SHARED = "amqp://all:shared@127.0.0.1:1"
ENGINE = {"GRANGE_ENGINE": BROKER, "GRANGE_WORKERS_ENGINE": SHARED}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Share a server with an engine for workers."""
    with scene.serving(tmp_path_factory.mktemp("server") / "home", **ENGINE) as server:
        yield server


def test_a_machine_joins_and_works(cast: Cast) -> None:
    """From the pasted line to the list of workers, with what it does now."""
    member = _join(cast.admin, "joining", labels=["gpu"])
    with Me(member.server, member.key) as me:
        orders = me.beat(Beat(busy=1, tasks=[TaskNow(run="0" * 10, task=1, seconds=2.5)]))

    assert ("joining", ["gpu"], SHARED) == (
        member.joined.name,
        member.joined.labels,
        member.joined.engine,
    )
    assert ("active", True, 60.0) == (orders.state, orders.fits, orders.lease_seconds)
    [seen] = [one for one in _listed(cast.admin) if one["name"] == "joining"]
    assert ("up", 1, 4) == (seen["presence"], seen["busy"], seen["capacity"]["slots"])


def test_the_probes_are_where_the_server_says(cast: Cast, server: Serving) -> None:
    """A worker on the same disk reads in each probe what it was told."""
    probes = _join(cast.admin, "probing").joined.probes

    assert {server.home / "outputs", server.home / "folders"} == {
        Path(probe.path).parent for probe in probes
    }
    assert [probe.content for probe in probes] == [
        Path(probe.path).read_text().strip() for probe in probes
    ]


def test_a_worker_that_comes_back_needs_no_token(cast: Cast) -> None:
    """By its key it gets all that it was told when it joined."""
    member = _join(cast.admin, "returning")
    with Me(member.server, member.key) as me:
        again = me.renew()

    assert member.joined == again


def test_a_worker_drains_when_an_administrator_says_so(cast: Cast) -> None:
    """Its next beat tells it, until it may work again."""
    member = _join(cast.admin, "draining")
    with Me(member.server, member.key) as me:
        for state in ("draining", "active"):
            answer = cast.admin.patch("/workers/draining", json={"state": state})
            assert (200, state) == (answer.status_code, answer.json()["state"])
            assert state == me.beat(Beat()).state


def test_beats_fill_no_log(cast: Cast, server: Serving) -> None:
    """A hundred workers would write fifty lines a second; what is refused is worth a line."""
    member = _join(cast.admin, "beating")
    with Me(member.server, member.key) as me:
        me.beat(Beat())
    with httpx.Client(base_url=f"{server.url}{scene.API}") as stranger:
        assert 401 == stranger.post("/workers/me/beat", json={}).status_code
    deadline = time.monotonic() + 10
    while "/workers/me/beat 401" not in (log := server.log.read_text()):
        assert time.monotonic() < deadline, log[-1000:]

    assert "/workers/join 201" in log
    assert "/workers/me/beat 200" not in log


def test_a_removed_worker_is_told_so(cast: Cast) -> None:
    """Its key opens nothing from then on, and it stands in no list."""
    member = _join(cast.admin, "leaving")
    assert 204 == cast.admin.delete(f"/workers/{member.joined.worker}").status_code

    with Me(member.server, member.key) as me, pytest.raises(CredentialsInvalid, match="removed"):
        me.beat(Beat())
    assert [] == [one for one in _listed(cast.admin) if one["name"] == "leaving"]
    assert 404 == cast.admin.get("/workers/leaving").status_code


def test_a_lost_answer_is_repeated(cast: Cast) -> None:
    """The same line and secret join once."""
    line, secret = _line(cast.admin), new_secret()
    first, again = (join(line, _facts("again"), secret=secret) for _ in range(2))

    assert first == again
    with pytest.raises(CredentialsInvalid, match="already"):
        join(line, _facts("again"), secret=new_secret())


def test_a_newer_worker_is_understood(cast: Cast, server: Serving) -> None:
    """What a later version says more is passed over, in joining and in beats."""
    token = parse_line(_line(cast.admin)).token
    facts = _facts("newer").model_dump() | {"quanta": 7}
    body = {"token": token, "secret": new_secret(), "facts": facts, "mood": "good"}
    joined = cast.nobody.post("/workers/join", json=body)
    assert 201 == joined.status_code, joined.text
    key = f"grangeworker_{joined.json()['worker']}_{body['secret']}"
    said = {"busy": 1, "quanta": 7, "tasks": [{"run": "r", "task": 1, "spin": "up"}]}
    bearer = {"Authorization": f"Bearer {key}"}
    with server.client(headers=bearer) as worker:
        beaten = worker.post("/workers/me/beat", json=said)

    assert 200 == beaten.status_code, beaten.text


def test_another_protocol_is_refused_in_words(cast: Cast) -> None:
    """Both versions stand in the refusal, so that people know which side to upgrade."""
    with pytest.raises(ProtocolMismatch, match="protocol 2"):
        join(
            _line(cast.admin),
            _facts("future").model_copy(update={"protocol": 2}),
            secret=new_secret(),
        )


def test_members_see_workers_but_not_whose_runs(cast: Cast, server: Serving) -> None:
    """Of a task of somebody else's run they learn nothing but how long; nor any address."""
    member = _join(cast.admin, "private")
    told = TaskNow(run="b" * 10, task=1, seconds=3.0, path="secret/fox.mp4")
    with Me(member.server, member.key) as me:
        me.beat(Beat(busy=1, tasks=[told], metrics_url="http://127.0.0.1:9/metrics"))
    [seen] = [one for one in _listed(cast.member) if one["name"] == "private"]

    assert {"run": "", "path": "", "seconds": 3.0} == {
        name: seen["tasks"][0][name] for name in ("run", "path", "seconds")
    }
    assert ("", "") == (seen["address"], seen["metrics_url"])
    assert 403 == cast.viewer.get("/workers").status_code


def test_a_workers_key_is_for_workers_things(cast: Cast, server: Serving) -> None:
    """With it nobody reads runs, people or workers; and a person's token is no worker's key."""
    member = _join(cast.admin, "narrow")
    with server.client(headers={"Authorization": f"Bearer {member.key}"}) as worker:
        for path in ("/runs", "/users", "/workers", "/workers/tokens", "/session"):
            assert 401 == worker.get(path).status_code, path
    with scene.with_token(cast.admin, server.url, "read", "run", "admin") as admin:
        assert 403 == admin.post("/workers/me/beat", json={}).status_code


@pytest.mark.parametrize(
    "wrong",
    [
        {"tasks": [{"run": "r", "task": 1}] * 257},
        {"busy": -1},
        {"cpu": "NaN"},
        {"load": 1e400},
        {"shares": ["x" * 2000]},
        {"labels": ["Not A Label"]},
        {"busy": 2**80},
    ],
)
def test_a_beat_has_bounds(cast: Cast, server: Serving, wrong: dict[str, Any]) -> None:
    """What no worker would say is refused, and changes nothing."""
    member = _join(cast.admin, "bounded")
    with server.client(headers={"Authorization": f"Bearer {member.key}"}) as worker:
        answer = worker.post("/workers/me/beat", content=_json(wrong))

    assert 422 == answer.status_code, answer.text


def test_a_lost_answer_to_a_token_gives_a_fresh_one(cast: Cast) -> None:
    """Repeated under its key, a token's line is another, and the first one is revoked."""
    key = {"Idempotency-Key": new_secret()}
    first, again = (
        cast.admin.post("/workers/tokens", json={"uses": 2}, headers=key).json() for _ in range(2)
    )

    assert first["line"] != again["line"]
    with pytest.raises(CredentialsInvalid):
        join(first["line"], _facts("late"), secret=new_secret())
    assert 204 == cast.admin.delete(f"/workers/tokens/{again['token']['id']}").status_code


def test_a_server_without_a_broker_says_what_is_missing(
    serving: Callable[..., AbstractContextManager[Serving]],
) -> None:
    """Where the engine is this machine's own, no token is made: nobody could join."""
    with serving() as alone, closing(scene.set_up(alone)) as admin:
        answer = admin.post("/workers/tokens", json={})

    assert (409, True) == (answer.status_code, "--engine" in answer.json()["hint"])


def test_workers_and_tokens_outlive_a_restart(
    serving: Callable[..., AbstractContextManager[Serving]],
) -> None:
    """Who had joined before the server was killed goes on, and what it said is kept."""
    with serving(**ENGINE) as first, closing(scene.set_up(first)) as admin:
        member = _join(admin, "lasting")
        line = _line(admin)
        with Me(first.url, member.key) as me:
            me.beat(Beat(busy=3))
        first.kill()
    with serving("--port", str(first.port), **ENGINE) as second:
        with Me(second.url, member.key) as me:
            assert "active" == me.beat(Beat(busy=2)).state
        assert "second" == join(line, _facts("second"), secret=new_secret()).joined.name


def test_the_line_pins_the_servers_certificate(
    serving: Callable[..., AbstractContextManager[Serving]], tmp_path: Path
) -> None:
    """A certificate of the server's own is believed by its mark alone; another one is not."""
    ours, theirs = (_certificate(tmp_path / name) for name in ("ours", "theirs"))
    with serving("--tls", f"{ours},{ours}", **ENGINE) as first:
        trust = ssl.create_default_context(cafile=str(ours))
        trust.check_hostname = False
        admin = httpx.Client(base_url=first.url + scene.API, verify=trust)
        body = {"key": first.setup_key, "email": scene.email("ada"), "name": "Ada"}
        answer = admin.post("/setup", json=body | {"password": scene.PASSWORD})
        admin.headers["X-CSRF-Token"] = answer.json()["csrf"]
        admin.headers["Origin"] = first.url
        line = _line(admin)
        member = join(line, _facts("pinned"), secret=new_secret())
        admin.close()

    assert hashlib.sha256(_der(ours)).hexdigest() == member.pin == parse_line(line).pin
    with (
        serving("--tls", f"{theirs},{theirs}", "--port", str(first.port), **ENGINE),
        Me(member.server, member.key, pin=member.pin) as me,
        pytest.raises(ServerUntrusted),
    ):
        me.beat(Beat())


@pytest.mark.parametrize(
    "line", ["", "https://x", "https://x#", "https://x#aa.0000000000.s", "x#.0000000000.s", "🦊"]
)
def test_what_is_no_line_is_said_to_be_none(line: str) -> None:
    """A line that the shell has cut, or that is something else, is no server's fault."""
    with pytest.raises(RequestInvalid, match="no line"):
        parse_line(line)


def _join(admin: httpx.Client, name: str, **token: Any) -> Membership:
    return join(_line(admin, **token), _facts(name), secret=new_secret())


def _line(admin: httpx.Client, **token: Any) -> str:
    made = admin.post("/workers/tokens", json=token)
    assert 201 == made.status_code, made.text
    line: str = made.json()["line"]
    return line


def _facts(name: str) -> Facts:
    return Facts(name=name, capacity=Capacity(slots=4, cores=8), version="0.1.0")


def _listed(person: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.get("/workers").json()["items"]
    return found


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _certificate(folder: Path) -> Path:
    """Make a certificate with its key, signed by itself, in one file."""
    folder.mkdir()
    file = folder / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=grange.test", "-keyout", str(folder / "key"), "-out", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + (folder / "key").read_text())
    return file


def _der(file: Path) -> bytes:
    text = file.read_text()
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(text[: text.index(end) + len(end)])
