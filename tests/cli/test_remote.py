"""The same commands with a server: what goes there, what comes back, and what no fault changes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.invocations import COMMAND, Grange, events
from tests.client.wire import wire_to
from tests.server import scene
from tests.server.scene import Serving

COPY = "cp {input} {output}/{name}"
DEADLINE_SECONDS = 60.0


def _token(server: Serving) -> str:
    with closing(scene.set_up(server)) as ada:
        made = ada.post("/tokens", json={"name": "t", "scopes": ["read", "run", "admin"]})
    text: str = made.json()["text"]
    return text


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, str]]:
    """Share a server, and a token for it."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "share").mkdir()
    with scene.serving(folder / "home", "--shares", str(folder / "share")) as server:
        yield server, _token(server)


@pytest.fixture
def server(shared: tuple[Serving, str], monkeypatch: pytest.MonkeyPatch) -> Serving:
    """Let the commands of this test talk to the server."""
    monkeypatch.setenv("GRANGE_SERVER", shared[0].url)
    monkeypatch.setenv("GRANGE_TOKEN", shared[1])
    return shared[0]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Give a folder of files of several kinds."""
    folder = tmp_path / "in"
    (folder / "below").mkdir(parents=True)
    (folder / "a.txt").write_text("this is a\n")
    (folder / "below" / "b c.txt").write_text("this is b\n")
    (folder / "below" / "large.bin").write_bytes(os.urandom(3 << 20))
    (folder / ".hidden").write_text("left out")
    return folder


def _results(out: Path) -> dict[str, bytes]:
    """Give each result's bytes by its path, without what tells of the run itself."""
    own = {"run.json", "items.jsonl", "report.html"}
    files = [path for path in out.rglob("*") if path.is_file() and path.name not in own]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def _told(out: Path) -> list[tuple[str, str]]:
    """Give what items.jsonl says of each input, by its path: several inputs make one folder there.

    So the order of the lines is that of the folder, not that of the inputs.
    """
    lines = map(json.loads, (out / "items.jsonl").read_text().splitlines())
    return sorted((one["path"], one["input_sha256"]) for one in lines)


def _until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_means_this_machine_alone_is_said_to_mean_nothing(
    server: Serving, grange: Grange, inputs: Path
) -> None:
    """A flag that the server can't heed is no silent wish."""
    flags = ("--engine", "local", "--workers", "1")
    done = grange("map", COPY, "in/a.txt", "--out", "there", *flags)

    assert 0 == done.returncode, done.stderr
    assert f"--engine and --workers are for this machine alone: {server.url}" in done.stderr


@pytest.mark.usefixtures("server", "inputs")
@pytest.mark.parametrize("given", [["in"], ["in/a.txt"], ["in/below", "in/a.txt"], ["in/**/*.txt"]])
def test_results_are_those_of_this_machine(
    grange: Grange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str]
) -> None:
    """Whoever looks into --out can't tell where the work was done."""
    there = grange("map", COPY, *given, "--out", "there")
    monkeypatch.setenv("GRANGE_SERVER", "none")
    here = grange("map", COPY, *given, "--out", "here")

    assert (0, 0) == (there.returncode, here.returncode), there.stderr + here.stderr
    assert _results(tmp_path / "here") == _results(tmp_path / "there")
    assert sorted(os.listdir(tmp_path / "here")) == sorted(os.listdir(tmp_path / "there"))
    assert _told(tmp_path / "here") == _told(tmp_path / "there")


@pytest.mark.usefixtures("inputs")
def test_a_run_is_shared_with_a_group_by_its_name(grange: Grange, server: Serving) -> None:
    """One option lets colleagues look at it; a group that is not there is said before anything."""
    assert 0 == grange("groups", "make", "field team").returncode
    shared = grange("map", COPY, "in", "--out", "shared", "--group", "field team", "--json")
    unknown = grange("map", COPY, "in", "--out", "other", "--group", "nobody")
    listed = grange("groups", "list", "--json").stdout.splitlines()
    ids = {one["name"]: one["id"] for one in map(json.loads, listed)}
    run = events(shared.stdout)[0]["run"]

    assert (0, 1) == (shared.returncode, unknown.returncode), shared.stderr
    assert "group.not_found" in unknown.stderr
    token = {"Authorization": f"Bearer {os.environ['GRANGE_TOKEN']}"}
    with server.client(headers=token) as client:
        assert ids["field team"] == client.get(f"/runs/{run}").json()["group"]


