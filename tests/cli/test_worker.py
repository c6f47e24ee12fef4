"""`grange worker`: what it refuses before it speaks to anybody, and what it never imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.invocations import Grange
from tests.server import scene

# A line as `grange workers token` prints it, of a server that isn't there.
LINE = "http://127.0.0.1:1#.0123456789." + "s" * 40


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "joined no server"),
        (("https://grange.example.org",), "no line of grange workers token"),
        ((LINE, "--gpu", "first"), "names no GPUs"),
        ((LINE, "--labels", "Not One"), "is no label"),
        ((LINE, "--mount", "/here"), "names no folder"),
        ((LINE, "--memory", "much"), "no amount of memory"),
        ((LINE, "--cache-bytes", "-1"), "cache-bytes"),
        ((LINE, "--slots", "0"), "--slots"),
    ],
)
def test_what_makes_no_sense_is_said_at_once(
    grange: Grange, words: tuple[str, ...], said: str
) -> None:
    """With the exit code of a wrong command line, and without waiting for anything."""
    done = grange("worker", *words)

    assert (2, True) == (done.returncode, said in done.stderr), done.stderr


@pytest.fixture
def own_certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Make a certificate that nobody has signed, and its key."""
    made = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run(command, check=True, capture_output=True)
    return made


def test_a_server_that_isn_t_there_is_said(grange: Grange, home: Path) -> None:
    """Who has joined nothing yet can't work without it; the line stays good for another try."""
    done = grange("worker", LINE)

    assert 1 == done.returncode
    assert "127.0.0.1:1" in done.stderr
    assert not (home / "worker" / "papers.json").exists()


def test_a_server_of_another_certificate_is_refused_in_a_worker_s_words(
    grange: Grange, tmp_path: Path, own_certificate: tuple[Path, Path]
) -> None:
    """A worker is told of lines and files of certificates, and not how people log in."""
    files = ",".join(map(str, own_certificate))
    with scene.serving(tmp_path / "site", "--tls", files) as server:
        token = LINE.rpartition("#.")[2]
        other = grange("worker", f"{server.url}#{'0' * 64}.{token}")
        none = grange("worker", f"{server.url}#.{token}")

    assert (1, 1) == (other.returncode, none.returncode)
    assert "make a new line" in " ".join(other.stderr.split())
    assert "SSL_CERT_FILE" in none.stderr
    assert "login" not in other.stderr + none.stderr


def test_its_secret_is_not_in_what_it_says(grange: Grange, home: Path) -> None:
    """What it will be known by lies in a file for its owner alone, until it has joined."""
    done = grange("worker", LINE)

    [kept] = (home / "worker").glob("joining.json")
    assert 0o600 == kept.stat().st_mode & 0o777
    assert "s" * 40 not in done.stderr + done.stdout + kept.read_text()


def test_a_worker_knows_no_database() -> None:
    """No password of one ever comes to a machine that only works: it could not use it."""
    program = (
        "import sys, grange.bootstrap.working, grange.worker.station.station\n"
        "print(*[one for one in sys.modules if one.split('.')[0] in "
        "{'sqlalchemy', 'alembic'} or one.startswith(('grange.db', 'grange.runs'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert "" == done.stdout.strip()
