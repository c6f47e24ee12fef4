"""What was done before costs nothing: by the same file, by the same bytes, and only then."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.faults.scene import Scene

TEXTS = {f"{number}.txt": f"text {number}" for number in range(4)}
COPIES = {f"{name}/copy": text.encode() for name, text in TEXTS.items()}
MAP = ("map", "echo {name} >> log; cat {input} > {output}/copy", "in", "--out", "out")


@pytest.fixture
def done(scene: Scene) -> Scene:
    """Give a place where a run has been done."""
    scene.fill(TEXTS)
    first = scene.run(*MAP)
    assert 0 == first.returncode, first.stderr
    scene.check(COPIES)
    (scene.folder / "log").unlink()
    return scene


def _again(scene: Scene, *words: str, control: dict[str, bytes] = COPIES) -> dict[str, Any]:
    again = scene.run(*(words or MAP))
    assert 0 == again.returncode, again.stderr
    scene.check(control)
    return scene.items()


def _worked_on(scene: Scene) -> list[str]:
    log = scene.folder / "log"
    return sorted(log.read_text().split()) if log.exists() else []


def test_the_same_command_takes_no_attempt_and_no_worker(done: Scene) -> None:
    """A worker that can't be started is not missed."""
    done.variables["PYTHONPATH"] = str(done.folder / "broken")
    broken = done.folder / "broken" / "sitecustomize.py"
    broken.parent.mkdir()
    broken.write_text("import sys\nif 'worker' in ' '.join(sys.orig_argv): sys.exit(9)\n")

    items = _again(done)

    assert {(0, True)} == {(one["attempts"], one["reused"]) for one in items.values()}
    assert all(len(one["input_sha256"]) == 64 for one in items.values())


def test_a_changed_parameter_does_the_work_again(done: Scene) -> None:
    """And the first command finds its own results no more, where they were replaced."""
    changed = ("map", f"{MAP[1]}; echo more >> {{output}}/copy", *MAP[2:])
    more = {path: text + b"more\n" for path, text in COPIES.items()}

    items = _again(done, *changed, control=more)

    assert {(1, False)} == {(one["attempts"], one["reused"]) for one in items.values()}
    assert {(1, False)} == {(one["attempts"], one["reused"]) for one in _again(done).values()}


def test_a_touched_file_is_read_once(done: Scene) -> None:
    """Its date is new, its bytes are not: it is digested, and then known under that date too."""
    os.utime(done.inputs / "1.txt", ns=(1, 1))

    for _ in range(2):
        items = _again(done)
        assert {True} == {one["reused"] for one in items.values()}
    digests = done.ledger("select run from tasks where kind = 'digest'")
    assert [(2,)] == digests
    assert [] == _worked_on(done)


def test_a_changed_file_is_worked_on_alone(done: Scene) -> None:
    """Even when its size is the same."""
    (done.inputs / "1.txt").write_text("TEXT 1")

    items = _again(done, control={**COPIES, "1.txt/copy": b"TEXT 1"})

    assert ["1.txt"] == _worked_on(done)
    assert {"1.txt"} == {path for path, one in items.items() if not one["reused"]}


def test_a_new_file_is_worked_on_alone(done: Scene) -> None:
    """The others are known."""
    (done.inputs / "new.txt").write_text("a new one")

    _again(done, control={**COPIES, "new.txt/copy": b"a new one"})

    assert ["new.txt"] == _worked_on(done)


def test_results_are_copied_to_another_place(done: Scene) -> None:
    """Whole files of their own: what happens to the copy does not happen to the first."""
    done.out = done.folder / "elsewhere"

    items = _again(done, *MAP[:-1], "elsewhere")

    assert [] == _worked_on(done)
    assert {(0, True)} == {(one["attempts"], one["reused"]) for one in items.values()}
    (done.out / "1.txt/copy").write_text("changed")
    assert b"text 1" == (done.folder / "out/1.txt/copy").read_bytes()


@pytest.mark.parametrize("damage", ["edited", "deleted", "added to"])
def test_a_damaged_result_is_made_again(done: Scene, damage: str) -> None:
    """It is not what it was, so it is no result; the others are left alone."""
    copy = done.out / "1.txt/copy"
    if damage == "edited":
        copy.write_text("edited")
    elif damage == "deleted":
        copy.unlink()
    else:
        (done.out / "1.txt/more").write_text("more")
    items = _again(done) if damage != "added to" else None

    if items is None:
        again = done.run(*MAP)
        assert 0 == again.returncode
        assert (done.out / "1.txt/copy").read_bytes() == b"text 1"
        return
    assert ["1.txt"] == _worked_on(done)
    assert {"1.txt"} == {path for path, one in items.items() if not one["reused"]}


def test_a_renamed_file_is_worked_on_where_the_name_decides(done: Scene) -> None:
    """The command sees the name, so equal bytes under another name are other work."""
    (done.inputs / "1.txt").rename(done.inputs / "one.txt")
    control = {**COPIES, "one.txt/copy": b"text 1"}

    again = done.run(*MAP)

    assert 0 == again.returncode, again.stderr
    assert ["one.txt"] == _worked_on(done)
    assert control == {
        str(file.relative_to(done.out)): file.read_bytes() for file in done.out.rglob("copy")
    }
    assert {"0.txt", "2.txt", "3.txt", "one.txt"} == set(done.items())
