"""Take one file through the whole pipeline here: python -m tests.pipelines.wildlife.whole.

Says how much memory it has held at most, in bytes, and what it recorded.
"""

from __future__ import annotations

import json
import resource
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grange.pipelines.base import Item, Part, PartResult
from grange.pipelines.wildlife import WildlifePipeline
from tests.pipelines.works import FolderWork


@dataclass
class Taken:
    """What came of a file."""

    record: dict[str, Any]
    out: Path
    # What was told of the work on its parts, added up.
    seen: Counter[str]

    def __getitem__(self, name: str) -> bytes:
        return (self.out / name).read_bytes()

    @property
    def entry(self) -> Any:
        """The item's entry in its results."""
        return json.loads(self["detections.json"])["images"][0]


def take(file: Path, folder: Path, kept: dict[str, bytes] | None = None, **settings: Any) -> Taken:
    """What comes of a file, with what earlier work has kept."""
    pipeline = WildlifePipeline()
    params = pipeline.Parameters.model_validate(settings)
    model = pipeline.load(params)
    item = Item(file.name, file, file.stat().st_size)
    parts: list[PartResult] = []
    seen: Counter[str] = Counter()
    for number, data in enumerate(pipeline.split(item, params, FolderWork(folder / "split"))):
        work = FolderWork(folder / f"part {number}")
        work.kept = {} if kept is None else kept
        # As it travels to a worker and back.
        part = Part(item, number, json.loads(json.dumps(data)))
        result = json.loads(json.dumps(pipeline.process(part, params, model, work)))
        parts.append(PartResult(number, result, work.output))
        seen.update(work.counts)
    work = FolderWork(folder / "merge")
    return Taken(pipeline.merge(item, iter(parts), params, work), work.output, seen)


def main() -> None:
    """Take the file, folder and settings of the command line."""
    settings: dict[str, Any] = dict(one.split("=", 1) for one in sys.argv[3:])
    taken = take(Path(sys.argv[1]), Path(sys.argv[2]), **settings)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"peak_bytes": peak, "record": taken.record}))  # noqa: T201  # that is its answer


if __name__ == "__main__":
    main()
