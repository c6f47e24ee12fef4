"""Inputs of all kinds through the whole program: odd, broken, vanished, huge."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.invocations import events
from tests.faults.scene import GRANGE, Scene, outputs, wait_until

COPY = "cat {input} > {output}/copy"
MAP = ("map", COPY, "in", "--out", "out", "--json")
ODD_NAMES = [
    b"with blanks  in it ",
    b"new\nline",
    b"tab\tand\rreturn",
    b"single'quote",
    b'double"quote',
    b"`back` $(tick) ${HOME} $HOME",
    b"back\\slash",
    b"-dash",
    b"--out=elsewhere",
    b"*?[a].txt",
    b"{input} {output} {name}",
    b"%s %(x)s %41",
    b";ls & | > <",
    "größe 日本 🦊".encode(),
    "e\u0301 combining".encode(),
    b"no\xff\xfetext",
    b"n" * 251 + b".txt",
    b"run.json",
    b"items.jsonl",
    b"report.html",
    b"report",
    b"run.json.item",
    b"con",
    b"a:b#c?d=e&f",
]


def test_odd_names_are_names_like_any_other(scene: Scene) -> None:
    """Each file comes through byte for byte, in a folder of its own, as the account says."""
    for name in ODD_NAMES:
        (scene.inputs / os.fsdecode(name)).write_bytes(b"this is " + name)

    done = scene.run(*MAP)

    assert 0 == done.returncode, done.stderr
    assert sorted(b"this is " + name for name in ODD_NAMES) == sorted(outputs(scene.out).values())
    scene.check_account()
    assert len(ODD_NAMES) == len(scene.items())


def test_the_worst_letters_of_a_name_reach_a_command_without_a_shell(scene: Scene) -> None:
    """An argument list gets each name as one word."""
    for name in ODD_NAMES:
        (scene.inputs / os.fsdecode(name)).write_bytes(name)
    command = json.dumps(["cp", "--", "{input}", "{output}/copy"])

    done = scene.run("run", "command", "in", "--out", "out", "--set", f"command={command}")

    assert 0 == done.returncode, done.stderr
    assert sorted(ODD_NAMES) == sorted(outputs(scene.out).values())


def test_what_is_no_file_is_left_out_and_told(scene: Scene) -> None:
    """Pipes, sockets, devices and dangling links never hang a run, nor go by in silence."""
    scene.fill({"file.txt": "text", "link's end.txt": "linked"})
    (scene.inputs / "link").symlink_to("file.txt")
    (scene.inputs / "dangling").symlink_to("nowhere")
    (scene.inputs / "circle").symlink_to(scene.inputs)
    os.mkfifo(scene.inputs / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        _bind(listener, scene.inputs / "socket")
        (scene.inputs / ".hidden").write_text("hidden")

        done = scene.run(*MAP)

    assert 0 == done.returncode, done.stderr
    assert {"file.txt", "link", "link's end.txt"} == set(scene.items())
    skipped = events(done.stdout)[0]["skipped"]
    assert 1 == skipped["links to nothing"]
    assert 1 == skipped["links to folders"]
    assert 1 == skipped["hidden"]
    assert 2 == skipped["no regular files (pipes, sockets, devices)"]


@pytest.mark.parametrize("kind", ["nothing", "empty folder", "pipe", "dangling link", "glob"])
def test_an_input_that_holds_nothing_is_refused(scene: Scene, kind: str) -> None:
    """Nothing is begun, the exit code says that the command makes no sense."""
    thing = scene.folder / "thing"
    if kind == "empty folder":
        thing.mkdir()
    elif kind == "pipe":
        os.mkfifo(thing)
    elif kind == "dangling link":
        thing.symlink_to("nowhere")
    name = "in/*.nothing" if kind == "glob" else "thing"

    done = scene.run("map", COPY, name, "--out", "out")

    assert 2 == done.returncode, done.stderr
    assert "[inputs.invalid]" in done.stderr
    assert not scene.out.exists()
    assert "" == scene.runs("list", "--json").stdout


def test_an_empty_file_is_an_input(scene: Scene) -> None:
    """Nothing in, nothing out, and a result of no bytes is a result."""
    scene.fill({"empty.txt": ""})

    done = scene.run(*MAP)

    assert 0 == done.returncode, done.stderr
    scene.check({"empty.txt/copy": b""})


def test_an_unreadable_file_fails_alone(scene: Scene) -> None:
    """It is told which one and why, once, and the others are done."""
    scene.fill({"a.txt": "a", "b.txt": "b", "c.txt": "c"})
    (scene.inputs / "b.txt").chmod(0)

    done = _without_powers(scene, *MAP)

    assert 3 == done.returncode, done.stderr
    scene.check_account()
    items = scene.items()
    assert ["done", "failed", "done"] == [items[name]["state"] for name in sorted(items)]
    failure = items["b.txt"]["failure"]
    assert ("input.unreadable", 1) == (failure["code"], items["b.txt"]["attempts"])
    assert "b.txt" in failure["message"]


def test_a_folder_that_cannot_be_listed_stops_the_submission(scene: Scene) -> None:
    """What can't be seen can't be expected, and is not missed in silence."""
    scene.fill({"a.txt": "a"})
    (scene.inputs / "closed").mkdir(mode=0)

    done = _without_powers(scene, *MAP)

    assert 2 == done.returncode
    assert "inputs.invalid" in done.stdout
    assert "closed" in done.stdout
    assert not scene.out.exists()


def test_an_output_folder_that_may_not_be_written_is_told(scene: Scene) -> None:
    """The run stops with the reason, and goes on when the rights are mended."""
    scene.fill({"a.txt": "a", "b.txt": "b"})
    scene.out.mkdir(mode=0o500)

    refused = _without_powers(scene, *MAP)
    scene.out.chmod(0o700)
    done = scene.run(*MAP)

    assert 1 == refused.returncode, refused.stderr
    assert str(scene.out) in refused.stdout
    assert "store.denied" in refused.stdout
    assert "Run" in refused.stderr
    assert [] == scene.ledger("select * from attempts where end != 'done'")
    assert 0 == done.returncode, done.stderr
    scene.check({"a.txt/copy": b"a", "b.txt/copy": b"b"})


def test_files_that_vanish_or_change_after_submission_are_told_apart(scene: Scene) -> None:
    """One is missing, one has changed; the same command again takes the new one."""
    texts = {"a.txt": "a", "gone.txt": "g", "new.txt": "n"}
    scene.fill(texts)
    scene.variables["GRANGE_WORKERS"] = "1"
    (scene.inputs / "0 first").write_text("first" * 1000)
    wait = f"touch begun; while ! test -e go; do sleep 0.02; done; {COPY}"
    process = scene.start("map", wait, "in", "--out", "out", "--json")
    wait_until((scene.folder / "begun").exists)

    (scene.inputs / "gone.txt").unlink()
    (scene.inputs / "new.txt").write_text("changed")
    (scene.folder / "go").touch()
    process.communicate(timeout=60)

    assert 3 == process.returncode
    scene.check_account()
    items = scene.items()
    codes = {path: one["failure"] and one["failure"]["code"] for path, one in items.items()}
    assert {
        "0 first": None,
        "a.txt": None,
        "gone.txt": "input.missing",
        "new.txt": "input.changed",
    } == codes
    again = scene.run("map", wait, "in", "--out", "out", "--json")
    assert 0 == again.returncode, again.stderr
    assert b"changed" == (scene.out / "new.txt/copy").read_bytes()
    assert {"0 first", "a.txt", "new.txt"} == set(scene.items())


@pytest.mark.timeout(180)
def test_five_gigabytes_of_nothing_are_read_once(scene: Scene) -> None:
    """A sparse file of more than four gigabytes is digested in passing, not held in memory."""
    with (scene.inputs / "huge").open("wb") as file:
        file.truncate(5 << 30)
    watcher = (
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr);"
        "sys.exit(code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", watcher, *GRANGE, "map", "true {input}", "in", "--out", "out"],
        cwd=scene.folder,
        env=scene.environment,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert int(done.stderr.splitlines()[-1]) < 300_000
    sha256 = "7f06c62352aebd8125b2a1841e2b9e1ffcbed602f381c3dcb3200200e383d1d5"
    assert {"huge": sha256} == {path: one["input_sha256"] for path, one in scene.items().items()}


def test_results_inside_the_inputs_are_no_inputs(scene: Scene) -> None:
    """OUT below INPUT: each run sees the same files, and none of its own results."""
    scene.fill({"a.txt": "a", "b.txt": "b"})
    scene.out = scene.inputs / "results"
    command = ("map", COPY, "in", "--out", "in/results", "--json")

    done = [scene.run(*command) for _ in range(2)]

    assert [0, 0] == [one.returncode for one in done], done
    scene.check({"a.txt/copy": b"a", "b.txt/copy": b"b"})


def test_results_never_take_the_place_of_inputs(scene: Scene) -> None:
    """OUT = INPUT is refused, and so is an OUT that is a file."""
    scene.fill({"a.txt": "a", "b.txt": "b"})

    done = [scene.run("map", COPY, "in", "--out", out) for out in ("in", "in/a.txt")]

    assert [2, 2] == [one.returncode for one in done]
    assert "among the inputs" in done[0].stderr
    assert "no folder" in done[1].stderr
    assert {"a.txt": b"a", "b.txt": b"b"} == outputs(scene.inputs)


def test_what_stands_in_the_way_of_one_result_stops_no_other(scene: Scene) -> None:
    """A file of the user's keeps its place; the item that would need it fails and says so."""
    scene.fill({"a.txt": "a", "b.txt": "b"})
    scene.out.mkdir()
    (scene.out / "a.txt").write_text("the user's own")

    done = scene.run(*MAP)

    assert 3 == done.returncode, done.stderr
    assert {"a.txt": b"the user's own", "b.txt/copy": b"b"} == outputs(scene.out)
    failure = scene.items()["a.txt"]["failure"]
    assert "output.refused" == failure["code"]
    assert "a.txt" in failure["message"]
    scene.check_nothing_is_left()


