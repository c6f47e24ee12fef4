"""Submitting many items: a folder of real files by `Site.submit`, a stream by `Runs.submit`."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.measure import ROOT, Result, Row, Target, in_child, in_turn, make_files
from grange.runs.models import NewItem

FILES = 100_000
STREAMED = 1_000_000
REPETITIONS = 5

RATE_LIMIT = 50_000
MEMORY_LIMIT_MB = 300


def measure(*, quick: bool = False) -> Result:
    """Take in a folder and a stream, in turn."""
    files, streamed, repetitions = (2_000, 20_000, 1) if quick else (FILES, STREAMED, REPETITIONS)
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder, "inputs")
        make_files(inputs, files)
        found = in_turn(
            {
                f"a folder of {files:,} files": partial(in_child, "submit", "folder", inputs),
                f"a stream of {streamed:,} items": partial(in_child, "submit", "stream", streamed),
            },
            repetitions=repetitions,
        )
    result = Result(
        "submit",
        "Submitting items",
        "From nothing to a whole run in the SQLite ledger (WAL, `synchronous=FULL`), in a process "
        "of its own. The folder's time includes looking for its files; the stream is made up.",
    )
    for name, answers in found.items():
        memory = [one["peak_bytes"] / 1e6 for one in answers]
        rates = [one["items"] / one["seconds"] for one in answers]
        result.rows += [Row(name, "items/s", rates), Row(f"{name}, peak memory", "MB", memory)]
        result.targets += [
            Target(f"items/s, {name}", result.median(name), RATE_LIMIT),
            Target(f"MB of memory, {name}", max(memory), MEMORY_LIMIT_MB, at_most=True),
        ]
    return result


def submit_folder(inputs: str) -> dict[str, float]:
    """Submit what is in the folder, as `grange run` does."""
    from grange import settings
    from grange.bootstrap import open_site
    from grange.runs.models import RunRequest

    with tempfile.TemporaryDirectory() as folder:
        request = RunRequest(
            pipeline=str(ROOT / "benchmarks" / "noop.py"), inputs=[inputs], out=f"{folder}/out"
        )
        with open_site(settings.load({"home": f"{folder}/home"})) as site:
            begun = time.perf_counter()
            items = site.submit(request).run.counts.total
            return _answer(items, begun)


def submit_stream(number: str) -> dict[str, float]:
    """Submit items that come from a generator."""
    from grange.db import open_database
    from grange.db.schema import prepare
    from grange.runs.models import RunSpec
    from grange.runs.service import Runs

    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/grange.db")
        prepare(database)
        spec = RunSpec(
            pipeline="noop",
            version="1",
            params={},
            function_key="none",
            out=f"file://{folder}/out",
            inputs={},
        )
        begun = time.perf_counter()
        submitted = Runs(database, logs=Path(folder)).submit(spec, stream(int(number)))
        answer = _answer(submitted.run.counts.total, begun)
        database.close()
    assert answer["items"] == int(number)
    return answer


def stream(number: int) -> Iterator[NewItem]:
    """So many items that lie nowhere."""
    for index in range(number):
        path = f"camera {index // 1000:04}/{index:07}.jpg"
        yield NewItem(path, f"file:///data/{path}", index, 1_700_000_000_000_000_000 + index)


def _answer(items: int, begun: float) -> dict[str, float]:
    seconds = time.perf_counter() - begun
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"items": items, "seconds": seconds, "peak_bytes": peak_kib * 1024}


if __name__ == "__main__":
    submit = {"folder": submit_folder, "stream": submit_stream}[sys.argv[1]]
    print(json.dumps(submit(sys.argv[2])))
