"""What an export is made of, brought here from a store that lies elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grange.pipelines import catalog
from grange.storage import open_store, uri_path


@contextmanager
def results_here(pipeline: str, out: str, below: Path) -> Iterator[Path]:
    """The folder of a run's outputs, or one of what the pipeline's exports are made of.

    Raises:
        PipelineNotFound, PipelineInvalid: The pipeline is not known here.
        StoreError: The outputs can't be read.
    """
    if out.startswith("file://"):
        yield uri_path(out)
        return
    store = open_store(out)
    with tempfile.TemporaryDirectory(dir=below, prefix=".results-") as name:
        folder = Path(name)
        for path in catalog.find(pipeline).exports_from:
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as brought:
                for chunk in store.read(path):
                    brought.write(chunk)
        yield folder
