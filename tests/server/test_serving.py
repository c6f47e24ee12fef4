"""How a server begins, what it refuses to begin with, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tests.server import scene
from tests.server.scene import Serving

# On an idle machine it is less than 2 s; this bound is for busy ones.
START_BOUND_SECONDS = 10.0
# Answers that are under way get 3 s, and the process that drives runs as long again.
STOP_BOUND_SECONDS = 20.0

EVERYWHERE = "0.0.0.0"  # noqa: S104  # tests of what is refused there, or allowed by a flag

Start = Callable[..., AbstractContextManager[Serving]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate for this machine, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-out", made[0], "-keyout", made[1]),
        ],
        check=True,
        capture_output=True,
    )
    return made


def test_a_server_answers_soon(serving: Start) -> None:
    """From the command to the first answer it takes no more than moments."""
    began = time.monotonic()
    with serving() as server, server.client() as nobody:
        assert 200 == nobody.get("/health").status_code
        assert time.monotonic() - began < START_BOUND_SECONDS


def test_the_address_and_the_link_are_printed(tmp_path: Path) -> None:
    """Whoever starts it reads where it is, and how to make the first administrator."""
    home = tmp_path / "home"
    process = _start(home)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        url = lines[0].removeprefix("Grange serves at ").strip()
        link = lines[2].strip()

        assert url.startswith("http://127.0.0.1:")
        assert link.startswith(f"{url}/setup?key=")
        assert 200 == httpx.get(link).status_code
    finally:
        process.terminate()
        process.communicate(timeout=scene.STOP_SECONDS)


def test_a_link_is_good_until_there_is_an_administrator(serving: Start) -> None:
    """A restart prints a new link and the old one is void; after the set-up there is none."""
    with serving() as first:
        old = first.setup_key
        with first.client() as nobody:
            assert {"open": True} == nobody.get("/setup").json()
    with serving() as second:
        with second.client() as nobody:
            body = {"email": "a@example.org", "name": "A", "password": scene.PASSWORD}
            assert 401 == nobody.post("/setup", json={"key": old, **body}).status_code
        scene.set_up(second).close()
        with second.client() as nobody:
            again = nobody.post("/setup", json={"key": second.setup_key, **body})
            assert (409, "setup.done") == (again.status_code, again.json()["code"])
            assert {"open": False} == nobody.get("/setup").json()
    with serving() as third:
        assert third.setup is None


def test_sessions_survive_a_restart(serving: Start) -> None:
    """Who was logged in still is, even after a crash."""
    with serving() as first:
        ada = scene.set_up(first)
        first.kill()
    with serving() as second, second.client(cookies=dict(ada.cookies)) as again:
        assert scene.email("ada") == again.get("/session").json()["user"]["email"]
    ada.close()


def test_one_home_has_one_server(own_server: Serving) -> None:
    """A second server over the same home says who has it, and begins nothing."""
    refused = _refused(own_server.home)

    assert "conflict" == refused["code"]
    assert str(own_server.process.pid) in refused["message"]
    with own_server.client() as nobody:
        assert 200 == nobody.get("/health").status_code


def test_a_home_is_not_served_with_another_database(tmp_path: Path) -> None:
    """What the first database names would be swept away as nobody's by the second."""
    home = tmp_path / "home"
    with scene.serving(home):
        pass
    refused = _refused(home, "--database", f"sqlite:///{tmp_path}/other.db")

    assert "setting.invalid" == refused["code"]
    assert "belong to another database" in refused["message"]
    with scene.serving(home):
        pass


