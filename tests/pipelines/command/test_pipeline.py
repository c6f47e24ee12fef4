"""The command pipeline: its parameters, what a command sees, and how its end is told."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grange.errors import (
    CommandFailed,
    CommandKilled,
    CommandNotFound,
    MemoryExceeded,
    ParameterInvalid,
    StoreFull,
    TaskError,
    TaskTimedOut,
)
from grange.pipelines.base import NOWHERE
from grange.pipelines.catalog import check_params, find, function_key, parse_settings
from tests.pipelines.works import FolderWork, part_of

ODD_NAMES = [
    "two words.txt",
    "-n",
    "new\nline.tx t",
    "'quote\" $(exit 9) `exit 9` ${x} \\ * ? [a] # ; & | > {name}",
    "ünï©ode",
    os.fsdecode(b"\xff\xfe not utf-8"),
    "x" * 255,
]

COPY = """
import os, shutil, sys
shutil.copy(sys.argv[1], sys.argv[2])
os.write(1, os.fsencode(sys.argv[3]))
"""


class Field:
    """One input, and a work for it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.input = root / "in put.txt"
        self.input.write_text("hello\n")
        self.work = FolderWork(root / "work")

    def run(self, *settings: str, **values: Any) -> FolderWork:
        command = find("command")
        given = {**parse_settings(command, settings), **values}
        params = check_params(command, given, cwd=self.root)
        result = command.process(part_of(self.input), params, command.load(params), self.work)
        assert result is None
        return self.work

    def fails(self, *settings: str, **values: Any) -> TaskError:
        with pytest.raises(TaskError) as failed:
            self.run(*settings, **values)
        return failed.value


@pytest.fixture
def field(tmp_path: Path) -> Field:
    """Give one input with a blank in its name, and a work for it."""
    return Field(tmp_path)


def _refused(*settings: str, **values: Any) -> str:
    command = find("command")
    with pytest.raises(ParameterInvalid) as refused:
        check_params(command, {**parse_settings(command, settings), **values})
    return str(refused.value)


# ---- what a command is given


def test_a_shell_line_works_on_a_file(field: Field) -> None:
    """Pipes and redirections are the shell's, placeholders are ours."""
    work = field.run("shell=cat {input} | tr a-z A-Z > {output}/{stem}.up")

    assert "HELLO\n" == (work.output / "in put.up").read_text()


@pytest.mark.parametrize("command", ['["cp", "{input}", "{output}/{name}"]', "cp {input} {output}"])
def test_an_argument_list_works_on_a_file(field: Field, command: str) -> None:
    """A list, or a text that is split into one; no shell sees either."""
    work = field.run(f"command={command}")

    assert "hello\n" == (work.output / "in put.txt").read_text()


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize(
    "values",
    [
        {"shell": "cp {input} {output} && printf %s {input}:{output}/{name}:{stem}"},
        {
            "command": [
                sys.executable,
                "-c",
                COPY,
                "{input}",
                "{output}",
                "{input}:{output}/{name}:{stem}",
            ]
        },
    ],
    ids=["shell", "command"],
)
def test_an_oddly_named_file_is_a_file_like_any(
    field: Field, name: str, values: dict[str, Any]
) -> None:
    """Whatever bytes a name has, the command gets them, as one word."""
    field.input = field.root / name
    field.input.write_text("odd")

    work = field.run(**values)

    assert "odd" == (work.output / name).read_text()
    printed = os.fsdecode(work.logs[0].read_bytes())
    assert f"{field.input}:{work.output}/{name}:{Path(name).stem}" == printed


def test_names_of_one_s_own_fill_placeholders(field: Field) -> None:
    """What is no parameter is a value: size=10 fills {size}, and numbers may come from Python."""
    work = field.run("shell=echo {size} {word} {count}", "size=10", "word=two words", count=3)

    assert "10 two words 3\n" == work.out


