"""`grange produce` and `grange consume`: input, input_done, output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.invocations import COMMAND, Grange
from tests.server import scene

COPY = "shell=cp {input} {output}/copy"
# Fails for whatever holds the word bad.
PICKY = "shell=! grep -q bad {input} && cp {input} {output}/copy"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with three inputs, one of them deeper and with an odd name."""
    for name in ("a.txt", "b.txt", "deep/c d'é.txt"):
        file = tmp_path / "data" / "input" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "data"


def test_what_is_done_is_moved(grange: Grange, folder: Path) -> None:
    """Results, and inputs under the names that they had; then there is nothing left."""
    assert 3 == _produced(grange, folder)["items"]
    done = grange("consume", str(folder), "--json")
    again = grange("consume", str(folder))

    assert (0, 0) == (done.returncode, again.returncode), done.stderr
    assert [] == _files(folder / "input")
    assert ["a.txt", "b.txt", "deep/c d'é.txt"] == _files(folder / "input_done")
    assert "deep/c d'é.txt" == (folder / "output" / "deep" / "c d'é.txt" / "copy").read_text()
    assert "Nothing is left" in again.stderr
    nothing = grange("produce", str(folder), "command", "--set", COPY, "--settle", "0")
    assert (2, True) == (nothing.returncode, "inputs.invalid" in nothing.stderr)


def test_a_slip_in_the_folder_s_name_is_told(grange: Grange, tmp_path: Path) -> None:
    """That nothing is left to do there would be true, and of no use."""
    done = grange("consume", str(tmp_path / "dta"))

    assert (2, True) == (done.returncode, "no folder 'input'" in done.stderr)


def test_nothing_is_produced_twice(grange: Grange, folder: Path) -> None:
    """The same files make the same run; new ones join it; what is done is not done again."""
    first = _produced(grange, folder)
    assert first == _produced(grange, folder)
    (folder / "input" / "d.txt").write_text("d")
    assert (first["run"], 4) == tuple(_produced(grange, folder)[name] for name in ("run", "items"))
    grange("consume", str(folder), "--quiet")
    (folder / "input" / "e.txt").write_text("e")
    second = _produced(grange, folder)

    assert (True, 1) == (second["run"] != first["run"], second["items"])
    assert 0 == grange("consume", str(folder), "--quiet").returncode
    assert 5 == len(_files(folder / "input_done"))
    assert 5 == len([one for one in _files(folder / "output") if one.endswith("/copy")])


def test_what_failed_stays_and_says_why(grange: Grange, folder: Path) -> None:
    """It is named, the rest goes on, and once it is mended it is produced again."""
    (folder / "input" / "b.txt").write_text("bad")
    _produced(grange, folder, PICKY, "--retries", "0")
    ended = grange("consume", str(folder), "--json")

    assert 3 == ended.returncode
    assert ["b.txt"] == _files(folder / "input")
    reason = (folder / "input_failed" / "b.txt.txt").read_text()
    assert ("command.failed" in reason, "grange runs logs" in reason) == (True, True)
    (folder / "input" / "b.txt").write_text("good")
    assert 1 == _produced(grange, folder, PICKY, "--retries", "0")["items"]
    assert 0 == grange("consume", str(folder), "--quiet").returncode
    assert ([], []) == (_files(folder / "input"), _files(folder / "input_failed"))


def test_a_kill_loses_nothing(grange: Grange, folder: Path) -> None:
    """Killed between a result and its move, it moves what is done and does the rest."""
    for number in range(20):
        (folder / "input" / f"{number:02}.txt").write_text(str(number))
    shell = "shell=echo {name} >> " + str(folder / "tally") + "; sleep 0.2; cp {input} {output}/x"
    _produced(grange, folder, shell)
    killed = _start(folder)
    _until(lambda: len(_files(folder / "input_done")) >= 3)
    killed.kill()
    killed.wait()
    assert 0 == grange("consume", str(folder), "--quiet").returncode

    assert 23 == len(_files(folder / "input_done"))
    assert [] == _files(folder / "input")
    # Each was begun once, but for those that the kill has met.
    tally = (folder / "tally").read_text().splitlines()
    assert 23 == len(set(tally))
    assert len(tally) <= 23 + 2


