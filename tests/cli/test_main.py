"""Errors become words and exit codes in one place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.invocations import COMMAND, Grange


def test_the_version_is_that_of_the_package(grange: Grange) -> None:
    """A report of a fault can name what it is about."""
    done = grange("--version")

    assert 0 == done.returncode
    assert done.stdout.startswith("grange 0.")


@pytest.mark.parametrize(
    "words", [["run"], ["run", "command", "x"], ["nonsense"], ["runs", "list", "--limit", "x"]]
)
def test_a_wrong_command_line_exits_with_2(grange: Grange, words: list[str]) -> None:
    """A script can tell its own slip from a failure of the work."""
    done = grange(*words)

    assert 2 == done.returncode
    assert "" == done.stdout
    assert "Usage: grange" in done.stderr


def test_an_error_says_what_happened_its_code_and_what_to_do(grange: Grange) -> None:
    """Two lines on stderr, and no traceback."""
    done = grange("runs", "show", "nothing-like-it")

    assert 1 == done.returncode
    assert "" == done.stdout
    first, second = done.stderr.splitlines()
    assert "grange: error: There is no run 'nothing-like-it'. [run.not_found]" == first
    assert "grange runs list" in second


def test_with_json_an_error_is_a_line_of_json(grange: Grange) -> None:
    """A program reads one kind of thing from stdout, whatever happens."""
    done = grange("runs", "show", "nothing-like-it", "--json")

    assert 1 == done.returncode
    error = json.loads(done.stdout)["error"]
    assert "run.not_found" == error["code"]
    assert {"code", "message", "hint"} == error.keys()


def test_a_refused_setting_exits_with_2(grange: Grange, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting is part of the request."""
    monkeypatch.setenv("GRANGE_WORKERS", "many")

    done = grange("runs", "list")

    assert 2 == done.returncode
    assert "GRANGE_WORKERS" in done.stderr


@pytest.mark.parametrize("by_flag", [True, False])
def test_debugging_shows_where_it_happened(
    grange: Grange, monkeypatch: pytest.MonkeyPatch, by_flag: bool
) -> None:
    """The traceback is there for who asks for it."""
    if not by_flag:
        monkeypatch.setenv("GRANGE_DEBUG", "1")

    done = grange(*(["--debug"] if by_flag else []), "runs", "show", "nothing-like-it")

    assert 1 == done.returncode
    assert "Traceback" in done.stderr
    assert "RunNotFound" in done.stderr


def test_a_home_that_cannot_be_made_is_a_setting_to_mend(grange: Grange, home: Path) -> None:
    """What the system refuses ends in a line that says what to set, not in a page of code."""
    home.parent.joinpath("grange").write_text("a file where the folder should be")

    done = grange("runs", "list")

    assert 2 == done.returncode
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("grange: error: ")
    assert "GRANGE_HOME" in done.stderr


def test_a_reader_that_goes_away_is_no_error(grange: Grange) -> None:
    """`grange … | head` ends without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, "pipelines", "list"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)

    assert "" == done.stderr


def test_a_terminal_that_knows_ascii_alone_gets_ascii(
    grange: Grange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that the encoding lacks is escaped, and ends no command."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii:strict")
    monkeypatch.setenv("LC_ALL", "C")

    done = grange("runs", "show", "Übersicht")

    assert 1 == done.returncode
    assert r"There is no run '\xdcbersicht'" in done.stderr


def test_every_command_has_help_and_most_have_examples(grange: Grange) -> None:
    """What a command does is told where it is used."""
    for words in (["run"], ["map"], ["runs", "logs"], ["runs", "delete"], ["doctor"]):
        done = grange(*words, "--help")

        assert 0 == done.returncode
        assert "Examples:\n    grange " in done.stdout


def test_an_early_interruption_is_no_fault() -> None:
    """Ctrl-C while a command is still being made ready ends it without a word."""
    program = (
        "import signal, grange.cli.main as it\n"
        "it.asked_for = lambda _: signal.raise_signal(signal.SIGINT)\n"
        "it.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert (130, "", "") == (done.returncode, done.stdout, done.stderr)
