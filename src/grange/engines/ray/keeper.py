"""The process that has a cluster of our own: Ray's command, with an ear for its parent's end.

Ray's processes end with the one that started them, which is this one. So that
does not depend on which thread of the parent is still there. Where that has been
killed, this one leaves nothing of the cluster either.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

from grange.engines.ray.own import clear

# How long Ray may take to end its processes itself, where nobody else can find them.
GRACE_SECONDS = 3.0


def main() -> None:
    """Run the command line as Ray's, until standard input ends; its first word is our folder."""
    folder = sys.argv.pop(1)
    threading.Thread(target=_listen, args=[folder], name="parent", daemon=True).start()
    _serve_one_client()
    sys.argv[0] = "ray"
    runpy.run_module("ray.scripts.scripts", run_name="__main__", alter_sys=True)


def _serve_one_client() -> None:
    """Have the server for clients serve its one client itself.

    Ray's starts another server for each client, and forks for that while gRPC is at work, of which
    the child may die; and it takes the child's port from a range that is the same for all clusters
    of a machine, so that two of them may get the other's client.
    """
    from ray._private import services

    start = partial(services.start_ray_client_server, server_type="specific-server")
    services.start_ray_client_server = start


def _listen(folder: str) -> None:
    while os.read(0, 4096):
        pass
    if not sys.platform.startswith("linux"):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
    clear(Path(folder))
    os._exit(0)


if __name__ == "__main__":
    main()
