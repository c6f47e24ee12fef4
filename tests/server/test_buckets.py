"""A server over buckets: which ones may be used, and results that lie in one."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from grange.storage import open_store
from tests.buckets import Bucket
from tests.server import scene, works
from tests.server.scene import Serving

pytestmark = pytest.mark.s3

Start = Callable[..., AbstractContextManager[Serving]]
TEXTS = {"a.txt": b"a", "deep/b.txt": b"bb", "deep/c ü.txt": b"ccc"}


def _request(place: str) -> dict[str, object]:
    return {
        "pipeline": "command",
        "inputs": [{"share": place}],
        "settings": ["shell=cat {input} > {output}/copy"],
    }


def test_a_run_over_buckets_is_one_like_any_other(serving: Start, bucket: Bucket) -> None:
    """Its results are listed, downloaded, zipped and deleted, and lie in the server's bucket."""
    for name, content in TEXTS.items():
        bucket.put(f"in/{name}", content)
    places = {"GRANGE_BUCKETS": f"{bucket.url}/in", "GRANGE_STORE": f"{bucket.url}/results"}
    with serving(**places) as server, closing(scene.set_up(server)) as admin:
        assert [{"path": f"{bucket.url}/in"}] == admin.get("/shares").json()["items"]
        planned = admin.post("/runs/plan", json=_request(f"{bucket.url}/in")).json()
        assert (3, 6) == (planned["items"], planned["bytes"])

        run = works.submit(admin, _request(f"{bucket.url}/in"))["id"]
        assert "done" == works.ended(admin, run)["state"]

        listed = admin.get(f"/runs/{run}/outputs").json()["items"]
        assert {f"{name}/copy" for name in TEXTS} <= {one["path"] for one in listed}
        for name, content in TEXTS.items():
            answer = admin.get(f"/runs/{run}/outputs/{name}/copy")
            assert (200, content) == (answer.status_code, answer.content)
            ranged = {"Range": "bytes=0-0"}
            answer = admin.get(f"/runs/{run}/outputs/{name}/copy", headers=ranged)
            assert (206, content[:1]) == (answer.status_code, answer.content)
        archive = zipfile.ZipFile(io.BytesIO(admin.get(f"/runs/{run}/outputs.zip").content))
        assert b"ccc" == archive.read("deep/c ü.txt/copy")
        assert b"</html>" in archive.read("report.html")
        _check_no_secrets(bucket, admin.get(f"/runs/{run}").text, archive.read("report.html"))

        store = open_store(f"{bucket.url}/results")
        assert {f"{run}/run.json"} < {one.path for one in store.list()}
        assert not list((server.home / "outputs").rglob("*"))
        assert 204 == admin.delete(f"/runs/{run}").status_code
        assert [] == list(store.list())
        _check_no_secrets(bucket, server.log.read_text())


def test_only_named_places_may_be_used(serving: Start, bucket: Bucket) -> None:
    """Nobody learns what else is in the bucket, or that it is there."""
    for name in ("in/a.txt", "inner/b.txt", "secret/c.txt"):
        bucket.put(name, b"x")
    with (
        serving(GRANGE_BUCKETS=f"{bucket.url}/in") as server,
        closing(scene.set_up(server)) as admin,
    ):
        said = set()
        for place in ("", "/inner", "/secret", "/no", "/in*", "/secret/c.txt"):
            answer = admin.post("/runs", json=_request(f"{bucket.url}{place}"))
            assert 400 <= answer.status_code < 500
            said.add(answer.json()["code"])
        assert {"inputs.invalid"} == said
        answer = admin.post("/runs", json=_request("s3://me:word@bucket/in"))
        assert "word" not in answer.text
        assert 201 == admin.post("/runs", json=_request(f"{bucket.url}/in/*.txt")).status_code


def test_commands_of_others_see_no_keys(serving: Start, bucket: Bucket) -> None:
    """Though the worker that starts them reads the bucket by them."""
    bucket.put("in/a.txt", b"x")
    with serving(GRANGE_BUCKETS=bucket.url) as server, closing(scene.set_up(server)) as admin:
        request = _request(bucket.url) | {"settings": ["shell=env > {output}/seen"]}
        run = works.submit(admin, request)["id"]
        assert "done" == works.ended(admin, run)["state"]
        seen = admin.get(f"/runs/{run}/outputs/in/a.txt/seen").text
    assert "PATH=" in seen
    assert not [one for one in (bucket.server.secret_key, bucket.server.access_key) if one in seen]


def test_without_a_setting_no_bucket_may_be_used(serving: Start, bucket: Bucket) -> None:
    """Whatever the server's own keys would open."""
    bucket.put("in/a.txt", b"x")
    with serving() as server, closing(scene.set_up(server)) as admin:
        answer = admin.post("/runs", json=_request(f"{bucket.url}/in"))
        assert "inputs.invalid" == answer.json()["code"]


def test_the_command_needs_no_keys_of_its_own(
    serving: Start, bucket: Bucket, tmp_path: Path
) -> None:
    """The server's do the work; results are brought to a folder, as those of files are."""
    for name, content in TEXTS.items():
        bucket.put(f"in/{name}", content)
    with serving(GRANGE_BUCKETS=f"{bucket.url}/in") as server:
        with closing(scene.set_up(server)) as admin:
            body = {"name": "t", "scopes": ["read", "run", "admin"]}
            token = admin.post("/tokens", json=body).json()["text"]
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "GRANGE_SERVER": server.url,
            "GRANGE_TOKEN": token,
        }

        def grange(*words: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "grange", "map", "cat {input} > {output}/copy"]
            return subprocess.run(
                [*command, *words, "--json"],
                check=False,
                capture_output=True,
                text=True,
                env=variables,
                cwd=tmp_path,
                timeout=60,
            )

        planned = grange(f"{bucket.url}/in", "--out", "out", "--dry-run")
        done = grange(f"{bucket.url}/in", "--out", "out")
        to_bucket = grange(f"{bucket.url}/in", "--out", f"{bucket.url}/out")
        mixed = grange(f"{bucket.url}/in", ".", "--out", "other")

    assert (3, 6) == tuple(json.loads(planned.stdout)[name] for name in ("items", "bytes"))
    assert 0 == done.returncode, done.stderr
    assert TEXTS == {name: (tmp_path / "out" / name / "copy").read_bytes() for name in TEXTS}
    assert "may not go to" in to_bucket.stdout
    assert "run of each" in mixed.stdout


def _check_no_secrets(bucket: Bucket, *told: str | bytes) -> None:
    hidden = (bucket.server.secret_key, bucket.server.access_key, bucket.server.url)
    for one in told:
        text = one if isinstance(one, str) else one.decode()
        assert not [secret for secret in hidden if secret in text]
