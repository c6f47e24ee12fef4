"""Bringing the outputs of earlier, equal work here, checked byte for byte."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

from grange.core.tasks import JSON
from grange.errors import ReuseStale, StoreError, StoreFull
from grange.storage import check_path, open_store
from grange.worker.work import TaskWork


def copy_outputs(payload: Mapping[str, JSON], work: TaskWork) -> None:
    """Copy the files that the payload names into the attempt's output folder.

    Raises:
        ReuseStale: One of them is not what it was; the work is to be done after all.
    """
    store = open_store(payload["store"])
    base = payload["base"]
    for path, size, sha256, _ in payload["outputs"]:
        target = work.output / check_path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        written = 0
        try:
            with target.open("xb") as file:
                for chunk in store.read(f"{base}/{path}"):
                    digest.update(chunk)
                    written += file.write(chunk)
        except StoreFull:
            raise
        except StoreError as error:
            raise ReuseStale(f"An earlier output can't be read: {error.message}") from error
        if (written, digest.hexdigest()) != (size, sha256):
            message = f"The earlier output {os.path.join(base, path)!r} is not what it was."
            raise ReuseStale(message)
