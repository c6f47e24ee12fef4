"""What tasks of a run need, from the command line to those who do them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.invocations import Grange

# Fails for whoever finds another one at it.
ALONE = "mkdir {lock} || exit 9; sleep 0.2; rmdir {lock}; cp {{input}} {{output}}/copy"


@pytest.mark.parametrize("asked", [("--cores", "900"), ("--memory", "900TB")])
def test_a_machine_does_no_more_at_a_time_than_it_has(
    grange: Grange, inputs: Path, tmp_path: Path, asked: tuple[str, str]
) -> None:
    """Tasks that need all of it, or more, are done one after the other; the run says so."""
    command = ALONE.format(lock=tmp_path / "lock")
    done = grange(
        *("map", command, "in", "--out", "out", "--workers", "3", "--retries", "0"), *asked
    )
    shown = grange("runs", "show", "last")
    record = json.loads(grange("runs", "show", "last", "--json").stdout)

    assert 0 == done.returncode, done.stderr
    assert "each task needs" in shown.stdout
    assert 1 == len(record["needs"])


@pytest.mark.parametrize(
    "asked",
    [
        ("--cores", "0"),
        ("--cores", "nan"),
        ("--memory", "much"),
        ("--gpu", "one"),
        ("--gpu", "0:8GB"),
        ("--gpu", "999999"),
        ("--label", "No Label"),
    ],
)
def test_what_no_machine_could_have_is_refused(
    grange: Grange, inputs: Path, tmp_path: Path, asked: tuple[str, str]
) -> None:
    """Before anything is done, and in one clear error."""
    done = grange("map", "cp {input} {output}/copy", "in", "--out", "out", *asked)

    assert 2 == done.returncode
    assert done.stderr.startswith("grange: error: ")
    assert not (tmp_path / "out").exists()


def test_each_local_slot_has_gpus_of_its_own(
    grange: Grange, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task sees its own alone, and nobody else is at that one. No GPU has to be there for it."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    command = (
        f"mkdir {tmp_path}/at-$CUDA_VISIBLE_DEVICES || exit 9; sleep 0.3; "
        f"rmdir {tmp_path}/at-$CUDA_VISIBLE_DEVICES; echo $CUDA_VISIBLE_DEVICES > {{output}}/gpu"
    )
    done = grange(
        *("map", command, "in", "--out", "out", "--workers", "4", "--retries", "0", "--gpu", "1")
    )

    assert 0 == done.returncode, done.stderr
    seen = {path.read_text().strip() for path in (tmp_path / "out").rglob("gpu")}
    assert {"3", "5"} == seen


def test_an_engine_that_is_none_is_refused_without_its_password(
    grange: Grange, inputs: Path
) -> None:
    """What is said of it can be shown to anybody."""
    done = grange("map", "true", "in", "--out", "out", "--engine", "http://me:hunter2@broker")

    assert 2 == done.returncode
    assert "amqp" in done.stderr
    assert "hunter2" not in done.stderr
