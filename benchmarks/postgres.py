"""A PostgreSQL server of our own, as it comes: each commit waits for the disk."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.measure import free_port

USER = "postgres"
START_SECONDS = 60.0


def postgres_there() -> bool:
    """Whether this machine has one, and may start it."""
    return bool(_programs()) and os.geteuid() == 0


@contextmanager
def postgres() -> Iterator[str]:
    """Start one on a free port, below a folder that goes with it; gives its URL."""
    programs = Path(_programs())
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chown(folder, pwd.getpwnam(USER).pw_uid, pwd.getpwnam(USER).pw_gid)
        data, port = f"{folder}/data", free_port()
        making = ["initdb", "--auth=trust", "--username", USER, "--encoding=UTF8", "-D", data]
        _run(programs, making, folder)
        words = ["postgres", "-D", data, "-k", folder, "-h", "127.0.0.1", "-p", str(port)]
        with open(f"{folder}/log", "wb") as log:
            server = subprocess.Popen(
                [str(programs / words[0]), *words[1:]],
                cwd=folder,
                user=USER,
                group=USER,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            _await(programs, folder, port)
            yield f"postgresql://{USER}@127.0.0.1:{port}/{USER}"
        finally:
            server.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                server.wait(START_SECONDS)


def _programs() -> str:
    """The folder of the newest server's programs; empty where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: one.parts[-3])
    which = shutil.which("initdb")
    return str(found[-1].parent) if found else str(Path(which).parent) if which else ""


def _await(programs: Path, folder: str, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    asking = ["pg_isready", "-h", "127.0.0.1", "-p", str(port)]
    while True:
        try:
            _run(programs, asking, folder)
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _run(programs: Path, command: list[str], folder: str) -> None:
    subprocess.run(
        [str(programs / command[0]), *command[1:]],
        cwd=folder,
        user=USER,
        group=USER,
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
