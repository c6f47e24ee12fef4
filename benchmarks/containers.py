"""Containers that stand for machines: a Docker of our own, and this machine's programs in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.broker import SEARCHED
from benchmarks.measure import ROOT

START_SECONDS = 60.0
IMAGE = "grange-bench"
# What programs need of this machine; they can't change it.
_SEEN = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", sys.base_prefix, sys.prefix, str(ROOT))


def docker_there() -> bool:
    """Whether this machine has one, and may start it."""
    found = [shutil.which(name, path=SEARCHED) for name in ("dockerd", "docker")]
    return all(found) and os.geteuid() == 0


@contextmanager
def docker() -> Iterator[str]:
    """Start a daemon that leaves the machine's network alone, with one empty image; gives its URL.

    Its containers end with it.
    """
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        where = f"unix://{folder}/socket"
        words = ["--host", where, "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"]
        words += ["--pidfile", f"{folder}/pid", "--bridge=none", "--iptables=false"]
        with open(f"{folder}/log", "wb") as log:
            daemon = subprocess.Popen(
                ["dockerd", *words], env=_environment(), stdout=log, stderr=log
            )
        try:
            _await(where)
            _import(where, Path(folder, "root"))
            yield where
        finally:
            daemon.terminate()
            daemon.wait(START_SECONDS)
            # What is mounted there would keep the folder.
            subprocess.run(["umount", f"{folder}/exec/netns/default"], check=False)


@contextmanager
def container(
    where: str,
    command: Sequence[str],
    *,
    cores: float,
    shared: Sequence[Path],
    environment: Mapping[str, str],
    log: Path,
) -> Iterator[None]:
    """Run a command in a container that has so much of the cores, and sees what is `shared`."""
    name = f"grange-bench-{os.getpid()}-{log.parent.name}"
    seen = [f"--volume={one}:{one}:ro" for one in dict.fromkeys(_SEEN) if Path(one).exists()]
    seen += [f"--volume={one}:{one}" for one in shared]
    given = [f"--env={key}={value}" for key, value in environment.items()]
    words = ["run", "--rm", "--network=host", f"--name={name}", f"--cpus={cores:g}"]
    words += [*seen, *given, f"--workdir={ROOT}", IMAGE, *command]
    with log.open("wb") as said:
        process = subprocess.Popen(
            ["docker", "--host", where, *words], env=_environment(), stdout=said, stderr=said
        )
    try:
        yield
    finally:
        with suppress(subprocess.CalledProcessError):
            _docker(where, "kill", name)
        process.wait(START_SECONDS)


def _await(where: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _docker(where, "version")
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _import(where: str, root: Path) -> None:
    """Make the image: nothing but the places where this machine's folders are seen."""
    for one in (*_SEEN, "/tmp", "/proc", "/dev", "/sys"):  # noqa: S108  # in the image
        root.joinpath(one.lstrip("/")).mkdir(parents=True, exist_ok=True)
    packed = subprocess.run(
        ["tar", "-C", str(root), "-c", "."], check=True, capture_output=True
    ).stdout
    _docker(where, "import", "-", IMAGE, given=packed)


def _docker(where: str, *words: str, given: bytes = b"") -> None:
    subprocess.run(
        ["docker", "--host", where, *words],
        env=_environment(),
        input=given,
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": SEARCHED}
