"""A machine joins a server and takes its work: by shared folders, or over HTTP alone."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import httpx

from tests.engines.rig import is_alive
from tests.faults import parts
from tests.worker.station.stage import Stage, until

SHARED_WORDS = "with the server"


def test_a_worker_that_shares_folders_does_the_work_in_them(stage: Stage) -> None:
    """What it makes is where it belongs at once, and it says which folders it shares."""
    worker = stage.worker("near", slots=2)
    worker.wait_for(SHARED_WORDS)
    contents = {f"{number}.txt": f"text {number}\n" for number in range(12)}

    run = stage.submit(stage.fill("near-in", contents), "cat {input} > {output}/copy; echo said")

    assert "done" == stage.finish(run)["state"]
    assert contents == _copies(stage, run)
    assert str(stage.share) in worker.text()
    assert not (worker.home / "worker" / "inputs").exists()


def test_a_worker_that_shares_nothing_brings_and_carries_all(stage: Stage) -> None:
    """Over HTTP come the same bytes, and logs; names and times of inputs are their own."""
    worker = stage.worker("far", slots=2, prefix=stage.apart())
    worker.wait_for("joined")
    contents = {f"{number}.txt": f"text {number}\n" * 1000 for number in range(12)}
    folder = stage.fill("far-in", contents)
    os.utime(folder / "3.txt", (1_000_000_000, 1_000_000_000))

    shell = "cat {input} > {output}/copy; stat -c %Y {input} > {output}/time; echo {name}"
    run = stage.submit(folder, shell)

    assert "done" == stage.finish(run)["state"]
    assert contents == _copies(stage, run)
    assert SHARED_WORDS not in worker.text()
    assert "1000000000\n" == (stage.outputs(run) / "3.txt" / "time").read_text()
    assert {f"{name}\n" for name in contents} == {
        log.read_text() for log in (stage.server.home / "runs" / run).rglob("*.out")
    }


def test_a_cache_that_holds_few_inputs_is_enough(stage: Stage) -> None:
    """What waits for room is in the way of nothing that gives room."""
    size = 40_000
    worker = stage.worker("small", "--cache-bytes", str(2 * size), slots=2, prefix=stage.apart())
    worker.wait_for("joined")
    contents = {f"{number}.txt": f"{number}" * size for number in range(8)}

    run = stage.submit(stage.fill("small-in", contents), "cp {input} {output}/copy; true")

    assert "done" == stage.finish(run)["state"]
    assert contents == _copies(stage, run)
    inputs = (worker.home / "worker" / "inputs").glob("*/in/*")
    assert sum(one.stat().st_size for one in inputs) <= 2 * size


def test_parts_are_merged_wherever_they_were_made(stage: Stage) -> None:
    """By a machine that shares the folders and one that doesn't, to the same bytes."""
    stage.worker("half-near").wait_for("joined")
    stage.worker("half-far", prefix=stage.apart()).wait_for("joined")
    texts = {f"{number}.txt": f"{number} small texts in parts" for number in range(3)}
    pipeline = Path(parts.__file__).resolve()

    run = stage.submit(
        stage.fill("parts-in", texts), "", pipeline=str(pipeline), params={}, retries=0
    )

    assert "done" == stage.finish(run)["state"]
    assert {name: text.upper() for name, text in texts.items()} == {
        one.parent.name: one.read_text() for one in stage.outputs(run).rglob("capitals")
    }
    lengths = "".join(f"{name} done {len(text)}\n" for name, text in sorted(texts.items()))
    [report] = stage.outputs(run).rglob("lengths.txt")
    assert lengths == report.read_text()


def test_a_restart_needs_no_line_and_no_second_name(stage: Stage) -> None:
    """Who it is lies in a file that nobody else may read; the line is used up."""
    line = stage.line()
    first = stage.worker("again", line=line)
    first.wait_for("joined")
    assert 0 == first.end()
    papers = first.home / "worker" / "papers.json"
    before = json.loads(papers.read_text())

    for kept in ("", line):
        second = stage.worker("again", line=kept)
        second.wait_for(f"as {before['name']} ")
        assert 0 == second.end()

    assert 0o600 == stat.S_IMODE(papers.stat().st_mode)
    assert before["worker"] == json.loads(papers.read_text())["worker"]


def test_commands_see_no_key_of_the_worker(stage: Stage) -> None:
    """What executes people's commands has nothing in its environment that opens anything."""
    secrets = {"AWS_SECRET_ACCESS_KEY": "hush-aws", "GRANGE_TOKEN": "hush-token"}
    worker = stage.worker("secret", environment=secrets)
    worker.wait_for("joined")
    papers = json.loads((worker.home / "worker" / "papers.json").read_text())

    run = stage.submit(stage.fill("secret-in", {"a": "1"}), "env > {output}/env")

    assert "done" == stage.finish(run)["state"]
    seen = (stage.outputs(run) / "a" / "env").read_text()
    assert "GRANGE_WORKER=" in seen
    assert not [one for one in ("hush", papers["key"], papers["engine"]) if one in seen]


def test_its_numbers_are_where_the_server_says(stage: Stage) -> None:
    """Prometheus finds them by the server's list, and sees the work that was done."""
    worker = stage.worker("counted", "--metrics-port", "0")
    worker.wait_for(SHARED_WORDS)
    run = stage.submit(stage.fill("counted-in", {"a": "1"}), "true # counted")
    assert "done" == stage.finish(run)["state"]

    url = stage.admin.get("/workers/counted").json()["metrics_url"]

    [line] = [
        one
        for one in httpx.get(url).text.splitlines()
        if one.startswith("grange_worker_tasks_total{") and "done" in one
    ]
    assert 1.0 == float(line.rpartition(" ")[2])


