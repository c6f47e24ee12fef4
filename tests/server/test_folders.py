"""Folders of sent files over HTTP."""

from __future__ import annotations

import hashlib
import io
import zipfile

import httpx

from tests.server.scene import API, Cast

PIECE = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


def sent(person: httpx.Client, data: bytes) -> str:
    """Send a file; returns the upload's id."""
    headers = {**PIECE, "Upload-Length": str(len(data))}
    answer = person.post("/uploads", content=data, headers=headers)
    assert 201 == answer.status_code, answer.text
    return answer.headers["location"].removeprefix(f"{API}/uploads/")


def named(path: str, data: bytes) -> dict[str, object]:
    """Name a file by its content."""
    return {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def made(person: httpx.Client, name: str = "x") -> str:
    """Make a folder; returns its path below /api/v1."""
    answer = person.post("/folders", json={"name": name})
    assert 201 == answer.status_code, answer.text
    return f"/folders/{answer.json()['id']}"


def test_the_same_key_makes_one_folder(cast: Cast) -> None:
    """A client that got no answer asks again; with another request it is a mistake."""
    key = {"Idempotency-Key": "one"}
    first = cast.member.post("/folders", json={"name": "a"}, headers=key)
    again = cast.member.post("/folders", json={"name": "a"}, headers=key)
    other = cast.member.post("/folders", json={"name": "b"}, headers=key)

    assert (201, first.json()) == (first.status_code, again.json())
    assert 409 == other.status_code


def test_known_content_is_not_sent_twice(cast: Cast) -> None:
    """What the user has sent lands in the folder at once; what others have sent is missing."""
    sent(cast.member, b"of mia")
    folder, others = made(cast.member), made(cast.other)
    body = {"files": [named("a/é.txt", b"of mia"), named("b", b"of nobody")]}
    own = cast.member.post(f"{folder}/files", json=body).json()

    assert {"missing": ["b"], "added": 1} == own
    assert 2 == len(cast.other.post(f"{others}/files", json=body).json()["missing"])
    files = cast.member.get(f"{folder}/files").json()
    assert (["a/é.txt"], 1) == ([one["path"] for one in files["items"]], files["total"])
    assert "text/plain" == files["items"][0]["kind"]


def test_an_archive_is_unpacked(cast: Cast) -> None:
    """Its files get into the folder; one that leads out of it is refused by name."""
    folder = made(cast.member)
    for names, status in ((["a", "b/c"], 200), (["../x"], 422)):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name in names:
                archive.writestr(name, name)
        upload = sent(cast.member, packed.getvalue())
        answer = cast.member.post(f"{folder}/archives", json={"upload": upload})
        assert status == answer.status_code, answer.text

    assert ("archive.refused", True) == (answer.json()["code"], "../x" in answer.json()["detail"])
    assert ["a", "b/c"] == [
        one["path"] for one in cast.member.get(f"{folder}/files").json()["items"]
    ]


def test_folders_are_their_owners(cast: Cast) -> None:
    """For another member there is no such folder, an administrator sees it, a viewer makes none."""
    folder = made(cast.member, "mine")
    for answer in (
        cast.other.get(folder),
        cast.other.get(f"{folder}/files"),
        cast.other.delete(folder),
        cast.other.post(f"{folder}/files", json={"files": [named("x", b"x")]}),
        cast.other.post(f"{folder}/archives", json={"upload": "x"}),
        cast.member.get("/folders/..%2f..%2fetc"),
    ):
        assert 404 == answer.status_code
    assert 403 == cast.viewer.post("/folders", json={}).status_code
    assert 200 == cast.admin.get(folder).status_code
    assert folder not in [
        f"/folders/{one['id']}" for one in cast.other.get("/folders").json()["items"]
    ]

    assert 204 == cast.member.delete(folder).status_code
    assert 404 == cast.member.get(folder).status_code


def test_too_many_files_at_once_are_refused(cast: Cast) -> None:
    """A request names a thousand files at most, each by a path that stays in the folder."""
    folder = made(cast.member)
    many = {"files": [named(str(number), b"") for number in range(1001)]}
    sent(cast.member, b"known")

    assert 422 == cast.member.post(f"{folder}/files", json=many).status_code
    up = cast.member.post(f"{folder}/files", json={"files": [named("../x", b"known")]})
    assert (422, "store.path_refused") == (up.status_code, up.json()["code"])
