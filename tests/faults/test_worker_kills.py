"""kill -9 of workers and of their commands, at every step of a task."""

from __future__ import annotations

import os
import signal

import pytest

from tests.faults.scene import Scene, finish, wait_until

TEXTS = {name: f"this is {name}\n" for name in ("a.txt", "b.txt", "c.txt", "d.txt", "e.txt")}
COPIES = {f"{name}/copy": text.encode() for name, text in TEXTS.items()}
COPY = ("map", "cat {input} > {output}/copy", "in", "--out", "out", "--json")

# Where a worker is when it is killed, with the call's number.
STEPS = [
    ("before", "grange.engines.channel:Channel.send", 1),  # before it is ready
    ("after", "grange.engines.channel:Channel.send", 1),  # ready, without a task
    ("after", "grange.engines.channel:Channel.receive", 1),  # a task has come
    ("before", "grange.worker.execute:Executor.execute", 1),
    ("after", "grange.worker.inputs:Input.__init__", 1),
    ("after", "grange.storage.local:LocalStore.staging", 1),
    ("before", "grange.pipelines.command.process:run_command", 1),
    ("after", "grange.pipelines.command.process:run_command", 1),  # written, not sealed
    ("after", "grange.storage.files:seal", 1),  # sealed, without an outcome
    ("after", "grange.worker.execute:Executor.execute", 1),  # an outcome that nobody has heard
    ("after", "grange.worker.execute:Executor.execute", 2),
    ("before", "grange.engines.channel:Channel.send", 2),
    ("after", "grange.engines.channel:Channel.send", 2),  # the outcome is out
]


@pytest.mark.parametrize(("when", "step", "number"), STEPS, ids=str)
def test_a_run_loses_nothing_with_a_worker(scene: Scene, when: str, step: str, number: int) -> None:
    """The run ends well with another worker, and says which attempts were lost."""
    scene.fill(TEXTS)

    done = scene.run(*COPY, fault=f"worker:{when}:{step}:{number}:SIGKILL")

    assert 0 == done.returncode, done.stderr
    assert (scene.folder / "struck").exists()
    scene.check(COPIES)
    lost = scene.ledger("select count(*) from attempts where end = 'lost'")[0][0]
    assert lost in {0, 1}
    assert len(TEXTS) + lost == sum(one["attempts"] for one in scene.items().values())


def test_a_worker_killed_while_a_command_writes_takes_the_command_along(scene: Scene) -> None:
    """What is half is never published, and the next attempt writes it whole."""
    scene.fill(TEXTS)
    half = (
        "head -c 4 {input} > {output}/copy; "
        "if test {name} = b.txt && mkdir once 2>/dev/null; then kill -9 $PPID; sleep 60; fi; "
        "tail -c +5 {input} >> {output}/copy"
    )

    done = scene.run("map", half, "in", "--out", "out", "--json")

    assert 0 == done.returncode, done.stderr
    scene.check(COPIES)
    assert {2} == {one["attempts"] for one in scene.items().values()} - {1}


def test_an_input_that_kills_its_workers_is_set_aside(scene: Scene) -> None:
    """Three lost workers are enough: the item fails with its evidence, the others are done."""
    scene.fill(TEXTS)
    deadly = (
        "echo {name} >> tries; test {name} != b.txt || kill -9 $PPID; cat {input} > {output}/copy"
    )

    done = scene.run("map", deadly, "in", "--out", "out", "--json")

    assert 3 == done.returncode, done.stderr
    scene.check_account()
    items = scene.items()
    assert {"b.txt"} == {path for path, one in items.items() if one["state"] == "failed"}
    assert 3 == items["b.txt"]["attempts"]
    assert "worker.lost" == items["b.txt"]["failure"]["code"]
    assert "SIGKILL" in items["b.txt"]["failure"]["message"]
    assert "SIGKILL" == items["b.txt"]["failure"]["evidence"]["signal"]
    assert 3 == (scene.folder / "tries").read_text().count("b.txt")


def test_all_workers_killed_at_once_are_replaced(scene: Scene) -> None:
    """The run goes on with fresh ones."""
    scene.fill(TEXTS)
    wait = (
        "touch begun-{name}; while ! test -e go; do sleep 0.02; done; cat {input} > {output}/copy"
    )
    process = scene.start("map", wait, "in", "--out", "out", "--json")
    wait_until(lambda: len(list(scene.folder.glob("begun-*"))) == 2)

    for worker in scene.workers():
        os.kill(worker, signal.SIGKILL)
    (scene.folder / "go").touch()
    done = finish(process)

    assert 0 == done.returncode, done.stderr
    scene.check(COPIES)
    assert [1, 1, 1, 2, 2] == sorted(one["attempts"] for one in scene.items().values())


def test_a_killed_command_is_tried_again(scene: Scene) -> None:
    """A command that somebody kills once costs one attempt, and no worker."""
    scene.fill(TEXTS)
    once = (
        "if test {name} = b.txt && mkdir once 2>/dev/null; then kill -9 $$; fi; "
        "cat {input} > {output}/copy"
    )

    done = scene.run("map", once, "in", "--out", "out", "--json")

    assert 0 == done.returncode, done.stderr
    scene.check(COPIES)
    assert 2 == scene.items()["b.txt"]["attempts"]
    (failure,) = scene.ledger("select failure from attempts where end = 'failed'")
    assert "command.killed" in failure[0]
