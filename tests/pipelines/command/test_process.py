"""Running a command: its output is kept, its limits hold, and nothing of it stays."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from grange.pipelines.command import capture, family
from grange.pipelines.command.capture import Capture
from grange.pipelines.command.process import End, Ended, run_command

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

MIB = 1024 * 1024


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path]:
    """Name the files for stdout and stderr, in a folder that is not there yet."""
    return tmp_path / "logs" / "out", tmp_path / "logs" / "err"


def _run(arguments: list[str], logs: tuple[Path, Path], **limits: Any) -> Ended:
    return run_command(
        arguments, cwd=str(logs[0].parents[1]), environment=os.environ, logs=logs, **limits
    )


def _sh(line: str, logs: tuple[Path, Path], **limits: Any) -> Ended:
    return _run(["/bin/sh", "-c", line], logs, **limits)


def _python(code: str, logs: tuple[Path, Path], **limits: Any) -> Ended:
    return _run([sys.executable, "-c", code], logs, **limits)


def _is_gone(pid_file: Path) -> bool:
    """Whether the process that wrote its number there is dead; a moment may pass till it is."""
    for _ in range(200):
        try:
            if psutil.Process(int(pid_file.read_text())).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def test_what_a_command_prints_is_kept(logs: tuple[Path, Path]) -> None:
    """Stdout and stderr each have their file, and the exit code is told."""
    ended = _sh("echo to out; echo to err >&2; exit 7", logs)

    assert (End.ITSELF, 7, "to err") == (ended.end, ended.code, ended.said)
    assert ("to out\n", "to err\n") == (logs[0].read_text(), logs[1].read_text())


def test_a_silent_command_leaves_no_files(logs: tuple[Path, Path]) -> None:
    """A hundred thousand commands that say nothing make no log at all."""
    assert 0 == _sh(":", logs).code

    assert not logs[0].parent.exists()


def test_a_command_reads_nothing(logs: tuple[Path, Path]) -> None:
    """A program that asks a question gets no answer, rather than the terminal."""
    _sh("wc -c", logs)

    assert "0\n" == logs[0].read_text()


def test_the_end_of_what_was_said_is_told(logs: tuple[Path, Path]) -> None:
    """The last lines of stderr; of stdout where stderr is empty."""
    ended = _sh("seq 1000; exit 1", logs)

    assert [str(number) for number in range(981, 1001)] == ended.said.splitlines()


def test_a_signal_is_told_apart_from_an_exit_code(logs: tuple[Path, Path]) -> None:
    """A negative code is the signal's number."""
    assert -signal.SIGSEGV == _sh("kill -SEGV $$", logs).code


def test_a_program_that_is_not_there_raises(logs: tuple[Path, Path]) -> None:
    """What the system says of it passes through."""
    with pytest.raises(FileNotFoundError):
        _run(["/no/such/program"], logs)


