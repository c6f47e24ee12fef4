"""A run as a program holds it, over the real site, engine and files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import grange
from grange.core.states import ItemState, RunState
from grange.errors import (
    ExtraMissing,
    GrangeError,
    InputsInvalid,
    OutputInUse,
    ParameterInvalid,
    PipelineInvalid,
    PipelineNotFound,
    RunNotFound,
    UsageError,
)

COPY = ["cp", "{input}", "{output}/{name}"]
# Fails for the inputs that say so.
PICKY = ["sh", "-c", 'grep -qv bad "$1" && cp "$1" "$2"', "-", "{input}", "{output}/copy"]
SLOW = ["sh", "-c", 'sleep 30; echo "$1"', "-", "{input}"]
OWN_PIPELINE = """
import grange

class Count(grange.Pipeline[grange.Parameters]):
    name = "count"
    version = "1"
    summary = "Counts bytes."

    def process(self, part, params, model, work):
        return {"bytes": part.item.size, "twice": 2 * part.item.size}
"""


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Give a folder of five files, one of which is bad."""
    return _fill(tmp_path / "inputs")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Name a folder for outputs that is not there yet."""
    return tmp_path / "out"


@pytest.fixture(scope="module")
def picky(tmp_path_factory: pytest.TempPathFactory) -> grange.Run:
    """Give a run that has ended, with one failed item of five, in a home of its own."""
    place = tmp_path_factory.mktemp("picky")
    run = grange.run(
        "command",
        _fill(place / "inputs"),
        out=place / "out",
        workers=2,
        retries=0,
        home=place / "home",
        command=PICKY,
    )
    return run.wait(60)


def _fill(folder: Path) -> Path:
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.txt").write_text("bad" if number == 3 else f"good {number}")
    return folder


def _script(folder: Path, text: str) -> list[str]:
    file = folder / "script.py"
    file.write_text(textwrap.dedent(text))
    return [sys.executable, str(file)]


def _until(true: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_run_goes_from_inputs_to_outputs(inputs: Path, out: Path) -> None:
    """The call returns a run; waiting for it ends when all outputs are there."""
    run = grange.run("command", inputs, out=out, workers=2, name="copies", command=COPY)

    assert run.wait(60) is run
    assert run.state == "done"
    assert run.finished
    assert run.counts.done == run.counts.total == 5
    assert (out / "3.txt" / "3.txt").read_text() == "bad"
    assert run.report == out / "report.html"
    assert run.out == out
    assert run.name == "copies"


def test_items_come_as_they_end_and_each_once(inputs: Path, out: Path) -> None:
    """Iterating gives every item with its outputs, and stops at the end of the run."""
    run = grange.run("command", inputs, out=out, workers=2, command=COPY)

    items = list(run)

    assert sorted(item.path for item in items) == [f"{number}.txt" for number in range(5)]
    assert all(item.ok and item.attempts == 1 for item in items)
    assert all(item.outputs == (out / item.path / item.path,) for item in items)
    assert all(path.is_file() for item in items for path in item.outputs)


def test_the_first_items_come_before_the_last_is_done(inputs: Path, out: Path) -> None:
    """A program goes on with what is there, while the rest is still worked on."""
    gate = out.parent / "gate"
    wait = 'case "$1" in *4.txt) while [ ! -e "$2" ]; do sleep 0.05; done;; esac'
    command = ["sh", "-c", wait, "-", "{input}", str(gate)]
    two = [inputs / "0.txt", inputs / "4.txt"]
    run = grange.run("command", two, out=out, workers=2, command=command)

    stream = iter(run)

    assert next(stream).path == "0.txt"
    assert not run.finished
    gate.touch()
    assert [item.path for item in stream] == ["4.txt"]


def test_iterating_again_begins_from_the_start(picky: grange.Run) -> None:
    """Each loop over a run sees all of its items, also when the run has ended long ago."""
    first, second = list(picky), list(picky)

    assert len(first) == 5
    assert first == second


def test_a_failed_item_raises_nothing_and_says_why(picky: grange.Run) -> None:
    """Waiting for a run with failures returns; the reasons are there to be looked at."""
    (failed,) = picky.items("failed")

    assert picky.state is RunState.FAILED
    assert failed.path == "3.txt"
    assert failed.failure is not None
    assert failed.failure["code"] == "command.failed"
    assert not failed.ok
    assert failed.outputs == ()
    assert [(group.code, group.count) for group in picky.failures()] == [("command.failed", 1)]


def test_failures_raise_where_that_is_wanted(picky: grange.Run) -> None:
    """One argument makes a run with failures an exception."""
    with pytest.raises(GrangeError, match="4 of 5 done, 1 failed"):
        picky.wait(raise_on_failure=True)


def test_records_are_flat_and_plain(picky: grange.Run) -> None:
    """Each item is one row of values that JSON can carry, in the order of the inputs."""
    records = picky.records()

    assert json.loads(json.dumps(records)) == records
    assert [row["path"] for row in records] == [f"{number}.txt" for number in range(5)]
    assert records[3]["failure_code"] == "command.failed"
    assert records[0]["outputs"] == [str(picky.out / "0.txt" / "copy")]


def test_a_frame_has_a_row_for_each_item(picky: grange.Run) -> None:
    """With pandas the records are a frame."""
    pytest.importorskip("pandas")

    frame = picky.frame()

    assert list(frame.path) == [f"{number}.txt" for number in range(5)]
    assert frame.state.value_counts()["done"] == 4


def test_a_frame_without_pandas_says_what_to_install(
    picky: grange.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the exact line."""
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(ExtraMissing, match=r"pip install 'grange\[pandas\]'"):
        picky.frame()