def test_the_item_s_values_are_variables_too(field: Field) -> None:
    """A shell inside the command refers to them, where a placeholder would become its code."""
    work = field.run("shell=sh -c 'printf %s \"$GRANGE_name-$GRANGE_size\"'", "size=1")

    assert "in put.txt-1" == work.out


def test_the_environment_is_the_user_s_without_our_secrets(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's variables and those asked for are there; passwords of Grange are not."""
    monkeypatch.setenv("GRANGE_DATABASE", "postgresql://me:secret@host/db")
    monkeypatch.setenv("FIELD", "barley")

    work = field.run("shell=env", 'environment={"BARN": "red"}')

    assert "FIELD=barley\n" in work.out
    assert "BARN=red\n" in work.out
    assert "GRANGE_WORKER=work\n" in work.out
    assert "GRANGE_HOME=" in work.out
    assert "postgresql://" not in work.out


def test_a_command_runs_where_the_run_was_asked_for(field: Field) -> None:
    """A relative program is found from there; a folder may be chosen, too."""
    script = field.root / "tool"
    script.write_text("#!/bin/sh\npwd -P\n")
    script.chmod(0o755)
    (field.root / "sub").mkdir()

    assert f"{field.root.resolve()}\n" == field.run("command=./tool").out
    assert f"{field.root.resolve()}/sub\n" == field.run("shell=../tool", "directory=sub").out


def test_a_command_without_its_folder_runs_in_a_scratch(field: Field) -> None:
    """A folder that has gone since, or is not on this machine, stops nothing."""
    work = field.run("shell=pwd -P", directory="/no/such/folder")

    assert f"{work.scratch.resolve()}\n" == work.out


def test_temporary_files_go_with_the_attempt(field: Field) -> None:
    """TMPDIR is the work's scratch, unless the user says otherwise."""
    assert f"{field.work.scratch}\n" == field.run('shell=echo "$TMPDIR"').out
    work = field.run('shell=echo "$TMPDIR"', 'environment={"TMPDIR": "/mine"}')
    assert "/mine\n" == work.out


def test_a_command_may_delete_its_input(field: Field) -> None:
    """The file is the user's; what became of it is not this pipeline's to judge."""
    work = field.run("shell=mv {input} {output}/moved")

    assert "hello\n" == (work.output / "moved").read_text()


# ---- how commands end


def test_a_failing_command_tells_what_it_said(field: Field) -> None:
    """Exit code, last words, memory and time are the evidence."""
    failed = field.fails("shell=echo out; echo bad {name} >&2; exit 3")

    assert isinstance(failed, CommandFailed)
    assert "The command ended with exit code 3." == failed.message
    assert 3 == failed.evidence["exit_code"]
    assert "bad in put.txt" == failed.evidence["said"]
    assert "echo out; echo bad {name} >&2; exit 3" == failed.evidence["command"]
    assert {"seconds", "peak_memory_bytes"} <= set(failed.evidence)


def test_a_killed_command_tells_the_signal(field: Field) -> None:
    """SIGKILL that nobody here sent is most often the machine out of memory."""
    failed = field.fails("shell=kill -KILL $$")

    assert isinstance(failed, CommandKilled)
    assert "The command was ended by SIGKILL." == failed.message
    assert "SIGKILL" == failed.evidence["signal"]
    assert "memory" in failed.hint


@pytest.mark.parametrize(
    ("shell", "told"),
    [
        ("no-such-program {input}", "127: a program was not found"),
        ("{input}", "126: a program may not be executed"),
        ("sh -c 'kill -SEGV $$'; exit $?", "139: a program in it was ended by SIGSEGV"),
        ("exit 255", "255: a program in it was ended by signal 127"),
    ],
)
def test_what_a_shell_says_by_its_exit_code_is_told(field: Field, shell: str, told: str) -> None:
    """Some exit codes of sh are words."""
    failed = field.fails(shell=shell)

    assert isinstance(failed, CommandFailed)
    assert told in failed.message


def test_a_program_that_is_missing_is_not_tried_again(field: Field) -> None:
    """A second look would not find it either."""
    failed = field.fails(command=["no-such-program", "{input}"])

    assert isinstance(failed, CommandNotFound)
    assert not failed.retryable
    assert "The program 'no-such-program' is not on this machine." == failed.message


def test_a_program_that_may_not_be_executed_says_how(field: Field) -> None:
    """The hint is the command that mends it."""
    script = field.root / "my tool"
    script.write_text("#!/bin/sh\n")

    failed = field.fails(command=[str(script)])

    assert isinstance(failed, CommandNotFound)
    assert f"chmod +x '{script}'" in failed.hint


def test_a_script_without_its_first_line_says_so(field: Field) -> None:
    """The system can't know what should read it."""
    script = field.root / "script"
    script.write_text("echo hello\n")
    script.chmod(0o755)

    failed = field.fails(command=[str(script)])

    assert isinstance(failed, CommandNotFound)
    assert "#!/bin/sh" in failed.hint


def test_arguments_that_are_too_long_fail_the_item(field: Field) -> None:
    """The system has a limit, and the item a reason."""
    failed = field.fails(command=["true", "x" * 3_000_000])

    assert "The command's arguments are too long." == failed.message


def test_a_command_out_of_time_is_told_apart(field: Field) -> None:
    """Also when it ends well after it was asked to end."""
    field.work.timeout_seconds = 0.2

    failed = field.fails("shell=trap 'exit 0' TERM; sleep 60 & wait")

    assert isinstance(failed, TaskTimedOut)
    assert "longer than 0.2 seconds" in failed.message


def test_a_command_over_its_memory_is_told_apart(field: Field) -> None:
    """The evidence has the limit and the peak."""
    failed = field.fails(
        "memory=50MB",
        command=[sys.executable, "-c", "import time; x = bytearray(200_000_000); time.sleep(60)"],
    )

    assert isinstance(failed, MemoryExceeded)
    assert 50_000_000 == failed.evidence["memory_limit_bytes"]
    peak = failed.evidence["peak_memory_bytes"]
    assert isinstance(peak, int)
    assert peak > 50_000_000
    assert peak == field.work.peak_bytes


def test_a_full_disk_is_not_the_item_s_fault(
    field: Field, small_disk: Callable[[int], Path]
) -> None:
    """It stops the run, which goes on when there is room, instead of failing item after item."""
    field.work = FolderWork(small_disk(2_000_000) / "work")

    with pytest.raises(StoreFull) as full:
        field.run("shell=head -c 5000000 /dev/zero > {output}/zeros")

    assert str(field.work.output) in full.value.message


def test_words_of_a_full_disk_elsewhere_count(field: Field) -> None:
    """A command that writes to another disk says itself what went wrong."""
    with pytest.raises(StoreFull):
        field.run("shell=echo 'write error: No space left on device' >&2; exit 1")


# ---- parameters


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ([], "there is nothing to run: give command or shell"),
        (["shell= "], "there is nothing to run"),
        (["shell=true", "command=true"], "give either command or shell"),
        (['command=["", "x"]'], "names no program"),
        (["command=cat 'x"], "can't be split into words: No closing quotation"),
        (["command=[1]"], "allowed: list of text"),
        (["shell=cat {ouput}"], "{ouput} is no placeholder: did you mean {output}?"),
        (["shell=cat {siz}", "size=1"], "{siz} is no placeholder: did you mean {size}?"),
        (["shell=cat {input}", "size=1"], "size is neither a parameter nor a placeholder"),
        (["shell=cat {input}", "memroy=1GB"], "did you mean memory?"),
        (["shell=cat {input}", "input=x"], "input is the item's own"),
        (["shell=cat {a-b}", "a-b=1"], "'a-b' is no name"),
        (["shell=cat '{input}"], "a ' is not closed"),
        (["shell=bash -c 'cat {input}'"], 'as in "$GRANGE_input"'),
        (["command=sh -c 'cat {input}'"], "would become program text"),
        (["shell=true", 'environment={"A=B": "c"}'], "'A=B' is no name of an environment"),
        (["shell=echo {x}", f"x={'y' * 100_001}"], "x has more than 100000 letters"),
        (["shell=true", "memory=lots"], "should be a size"),
    ],
)
def test_a_command_that_can_t_be_meant_is_refused(settings: list[str], told: str) -> None:
    """Slips are told when the run is asked for, not by its failures."""
    assert told in _refused(*settings)


