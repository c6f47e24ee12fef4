"""Kill the process all along the way of taking in the last part of an upload, and go on from there.

Run as `python killed.py FOLDER`. For every fourth line that the code of
uploads executes, a child is forked and killed with SIGKILL when it gets there.
Prints how many were killed; the first broken promise ends it with an assertion.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import FrameType
from typing import Any

from grange import uploads
from grange.accounts.models import Actor, Role, Scope, User
from grange.db import open_database, prepare
from grange.uploads.service import Uploads

SOURCES = str(Path(uploads.__file__).parent)
DATA = bytes(range(256)) * 20
CUT = 2000
USER = User(id="bcdfghjkmn", email="a@b", name="A", role=Role.MEMBER, created_at=0.0)
ACTOR = Actor(user=USER, scopes=frozenset(Scope))
# Steps between what lasts are several lines long.
STRIDE = 4


def main(place: str) -> None:
    """Kill at the first line, at one a little further, and so on to the end."""
    template = Path(place, "template")
    upload, folder = set_up(template)
    killed = 0
    while True:
        home = Path(place, str(killed))
        shutil.copytree(template, home)
        ended = run_until_killed(home, upload, line=1 + STRIDE * killed)
        check(home, upload, folder)
        shutil.rmtree(home)
        if ended:
            sys.stdout.write(str(killed))
            return
        killed += 1


def opened(home: Path) -> Uploads:
    """Open the service over a home, as a server does at its start."""
    database = open_database(home / "grange.db")
    return Uploads(database, home, quota_bytes=1 << 30, record=lambda *_, **__: None)


def set_up(home: Path) -> tuple[str, str]:
    """Begin an upload into a folder, of which the first part has come."""
    home.mkdir()
    database = open_database(home / "grange.db")
    prepare(database)
    database.close()
    service = opened(home)
    folder = service.make_folder(ACTOR).id
    begun = service.begin(ACTOR, size=len(DATA), name="x", folder=folder, path="in/x")
    asyncio.run(service.receive(ACTOR, begun.id, 0, pieces(DATA[:CUT])))
    service.close()
    service._database.close()
    return begun.id, folder


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """Give the bytes as a client would."""
    yield data


def run_until_killed(home: Path, upload: str, *, line: int) -> bool:
    """Whether the last part was taken in before that line came."""
    child = os.fork()
    if child == 0:
        service = opened(home)
        trace = killer(line)
        threading.settrace(trace)
        sys.settrace(trace)
        asyncio.run(service.receive(ACTOR, upload, CUT, pieces(DATA[CUT:])))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.waitstatus_to_exitcode(status) == 0
    return True


def killer(line: int) -> Callable[[FrameType, str, Any], Any]:
    """A trace function that ends the process at the given line of the code of uploads."""
    passed = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal passed
        if not frame.f_code.co_filename.startswith(SOURCES):
            return None
        if event == "line":
            passed += 1
            if passed == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def check(home: Path, upload: str, folder: str) -> None:
    """Go on as a client would, and see that everything is there once."""
    service = opened(home)
    stands = service.find(ACTOR, upload)
    assert stands.offset in {CUT, len(DATA)}, stands
    if stands.offset < len(DATA):
        rest = pieces(DATA[stands.offset :])
        stands = asyncio.run(service.receive(ACTOR, upload, stands.offset, rest))
    service.sweep()
    found = service.folder(ACTOR, folder)
    place = service.path_of(ACTOR, folder)
    assert stands.is_whole
    assert (found.files, found.bytes) == (1, len(DATA))
    assert [path.read_bytes() for path in place.rglob("*") if path.is_file()] == [DATA]
    assert service.used_bytes(USER.id) == len(DATA)
    blobs = [path.name for path in (home / "blobs").glob("??/*")]
    assert blobs == [stands.sha256], blobs
    left = [name for name in os.listdir(home / "uploads") if not name.endswith(".lock")]
    assert left == [], left
    service.close()
    service._database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
