"""How an engine starts a worker: `python -m grange.worker` with options of the engine's own."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path

from grange.engines.channel import Channel
from grange.engines.register import Register
from grange.worker.loop import Worker
from grange.worker.work import Identity


def main() -> None:
    """Work until the engine has no more for it, or is gone."""
    parser = argparse.ArgumentParser(prog="grange.worker", description=__doc__)
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--register", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--marker", required=True)
    parser.add_argument("--recycle-bytes", type=int, required=True)
    options = parser.parse_args()
    channel = Channel(socket.socket(fileno=options.channel))
    identity = Identity(options.name, options.marker)
    worker = Worker(channel, Register(options.register), identity)
    worker.run(recycle_bytes=options.recycle_bytes)


if __name__ == "__main__":
    main()