def test_retrying_works_on_the_failed_items_alone(inputs: Path, out: Path) -> None:
    """What was done stays; what failed is tried again, once its cause is mended."""
    script = '[ -e "$2/mended" ] || ! grep -q bad "$1"'
    command = ["sh", "-c", script, "-", "{input}", str(out.parent)]
    run = grange.run("command", inputs, out=out, workers=2, retries=0, command=command).wait(60)
    assert run.counts.failed == 1

    (out.parent / "mended").touch()
    run.retry().wait(60)

    assert run.state == "done"
    assert [item.attempts for item in run.items()] == [1, 1, 1, 2, 1]


def test_what_a_pipeline_returns_is_a_column(tmp_path: Path, inputs: Path, out: Path) -> None:
    """A pipeline of one's own runs from its file; fields of its results are fields of records."""
    file = tmp_path / "count.py"
    file.write_text(OWN_PIPELINE)

    run = grange.run(file, inputs, out=out, workers=1).wait(60)

    assert [row["result.twice"] for row in run.records()] == [12, 12, 12, 6, 12]


def test_a_script_needs_no_guard(tmp_path: Path, inputs: Path, out: Path, home: Path) -> None:
    """A plain script starts a run at its top level, with a pipeline that it gives as a class."""
    (tmp_path / "count.py").write_text(OWN_PIPELINE)
    command = _script(
        tmp_path,
        f"""
        import grange
        from count import Count

        run = grange.run(Count, {str(inputs)!r}, out={str(out)!r}, workers=2)
        print(sum(item.result["bytes"] for item in run))
        """,
    )

    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert (answer.stdout, answer.stderr) == ("27\n", "")


def test_a_file_that_starts_a_run_of_itself_is_refused(
    tmp_path: Path, inputs: Path, out: Path
) -> None:
    """A script whose own class is the pipeline is told to guard its call, and doesn't go round."""
    command = _script(
        tmp_path,
        OWN_PIPELINE + f"\ngrange.run(Count, {str(inputs)!r}, out={str(out)!r}).wait()\n",
    )

    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert answer.returncode == 1
    assert 'if __name__ == "__main__":' in answer.stderr


def test_a_class_without_a_file_is_refused(inputs: Path, out: Path) -> None:
    """What workers could never find is an error at once."""
    scope: dict[str, object] = {"__name__": "__main__"}
    exec(compile(OWN_PIPELINE, "<cell>", "exec"), scope)  # noqa: S102  # as a notebook does

    with pytest.raises(PipelineInvalid, match="no file defines it"):
        grange.run(scope["Count"], inputs, out=out)  # type: ignore[arg-type]


