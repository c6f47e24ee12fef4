"""Bringing results from a server that means harm: nothing is written outside of --out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from grange.bootstrap.remote.bringing import Bringer
from grange.client.api import Client
from grange.client.known import Known
from grange.errors import GrangeError

CONTENT = b"evil"
RUN = "a000000000"


class Hostile(ThreadingHTTPServer):
    """A server that says what it is told to say."""

    daemon_threads = True
    items: list[dict[str, Any]]
    outputs: list[dict[str, Any]]

    def answer(self, path: str) -> bytes:
        place = path.removeprefix(f"/api/v1/runs/{RUN}/")
        if place == "items":
            return json.dumps({"items": self.items}).encode()
        if place == "outputs":
            return json.dumps({"items": self.outputs}).encode()
        return CONTENT


class _Handler(BaseHTTPRequestHandler):
    server: Hostile

    def do_GET(self) -> None:
        said = self.server.answer(urlsplit(self.path).path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the base's name
        pass


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    """Give a server whose answers the test chooses."""
    with Hostile(("127.0.0.1", 0), _Handler) as server:
        server.items, server.outputs = [], []
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(timeout=10)


def _item(path: str, *outputs: str, number: int = 1) -> dict[str, Any]:
    return {
        "id": number,
        "path": path,
        "size": 1,
        "state": "done",
        "attempts": 1,
        "seconds": 0.1,
        "sha256": None,
        "reused": False,
        "failure": None,
        "ended_at": 1.0,
        "outputs": [_output(one) for one in outputs],
    }


def _output(path: str) -> dict[str, Any]:
    return {"path": path, "size": len(CONTENT), "sha256": sha256(CONTENT).hexdigest()}


def _bring(server: Hostile, out: Path) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    with (
        Client(url) as client,
        closing(Known(out.parent / "client.db")) as known,
        closing(Bringer(client, known, RUN, out)) as bringer,
    ):
        bringer.finish()


def _files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("client.db")
    }


def test_an_honest_server_is_believed(hostile: Hostile, tmp_path: Path) -> None:
    """What these tests refuse is refused for its path alone."""
    hostile.items = [_item("a.txt", "a.txt/sub/copy")]
    hostile.outputs = [_output("run.json")]

    _bring(hostile, tmp_path / "out")

    assert {"out/a.txt/sub/copy", "out/run.json"} == _files(tmp_path)


@pytest.mark.parametrize(
    ("item", "output"),
    [
        ("../evil", "../evil/x"),
        ("/tmp/evil", "/tmp/evil/x"),
        ("a/../../evil", "a/../../evil/x"),
        ("a", "../evil"),
        ("a", "a/../../evil"),
        ("a", "a//tmp/evil"),
        ("a", "b/evil"),
        ("a", "a/"),
        ("a", "a/x\0y"),
        ("link", "link/x"),
        ("link/deep", "link/deep/x"),
        (".grange", ".grange/staging/x"),
    ],
)
def test_no_path_of_a_servers_leads_out(
    hostile: Hostile, tmp_path: Path, item: str, output: str
) -> None:
    """Dots, whole paths and links that lie there: refused, and nothing is left elsewhere."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "link").symlink_to(elsewhere)
    hostile.items = [_item(item, output)]

    with pytest.raises(GrangeError):
        _bring(hostile, out)

    assert set() == {name for name in _files(tmp_path) if not name.startswith("out/.grange/")}
    assert [] == list(elsewhere.iterdir())


@pytest.mark.parametrize("path", ["../evil", "thesis.doc", ".grange/remote.json", "report/../x"])
def test_what_tells_of_the_run_has_known_names(hostile: Hostile, tmp_path: Path, path: str) -> None:
    """A server can't put files of any name beside the results, or over a person's own."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.doc").write_text("mine")
    hostile.outputs = [_output(path)]

    with pytest.raises(GrangeError):
        _bring(hostile, tmp_path / "out")

    assert {"out/thesis.doc"} == _files(tmp_path)
    assert "mine" == (tmp_path / "out" / "thesis.doc").read_text()


def test_more_or_other_bytes_than_promised_are_not_kept(hostile: Hostile, tmp_path: Path) -> None:
    """The size is a limit, and the digest decides."""
    for size, content in ((2, CONTENT), (4, b"good")):
        lie = {"path": "a/x", "size": size, "sha256": sha256(content).hexdigest()}
        hostile.items = [_item("a") | {"outputs": [lie]}]

        with pytest.raises(GrangeError):
            _bring(hostile, tmp_path / "out")

    assert set() == _files(tmp_path)


def test_a_persons_folder_is_not_replaced(hostile: Hostile, tmp_path: Path) -> None:
    """A folder that did not come from the server stays as it is."""
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "mine").write_text("mine")
    hostile.items = [_item("a", "a/x")]

    with pytest.raises(GrangeError, match="did not come from the server"):
        _bring(hostile, tmp_path / "out")

    assert {"out/a/mine"} == _files(tmp_path)
