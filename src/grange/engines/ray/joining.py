"""This process's one connection to Ray, shared by all that use it. The only place that imports it.

Ray keeps a connection for the whole process; so it is opened by whoever comes
first, and closed when the last one leaves.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from grange.core.resources import Needs
from grange.core.tasks import JSON
from grange.engines.ray.host import Terms, WorkerHost
from grange.errors import EngineError, ExtraMissing, WorkerStartFailed
from grange.settings import usable_cores

# The name of a cluster that is started here, and ends with this process.
LOCAL: Final = "ray"
# Tasks are messages of some kilobytes; their inputs and outputs never pass through Ray's memory.
OBJECT_STORE_BYTES = 80 << 20
# Paths of sockets below Ray's folder are longer by so much, and a system allows 107.
_LONGEST_FOLDER = 30
# How much of a label an actor takes: any number of actors may have it.
_LABEL_SHARE = 0.0001

Ref = Any  # what Ray's calls give, of which there are two kinds


@dataclass(slots=True)
class _Connection:
    """What is open: for whom, how often, and what is to be removed at its end."""

    address: str
    users: int = 0
    own: bool = True
    folder: Path | None = None


_lock = threading.Lock()
_open: list[_Connection] = []


def check_there() -> None:
    """See that Ray is installed, without importing it.

    Raises:
        ExtraMissing: It is not.
    """
    if find_spec("ray") is None:
        message = "The engine Ray needs a package that is not installed."
        raise ExtraMissing(message, hint="Install it: pip install 'grange[ray]'")


def join(address: str, needs: Needs, workers: int | None) -> None:
    """Join the cluster of this address, or start one here, with room for so many workers.

    Without a number of workers, one that is started has the cores of this machine.

    Each call wants a `leave`. Takes seconds when nobody has joined before.

    Raises:
        ExtraMissing: Ray is not installed.
        WorkerStartFailed: The cluster has other versions than this process.
        EngineError: It is not reached, or this process has joined another one.
    """
    check_there()
    with _lock:
        if _open and not _is_connected():
            _end(_open.pop())
        if not _open:
            cores = usable_cores() if workers is None else math.ceil(workers * needs.cores)
            _open.append(_connect(address, cores))
        (connection,) = _open
        if connection.address != address:
            message = f"This process has joined another Ray cluster already: {connection.address}"
            raise EngineError(message, hint="Use one Ray cluster at a time.")
        connection.users += 1


def leave() -> None:
    """The connection is not needed any more by one who joined."""
    with _lock:
        if not _open:
            return
        _open[0].users -= 1
        if _open[0].users <= 0:
            _end(_open.pop())


def is_joined() -> bool:
    """Whether the connection is there, as far as this process knows."""
    with _lock:
        return bool(_open) and _is_connected()


def fitting(needs: Needs, most: int) -> int:
    """How many workers with such needs the whole cluster has room for; one at least."""
    import ray

    has = ray.cluster_resources()
    wanted = {"CPU": needs.cores, "GPU": needs.gpus, "memory": needs.memory_bytes}
    counts = [int(has.get(name, 0) // value) for name, value in wanted.items() if value]
    if any(label not in has for label in needs.labels):
        counts.append(0)
    return max(1, min([most, *counts]))


class Actor:
    """A handle of an actor: what is called is answered by a call of `then`, in any thread."""

    def __init__(self, terms: Terms, needs: Needs) -> None:
        """Ask for an actor; Ray starts it where there is room for it."""
        import ray

        options: dict[str, JSON] = {
            "num_cpus": needs.cores,
            "num_gpus": needs.gpus,
            "resources": dict.fromkeys(needs.labels, _LABEL_SHARE),
            "max_concurrency": 4,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        if needs.memory_bytes:
            options["memory"] = needs.memory_bytes
        self._handle = ray.remote(WorkerHost).options(**options).remote(terms)

    def call(self, method: str, argument: JSON, then: Callable[[Future[Any]], None]) -> None:
        """Call a method, and `then` with what comes of it."""
        ref: Ref = getattr(self._handle, method).remote(argument)
        ref.future().add_done_callback(then)

    def close(self, then: Callable[[Future[Any]], None]) -> None:
        """Let it end its worker, and `then` be called; `kill` follows."""
        ref: Ref = self._handle.close.remote()
        ref.future().add_done_callback(then)

    def kill(self) -> None:
        """End it at once; its worker notices and ends too."""
        import ray

        with suppress(Exception):  # Ray has many kinds of errors for an actor that is gone
            ray.kill(self._handle)


def _connect(address: str, cores: int) -> _Connection:
    # No figures about this machine go to anybody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A worker without a GPU is to see none: Ray's coming way, and no warning about it.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
    import ray

    # What it warns of is told as an error with a hint.
    warnings.filterwarnings("ignore", module=r"ray\.util\.client")
    if ray.is_initialized():
        # Somebody in this process uses Ray already: then that is the cluster.
        return _Connection(address, own=False)
    quiet: dict[str, JSON] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    connection = _Connection(address)
    try:
        if address == LOCAL:
            connection.folder = _folder()
            ray.init(
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                _node_ip_address="127.0.0.1",
                _temp_dir=str(connection.folder),
                **quiet,
            )
        else:
            ray.init(address, **quiet)
        _hush()
    except Exception as error:
        _end(connection)
        raise explained(address, error) from error
    return connection


def _is_connected() -> bool:
    import ray
    from ray.util.client import ray as client

    return bool(client.is_connected()) if _is_remote() else bool(ray.is_initialized())


def _is_remote() -> bool:
    return bool(_open) and _open[0].own and _open[0].address != LOCAL


def _end(connection: _Connection) -> None:
    import ray

    if connection.own:
        with suppress(Exception):  # what ends may be broken in any way
            ray.shutdown()
    if connection.folder is not None:
        shutil.rmtree(connection.folder, ignore_errors=True)


def _folder() -> Path:
    """A folder for the files of a cluster of our own, with a name that its sockets bear."""
    parent = tempfile.gettempdir()
    if len(parent) > _LONGEST_FOLDER:
        parent = "/tmp"  # noqa: S108  # what is made below it is for us alone
    return Path(tempfile.mkdtemp(prefix="ray-", dir=parent))


def _hush() -> None:
    """Keep what Ray has to say to a driver off this process's terminal: the ledger says it.

    Ray has no setting for it; a version of Ray that has other names just stays loud.
    """
    import ray._private.worker as inside
    from ray.util.client import ray as client

    with suppress(AttributeError):
        inside.print_to_stdstream = lambda *_args, **_options: None
    with suppress(Exception):
        client.get_context().client_worker.log_client.disable_logs()


def explained(address: str, error: Exception) -> EngineError:
    """What is wrong with joining, in our words."""
    words = " ".join(str(error).split())
    place = "The Ray cluster" if address == LOCAL else f"The Ray cluster at {address}"
    if "ersion mismatch" in words:
        import ray

        python = sys.version.split()[0]
        message = f"{place} has other versions than this process: {words}"
        hint = f"Here are Ray {ray.__version__} and Python {python}: have the same on both sides."
        return WorkerStartFailed(message, hint=hint)
    if isinstance(error, ConnectionError):
        message = f"{place} does not answer."
        hint = "Is this the port of its client server? Does it want RAY_AUTH_MODE=token?"
        return EngineError(message, hint=hint)
    return EngineError(f"{place} can't be used: {words[:1000]}", hint="See: ray status")


def of_actor(error: BaseException) -> str:
    """Why an actor has ended, in a line for people."""
    words = " ".join(str(error).split())
    if "No module named 'grange'" in words:
        return (
            "Grange is not installed on the machines of the Ray cluster: "
            f"pip install 'grange=={version('grange')}'"
        )
    return words[:1000] or type(error).__name__
