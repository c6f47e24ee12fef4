"""Servers with kills built in: `python served.py server FOLDER STEPS…`, asked for on stdin.

A step is `who:module:function:number`: before that call of that function in a
process (`server`, or the `driver` below it), and the next time after it, the
process sends itself SIGKILL; a driver the second time to its server as well.
Each strikes once, as a file in FOLDER/struck says. What is loaded once here is
forked for each server, so that one starts at once: a line of words starts
`grange` with them, and is answered by its process id.
Nothing in the product knows of it.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
from pathlib import Path

# It lies beside this file, which is started by its path.
injected = importlib.import_module("injected")

SERVER = "server"
DRIVER = "driver"
# A driver is told by this who its server is.
SERVED_BY = "SERVED_BY"
# What imports a function by name has to be loaded before the function is replaced.
MODULES = {
    SERVER: (
        "grange.cli.main",
        "grange.cli.serve",
        "grange.bootstrap.serving",
        "grange.bootstrap.chores",
        "grange.bootstrap.driving",
        "grange.server.app",
        "grange.server.serving",
        "grange.runs.submission",
        "grange.runs.control",
        "grange.runs.closing",
        "grange.uploads.service",
    ),
    DRIVER: (
        "grange.bootstrap.driving",
        "grange.runs.dispatch",
        "grange.runs.report",
    ),
}


def main(role: str, folder: str, *steps: str) -> None:
    """Fork servers as they are asked for, or be the driver below one."""
    for needed in MODULES[role]:
        importlib.import_module(needed)
    if role == DRIVER:
        arm(role, Path(folder), steps)
        program("drive", "--stdin")
        return
    # Whoever starts a server asks the kernel whether it lives; nobody waits for it here.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            serve(Path(folder), steps, line.split())
        sys.stdout.write(f"{process}\n")
        sys.stdout.flush()


def serve(folder: Path, steps: tuple[str, ...], words: list[str]) -> None:
    """Be a server, in a session of its own, that says where it listens in a file."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for name, number in (("said", 1), ("log", 2)):
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ[SERVED_BY] = str(os.getpid())
    driving = importlib.import_module("grange.bootstrap.driving")
    command = [sys.executable, __file__, DRIVER, str(folder), *steps]
    if (folder / "idle").exists():
        # Costs next to nothing, and ends with its server as well.
        command = ["cat"]
    driving.drive_command = lambda: command  # type: ignore[attr-defined]
    arm(SERVER, folder, steps)
    program(*words)


def arm(role: str, folder: Path, steps: tuple[str, ...]) -> None:
    """Build the kills of this process's kind in that have not struck."""
    for step in steps:
        who, module, function, number = step.split(":")
        for when in ("before", "after"):
            mark = folder / "struck" / f"{when}:{step}"
            # The second kill of a step is for a process that has got past the first.
            if who == role and not mark.exists():
                both = role == DRIVER and when == "after"
                blow = functools.partial(strike, str(mark), with_server=both)
                injected.inject(module, function, when=when, number=int(number), blow=blow)
                break


def strike(mark: str, *, with_server: bool) -> None:
    """End this process, and its server if that is wanted, unless it was done before."""
    # A driver whose server is gone may have been handed to the tests' own process.
    has_server = os.environ.get(SERVED_BY) == str(os.getppid())
    if with_server and has_server and not os.path.exists(mark):
        os.kill(os.getppid(), signal.SIGKILL)
    injected.strike(mark, signal.SIGKILL)


def program(*words: str) -> None:
    """Run the command line."""
    sys.argv = ["grange", *words]
    importlib.import_module("grange.cli.main").main()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
