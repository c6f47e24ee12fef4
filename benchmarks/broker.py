"""A RabbitMQ server of our own, for those whom Grange is compared with."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import free_port

# Where Debian keeps its programs for administrators.
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin"

START_SECONDS = 60.0


def broker_there() -> bool:
    """Whether this machine has one, and may start it."""
    return shutil.which("rabbitmq-server", path=SEARCHED) is not None and os.geteuid() == 0


@contextmanager
def broker() -> Iterator[str]:
    """Start one on free ports, below a folder that goes with it; gives its URL."""
    owner = pwd.getpwnam("rabbitmq")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        port = free_port()
        node = f"bench{port}@localhost"
        environment = {
            **os.environ,
            "PATH": SEARCHED,
            "RABBITMQ_NODENAME": node,
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        }
        Path(folder, "plugins").write_text("[].\n")
        os.chown(f"{folder}/plugins", owner.pw_uid, owner.pw_gid)
        _run(["rabbitmq-server", "-detached"], environment)
        try:
            _await(["rabbitmqctl", "-n", node, "await_startup", "--timeout", "60"], environment)
            yield f"amqp://guest:guest@127.0.0.1:{port}/"
        finally:
            _run(["rabbitmqctl", "-n", node, "stop", f"{folder}/pid"], environment)


def _await(command: list[str], environment: dict[str, str]) -> None:
    """Ask until the node can be asked at all: that takes a second or two."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _run(command, environment)
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def _run(command: list[str], environment: dict[str, str]) -> None:
    nowhere = subprocess.DEVNULL
    subprocess.run(
        command, env=environment, check=True, timeout=120, stdout=nowhere, stderr=nowhere
    )
