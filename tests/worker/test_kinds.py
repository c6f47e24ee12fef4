"""The kinds of tasks: what each needs, and what it brings back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from grange.core.tasks import JSON, OutcomeState, Output, Task, TaskKind, staging_token
from grange.storage import file_uri
from tests.engines.rig import Rig
from tests.worker.conftest import Execute


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _staged(rig: Rig, task: Task, run: str) -> Path:
    token = staging_token(run, task.id, task.epoch)
    (folder,) = [one for one in rig.out.rglob(token) if one.is_dir()]
    return folder


def test_process_brings_result_outputs_and_digest(rig: Rig, execute: Execute) -> None:
    """What was written is staged and known by its digests; nothing is published yet."""
    script = """
    (work.output / "sub").mkdir()
    (work.output / "sub" / "b").write_text("bb")
    (work.output / "a").write_text("a")
    result = {"name": part.item.name, "number": part.number, "data": part.data}
    """
    task = rig.task(script, payload={"from": 3})
    task.part = 7

    outcome = execute(task)

    content = (rig.inputs / task.path).read_bytes()
    assert (OutcomeState.DONE, _sha256(content)) == (outcome.state, outcome.sha256)
    assert outcome.result == {"name": task.path, "number": 7, "data": {"from": 3}}
    assert [("a", 1, _sha256(b"a")), ("sub/b", 2, _sha256(b"bb"))] == [
        (one.path, one.size, one.sha256) for one in outcome.outputs
    ]
    assert (_staged(rig, task, rig.folder.name) / "sub" / "b").read_text() == "bb"
    assert not (rig.out / task.path).exists()


def test_a_folder_left_empty_is_no_output(rig: Rig, execute: Execute) -> None:
    """Asking for the folder and writing nothing is like not asking."""
    outcome = execute(rig.task("work.output"))

    assert (OutcomeState.DONE, ()) == (outcome.state, outcome.outputs)
    assert [] == [one for one in rig.out.rglob("*") if one.is_file()]


def test_outputs_of_a_dead_worker_do_not_mix_in(rig: Rig, execute: Execute) -> None:
    """A task that is done again in the same attempt begins with an empty folder."""
    task = rig.task("(work.output / 'new').touch()")
    execute(task)
    (_staged(rig, task, rig.folder.name) / "old").touch()

    outcome = execute(task)

    assert ["new"] == [one.path for one in outcome.outputs]


def test_an_output_that_cannot_be_published_fails_the_task(rig: Rig, execute: Execute) -> None:
    """A link could lead anywhere."""
    outcome = execute(rig.task("import os; os.symlink('/etc/passwd', work.output / 'link')"))

    assert outcome.failure is not None
    assert outcome.failure.code == "output.refused"


def test_parameters_that_mean_nothing_any_more_are_said_once(rig: Rig, execute: Execute) -> None:
    """A model that was replaced since, say: in a person's words, and not tried again."""
    gone = {"detector": "reference-detector@000000000000"}

    outcome = execute(rig.task(), rig.job("wildlife", params=gone))

    assert outcome.failure is not None
    assert ("parameter.invalid", False) == (outcome.failure.code, outcome.failure.retryable)
    assert "is another than was asked for" in outcome.failure.message


def test_digest_reads_and_does_nothing(rig: Rig, execute: Execute) -> None:
    """The pipeline's code is not called."""
    task = rig.task("raise ValueError", kind=TaskKind.DIGEST)

    outcome = execute(task)

    assert outcome.state is OutcomeState.DONE
    assert outcome.sha256 == _sha256((rig.inputs / task.path).read_bytes())


def test_split_brings_the_parts(rig: Rig, execute: Execute) -> None:
    """In the order in which the pipeline names them."""
    outcome = execute(rig.task('[{"from": n} for n in range(5)]', kind=TaskKind.SPLIT))

    assert (OutcomeState.DONE, [{"from": n} for n in range(5)]) == (outcome.state, outcome.result)


def test_an_item_of_one_part_is_taken_to_its_end_at_once(rig: Rig, execute: Execute) -> None:
    """Split, processed and merged in one attempt; what the part left is not an output."""
    task = rig.task('[(work.output / "part").touch()]', kind=TaskKind.SPLIT)

    outcome = execute(task)

    assert (OutcomeState.DONE, True) == (outcome.state, outcome.merged)
    assert [[0, None, ["part"]]] == outcome.result
    assert ["merged"] == [one.path for one in outcome.outputs]
    staged = _staged(rig, task, rig.folder.name)
    assert [staged] == list(staged.parent.iterdir())


def test_the_only_part_fails_its_item_and_leaves_nothing(rig: Rig, execute: Execute) -> None:
    """As if it had been a task of its own."""
    script = "[(work.output / 'half').touch()] if 'item' in dir() else 1 / 0"

    outcome = execute(rig.task(script, kind=TaskKind.SPLIT))

    assert outcome.failure is not None
    assert (False, "ZeroDivisionError") == (
        outcome.merged,
        outcome.failure.evidence["exception"],
    )
    assert [] == [one for one in rig.out.rglob("*") if one.is_file()]


