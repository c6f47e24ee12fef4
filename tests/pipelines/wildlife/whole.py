"""Take one file through the whole pipeline here: python -m tests.pipelines.wildlife.whole.

Says how much memory it has held at most, in bytes, and what it recorded.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

from grange.pipelines.base import Item, Part, PartResult
from grange.pipelines.wildlife import WildlifePipeline
from tests.pipelines.works import FolderWork


def take(file: Path, folder: Path, **settings: Any) -> tuple[dict[str, Any], FolderWork]:
    """The record of a file, and the work that has its outputs."""
    pipeline = WildlifePipeline()
    params = pipeline.Parameters.model_validate(settings)
    model = pipeline.load(params)
    item = Item(file.name, file, file.stat().st_size)
    parts = []
    for number, data in enumerate(pipeline.split(item, params, FolderWork(folder / "split"))):
        work = FolderWork(folder / f"part {number}")
        # As it travels to a worker and back.
        part = Part(item, number, json.loads(json.dumps(data)))
        result = json.loads(json.dumps(pipeline.process(part, params, model, work)))
        parts.append(PartResult(number, result, work.output))
    work = FolderWork(folder / "merge")
    return pipeline.merge(item, iter(parts), params, work), work


def main() -> None:
    """Take the file, folder and settings of the command line."""
    settings = dict(one.split("=", 1) for one in sys.argv[3:])
    record, _ = take(Path(sys.argv[1]), Path(sys.argv[2]), **settings)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"peak_bytes": peak, "record": record}))  # noqa: T201  # that is its answer


if __name__ == "__main__":
    main()
