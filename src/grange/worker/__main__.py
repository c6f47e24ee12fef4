"""How an engine starts a worker: `python -m grange.worker` with options of the engine's own."""

from __future__ import annotations

import argparse
import faulthandler
import os
import socket
from pathlib import Path

from grange.engines.channel import Channel
from grange.engines.strays import MARKER
from grange.storage.s3keys import keep_keys
from grange.worker.loop import work
from grange.worker.work import Identity


def main() -> None:
    """Work until the engine has no more for it, or is gone."""
    parser = argparse.ArgumentParser(prog="grange.worker", description=__doc__)
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--recycle-bytes", type=int, required=True)
    parser.add_argument("--keep-keys", action="store_true")
    options = parser.parse_args()
    if options.keep_keys:
        keep_keys()
    # What kills this process inside native code leaves a traceback in its last words.
    faulthandler.enable()
    # Inherited on purpose, but not to be handed on to commands.
    end = socket.socket(fileno=options.channel)
    end.set_inheritable(False)
    channel = Channel(end)
    identity = Identity(options.name, os.environ[MARKER], options.folder)
    work(channel, identity, recycle_bytes=options.recycle_bytes)


if __name__ == "__main__":
    main()
