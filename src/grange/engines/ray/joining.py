"""This process's one connection to Ray, shared by all that use it.

No other place of this process imports Ray.

Ray keeps a connection for the whole process; so it is opened by whoever comes
first, and closed when the last one leaves. What asks Ray for anything may take
as long as the cluster is in trouble; `is_joined` and `cut` return at once.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import socket
import sys
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import urlsplit

from grange.core.resources import Needs
from grange.core.tasks import JSON
from grange.engines.ray.host import Terms, WorkerHost
from grange.engines.ray.line import Line
from grange.engines.ray.own import OwnCluster
from grange.engines.ray.wording import explained
from grange.errors import EngineError, ExtraMissing
from grange.settings import usable_cores

# The name of a cluster that is started here, and ends with this process.
LOCAL: Final = "ray"
# So long a broken connection may come back, with all that was under way; and so long after this
# process was killed, its actors still have their part of the cluster.
RECONNECT_SECONDS: Final = 10
# A connection that does not end within this is torn.
END_SECONDS = 2.0
PROBE_SECONDS = 5.0
_TOKEN_BYTES = 32
# The port that Ray takes for granted.
_PORT: Final = 10001
# How HTTP/2 begins: its preface, and settings without any.
_GREETING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
# How much of a label an actor takes: any number of actors may have it.
_LABEL_SHARE = 0.0001


@dataclass(slots=True, eq=False)
class Connection:
    """What is open, and for how many."""

    address: str
    users: int = 0
    # Somebody in this process used Ray before: it is theirs to close.
    is_theirs: bool = False
    is_cut: bool = False
    cluster: OwnCluster | None = None


# Whoever opens or closes the connection holds the first, for seconds; the second is held briefly.
_changing = threading.Lock()
_lock = threading.Lock()
_open: list[Connection] = []


def check_there() -> None:
    """See that Ray is installed, without importing it.

    Raises:
        ExtraMissing: It is not.
    """
    if find_spec("ray") is None:
        message = "The engine Ray needs a package that is not installed."
        raise ExtraMissing(message, hint="Install it: pip install 'grange[ray]'")


def join(address: str, needs: Needs, workers: int | None) -> Connection:
    """Join the cluster of this address, or start one here, with room for so many workers.

    Without a number of workers, one that is started has the cores of this machine.

    Each call wants a `leave`. Takes seconds when nobody has joined before.

    Raises:
        ExtraMissing: Ray is not installed.
        WorkerStartFailed: The cluster has other versions than this process.
        EngineError: It is not reached, or this process has joined another one.
    """
    check_there()
    with _changing:
        if _open and not is_joined(_open[0]):
            _end(_open.pop())
        if not _open:
            cores = usable_cores() if workers is None else math.ceil(workers * needs.cores)
            _open.append(_connect(address, cores))
        (connection,) = _open
        if connection.address != address:
            message = f"This process has joined another Ray cluster already: {connection.address}"
            raise EngineError(message, hint="Use one Ray cluster at a time.")
        with _lock:
            connection.users += 1
        return connection


def leave(connection: Connection) -> None:
    """It is not needed any more by one who joined; nobody else's is touched."""
    with _lock:
        connection.users -= 1
        if connection.users > 0 or connection not in _open:
            return
    with _changing:
        # Meanwhile somebody may have joined.
        if connection.users <= 0 and connection in _open:
            _open.remove(connection)
            _end(connection)


def is_joined(connection: Connection) -> bool:
    """Whether the connection is there, as far as this process knows."""
    if connection.is_cut or connection not in _open:
        return False
    if connection.cluster is not None and not connection.cluster.is_alive():
        return False
    import ray
    from ray.util.client import ray as client

    return bool(ray.is_initialized() if connection.is_theirs else client.is_connected())


def cut(connection: Connection) -> None:
    """Give it up: whoever still waits for an answer of it gets an error."""
    connection.is_cut = True
    if connection in _open and not connection.is_theirs:
        _tear()


def cut_short() -> None:
    """Let a `join` that takes too long fail."""
    if not _open and "ray" in sys.modules:
        _tear()