def test_a_folder_that_a_person_has_filled_is_never_replaced(scene: Scene) -> None:
    """Not even when it is the folder of the inputs; the item fails and says so."""
    scene.fill({"mine": "x", "other": "y"})
    inputs = scene.folder / "above" / "in"
    inputs.mkdir(parents=True)
    (inputs / "in").write_text("the input itself")
    (scene.out / "mine").mkdir(parents=True)
    (scene.out / "mine" / "precious").write_text("work of years")

    first = scene.run(*MAP)
    second = scene.run("map", COPY, "above/in", "--out", "above")

    assert (3, 3) == (first.returncode, second.returncode), first.stderr + second.stderr
    assert {"mine/precious": b"work of years", "other/copy": b"y"} == outputs(scene.out)
    assert "output.refused" == scene.items()["mine"]["failure"]["code"]
    assert {"in/in": b"the input itself"} == outputs(scene.folder / "above")


def test_inputs_of_equal_names_get_folders_of_their_own(scene: Scene) -> None:
    """Of two folders `x`, and of two files of one name, each has its own results."""
    for place, text in {"one/x/f": "1", "two/x/f": "2", "three/f": "3", "four/f": "4"}.items():
        file = scene.folder / place
        file.parent.mkdir(parents=True)
        file.write_text(text)

    inputs = ("one/x", "two/x", "three/f", "four/f", "one/x")
    done = scene.run("map", COPY, *inputs, "--out", "out", "--json")

    assert 0 == done.returncode, done.stderr
    scene.check_account()
    assert [b"1", b"2", b"3", b"4"] == sorted(outputs(scene.out).values())
    assert 4 == len(scene.items())


def test_a_glob_takes_what_it_matches(scene: Scene) -> None:
    """Quoted for the program, with folders below, and with the filters on top."""
    for place in ("a.txt", "b.jpg", "deep/c.txt", "deep/er/d.txt", "deep/er/e.jpg"):
        file = scene.inputs / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(place)

    done = scene.run("map", COPY, "in/**/*.txt", "--out", "out", "--exclude", "d*", "--json")

    assert 0 == done.returncode, done.stderr
    assert [b"a.txt", b"deep/c.txt"] == sorted(outputs(scene.out).values())
    scene.check_account()


def _without_powers(scene: Scene, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the program so that rights count, for root too."""
    prefix: list[str] = []
    if os.geteuid() == 0:
        program = shutil.which("setpriv")
        assert program, "setpriv of util-linux takes root's powers away"
        prefix = [program, "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    return subprocess.run(
        [*prefix, *GRANGE, *words],
        cwd=scene.folder,
        env=scene.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _bind(listener: socket.socket, path: Path) -> None:
    """Make a socket at a path that may be too long for one."""
    short = Path(f"/tmp/grange-test-{os.getpid()}.socket")
    listener.bind(str(short))
    shutil.move(short, path)
