"""The process that has a cluster of our own, and ends it when its parent is no more.

So that does not depend on which thread of the parent has started the cluster,
and where the parent is killed, nothing of the cluster is left either.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from grange.engines.ray.own import clear

# The end of Ray's command is noticed so soon; that of the parent at once.
LOOK_SECONDS = 0.5


def main() -> int:
    """Run Ray's command until standard input ends; the first word is the cluster's folder."""
    folder, *words = sys.argv[1:]
    command = [sys.executable, "-m", "grange.engines.ray.head", *words]
    ray = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    while ray.poll() is None and not _is_alone(LOOK_SECONDS):
        pass
    # Some of Ray's processes write their titles over their environment: no mark is left of those.
    with suppress(ProcessLookupError):
        os.killpg(ray.pid, signal.SIGKILL)
    if _is_alone(0):
        # Else it is the parent who does that, once it has read why Ray has ended.
        clear(Path(folder))
    return ray.wait()


def _is_alone(seconds: float) -> bool:
    """Whether the parent is gone, or goes within that time."""
    is_said, _, _ = select.select([0], [], [], seconds)
    return bool(is_said) and not os.read(0, 4096)


if __name__ == "__main__":
    sys.exit(main())