def test_a_nul_is_refused() -> None:
    """No system passes it to a program."""
    assert "NUL" in _refused(command=["echo", "a\0b"])


def test_a_slip_can_be_meant() -> None:
    """What looks like a slip is had as it stands by giving it as a value, as the message says."""
    refused = _refused("shell=echo {ouput}")
    value = re.search(r"as a value: (\S+)", refused)
    assert value is not None
    command = find("command")

    params: Any = check_params(command, parse_settings(command, ["shell=echo {ouput}", value[1]]))

    assert {"ouput": "{ouput}"} == params.values


def test_parameters_survive_their_way_to_a_worker(tmp_path: Path) -> None:
    """A worker elsewhere understands the same, with its folder made absolute at the start."""
    command = find("command")
    settings = ["shell=echo {size} {input}", "size=1", "directory=sub"]
    params: Any = check_params(command, parse_settings(command, settings), cwd=tmp_path)

    again = check_params(command, params.model_dump(mode="json"))

    assert params == again
    assert f"{tmp_path}/sub" == params.directory


def test_whoever_asks_from_afar_has_no_folder(field: Field) -> None:
    """On a server a command runs in an empty folder of its own, and only whole paths are taken."""
    command = find("command")
    params: Any = check_params(command, {"shell": "pwd -P"}, cwd=NOWHERE)
    again: Any = check_params(command, params.model_dump(mode="json"))
    work = field.run("shell=pwd -P; ls -A", directory="")

    assert ("", "") == (params.directory, again.directory)
    assert f"{work.scratch.resolve()}\n" == work.out
    assert {} == command.models(check_params(command, {"shell": "sh README.md"}, cwd=NOWHERE))
    with pytest.raises(ParameterInvalid, match="whole path"):
        check_params(command, {"shell": "true", "directory": "sub"}, cwd=NOWHERE)


