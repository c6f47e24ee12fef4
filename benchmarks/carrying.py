"""Bytes for a worker that shares no disk with the server, beside a copy on this machine."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import file_digest
from pathlib import Path

from benchmarks.measure import Result, Row, in_child, in_turn
from benchmarks.site import Site, make_site, serving
from grange.accounts.secret import digest, new_secret
from grange.client.connection import Connection
from grange.client.work import Claim, Work
from grange.core.tasks import Output
from grange.db import Database, open_database
from grange.pool import rows
from grange.pool.models import Facts, WorkerToken
from grange.runs import claims, driving, submission
from grange.runs.driver import this_driver
from grange.runs.driving import Grip
from grange.runs.models import NewItem, RunSpec
from grange.storage import file_uri, seal

SIZE = 1 << 30
QUICK_SIZE = 32 << 20
SMALL_FILES = 2000
SMALL_BYTES = 2000
REPETITIONS = 5
MEGABYTE = 1_000_000
LEASE_SECONDS = 3600.0

FETCHED = "an input from the server"
COPIED = "a copy of it on this machine, with its digest"
SENT = "an output to the server, flushed to its disk"
KEPT = "a copy of it on this machine, flushed to the disk"
MANY = f"outputs of {SMALL_BYTES / 1000:g} kB to the server"
ONES = f"copies of {SMALL_BYTES / 1000:g} kB, each flushed to the disk"


def measure(*, quick: bool = False) -> Result:
    """Carry the same bytes each way in turn."""
    size, repetitions = (QUICK_SIZE, 1) if quick else (SIZE, REPETITIONS)
    small = SMALL_FILES // 20 if quick else SMALL_FILES
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        site = make_site(place / "home", runs_number=0)
        _fill(place, size, small)
        with serving(site) as server, _in_hand(site, place) as (key, claim):
            url = f"http://127.0.0.1:{server.port}"
            given = partial(in_child, "carrying", folder, url, key, json.dumps(claim))
            ways = {FETCHED: "fetch", COPIED: "copy", SENT: "send", KEPT: "keep"}
            ways |= {MANY: "many", ONES: "ones"}
            found = in_turn(
                {name: partial(given, way) for name, way in ways.items()}, repetitions=repetitions
            )
    amounts = dict.fromkeys((FETCHED, COPIED, SENT, KEPT), (size / MEGABYTE, "MB/s"))
    amounts |= dict.fromkeys((MANY, ONES), (float(small), "files/s"))
    return Result(
        "carrying",
        "Bytes for a worker that shares no disk with the server",
        f"One file of {size / 2**30:g} GiB, and {small} small ones. Both sides are on this machine "
        "and share its cores: over a real line the line is the limit. The worker's side hashes "
        "what it fetches, the server hashes what it is sent and flushes it to the disk.",
        [
            Row(what, amounts[what][1], [amounts[what][0] / seconds for seconds in times])
            for what, times in found.items()
        ],
    )


def _fill(place: Path, size: int, small: int) -> None:
    piece = os.urandom(1 << 20)
    for name in ("input", "made"):
        (place / name).mkdir()
        with (place / name / "big").open("wb") as file:
            for _ in range(size >> 20):
                file.write(piece)
    (place / "many").mkdir()
    for number in range(small):
        (place / "many" / f"{number:05}").write_bytes(os.urandom(SMALL_BYTES))


@contextmanager
def _in_hand(site: Site, place: Path) -> Iterator[tuple[str, tuple[str, int, int]]]:
    """A run of one item whose first attempt is under way, and a worker's key."""
    database = open_database(site.database)
    try:
        file = place / "input" / "big"
        status = file.stat()
        spec = RunSpec(
            pipeline="command",
            version="1",
            params={},
            function_key="f" * 64,
            out=file_uri(place / "out"),
            inputs={"roots": [str(file.parent)]},
        )
        opened = submission.open_run(database, spec)
        item = NewItem("big", file.as_uri(), status.st_size, status.st_mtime_ns)
        submission.add_items(database, opened, [item])
        submission.seal(database, opened)
        grip = Grip(this_driver(), lease_seconds=LEASE_SECONDS)
        now = time.time()
        driven = driving.take(database, opened.number, grip, logs=str(place / "logs"), now=now)
        tasks, _ = claims.claim(database, driven, limit=1, now=now, lease_seconds=LEASE_SECONDS)
        yield _join(database), (opened.id, tasks[0].id, tasks[0].epoch)
    finally:
        database.close()


def _join(database: Database) -> str:
    secret, now = new_secret(), time.time()
    token = WorkerToken(id="t", labels=(), uses=1, used=0, created_at=now, expires_at=now)
    with database.write() as connection:
        facts = Facts(name="rack")
        worker = rows.add(connection, facts, token, key=digest(secret), address="", now=now)
    return f"grangeworker_{worker.id}_{secret}"


def _timed(work: Callable[[], object]) -> float:
    # What the runs before have left to be written must not be waited for in this one.
    os.sync()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _copy(source: Path, target: Path, *, flush: bool) -> None:
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        if flush:
            os.fsync(file.fileno())
        else:
            file_digest(file, "sha256")
    target.unlink()


def _copy_each(folder: Path, target: Path) -> None:
    for one in folder.iterdir():
        _copy(one, target, flush=True)


def _outputs(folder: Path) -> list[Output]:
    return [Output(one.path, one.size, one.sha256 or "", 0) for one in seal(folder)]


def main(folder: str, url: str, key: str, claim: str, way: str) -> None:
    """Go one way, and print how many seconds it took."""
    place, held = Path(folder), Claim(*json.loads(claim))
    with Connection(url, token=key) as connection:
        work = Work(connection)
        size = (place / "input" / "big").stat().st_size
        target = place / "target"
        made = _outputs(place / ("many" if way == "many" else "made"))
        ways: dict[str, Callable[[], object]] = {
            "fetch": lambda: work.fetch_input(held, target, size=size, sha256=None),
            "copy": lambda: _copy(place / "input" / "big", target, flush=False),
            "send": lambda: work.send_outputs(held, place / "made", made),
            "keep": lambda: _copy(place / "made" / "big", target, flush=True),
            "many": lambda: work.send_outputs(held, place / "many", made),
            "ones": lambda: _copy_each(place / "many", target),
        }
        if way in {"send", "many"}:
            # Nothing may be there from the turn before.
            work.send_outputs(held, place, [])
        print(json.dumps(_timed(ways[way])))
        target.unlink(missing_ok=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
