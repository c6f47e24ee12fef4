"""The process that has a cluster of our own: Ray's command, with an ear for its parent's end.

Ray's processes end with the one that started them, which is this one. So that
does not depend on which thread of the parent is still there.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

# How long Ray may take to end its processes itself; without this one, the system ends them.
GRACE_SECONDS = 3.0


def main() -> None:
    """Run the rest of the command line as Ray's, until standard input ends."""
    threading.Thread(target=_listen, name="parent", daemon=True).start()
    sys.argv[0] = "ray"
    runpy.run_module("ray.scripts.scripts", run_name="__main__", alter_sys=True)


def _listen() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
