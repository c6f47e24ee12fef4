"""`grange run` and `grange map`, from the command line to the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.invocations import COMMAND, Grange, events

COPY = "cp {input} {output}/copy"
FAIL_B = 'test {name} != b.txt || { echo "no b here" >&2; exit 7; }; cp {input} {output}/copy'

# Enters the signals' block, says so, and never looks at what was asked.
DEAF = """
import time
from grange.cli.stopping import StopSignals
with StopSignals() as stop:
    print("ready", flush=True)
    while True:
        time.sleep(0.01)
        if stop.event.is_set():
            print("asked", flush=True)
            time.sleep(60)
"""


def _start(*words: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *words],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for(path: Path, *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)


def test_a_command_is_run_on_every_file(grange: Grange, inputs: Path, tmp_path: Path) -> None:
    """A pipe gets lines of JSON about the run, people get a summary on stderr."""
    done = grange("map", COPY, "in", "--out", "out")

    assert 0 == done.returncode, done.stderr
    for file in inputs.iterdir():
        assert file.read_text() == (tmp_path / "out" / file.name / "copy").read_text()
    told = events(done.stdout)
    assert "submitted" == told[0]["event"]
    assert "finished" == told[-1]["event"]
    assert {"submitted", "progress", "finished"} >= {one["event"] for one in told}
    assert (3, 0) == (told[-1]["counts"]["done"], told[-1]["counts"]["failed"])
    assert told[-1]["report"].endswith("/out/report.html")
    assert "is done: 3 of 3 items done" in done.stderr
    assert "out/report.html" in done.stderr


def test_what_is_written_is_documented(grange: Grange, inputs: Path) -> None:
    """Who writes a program against the lines finds each event, and what it tells."""
    page = (Path(__file__).parents[2] / "docs" / "operations" / "scripts.md").read_text()
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}

    done = grange("map", COPY, "in", "--out", "out", "--json")

    told = {one["event"]: one for one in events(done.stdout)}
    assert {"submitted", "progress", "item", "finished"} == told.keys()
    for name in ("submitted", "item", "finished"):
        unsaid = {key for key in told[name] if f"`{key}`" not in rows[name]}
        assert {"event", "run", "state"} >= unsaid, name


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="The system has no /proc.")
def test_workers_get_no_passwords(
    grange: Grange, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a command that looks at the worker which started it finds a secret of Grange's."""
    monkeypatch.setenv("FIELD", "barley")
    monkeypatch.setenv("GRANGE_TOKEN", "swordfish")
    monkeypatch.setenv("GRANGE_DATABASE", f"sqlite:///{tmp_path}/swordfish.db")
    monkeypatch.setenv("GRANGE_SESSIONS", "redis://:swordfish@127.0.0.1/0")
    look = "cat /proc/$PPID/environ > {output}/seen"

    done = grange("map", look, "in/a.txt", "--out", "out")

    assert 0 == done.returncode, done.stderr
    (seen,) = (tmp_path / "out").rglob("seen")
    assert (True, False) == (
        b"FIELD=barley" in seen.read_bytes(),
        b"swordfish" in seen.read_bytes(),
    )


def test_failed_items_have_an_exit_code_of_their_own(
    grange: Grange, inputs: Path, tmp_path: Path
) -> None:
    """The run goes on past a failure, ends with 3, and says what failed and what to do."""
    done = grange("map", FAIL_B, "in", "--out", "out", "--retries", "0", "--json")

    assert 3 == done.returncode, done.stderr
    told = events(done.stdout)
    items = {one["path"]: one for one in told if one["event"] == "item"}
    assert {"a.txt": "done", "b.txt": "failed", "c.txt": "done"} == {
        path: one["state"] for path, one in items.items()
    }
    assert "command.failed" == items["b.txt"]["failure"]["code"]
    assert 1 == items["b.txt"]["attempts"]
    end = told[-1]
    assert [("command.failed", 1, "b.txt")] == [
        (one["code"], one["count"], one["example"]) for one in end["failures"]
    ]
    assert f"grange runs retry {end['run']}" in end["next"]
    assert "" == done.stderr


