"""The progress of a run's items on many open pages, by a server that has one core for all of it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, Result, Row, Target, make_files
from benchmarks.site import API, Server, Site, make_site, seconds_of_processor, serving

ITEMS = 1000
PAGES = 100
REPETITIONS = 5
MOST_SECONDS = 1.0
PATIENCE_SECONDS = 60.0


@dataclass
class Told:
    """What one repetition found, in seconds but for `once`."""

    once: float  # the share of items on pages that came exactly once
    lags: list[float]  # from an item's end to its coming, on every page
    spread: float  # between the first and the last page that saw the last item
    rate: float  # items that ended in a second, while all pages were open
    processor: float  # of the server's own process meanwhile


def measure(*, quick: bool = False) -> Result:
    """Let a run go while all pages look on, again and again."""
    items, pages, repetitions = (50, 10, 1) if quick else (ITEMS, PAGES, REPETITIONS)
    with tempfile.TemporaryDirectory() as name:
        site = make_site(Path(name, "home"), runs_number=0)
        share = Path(name, "share")
        share.mkdir()
        with serving(site, "--shares", str(share), under=("taskset", "-c", "0")) as server:
            found = []
            for turn in range(repetitions):
                # Of a content of its own, or the work would be known already.
                make_files(share / str(turn), items, content=str(turn).encode())
                found.append(_follow(site, server, share / str(turn), pages))
                print(f"  run {turn + 1} of {repetitions}", file=sys.stderr)
    result = Result(
        "streams",
        f"The progress of {items:,} items on {pages} open pages",
        f"`grange serve`, with the process that drives runs and its worker, has one core for all "
        f"of it (`taskset -c 0`). A run of `true` for each of {items:,} files is paused, {pages} "
        "streams of events begin to follow it from another process, and it is resumed. The lag of "
        "an item is the time from its end in the ledger to its coming to a page, for each item "
        "that ends from then on, on every page. Pages are told in batches, four times a second.",
        [
            Row("items of the run", "items/s", [one.rate for one in found]),
            Row("lag, median", "ms", [1000 * _at(one.lags, 0.5) for one in found]),
            Row("lag, 99 of 100", "ms", [1000 * _at(one.lags, 0.99) for one in found]),
            Row("lag, longest", "ms", [1000 * max(one.lags) for one in found]),
            Row("last item, first to last page", "ms", [1000 * one.spread for one in found], 1),
            Row("processor time of the server", "ms", [1000 * one.processor for one in found]),
        ],
    )
    once = min(one.once for one in found)
    spread = max(one.spread for one in found)
    slowest = max(max(one.lags) for one in found)
    result.targets = [
        Target("share of items that each page saw exactly once", once, 1),
        Target("seconds, last item, first to last page", spread, MOST_SECONDS, at_most=True),
        Target("seconds, longest lag", slowest, MOST_SECONDS, at_most=True),
    ]
    return result


def _follow(site: Site, server: Server, share: Path, pages: int) -> Told:
    token = site.tokens["ada"]
    request = {
        "pipeline": "command",
        "params": {"command": ["true"]},
        "inputs": [{"share": str(share)}],
        "group": site.groups[0],
    }
    run = server.ask(f"{API}/runs", token, method="POST", body=request)["id"]
    server.ask(f"{API}/runs/{run}/pause", token, method="POST")
    words = [str(server.port), run, str(pages), *site.tokens.values()]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.listen", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as listening:
        assert listening.stdout is not None
        opened_at = float(listening.stdout.readline())
        before = seconds_of_processor(server.process.pid)
        server.ask(f"{API}/runs/{run}/resume", token, method="POST")
        came = json.loads(listening.stdout.readline())
        processor = seconds_of_processor(server.process.pid) - before
    return _told(came, _ends(server, run, token), opened_at, processor)


def _told(came: list[Any], ends: dict[int, float], opened_at: float, processor: float) -> Told:
    late = {item: at for item, at in ends.items() if at > opened_at}
    counts = [Counter(item for item, _ in page) for page in came]
    once = sum(page[item] == 1 for page in counts for item in ends) / (len(came) * len(ends))
    last = max(ends, key=lambda item: (ends[item], item))
    seen_last = [at for page in came for item, at in page if item == last]
    return Told(
        once,
        sorted(at - late[item] for page in came for item, at in page if item in late),
        max(seen_last) - min(seen_last),
        len(late) / (max(late.values()) - min(late.values())),
        processor,
    )


def _ends(server: Server, run: str, token: str) -> dict[int, float]:
    """When each item ended, by the ledger."""
    found: dict[int, float] = {}
    after = ""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        page = server.ask(f"{API}/runs/{run}/items?limit=1000{after}", token)
        found |= {item["id"]: item["ended_at"] for item in page["items"]}
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"
    raise TimeoutError(run)


def _at(ordered: list[float], share: float) -> float:
    return ordered[int(share * (len(ordered) - 1))]