def test_an_installed_pipeline_can_be_given_as_its_class(inputs: Path, out: Path) -> None:
    """The class of an installed pipeline stands for its name."""
    from grange.pipelines.command import CommandPipeline

    run = grange.run(CommandPipeline, [inputs / "0.txt"], out=out, workers=1, command=COPY)

    assert run.wait(60).state == "done"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"pipeline": "no-such"}, PipelineNotFound),
        ({"inputs": "nowhere"}, InputsInvalid),
        ({"memory": "much"}, ParameterInvalid),
        ({"include": "*.mp4"}, InputsInvalid),
    ],
)
def test_a_senseless_request_raises_at_once(
    inputs: Path, out: Path, changes: dict[str, object], error: type[Exception]
) -> None:
    """Nothing is begun, and nothing is left, when the request is refused."""
    request: dict[str, object] = {"pipeline": "command", "inputs": inputs, "command": COPY}

    with pytest.raises(error):
        grange.run(**{**request, **changes, "out": out})  # type: ignore[arg-type]

    assert grange.list_runs() == []


def test_cancelling_stops_the_work(inputs: Path, out: Path) -> None:
    """A cancelled run ends within seconds, with its items cancelled."""
    run = grange.run("command", inputs, out=out, workers=2, command=SLOW)
    _until(lambda: run.state == "running")
    begun = time.monotonic()

    run.cancel().wait(30)

    assert time.monotonic() - begun < 10
    assert run.state is RunState.CANCELLED
    assert run.counts.cancelled == 5


def test_waiting_gives_up_after_its_time(inputs: Path, out: Path) -> None:
    """With a timeout the program goes on; the run does too."""
    run = grange.run("command", inputs, out=out, workers=1, command=SLOW)

    begun = time.monotonic()
    run.wait(0.3)

    assert time.monotonic() - begun < 5
    assert not run.finished
    run.cancel().wait(30)


def test_stopping_leaves_a_run_to_be_resumed(inputs: Path, out: Path) -> None:
    """What was stopped goes on later, by the same object or by one found again."""
    gate = out.parent / "gate"
    wait = 'while [ ! -e "$2" ]; do sleep 0.05; done'
    command = ["sh", "-c", wait, "-", "{input}", str(gate)]
    run = grange.run("command", inputs, out=out, workers=1, command=command)
    _until(lambda: run.state == "running")

    run.stop()
    assert not run.finished
    gate.touch()
    again = grange.find_run(run.id[:6])
    again.resume().wait(60)

    assert run.state == "done"
    assert {item.attempts for item in run} == {1}


def test_the_same_call_goes_on_with_an_unfinished_run(inputs: Path, out: Path) -> None:
    """Running a script again doesn't begin anew."""
    first = grange.run("command", inputs, out=out, workers=1, command=SLOW).stop()

    second = grange.run("command", inputs, out=out, workers=1, command=SLOW)

    assert first.id == second.id
    second.cancel().wait(30)


def test_two_requests_do_not_share_a_folder(inputs: Path, out: Path) -> None:
    """While a run writes to a folder, another request for it is refused."""
    run = grange.run("command", inputs, out=out, workers=1, command=SLOW)

    with pytest.raises(OutputInUse):
        grange.run("command", inputs, out=out, workers=1, command=COPY)

    run.cancel().wait(30)


def test_leaving_a_with_block_waits(inputs: Path, out: Path) -> None:
    """After the block the run has ended."""
    with grange.run("command", inputs, out=out, workers=2, command=COPY) as run:
        pass

    assert run.state == "done"


def test_leaving_a_with_block_by_an_exception_stops_the_work(inputs: Path, out: Path) -> None:
    """A program that goes wrong doesn't wait for hours, and its run can be resumed."""
    with (
        pytest.raises(ZeroDivisionError),
        grange.run("command", inputs, out=out, workers=1, command=SLOW) as run,
    ):
        1 / 0  # noqa: B018

    assert not run.finished
    assert grange.list_runs("done") == []
    run.cancel()
    assert run.state is RunState.CANCELLED


