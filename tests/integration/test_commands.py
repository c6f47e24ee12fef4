"""Commands that misbehave: each leaves evidence, no process, and the other items alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from tests.faults.scene import Scene, wait_until

COPY = "cat {input} > {output}/copy"


def _bad_item(scene: Scene, bad: str, *words: str, retries: int = 0) -> dict[str, Any]:
    """Run a command that does this with b.txt and copies the others; give what came of b.txt."""
    scene.fill({"a.txt": "a", "b.txt": "b", "c.txt": "c"})
    command = f"if test {{name}} = b.txt; then {bad}; else {COPY}; fi"
    options = ("--retries", str(retries), "--json", *words)
    done = scene.run("map", command, "in", "--out", "out", *options)
    assert 3 == done.returncode, done.stderr
    scene.check_account()
    items = scene.items()
    assert {"a.txt", "c.txt"} == {path for path, one in items.items() if one["state"] == "done"}
    bad_one = items["b.txt"]
    assert retries + 1 == bad_one["attempts"]
    return bad_one


def test_a_command_that_fails_leaves_its_code_and_its_last_words(scene: Scene) -> None:
    """Each attempt is counted, and what it wrote is not published."""
    bad = 'echo half > {output}/copy; echo "no b here" >&2; exit 7'

    item = _bad_item(scene, bad, retries=2)

    failure = item["failure"]
    assert "command.failed" == failure["code"]
    assert 7 == failure["evidence"]["exit_code"]
    assert "no b here" in failure["evidence"]["said"]
    assert [(3,)] == scene.ledger("select count(*) from attempts where end = 'failed'")


def test_a_command_that_hangs_is_ended_at_its_time_limit(scene: Scene) -> None:
    """So is one that ignores being asked to end."""
    bad = "trap '' TERM; echo waiting; while :; do sleep 1; done"

    item = _bad_item(scene, bad, "--timeout", "1")

    assert "task.timed_out" == item["failure"]["code"]
    assert "waiting" in item["failure"]["evidence"]["said"]


def test_a_command_leaves_no_daemon_behind(scene: Scene) -> None:
    """What it forks into the background, in a session of its own, ends with it."""
    scene.fill({"a.txt": "a", "b.txt": "b"})
    daemon = "setsid sh -c 'echo $$ >> pids; sleep 100' >/dev/null 2>&1 & sleep 0.2;"

    done = scene.run("map", f"{daemon} {COPY}", "in", "--out", "out", "--json")

    assert 0 == done.returncode, done.stderr
    scene.check({"a.txt/copy": b"a", "b.txt/copy": b"b"})
    pids = (scene.folder / "pids").read_text().split()
    assert 2 == len(pids)
    assert [] == [pid for pid in pids if _lives(int(pid))]


def test_a_command_that_floods_its_output_fills_no_disk(scene: Scene) -> None:
    """Of a hundred megabytes the beginning and the end are kept, and shown."""
    bad = "echo first; head -c 100000000 /dev/zero | tr '\\0' 'x'; echo; echo last; exit 1"

    item = _bad_item(scene, bad)

    assert item["failure"]["evidence"]["said"].endswith("last")
    assert len(item["failure"]["evidence"]["said"]) < 20_000
    logs = list((scene.home / "runs").rglob("*.out"))
    assert sum(log.stat().st_size for log in logs) < 40 << 20
    (flooded,) = [log for log in logs if log.stat().st_size > 1 << 20]
    content = flooded.read_bytes()
    assert content.startswith(b"first\n")
    assert content.endswith(b"last\n")


def test_a_command_that_eats_memory_is_ended_at_its_limit(scene: Scene) -> None:
    """The evidence says how much it held, whatever of its children held it."""
    bad = "sh -c 'head -c 400000000 /dev/zero | tail -c 400000000 | (sleep 5; cat >/dev/null)'; :"

    item = _bad_item(scene, bad, "--set", "memory=100MB")

    failure = item["failure"]
    assert "task.memory_exceeded" == failure["code"]
    assert failure["evidence"]["peak_memory_bytes"] > 100_000_000
    assert 100_000_000 == failure["evidence"]["memory_limit_bytes"]


def test_a_command_may_delete_its_input(scene: Scene) -> None:
    """Its digest was taken from the open file; the item is done."""
    scene.fill({"a.txt": "a", "b.txt": "b" * 2_000_000})

    done = scene.run("map", f"{COPY}; rm {{input}}", "in", "--out", "out", "--json")

    assert 0 == done.returncode, done.stderr
    scene.check({"a.txt/copy": b"a", "b.txt/copy": b"b" * 2_000_000})
    assert [] == os.listdir(scene.inputs)
    assert all(len(one["input_sha256"]) == 64 for one in scene.items().values())


def test_a_command_that_kills_itself_leaves_its_signal(scene: Scene) -> None:
    """It is told apart from one that failed."""
    item = _bad_item(scene, "kill -SEGV $$", retries=1)

    assert "command.killed" == item["failure"]["code"]
    assert "SIGSEGV" == item["failure"]["evidence"]["signal"]


def test_a_command_that_is_not_there_is_not_tried_again(scene: Scene) -> None:
    """Trying again can't help."""
    scene.fill({"a.txt": "a"})

    done = scene.run("run", "command", "in", "--out", "out", "--set", "command=no-such-program")

    assert 3 == done.returncode, done.stderr
    item = scene.items()["a.txt"]
    assert ("command.not_found", 1) == (item["failure"]["code"], item["attempts"])
    assert "no-such-program" in item["failure"]["message"]


def test_what_cannot_be_published_fails_its_item_alone(scene: Scene) -> None:
    """A pipe in the output folder is refused, and nothing of it appears."""
    item = _bad_item(scene, "mkfifo {output}/pipe; echo x > {output}/x")

    assert "output.refused" == item["failure"]["code"]
    assert not (scene.out / "b.txt").exists()


def test_an_interrupted_command_has_nobody_waiting_for_it(scene: Scene) -> None:
    """Ctrl-C ends the commands too, even those that ignore it."""
    scene.fill({"a.txt": "a", "b.txt": "b"})
    deaf = "trap '' INT TERM HUP; echo $$ >> pids; while :; do sleep 0.1; done"
    process = scene.start("map", f"{deaf}; {COPY}", "in", "--out", "out")
    wait_until(lambda: _lines(scene.folder / "pids") == 2)

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert 130 == process.returncode
    scene.check_nothing_is_left()
    assert not any(_lives(int(pid)) for pid in (scene.folder / "pids").read_text().split())


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines()) if file.exists() else 0


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_of_low_priority_yields_to_others_on_the_machine(scene: Scene) -> None:
    """Its workers, and so its commands, are as nice as was asked for."""
    scene.fill({"a.txt": "a"})

    scene.run("map", "nice > {output}/nice", "in", "--out", "out", "--priority", "-7")

    written = int((scene.out / "a.txt" / "nice").read_text())
    assert min(os.nice(0) + 7, 19) == written