def test_a_killed_server_leaves_its_home_free(serving: Start) -> None:
    """No lock outlives the process that held it."""
    with serving() as first:
        first.kill()
        with serving() as second, second.client() as nobody:
            assert 200 == nobody.get("/health").status_code


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """When another program has the port, the message says so and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = _refused(tmp_path / "home", "--port", str(port))

    assert "setting.invalid" == refused["code"]
    assert f"port {port}" in refused["message"]
    assert "--port" in refused["hint"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--host", EVERYWHERE], "unencrypted"),
        (["--host", "::"], "unencrypted"),
        (["--host", EVERYWHERE, "--public-url", "https://example.org"], "unencrypted"),
        (["--host", "192.0.2.1", "--plain-http"], "192.0.2.1"),
        (["--host", "no.such.host.invalid", "--plain-http"], "no.such.host.invalid"),
        (["--tls", "/nowhere/cert.pem,/nowhere/key.pem"], "/nowhere/cert.pem"),
        (["--sessions", "carrier-pigeon://x"], "carrier-pigeon"),
    ],
)
def test_what_can_not_serve_is_refused(tmp_path: Path, flags: list[str], told: str) -> None:
    """What makes no sense or would be unsafe ends before anything is served, with a hint."""
    refused = _refused(tmp_path / "home", *flags)

    assert "setting.invalid" == refused["code"]
    assert told in refused["message"]
    assert refused["hint"]


def test_other_machines_need_encryption_or_a_word(serving: Start) -> None:
    """Somebody who trusts the network may say so."""
    with serving("--host", EVERYWHERE, "--plain-http") as server:
        answer = httpx.get(f"http://127.0.0.1:{server.port}{scene.API}/health")
        assert 200 == answer.status_code


def test_certificates_are_checked_at_the_start(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    """A certificate that does not go with its key, or is none, is told by its name."""
    certificate_file, key_file = certificate
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("this is no certificate")
    for pair in ((certificate_file, certificate_file), (nonsense, key_file), (key_file, nonsense)):
        refused = _refused(tmp_path / "home", "--tls", f"{pair[0]},{pair[1]}")

        assert "setting.invalid" == refused["code"]
        assert str(pair[0]) in refused["message"]


def test_a_server_speaks_https(serving: Start, certificate: tuple[Path, Path]) -> None:
    """With a certificate: HTTPS alone, from TLS 1.2 on, and cookies that never travel without."""
    with serving("--tls", f"{certificate[0]},{certificate[1]}") as server:
        trust = ssl.create_default_context(cafile=str(certificate[0]))
        assert server.url.startswith("https://127.0.0.1:")
        with server.client(verify=trust) as ada:
            body = {"email": scene.email("ada"), "name": "Ada", "password": scene.PASSWORD}
            answer = ada.post("/setup", json={"key": server.setup_key, **body})

            assert 201 == answer.status_code
            assert answer.headers["strict-transport-security"]
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-grange_session=")
            assert {"secure", "httponly", "samesite=lax", "path=/"} <= {
                part.strip().lower() for part in cookie.split(";")
            }
            assert 200 == ada.get("/session").status_code
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(str(certificate[0]))
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            pytest.raises((ssl.SSLError, ConnectionError)),
            socket.create_connection(("127.0.0.1", server.port)) as plain,
            old.wrap_socket(plain, server_hostname="localhost"),
        ):
            pass


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_soon(own_server: Serving, with_signal: signal.Signals) -> None:
    """It ends well and within seconds, also while clients hold connections open."""
    ada = scene.set_up(own_server)
    with (
        ada.stream("GET", "/events", params={"topic": "runs"}) as events,
        socket.create_connection(("127.0.0.1", own_server.port)) as silent,
    ):
        assert 200 == events.status_code
        began = time.monotonic()
        code = own_server.stop(with_signal)

        assert 0 == code
        assert time.monotonic() - began < STOP_BOUND_SECONDS
        assert silent.fileno() > 0
    ada.close()
    assert "Traceback" not in own_server.log.read_text()


def test_answers_under_way_are_finished(own_server: Serving) -> None:
    """A request that was taken before the signal gets its answer, and the last one there is."""
    head = (
        b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    address = ("127.0.0.1", own_server.port)
    with socket.create_connection(address, timeout=scene.STOP_SECONDS) as talk:
        talk.sendall(head)
        assert b"100 Continue" in talk.recv(1000)
        own_server.process.terminate()
        _wait_until_closed(address)
        talk.sendall(b"{}")

        assert b"HTTP/1.1 422" in talk.recv(10_000)
    assert 0 == own_server.process.wait(scene.STOP_SECONDS)


def _wait_until_closed(address: tuple[str, int]) -> None:
    deadline = time.monotonic() + scene.STOP_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            return
    pytest.fail("the port is still open")


def _start(home: Path, *flags: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "GRANGE_HOME": str(home)}
    words = [sys.executable, "-m", "grange", "serve", "--port", "0", *flags]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )


def _refused(home: Path, *flags: str) -> dict[str, str]:
    """Start a server that can't begin, and return what it says."""
    process = _start(home, *flags, "--json")
    said, _ = process.communicate(timeout=scene.START_SECONDS)
    assert process.returncode != 0
    error: dict[str, str] = json.loads(said)["error"]
    return error
