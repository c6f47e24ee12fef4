"""What a station says of an attempt is looked at before anything stands on it."""

from __future__ import annotations

import json

import pytest

from grange.core.tasks import JSON, Failure, Outcome, OutcomeState, Output
from grange.engines.rabbit.messages import Report, pack_report, unpack_report
from grange.engines.rabbit.vetting import is_sound

WHOLE = Outcome(
    task=7,
    epoch=2,
    state=OutcomeState.FAILED,
    seconds=1,
    worker="rack-ü/1",
    sha256="0" * 64,
    outputs=(Output("deep/ü\n", 0, "0" * 64, -1),),
    result={"rows": [[1.5, None], []]},
    failure=Failure("command.failed", "exit code 1", evidence={"text": "\0"}),
    peak_bytes=1 << 40,
    counts={"frames": 2, "reading seconds": 0.5},
)


def _deep(levels: int) -> JSON:
    value: JSON = 1
    for _ in range(levels):
        value = [value]
    return value


def test_what_workers_say_is_sound() -> None:
    """The least that there is, and everything that there can be."""
    assert is_sound(Outcome(1, 1, OutcomeState.DONE))
    assert is_sound(WHOLE)


@pytest.mark.parametrize(
    "change",
    [
        {"task": [1]},
        {"epoch": "1"},
        {"seconds": "long"},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"seconds": None},
        {"worker": 5},
        {"worker": "a\0b"},
        {"worker": "\ud800"},
        {"sha256": "0" * 65},
        {"peak_bytes": 1 << 64},
        {"peak_bytes": -1},
        {"merged": "yes"},
        {"counts": [1]},
        {"counts": {"frames": "many"}},
        {"outputs": 0},
        {"outputs": [["a\0", 1, "", 0]]},
        {"outputs": [["\udc80", 1, "", 0]]},
        {"outputs": [["a", "1", "", 0]]},
        {"outputs": [["a", 1, None, 0]]},
        {"outputs": [["a", 1, "", 1 << 70]]},
        {"failure": {"code": "x" * 65, "message": ""}},
        {"failure": {"code": "x", "message": 1}},
        {"failure": {"code": "x", "message": "", "retryable": "no"}},
        {"failure": {"code": "x", "message": "", "evidence": []}},
        {"result": _deep(300)},
    ],
    ids=str,
)
def test_what_no_ledger_takes_is_not_sound(change: dict[str, JSON]) -> None:
    """Other kinds of things, texts that no column takes, numbers without an end."""
    data = json.loads(pack_report(Report("st", "session", outcomes=(WHOLE,))))
    data["outcomes"][0] |= change

    (outcome,) = unpack_report(json.dumps(data).encode()).outcomes

    assert not is_sound(outcome)
