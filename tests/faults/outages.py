"""A client of a server that dies at every step: it asks again until it has its answer."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from grange.db import open_database
from grange.uploads.service import Uploads
from tests.faults.scene import wait_until
from tests.server import scene as people

SERVED = [sys.executable, str(Path(__file__).with_name("served.py"))]
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
ENDS = {"done", "failed", "cancelled"}
PATIENCE_SECONDS = 60.0


class Outages:
    """Servers over one home, of which each is followed by the next, and somebody who uses them."""

    def __init__(self, folder: Path, steps: Sequence[str], *, driven: bool = True) -> None:
        """Prepare; nothing runs before it is asked something. Without `driven` no run goes on."""
        self.folder = folder
        self.home = folder / "home"
        self.steps = steps
        self.share = folder / "share"
        self._process = 0
        self._person = httpx.Client()
        for place in (self.home, self.share, folder / "struck"):
            place.mkdir()
        if not driven:
            (folder / "idle").touch()
        with self.quietly():
            self._set_up()
        self._nursery = self._nurse(*steps)

    @contextlib.contextmanager
    def quietly(self) -> Iterator[None]:
        """For as long as the block lasts, nothing kills."""
        self._nursery = self._nurse()
        try:
            yield
        finally:
            self._end_server(signal.SIGTERM)
            self._stop_nursing()

    def struck(self) -> set[str]:
        """Say which kills have happened."""
        return {mark.name for mark in (self.folder / "struck").iterdir()}

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask until there is an answer: after each kill the same once more."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            self._serve()
            try:
                return self._person.request(method, f"/api/v1{path}", **options)
            except httpx.TransportError:
                # Whoever is being killed may take a moment to be gone.
                time.sleep(0.02)
        message = f"no answer to {method} {path}; struck: {sorted(self.struck())}"
        raise AssertionError(message)

    def make(self, path: str, body: dict[str, Any], *, key: str) -> dict[str, Any]:
        """Make something, under one key however often it has to be asked."""
        answer = self.ask("POST", path, json=body, headers={"Idempotency-Key": key})
        assert 201 == answer.status_code, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def send(self, data: bytes, part_bytes: int, **said: str) -> str:
        """Send a file in parts, each from where the server says; returns the upload's id."""
        described = ",".join(
            f"{key} {b64encode(value.encode()).decode()}" for key, value in said.items()
        )
        headers = {**TUS, "Upload-Length": str(len(data)), "Upload-Metadata": described}
        begun = self.ask("POST", "/uploads", headers=headers)
        assert 201 == begun.status_code, begun.text
        upload = begun.headers["Location"].rpartition("/")[2]
        while (at := self.offset(upload)) < len(data):
            part = data[at : at + part_bytes]
            self._serve()
            with contextlib.suppress(httpx.TransportError):
                answer = self._person.patch(
                    f"/api/v1/uploads/{upload}",
                    content=part,
                    headers={**PIECE, "Upload-Offset": str(at)},
                )
                assert 204 == answer.status_code, answer.text
        return upload

    def offset(self, upload: str) -> int:
        """Ask where an upload stands."""
        answer = self.ask("HEAD", f"/uploads/{upload}", headers=TUS)
        assert 200 == answer.status_code, answer.text
        return int(answer.headers["Upload-Offset"])

    def until(self, run: str, state: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until a run stands as it should."""
        shown: dict[str, Any] = {}

        def stands() -> bool:
            answer = self.ask("GET", f"/runs/{run}")
            assert 200 == answer.status_code, answer.text
            shown.update(answer.json())
            return state(shown)

        wait_until(stands, seconds=PATIENCE_SECONDS)
        return shown

    def ended(self, run: str) -> dict[str, Any]:
        """Wait for a run's end."""
        return self.until(run, lambda shown: shown["state"] in ENDS)

    def ledger(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the ledger's file itself."""
        with contextlib.closing(sqlite3.connect(self.home / "grange.db")) as database:
            return database.execute(query).fetchall()

    def actions(self) -> list[str]:
        """Say what the audit log has, without the logins; its chain must be whole."""
        verdict = self.ask("GET", "/audit/verdict").json()
        assert verdict["broken_at"] is None, verdict
        query = "select action from audit where action like 'run.%' or action like 'folder.%'"
        return sorted(action for (action,) in self.ledger(query))

    def outputs(self, run: str) -> dict[str, bytes]:
        """Read what a run has published, but for its own account."""
        out = self.home / "outputs" / run
        return {
            str(file.relative_to(out)): file.read_bytes()
            for file in out.rglob("*")
            if file.is_file() and len(file.relative_to(out).parts) > 1
        }

    def check_account(self) -> None:
        """Every run that is there has ended once, and so has each of its items."""
        for number, state, total in self.ledger("select number, state, items_total from runs"):
            assert state in ENDS
            ends = f"select count(*), count(ended_at) from items where run = {number}"
            assert [(total, total)] == self.ledger(ends)
        assert [] == self.ledger("select * from tasks where state in ('waiting', 'running')")
        twice = "select task from attempts where end = 'done' group by task having count(*) > 1"
        assert [] == self.ledger(twice)
        assert [] == list(self.home.glob("outputs/*/.grange"))

    def check_contents(self, files: dict[str, bytes], folder: str) -> None:
        """The folder holds these files, each content is kept once, and nothing else is left."""
        answer = self.ask("GET", f"/folders/{folder}/files").json()
        told = {one["path"]: one["sha256"] for one in answer["items"]}
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        assert digests == told
        root = self.home / "folders" / folder
        there = {str(one.relative_to(root)): one for one in root.rglob("*") if one.is_file()}
        assert files == {name: file.read_bytes() for name, file in there.items()}
        assert set(digests.values()) <= {one.name for one in self.home.glob("blobs/??/*")}

    def sweep(self) -> None:
        """Do the chore of every server that clears away what kills have left."""
        with contextlib.closing(open_database(self.home / "grange.db")) as database:
            sweeping = Uploads(database, self.home, quota_bytes=0, record=lambda *_, **__: None)
            with contextlib.closing(sweeping):
                sweeping.sweep()

    def close(self) -> None:
        """Leave no process behind."""
        self._end_server(signal.SIGKILL)
        self._stop_nursing()
        self._person.close()
        wait_until(lambda: not self._others())
        shutil.rmtree(self.folder, ignore_errors=True)

    def _set_up(self) -> None:
        said = self._serve()
        server = people.client(str(said["listening"]))
        body = {"key": people.key_in(said["setup"]), "email": people.email("ada"), "name": "Ada"}
        with server as ada:
            answer = ada.post("/setup", json={**body, "password": people.PASSWORD})
            ada.headers["X-CSRF-Token"] = answer.json()["csrf"]
            made = ada.post("/tokens", json={"name": "x", "scopes": ["read", "run", "admin"]})
            self._person.headers["Authorization"] = f"Bearer {made.json()['text']}"

    def _nurse(self, *steps: str) -> subprocess.Popen[str]:
        given = {name: value for name, value in os.environ.items() if "GRANGE_" not in name}
        settings = {"HOME": self.home, "WORKERS": 1, "RETRY_DELAY_SECONDS": 0, "SHARES": self.share}
        return subprocess.Popen(
            [*SERVED, "server", str(self.folder), *steps],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**given, **{f"GRANGE_{name}": str(value) for name, value in settings.items()}},
        )

    def _stop_nursing(self) -> None:
        for pipe in (self._nursery.stdin, self._nursery.stdout):
            if pipe is not None:
                pipe.close()
        self._nursery.wait()

    def _serve(self) -> dict[str, Any]:
        """See that a server runs, and say what it said of itself."""
        said = self.folder / "said"
        while not (self._process and _lives(self._process)):
            said.unlink(missing_ok=True)
            assert self._nursery.stdin is not None
            assert self._nursery.stdout is not None
            self._nursery.stdin.write("serve --port 0 --json\n")
            self._nursery.stdin.flush()
            self._process = int(self._nursery.stdout.readline())
            wait_until(lambda: not _lives(self._process) or _line(said))
        found: dict[str, Any] = json.loads(_line(said))
        assert "listening" in found, found
        self._person.base_url = found["listening"]
        return found

    def _end_server(self, number: signal.Signals) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process, number)
            wait_until(lambda: not _lives(self._process))

    def _others(self) -> list[int]:
        mark = f"GRANGE_HOME={self.home}".encode()
        return [pid for pid in _pids() if mark in _environment(pid).split(b"\0")]


def _line(file: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        text = file.read_text()
        return text if text.endswith("\n") else ""
    return ""


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
