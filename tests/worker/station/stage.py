"""A server with a broker, and workers that have joined it: all of them real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.brokers import Broker
from tests.server import scene
from tests.server.scene import Serving
from tests.services import unavailable

PATIENCE_SECONDS = 60.0
LEASE_SECONDS = 6.0


@dataclass
class Worker:
    """A `grange worker` process."""

    process: subprocess.Popen[str]
    home: Path
    said: list[str] = field(default_factory=list)
    listener: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as words:
            self.said.extend(words)

    def text(self) -> str:
        """All that it has said."""
        return "".join(self.said)

    def wait_for(self, words: str) -> None:
        """Wait until it says this."""
        until(lambda: words in self.text(), words)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self, *, patience_seconds: float = PATIENCE_SECONDS) -> int:
        """End it as an administrator would; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience_seconds)


class Stage:
    """A server on a broker, its administrator, a shared folder, and any number of workers."""

    def __init__(self, folder: Path, broker: Broker, server: Serving) -> None:
        self.folder = folder
        self.broker = broker
        self.server = server
        self.admin = scene.set_up(server)
        self.share = folder / "share"
        self.workers: list[Worker] = []

    def line(self) -> str:
        """A line by which a machine may join."""
        answer = self.admin.post("/workers/tokens", json={})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["line"])

    def worker(
        self,
        name: str,
        *flags: str,
        line: str | None = None,
        slots: int = 1,
        environment: Mapping[str, str] | None = None,
        prefix: tuple[str, ...] = (),
    ) -> Worker:
        """Start a worker with a home of its own, which is found again under the same name."""
        home = self.folder / name
        given = [self.line() if line is None else line] if line != "" else []
        command = [sys.executable, "-m", "grange", "worker", *given, "--name", name]
        command += ["--slots", str(slots), *([] if "--gpu" in flags else ["--gpu", "none"]), *flags]
        kept = {one: value for one, value in os.environ.items() if not one.startswith("GRANGE_")}
        process = subprocess.Popen(
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**kept, "GRANGE_HOME": str(home), **(environment or {})},
        )
        worker = Worker(process, home)
        self.workers.append(worker)
        return worker

    def change(self, name: str, **change: str) -> None:
        """Let an administrator change a worker."""
        answer = self.admin.patch(f"/workers/{name}", json=change)
        assert answer.status_code == 200, answer.text

    def remove(self, name: str) -> None:
        """Let an administrator remove a worker."""
        answer = self.admin.delete(f"/workers/{name}")
        assert answer.status_code < 300, answer.text

    def apart(self) -> tuple[str, ...]:
        """What starts a worker that sees neither the share nor the server's home."""
        return self.without(self.share, self.server.home)

    def without(self, *folders: Path) -> tuple[str, ...]:
        """What starts a worker that finds nothing in these folders."""
        if os.geteuid():
            unavailable("only root may hide folders from a process")
        hide = " && ".join(f"mount -t tmpfs none {one}" for one in folders)
        return ("unshare", "--mount", "sh", "-c", f'{hide} && exec "$@"', "sh")

    def fill(self, name: str, contents: Mapping[str, str | bytes]) -> Path:
        """Put files into a folder of the share."""
        folder = self.share / name
        folder.mkdir(parents=True)
        for path, content in contents.items():
            data = content.encode() if isinstance(content, str) else content
            (folder / path).write_bytes(data)
        return folder

    def submit(self, folder: Path, command: str, **more: Any) -> str:
        """Let the server run a shell line over a folder; the run's id."""
        request = {
            "pipeline": "command",
            "inputs": [{"share": str(folder)}],
            "params": {"shell": command},
            **more,
        }
        answer = self.admin.post("/runs", json=request)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def run(self, number: str) -> dict[str, Any]:
        """The run as the server has it."""
        answer = self.admin.get(f"/runs/{number}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def finish(self, number: str, *, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Wait for the run's end."""
        ended = {"done", "failed", "cancelled"}
        until(lambda: self.run(number)["state"] in ended, f"the end of {number}", seconds=seconds)
        return self.run(number)

    def cut_down(self) -> None:
        """End the server at once, as a power cut would."""
        self.server.kill()
        scene.end(self.server)

    def restart(self) -> None:
        """Start the server again, where it was."""
        self.server = launch(self.folder, self.broker, "--port", str(self.server.port))

    def outputs(self, number: str) -> Path:
        """Where the run's results are."""
        return self.server.home / "outputs" / number

    def close(self) -> None:
        """End all workers, with all that they have started."""
        for worker in self.workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.process.pid, signal.SIGKILL)
            worker.process.wait()
            worker.listener.join()
        self.workers.clear()


@contextlib.contextmanager
def staged(folder: Path, broker: Broker, **environment: str) -> Iterator[Stage]:
    """Run a server on the broker for as long as the block lasts."""
    share = folder / "share"
    share.mkdir(parents=True, exist_ok=True)  # It may be something mounted.
    stage = Stage(folder, broker, launch(folder, broker, **environment))
    try:
        yield stage
    finally:
        stage.close()
        stage.admin.close()
        scene.end(stage.server)


def launch(folder: Path, broker: Broker, *flags: str, **environment: str) -> Serving:
    """Start the server of this folder."""
    return scene.launch(
        folder / "server",
        *flags,
        GRANGE_ENGINE=broker.url,
        GRANGE_ENGINE_MANAGEMENT=broker.management,
        GRANGE_SHARES=str(folder / "share"),
        **{"GRANGE_LEASE_SECONDS": str(LEASE_SECONDS), **environment},
    )


def until(check: Callable[[], object], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            message = f"waited too long for {what}"
            raise AssertionError(message)
        time.sleep(0.05)
