"""`grange login`, `whoami` and `logout`, and what is said when that fails."""

from __future__ import annotations

import json
import os
import ssl
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from grange.settings import credentials_file
from tests.cli.invocations import COMMAND, Grange
from tests.server import scene
from tests.server.scene import Serving

ADA = scene.email("ada")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Share a server with an administrator."""
    with scene.serving(tmp_path_factory.mktemp("server") / "home") as server:
        scene.set_up(server).close()
        yield server


def _login(url: str, *words: str, said: str = scene.PASSWORD) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "login", url, *words],
        input=f"{said}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_login_is_kept_and_ends(server: Serving, grange: Grange) -> None:
    """The token lies in a file of one's own, shows nowhere, and is worth nothing after logout."""
    done = _login(server.url, "--email", ADA)
    file = credentials_file()
    kept = file.read_text()
    token = kept.split('token = "')[1].split('"')[0]

    assert 0 == done.returncode, done.stderr
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert token not in done.stdout + done.stderr
    assert scene.PASSWORD not in kept
    assert ADA in grange("whoami").stdout
    assert "login" in grange("doctor").stdout

    assert 0 == grange("logout").returncode
    assert not file.exists()
    assert "No server" in grange("whoami").stdout
    again = _login(server.url, "--token", "-", said=token)
    assert (1, True) == (again.returncode, "[auth.invalid]" in again.stderr)


def test_a_token_may_come_from_elsewhere(
    server: Serving, grange: Grange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From stdin for a login, from the environment for a script; never from the command line."""
    with closing(scene.log_in(server.url, "ada")) as ada:
        text = ada.post("/tokens", json={"name": "t", "scopes": ["read"]}).json()["text"]

    assert 2 == _login(server.url, "--token", text).returncode
    done = _login(server.url, "--token", "-", "--json", said=text)
    assert ["read"] == json.loads(done.stdout)["scopes"]
    grange("logout")
    with closing(scene.log_in(server.url, "ada")) as ada:
        text = ada.post("/tokens", json={"name": "t", "scopes": ["read"]}).json()["text"]
    monkeypatch.setenv("GRANGE_SERVER", server.url)
    monkeypatch.setenv("GRANGE_TOKEN", text)
    assert ADA in grange("whoami").stdout


def test_this_machine_is_still_there(
    server: Serving, grange: Grange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GRANGE_SERVER=none works without the server; another server is not told the token."""
    _login(server.url, "--email", ADA)

    monkeypatch.setenv("GRANGE_SERVER", "none")
    assert "No server" in grange("whoami").stdout
    monkeypatch.setenv("GRANGE_SERVER", server.url.replace("127.0.0.1", "localhost"))
    other = grange("runs", "list")
    assert (1, True) == (other.returncode, "[auth.required]" in other.stderr)


@pytest.mark.parametrize(
    ("url", "words", "code", "error"),
    [
        ("", ["--email", ADA, "wrong"], 1, "auth.invalid"),
        ("", ["--email", "nonsense", scene.PASSWORD], 2, "request.invalid"),
        ("http://127.0.0.1:1", ["--email", ADA, "x"], 1, "server.unreachable"),
        ("nonsense", ["--email", ADA, "x"], 2, "setting.invalid"),
        ("https://", ["--email", ADA, "x"], 2, "setting.invalid"),
    ],
)
def test_a_login_that_fails_is_one_clear_line(
    server: Serving, url: str, words: list[str], code: int, error: str
) -> None:
    """It says what is wrong, and keeps nothing."""
    *flags, said = words

    done = _login(url or server.url, *flags, said=said)

    assert code == done.returncode, done.stderr
    assert f"[{error}]" in done.stderr
    assert "Traceback" not in done.stderr
    assert not credentials_file().exists()


def test_a_certificate_of_ones_own_is_trusted_when_named(tmp_path: Path) -> None:
    """Without --ca the server is refused, with a word on what to do; with it all goes well."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        capture_output=True,
        check=True,
    )
    with scene.serving(tmp_path / "home", "--tls", f"{certificate},{key}") as server:
        trust = ssl.create_default_context(cafile=str(certificate))
        with scene.client(server.url, verify=trust) as ada:
            body = {"key": server.setup_key, "email": ADA, "name": "Ada"}
            ada.post("/setup", json=body | {"password": scene.PASSWORD})

        refused = _login(server.url, "--email", ADA)
        plain = _login(server.url.replace("https", "http"), "--email", ADA)
        done = _login(server.url, "--email", ADA, "--ca", os.path.relpath(certificate))

        assert (1, True) == (refused.returncode, "[server.untrusted]" in refused.stderr)
        assert "--ca" in refused.stderr
        assert 1 == plain.returncode
        assert "Traceback" not in plain.stderr
        assert 0 == done.returncode, done.stderr
        assert str(certificate) in credentials_file().read_text()


def test_a_login_that_can_not_be_read_is_said(grange: Grange) -> None:
    """What is in the file is not repeated: there may be a token in it."""
    file = credentials_file()
    file.parent.mkdir(parents=True)
    file.write_text('server = "https://a"\ntoken = grange_secret\n')

    done = grange("runs", "list")

    assert 2 == done.returncode
    assert "grange login" in done.stderr
    assert "grange_secret" not in done.stderr