def test_a_flood_is_cut_in_the_middle(logs: tuple[Path, Path]) -> None:
    """200 MB of output: the beginning and the end are kept, and memory stays flat."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    ended = _sh("echo begin; head -c 200000000 /dev/zero; echo end", logs)

    kept = logs[0].read_bytes()
    assert (0, b"begin\n", b"end\n") == (ended.code, kept[:6], kept[-4:])
    assert b"bytes left out" in kept
    assert len(kept) < capture.LIMIT_BYTES + 100
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < 32 * MIB


def test_a_flood_never_blocks_the_time_limit(logs: tuple[Path, Path]) -> None:
    """A command that prints for ever is ended in time."""
    ended = _run(["yes"], logs, timeout_seconds=0.3)

    assert End.TIME == ended.end
    assert ended.seconds < 2


def test_a_hanging_command_is_asked_to_end(logs: tuple[Path, Path]) -> None:
    """At its time limit it gets SIGTERM, and may still say something."""
    ended = _sh("trap 'echo ends; exit 3' TERM; sleep 60 & wait", logs, timeout_seconds=0.2)

    assert (End.TIME, 3, "ends") == (ended.end, ended.code, ended.said)
    assert ended.seconds < 1


def test_a_command_that_refuses_to_end_is_killed(logs: tuple[Path, Path]) -> None:
    """SIGTERM may be ignored, what follows it may not."""
    ended = _sh("trap '' TERM; while :; do sleep 0.05; done", logs, timeout_seconds=0.2)

    assert (End.TIME, -signal.SIGKILL) == (ended.end, ended.code)
    assert 1 < ended.seconds < 3


def test_a_command_may_close_its_output_and_go_on(logs: tuple[Path, Path]) -> None:
    """The end of its output is not its end, and costs no processor time to wait for."""
    before = time.process_time()

    ended = _sh("echo before; exec >&- 2>&-; sleep 0.4; exit 5", logs)

    assert (5, "before") == (ended.code, ended.said)
    assert ended.seconds >= 0.4
    assert time.process_time() - before < 0.2


def test_a_program_left_in_the_background_hangs_nothing(
    tmp_path: Path, logs: tuple[Path, Path]
) -> None:
    """It holds the output open, but ends with the command; what it had printed is kept."""
    line = f"(echo early; sleep 60) & echo $! > {tmp_path}/pid; sleep 0.1; echo done"

    ended = _sh(line, logs)

    assert 0 == ended.code
    assert ended.seconds < 5
    assert {"early", "done"} == set(logs[0].read_text().split())
    assert _is_gone(tmp_path / "pid")


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for descriptor in range(3) if {quiet} else ():
            os.close(descriptor)
        open({file!r} + ".new", "w").write(str(os.getpid()))
        os.rename({file!r} + ".new", {file!r})
        time.sleep(60)
    os._exit(0)
while not os.path.exists({file!r}):
    time.sleep(0.01)
{then}
"""


@linux_only
@pytest.mark.parametrize("quiet", [True, False])
def test_a_daemon_ends_with_its_command(
    tmp_path: Path, logs: tuple[Path, Path], quiet: bool
) -> None:
    """Two forks and a session of its own don't carry a process out of reach."""
    file = tmp_path / "pid"

    ended = _python(DAEMON.format(quiet=quiet, file=str(file), then="sys.exit(4)"), logs)

    assert (End.ITSELF, 4) == (ended.end, ended.code)
    assert ended.seconds < 5
    assert _is_gone(file)


@linux_only
def test_a_daemon_ends_with_a_command_out_of_time(tmp_path: Path, logs: tuple[Path, Path]) -> None:
    """The time limit is for all that a command started."""
    file = tmp_path / "pid"
    code = DAEMON.format(quiet=True, file=str(file), then="time.sleep(60)")

    assert End.TIME == _python(code, logs, timeout_seconds=1).end

    assert _is_gone(file)


@linux_only
def test_processes_of_others_are_left_alone(logs: tuple[Path, Path]) -> None:
    """What this process had started itself is no leftover of a command."""
    with subprocess.Popen(["sleep", "60"]) as other:
        _sh("sleep 60 & :", logs)
        running = other.poll() is None
        other.kill()

    assert running


def test_a_command_that_eats_memory_is_killed(logs: tuple[Path, Path]) -> None:
    """The limit holds, and what was held is told."""
    eat = "import time\nheap = bytearray(300_000_000)\ntime.sleep(60)"

    ended = _python(eat, logs, memory_limit_bytes=100 * MIB)

    assert (End.MEMORY, -signal.SIGKILL) == (ended.end, ended.code)
    assert ended.peak_bytes > 100 * MIB
    assert ended.seconds < 10


def test_a_memory_limit_is_for_all_that_a_command_starts(logs: tuple[Path, Path]) -> None:
    """Three processes that each stay below it are over it together."""
    one = f"{sys.executable} -c 'import time; heap = bytearray(60_000_000); time.sleep(60)'"

    ended = _sh(f"{one} & {one} & {one} & wait", logs, memory_limit_bytes=150 * MIB)

    assert End.MEMORY == ended.end