def test_quiet_says_only_what_went_wrong(grange: Grange, inputs: Path) -> None:
    """A script's log stays empty as long as all is well."""
    well = grange("map", COPY, "in", "--out", "well", "--quiet")
    badly = grange("map", FAIL_B, "in", "--out", "badly", "--retries", "0", "--quiet")

    assert (0, "", "") == (well.returncode, well.stdout, well.stderr)
    assert (3, "") == (badly.returncode, badly.stdout)
    assert "1 × command.failed" in badly.stderr
    assert "grange runs retry" in badly.stderr


def test_a_dry_run_does_nothing(grange: Grange, inputs: Path, tmp_path: Path) -> None:
    """It says what would be done, to people and to programs."""
    words = ["map", COPY, "in", "--out", "out", "--exclude", "c*", "--dry-run"]
    said = grange(*words)
    told = grange(*words, "--json")

    assert (0, 0) == (said.returncode, told.returncode)
    assert "2 items" in said.stdout
    assert "a.txt" in said.stdout
    assert "c.txt" not in said.stdout
    (plan,) = events(told.stdout)
    assert (2, ["a.txt", "b.txt"]) == (plan["items"], plan["examples"])
    assert not (tmp_path / "out").exists()
    assert "" == grange("runs", "list", "--json").stdout


