"""The thread of a worker that lives while a task is worked on: signs of life, and the last deed."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from contextlib import suppress

from grange.engines.register import Register
from grange.engines.strays import kill_strays
from grange.worker.postbox import Postbox
from grange.worker.work import Identity

# A sign of life this often, and a look at whether the engine still lives.
BEAT_SECONDS = 0.5
_ALL_BATCHES = 2**62


class Pulse(threading.Thread):
    """Gives signs of life, and ends everything when the engine's process is gone."""

    def __init__(self, identity: Identity, register: Register, postbox: Postbox) -> None:
        """Remember whose child this process is."""
        super().__init__(daemon=True, name="pulse")
        self._identity = identity
        self._register = register
        self._postbox = postbox
        self._parent = os.getppid()

    def run(self) -> None:
        """Beat until the parent is gone."""
        while True:
            self._register.beat()
            if os.getppid() != self._parent:
                end_all(self._identity, self._register)
            # Read before the postbox is emptied: what had ended then is told by now.
            recalled = self._register.recalled()
            if self._postbox.try_empty():
                self._register.hear(recalled)
            time.sleep(BEAT_SECONDS)


def end_all(identity: Identity, register: Register) -> None:
    """Nobody is left to work for: kill all that this process has started, and this one."""
    # The main thread begins nothing more, should it be quicker than its end.
    register.recall(_ALL_BATCHES)
    kill_strays(identity.marker)
    shutil.rmtree(identity.folder, ignore_errors=True)
    with suppress(OSError):
        # The last worker to go takes the engine's folder with it.
        os.rmdir(identity.folder.parent)
    os.killpg(0, signal.SIGKILL)
