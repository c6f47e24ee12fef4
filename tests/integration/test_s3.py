"""Runs over buckets: the same bytes as over folders, nothing lost, and nothing left behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from grange.errors import StoreError
from grange.storage import open_store
from tests.buckets import Bucket
from tests.faults.scene import OWN_FILES, Scene, finish, outputs, scene_in, wait_until
from training.clips import write_clip
from training.scenes import Scene as Landscape

pytestmark = pytest.mark.s3

COPY = "cat {input} > {output}/copy; echo seen > {output}/note"
TEXTS = {"a.txt": b"a", "deep/b.txt": b"bb" * 9000, "wet & windy ü.txt": b"ccc"}


def _results(bucket: Bucket, out: str = "out") -> dict[str, bytes]:
    """All results in a folder of the bucket."""
    store = open_store(f"{bucket.url}/{out}")
    found = [one.path for one in store.list()]
    return {path: b"".join(store.read(path)) for path in found if path not in OWN_FILES}


def _items(bucket: Bucket, out: str = "out") -> dict[str, dict[str, Any]]:
    lines = b"".join(open_store(f"{bucket.url}/{out}").read("items.jsonl")).splitlines()
    return {one["path"]: one for one in map(json.loads, lines)}


def _fill(bucket: Bucket, files: dict[str, bytes] = TEXTS) -> None:
    for name, content in files.items():
        bucket.put(f"in/{name}", content)


def _copied(files: dict[str, bytes] = TEXTS) -> dict[str, bytes]:
    copies = {f"{name}/copy": content for name, content in files.items()}
    return copies | {f"{name}/note": b"seen\n" for name in files}


def _map(scene: Scene, bucket: Bucket, *words: str, out: str = "out", **options: Any) -> Any:
    command = ("map", COPY, f"{bucket.url}/in", "--out", f"{bucket.url}/{out}", "--json")
    return scene.run(*command, *words, **options)


def _check_nothing_is_left(scene: Scene, bucket: Bucket, out: str = "out") -> None:
    wait_until(lambda: not scene.processes())
    assert [] == list(open_store(f"{bucket.url}/{out}", work=scene.home / "work").staged())
    assert [] == [path for path in (scene.home / "work").rglob(".grange") if any(path.iterdir())]
    assert [] == list((scene.folder / "tmp").iterdir())
    listed = bucket.server.ask("GET", f"/{bucket.name}", query="uploads=")
    assert b"<Upload>" not in listed


def test_a_run_over_a_bucket_is_one_over_a_folder(scene: Scene, bucket: Bucket) -> None:
    """Its results are the same bytes, under the same names, with the account beside them."""
    _fill(bucket)

    done = _map(scene, bucket)

    assert 0 == done.returncode, done.stderr
    assert _copied() == _results(bucket)
    items = _items(bucket)
    assert set(TEXTS) == set(items)
    assert {"done"} == {one["state"] for one in items.values()}
    store = open_store(f"{bucket.url}/out")
    assert b"</html>" in b"".join(store.read("report.html"))
    record = json.loads(b"".join(store.read("run.json")))
    assert ("done", f"{bucket.url}/out") == (record["state"], record["out"])
    assert bucket.server.secret_key not in json.dumps(record)
    _check_nothing_is_left(scene, bucket)


def test_the_same_again_costs_nothing(scene: Scene, bucket: Bucket) -> None:
    """Nothing is done twice, whatever is asked for: the same place, another one, a folder."""
    _fill(bucket)
    assert 0 == _map(scene, bucket).returncode
    begun = scene.ledger("select count(*) from attempts")

    again = _map(scene, bucket)

    assert 0 == again.returncode, again.stderr
    assert begun == scene.ledger("select count(*) from attempts")
    (reused,) = scene.ledger("select items_reused from runs order by number desc limit 1")
    assert (len(TEXTS),) == reused
    elsewhere = scene.run("map", COPY, f"{bucket.url}/in", "--out", "here", "--json")
    assert 0 == elsewhere.returncode, elsewhere.stderr
    assert _copied() == outputs(scene.folder / "here")
    there = _map(scene, bucket, out="there")
    assert 0 == there.returncode, there.stderr
    assert _copied() == _results(bucket, "there")
    kinds = scene.ledger("select distinct t.kind from tasks t where t.run > 1")
    assert [("copy",)] == kinds


def test_an_object_that_is_new_by_then_is_worked_on_alone(scene: Scene, bucket: Bucket) -> None:
    """What has other bytes, under a name and of a size as before, is another input."""
    _fill(bucket)
    assert 0 == _map(scene, bucket).returncode
    bucket.put("in/a.txt", b"A")

    done = _map(scene, bucket)

    assert 0 == done.returncode, done.stderr
    assert _copied({**TEXTS, "a.txt": b"A"}) == _results(bucket)
    assert [(2,)] == scene.ledger("select items_reused from runs order by number desc limit 1")


def test_single_objects_and_globs_are_inputs(scene: Scene, bucket: Bucket) -> None:
    """As files and globs of a disk are."""
    _fill(bucket)
    inputs = (f"{bucket.url}/in/a.txt", f"{bucket.url}/in/deep/*.txt")

    done = scene.run("map", COPY, *inputs, "--out", "out", "--json")

    assert 0 == done.returncode, done.stderr
    assert _copied({"a.txt": b"a", "deep/b.txt": TEXTS["deep/b.txt"]}) == outputs(scene.out)


def test_keys_that_no_file_can_have_are_left_out_with_a_reason(
    scene: Scene, bucket: Bucket
) -> None:
    """They are counted by reason, and hide nothing else."""
    odd = {"x/../up": b"1", "empty//part": b"2", "line\nbreak": b"3", "a.txt/below": b"4"}
    _fill(bucket, {**TEXTS, **odd, "folder/": b"", ".hidden": b"5"})

    planned = _map(scene, bucket, "--dry-run")
    done = _map(scene, bucket)

    assert 0 == done.returncode, done.stderr
    skipped = json.loads(planned.stdout)["skipped"]
    assert {
        "keys that no path can hold": 3,
        "below the name of another object": 1,
        "hidden": 1,
    } == skipped
    assert _copied() == _results(bucket)


def test_an_object_that_was_replaced_or_removed_fails_alone(scene: Scene, bucket: Bucket) -> None:
    """What was submitted is worked on, or nothing is."""
    _fill(bucket)
    slow = f"while ! test -e {scene.folder}/go; do sleep 0.05; done; {COPY}"
    command = ("map", slow, f"{bucket.url}/in", "--out", f"{bucket.url}/out", "--json")
    process = scene.start(*command, "--workers", "1", "--retries", "0")
    wait_until(lambda: list((scene.home / "work").rglob("held.json")))
    # The largest one is under way.
    bucket.put("in/a.txt", b"A")
    bucket.remove("in/wet & windy ü.txt")
    (scene.folder / "go").touch()

    done = finish(process)

    assert 3 == done.returncode, done.stderr
    failures = {path: one["failure"] for path, one in _items(bucket).items() if one["failure"]}
    assert "input.changed" == failures["a.txt"]["code"]
    assert "input.missing" == failures["wet & windy ü.txt"]["code"]
    assert _copied({"deep/b.txt": TEXTS["deep/b.txt"]}) == _results(bucket)
    _check_nothing_is_left(scene, bucket)


@pytest.mark.parametrize(
    ("variables", "inputs", "words"),
    [
        ({}, "s3://no-such-bucket/in", "no-such-bucket"),
        ({"AWS_SECRET_ACCESS_KEY": "WRONGWRONG"}, "", "refuses"),
        ({"AWS_ACCESS_KEY_ID": ""}, "", "log in"),
        ({}, "s3://me:pass@bucket/in", "s3://bucket/folder"),
    ],
)
def test_what_can_not_be_read_is_said_before_anything_is_done(
    scene: Scene, bucket: Bucket, variables: dict[str, str], inputs: str, words: str
) -> None:
    """In one sentence, which shows neither keys nor addresses."""
    _fill(bucket)
    scene.variables = variables
    done = scene.run("map", COPY, inputs or f"{bucket.url}/in", "--out", "out")

    assert done.returncode not in {0, 3}
    assert words in done.stderr
    hidden = (bucket.server.secret_key, bucket.server.access_key, bucket.server.url)
    assert not [one for one in (*hidden, "WRONGWRONG", "pass") if one in done.stderr + done.stdout]
    assert "Traceback" not in done.stderr
    assert not (scene.folder / "out").exists()


@pytest.mark.parametrize("when", ["fetch", "publish"])
def test_a_gateway_that_goes_away_for_a_while_loses_nothing(
    scene: Scene, bucket: Bucket, when: str
) -> None:
    """In the middle of fetching, or of publishing: the run waits, and ends as any other."""
    files = {f"{number:02}.txt": bytes([number]) * 200_000 for number in range(30)}
    _fill(bucket, files)
    command = ("map", COPY, f"{bucket.url}/in", "--out", f"{bucket.url}/out", "--json")
    process = scene.start(*command)
    if when == "fetch":
        wait_until(lambda: list((scene.home / "work").rglob("held.json")))
    else:
        wait_until(lambda: _is_there(bucket, "out/"))
    bucket.server.stop_gateway()
    try:
        with pytest.raises(Exception, match=r"."):
            finish(process, timeout=2)
    finally:
        bucket.server.start_gateway()

    done = finish(process, timeout=100)

    assert 0 == done.returncode, done.stderr
    assert _copied(files) == _results(bucket)
    _check_nothing_is_left(scene, bucket)


def _is_there(bucket: Bucket, prefix: str) -> bool:
    store = open_store(f"{bucket.url}/{prefix}")
    try:
        return next(store.list(), None) is not None
    except StoreError:
        return False


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Render a clip, and one that was cut off."""
    folder = tmp_path_factory.mktemp("clips")
    deer = Landscape(3, size=(320, 180), kinds=("deer",), count=1, light="day")
    write_clip(folder / "deer.mp4", deer, 2, Fraction(6), gop=6)
    (folder / "cut.mp4").write_bytes((folder / "deer.mp4").read_bytes()[:200])
    yield folder
    shutil.rmtree(folder)


