"""Nothing outlives an engine: no worker, no command of theirs, no temporary file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from grange.core.tasks import Batch
from tests.engines.rig import Rig, is_alive, pids, wait_for

ROOT = Path(__file__).parents[2]
OWNER = Path(__file__).with_name("owner.py")


@pytest.mark.parametrize("end", ["closed", "dropped", "forgotten", "killed"])
def test_nothing_outlives_the_engine(tmp_path: Path, end: str) -> None:
    """Closed, collected as garbage, forgotten by a script that ends, or killed with its process."""
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": str(ROOT)}
    owner = subprocess.Popen([sys.executable, str(OWNER), end, str(tmp_path)], env=environment)
    try:
        wait_for((tmp_path / "workers").exists)
        if end != "dropped":
            owner.wait(30)
        left = [int(pid) for pid in (tmp_path / "workers").read_text().split()]
        left += [int((tmp_path / name).read_text()) for name in ("near", "far")]

        assert len(left) == 4
        wait_for(lambda: not any(map(is_alive, left)), seconds=3)
        wait_for(lambda: list((tmp_path / "temporary").iterdir()) == [], seconds=3)
        assert (owner.poll() is None) == (end == "dropped")
    finally:
        owner.kill()
        owner.wait()


def test_a_killed_worker_takes_its_commands_with_it(rig: Rig) -> None:
    """Those in its group, those in sessions of their own, and those whose parent is gone."""
    engine = rig.engine(workers=1)
    pid_files = [rig.folder / name for name in ("near", "session", "orphan")]
    near, session, orphan = map(str, pid_files)
    task = rig.task(
        f"""
        import subprocess, time
        open({near!r}, "w").write(str(subprocess.Popen(["sleep", "300"]).pid))
        child = subprocess.Popen(["sleep", "300"], start_new_session=True)
        open({session!r}, "w").write(str(child.pid))
        subprocess.run(["setsid", "sh", "-c", "(sleep 300 & echo $! > {orphan}.tmp) & wait"])
        import os
        while not os.path.getsize("{orphan}.tmp"):
            time.sleep(0.01)
        os.rename("{orphan}.tmp", {orphan!r})
        time.sleep(300)
        """
    )
    engine.start()
    engine.publish(Batch(rig.job(), (task,)))
    rig.turn_until(engine, pid_files[-1].exists)
    left = [int(file.read_text()) for file in pid_files]
    assert all(map(is_alive, left))

    os.kill(pids(engine)[0], signal.SIGKILL)
    rig.wait(engine, {task.id})

    assert not any(map(is_alive, left))


def test_scratch_folders_go_with_a_killed_worker(rig: Rig) -> None:
    """Also of a task that had no time to tidy up."""
    engine = rig.engine(workers=1)
    task = rig.task("import os; (work.scratch / 'file').touch(); os._exit(1)")

    rig.run_one(engine, task)

    assert [] == list(rig.temporary.rglob("file"))


def test_a_fork_of_the_owner_does_not_end_its_workers(rig: Rig) -> None:
    """A forked copy of the process closes its copy of the engine: the workers are not its own."""
    engine = rig.engine(workers=1)
    rig.start(engine)
    child = os.fork()
    if not child:
        engine.close()
        os._exit(0)
    os.waitpid(child, 0)

    assert rig.run_one(engine, rig.task("result = 1")).result == 1


def test_an_engine_can_be_started_again(rig: Rig) -> None:
    """Closing forgets its tasks; after another start it works like a new one."""
    engine = rig.engine(workers=1)
    engine.start()
    engine.publish(Batch(rig.job(), (rig.task(),)))
    engine.close()
    engine.close()

    assert ([], []) == (engine.alive(), list(engine.workers()))
    assert rig.run_one(engine, rig.task("result = 1")).result == 1
