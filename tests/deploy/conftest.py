"""Real programs of Prometheus for tests: started on demand, thrown away afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import services

DEPLOY = Path(__file__).parents[2] / "deploy"
START_SECONDS = 60.0


@dataclass
class Prometheus:
    """A Prometheus server over a configuration of the test's."""

    url: str

    def ask(self, path: str, **params: str) -> Any:
        """Ask its API."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=params, timeout=30.0)
        assert "success" == answer.json()["status"], answer.text
        return answer.json()["data"]

    def query(self, text: str) -> list[dict[str, Any]]:
        """Give what a query finds now: series with their labels and values."""
        found: list[dict[str, Any]] = self.ask("query", query=text)["result"]
        return found

    def until(self, happened: Callable[[], Any], *, seconds: float = 30.0) -> Any:
        """Wait for something, and give it."""
        deadline = time.monotonic() + seconds
        while not (found := happened()):
            assert time.monotonic() < deadline, "what was waited for did not happen"
            time.sleep(0.2)
        return found


def _program(name: str, package: str) -> str:
    return services.find_program(name, os.environ.get("PATH", ""), package=package)


@pytest.fixture(scope="session")
def promtool() -> str:
    """Say where Prometheus' own checker is."""
    return _program("promtool", "prometheus")


@contextlib.contextmanager
def _running(command: list[str], folder: Path, url: str, ready: str) -> Iterator[None]:
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url + ready).status_code == httpx.codes.OK:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text()[-3000:])
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def node_exporter() -> Iterator[int]:
    """Run a node exporter; gives its port."""
    program = _program("prometheus-node-exporter", "prometheus-node-exporter")
    port = services.free_port()
    folder = Path(tempfile.mkdtemp(prefix="grange-node-", dir="/tmp"))
    command = [program, f"--web.listen-address=127.0.0.1:{port}"]
    try:
        with _running(command, folder, f"http://127.0.0.1:{port}", "/metrics"):
            yield port
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def prometheus() -> Callable[[Path], contextlib.AbstractContextManager[Prometheus]]:
    """Give a function that runs Prometheus with the `prometheus.yml` of a folder."""
    program = _program("prometheus", "prometheus")

    @contextlib.contextmanager
    def run(folder: Path) -> Iterator[Prometheus]:
        port = services.free_port()
        command = [
            program,
            "--config.file=prometheus.yml",
            f"--storage.tsdb.path={folder / 'data'}",
        ]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        url = f"http://127.0.0.1:{port}"
        with _running(command, folder, url, "/-/ready"):
            yield Prometheus(url)

    return run
