"""Shared folders over HTTP: whether client and server see the same, and nothing more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

from tests.server import scene
from tests.server.scene import Serving


def test_a_probe_says_whether_the_same_is_seen(
    serving: Callable[..., AbstractContextManager[Serving]], tmp_path: Path
) -> None:
    """By size and time of the samples; of what is outside, nobody learns whether it is there."""
    share, secret = tmp_path / "share", tmp_path / "secret"
    for folder in (share, secret):
        folder.mkdir()
        (folder / "a").write_bytes(b"fox")
    with serving("--shares", str(share)) as server, closing(scene.set_up(server)) as admin:
        assert [{"path": str(share)}] == admin.get("/shares").json()["items"]
        for folder, expected in ((share, True), (secret, False), (tmp_path / "no", False)):
            there = secret if not folder.exists() else folder
            status = (there / "a").stat()
            sample = {"path": "a", "size": status.st_size, "mtime_ns": status.st_mtime_ns}
            answer = admin.post("/shares/probe", json={"path": str(folder), "samples": [sample]})
            assert (200, {"same": expected}) == (answer.status_code, answer.json())
        with closing(server.client()) as nobody:
            assert 401 == nobody.get("/shares").status_code