def _key(folder: Path, **values: Any) -> str:
    command = find("command")
    return function_key(command, check_params(command, values, cwd=folder))


def test_limits_and_folders_make_no_work_new(tmp_path: Path) -> None:
    """More memory for those that failed repeats none that were done."""
    command = ["cp", "{input}", "{output}/a"]
    other = ["cp", "{input}", "{output}/b"]

    key = _key(tmp_path, command=command)

    assert key == _key(tmp_path / "sub", command=command, memory="1GB")
    assert key != _key(tmp_path, command=other)


@pytest.mark.parametrize(
    "values",
    [
        {"shell": "python3 detect.py {input} | sort"},
        {"command": ["python3", "detect.py", "{input}"]},
        {"command": ["tool", "--model=detect.py", "{input}"]},
    ],
)
def test_files_that_the_command_names_decide_its_result(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    """An edited script is other work, with the very same command."""
    (tmp_path / "detect.py").write_text("1")
    before = _key(tmp_path, **values)
    assert before == _key(tmp_path, **values)

    (tmp_path / "detect.py").write_text("2")

    assert before != _key(tmp_path, **values)


def test_the_files_that_a_command_names_are_recorded(tmp_path: Path) -> None:
    """They are the models of a command, by name and sha256; what it writes to is not."""
    (tmp_path / "detect.py").touch()
    (tmp_path / "folder").mkdir()
    command = find("command")
    (tmp_path / "log").touch()
    line = "python3 detect.py folder none {input} 2>> log"
    params = check_params(command, {"shell": line}, cwd=tmp_path)

    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert {"detect.py": empty} == command.models(params)
