"""The units for systemd start what there is, and end it as it wants to be ended."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from docs import generate
from tests.deploy.queries import DEPLOY

SYSTEMD = DEPLOY / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))
PAGE = DEPLOY.parent / "docs" / "operations" / "workers.md"
# As `grange worker` ends when it has given work back, and when its command line makes no sense.
GIVEN_BACK, SENSELESS = "130", "2"


def _read(unit: Path) -> dict[str, list[str]]:
    """Give what a unit sets, each name with its values in their order."""
    found = defaultdict(list)
    for line in unit.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


def _command(unit: Path) -> list[str]:
    return shlex.split(_read(unit)["ExecStart"][0])


def _options(command: str) -> set[str]:
    """Give the options that a command of grange takes."""
    return {
        option
        for name, found in generate.commands()
        if name == f"grange {command}"
        for parameter in found.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    """Its own checker knows every name and every value."""
    checker = shutil.which("systemd-analyze")
    if checker is None:
        pytest.skip("systemd is not installed.")
    program = tmp_path / "grange"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    here = tmp_path / unit.name
    here.write_text(unit.read_text().replace("/opt/grange/bin/grange", str(program)))

    done = subprocess.run(
        [checker, "verify", "--man=no", here], capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stderr
    assert unit.name not in done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_names_options_that_there_are(unit: Path) -> None:
    """Nobody finds out in a journal at night that an option is called otherwise by now."""
    program, command, *words = _command(unit)
    options = {word for word in words if word.startswith("--")}

    assert "/opt/grange/bin/grange" == program
    assert f"grange-{command}.service" == unit.name
    assert options <= _options(command)


def test_the_page_names_options_that_there_are() -> None:
    """All that it says of `grange worker`."""
    named = set(re.findall(r"`(--[a-z-]+)", PAGE.read_text()))

    assert {"--drain-seconds", "--memory", "--labels"} <= named
    assert named <= _options("worker") | _options("run")


def test_a_worker_has_the_time_that_it_was_promised() -> None:
    """Systemd waits longer for it than it takes to finish what is begun."""
    words = _command(SYSTEMD / "grange-worker.service")
    drain = float(words[words.index("--drain-seconds") + 1])

    assert drain + 30 <= float(_read(SYSTEMD / "grange-worker.service")["TimeoutStopSec"][0])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_service_comes_back_and_has_few_rights(unit: Path) -> None:
    """However it ended; only what can't get better is left. A greedy task ends no other one."""
    said = _read(unit)

    assert ["always"] == said["Restart"]
    assert [SENSELESS] == said["RestartPreventExitStatus"]
    assert ["mixed"] == said["KillMode"]
    assert ["continue"] == said["OOMPolicy"]
    assert "root" != said["User"][0]
    assert ["true"] == said["NoNewPrivileges"]
    assert [""] == said["CapabilityBoundingSet"]


def test_work_that_was_given_back_is_no_failure() -> None:
    """Nor is it one for whoever looks after services."""
    assert [GIVEN_BACK] == _read(SYSTEMD / "grange-worker.service")["SuccessExitStatus"]
