"""`grange benchmark scaling`: several numbers of workers on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.invocations import Grange

NAP = "shell=sleep 0.4; cp {input} {output}/copy"


def test_more_workers_are_compared_with_one(grange: Grange, inputs: Path, tmp_path: Path) -> None:
    """Each does all of the work anew; what is left are a table, a picture, and the numbers."""
    told = grange(
        *("benchmark", "scaling", "command", str(inputs), "--set", NAP),
        *("--workers", "1,3", "--out", str(tmp_path / "scaling"), "--json"),
    )
    assert 0 == told.returncode, told.stderr
    one, three = map(json.loads, told.stdout.splitlines())

    assert (1, 3) == (one["workers"], three["workers"])
    assert (3, 3, 0) == (one["items"], three["items"], three["failed"])
    # Nothing was reused: one worker has slept three times, and three have slept once each.
    assert one["working"] >= 1.2
    assert 0.4 <= three["working"] < one["working"]
    for each in (one, three):
        parts = ("starting", "working", "waiting", "idle", "closing")
        assert pytest.approx(each["seconds"], abs=0.3) == sum(each[name] for name in parts)
    kept = tmp_path / "scaling"
    assert {"scaling.html", "scaling.json", "scaling.svg"} == {one.name for one in kept.iterdir()}


@pytest.mark.parametrize("workers", ["none", "0", "1,,2", "100000"])
def test_numbers_that_are_none_are_refused(grange: Grange, inputs: Path, workers: str) -> None:
    """Before anything is measured."""
    told = grange(*("benchmark", "scaling", "command", str(inputs), "--workers", workers))

    assert 2 == told.returncode
    assert "--workers 1,2,4" in told.stderr