@pytest.mark.usefixtures("inputs")
def test_without_a_server_there_are_no_groups(grange: Grange) -> None:
    """Nobody believes that a run is shared where nobody else can look."""
    refused = grange("map", COPY, "in", "--out", "out", "--group", "field team")

    assert 2 == refused.returncode
    assert "There are no groups without a server" in refused.stderr


@pytest.mark.usefixtures("server", "inputs")
def test_every_item_is_told_and_counted(grange: Grange) -> None:
    """The lines of JSON are those of a run on this machine."""
    said = events(grange("map", COPY, "in", "--out", "out", "--json").stdout)

    assert "submitted" == said[0]["event"]
    assert {"hidden": 1} == said[0]["skipped"]
    items = sorted(one["path"] for one in said if one["event"] == "item")
    assert ["a.txt", "below/b c.txt", "below/large.bin"] == items
    assert ("finished", "done") == (said[-1]["event"], said[-1]["state"])
    assert said[-1]["report"].endswith("/out/report.html")


@pytest.mark.usefixtures("server", "inputs")
def test_failures_and_logs_come_from_the_server(grange: Grange) -> None:
    """The exit code, the reasons, the next steps and the logs are as without a server."""
    done = grange("map", "echo oh; exit 3", "in/a.txt", "--out", "out", "--retries", "0")
    shown = grange("runs", "show", "last")
    logs = grange("runs", "logs", "last", "--failed")

    assert 3 == done.returncode
    assert "1 × command.failed" in done.stderr
    assert "next: grange runs retry" in shown.stdout
    assert "--> stdout\noh\n" in logs.stdout
    assert "command" in grange("pipelines", "list").stdout
    assert "--set shell=" in grange("pipelines", "show", "command").stdout
    assert 2 == grange("runs", "delete", "last", "--outputs", "--yes").returncode
    assert 0 == grange("runs", "delete", "last", "--yes").returncode


@pytest.mark.usefixtures("server", "inputs")
def test_a_detached_run_is_brought_by_the_same_command(grange: Grange, tmp_path: Path) -> None:
    """It returns at once; given again, the command goes on with that run and fetches."""
    words = ("map", COPY, "in", "--out", "out")
    detached = events(grange(*words, "--detach").stdout)[-1]
    _until(lambda: "done" in grange("runs", "list", "--state", "done").stdout)
    again = events(grange(*words, "--json").stdout)

    assert "detached" == detached["event"]
    assert (detached["run"], True) == (again[0]["run"], again[0]["resumed"])
    assert 3 == len(_results(tmp_path / "out"))
    assert not (tmp_path / "out" / ".grange").exists()


@pytest.mark.usefixtures("server")
def test_a_second_folder_of_results_is_refused_while_the_first_waits(
    grange: Grange, inputs: Path
) -> None:
    """Two requests never mix their results; nobody's own files are replaced."""
    grange("map", "sleep 30", "in", "--out", "out", "--detach")
    other = grange("map", COPY, "in", "--out", "out")
    cancelled = grange("runs", "cancel", "last")
    (inputs.parent / "mine" / "a.txt").mkdir(parents=True)
    (inputs.parent / "mine" / "a.txt" / "precious").write_text("mine")
    mine = grange("map", COPY, "in/a.txt", "--out", "mine")

    assert (1, True) == (other.returncode, "[run.output_in_use]" in other.stderr)
    assert 0 == cancelled.returncode
    assert (1, True) == (mine.returncode, "[store.path_refused]" in mine.stderr)
    assert "mine" == (inputs.parent / "mine" / "a.txt" / "precious").read_text()