def test_videos_in_a_bucket_have_the_results_of_videos_on_a_disk(
    clips: Path, bucket: Bucket, tmp_path: Path
) -> None:
    """Byte for byte: of each item, and of the report on all of them."""
    for clip in clips.iterdir():
        bucket.put(f"in/{clip.name}", clip.read_bytes())
    (tmp_path / "scene").mkdir()
    with scene_in(tmp_path / "scene") as scene:
        here = scene.run("run", "wildlife", str(clips), "--out", "out", "--json", timeout=120)
        assert 3 == here.returncode, here.stderr
        scene.variables = {"GRANGE_HOME": str(scene.folder / "other")}
        scene.home = scene.folder / "other"
        command = ("run", "wildlife", f"{bucket.url}/in", "--out", f"{bucket.url}/out", "--json")
        there = scene.run(*command, timeout=120)
        assert 3 == there.returncode, there.stderr

        assert 0 == scene.run("export", "last", "--to", "csv", "--out", "there").returncode
        scene.variables, scene.home = {}, scene.folder / "home"
        assert 0 == scene.run("export", "last", "--to", "csv", "--out", "here").returncode
        assert outputs(scene.folder / "here") == outputs(scene.folder / "there")
        scene.home = scene.folder / "other"

        control, results = outputs(scene.out), _results(bucket)
        assert {one for one in control if not one.startswith("report/review/")} <= results.keys()
        assert control == results
        _check_nothing_is_left(scene, bucket)
