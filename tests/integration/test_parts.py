"""Results are the same bytes, however many workers there are and however large the parts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.scene import Scene, outputs

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "split_lines.py")


@pytest.mark.parametrize("workers", [1, 3])
def test_results_depend_on_neither_workers_nor_parts(scene: Scene, workers: int) -> None:
    """One byte a part or all of it in one, one worker or three: the same files."""
    chance = random.Random(7)
    words = ["".join(chance.choices("abcdeé", k=chance.randint(1, 9))) for _ in range(400)]
    lines = [" ".join(chance.choices(words, k=chance.randint(0, 8))) for _ in range(60)]
    scene.fill(
        {"long.txt": "\n".join(lines), "one line": "b a", "none.txt": "", "end.txt": "d c\n"}
    )
    seen = []
    for size in ("20", "333", "1MB"):
        scene.out = scene.folder / f"out of {size}"
        settings = ("--set", f"part_size={size}", "--workers", str(workers))

        done = scene.run("run", EXAMPLE, "in", "--out", str(scene.out), *settings)

        assert 0 == done.returncode, done.stderr
        scene.check_account()
        seen.append(outputs(scene.out))

    assert seen[0] == seen[1] == seen[2]
    expected = "".join(" ".join(sorted(line.split(" "))).strip() + "\n" for line in lines)
    assert expected.encode() == seen[0]["long.txt/sorted.txt"]
    assert b"a b\n" == seen[0]["one line/sorted.txt"]
    assert 50 < scene.ledger("select count(*) from tasks")[0][0]
