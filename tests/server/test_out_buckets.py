"""Results of a server's runs in a bucket that a person has named: which one may be, and whose."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from grange.storage import open_store
from tests.buckets import Bucket, S3Server
from tests.server import scene, works
from tests.server.scene import Cast, Serving

pytestmark = pytest.mark.s3

TEXTS = {"a.txt": b"a", "deep/b.txt": b"bb", "deep/c ü.txt": b"ccc"}
COPIES = {f"{name}/copy": content for name, content in TEXTS.items()}
SHELL = "cat {input} > {output}/copy"


@pytest.fixture(scope="module")
def bucket(s3_server: S3Server) -> Bucket:
    """Give a bucket of the module with inputs in it; only the server has its keys."""
    return s3_server.make_bucket(TEXTS)


@pytest.fixture(scope="module")
def server(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Share a server that may write below two folders of the bucket, and to one that is gone."""
    allowed = f"{bucket.url}/out,{bucket.url}/kept,s3://gone-{bucket.name}"
    places = {"GRANGE_BUCKETS": f"{bucket.url}/in", "GRANGE_OUT_BUCKETS": allowed}
    own = {"GRANGE_STORE": f"{bucket.url}/kept/own", "GRANGE_COMMANDS": "member"}
    home = tmp_path_factory.mktemp("out") / "home"
    with scene.serving(home, **places, **own, **bucket.server.variables) as server:
        yield server


@pytest.fixture(scope="module")
def cast(server: Serving) -> Iterator[Cast]:
    """Give people of every role."""
    people = scene.cast(server)
    yield people
    people.close()


