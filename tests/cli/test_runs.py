"""`grange runs`: what is known of runs, and what may be done to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.invocations import Grange, events

FAIL_B = (
    'echo "at {name}"; test {name} != b.txt || { echo "no b here" >&2; exit 7; }; touch {output}/ok'
)


@pytest.fixture
def run(grange: Grange, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the id of an ended run of which one item of three has failed, at both attempts."""
    monkeypatch.setenv("GRANGE_RETRY_DELAY_SECONDS", "0.05")
    words = ["--name", "first one", "--retries", "1", "--json"]
    done = grange("map", FAIL_B.replace("exit 7", "exit ${CODE:-7}"), "in", "--out", "out", *words)

    assert 3 == done.returncode, done.stderr
    identity: str = events(done.stdout)[0]["run"]
    return identity


def test_no_runs_are_told_as_the_one_next_step(grange: Grange) -> None:
    """Who begins is shown how."""
    done = grange("runs", "list")

    assert 0 == done.returncode
    assert "grange map" in done.stdout


def test_runs_are_listed_and_shown(grange: Grange, run: str) -> None:
    """A run is found by its id, the beginning of it, its name, or `last`."""
    table = grange("runs", "list").stdout.splitlines()
    (record,) = events(grange("runs", "list", "--json", "--state", "failed").stdout)
    shown = [grange("runs", "show", text).stdout for text in (run, run[:6], "first one", "last")]
    told = json.loads(grange("runs", "show", run, "--json").stdout)

    assert ["run", "state"] == table[0].split()[:2]
    assert [run, "failed"] == table[1].split()[:2]
    assert "" == grange("runs", "list", "--json", "--state", "done").stdout
    assert (run, "failed", "first one") == (record["id"], record["state"], record["name"])
    assert record["created_at"].endswith("+00:00")
    assert 1 == len(set(shown))
    assert "1 × command.failed" in shown[0]
    assert "out/report.html" in shown[0]
    assert f"next: grange runs retry {run}" in shown[0]
    assert (3, 1) == (told["counts"]["total"], told["counts"]["failed"])
    assert "command.failed" == told["failures"][0]["code"]


def test_items_are_listed(grange: Grange, run: str) -> None:
    """Each with its state, its outputs, and why it failed."""
    table = grange("runs", "items", run).stdout.splitlines()
    (failed,) = events(grange("runs", "items", run, "--state", "failed", "--json").stdout)

    assert 4 == len(table)
    assert any("b.txt" in line and "failed" in line for line in table)
    assert ("b.txt", 2, 7) == (
        failed["path"],
        failed["attempts"],
        failed["failure"]["evidence"]["exit_code"],
    )


def test_logs_are_what_the_attempts_wrote(grange: Grange, run: str) -> None:
    """All of them, those of one item, those of one attempt, or those of what failed."""
    everything = grange("runs", "logs", run).stdout
    failed = grange("runs", "logs", run, "--failed").stdout
    second = grange("runs", "logs", run, "b.txt", "--attempt", "2").stdout
    records = events(grange("runs", "logs", run, "b.txt", "--json").stdout)

    assert {"a.txt", "b.txt", "c.txt"} == {
        line.removeprefix("at ") for line in everything.splitlines() if line.startswith("at ")
    }
    assert 2 == failed.count("no b here")
    assert "at a.txt" not in failed
    assert "==> b.txt: attempt 2, failed" in second
    assert 1 == second.count("no b here")
    assert [1, 2] == [record["attempt"] for record in records]
    assert "no b here\n" == Path(records[0]["err_log"]).read_text()


def test_an_attempt_that_never_was_is_an_error(grange: Grange, run: str) -> None:
    """A slip in the number or the path is told as such."""
    attempt = grange("runs", "logs", run, "b.txt", "--attempt", "9")
    item = grange("runs", "logs", run, "z.txt")

    assert (1, 1) == (attempt.returncode, item.returncode)
    assert "There is no attempt 9 at b.txt." in attempt.stderr
    assert "[item.not_found]" in item.stderr


def test_retrying_works_on_what_failed(
    grange: Grange, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has failed is tried again, and what was done stays."""
    monkeypatch.setenv("CODE", "0")

    done = grange("runs", "retry", run, "--json")

    assert 0 == done.returncode, done.stderr
    told = events(done.stdout)
    assert ["b.txt"] == [one["path"] for one in told if one["event"] == "item"]
    assert 3 == told[-1]["counts"]["done"]


def test_an_ended_run_is_not_resumed_nor_cancelled(grange: Grange, run: str) -> None:
    """The error says what to do instead."""
    resumed = grange("runs", "resume", run)
    cancelled = grange("runs", "cancel", run)

    assert (1, 1) == (resumed.returncode, cancelled.returncode)
    assert "[run.ended]" in resumed.stderr
    assert f"grange runs retry {run}" in resumed.stderr
    assert "[run.ended]" in cancelled.stderr


def test_deleting_asks_first(grange: Grange, run: str, tmp_path: Path) -> None:
    """Without a person to ask, nothing is deleted, and what would be lost is said."""
    asked = grange("runs", "delete", run)
    kept = grange("runs", "delete", run, "--yes")

    assert 2 == asked.returncode
    assert "the account and the logs of 3 items" in asked.stderr
    assert "--yes" in asked.stderr
    assert 0 == kept.returncode
    assert (tmp_path / "out" / "a.txt" / "ok").exists()
    assert 1 == grange("runs", "show", run).returncode


def test_deleting_takes_the_outputs_too_when_asked_to(
    grange: Grange, run: str, tmp_path: Path
) -> None:
    """Results go only with the flag that names them."""
    (tmp_path / "out" / "mine.txt").write_text("not of the run")

    done = grange("runs", "delete", run, "--outputs", "--yes")

    assert 0 == done.returncode, done.stderr
    assert ["mine.txt"] == [path.name for path in (tmp_path / "out").iterdir()]


@pytest.mark.parametrize(
    "words", [["runs", "list", "--state", "odd"], ["runs", "items", "x", "--state", "odd"]]
)
def test_a_state_that_is_none_is_refused(grange: Grange, words: list[str]) -> None:
    """The error names those that there are."""
    done = grange(*words)

    assert 0 != done.returncode
    assert "grange: error: " in done.stderr
