"""`grange watch` over a folder, as a person and as a service manager use it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.invocations import Grange
from tests.cli.watched import PATIENCE_SECONDS, Place, listed, place_in


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Give an inbox of the test's own."""
    with place_in(tmp_path) as place:
        yield place


def _wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.05)


def _fill(ballast: Path) -> None:
    """Leave no room on the ballast's disk."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_what_arrives_becomes_one_run(place: Place, grange: Grange) -> None:
    """Files below folders, before and while it watches; one run, one account, one warm worker."""
    place.drop("a.txt")
    watched = place.watch()
    watched.item("a.txt", state="done")
    place.drop("cam/b.txt", "one")
    watched.item("cam/b.txt", state="done")
    place.drop("c.txt", "a bad one")
    failed = watched.item("c.txt", state="failed")
    place.drop("d.txt", "")
    watched.item("d.txt", state="done")
    place.drop("notes.md")

    code = watched.stop(signal.SIGINT)

    assert "a bad word" in failed["failure"]["message"]
    assert 3 == code
    ended = watched.until("finished")
    assert {"total": 4, "done": 3, "failed": 1} == {
        name: ended["counts"][name] for name in ("total", "done", "failed")
    }
    assert ("3", "1", "0") == (place.count("a.txt"), place.count("cam/b.txt"), place.count("d.txt"))
    assert {"a.txt", "cam/b.txt", "c.txt", "d.txt"} == set(place.items())
    lines = (place.out / "report" / "all.txt").read_text().splitlines()
    assert ["a.txt done", "c.txt failed", "cam/b.txt done", "d.txt done"] == lines
    assert b"grange watch" in (place.out / "report.html").read_bytes()
    assert 1 == len(place.loads.read_text().split())
    assert [(ended["run"], "failed")] == [
        (one["id"], one["state"]) for one in listed(grange("runs", "list", "--json"))
    ]


def test_work_begins_within_five_seconds_of_a_files_completion(place: Place) -> None:
    """With the settings that everybody has."""
    place.drop("first.txt")
    watched = place.watch(quick=False)
    watched.item("first.txt")

    waited = []
    for number in range(3):
        place.drop(f"{number}.txt")
        dropped = time.monotonic()
        watched.item(f"{number}.txt")
        waited.append(time.monotonic() - dropped)

    assert 5.0 > min(waited), waited


def test_a_file_that_is_being_written_waits(place: Place) -> None:
    """One that grows, and ones with the names that programs give them meanwhile."""
    watched = place.watch("--settle", "1.5")
    (place.inbox / "c.txt.part").write_text("x")
    (place.inbox / ".hidden.txt").write_text("x")
    # A browser keeps the final name with an empty file, and writes beside it.
    (place.inbox / "d.txt").write_text("")
    (place.inbox / "d.txt.crdownload").write_text("half")
    with (place.inbox / "slow.txt").open("w") as slow:
        for _ in range(10):
            slow.write("word ")
            slow.flush()
            time.sleep(0.3)
    place.drop("marker.txt")
    watched.item("slow.txt", state="done")
    watched.item("marker.txt")
    (place.inbox / "d.txt.crdownload").replace(place.inbox / "d.txt")
    watched.item("d.txt", state="done")
    (place.inbox / "c.txt.part").replace(place.inbox / "c.txt")
    watched.item("c.txt", state="done")
    watched.stop()

    ends = [one["path"] for one in watched.rest() if one["event"] == "item"]
    assert ["c.txt", "d.txt", "marker.txt", "slow.txt"] == sorted(ends)
    assert "10" == place.count("slow.txt")
    assert "1" == place.count("d.txt")


def test_nothing_is_done_twice(place: Place, grange: Grange) -> None:
    """Not after a restart, and not when a file is touched; a replaced one is new work."""
    for name in ("a.txt", "b.txt"):
        place.drop(name)
    first = place.once()
    os.utime(place.inbox / "a.txt")
    second = place.once()
    place.drop("b.txt", "only two")
    third = place.once()

    ends = [[one["path"] for one in said if one["event"] == "item"] for said in (first, second)]
    assert ["a.txt", "b.txt"] == sorted(ends[0])
    assert [] == ends[1]
    assert ["b.txt"] == [one["path"] for one in third if one["event"] == "item"]
    assert ("3", "2") == (place.count("a.txt"), place.count("b.txt"))
    assert 1 == len(listed(grange("runs", "list", "--json")))
    assert 2 == len(place.items())


def test_a_killed_watch_goes_on(place: Place, grange: Grange) -> None:
    """Kill -9 in the middle of an item: the same command ends it, and does nothing else again."""
    place.drop("done.txt")
    watched = place.watch("--set", "slow=0.2")
    watched.item("done.txt")
    place.drop("middle.txt")
    watched.until("progress", total=2)
    watched.kill()
    place.drop("later.txt")

    again = place.watch("--once", "--set", "slow=0.2")
    again.until("finished")

    ends = sorted(one["path"] for one in again.said if one["event"] == "item")
    assert ends in (["later.txt", "middle.txt"], ["later.txt"])
    assert {"done"} == {one["state"] for one in place.items().values()}
    assert 3 == len(place.items())
    assert 1 == len(listed(grange("runs", "list", "--json")))


def test_stopping_hands_back_what_is_under_way(place: Place, grange: Grange) -> None:
    """As with `run`: the worker ends at once, and the same command goes on."""
    place.drop("slow.txt")
    watched = place.watch("--set", "slow=30")
    watched.until("progress", total=1)

    code = watched.stop(signal.SIGTERM)

    assert 130 == code
    assert "waiting" == watched.until("stopped")["state"]
    (run,) = listed(grange("runs", "list", "--json"))
    assert "waiting" == run["state"]
    assert "waiting" == json.loads((place.out / "run.json").read_text())["state"]


def test_an_inbox_that_vanishes_is_said_once_and_waited_for(place: Place) -> None:
    """An unmounted share ends nothing; what could not be read in between comes again."""
    place.drop("a.txt")
    watched = place.watch()
    watched.item("a.txt")
    away = place.folder / "away"
    place.inbox.rename(away)
    watched.note("not there")
    (away / "b.txt").write_text("here")
    away.rename(place.inbox)
    watched.note("there again")
    watched.item("b.txt", state="done")
    watched.stop()

    notes = [one["text"] for one in watched.rest() if one["event"] == "note"]
    assert 2 == len(notes), notes


def test_a_file_that_vanished_comes_again(place: Place) -> None:
    """It failed since it was not there; once it is, as it was, it is worked on after all."""
    # The first takes longer than it takes to say that there are two.
    watched = place.watch("--set", "slow=3")
    place.drop("first.txt")
    kept = place.drop("second.txt")
    watched.until("progress", total=2)
    kept.rename(place.folder / "second.txt")
    watched.item("second.txt", state="failed")
    (place.folder / "second.txt").rename(kept)

    watched.item("second.txt", state="done")


def test_a_full_disk_is_said_once_and_waited_for(
    place: Place, small_disk: Callable[[int], Path]
) -> None:
    """Nothing fails for it, and when there is room the watch goes on by itself."""
    place.out = small_disk(2 << 20) / "out"
    place.out.mkdir()
    ballast = place.out.parent / "ballast"
    watched = place.watch()
    place.drop("a.txt")
    watched.item("a.txt")
    _wait_until((place.out / "run.json").exists)
    _fill(ballast)
    place.drop("b.txt", "word " * 1000)
    watched.note("It is waited for")
    ballast.unlink()

    watched.item("b.txt", state="done")
    assert 3 >= len([one for one in watched.rest() if one["event"] == "note"])


def test_two_watches_of_the_same_are_one_too_many(place: Place) -> None:
    """The second says who does it already."""
    watched = place.watch()
    watched.until("progress")

    second = subprocess.run(
        place.words(), capture_output=True, text=True, cwd=place.folder, check=False, timeout=60
    )

    assert 1 == second.returncode
    assert "run.busy" == json.loads(second.stdout.splitlines()[-1])["error"]["code"]


def test_calling_the_run_off_ends_the_watch(place: Place, grange: Grange) -> None:
    """`grange runs cancel` reaches it as it reaches any run."""
    watched = place.watch()
    place.drop("a.txt")
    run = watched.item("a.txt")["run"]

    assert 0 == grange("runs", "cancel", run).returncode

    assert "cancelled" == watched.until("finished")["state"]
    assert 1 == watched.process.wait(PATIENCE_SECONDS)


def test_a_person_reads_lines(place: Place) -> None:
    """Items on stdout, the rest on stderr; quiet says only what went wrong."""
    place.drop("a.txt")
    place.drop("b.txt", "bad")
    plain = [one for one in place.words("--once", "--settle", "0.1") if one != "--json"]
    shown = subprocess.run(plain, capture_output=True, text=True, check=False, timeout=60)
    os.utime(place.inbox / "b.txt")
    quiet = subprocess.run(
        [*plain, "--quiet"], capture_output=True, text=True, check=False, timeout=60
    )

    assert ["a.txt", "b.txt"] == sorted(line.split()[3] for line in shown.stdout.splitlines())
    assert "Watching" in shown.stderr
    assert "4 of" not in shown.stderr
    assert "" == quiet.stdout
    assert "b.txt" in quiet.stderr
    assert "Watching" not in quiet.stderr


@pytest.mark.parametrize(
    ("inbox", "words"),
    [("nowhere", "does not exist"), ("words.py", "no folder"), ("s3://a b/c", "has to look like")],
)
def test_an_inbox_that_is_none_is_refused(place: Place, inbox: str, words: str) -> None:
    """At once, and without a run."""
    refused = subprocess.run(
        place.words(inbox=inbox),
        capture_output=True,
        text=True,
        cwd=place.folder,
        check=False,
        timeout=60,
    )

    assert 2 == refused.returncode
    assert words in json.loads(refused.stdout)["error"]["message"]


def test_with_a_server_it_says_that_this_machine_works(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes the watch for something that goes on at the server."""
    monkeypatch.setenv("GRANGE_SERVER", "http://127.0.0.1:1")
    place.drop("a.txt")

    plain = [one for one in place.words("--once", "--settle", "0.1") if one != "--json"]
    shown = subprocess.run(plain, capture_output=True, text=True, check=False, timeout=60)

    assert 0 == shown.returncode
    assert "This machine watches and works, not http://127.0.0.1:1" in shown.stderr