@pytest.mark.usefixtures("inputs")
def test_what_the_server_sees_is_not_sent(
    server: Serving, grange: Grange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs below a shared folder stay where they are."""
    share = server.home.parent / "share"
    (share / "one.bin").write_bytes(os.urandom(2 << 20))
    with wire_to(server.port) as wire:
        monkeypatch.setenv("GRANGE_SERVER", wire.url)
        done = grange("map", "wc -c < {input} > {output}/count", str(share), "--out", "out")

    assert 0 == done.returncode, done.stderr
    assert wire.up_bytes < 100_000
    assert str(2 << 20) == (tmp_path / "out" / "one.bin" / "count").read_text().strip()


@pytest.mark.usefixtures("server", "inputs")
def test_ctrl_c_lets_go_and_the_run_goes_on(grange: Grange, tmp_path: Path) -> None:
    """The first Ctrl-C stops watching; the server works on, and that is said."""
    words = ("map", f"sleep 2; {COPY}", "in/a.txt", "--out", "out")
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "submitted" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)

    assert 130 == process.returncode
    assert "goes on at the server" in said
    assert 0 == grange(*words).returncode
    assert ["a.txt/a.txt"] == list(_results(tmp_path / "out"))


def test_a_submission_that_is_interrupted_goes_on(
    server: Serving, grange: Grange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while inputs are sent ends soon; the same command sends no more than the rest."""
    size = 96 << 20
    (tmp_path / "long.bin").write_bytes(os.urandom(size))
    os.utime(tmp_path / "long.bin", (1_700_000_000, 1_700_000_000))
    words = ("map", "wc -c < {input} > {output}/count", "long.bin", "--out", "out")
    with wire_to(server.port) as wire:
        monkeypatch.setenv("GRANGE_SERVER", wire.url)
        process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        _until(lambda: wire.up_bytes > 20 << 20)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=30)
        done = grange(*words)
        sent = wire.up_bytes

    assert (130, "") == (process.returncode, out), said
    assert "The same command goes on" in said
    assert 0 == done.returncode, done.stderr
    assert str(size) == (tmp_path / "out" / "long.bin" / "count").read_text().strip()
    assert sent < size + (40 << 20)


@pytest.mark.usefixtures("inputs")
def test_a_server_that_is_killed_and_comes_back_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`grange run` reconnects, and ends with all results and exit code 0."""
    first = scene.launch(tmp_path / "served")
    try:
        monkeypatch.setenv("GRANGE_SERVER", first.url)
        monkeypatch.setenv("GRANGE_TOKEN", _token(first))
        process = subprocess.Popen(
            [*COMMAND, "map", f"sleep 2; {COPY}", "in", "--out", "out", "--json"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert "submitted" in process.stdout.readline()
        first.kill()
    finally:
        scene.end(first)
    second = scene.launch(tmp_path / "served", "--port", str(first.port))
    try:
        said, errors = process.communicate(timeout=DEADLINE_SECONDS)
    finally:
        process.kill()
        scene.end(second)

    assert 0 == process.returncode, errors
    assert 3 == len(_results(tmp_path / "out"))
    assert 3 == sum(one["event"] == "item" for one in events(said))


@pytest.mark.usefixtures("server", "inputs")
def test_a_pipeline_in_a_file_of_ones_own_stays_here(grange: Grange) -> None:
    """The server has its own; the hint says how to work on this machine."""
    done = grange("run", "./mine.py", "in", "--out", "out")

    assert (1, True) == (done.returncode, "[pipeline.not_found]" in done.stderr)
    assert "GRANGE_SERVER=none" in done.stderr


def test_a_server_that_is_gone_is_one_clear_line(
    grange: Grange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said soon, and what to look at."""
    monkeypatch.setenv("GRANGE_SERVER", "http://127.0.0.1:1")
    monkeypatch.setenv("GRANGE_TOKEN", "grange_0000000000_x")

    done = grange("runs", "list", timeout=20)

    assert (1, True) == (done.returncode, "[server.unreachable]" in done.stderr)
    assert 1 == grange("doctor").returncode