def test_counts_of_an_attempt_go_with_its_outcome(rig: Rig, execute: Execute) -> None:
    """Added up by name, of a failed attempt too."""
    counting = "work.count('frames', 2); work.count('frames'); work.count('seconds', 0.5)"

    outcomes = [execute(rig.task(counting)), execute(rig.task(f"{counting}; 1 / 0"))]

    assert [{"frames": 3, "seconds": 0.5}] * 2 == [one.counts for one in outcomes]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("work.count('frames', float('nan'))", "counts nan of 'frames'"),
        ("[work.count(str(n)) for n in range(101)]", "more than 100 different things"),
    ],
)
def test_counts_that_nobody_can_read_are_refused(
    rig: Rig, execute: Execute, script: str, words: str
) -> None:
    """They are kept for each attempt, and drawn."""
    outcome = execute(rig.task(script))

    assert outcome.failure is not None
    assert words in outcome.failure.message


@pytest.mark.parametrize(
    ("script", "words"),
    [("iter(int, 1)", "more than 100000 parts"), ("['x' * (9 << 20)]", "are allowed")],
)
def test_parts_without_end_are_refused(rig: Rig, execute: Execute, script: str, words: str) -> None:
    """By number and by size."""
    outcome = execute(rig.task(script, kind=TaskKind.SPLIT))

    assert outcome.failure is not None
    assert outcome.failure.code == "pipeline.failed"
    assert words in outcome.failure.message


def test_merge_is_given_all_parts_in_order(rig: Rig, execute: Execute) -> None:
    """With what `process` returned of them, and the folders of their files."""
    parts: list[JSON] = []
    for number in range(2):
        part = rig.task(f"(work.output / 'file{number}').touch()")
        execute(part)
        token = staging_token(rig.folder.name, part.id, part.epoch)
        parts.append({"number": number, "result": [number], "token": token})

    outcome = execute(rig.task(kind=TaskKind.MERGE, payload={"parts": parts}))

    assert outcome.result == [[0, [0], ["file0"]], [1, [1], ["file1"]]]
    assert ["merged"] == [one.path for one in outcome.outputs]


def test_report_is_given_the_items(rig: Rig, execute: Execute) -> None:
    """Line by line from the file that the task names."""
    lines: list[JSON] = [
        {"path": "a/b", "state": "done", "result": 3, "folder": "a/b", "outputs": []},
        {"path": "c", "state": "failed", "result": None, "folder": "c", "outputs": []},
    ]
    lines[1]["failure"] = {"code": "input.unreadable", "message": "It is empty."}
    (rig.folder / "items").write_text("".join(json.dumps(line) + "\n" for line in lines))
    task = rig.task(kind=TaskKind.REPORT, payload={"items": str(rig.folder / "items")})

    outcome = execute(task)

    assert ["report"] == [one.path for one in outcome.outputs]
    staged = _staged(rig, task, rig.folder.name)
    expected = "a/b done 3 b\nc failed None c input.unreadable It is empty."
    assert expected == (staged / "report").read_text()


def test_what_a_stage_keeps_is_known_to_other_runs(rig: Rig, execute: Execute) -> None:
    """It lies where the job says, whatever run has kept it; without a place nothing is kept."""
    keeping = "work.keep('key', b'found'); result = work.known('key') == b'found'"
    asking = "result = [str(work.known(key)) for key in ('key', 'other')]"
    home: dict[str, Any] = {"kept": str(rig.folder / "kept"), "kept_bytes": 1 << 20}

    results = [
        execute(rig.task(keeping), rig.job(run="first", **home)).result,
        execute(rig.task(asking), rig.job(run="second", **home)).result,
        execute(rig.task(keeping), rig.job(run="third")).result,
    ]

    assert [True, ["b'found'", "None"], False] == results


def _copy(rig: Rig, *outputs: Output) -> Task:
    listed = [[one.path, one.size, one.sha256, one.mtime_ns] for one in outputs]
    payload = {"store": file_uri(rig.folder / "other"), "base": "a/b", "outputs": listed}
    return rig.task(kind=TaskKind.COPY, payload=payload)


def test_copy_brings_earlier_outputs_here(rig: Rig, execute: Execute) -> None:
    """Byte for byte, with their folders."""
    folder = rig.folder / "other" / "a" / "b" / "sub"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"content")
    task = _copy(rig, Output("sub/file", 7, _sha256(b"content"), 0))

    outcome = execute(task)

    assert outcome.state is OutcomeState.DONE
    assert [("sub/file", 7, _sha256(b"content"))] == [
        (one.path, one.size, one.sha256) for one in outcome.outputs
    ]
    assert (_staged(rig, task, rig.folder.name) / "sub" / "file").read_bytes() == b"content"


@pytest.mark.parametrize("content", [b"CONTENT", b"content and more", b"", None])
def test_a_copy_of_what_has_changed_is_refused(
    rig: Rig, execute: Execute, content: bytes | None
) -> None:
    """The earlier output is not what it was, or gone: the work is to be done after all."""
    folder = rig.folder / "other" / "a" / "b"
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "file").write_bytes(content)

    outcome = execute(_copy(rig, Output("file", 7, _sha256(b"content"), 0)))

    assert outcome.failure is not None
    assert outcome.failure.code == "reuse.stale"
    assert not list(rig.out.rglob("file"))


def test_a_copy_never_leaves_its_folder(rig: Rig, execute: Execute) -> None:
    """Not even when the ledger names such a path."""
    outcome = execute(_copy(rig, Output("../../escaped", 0, _sha256(b""), 0)))

    assert outcome.state is OutcomeState.FAILED
    assert not list(rig.folder.rglob("escaped"))