@pytest.fixture(autouse=True)
def _keys(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in bucket.server.variables.items():
        monkeypatch.setenv(name, value)


def test_results_lie_where_somebody_wants_them(cast: Cast, bucket: Bucket) -> None:
    """With its inputs in a bucket too; they are seen through the server, and outlive the run."""
    out = f"{bucket.url}/out/first"
    bucket.put("out/first/report/of-others.html", b"not ours")
    bucket.put("out/first/theirs.txt", b"not ours")

    run = works.submit(cast.member, _request(bucket, out))["id"]
    ended = works.ended(cast.member, run)

    assert ("done", out) == (ended["state"], ended["out"])
    assert COPIES == _results(out)
    get = cast.member.get
    listed = {one["path"] for one in get(f"/runs/{run}/outputs").json()["items"]}
    assert COPIES.keys() | {"report.html", "run.json"} <= listed
    assert b"bb" == get(f"/runs/{run}/outputs/deep/b.txt/copy").content
    assert 404 == get(f"/runs/{run}/outputs/theirs.txt").status_code
    archive = zipfile.ZipFile(io.BytesIO(get(f"/runs/{run}/outputs.zip").content))
    assert b"ccc" == archive.read("deep/c ü.txt/copy")
    assert "theirs.txt" not in archive.namelist()
    assert 204 == cast.member.delete(f"/runs/{run}").status_code
    assert COPIES == _results(out)


@pytest.mark.parametrize(
    ("out", "code", "words"),
    [
        ("{bucket}/elsewhere", "auth.not_allowed", "Name a folder in s3://"),
        ("{bucket}/in/below", "auth.not_allowed", "may not go to"),
        ("{bucket}/kept", "auth.not_allowed", "may not go to"),
        ("{bucket}/kept/own/4bxk29sd0q", "auth.not_allowed", "may not go to"),
        ("{bucket}", "auth.not_allowed", "may not go to"),
        ("s3://gone-{name}/x", "store.missing", "NoSuchBucket"),
        ("file:///srv", "request.invalid", "s3://bucket/folder"),
        ("s3://me:word@bucket/x", "request.invalid", "s3://bucket/folder"),
        ("{bucket}/out/../in", "request.invalid", "s3://bucket/folder"),
    ],
)
def test_what_can_t_be_written_is_said_before_anything_is_done(
    cast: Cast, bucket: Bucket, out: str, code: str, words: str
) -> None:
    """Not allowed, the server's own, gone, or no bucket: in words that say what to do."""
    named = out.format(bucket=bucket.url, name=bucket.name)

    answer = cast.member.post("/runs", json=_request(bucket, named))

    assert code == answer.json()["code"], answer.text
    assert words in answer.json()["detail"] + answer.json().get("hint", "")
    assert "word" not in answer.text
    hidden = (bucket.server.secret_key, bucket.server.access_key, bucket.server.url)
    assert not [one for one in hidden if one in answer.text]


def test_another_ones_results_are_in_nobodys_way(cast: Cast, bucket: Bucket) -> None:
    """Neither in the same folder, nor around it or below it; one's own may be made anew."""
    out = f"{bucket.url}/out/mine"
    run = works.submit(cast.member, _request(bucket, out))["id"]
    works.ended(cast.member, run)

    for place in (out, f"{out}/below", f"{bucket.url}/out"):
        answer = cast.other.post("/runs", json=_request(bucket, place))
        assert "run.output_in_use" == answer.json()["code"], answer.text
        assert run not in answer.text
    assert 201 == cast.other.post("/runs", json=_request(bucket, f"{out}s")).status_code
    again = works.submit(cast.member, _request(bucket, out))["id"]
    assert ("done", 3) == _reused(works.ended(cast.member, again))


def test_a_place_has_one_unfinished_run(cast: Cast, bucket: Bucket, tmp_path: Path) -> None:
    """Another one is refused, and told of it; the same request again is the same run."""
    out = f"{bucket.url}/out/busy"
    slow = f"while ! test -e {tmp_path}/go; do sleep 0.1; done; {SHELL}"
    request, key = _request(bucket, out, slow), {"Idempotency-Key": "one-and-the-same"}
    first = cast.member.post("/runs", json=request, headers=key).json()["id"]

    again = cast.member.post("/runs", json=request, headers=key)
    other = cast.member.post("/runs", json=request)

    assert first == again.json()["id"]
    assert "run.output_in_use" == other.json()["code"]
    assert first in other.json()["detail"]
    (tmp_path / "go").touch()
    assert "done" == works.ended(cast.member, first)["state"]


def test_a_bucket_that_is_away_is_said_at_once(cast: Cast, bucket: Bucket) -> None:
    """Nobody waits in front of a page for what may take an hour; nothing was made."""
    bucket.server.stop_gateway()
    try:
        began = time.monotonic()
        answer = cast.member.post("/runs", json=_request(bucket, f"{bucket.url}/out/away"))
        assert ("conflict", 409) == (answer.json()["code"], answer.status_code)
        assert "can't be reached" in answer.json()["detail"]
        assert time.monotonic() - began < 20
    finally:
        bucket.server.start_gateway()


def test_a_server_without_keys_says_what_it_lacks(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To whoever asks, since only the administrator can give them to it."""
    for name in bucket.server.variables:
        monkeypatch.delenv(name)
    with (
        scene.serving(tmp_path / "home", GRANGE_OUT_BUCKETS=bucket.url) as server,
        closing(scene.set_up(server)) as admin,
    ):
        answer = admin.post("/runs", json=_request(bucket, f"{bucket.url}/out/x", of="nothing"))
        assert "inputs.invalid" == answer.json()["code"]
        folder = admin.post("/folders", json={"name": "f"}).json()["id"]
        answer = admin.post("/runs", json=_request(bucket, f"{bucket.url}/out/x", of=folder))
        assert "store.denied" == answer.json()["code"], answer.text
        assert "AWS_ACCESS_KEY_ID" in answer.json()["hint"]


def test_the_command_names_a_bucket_that_it_can_t_open(
    server: Serving, cast: Cast, bucket: Bucket, tmp_path: Path
) -> None:
    """The server writes there: from files of this machine, let go of and followed again."""
    body = {"name": "t", "scopes": ["read", "run"]}
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "GRANGE_SERVER": server.url,
        "GRANGE_TOKEN": cast.member.post("/tokens", json=body).json()["text"],
    }
    (tmp_path / "files").mkdir()
    for name, content in TEXTS.items():
        (tmp_path / "files" / Path(name).name).write_bytes(content)
    out = f"{bucket.url}/out/sent"
    slow = f"while ! test -e {tmp_path}/go; do sleep 0.1; done; {SHELL}"

    def grange(*words: str, place: str = out) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "grange", "map", slow, "files", "--out", place]
        return subprocess.run(
            [*command, *words],
            check=False,
            capture_output=True,
            text=True,
            env=variables,
            cwd=tmp_path,
            timeout=90,
        )

    refused = grange(place=f"{bucket.url}/elsewhere")
    begun = grange("--detach", "--json")
    (tmp_path / "go").touch()
    done = grange("--json")

    assert 0 != refused.returncode
    assert "may not go to" in refused.stderr
    assert 0 == begun.returncode, begun.stderr + begun.stdout
    assert 0 == done.returncode, done.stderr + done.stdout
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert {json.loads(begun.stdout)["run"]} == {one["run"] for one in told if "run" in one}
    assert out in done.stdout
    names = {Path(name).name: content for name, content in TEXTS.items()}
    assert {f"{name}/copy": content for name, content in names.items()} == _results(out)


def _request(bucket: Bucket, out: str, shell: str = SHELL, of: str = "") -> dict[str, Any]:
    inputs = {"folder": of} if of.isalnum() and of != "nothing" else {"share": f"{bucket.url}/in"}
    return {
        "pipeline": "command",
        "inputs": [inputs],
        "settings": [f"shell={shell}"],
        "out": out,
    }


def _results(out: str) -> dict[str, bytes]:
    """What items have put there."""
    store = open_store(out)
    found = [one.path for one in store.list() if one.path.endswith("/copy")]
    return {path: b"".join(store.read(path)) for path in found}


def _reused(run: dict[str, Any]) -> tuple[str, int]:
    return run["state"], run["counts"]["reused"]
