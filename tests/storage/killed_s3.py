"""Publish to a bucket, and die before one of the requests that change something.

Run as `python killed_s3.py URL WORK REQUESTS EXPECTED`: as many requests are let through.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from grange.storage import Stored, open_store
from grange.storage.s3objects import Objects


def requests(let_through: int) -> Iterator[None]:
    """Let so many through, then end the process."""
    for _ in range(let_through):
        yield
    os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, work: str, let_through: str, expected: str) -> None:
    """Publish what was staged as `1`."""
    left = requests(int(let_through))
    for name in ("put", "copy", "delete"):

        def counted(self: Objects, *given: object, real: object = getattr(Objects, name)) -> object:
            next(left)
            return real(self, *given)  # type: ignore[operator]

        setattr(Objects, name, counted)
    expect = [Stored(*one) for one in json.loads(expected)]
    open_store(url, work=Path(work)).publish("1", "item", expect=expect)


if __name__ == "__main__":
    main(*sys.argv[1:])
