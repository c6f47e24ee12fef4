"""Doors that were found ajar: pages beside the API, headers that prove nothing, folders, globs."""

from __future__ import annotations

import stat
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import httpx
import pytest

from tests.server import scene
from tests.server.scene import Cast, Serving

Start = Callable[..., AbstractContextManager[Serving]]


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/me", {"name": "Somebody Else"}),
        ("/me/password", {"old": scene.PASSWORD, "new": "nine wild geese went south"}),
        ("/me/tokens", {"name": "another", "days": "90", "scopes": "read"}),
        ("/me/tokens/{token}/revoke", {}),
        ("/me/sessions/{session}/end", {}),
    ],
)
def test_a_token_that_reads_changes_no_account_by_its_pages(
    server: Serving, cast: Cast, path: str, form: dict[str, str]
) -> None:
    """What the API refuses to a token with fewer scopes than its user, the pages refuse too."""
    session = cast.member.get("/sessions").json()["items"][0]["id"]
    with scene.with_token(cast.member, server.url, "read") as reading:
        token = cast.member.get("/tokens").json()["items"][0]["id"]
        address = server.url + path.format(token=token, session=session)
        answer = reading.post(address, data=form)

    assert 403 == answer.status_code
    assert 200 == cast.member.get("/session").status_code


@pytest.mark.parametrize("header", ["Basic bWlhOng=", "Digest x", "Negotiate", "bearer"])
def test_a_name_in_an_address_proves_no_program(server: Serving, cast: Cast, header: str) -> None:
    """Browsers send these for pages of other sites; a token they would not send."""
    form = {"email": scene.email("mia"), "password": scene.PASSWORD}
    headers = {"Authorization": header, "Sec-Fetch-Site": "cross-site"}
    answer = cast.nobody.post(f"{server.url}/login", data=form, headers=headers)

    assert 403 == answer.status_code
    assert "set-cookie" not in answer.headers


def test_a_home_that_others_made_is_closed_to_others(serving: Start, tmp_path: Path) -> None:
    """Results and logs are nobody's but the server's, even in a folder that all may list."""
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "runs").mkdir(mode=0o755)

    with serving():
        modes = {
            one.name: stat.S_IMODE(one.stat().st_mode) for one in home.iterdir() if one.is_dir()
        }

    assert {"blobs", "folders", "outputs", "runs", "uploads"} == set(modes)
    assert {0o700} == set(modes.values())


def test_no_glob_holds_up_the_others(server: Serving, cast: Cast) -> None:
    """A glob that matches in more ways than anybody can try is told at once all the same."""
    folder = cast.admin.post("/folders", json={"name": "globs"}).json()["id"]
    _send(cast.admin, folder, "a" * 200)
    asked = {
        "pipeline": "command",
        "params": {"command": ["true"]},
        "inputs": [{"folder": folder}],
        "exclude": ["*a" * 15 + "b"],
    }
    planned: list[httpx.Response] = []
    asking = threading.Thread(
        target=lambda: planned.append(cast.admin.post("/runs/plan", json=asked)), daemon=True
    )
    asking.start()
    began = time.monotonic()
    assert 200 == cast.nobody.get("/health").status_code
    assert time.monotonic() - began < 10.0
    asking.join(20.0)
    assert [1] == [one.json()["items"] for one in planned]


def test_the_form_offers_the_shared_folders(serving: Start, tmp_path: Path) -> None:
    """Each by its whole path."""
    shared = tmp_path / "clips"
    shared.mkdir()
    with serving("--shares", str(shared)) as server, closing(scene.set_up(server)) as admin:
        page = admin.get(f"{server.url}/runs/new?pipeline=command").text

    assert f'<option value="{shared}/">' in page


def _send(person: httpx.Client, folder: str, path: str) -> None:
    said = {"filename": path, "folder": folder, "path": path}
    words = [f"{name} {b64encode(value.encode()).decode()}" for name, value in said.items()]
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": "1",
        "Upload-Metadata": ",".join(words),
        "Content-Type": "application/offset+octet-stream",
    }
    assert 201 == person.post("/uploads", headers=headers, content=b"x").status_code
