"""Full disks: for outputs and for the database. Nothing half, and the run goes on with room."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.scene import Scene, outputs

MEGABYTE = 1 << 20
TEXTS = {f"{number:02}.txt": f"{number:02}" * 100_000 for number in range(12)}
COPIES = {f"{name}/copy": text.encode() for name, text in TEXTS.items()}

NOOP = """
from grange.pipelines import Pipeline
class Noop(Pipeline):
    name, version, summary = "noop", "1", "Does nothing."
    def process(self, part, params, model, work):
        return {"name": part.item.name * 20}
"""


def _fill_up(disk: Path, *, leave_bytes: int) -> Path:
    """Write a file that leaves so much room."""
    status = os.statvfs(disk)
    filler = disk / "filler"
    filler.write_bytes(bytes(status.f_bavail * status.f_frsize - leave_bytes))
    return filler


@pytest.mark.parametrize("again", ["resume", "same"])
def test_a_full_disk_for_outputs_stops_the_run_until_there_is_room(
    scene: Scene, small_disk: Callable[[int], Path], again: str
) -> None:
    """The error names the disk, what is published is whole, and the run goes on later."""
    disk = small_disk(8 * MEGABYTE)
    scene.out = disk / "out"
    scene.fill(TEXTS)
    filler = _fill_up(disk, leave_bytes=2 * MEGABYTE)
    command = ("map", "cat {input} > {output}/copy", "in", "--out", str(scene.out))

    stopped = scene.run(*command)

    assert 1 == stopped.returncode, stopped.stderr
    assert "[store.full]" in stopped.stderr
    assert str(disk) in stopped.stderr
    assert "grange runs resume" in stopped.stderr
    assert outputs(scene.out).items() <= COPIES.items()
    shown = scene.show()
    assert ("waiting", 0) == (shown["state"], shown["counts"]["failed"])
    assert str(disk) in shown["note"]

    filler.unlink()
    done = scene.runs("resume", "last") if again == "resume" else scene.run(*command)

    assert 0 == done.returncode, done.stderr
    scene.check(COPIES)
    assert {1} == {one["attempts"] for one in scene.items().values()}


def test_a_disk_that_is_full_for_the_report_alone_stops_the_end(
    scene: Scene, small_disk: Callable[[int], Path]
) -> None:
    """All items are done, the run is not: it ends when its account can be written."""
    disk = small_disk(4 * MEGABYTE)
    scene.out = disk / "out"
    scene.fill({"a.txt": "a", "b.txt": "b"})
    # The last command leaves no room at all, once its own output is written.
    command = (
        "map",
        (
            f"echo x > {{output}}/x; if test {{name}} = b.txt && mkdir once; then "
            f"sleep 0.3; dd if=/dev/zero of={disk}/filler bs=4k; fi; :"
        ),
        "in",
        "--out",
        str(scene.out),
    )

    stopped = scene.run(*command, "-w", "1")

    assert 1 == stopped.returncode, stopped.stderr
    assert "[store.full]" in stopped.stderr
    assert not (scene.out / "run.json").exists()

    (disk / "filler").unlink()
    done = scene.runs("resume", "last")

    assert 0 == done.returncode, done.stderr
    scene.check({"a.txt/x": b"x\n", "b.txt/x": b"x\n"})


def test_a_full_disk_for_the_database_stops_the_run_until_there_is_room(
    scene: Scene, small_disk: Callable[[int], Path]
) -> None:
    """A command fills the disk of the home: the ledger keeps what it has, and goes on later."""
    disk = small_disk(6 * MEGABYTE)
    scene.home = disk / "home"
    texts = {f"{number}.txt": f"{number}" for number in range(12)}
    scene.fill(texts)
    command = (
        "map",
        (
            f"cat {{input}} > {{output}}/copy; "
            "if test {name} = 5.txt && mkdir once; then "
            f"dd if=/dev/zero of={disk}/filler bs=4k; fi; :"
        ),
        "in",
        "--out",
        "out",
    )

    stopped = scene.run(*command, "-w", "1")

    assert 1 == stopped.returncode, stopped.stderr
    assert "[database.full]" in stopped.stderr
    assert str(disk) in stopped.stderr

    (disk / "filler").unlink()
    done = scene.run(*command)

    assert 0 == done.returncode, done.stderr
    scene.check({f"{name}/copy": text.encode() for name, text in texts.items()})


def test_a_full_disk_while_a_run_is_submitted(
    scene: Scene, small_disk: Callable[[int], Path]
) -> None:
    """A submission that has no room leaves nothing that could be taken for a whole run."""
    disk = small_disk(12 * MEGABYTE)
    scene.home = disk / "home"
    for number in range(3000):
        (scene.inputs / f"a name of some length, so that it takes room {number:04}").touch()
    (scene.folder / "noop.py").write_text(NOOP)
    assert 0 == scene.runs("list").returncode
    filler = _fill_up(disk, leave_bytes=256 * 1024)
    command = ("run", "./noop.py", "in", "--out", "out")

    stopped = scene.run(*command)

    assert 1 == stopped.returncode, stopped.stderr
    assert "[database.full]" in stopped.stderr
    assert str(disk) in stopped.stderr
    assert not scene.out.exists()

    filler.unlink()
    done = scene.run(*command)

    assert 0 == done.returncode, done.stderr
    scene.check({})
    assert 3000 == len(scene.items())
