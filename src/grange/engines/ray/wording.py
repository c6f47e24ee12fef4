"""What Ray says, in our words."""

from __future__ import annotations

import sys
from importlib.metadata import version

from grange.errors import EngineError, WorkerStartFailed

_LONGEST = 1000
# What the server for clients says when the one that it has forked for a client has died of that.
_STILLBORN = ("Starting Ray client server failed", "ZombieProcess", "NoSuchProcess")


def explained(place: str, error: Exception) -> EngineError:
    """What is wrong with joining the cluster at that place."""
    words = plain(error)
    if "ersion mismatch" in str(error):
        python = sys.version.split()[0]
        message = f"{place} has other versions than this process: {words}"
        hint = f"Here are Ray {version('ray')} and Python {python}: have the same on both sides."
        return WorkerStartFailed(message, hint=hint)
    if any(trace in str(error) for trace in _STILLBORN):
        message = f"{place} could not start its part for this process, which is tried again."
        return EngineError(message, hint="Start the cluster with GRPC_ENABLE_FORK_SUPPORT=0.")
    if isinstance(error, OSError) and not isinstance(error, ConnectionAbortedError):
        message = f"{place} does not answer."
        hint = "Is this the port of its client server? Does it want RAY_AUTH_MODE=token?"
        return EngineError(message, hint=hint)
    return EngineError(f"{place} can't be used: {words}", hint="See: ray status")


def of_actor(error: BaseException) -> str:
    """Why an actor has ended, in a line for people."""
    words = plain(error)
    if "No module named 'grange'" in words:
        return (
            "Grange is not installed on the machines of the Ray cluster: "
            f"pip install 'grange=={version('grange')}'"
        )
    return words or type(error).__name__


def of_connection(error: BaseException) -> str:
    """Why a connection has broken; what gRPC has to say about that is for nobody."""
    if isinstance(error, ConnectionError):
        return "The connection to the Ray cluster has broken."
    return f"The connection to the Ray cluster has broken: {plain(error)}"


def plain(error: BaseException) -> str:
    """The error's words in one line, the end of them where they are many."""
    words = " ".join(str(error).split())
    return words if len(words) <= _LONGEST else f"…{words[-_LONGEST:]}"