def test_ctrl_c_stops_cleanly(tmp_path: Path, inputs: Path, out: Path) -> None:
    """Interrupting a waiting script ends it within seconds and leaves the run to be resumed."""
    command = _script(
        tmp_path,
        f"""
        import grange

        run = grange.run("command", {str(inputs)!r}, out={str(out)!r}, workers=1, command={SLOW!r})
        print(run.id, flush=True)
        run.wait()
        """,
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as script:
        assert script.stdout is not None
        number = script.stdout.readline().decode().strip()
        _until(lambda: grange.find_run(number).state == "running")
        script.send_signal(signal.SIGINT)
        _, errors = script.communicate(timeout=20)

    assert b"KeyboardInterrupt" in errors
    run = grange.find_run(number)
    assert not run.finished
    run.cancel()


def test_a_script_that_does_not_wait_says_what_it_leaves(
    tmp_path: Path, inputs: Path, out: Path
) -> None:
    """The end of a program stops its work, and tells how to go on with it."""
    command = _script(
        tmp_path,
        f"""
        import grange

        grange.run("command", {str(inputs)!r}, out={str(out)!r}, workers=1, command={SLOW!r})
        """,
    )

    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    run = grange.find_run()
    assert f"grange runs resume {run.id}" in answer.stderr
    assert not run.finished
    run.cancel()


def test_earlier_runs_are_found_again(inputs: Path, tmp_path: Path) -> None:
    """By id, by the beginning of one, by name, or as the newest; and in a list, newest first."""
    one, two = (
        grange.run("command", inputs, out=tmp_path / name, workers=1, name=name, command=command)
        for name, command in (("one", COPY), ("two", SLOW))
    )
    one.wait(60)
    two.cancel().wait(60)

    assert grange.find_run(one.id).id == grange.find_run("one").id == one.id
    assert grange.find_run(two.id[:8]).id == grange.find_run().id == two.id
    assert [run.id for run in grange.list_runs()] == [two.id, one.id]
    assert [run.id for run in grange.list_runs("done")] == [one.id]
    assert len(list(grange.find_run("one"))) == 5


def test_what_is_not_there_is_said(picky: grange.Run) -> None:
    """Unknown runs and states are errors with a hint, not empty lists."""
    with pytest.raises(RunNotFound):
        grange.find_run("no such run")
    with pytest.raises(UsageError, match="running"):
        grange.list_runs("sleeping")
    with pytest.raises(UsageError, match="cancelled"):
        picky.items("sleeping")


def test_another_home_is_another_world(inputs: Path, out: Path, tmp_path: Path) -> None:
    """Runs of one home are not seen in another."""
    elsewhere = tmp_path / "elsewhere"
    run = grange.run("command", inputs, out=out, workers=1, home=elsewhere, command=COPY).wait(60)

    assert grange.list_runs() == []
    assert [found.id for found in grange.list_runs(home=elsewhere)] == [run.id]


def test_parameters_may_be_called_like_arguments(inputs: Path, out: Path) -> None:
    """`params` takes what can't be a keyword, and checks it all the same."""
    run = grange.run("command", inputs, out=out, workers=1, params={"command": COPY})

    assert run.wait(60).state == "done"
    with pytest.raises(ParameterInvalid):
        grange.run("command", inputs, out=out, params={"command": COPY, "memory": "much"})


def test_a_run_says_what_it_is(picky: grange.Run) -> None:
    """On a prompt it is one line, in a notebook a bar; names can't break out of either."""
    assert repr(picky) == f"<Run {picky.id}: failed, 4 of 5 done, 1 failed>"
    page = picky._repr_html_()
    assert "width:80.00%" in page
    assert "4 of 5 done, 1 failed" in page


def test_items_of_every_state_are_given(picky: grange.Run) -> None:
    """Without a state all items come, in the order of the inputs."""
    assert [item.state for item in picky.items()] == [
        *[ItemState.DONE] * 3,
        ItemState.FAILED,
        ItemState.DONE,
    ]
