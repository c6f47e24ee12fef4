"""`grange doctor`: what works here, what doesn't, and what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grange.bootstrap.working import FOLDER
from grange.cli import checks
from grange.settings import SETTINGS, load
from grange.worker.station.papers import Papers, write_papers
from tests.brokers import Broker
from tests.buckets import Bucket
from tests.cli.invocations import Grange, events


def _findings(grange: Grange) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    done = grange("doctor", "--json")
    found: dict[str, list[dict[str, Any]]] = {}
    for one in events(done.stdout)[:-1]:
        found.setdefault(one["name"], []).append(one)
    return done.returncode, found


def test_all_is_well_on_a_fresh_machine(grange: Grange, home: Path) -> None:
    """Every check says what it saw; nothing is left behind."""
    done = grange("doctor")

    assert 0 == done.returncode, done.stdout
    for check in checks.CHECKS:
        assert f"  {check.__name__.strip('_')} " in done.stdout
    assert "broken  " not in done.stdout
    assert "a worker process started and ran a first command" in done.stdout
    assert not home.exists()


def test_the_settings_in_force_are_shown_with_their_source(
    grange: Grange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who wonders why a setting has no effect sees where the value comes from."""
    monkeypatch.setenv("GRANGE_RETRIES", "7")

    shown = events(grange("doctor", "--json").stdout)[-1]["settings"]

    by_name = {one["name"]: (one["value"], one["from"]) for one in shown}
    assert [setting.name for setting in SETTINGS] == list(by_name)
    assert ("7", "environment") == by_name["retries"]
    assert ("60.0", "default") == by_name["lease_seconds"]


def test_a_damaged_database_is_found(grange: Grange, home: Path) -> None:
    """The exit code is 1, and the finding says what to do."""
    grange("runs", "list")
    with (home / "grange.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)

    code, found = _findings(grange)

    assert 1 == code
    broken = [one for one in found["database"] if one["state"] == "broken"]
    assert "damaged" in broken[0]["seen"]
    assert broken[0]["todo"]


def test_a_database_of_a_newer_grange_is_found(grange: Grange, home: Path) -> None:
    """Upgrading is what helps."""
    grange("runs", "list")
    with sqlite3.connect(home / "grange.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_later'")
    connection.close()

    code, found = _findings(grange)

    assert 1 == code
    assert "upgrade" in found["database"][0]["todo"]


def test_a_server_that_does_not_answer_is_found(
    grange: Grange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finding names the database without its password."""
    monkeypatch.setenv("GRANGE_DATABASE", "postgresql://me:secret@127.0.0.1:1/grange")

    code, found = _findings(grange)

    assert 1 == code
    assert "broken" == found["database"][0]["state"]
    assert "secret" not in str(found)


def test_a_home_that_is_no_folder_is_found(grange: Grange, home: Path) -> None:
    """It is told before a run trips over it."""
    home.write_text("a file")

    code, found = _findings(grange)

    assert 1 == code
    assert "is no folder" in found["home"][0]["seen"]


def test_a_disk_with_little_room_is_a_warning(small_disk: Callable[[int], Path]) -> None:
    """There is still time to do something about it."""
    home = small_disk(16 << 20)

    found = [one for one in checks.findings(load({"home": home})) if one.name == "home"]

    assert ["warn"] == [one.state for one in found]
    assert "Make room" in found[0].todo
    assert "tmpfs" in found[0].seen or "ext" in found[0].seen


def test_a_pipeline_that_cannot_be_loaded_is_a_warning(
    grange: Grange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others still work; the finding names who brought it."""
    info = tmp_path / "site" / "sick-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sick\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[grange.pipelines]\nsick = not_there:Sick\n")
    monkeypatch.setenv("PYTHONPATH", str(info.parent))

    code, found = _findings(grange)

    assert 0 == code
    sick = next(one for one in found["pipelines"] if one["state"] == "warn")
    assert "sick" in sick["seen"]
    assert "sick 1.0" in sick["todo"]


def test_a_missing_extra_comes_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is optional and absent is not broken."""
    monkeypatch.setattr(checks, "EXTRAS", {"postgresql": "no_such_module"})

    (found,) = [one for one in checks.findings(load()) if one.name == "extras"]

    assert "absent" == found.state
    assert "pip install 'grange[postgresql]'" in found.todo


def test_a_broker_that_is_there_is_seen(
    grange: Grange, rabbitmq_server: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways to it are tried: that of the work, and that by which workers get users."""
    monkeypatch.setenv("GRANGE_ENGINE", rabbitmq_server.url)
    monkeypatch.setenv("GRANGE_ENGINE_MANAGEMENT", rabbitmq_server.management)

    code, found = _findings(grange)

    assert (0, ["ok", "ok"]) == (code, [one["state"] for one in found["engine"]])


def test_a_broker_that_refuses_is_found(
    grange: Grange, rabbitmq_server: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finding names the user and what to look at, and not the password."""
    monkeypatch.setenv("GRANGE_ENGINE", rabbitmq_server.url_of("mallory", "hidden-word"))
    monkeypatch.setenv("GRANGE_ENGINE_MANAGEMENT", "http://127.0.0.1:1")

    code, found = _findings(grange)

    assert (1, ["broken", "broken"]) == (code, [one["state"] for one in found["engine"]])
    assert "refuses the user 'mallory'" in found["engine"][0]["seen"]
    assert "rabbitmq_management" in found["engine"][1]["todo"]
    assert "hidden-word" not in str(found)


def test_a_worker_is_told_what_it_does_not_reach(grange: Grange, home: Path) -> None:
    """On a machine that has joined, the server and the broker are looked for."""
    folder = home / FOLDER
    folder.mkdir(parents=True)
    papers = Papers(
        server="http://127.0.0.1:1",
        pin="",
        worker="w0001",
        name="rack-1",
        key="grangeworker_w0001_hidden-word",
        engine="amqp://me:hidden-word@127.0.0.1:1/",
        site="lab",
    )
    write_papers(folder, papers)

    code, found = _findings(grange)

    assert (1, ["broken", "broken"]) == (code, [one["state"] for one in found["joined"]])
    assert "http://127.0.0.1:1 can't be reached" in found["joined"][0]["seen"]
    assert "The message broker at 127.0.0.1:1" in found["joined"][1]["seen"]
    assert "hidden-word" not in str(found)


def test_buckets_are_tried(grange: Grange, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is to be written is written to, one to be read is read; each has its finding."""
    monkeypatch.setenv("GRANGE_STORE", f"{bucket.url}/results")
    monkeypatch.setenv("GRANGE_BUCKETS", f"{bucket.url}/in,s3://no-such-bucket-here")

    code, found = _findings(grange)

    assert (1, ["ok", "ok", "broken"]) == (code, [one["state"] for one in found["buckets"]])
    assert "no-such-bucket-here" in found["buckets"][2]["seen"]