def fitting(needs: Needs, most: int) -> int:
    """How many workers with such needs the whole cluster has room for; one at least.

    Raises whatever Ray does when the cluster is out of reach.
    """
    import ray

    has = ray.cluster_resources()
    wanted = {"CPU": needs.cores, "GPU": needs.gpus, "memory": needs.memory_bytes}
    counts = [int(has.get(name, 0) // value) for name, value in wanted.items() if value]
    if any(label not in has for label in needs.labels):
        counts.append(0)
    return max(1, min([most, *counts]))


def is_of_actor(error: BaseException) -> bool:
    """Whether an answer's error tells of its actor, or of the way there."""
    from ray.exceptions import RayError

    return isinstance(error, RayError)


def hire(terms: Terms, needs: Needs) -> Any:  # noqa: ANN401  # of two kinds, by how Ray is reached
    """Ask for an actor; Ray starts it where there is room for it. Gives its handle.

    Raises whatever Ray does when the cluster is out of reach; so does `kill`.
    """
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
    return ray.remote(WorkerHost).options(**options).remote(terms)


def kill(handle: Any) -> None:  # noqa: ANN401  # as above
    """End an actor at once; its worker notices and ends too."""
    import ray

    ray.kill(handle)


def _connect(address: str, cores: int) -> Connection:
    if "ray" not in sys.modules:
        # No figures about this machine go to anybody.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # A worker without a GPU is to see none: Ray's coming way, and no warning about it.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
        os.environ.setdefault("RAY_CLIENT_RECONNECT_GRACE_PERIOD", str(RECONNECT_SECONDS))
        # Else what is said after a connection has ended would start a cluster in this process.
        os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
        if address == LOCAL and "RAY_AUTH_MODE" not in os.environ:
            # Without it, every account of this machine could have the cluster do things for it.
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(_TOKEN_BYTES)
    import ray

    # What it warns of is told as an error with a hint; what it logs, by the ledger.
    warnings.filterwarnings("ignore", module=r"ray\.util\.client")
    logging.getLogger("ray.util.client.logsclient").addHandler(logging.NullHandler())
    if ray.is_initialized():
        return Connection(address, is_theirs=True)
    connection = Connection(address)
    place = f"The Ray cluster at {address}"
    if address == LOCAL:
        place = "The Ray cluster of this process"
        connection.cluster = OwnCluster(cores)
        address = connection.cluster.address
    try:
        _probe(address)
        ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
        _hush()
    except Exception as error:
        _end(connection)
        raise explained(place, error) from error
    return connection


def _probe(address: str) -> None:
    """See that somebody answers there: Ray takes half a minute for that, and leaves threads.

    What speaks gRPC says so as soon as it is greeted.
    """
    place = urlsplit(address)
    where = (place.hostname or "", place.port or _PORT)
    with socket.create_connection(where, PROBE_SECONDS) as probe:
        if os.environ.get("RAY_USE_TLS", "0").lower() in {"1", "true"}:
            return
        probe.sendall(_GREETING)
        if not probe.recv(1):
            message = "It has hung up."
            raise ConnectionError(message)


def _end(connection: Connection) -> None:
    """Close it, in a time that is bounded: Ray waits for the cluster to say goodbye."""
    if not connection.is_theirs:
        closing = Line("ray end")
        closing.say(_shut)
        closing.end()
        if connection.is_cut or not closing.wait(END_SECONDS):
            _tear()
            closing.wait(END_SECONDS)
    if connection.cluster is not None:
        connection.cluster.end()


def _shut() -> None:
    import ray

    ray.shutdown()


def _tear() -> None:
    """Close what Ray's client has to the cluster, whatever waits for it."""
    from ray.util.client import ray as client

    worker = client.get_context().client_worker
    if worker is not None:
        # Ray has no function for it; without the first line it would connect again.
        worker._in_shutdown = True  # noqa: SLF001
        with suppress(Exception):  # what ends may be broken in any way
            worker.channel.close()


def _hush() -> None:
    """Keep what Ray has to say to a driver off this process's terminal: the ledger says it.

    Ray has no setting for it; a version of Ray that has other names just stays loud.
    """
    from ray.util.client import ray as client

    with suppress(Exception):
        client.get_context().client_worker.log_client.disable_logs()