@linux_only
def test_memory_that_processes_share_counts_once(logs: tuple[Path, Path]) -> None:
    """Forked processes that have one heap in common hold it once."""
    fork = (
        "import os, time\nheap = bytearray(60_000_000)\n"
        "for _ in range(3):\n    if os.fork() == 0:\n        time.sleep(0.6); os._exit(0)\n"
        "time.sleep(0.6)"
    )

    ended = _python(fork, logs, memory_limit_bytes=150 * MIB)

    assert (End.ITSELF, 0) == (ended.end, ended.code)


def test_the_peak_of_memory_is_told(logs: tuple[Path, Path]) -> None:
    """Also of a command without a limit."""
    ended = _python("import time; heap = bytearray(80_000_000); time.sleep(0.5)", logs)

    assert 80_000_000 < ended.peak_bytes < 200_000_000


@pytest.fixture
def other_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what only Linux has."""
    monkeypatch.setattr(family, "LINUX", False)
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.delattr(os, "waitid", raising=False)


def test_limits_hold_without_the_abilities_of_linux(
    other_system: None, tmp_path: Path, logs: tuple[Path, Path]
) -> None:
    """Elsewhere the ends, the time and the memory of a command are found out in other ways."""
    eat = "import time; heap = bytearray(100_000_000); time.sleep(60)"

    assert 7 == _sh("echo said; exit 7", logs).code
    assert End.TIME == _sh("sleep 60", logs, timeout_seconds=0.1).end
    assert End.MEMORY == _python(eat, logs, memory_limit_bytes=50 * MIB).end
    assert 0 == _sh(f"sleep 60 & echo $! > {tmp_path}/pid", logs).code
    assert _is_gone(tmp_path / "pid")


def test_an_interrupted_run_leaves_no_command(tmp_path: Path, logs: tuple[Path, Path]) -> None:
    """Whatever stops the waiting, the command is ended."""

    def interrupt(number: int, frame: object) -> None:
        raise RuntimeError

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.4)
    try:
        with pytest.raises(RuntimeError):
            _sh(f"echo $$ > {tmp_path}/pid; sleep 60", logs)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

    assert _is_gone(tmp_path / "pid")


def test_descriptors_are_given_back(logs: tuple[Path, Path]) -> None:
    """A worker runs a million commands: none may cost a descriptor."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    _sh("echo; echo >&2", logs)
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(5):
        _sh("echo; echo >&2", logs)

    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_a_log_that_can_t_be_written_stops_no_command(tmp_path: Path) -> None:
    """A disk without room for logs is no reason to fail the work itself."""
    (tmp_path / "file").touch()
    log = tmp_path / "file" / "out"

    ended = _sh("echo said; exit 2", (log, tmp_path / "err"))

    assert (2, "said") == (ended.code, ended.said)


@pytest.mark.parametrize("sizes", [[100], [1] * 100, [30, 30, 40], [3, 97], [20, 80]])
def test_a_capture_keeps_both_ends_for_any_chunks(tmp_path: Path, sizes: list[int]) -> None:
    """How the stream happened to be cut does not show in the file."""
    kept = Capture(tmp_path / "log", limit_bytes=20)
    stream = bytes(range(100, 200))
    at = 0
    for size in sizes:
        kept.write(stream[at : at + size])
        at += size
    kept.close()

    left_out = "\n[… 80 bytes left out …]\n".encode()
    assert stream[:10] + left_out + stream[-10:] == (tmp_path / "log").read_bytes()


@pytest.mark.parametrize("size", [1, 10, 11, 20])
def test_a_capture_within_its_limit_is_whole(tmp_path: Path, size: int) -> None:
    """What fits is kept as it came."""
    kept = Capture(tmp_path / "log", limit_bytes=20)
    kept.write(b"x" * size)
    kept.close()

    assert b"x" * size == (tmp_path / "log").read_bytes()
