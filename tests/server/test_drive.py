"""The process that works on a server's runs: what it takes, and that no kill loses anything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import works
from tests.server.scene import Serving
from tests.server.works import People, Works

GRANGE = (sys.executable, "-m", "grange")
SLOW = "sleep 0.2; echo once >> {output}/copy; cat {input} >> {output}/copy"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Serving, Works]]:
    """Give a server of this test's own, with a shared folder."""
    with works.serving(tmp_path) as (server, shared):
        yield server, shared


def check_whole(home: Path, run: str, contents: dict[str, str]) -> None:
    """Each item is done once, and what it wrote is there once."""
    out = home / "outputs" / run
    found = {
        str(file.relative_to(out)): file.read_text() for file in out.rglob("copy") if file.is_file()
    }
    assert {f"{name}/copy": f"once\n{text}" for name, text in contents.items()} == found
    assert [("done", len(contents))] == works.ledger(
        home, "select state, count(*) from items group by state"
    )
    assert [] == works.ledger(
        home, "select task from attempts where end = 'done' group by task having count(*) > 1"
    )
    assert not (out / ".grange").exists()


def test_a_killed_driver_is_replaced_and_loses_nothing(
    place: tuple[Serving, Works], people: People
) -> None:
    """Kill -9 of the process that drives: the server starts another, which goes on."""
    server, shared = place
    admin = people.set_up(server)
    contents = {f"{number}.txt": f"text {number}\n" for number in range(12)}
    run = works.submit(admin, shared.request(shared.fill("in", contents), SLOW))["id"]
    for least in (2, 5):
        works.until(lambda: works.show(admin, run)["counts"]["done"] >= least)  # noqa: B023
        (before,) = works.drivers(server.home)
        works.kill([before])
        works.until(lambda: {*works.drivers(server.home)} - {before})  # noqa: B023

    assert "done" == works.ended(admin, run)["state"]
    check_whole(server.home, run, contents)


def test_a_killed_server_goes_on_where_it_was(tmp_path: Path, people: People) -> None:
    """Kill -9 of the whole server right after its answer, and again in the middle of the run."""
    contents = {f"{number}.txt": f"text {number}\n" for number in range(12)}
    with works.serving(tmp_path) as (server, shared):
        admin = people.set_up(server)
        run = works.submit(admin, shared.request(shared.fill("in", contents), SLOW))["id"]
        server.kill()
    with works.relaunch(tmp_path) as server:
        admin = people.log_in(server)
        works.until(lambda: works.show(admin, run)["counts"]["done"] >= 3)
        driver = works.drivers(server.home)
        server.kill()
        # Whoever drove for it notices, and lets go.
        works.until(lambda: not set(driver) & set(works.drivers(server.home)))
        assert [(None,)] == works.ledger(server.home, "select driver from runs")
    with works.relaunch(tmp_path) as server:
        admin = people.log_in(server)
        assert "done" == works.ended(admin, run)["state"]
        check_whole(server.home, run, contents)
    works.until(lambda: not works.processes(tmp_path / "home"))


def test_a_stopped_server_lets_go_at_once(place: tuple[Serving, Works], people: People) -> None:
    """SIGTERM ends server, driver and workers within seconds; the run waits for the next one."""
    server, shared = place
    admin = people.set_up(server)
    works.submit(admin, shared.request(shared.fill("in", {"a": "1"}), "sleep 60"))
    works.until(lambda: "running" == works.show(admin, "last")["state"])

    assert 0 == server.stop()

    works.until(lambda: not works.processes(server.home), seconds=10)
    assert [("waiting", None)] == works.ledger(server.home, "select state, driver from runs")


