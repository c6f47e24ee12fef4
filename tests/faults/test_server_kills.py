"""kill -9 of `grange serve`, and of what drives its runs, at every step of what they do."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.outages import TUS, Outages

# Each of these changes what is on disk. With the number of the call in its process.
# How many runs a table may take until each of its steps was struck.
MOST_ROUNDS = 12
OF_AN_UPLOAD = [
    "server:grange.accounts.repeats:Repeats.begin:1",
    "server:grange.uploads.folders:Folders.make:1",
    "server:grange.accounts.repeats:Repeats.finish:1",
    "server:grange.server.idempotency:Once.make:1",
    "server:grange.uploads.pieces:Pieces.begin:1",
    "server:grange.uploads.parts:Parts.make:1",
    "server:grange.uploads.parts:Part.write:1",
    "server:grange.uploads.parts:Part.write:2",
    "server:grange.uploads.parts:Part.flush:1",
    "server:grange.uploads.arrivals:Arrival.complete:1",
    "server:grange.uploads.pieces:Pieces._leave:1",
    "server:grange.uploads.parts:Part.digest:1",
    "server:grange.uploads.blobs:Contents.keep:1",
    "server:grange.uploads.blobs:_link:1",
    "server:grange.uploads.folders:Folders.link:1",
    "server:grange.uploads.folders:record:1",
    "server:grange.uploads.folders:Folders.add:1",
    "server:grange.uploads.pieces:Pieces._close:1",
    "server:grange.uploads.parts:Parts.drop:1",
]
OF_AN_ARCHIVE = [
    "server:grange.uploads.unpack:_unpacked:2",
    "server:grange.uploads.blobs:Contents.flush:1",
    "server:grange.uploads.unpack:Unpacker._keep:1",
    "server:grange.uploads.blobs:Contents.keep:3",
    "server:grange.uploads.folders:Folders._link:2",
    "server:grange.uploads.service:Uploads.unpack:1",
    "server:grange.uploads.pieces:Pieces.drop:1",
    "server:grange.uploads.folders:Folders.delete:1",
    "server:grange.uploads.folders:Folders.remove:1",
    "server:grange.uploads.blobs:Contents.release:1",
]
OF_A_RUN = [
    "server:grange.accounts.repeats:Repeats.begin:1",
    "server:grange.runs.submission:open_run:1",
    "server:grange.runs.submission:insert_run:1",
    "server:grange.runs.submission:add_items:1",
    "server:grange.runs.submission:seal:1",
    "server:grange.server.desk:Desk.submit:1",
    "server:grange.accounts.repeats:Repeats.finish:1",
    "server:grange.bootstrap.driving:Driver.wake:1",
    "driver:grange.runs.driving:take:1",
    "driver:grange.runs.claims:claim:1",
    "driver:grange.runs.outcomes:conclude:2",
    "driver:grange.runs.publishing:_publish:1",
    "driver:grange.runs.manifest:write_manifests:1",
    "driver:grange.runs.driving:finish:1",
]
OF_A_CHANGE = [
    "server:grange.runs.control:pause:1",
    "server:grange.runs.control:ask_cancel:1",
    "server:grange.runs.closing:call_off:1",
    "server:grange.runs.driving:finish:1",
    "server:grange.runs.control:retry:1",
    "server:grange.server.published:remove:1",
    "server:grange.runs.control:delete_run:1",
    "server:grange.runs.service:Runs.delete:1",
]
MIB = 1 << 20
Start = Callable[..., Outages]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give what prepares servers that die at these steps, each before and after."""
    with ExitStack() as opened:

        def begin(steps: list[str], *, driven: bool = True) -> Outages:
            outages = Outages(tmp_path, steps, driven=driven)
            opened.callback(outages.close)
            return outages

        yield begin


def all_struck(outages: Outages, steps: list[str]) -> bool:
    """Whether every kill of the table has happened."""
    return marks(steps) == outages.struck()


def check_struck(outages: Outages, steps: list[str]) -> None:
    """Every step of the table was on the way, twice."""
    assert marks(steps) == outages.struck()


def marks(steps: list[str]) -> set[str]:
    """Each step of a table, before it and after it."""
    return {f"{when}:{step}" for step in steps for when in ("before", "after")}