def test_the_same_command_again_costs_nothing(grange: Grange, inputs: Path) -> None:
    """What is done is not done again."""
    for out in ("out", "out", "elsewhere"):
        done = grange("map", COPY, "in", "--out", out, "--json")
        assert 0 == done.returncode, done.stderr

    assert 3 == events(done.stdout)[-1]["counts"]["reused"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_run_that_goes_on_later(
    grange: Grange, inputs: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """It ends within seconds with 130, says how to go on, and resuming brings it to its end."""
    wait = "touch started-{name}; while ! test -e go; do sleep 0.05; done; cp {input} {output}/copy"
    process = _start("map", wait, "in", "--out", "out", "-w", "2", cwd=tmp_path)
    _wait_for(tmp_path / "started-a.txt")

    process.send_signal(number)
    out, err = process.communicate(timeout=20)

    assert 130 == process.returncode, err
    run = events(out)[0]["run"]
    assert "stopped" == events(out)[-1]["event"]
    assert f"grange runs resume {run}" in err
    (tmp_path / "go").touch()
    resumed = grange("runs", "resume", run)
    assert 0 == resumed.returncode, resumed.stderr
    assert 3 == events(resumed.stdout)[-1]["counts"]["done"]


@pytest.mark.parametrize(
    ("word", "state", "code"), [("pause", "paused", 130), ("cancel", "cancelled", 1)]
)
@pytest.mark.usefixtures("inputs")
def test_a_run_is_paused_or_cancelled_from_elsewhere(
    grange: Grange, tmp_path: Path, word: str, state: str, code: int
) -> None:
    """Whoever works on it lets go within seconds, and says what became of it."""
    wait = "touch started-{name}; while ! test -e go; do sleep 0.05; done; cp {input} {output}/copy"
    process = _start("map", wait, "in", "--out", "out", cwd=tmp_path)
    _wait_for(tmp_path / "started-a.txt")

    asked = grange("runs", word, "last")
    out, err = process.communicate(timeout=20)

    assert 0 == asked.returncode, asked.stderr
    assert f"process {process.pid}" in asked.stdout
    assert (code, state) == (process.returncode, events(out)[-1]["state"])
    (tmp_path / "go").touch()
    again = grange("runs", "resume" if word == "pause" else "retry", "last", "--quiet")
    assert (0, "") == (again.returncode, again.stdout), again.stderr + err


def test_a_second_signal_ends_the_process_at_once() -> None:
    """Nobody has to wait for what does not stop."""
    process = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert "ready\n" == process.stdout.readline()

    process.send_signal(signal.SIGINT)
    assert "asked\n" == process.stdout.readline()
    process.send_signal(signal.SIGTERM)

    assert 130 == process.wait(timeout=5)
    process.stdout.close()


def test_a_detached_run_goes_on_without_the_command(
    grange: Grange, inputs: Path, tmp_path: Path
) -> None:
    """The command returns at once; watching follows the run to its end."""
    wait = "while ! test -e go; do sleep 0.05; done; cp {input} {output}/copy"
    begun = grange("map", wait, "in", "--out", "out", "--detach")

    assert 0 == begun.returncode, begun.stderr
    assert "detached" == events(begun.stdout)[-1]["event"]
    (tmp_path / "go").touch()
    deadline = time.monotonic() + 30
    while json.loads(grange("runs", "show", "last", "--json").stdout)["state"] != "done":
        assert time.monotonic() < deadline
        assert grange("runs", "watch", "last").returncode in {0, 130}


def test_the_same_command_twice_at_once_is_one_run(
    grange: Grange, inputs: Path, tmp_path: Path
) -> None:
    """The second one says so and follows; both end well."""
    wait = "touch started-{name}; while ! test -e go; do sleep 0.05; done; cp {input} {output}/copy"
    first = _start("map", wait, "in", "--out", "out", cwd=tmp_path)
    _wait_for(tmp_path / "started-a.txt")
    second = _start("map", wait, "in", "--out", "out", cwd=tmp_path)
    assert second.stdout
    told = json.loads(second.stdout.readline())
    (tmp_path / "go").touch()

    first_out, first_err = first.communicate(timeout=40)
    second_out, second_err = second.communicate(timeout=40)

    assert str(first.pid) in told["driver"]
    assert events(first_out)[0]["run"] == told["run"]
    assert (0, 0) == (first.returncode, second.returncode), first_err + second_err
    assert "finished" == events(second_out)[-1]["event"]


def test_a_reader_that_goes_away_stops_no_run(inputs: Path, tmp_path: Path) -> None:
    """`grange map … | head -1` still does its work."""
    process = _start("map", f"sleep 0.2; {COPY}", "in", "--out", "out", cwd=tmp_path)
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()

    err = process.stderr.read()
    process.stderr.close()
    assert 0 == process.wait(timeout=30), err
    assert (tmp_path / "out" / "report.html").exists()
    assert "Broken" not in err


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["run", "nonsense", "in", "--out", "out"], 1, "pipeline.not_found"),
        (["run", "./no.py", "in", "--out", "out"], 1, "pipeline.not_found"),
        (["run", "command", "in", "--out", "out", "--set", "x"], 2, "parameter.invalid"),
        (["map", COPY, "missing", "--out", "out"], 2, "inputs.invalid"),
        (["map", COPY, "in", "--out", "out", "--workers", "0"], 2, "setting.invalid"),
        (["map", COPY, "in", "--out", "out", "--timeout", "-1"], 2, "setting.invalid"),
    ],
)
@pytest.mark.usefixtures("inputs")
def test_a_request_that_makes_no_sense_is_refused(
    grange: Grange, tmp_path: Path, words: list[str], code: int, error: str
) -> None:
    """Nothing is begun, and the error says which part is wrong."""
    done = grange(*words)

    assert code == done.returncode
    assert f"[{error}]" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_pipeline_of_ones_own_is_a_file(grange: Grange, inputs: Path, tmp_path: Path) -> None:
    """A file next to the data is enough."""
    (tmp_path / "lines.py").write_text(
        "from grange.pipelines.base import Pipeline\n"
        "class Lines(Pipeline):\n"
        "    name, version, summary = 'lines', '1', 'Counts lines.'\n"
        "    def process(self, part, params, model, work):\n"
        "        count = len(part.item.file.read_text().splitlines())\n"
        "        (work.output / 'count').write_text(str(count))\n"
        "        return {'lines': count}\n"
    )

    done = grange("run", "./lines.py", "in", "--out", "out")

    assert 0 == done.returncode, done.stderr
    assert "1" == (tmp_path / "out" / "a.txt" / "count").read_text()


def test_odd_names_go_through_and_show(grange: Grange, tmp_path: Path) -> None:
    """A name that is no text, breaks lines or moves the cursor is worked on, and shown escaped."""
    folder = tmp_path / "in"
    folder.mkdir()
    names = [b"two\nlines", b"\x1b[31mred", b"-dash", b"no\xfftext", "ä 日本".encode(), b'"q" \'']
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(name)

    done = grange("map", COPY, "in", "--out", "out", "--json")
    items = grange("runs", "items", "last")

    assert 0 == done.returncode, done.stderr
    assert len(names) == sum(one["event"] == "item" for one in events(done.stdout))
    assert len(names) + 1 == len(items.stdout.splitlines())
    assert "\x1b" not in items.stdout
    assert r"two\nlines" in items.stdout
    assert "ä 日本" in items.stdout