def test_two_drivers_never_share_a_run(place: tuple[Serving, Works], people: People) -> None:
    """Another process that drives the same ledger takes only what nobody has in hand."""
    server, shared = place
    admin = people.set_up(server)
    contents = {f"{number}.txt": f"text {number}\n" for number in range(8)}
    folder = shared.fill("in", contents)
    environment = {**os.environ, "GRANGE_HOME": str(server.home), "GRANGE_WORKERS": "1"}
    other = subprocess.Popen([*GRANGE, "drive"], env=environment, stderr=subprocess.DEVNULL)
    try:
        runs = [works.submit(admin, shared.request(folder, SLOW))["id"] for _ in range(3)]
        for run in runs:
            assert "done" == works.ended(admin, run)["state"]
    finally:
        other.send_signal(signal.SIGTERM)
        assert 0 == other.wait(20)

    for run in runs:
        copies = list((server.home / "outputs" / run).rglob("copy"))
        assert sorted(contents.values()) == sorted(
            copy.read_text().removeprefix("once\n") for copy in copies
        )
    refused = "select count(*) from attempts where end not in ('done')"
    assert [(0,)] == works.ledger(server.home, refused)


def test_higher_priorities_come_first(tmp_path: Path, people: People) -> None:
    """Of those that wait, the highest priority and then the oldest is begun."""
    with works.serving(tmp_path, GRANGE_RUNS_AT_ONCE="1") as (server, shared):
        admin = people.set_up(server)
        folder = shared.fill("in", {"a": "1"})
        first = works.submit(admin, shared.request(folder, "sleep 2"))["id"]
        works.until(lambda: "running" == works.show(admin, first)["state"])
        names = {"low": -10, "old": 0, "new": 0, "high": 10}
        runs = {
            name: works.submit(admin, shared.request(folder, priority=priority))["id"]
            for name, priority in names.items()
        }
        for run in runs.values():
            works.ended(admin, run)
        query = "select id from runs order by started_at"
        order = [found[0] for found in works.ledger(server.home, query)]

    assert [first, *(runs[name] for name in ("high", "old", "new", "low"))] == order


def test_a_run_that_cannot_begin_says_why_and_waits(
    place: tuple[Serving, Works], people: People
) -> None:
    """A pipeline that is gone leaves a note, others go on, and it is not tried in a hot loop."""
    server, shared = place
    admin = people.set_up(server)
    folder = shared.fill("in", {"a": "1"})
    code = shared.share.parent / "own.py"
    code.write_text(
        "from grange.pipelines import Pipeline\n"
        "class Own(Pipeline):\n"
        "    name, version, summary = 'own', '1', 'Does nothing.'\n"
        "    def process(self, part, params, model, work):\n"
        "        return {}\n"
    )
    works.submit(admin, shared.request(folder, "sleep 1"))
    works.submit(admin, shared.request(folder, "sleep 1"))
    broken = works.submit(admin, shared.request(folder, pipeline=str(code), params={}))["id"]
    source = code.read_text()
    code.unlink()

    shown = works.until(lambda: (one := works.show(admin, broken))["note"] and one)
    fine = works.submit(admin, shared.request(folder))["id"]

    assert "waiting" == shown["state"]
    assert "own.py" in shown["note"]
    assert "done" == works.ended(admin, fine)["state"]
    tries = server.log.read_text().count(f"run {broken}: ")
    assert tries <= 2
    code.write_text(source)
    assert "" == admin.post(f"/runs/{broken}/resume").json()["note"]
    assert "done" == works.ended(admin, broken)["state"]


def test_embedded_runs_are_left_alone(place: tuple[Serving, Works], people: People) -> None:
    """What was begun without the server is for administrators to see, and for nobody to drive."""
    server, shared = place
    admin = people.set_up(server)
    member = people.invite(admin, server, "mia", "member")
    folder = shared.fill("in", {"a": "1"})
    environment = {**os.environ, "GRANGE_HOME": str(server.home), "GRANGE_WORKERS": "1"}
    embedded = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "grange",
            "map",
            "sleep 30",
            str(folder),
            "--out",
            str(folder / "o"),
        ],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        works.until(lambda: works.ledger(server.home, "select 1 from runs where state='running'"))
    finally:
        embedded.terminate()
        embedded.wait(20)
    works.ended(admin, works.submit(admin, shared.request(folder))["id"])

    states = works.ledger(server.home, "select state from runs where owner is null")
    assert [("waiting",)] == states
    assert ["waiting", "done"] == sorted(
        (run["state"] for run in admin.get("/runs").json()["items"]), reverse=True
    )
    assert [] == member.get("/runs").json()["items"]