def test_a_file_that_was_replaced_is_not_moved_unseen(grange: Grange, folder: Path) -> None:
    """Another file of the same name is another input: it is kept, and produced next."""
    shell = f"shell=cp {{input}} {{output}}/x; echo other > {folder}/input/{{name}}"
    _produced(grange, folder, shell, "--include", "a.txt", "--retries", "0")
    grange("consume", str(folder), "--quiet")
    assert "other\n" == (folder / "input" / "a.txt").read_text()
    assert [] == _files(folder / "input_done")


def test_names_that_are_taken_get_a_number(grange: Grange, folder: Path) -> None:
    """What was done earlier under the same name is never written over."""
    for content in ("one", "two"):
        (folder / "input" / "a.txt").write_text(content)
        _produced(grange, folder)
        assert 0 == grange("consume", str(folder), "--quiet").returncode

    kept = folder / "input_done"
    assert ("one", "two") == ((kept / "a.txt").read_text(), (kept / "a.2.txt").read_text())
    assert "two" == (folder / "output" / "a.txt" / "copy").read_text()


def test_what_comes_meanwhile_is_done_next(grange: Grange, folder: Path) -> None:
    """To produce while somebody works is fine: it is kept, and that one goes on with it."""
    go = folder / "go"
    shell = f"shell=while [ ! -e {go} ]; do sleep 0.05; done; cp {{input}} {{output}}/x"
    _produced(grange, folder, shell)
    consuming = _start(folder, "--wait")
    _until(lambda: "running" in grange("runs", "list", "--json").stdout)
    (folder / "input" / "late.txt").write_text("late")
    late = _produced(grange, folder, shell)
    go.touch()
    _until(lambda: "late.txt" in _files(folder / "input_done"))
    consuming.send_signal(signal.SIGTERM)

    assert {"event": "produced", "run": None, "items": None} == late
    assert 0 == consuming.wait(30)
    assert 4 == len(_files(folder / "input_done"))


def test_half_written_files_are_left(grange: Grange, folder: Path) -> None:
    """By their names; and a file that grows is waited for."""
    (folder / "input" / "e.txt.part").write_text("half")
    assert 3 == _produced(grange, folder)["items"]
    growing = folder / "input" / "grows.txt"
    growing.write_text("a")
    writer = subprocess.Popen(
        ["/bin/sh", "-c", 'for i in 1 2 3 4 5 6; do sleep 0.3; echo b >> "$0"; done', str(growing)]
    )
    _produced(grange, folder, COPY, settle="1")
    assert 0 == writer.wait(10)
    assert 0 == grange("consume", str(folder), "--quiet").returncode
    assert growing.name in _files(folder / "input_done")


def test_a_server_does_the_same(
    grange: Grange, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inputs go there, the results come here, and then the inputs are moved."""
    with scene.serving(tmp_path / "home") as server:
        with closing(scene.set_up(server)) as ada:
            made = ada.post("/tokens", json={"name": "t", "scopes": ["read", "run", "admin"]})
        monkeypatch.setenv("GRANGE_SERVER", server.url)
        monkeypatch.setenv("GRANGE_TOKEN", made.json()["text"])
        (folder / "input" / "b.txt").write_text("bad")
        _produced(grange, folder, PICKY, "--retries", "0")
        again = _produced(grange, folder, PICKY, "--retries", "0")
        ended = grange("consume", str(folder), "--json", timeout=120)

        assert (None, 3) == (again["run"], ended.returncode), ended.stderr
        assert ["b.txt"] == _files(folder / "input")
        assert ["a.txt", "deep/c d'é.txt"] == _files(folder / "input_done")
        assert "a.txt" == (folder / "output" / "a.txt" / "copy").read_text()
        assert "command.failed" in (folder / "input_failed" / "b.txt.txt").read_text()


def test_a_folder_without_input_is_told(grange: Grange, tmp_path: Path) -> None:
    """What is missing, and where it should be."""
    told = grange("produce", str(tmp_path), "command", "--set", COPY)

    assert 2 == told.returncode
    assert f"{tmp_path}/input" in told.stderr


def _produced(
    grange: Grange, folder: Path, shell: str = COPY, *more: str, settle: str = "0"
) -> dict[str, Any]:
    words = ("command", "--set", shell, "--settle", settle, "--json", *more)
    made = grange("produce", str(folder), *words)
    assert 0 == made.returncode, made.stdout + made.stderr
    said: dict[str, Any] = json.loads(made.stdout)
    return said


def _start(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "consume", str(folder), "--workers", "1", "--json", *more],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def _files(folder: Path) -> list[str]:
    found = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return sorted(str(one.relative_to(folder)) for one in found)


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.05)
