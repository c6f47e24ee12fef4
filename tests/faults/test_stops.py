"""SIGSTOP of workers and drivers past their leases, and SIGCONT when others have taken over."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.cli.invocations import events
from tests.faults.scene import Scene, finish, wait_until

TEXTS = {name: f"this is {name}\n" for name in ("a.txt", "b.txt", "c.txt", "d.txt")}
COPIES = {f"{name}/copy": text.encode() for name, text in TEXTS.items()}

# The first attempt at b.txt waits for `first`, the second one for `second`.
IN_TURN = (
    "if test {name} = b.txt; then mkdir once 2>/dev/null && n=first || n=second; "
    "echo $PPID > $n-begun.new; mv $n-begun.new $n-begun; "
    "while ! test -e $n; do sleep 0.02; done; echo $n > {output}/copy; "
    "else cat {input} > {output}/copy; fi"
)
COPY = ("map", "cat {input} > {output}/copy", "in", "--out", "out", "--json")
STEPS = [
    "before:grange.runs.driving:keep:1",
    "after:grange.runs.driving:keep:1",
    "after:grange.engines.local:LocalEngine.publish:1",
    "before:grange.runs.outcomes:conclude:1",
    "after:grange.runs.outcomes:conclude:1",
    "before:grange.runs.publishing:_publish:2",
    "before:grange.runs.publishing:_finish:1",
    "before:grange.runs.closing:close:1",
    "before:grange.runs.manifest:write_manifests:1",
    "before:grange.runs.driving:finish:1",
]


def test_what_a_stopped_worker_says_too_late_is_refused(scene: Scene) -> None:
    """Its task goes to another worker; its own outcome comes to nothing when it wakes."""
    scene.variables["GRANGE_LEASE_SECONDS"] = "2"
    scene.fill(TEXTS)
    process = scene.start("map", IN_TURN, "in", "--out", "out", "--json")
    wait_until((scene.folder / "first-begun").exists)
    stopped = int((scene.folder / "first-begun").read_text())
    os.kill(stopped, signal.SIGSTOP)
    wait_until((scene.folder / "second-begun").exists)

    (scene.folder / "first").touch()
    os.kill(stopped, signal.SIGCONT)
    wait_until(lambda: not Path(f"/proc/{stopped}").exists())
    (scene.folder / "second").touch()
    done = finish(process)

    assert 0 == done.returncode, done.stderr
    scene.check({**COPIES, "b.txt/copy": b"second\n"})
    assert 2 == scene.items()["b.txt"]["attempts"]


@pytest.mark.parametrize("step", STEPS)
def test_a_stopped_driver_loses_its_run_to_another(scene: Scene, step: str) -> None:
    """Who wakes up after its lease finds the run in other hands, and doubles nothing."""
    scene.variables["GRANGE_LEASE_SECONDS"] = "1"
    scene.fill(TEXTS)
    first = scene.start(*COPY, fault=f"driver:{step}:SIGSTOP")
    wait_until((scene.folder / "struck").exists)

    second = scene.run(*COPY)
    os.kill(first.pid, signal.SIGCONT)
    woken = finish(first)

    assert (0, 0) == (second.returncode, woken.returncode), second.stderr + woken.stderr
    assert "finished" == events(woken.stdout)[-1]["event"]
    scene.check(COPIES)
    assert [(1,)] == scene.ledger("select count(*) from runs")


def test_a_stopped_driver_wakes_up_while_another_works(scene: Scene) -> None:
    """It notices, lets go of its workers, and follows the other one to the end."""
    scene.variables["GRANGE_LEASE_SECONDS"] = "1"
    scene.fill(TEXTS)
    wait = "while ! test -e go; do sleep 0.02; done; cat {input} > {output}/copy"
    command = ("map", f"echo {{name}} >> log; {wait}", "in", "--out", "out", "--json")
    log = scene.folder / "log"
    first = scene.start(*command)
    wait_until(lambda: log.exists() and len(log.read_text().splitlines()) == 2)
    os.kill(first.pid, signal.SIGSTOP)
    second = scene.start(*command)
    wait_until(lambda: len(log.read_text().splitlines()) == 4)

    os.kill(first.pid, signal.SIGCONT)
    wait_until(lambda: len(scene.workers()) == 2)
    (scene.folder / "go").touch()
    told = [finish(first), finish(second)]

    assert [0, 0] == [one.returncode for one in told], told
    notes = [one["text"] for one in events(told[0].stdout) if one["event"] == "note"]
    assert any(f"process {second.pid}" in note or "taken over" in note for note in notes)
    scene.check(COPIES)
