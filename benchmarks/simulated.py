"""`grange worker` whose worker processes are simulated: python -m benchmarks.simulated LINE ….

All but those is the real thing: the program takes messages, keeps its journal, feeds its
processes and reports. A simulated process answers as a real one does, opens no input, and takes
exactly as many milliseconds of each task as its input has bytes: more of them fit on a machine
than it has cores.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from grange.engines.channel import Channel
from grange.engines.register import Register

UNIT_SECONDS = 0.001
BEAT_SECONDS = 0.5
# As a real one does, it tells of what has ended this often.
FLUSH_SECONDS = 0.05


def serve(words: list[str]) -> None:
    """Be `grange worker` with these words, and start simulated processes as its own."""
    from grange.cli.main import main

    home = Path(os.environ["GRANGE_HOME"])
    program = home / "simulated"
    # What it is started with begins with `-m grange.worker`.
    program.write_text(
        f'#!/bin/sh\nshift 2\nexec "{sys.executable}" -m benchmarks.simulated "$@"\n'
    )
    program.chmod(0o755)
    sys.executable = str(program)
    sys.argv = ["grange", "worker", *words]
    main()


def simulate(words: list[str]) -> None:
    """Be one of its processes, until it is gone."""
    import socket

    parser = argparse.ArgumentParser()
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--name", required=True)
    options, _ = parser.parse_known_args(words)
    channel = Channel(socket.socket(fileno=options.channel))
    register = Register(options.folder / "register")
    threading.Thread(target=_beat, args=(register,), daemon=True).start()
    channel.send({"ready": True})
    sleeper = _Sleeper(channel, register, options.name)
    while (message := channel.receive()) is not None:
        sleeper.work_on(message)


class _Sleeper:
    """Sleeps for each task."""

    def __init__(self, channel: Channel, register: Register, name: str) -> None:
        self._channel = channel
        self._register = register
        self._name = name
        self._due = 0.0
        self._sent = 0.0

    def work_on(self, message: dict[str, Any]) -> None:
        ended = []
        for task in message["tasks"]:
            self._register.begin(task["id"])
            returned = self._register.recalled() >= message["batch"]
            seconds = 0.0 if returned else task["size"] * UNIT_SECONDS
            ended.append(self._outcome(task, seconds, returned=returned))
            self._sleep(seconds)
            if time.monotonic() - self._sent >= FLUSH_SECONDS:
                self._tell(ended)
                ended = []
        self._register.rest()
        self._tell(ended)

    def _sleep(self, seconds: float) -> None:
        """Take so long from when the task before had ended, if this one had come by then."""
        self._due = max(self._due, time.monotonic() - UNIT_SECONDS) + seconds
        left = self._due - time.monotonic()
        if left > 0:
            time.sleep(left)

    def _outcome(self, task: dict[str, Any], seconds: float, *, returned: bool) -> dict[str, Any]:
        return {
            "task": task["id"],
            "epoch": task["epoch"],
            "state": "returned" if returned else "done",
            "seconds": seconds,
            "worker": self._name,
            "sha256": hashlib.sha256(task["path"].encode()).hexdigest(),
        }

    def _tell(self, ended: list[dict[str, Any]]) -> None:
        if ended:
            self._channel.send({"outcomes": ended})
        self._sent = time.monotonic()


def _beat(register: Register) -> None:
    while True:
        register.beat()
        time.sleep(BEAT_SECONDS)


if __name__ == "__main__":
    given = sys.argv[1:]
    if any(word.startswith("--channel=") for word in given):
        simulate(given)
    else:
        serve(given)
