"""Whether a failure is the item's, or only this machine's."""

from __future__ import annotations

import pytest

from grange.core.tasks import Failure, Outcome, OutcomeState
from grange.worker.station.judging import PATIENCE, Verdict, given_back, judge
from grange.worker.station.routes import Way


@pytest.mark.parametrize(
    ("code", "outputs", "mounted", "verdict"),
    [
        ("pipeline.failed", Way.SERVER, False, Verdict.TELL),
        ("command.failed", Way.MOUNT, True, Verdict.DOUBT),
        ("store.full", Way.SERVER, False, Verdict.FULL),
        ("store.full", Way.MOUNT, False, Verdict.TELL),  # the run's own store: it has to stop
        ("input.missing", Way.SERVER, True, Verdict.DOUBT),
        ("input.missing", Way.SERVER, False, Verdict.TELL),
        ("store.denied", Way.MOUNT, True, Verdict.DOUBT),
        ("command.not_found", Way.MOUNT, False, Verdict.LACK),
        ("pipeline.not_found", Way.MOUNT, False, Verdict.LACK),
        ("extra.missing", Way.MOUNT, False, Verdict.LACK),
        ("claim.ended", Way.MOUNT, True, Verdict.GONE),
    ],
)
def test_a_machine_s_own_fault_is_not_the_item_s(
    code: str, outputs: Way, mounted: bool, verdict: Verdict
) -> None:
    """Its full disk, a mount that is gone, a program that it lacks: another may do better."""
    assert verdict == judge(_failed(code), outputs, mounted=mounted, lacked=0)


def test_what_every_machine_lacks_fails_in_the_end() -> None:
    """It is given back a few times, and told then: no run goes on for ever by this."""
    failed = _failed("command.not_found")

    verdicts = [judge(failed, Way.MOUNT, mounted=False, lacked=n) for n in range(PATIENCE + 1)]

    assert [Verdict.LACK] * PATIENCE + [Verdict.TELL] == verdicts


def test_what_is_given_back_keeps_nothing_of_the_failure() -> None:
    """The attempt doesn't count, so nothing of it is on the ledger."""
    back = given_back(_failed("store.full"))

    assert (OutcomeState.RETURNED, None, (7, 3)) == (
        back.state,
        back.failure,
        (back.task, back.epoch),
    )


def _failed(code: str) -> Outcome:
    return Outcome(7, 3, OutcomeState.FAILED, failure=Failure(code, "words"))
