"""What is said through the broker in protocol 1 was recorded once; it is read and said for good.

`protocol1/` was written by the first version that spoke it. A change that makes
one of these tests fail cuts old workers off new servers: leave what they say as
it is and add to it, or raise `PROTOCOL` in `messages` and in `pool.models`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grange.core.resources import Needs
from grange.core.tasks import (
    Batch,
    Failure,
    Job,
    Outcome,
    OutcomeState,
    Output,
    Task,
    TaskKind,
)
from grange.engines.rabbit import messages
from grange.engines.rabbit.messages import Abandon, Beat, Drain, Held, Report, Shapes
from grange.pool import models

RECORDED = Path(__file__).parent / "protocol1"
# Where a later version may say more: an older one passes over what it does not know there.
OPEN = {"", "job", "tasks", "outcomes", "about"}

JOB = Job(
    "3k7m9p2q4r",
    "command",
    {"shell": "cat {input} > {output}/copy", "env": {"A": "é"}},
    "file:///srv/grange/outputs/3k7m9p2q4r",
    "/srv/grange/runs/3k7m9p2q4r",
    version="1",
    timeout_seconds=3.5,
    origin={"cwd": "/home/ada"},
    kept="/srv/grange/kept",
    kept_bytes=1 << 40,
    needs=Needs(cores=4.0, memory_bytes=16 << 30, gpus=1, labels=("attic",)),
    work="/srv/grange/work",
    work_bytes=1 << 34,
)
TASKS = (
    Task(1, 1, TaskKind.PROCESS, "a/é.mp4", "file:///srv/videos/a/é.mp4", 1 << 33, 1 << 60),
    Task(2, 3, TaskKind.DIGEST, "b", "s3://videos/b", 5, 7, sha256="0" * 64),
    Task(3, 1, TaskKind.SPLIT, "c", "file:///c", 5, 7),
    Task(4, 1, TaskKind.PROCESS, "c", "file:///c", 5, 7, part=2, payload={"from": 10}),
    Task(5, 1, TaskKind.MERGE, "c", "file:///c", 5, 7, payload={"parts": [{"number": 0}]}),
)
OUTCOMES = (
    Outcome(
        1,
        1,
        OutcomeState.DONE,
        seconds=1.25,
        worker="rack/w1",
        sha256="1" * 64,
        outputs=(Output("copy", 5, "2" * 64, 1 << 60),),
        result={"frames": 7},
        peak_bytes=1 << 30,
        merged=True,
        counts={"frames": 7.0},
    ),
    Outcome(
        2,
        3,
        OutcomeState.FAILED,
        seconds=0.5,
        worker="rack/w2",
        failure=Failure("command.failed", "It failed.", retryable=False, evidence={"code": 1}),
    ),
    Outcome(3, 1, OutcomeState.LOST, failure=Failure("worker.lost", "It is gone.")),
    Outcome(4, 1, OutcomeState.RETURNED, worker="rack"),
)
STATION = ("8b5c2d1f0g", "7n6m5k4j3h")

Pack = Callable[[Any], bytes]
Unpack = Callable[[bytes], object]
_CONTROL = (messages.pack_control, messages.unpack_control)
SAID: dict[str, tuple[Pack, Unpack, object]] = {
    "tasks": (messages.pack_batch, messages.unpack_batch, Batch(JOB, TASKS)),
    "many-tasks": (
        messages.pack_batch,
        messages.unpack_batch,
        Batch(
            JOB,
            tuple(Task(one, 1, TaskKind.PROCESS, f"{one}", f"file:///{one}") for one in range(900)),
        ),
    ),
    "taken": (messages.pack_report, messages.unpack_report, Report(*STATION, taken=("m-1",))),
    "outcomes": (
        messages.pack_report,
        messages.unpack_report,
        Report(*STATION, outcomes=OUTCOMES),
    ),
    "held": (
        messages.pack_beat,
        messages.unpack_beat,
        Beat(*STATION, 1.5e9, 4, (Held(1, 1), Held(2, 3, 1.5), Held(3, 1, 2.0, 0.25))),
    ),
    "station": (
        messages.pack_beat,
        messages.unpack_beat,
        Beat(*STATION, 1.5e9, 4, about={"capacity": {"slots": 4, "cores": 4.0}, "name": "rack"}),
    ),
    "abandon": (*_CONTROL, Abandon("3k7m9p2q4r", ((1, 1), (2, 3)))),
    "drain": (*_CONTROL, Drain(STATION[0])),
    "shapes": (*_CONTROL, Shapes(("c1", "c4-m16-g1+attic"))),
}


@pytest.mark.parametrize("name", SAID)
def test_what_an_older_version_said_is_understood(name: str) -> None:
    """A server reads the words of older workers, and a worker those of older servers."""
    _, unpack, meant = SAID[name]

    assert meant == unpack((RECORDED / name).read_bytes())


@pytest.mark.parametrize("name", SAID)
def test_an_older_version_finds_all_that_it_reads(name: str) -> None:
    """What is said now has everything that was said then, and more only where that is harmless."""
    pack, _, meant = SAID[name]
    then, now = _plain((RECORDED / name).read_bytes()), _plain(pack(meant))

    assert then == _as_far_as(then, now)


def test_there_is_one_number_of_the_protocol() -> None:
    """Who fits at joining fits at the broker, and the recorded messages are of that number."""
    assert 1 == messages.PROTOCOL == models.PROTOCOL


def record() -> None:
    """Write down what the version that runs says; done once, for each number of the protocol."""
    RECORDED.mkdir(exist_ok=True)
    for name, (pack, _, meant) in SAID.items():
        (RECORDED / name).write_bytes(pack(meant))


def _plain(body: bytes) -> dict[str, Any]:
    text = body if body.startswith(b"{") else zlib.decompress(body)
    said: dict[str, Any] = json.loads(text)
    del said["grange"]  # each its own
    return said


def _as_far_as(then: Any, now: Any, place: str = "") -> Any:  # JSON
    """What is said now, without what is new where something may be new."""
    if isinstance(then, dict) and isinstance(now, dict):
        return {
            name: _as_far_as(then.get(name), value, name)
            for name, value in now.items()
            if name in then or place not in OPEN
        }
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [_as_far_as(*both, place) for both in zip(then, now, strict=True)]
    return now
