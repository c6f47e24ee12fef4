"""A real `grange serve` with people in it: for every test that needs a server.

    with scene.serving(home) as server:
        cast = scene.cast(server)
        cast.member.get("/runs")

Each person is an `httpx.Client` whose paths begin below /api/v1 and that sends
its session's cookie and CSRF token, as a page does.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests import fresh

START_SECONDS = 60.0
STOP_SECONDS = 30.0
TIMEOUT_SECONDS = 30.0
API = "/api/v1"
PASSWORD = "seven tame herons waded"
# The command `grange`, but that a password costs next to nothing: those of tests are worth
# nothing, and hundreds of servers have five each.
GRANGE = """
from grange.accounts import passwords
from grange.cli.main import main

passwords.TIME_COST, passwords.MEMORY_KIB, passwords.LANES = 1, 8, 1
main()
"""


@dataclass
class Serving:
    """A `grange serve` process."""

    process: subprocess.Popen[str]
    home: Path
    url: str  # where it listens, whatever people call it
    setup: str | None
    log: Path

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return urlsplit(self.url).port or 0

    @property
    def setup_key(self) -> str:
        """The one-time key in the link that it printed."""
        return key_in(self.setup or "")

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """End it as an administrator would; returns its exit code."""
        self.process.send_signal(with_signal)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End the server's process at once, and it alone, as a crash would."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def client(self, **options: Any) -> httpx.Client:
        """Make a client of the API that is nobody."""
        return client(self.url, **options)


@dataclass
class Cast:
    """People of every role, each with a session of their own."""

    nobody: httpx.Client
    admin: httpx.Client
    member: httpx.Client
    other: httpx.Client
    viewer: httpx.Client

    def close(self) -> None:
        """Close all connections."""
        for one in vars(self).values():
            one.close()


@contextlib.contextmanager
def serving(home: Path, *flags: str, **environment: str) -> Iterator[Serving]:
    """Run `grange serve` over this home for as long as the block lasts.

    It takes a free port. Everything that it started is gone at the end.
    """
    server = launch(home, *flags, **environment)
    try:
        yield server
    finally:
        end(server)


def launch(home: Path, *flags: str, prefix: Sequence[str] = (), **environment: str) -> Serving:
    """Start `grange serve` and wait until it says where; `end` has to follow.

    `prefix` are words of a command that starts it, as on another host.
    """
    home.mkdir(parents=True, exist_ok=True)
    # Neither another database nor another version of the program, which has other tables.
    usual = environment.keys().isdisjoint({"GRANGE_DATABASE", "PYTHONPATH"})
    if usual and not (home / "grange.db").exists():
        fresh.put(home / "grange.db")
    log = home.parent / f"{home.name}.log"
    given = {name: value for name, value in os.environ.items() if not name.startswith("GRANGE_")}
    with log.open("a") as errors:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-c", GRANGE, "serve", "--port", "0", "--json", *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            env={**given, "GRANGE_HOME": str(home), "GRANGE_WORKERS": "1", **environment},
        )
    said = _first_line(process, log)
    return Serving(process, home, said["listening"], said["setup"], log)


def end(server: Serving) -> None:
    """End the server and whatever it started, however it stands."""
    if server.process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.stop()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait(STOP_SECONDS)
    if server.process.stdout is not None:
        server.process.stdout.close()


def client(url: str, **options: Any) -> httpx.Client:
    """Make a client of the API that is nobody."""
    return httpx.Client(base_url=url + API, **{"timeout": TIMEOUT_SECONDS, **options})


def cast(server: Serving) -> Cast:
    """Set the server up and invite one person of each role, and a second member."""
    admin = set_up(server)
    return Cast(
        nobody=server.client(),
        admin=admin,
        member=invite(admin, server.url, "mia", role="member"),
        other=invite(admin, server.url, "otto", role="member"),
        viewer=invite(admin, server.url, "vera", role="viewer"),
    )


def set_up(server: Serving) -> httpx.Client:
    """Make the first administrator, ada, by the link that the server printed."""
    admin = server.client()
    body = {"key": server.setup_key, "email": email("ada"), "name": "Ada", "password": PASSWORD}
    return _logged_in(admin, admin.post("/setup", json=body))


def invite(admin: httpx.Client, url: str, name: str, *, role: str) -> httpx.Client:
    """Let an administrator invite somebody, who then chooses a password."""
    body = {"email": email(name), "name": name.title(), "role": role}
    invited = admin.post("/users", json=body)
    assert 201 == invited.status_code, invited.text
    guest = client(url)
    welcome = {"key": key_in(invited.json()["link"]), "password": PASSWORD}
    return _logged_in(guest, guest.post("/welcome", json=welcome))


def log_in(url: str, name: str, password: str = PASSWORD) -> httpx.Client:
    """Log in somebody who is known."""
    guest = client(url)
    body = {"email": email(name), "password": password}
    return _logged_in(guest, guest.post("/session", json=body))


def with_token(person: httpx.Client, url: str, *scopes: str, **options: Any) -> httpx.Client:
    """Make a token of this person's, and a client that sends it."""
    body = {"name": "of a test", "scopes": list(scopes or ("read", "run")), **options}
    made = person.post("/tokens", json=body)
    assert 201 == made.status_code, made.text
    return client(url, headers={"Authorization": f"Bearer {made.json()['text']}"})


def user_id(person: httpx.Client) -> str:
    """Say the id of whoever this is."""
    found: str = person.get("/session").json()["user"]["id"]
    return found


def email(name: str) -> str:
    """Say the address of somebody in these tests."""
    return f"{name}@example.org"


def key_in(link: str) -> str:
    """Take the one-time key out of a link."""
    return parse_qs(urlsplit(link).query)["key"][0]


def _logged_in(person: httpx.Client, answer: httpx.Response) -> httpx.Client:
    assert 201 == answer.status_code, answer.text
    person.headers["X-CSRF-Token"] = answer.json()["csrf"]
    return person


def _first_line(process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS
    readable, _, _ = select.select([process.stdout], [], [], deadline - time.monotonic())
    line = process.stdout.readline() if readable else ""
    if not line.startswith("{"):
        process.kill()
        process.wait()
        process.stdout.close()
        message = f"the server did not start: {line}{log.read_text()[-3000:]}"
        raise RuntimeError(message)
    said: dict[str, Any] = json.loads(line)
    if "url" not in said:
        process.wait(STOP_SECONDS)
        process.stdout.close()
        raise RuntimeError(line)
    return said
