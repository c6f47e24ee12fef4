"""Kill a process at every line of the storage code, and look at what is left.

Run as `python killed.py FOLDER OPERATION`. A child is forked for each line that
the operation executes and killed with SIGKILL when it gets there. Prints how
many were killed; the first broken promise ends it with an assertion.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from grange import errors, storage
from grange.storage import Store, Stored, file_uri, folders, open_store, seal

SOURCES = str(Path(storage.__file__).parent)
OLD = {"same": b"old", "old": b"o"}
NEW = {"same": b"new content", "new": b"n" * 5000}


@dataclass
class Scene:
    """A store as the operation finds it, and what it was told of the staging."""

    store: Store
    root: Path
    sealed: list[Stored]


@dataclass
class Operation:
    """What is killed, and what may be seen at its path afterwards."""

    act: Callable[[Scene], None]
    before: dict[str, bytes]
    after: dict[str, bytes]


def write(scene: Scene) -> None:
    """Write one file, in two chunks."""
    scene.store.write("item/same", [NEW["same"][:3], NEW["same"][3:]])


def publish(scene: Scene) -> None:
    """Publish what was staged."""
    scene.store.publish("1-1", "item", expect=scene.sealed)


def delete_tree(scene: Scene) -> None:
    """Delete the folder."""
    scene.store.delete_tree("item")


OPERATIONS = {
    "write a file": Operation(write, {}, {"same": NEW["same"]}),
    "write over a file": Operation(write, OLD, {**OLD, "same": NEW["same"]}),
    "publish": Operation(publish, {}, NEW),
    "publish over a folder": Operation(publish, OLD, NEW),
    "delete a folder": Operation(delete_tree, OLD, {}),
}


def main(folder: str, name: str, exchange: str) -> None:
    """Kill the operation at its first line, its second, and so on to its end."""
    operation = OPERATIONS[name]
    seen = [operation.before, operation.after]
    if exchange == "no":
        folders._renameat2 = lambda: None
        seen.append({})
    killed = 0
    while True:
        scene = set_up(Path(folder) / f"{killed}", operation)
        ended = run_until_killed(scene, operation, line=killed + 1)
        assert content(scene) in seen, (killed, content(scene))
        operation.act(scene)
        assert content(scene) == operation.after, (killed, content(scene))
        check_nothing_is_left(scene, operation)
        if ended:
            sys.stdout.write(str(killed))
            return
        killed += 1


def set_up(root: Path, operation: Operation) -> Scene:
    """Fill the path as it is before, and stage what is new."""
    store = open_store(file_uri(root))
    for name, data in operation.before.items():
        store.write(f"item/{name}", [data])
    store.clean()
    sealed: list[Stored] = []
    if operation.act is publish:
        staging = store.staging("1-1")
        for name, data in NEW.items():
            (staging / name).write_bytes(data)
        sealed = seal(staging)
    return Scene(store, root, sealed)


def run_until_killed(scene: Scene, operation: Operation, *, line: int) -> bool:
    """Whether the operation came to its end before that line."""
    child = os.fork()
    if child == 0:
        sys.settrace(killer(line))
        operation.act(scene)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.waitstatus_to_exitcode(status) == 0
    return True


def killer(line: int) -> Callable[[FrameType, str, Any], Any]:
    """A trace function that ends the process at the given line of the storage code."""
    passed = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal passed
        if not frame.f_code.co_filename.startswith((SOURCES, shutil.__file__)):
            return None
        if event == "line":
            passed += 1
            if passed == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def content(scene: Scene) -> dict[str, bytes]:
    """What a reader finds at the path."""
    found = scene.store.list("item")
    return {
        stored.path.removeprefix("item/"): b"".join(scene.store.read(stored.path))
        for stored in found
    }


def check_nothing_is_left(scene: Scene, operation: Operation) -> None:
    """Whether repeating is harmless, and cleaning leaves the user's files alone."""
    operation.act(scene)
    scene.store.discard("1-1")
    scene.store.clean()
    assert content(scene) == operation.after
    left = {path.relative_to(scene.root).parts[0] for path in scene.root.rglob("*")}
    assert left <= {"item"}, left
    if operation.act is publish:
        scene.store.delete_tree("item")
        try:
            operation.act(scene)
        except errors.StoreMissing:
            return
        raise AssertionError("published out of nothing")


if __name__ == "__main__":
    main(*sys.argv[1:])
