"""Whatever a pipeline raises or returns becomes an outcome; the worker goes on."""

from __future__ import annotations

import json

import pytest

from grange.core.tasks import Failure, OutcomeState
from tests.engines.rig import SCRIPTED, Rig
from tests.worker.conftest import Execute


def _failure(rig: Rig, execute: Execute, script: str) -> Failure:
    """Execute the script, and see that the same worker takes another task after it."""
    before = execute(rig.task())
    outcome = execute(rig.task(script))
    after = execute(rig.task("result = 1"))
    assert outcome.state is OutcomeState.FAILED
    assert outcome.failure is not None
    assert (None, ()) == (outcome.result, outcome.outputs)
    assert outcome.sha256
    assert after.result == 1
    assert before.worker == outcome.worker == after.worker
    return outcome.failure


def test_an_exception_is_told_with_its_traceback(rig: Rig, execute: Execute) -> None:
    """Its type and words in the message, the innermost frames in the evidence."""
    script = """
    def deep(left):
        if left:
            shallow(left - 1)
        raise ValueError("no such species")
    def shallow(left):
        deep(left)
    deep(40)
    """

    failure = _failure(rig, execute, script)

    assert ("pipeline.failed", True) == (failure.code, failure.retryable)
    assert failure.message == "The pipeline raised ValueError: no such species"
    assert failure.evidence["exception"] == "ValueError"
    assert failure.evidence["traceback"].strip().endswith("ValueError: no such species")
    assert failure.evidence["traceback"].count("in deep") == 10
    assert failure.evidence["traceback"].count("in shallow") == 10


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import sys; sys.exit('enough')", "SystemExit: enough"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: without a message"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise RuntimeError(chr(0xdcff) + chr(0))", r"RuntimeError: \udcff\0"),
        ("1 +", "SyntaxError"),
        ("def f(): f()\nf()", "RecursionError"),
    ],
)
def test_no_exception_ends_the_worker(rig: Rig, execute: Execute, script: str, words: str) -> None:
    """Not those that end other programs either, nor those whose text is none."""
    failure = _failure(rig, execute, script)

    assert failure.code == "pipeline.failed"
    assert words in failure.message


def test_an_exception_that_cannot_be_printed_is_told_by_its_type(
    rig: Rig, execute: Execute
) -> None:
    """Its own text raises."""
    script = """
    class Mute(Exception):
        def __str__(self):
            raise ValueError("no words")
    raise Mute
    """

    assert "Mute: without a message" in _failure(rig, execute, script).message


def test_a_failure_of_ones_own_keeps_its_code_and_evidence(rig: Rig, execute: Execute) -> None:
    """Evidence of any kind and size becomes plain data of bounded size."""
    script = """
    from pathlib import Path
    from grange.errors import InputUnreadable
    class Odd:
        def __repr__(self):
            raise ValueError
    evidence = {"frame": 7, "path": Path("/a"), "text": "x" * 100_000, "not": float("nan"),
                "many": list(range(100_000)), "odd": Odd(), "names": [chr(0xdcff)]}
    raise InputUnreadable("Frame 7 is damaged.", hint="Look at it.", evidence=evidence)
    """

    failure = _failure(rig, execute, script)

    assert ("input.unreadable", False) == (failure.code, failure.retryable)
    assert failure.message == "Frame 7 is damaged. Look at it."
    assert failure.evidence["frame"] == 7
    assert "/a" in failure.evidence["path"]
    assert "nan" in failure.evidence["not"]
    assert "Odd" in failure.evidence["odd"]
    assert len(json.dumps(failure.evidence)) < 3 * 16_384


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("raise MemoryError", "task.memory_exceeded"),
        ("bytearray(1 << 60)", "task.memory_exceeded"),
        ("raise OSError(28, 'No space left on device')", "store.full"),
        ("from grange.errors import StoreFull; raise StoreFull('The disk is full.')", "store.full"),
        (
            "from grange.errors import PipelineInvalid; raise PipelineInvalid('x')",
            "pipeline.invalid",
        ),
    ],
)
def test_some_failures_have_a_code_of_their_own(
    rig: Rig, execute: Execute, script: str, code: str
) -> None:
    """Programs tell by it what to do: wait for room, or never try again."""
    failure = _failure(rig, execute, script)

    assert code == failure.code
    assert failure.retryable == (code != "pipeline.invalid")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("result = {1, 2}", "set"),
        ("result = work", "TaskWork"),
        ("result = float('inf')", "plain JSON"),
        ("result = []; result.append(result)", "Circular"),
        ("result = chr(0xdcff)", "surrogates"),
        ("result = 'x' * (2 << 20)", "1048576 are allowed"),
    ],
)
def test_only_plain_data_of_bearable_size_is_a_result(
    rig: Rig, execute: Execute, script: str, words: str
) -> None:
    """Anything else fails the task, and the words say what was wrong with it."""
    failure = _failure(rig, execute, script)

    assert failure.code == "pipeline.failed"
    assert "process returned" in failure.message
    assert words in failure.message