def test_an_upload_survives_a_kill_at_every_step(start: Start) -> None:
    """A folder is made once, and what was sent in parts is in it once, with every byte."""
    outages = start(OF_AN_UPLOAD, driven=False)
    data = bytes(range(251)) * (8 * MIB // 251)
    folder = outages.make("/folders", {"name": "in"}, key="folder")["id"]
    again = outages.make("/folders", {"name": "in"}, key="folder")["id"]
    upload = outages.send(data, 2 * MIB, filename="a", folder=folder, path="d/a")
    # Of the first one, kills have ended every part but the last ones.
    for name in ("b", "c"):
        outages.send(data, 2 * MIB, filename=name, folder=folder)

    check_struck(outages, OF_AN_UPLOAD)
    outages.sweep()
    assert folder == again
    assert [(1,)] == outages.ledger("select count(*) from folders")
    assert 64 == len(outages.ask("GET", f"/uploads/{upload}").json()["sha256"])
    outages.check_contents({"d/a": data, "b": data, "c": data}, folder)
    # Those whose beginning was never answered expire in some days.
    unfinished = outages.ledger("select id from uploads where sha256 is null")
    left = {(place.name,) for place in outages.home.glob("uploads/??????????")}
    assert left <= set(unfinished)
    assert ["folder.created"] == outages.actions()


@pytest.mark.faults
def test_an_archive_survives_a_kill_at_every_step(start: Start) -> None:
    """Unpacked once more after each, its files are there once; deleted, nothing is left."""
    outages = start(OF_AN_ARCHIVE, driven=False)
    files = {f"d/{name}.txt": name.encode() * 1000 for name in "abc"}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    for number in range(3):
        folder = outages.make("/folders", {}, key=f"folder-{number}")["id"]
        upload = outages.send(packed.getvalue(), MIB, filename="a.zip")
        unpacked = outages.ask("POST", f"/folders/{folder}/archives", json={"upload": upload})
        assert len(files) == unpacked.json()["files"]
        outages.check_contents(files, folder)
        for path in (f"/uploads/{upload}", f"/folders/{folder}"):
            # Asked once more it may be gone already.
            gone = outages.ask("DELETE", path, headers=TUS)
            assert gone.status_code in {204, 404}

    check_struck(outages, OF_AN_ARCHIVE)
    outages.sweep()
    assert [(0, 0)] == outages.ledger(
        "select (select count(*) from folder_files), (select count(*) from blobs)"
    )
    assert 3 * ["folder.created"] + 3 * ["folder.deleted"] == outages.actions()
    assert [] == list(outages.home.glob("folders/*"))
    assert [] == list(outages.home.glob("blobs/??/*"))
    assert [] == list(outages.home.glob("blobs/.new/*"))


def test_a_run_survives_a_kill_at_every_step(start: Start) -> None:
    """One request is one run, each of its items ends once, and its results are whole."""
    outages = start(OF_A_RUN)
    texts = {f"{name}.txt": name.encode() for name in "abcd"}
    for name, text in texts.items():
        (outages.share / name).write_bytes(text)
    request = {
        "pipeline": "command",
        "inputs": [{"share": str(outages.share)}],
        "params": {"shell": "cat {input} > {output}/copy"},
        "retries": 0,
    }
    run = outages.make("/runs", request, key="run")["id"]
    assert "done" == outages.ended(run)["state"]
    again = outages.make("/runs", request, key="run")["id"]

    check_struck(outages, OF_A_RUN)
    assert (run, [(1,)]) == (again, outages.ledger("select count(*) from runs"))
    assert {f"{name}/copy": text for name, text in texts.items()} == outages.outputs(run)
    outages.check_account()
    assert ["run.submitted"] == outages.actions()


@pytest.mark.faults
def test_what_people_do_to_a_run_survives_a_kill_at_every_step(start: Start) -> None:
    """Paused, called off, opened again, ended and deleted: each holds, whoever dies on the way."""
    outages = start(OF_A_CHANGE)
    (outages.share / "a").write_text("a")
    request = {
        "pipeline": "command",
        "inputs": [{"share": str(outages.share)}],
        "params": {
            "shell": f"until test -e {outages.folder}/go; do sleep 0.05; done; "
            "cp {input} {output}/copy"
        },
    }
    # Who ends a run that is called off, the server or its driver, is a matter of luck each time.
    rounds = 0
    while rounds < MOST_ROUNDS and not (rounds > 1 and all_struck(outages, OF_A_CHANGE)):
        number, rounds = rounds, rounds + 1
        run = outages.make("/runs", {**request, "priority": number}, key=f"run-{number}")["id"]
        for deed, state in (("pause", "paused"), ("cancel", "cancelled")):
            # Asked once more it may be done already: then it is refused, and stands as it should.
            assert outages.ask("POST", f"/runs/{run}/{deed}").status_code in {200, 409}
            assert state == outages.until(run, lambda one: one["state"] == state)["state"]  # noqa: B023
        (outages.folder / "go").touch()
        assert outages.ask("POST", f"/runs/{run}/retry").status_code in {200, 409}
        assert "done" == outages.ended(run)["state"]
        outages.check_account()
        assert {"a/copy": b"a"} == outages.outputs(run)
        assert outages.ask("DELETE", f"/runs/{run}").status_code in {204, 404}
        (outages.folder / "go").unlink()

    check_struck(outages, OF_A_CHANGE)
    assert [(0, 0)] == outages.ledger(
        "select (select count(*) from runs), (select count(*) from items)"
    )
    assert not list(outages.home.glob("outputs/*"))
    assert not list(outages.home.glob("runs/*"))
    done = Counter(outages.actions())
    # What was asked for again, because nobody had answered, is told again.
    assert {"run.paused", "run.cancelled", "run.retried"} <= {*done}
    assert (rounds, rounds) == (done["run.submitted"], done["run.deleted"])
