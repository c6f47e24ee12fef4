"""What programs find at the top of an output folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grange.errors import StoreError
from grange.runs.manifest import (
    item_record,
    published_path,
    run_record,
    software,
    write_manifests,
)
from grange.runs.models import Counts, ItemView
from grange.storage import file_uri, open_store
from tests.runs.factories import make_failed, make_item, make_run

_OWN = ("run.json", "items.jsonl", "report.html", "report", ".grange")
_names = st.one_of(
    st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=8),
    st.builds(lambda own, more: own + ".item" * more, st.sampled_from(_OWN), st.integers(0, 3)),
)
_paths = st.lists(_names, min_size=1, max_size=3).map("/".join)

_MILLION = """
from pathlib import Path
import resource, sys
from grange.runs.manifest import write_manifests
from grange.storage import file_uri, open_store
from tests.runs.factories import make_item, make_run

store = open_store(file_uri(Path(sys.argv[1])))
item = make_item()
write_manifests(store, make_run(), (item for _ in range(10_000)), {})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_manifests(store, make_run(), (item for _ in range(100_000)), {})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@given(_paths, _paths)
def test_no_two_items_share_a_folder(one: str, other: str) -> None:
    """Different items are published under different paths."""
    assert (one == other) == (published_path(one) == published_path(other))


@given(_paths)
def test_an_item_is_never_published_under_a_name_of_our_own(path: str) -> None:
    """Whatever an input is called, it leaves run.json and its like alone."""
    assert published_path(path).split("/")[0] not in _OWN


@given(_paths)
def test_below_the_top_a_path_stays_as_it_is(path: str) -> None:
    """Only the first component can collide, so only it ever changes."""
    assert path.split("/")[1:] == published_path(path).split("/")[1:]


def test_an_ordinary_item_keeps_its_path() -> None:
    """People find their outputs where their inputs were."""
    assert published_path("day 1/run.json") == "day 1/run.json"
    assert published_path("run.jsonx") == "run.jsonx"


def test_a_line_says_all_of_an_item() -> None:
    """A done item's line has its input, how it went, and its outputs from the top of the folder."""
    item = make_item(7, path="run.json", seconds=1.25, result={"words": 3}, reused=True)

    assert item_record(item) == {
        "path": "run.json",
        "input_sha256": f"{7:064x}",
        "state": "done",
        "attempts": 1,
        "seconds": 1.25,
        "outputs": [{"path": "run.json.item/out.txt", "size": 10, "sha256": "b" * 64}],
        "failure": None,
        "reused": True,
        "result": {"words": 3},
    }


def test_a_failed_items_line_has_the_reason_and_the_evidence() -> None:
    """Code, words and what was seen are there; nothing is said of a result."""
    record = item_record(make_failed())

    assert record["state"] == "failed"
    assert record["failure"] == {
        "code": "command.failed",
        "message": "The command ended with exit code 2.",
        "evidence": {"exit_code": 2, "stderr": "line one\nline two <b>\n"},
    }
    assert "result" not in record


def test_a_run_is_recorded_with_all_that_made_it() -> None:
    """A reader of run.json learns what ran, over what, with which software, and how it ended."""
    run = make_run(counts=Counts(total=3, done=2, failed=1, reused=1))

    record = run_record(run, software())

    assert record["format"] == "grange.run/1"
    assert record["pipeline"] == {"name": "command", "version": "1"}
    assert record["counts"] == {"total": 3, "done": 2, "failed": 1, "cancelled": 0, "reused": 1}
    assert record["started_at"] == "2025-11-21T09:00:01.000Z"
    assert record["finished_at"] == "2025-11-21T09:01:01.500Z"
    assert record["grange"] == record["software"]["grange"]
    assert record["software"]["python"] == ".".join(map(str, sys.version_info[:3]))


def test_the_files_can_be_read_back(tmp_path: Path) -> None:
    """Names with newlines, quotes, separators of lines and emoji keep one line an item."""
    names = ["a\nb", "q\"uo'te", "se\u2028p", "🐦", "back\\slash", "<b>"]
    items = [make_item(path=name) for name in names]

    write_manifests(open_store(file_uri(tmp_path)), make_run(name="🐦"), items, {})

    lines = (tmp_path / "items.jsonl").read_text().splitlines()
    assert names == [json.loads(line)["path"] for line in lines]
    assert json.loads((tmp_path / "run.json").read_text())["name"] == "🐦"


def test_a_run_without_items_has_an_empty_list(tmp_path: Path) -> None:
    """No items is a file with no lines, not a missing one."""
    write_manifests(open_store(file_uri(tmp_path)), make_run(), [], {})

    assert (tmp_path / "items.jsonl").read_bytes() == b""


def test_a_list_that_breaks_off_leaves_nothing_half(tmp_path: Path) -> None:
    """When the items can't be read to the end, what was there stays there."""

    def broken() -> Iterator[ItemView]:
        yield from (make_item(number) for number in range(5000))
        raise StoreError("The ledger is gone.")

    store = open_store(file_uri(tmp_path))
    write_manifests(store, make_run(), [make_item()], {})
    before = (tmp_path / "items.jsonl").read_bytes()

    with pytest.raises(StoreError, match="gone"):
        write_manifests(store, make_run(name="new"), broken(), {})

    assert before == (tmp_path / "items.jsonl").read_bytes()
    assert json.loads((tmp_path / "run.json").read_text())["name"] == "spring"


def test_memory_stays_flat(tmp_path: Path) -> None:
    """Ten times the items take no more memory."""
    answer = subprocess.run(
        [sys.executable, "-c", _MILLION, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )

    assert int(answer.stdout) < 8 * 1024  # KiB