def test_a_failed_attempt_leaves_nothing_staged(rig: Rig, execute: Execute) -> None:
    """What it had written into its output is gone, and so is its scratch folder."""
    script = """
    (work.output / "half").write_text("half")
    (work.scratch / "more").write_text("more")
    raise ValueError(work.scratch)
    """

    failure = _failure(rig, execute, script)

    assert [] == [one for one in rig.out.rglob("*") if one.name == "half"]
    assert failure.message.split()[-1].startswith("/")
    assert not rig.folder.joinpath(failure.message.split()[-1]).exists()


def test_a_model_that_cannot_be_loaded_fails_its_tasks(rig: Rig, execute: Execute) -> None:
    """The message names `load`, and the next task tries again."""
    job = rig.job(run="unloadable", params={"load": "raise ValueError('no weights')"})

    outcomes = [execute(rig.task(), job) for _ in range(2)]

    for outcome in outcomes:
        assert outcome.failure is not None
        assert outcome.failure.code == "pipeline.failed"
        assert "load raised ValueError: no weights" in outcome.failure.message
        assert "ValueError" in outcome.failure.evidence["traceback"]


def test_another_version_of_the_pipeline_is_refused(rig: Rig, execute: Execute) -> None:
    """Results of two versions never stand in one run, and trying again can't help."""
    outcome = execute(rig.task(), rig.job(run="other", version="0"))

    assert outcome.failure is not None
    assert ("pipeline.invalid", False) == (outcome.failure.code, outcome.failure.retryable)
    assert "changed" in outcome.failure.message


def test_a_pipeline_that_is_not_there_fails_the_task(rig: Rig, execute: Execute) -> None:
    """So does a file that is no pipeline, and one that ends its program while it is read."""
    for number, (content, code) in enumerate(
        [
            (None, "pipeline.not_found"),
            ("x = 1", "pipeline.invalid"),
            ("exit()", "pipeline.invalid"),
        ]
    ):
        file = rig.folder / f"{number}.py"
        if content is not None:
            file.write_text(content)
        outcome = execute(rig.task(), rig.job(file, run=f"broken{number}"))

        assert outcome.failure is not None
        assert code == outcome.failure.code


def test_few_models_are_kept_warm(rig: Rig, execute: Execute) -> None:
    """Runs with other parameters have models of their own; the least lately used one goes first."""
    ask = 'result = [id(model), model["processed"]]'
    jobs = [rig.job(SCRIPTED, run=f"run{one}", params={"load": f"a = {one}"}) for one in range(6)]

    first = [execute(rig.task(ask), job).result[1] for job in jobs[:4]]
    again = [execute(rig.task(ask), job).result[1] for job in jobs[:4]]
    execute(rig.task(ask), jobs[4])
    forgotten, kept = (execute(rig.task(ask), job).result[1] for job in (jobs[0], jobs[3]))

    assert ([1] * 4, [2] * 4) == (first, again)
    assert (1, 3) == (forgotten, kept)