def test_a_second_worker_in_one_home_is_refused(stage: Stage) -> None:
    """Two of them would take each other's work for their own."""
    first = stage.worker("alone")
    first.wait_for("joined")

    second = stage.worker("alone", line="")

    assert 1 == second.process.wait(30)
    second.wait_for("Another worker on this machine")


def test_a_machine_without_papers_or_line_says_what_to_do(stage: Stage) -> None:
    """The way to a line is in the message; the exit code is that of a wrong command line."""
    worker = stage.worker("nobody", line="")

    assert 2 == worker.process.wait(30)
    worker.wait_for("grange workers token")


def test_drained_it_takes_nothing_new_until_it_may_again(stage: Stage) -> None:
    """Whoever looks after the server can let a machine finish, and bring it back."""
    worker = stage.worker("drained")
    worker.wait_for(SHARED_WORDS)
    stage.change("drained", state="draining")
    worker.wait_for("drains")
    run = stage.submit(stage.fill("drained-in", {"a": "1"}), "true")
    time.sleep(1)  # In which it would take the task, if it took any.
    assert 0 == stage.run(run)["counts"]["done"]

    stage.change("drained", state="active")

    assert "done" == stage.finish(run)["state"]


def test_removed_it_ends_and_says_so(stage: Stage) -> None:
    """Its credentials open nothing any more; it doesn't try for ever."""
    worker = stage.worker("removed")
    worker.wait_for("joined")

    stage.remove("removed")

    assert 1 == worker.process.wait(30)
    worker.wait_for("removed")


def test_told_to_end_it_finishes_what_is_begun(stage: Stage) -> None:
    """One SIGTERM loses no work; what is not begun goes to others."""
    worker = stage.worker("ending")
    worker.wait_for(SHARED_WORDS)
    begun = stage.share / "begun"
    shell = f"touch {begun}; sleep 1; cat {{input}} > {{output}}/copy"
    run = stage.submit(stage.fill("ending-in", {"a": "1", "b": "2"}), shell, retries=0)
    until(begun.exists, "a task that is begun")

    assert 0 == worker.end()

    until(lambda: stage.run(run)["counts"]["done"] == 1, "what was begun")
    other = stage.worker("heir")
    other.wait_for("joined")
    assert (2, 0) == _counts(stage.finish(run))


def test_what_takes_too_long_to_end_is_given_back(stage: Stage) -> None:
    """After the time limit the rest goes to others, and doesn't count as a try."""
    worker = stage.worker("hurried", "--drain-seconds", "0.2")
    worker.wait_for(SHARED_WORDS)
    begun = stage.share / "hurried-begun"
    shell = f"test -e {begun} || {{ touch {begun}; sleep 60; }}"
    run = stage.submit(stage.fill("hurried-in", {"a": "1"}), shell, retries=0)
    until(begun.exists, "a task that is begun")

    assert 130 == worker.end()
    worker.wait_for("gives back 1 tasks")

    stage.worker("heir-of-hurried").wait_for("joined")
    assert (1, 0) == _counts(stage.finish(run))


def test_a_cancelled_run_is_stopped_here_too(stage: Stage) -> None:
    """Within seconds nothing of it is left at work."""
    worker = stage.worker("cancelled")
    worker.wait_for(SHARED_WORDS)
    pid = stage.share / "cancelled-pid"
    run = stage.submit(stage.fill("cancelled-in", {"a": "1"}), f"echo $$ > {pid}; exec sleep 600")
    until(lambda: pid.exists() and pid.read_text().strip(), "a task that is begun")

    answer = stage.admin.post(f"/runs/{run}/cancel")

    assert answer.status_code < 300, answer.text
    number = int(pid.read_text())
    until(lambda: not is_alive(number), "the end of its command", seconds=20)


def test_it_ends_by_itself_when_there_is_nothing_to_do(stage: Stage) -> None:
    """A script can start a worker and wait for its end."""
    worker = stage.worker("idle", "--until-idle", "0.5")

    assert 0 == worker.process.wait(30)


def test_gpus_are_pinned_to_tasks(stage: Stage) -> None:
    """Each task that asks for one sees one that no other has; the others see none."""
    worker = stage.worker("gpus", "--gpu", "3,5", slots=2)
    worker.wait_for(SHARED_WORDS)
    shell = "echo $CUDA_VISIBLE_DEVICES > {output}/gpu; sleep 1"
    files = {"a": "1", "b": "2"}

    one = stage.submit(stage.fill("gpu-in", files), shell, needs={"gpus": 1})
    assert (2, 0) == _counts(stage.finish(one))
    none = stage.submit(stage.fill("nogpu-in", files), f"{shell}; true")
    assert (2, 0) == _counts(stage.finish(none))

    seen = [(stage.outputs(one) / name / "gpu").read_text().strip() for name in files]
    assert ["3", "5"] == sorted(seen)
    assert "\n" == (stage.outputs(none) / "a" / "gpu").read_text()


def _copies(stage: Stage, run: str) -> dict[str, str]:
    return {copy.parent.name: copy.read_text() for copy in stage.outputs(run).rglob("copy")}


def _counts(run: dict[str, dict[str, int]]) -> tuple[int, int]:
    return run["counts"]["done"], run["counts"]["failed"]
