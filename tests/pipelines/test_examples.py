"""The examples do what they say."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grange.pipelines import Item, Part, PartResult
from grange.pipelines.catalog import check_params, find
from tests.pipelines.works import FolderWork, part_of

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_word_counter_counts_words(tmp_path: Path) -> None:
    """It writes the words that are long enough, sorted, and says how many they are."""
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be")
    pipeline = find(str(EXAMPLES / "wordcount.py"))
    work = FolderWork(tmp_path / "work")

    result = pipeline.process(part_of(text), check_params(pipeline, {"shortest": 3}), None, work)

    assert {"words": 1} == result
    assert "not\n" == (work.output / "words.txt").read_text()


def _run(text: Path, root: Path, part_size: int) -> tuple[bytes, Any, int]:
    pipeline = find(str(EXAMPLES / "split_lines.py"))
    params = check_params(pipeline, {"part_size": part_size})
    item = Item(path=text.name, file=text, size=text.stat().st_size)
    results = []
    for number, data in enumerate(pipeline.split(item, params, FolderWork(root / "split"))):
        work = FolderWork(root / f"part-{number}")
        record = pipeline.process(Part(item, number, data), params, None, work)
        results.append(PartResult(number, record, work.output))
    work = FolderWork(root / "merge")
    merged = pipeline.merge(item, iter(results), params, work)
    return (work.output / "sorted.txt").read_bytes(), merged, len(results)


@pytest.mark.parametrize("ends", [b"", b"\n"])
def test_the_size_of_a_part_never_shows_in_the_result(tmp_path: Path, ends: bytes) -> None:
    """One part or a hundred: the same bytes, whether or not the last line ends."""
    dice = random.Random(7)
    lines = [b" ".join(dice.randbytes(3).hex().encode() for _ in range(5)) for _ in range(100)]
    text = tmp_path / "text.txt"
    text.write_bytes(b"\n".join(lines) + ends)

    sizes = (1, 50, 999, 100_000)
    results = [_run(text, tmp_path / str(size), size) for size in sizes]

    assert [100, 1] == [results[0][2], results[-1][2]]
    assert 1 == len({content for content, _, _ in results})
    assert all({"lines": 100} == record for _, record, _ in results)


def test_an_empty_text_has_no_parts(tmp_path: Path) -> None:
    """Nothing in, nothing out, and no failure."""
    text = tmp_path / "text.txt"
    text.touch()

    assert (b"", {"lines": 0}, 0) == _run(text, tmp_path / "run", 10)


def test_activity_counts_tracks_by_camera_and_hour(tmp_path: Path) -> None:
    """Animals alone, by the camera's own clock; a species that is not sure has no name."""
    rows = (
        "creek/a.mp4,1,animal,deer,0.9,2026-05-04T06:59:50+02:00",
        "creek/a.mp4,2,animal,deer,0.8,2026-05-04T06:59:51+02:00",
        "creek/a.mp4,3,animal,fox,0.3,2026-05-04T22:10:00+02:00",
        "creek/b.mp4,1,person,,,2026-05-04T06:00:00+02:00",
        "gate/c.mp4,1,animal,deer,0.9,",
    )
    columns = "file,track,category,species,species_confidence,start_datetime"
    (tmp_path / "tracks.csv").write_text("\n".join([columns, *rows]) + "\n")

    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "activity.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )

    table = [line.split() for line in done.stdout.splitlines()]
    assert ["hour", "6", "22", "all"] == table[0]
    assert [["creek", "deer", "2", "0", "2"], ["unnamed", "0", "1", "1"]] == table[2:]
    assert "Without a time, and left out: 1." == done.stderr.strip()
