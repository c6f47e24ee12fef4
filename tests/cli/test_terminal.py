"""What a person at a terminal sees."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from tests.cli.invocations import COMMAND, Grange

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
WAIT = "while ! test -e {value}; do sleep 0.05; done; cp {{input}} {{output}}/copy"


class Terminal:
    """A command in a terminal of 24 lines and 80 columns."""

    def __init__(self, *words: str, cwd: Path) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [*COMMAND, *words], cwd=cwd, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        self.seen = ""

    def read_until(self, words: str, *, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while words not in CONTROL.sub("", self.seen):
            assert time.monotonic() < deadline, f"{words!r} never came: {self.seen!r}"
            self.seen += self._read()

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def finish(self, *, seconds: float = 30) -> int:
        """Read to the end; returns the exit code."""
        while chunk := self._read():
            self.seen += chunk
        os.close(self._master)
        return self.process.wait(timeout=seconds)

    def _read(self) -> str:
        # Linux says that the other end of a terminal is closed by an error.
        with contextlib.suppress(OSError):
            return os.read(self._master, 65536).decode()
        return ""


@pytest.fixture(autouse=True)
def _ordinary_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def test_a_run_is_shown_as_it_goes_and_summed_up_at_the_end(
    grange: Grange, inputs: Path, tmp_path: Path
) -> None:
    """The display has counts and workers; it is wiped off, and a summary stays."""
    wait = WAIT.format(value="go")
    words = ["map", wait, "in", "--out", "out", "-w", "2", "--name", "night shift"]
    terminal = Terminal(*words, cwd=tmp_path)

    terminal.read_until("0 of 3 items done")
    terminal.read_until("3 left")
    terminal.read_until("a.txt")
    (tmp_path / "go").touch()

    assert 0 == terminal.finish()
    assert terminal.seen.count(HIDE_CURSOR) == terminal.seen.count(SHOW_CURSOR) == 1
    last = CONTROL.sub("", terminal.seen.rpartition(SHOW_CURSOR)[2])
    assert "night shift" in terminal.seen
    assert "is done: 3 of 3 items done" in last
    assert "out/report.html" in last
    assert '{"event"' not in terminal.seen


def test_the_display_is_calm(grange: Grange, inputs: Path, tmp_path: Path) -> None:
    """However much happens, it is drawn a few times a second."""
    for number in range(300):
        (inputs / f"{number}.txt").touch()
    begun = time.monotonic()
    terminal = Terminal("map", ":", "in", "--out", "out", cwd=tmp_path)

    assert 0 == terminal.finish()
    drawn = terminal.seen.count("so far")
    assert 0 < drawn <= 5 * (time.monotonic() - begun) + 3


def test_stopping_leaves_the_terminal_as_it_was(
    grange: Grange, inputs: Path, tmp_path: Path
) -> None:
    """The cursor comes back, and the last words say how to go on."""
    terminal = Terminal("map", WAIT.format(value="go"), "in", "--out", "out", cwd=tmp_path)
    terminal.read_until("a.txt")

    terminal.process.send_signal(signal.SIGINT)

    assert 130 == terminal.finish()
    last = terminal.seen.rpartition(SHOW_CURSOR)[2]
    assert "grange runs resume" in last
    assert "Traceback" not in terminal.seen


def test_failures_are_shown_with_their_reason(grange: Grange, inputs: Path, tmp_path: Path) -> None:
    """The summary groups them and names the next command."""
    words = ["map", "false {input}", "in", "--out", "out", "--retries", "0"]
    terminal = Terminal(*words, cwd=tmp_path)

    assert 3 == terminal.finish()
    last = terminal.seen.rpartition(SHOW_CURSOR)[2]
    assert "3 × command.failed" in last
    assert "grange runs retry" in last


def test_a_person_is_asked_before_a_run_is_deleted(
    grange: Grange, inputs: Path, tmp_path: Path
) -> None:
    """Anything but a yes keeps it."""
    grange("map", ":", "in", "--out", "out")

    for answer, left in (("n", True), ("y", False)):
        terminal = Terminal("runs", "delete", "last", cwd=tmp_path)
        terminal.read_until("Delete it?")
        assert "loses the account and the logs of 3 items" in terminal.seen
        terminal.type(f"{answer}\n")
        terminal.finish()
        assert left == bool(grange("runs", "list", "--json").stdout)


def test_states_have_colours_on_a_terminal_alone(
    grange: Grange, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe gets plain text, and so does who wants no colours."""
    grange("map", ":", "in", "--out", "out")
    green = "\x1b[32mdone\x1b[0m"

    colourful = Terminal("runs", "list", cwd=tmp_path)
    colourful.finish()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal("runs", "list", cwd=tmp_path)
    plain.finish()

    assert green in colourful.seen
    assert "\x1b" not in plain.seen
    assert "\x1b" not in grange("runs", "list").stdout
