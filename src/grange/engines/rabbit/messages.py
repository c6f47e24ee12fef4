"""What travels through the broker, as bytes: pure, and the same on both sides.

Every body is JSON with the number of the protocol in it. Whoever reads another
number refuses the message and says which versions met. Large bodies are
packed, since a broker refuses what is too large.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.metadata import version
from typing import Final, TypeAlias

from grange.core.tasks import (
    JSON,
    Batch,
    Job,
    Outcome,
    Task,
    batch_from_json,
    job_to_json,
    outcome_from_json,
    outcome_to_json,
    task_to_json,
)
from grange.errors import BrokerMessageInvalid, ProtocolMismatch

PROTOCOL: Final = 1
# RabbitMQ 4 takes 16 MiB at most, unless it is told otherwise.
MAX_BODY_BYTES: Final = 15 << 20
# A task with very many parts is long; what is longer than this was not made by Grange.
MAX_PLAIN_BYTES: Final = 256 << 20
# Packing shorter ones costs more than it brings.
PACK_BYTES: Final = 64 << 10

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(slots=True)
class Held:
    """An attempt in a station's hands; `seconds` since it was begun, None before that."""

    task: int
    epoch: int
    seconds: float | None = None
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """A station's sign of life: what it holds of one run, or (without a run) how it is.

    `session` is new each time that the station's program is started. `at` is
    its own clock's time, for people. `about` is whatever it says of itself.
    """

    station: str
    session: str
    at: float
    slots: int
    held: tuple[Held, ...] = ()
    about: dict[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What a station says once and for all: which messages it took, what came of tasks."""

    station: str
    session: str
    taken: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True)
class Abandon:
    """Stop these attempts of a run (task and epoch), and never begin them."""

    run: str
    attempts: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Drain:
    """The station of this name is to end what it holds, and to take nothing more."""

    station: str


@dataclass(frozen=True, slots=True)
class Shapes:
    """The task queues that there are; whoever hears it says how it is."""

    shapes: tuple[str, ...]


Control: TypeAlias = Abandon | Drain | Shapes


def pack_batch(batch: Batch) -> bytes:
    """Tasks as they travel to a station.

    Raises:
        BrokerMessageInvalid: They are too long for a message.
    """
    return pack_tasks(job_to_json(batch.job), batch.tasks)


def pack_tasks(job: JSON, tasks: Collection[Task]) -> bytes:
    """The same, for who has taken the job apart already.

    Raises:
        BrokerMessageInvalid: They are too long for a message.
    """
    return _pack({"job": job, "tasks": [task_to_json(task) for task in tasks]})


def unpack_batch(body: bytes) -> Batch:
    """The tasks that came.

    What a later Grange has added to a job or a task is left out.

    Raises:
        ProtocolMismatch: It speaks another protocol.
        BrokerMessageInvalid: It is no message.
    """
    data = _unpack(body)
    try:
        given = {"job": data["job"], "tasks": data["tasks"]}
        given["job"] = _known(given["job"], Job)
        given["tasks"] = [_known(one, Task) for one in given["tasks"]]
        return batch_from_json(given)
    except _WRONG as error:
        raise _invalid("tasks") from error


def pack_report(report: Report) -> bytes:
    """What a station reports, as it travels to the run's driver.

    Raises:
        BrokerMessageInvalid: It is too long for a message.
    """
    data: dict[str, JSON] = {"station": report.station, "session": report.session}
    if report.taken:
        data["taken"] = report.taken
    if report.outcomes:
        data["outcomes"] = [outcome_to_json(outcome) for outcome in report.outcomes]
    return _pack(data)


def unpack_report(body: bytes) -> Report:
    """What a station reports.

    Raises:
        ProtocolMismatch: It speaks another protocol.
        BrokerMessageInvalid: It is no message.
    """
    data = _unpack(body)
    try:
        outcomes = [outcome_from_json(_known(one, Outcome)) for one in data.get("outcomes", ())]
        return Report(
            station=str(data["station"]),
            session=str(data["session"]),
            taken=tuple(map(str, data.get("taken", ()))),
            outcomes=tuple(outcomes),
        )
    except _WRONG as error:
        raise _invalid("a report") from error


def pack_beat(beat: Beat) -> bytes:
    """A sign of life, as it travels."""
    data: dict[str, JSON] = {
        "station": beat.station,
        "session": beat.session,
        "at": round(beat.at, 3),
        "slots": beat.slots,
    }
    if beat.held:
        data["tasks"] = [_held_to_json(one) for one in beat.held]
    if beat.about:
        data["about"] = beat.about
    return _pack(data)


def unpack_beat(body: bytes) -> Beat:
    """A station's sign of life.

    Raises:
        ProtocolMismatch: It speaks another protocol.
        BrokerMessageInvalid: It is no message.
    """
    data = _unpack(body)
    try:
        return Beat(
            station=str(data["station"]),
            session=str(data["session"]),
            at=float(data["at"]),
            slots=int(data["slots"]),
            held=tuple([_held_from_json(one) for one in data.get("tasks", ())]),
            about=dict(data.get("about", {})),
        )
    except _WRONG as error:
        raise _invalid("a beat") from error


def pack_control(control: Control) -> bytes:
    """What a driver says to all stations, as it travels."""
    match control:
        case Abandon(run, attempts):
            return _pack({"run": run, "abandon": attempts})
        case Drain(station):
            return _pack({"drain": station})
        case Shapes(shapes):
            return _pack({"shapes": shapes})


def unpack_control(body: bytes) -> Control:
    """What a driver says to all stations.

    Raises:
        ProtocolMismatch: It speaks another protocol.
        BrokerMessageInvalid: It is no message, or one of a kind that is not known.
    """
    data = _unpack(body)
    try:
        if "abandon" in data:
            attempts = tuple((int(task), int(epoch)) for task, epoch in data["abandon"])
            return Abandon(str(data["run"]), attempts)
        if "drain" in data:
            return Drain(str(data["drain"]))
        return Shapes(tuple(map(str, data["shapes"])))
    except _WRONG as error:
        raise _invalid("a driver's word") from error


def _held_to_json(held: Held) -> Sequence[JSON]:
    if held.seconds is None:
        return held.task, held.epoch
    return held.task, held.epoch, round(held.seconds, 1), held.progress


def _held_from_json(data: Sequence[JSON]) -> Held:
    task, epoch, *rest = data
    seconds, progress = rest or (None, None)
    return Held(
        int(task),
        int(epoch),
        None if seconds is None else float(seconds),
        None if progress is None else float(progress),
    )


def _pack(data: dict[str, JSON]) -> bytes:
    whole = {"protocol": PROTOCOL, "grange": _version(), **data}
    body = _encode(whole).encode("utf-8", "surrogatepass")
    if len(body) > PACK_BYTES:
        body = zlib.compress(body, 1)
    if len(body) > MAX_BODY_BYTES:
        raise BrokerMessageInvalid(f"A message of {len(body)} bytes is too long for a broker.")
    return body


def _unpack(body: bytes) -> dict[str, JSON]:
    try:
        if not body.startswith(b"{"):
            unpacking = zlib.decompressobj()
            body = unpacking.decompress(body, MAX_PLAIN_BYTES)
            if not unpacking.eof:
                raise _invalid("anything whole")
        data = json.loads(body.decode("utf-8", "surrogatepass"))
        protocol = data["protocol"]
    except (zlib.error, *_WRONG) as error:
        raise _invalid("anything") from error
    if protocol != PROTOCOL:
        theirs = str(data.get("grange", "?"))[:40]
        raise ProtocolMismatch(
            f"A message of Grange {theirs} speaks protocol {str(protocol)[:20]}; "
            f"this is Grange {_version()}, which speaks protocol {PROTOCOL}.",
            hint="Bring the server and its workers to the same version of Grange.",
        )
    whole: dict[str, JSON] = data
    return whole


def _known(data: dict[str, JSON], kind: type) -> dict[str, JSON]:
    names = _names(kind)
    if names.issuperset(data):
        return data
    return {name: value for name, value in data.items() if name in names}


@cache
def _names(kind: type) -> frozenset[str]:
    return frozenset(one.name for one in fields(kind))


@cache
def _version() -> str:
    return version("grange")


def _invalid(what: str) -> BrokerMessageInvalid:
    return BrokerMessageInvalid(f"What came through the broker is not {what} that Grange has sent.")


# What taking apart raises when it is not what it should be.
_WRONG = (
    AttributeError,
    LookupError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
