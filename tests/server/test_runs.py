"""Runs over HTTP: on disk before the answer, made once, and nobody else's business."""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.server import scene, works
from tests.server.scene import Cast, Serving
from tests.server.works import People, Works


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Works]]:
    """Share one server."""
    with works.serving(tmp_path_factory.mktemp("runs")) as (server, shared):
        yield server, shared


@pytest.fixture(scope="module")
def cast(place: tuple[Serving, Works]) -> Iterator[Cast]:
    """Give people of every role."""
    found = scene.cast(place[0])
    yield found
    found.close()


def test_a_repeated_submission_makes_one_run(place: tuple[Serving, Works], cast: Cast) -> None:
    """Ten requests at once with one key are one run, and all are told of it."""
    server, shared = place
    request = shared.request(shared.fill("once", dict.fromkeys("abc", "x")), name="once")
    key = {"Idempotency-Key": "k1"}

    with ThreadPoolExecutor(10) as threads:
        answers = list(
            threads.map(lambda _: cast.member.post("/runs", json=request, headers=key), range(10))
        )

    assert {201} == {answer.status_code for answer in answers}
    assert 1 == len({answer.json()["id"] for answer in answers})
    assert [(1,)] == works.ledger(server.home, "select count(*) from runs where name = 'once'")
    other = cast.member.post("/runs", json={**request, "name": "two"}, headers=key)
    assert (409, "request.repeated_differently") == (other.status_code, other.json()["code"])


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.3])
def test_a_kill_before_the_answer_costs_nothing(
    tmp_path: Path, people: People, seconds: float
) -> None:
    """The same request to the next server makes, finds or ends the very same run."""
    names = {f"{number}.txt": "x" for number in range(400)}
    with works.serving(tmp_path) as (server, shared):
        admin = people.set_up(server)
        request = shared.request(shared.fill("in", names), "true")

        def send() -> None:
            with suppress(httpx.HTTPError):
                admin.post("/runs", json=request, headers={"Idempotency-Key": "k"})

        sending = threading.Thread(target=send)
        sending.start()
        time.sleep(seconds)
        server.kill()
        sending.join()
    with works.relaunch(tmp_path) as server:
        admin = people.log_in(server)
        run = works.submit(admin, request, **{"Idempotency-Key": "k"})["id"]
        works.until(lambda: works.show(admin, run)["counts"]["total"] == 400)

        assert [(run,)] == works.ledger(server.home, "select id from runs")
        assert [(400,)] == works.ledger(server.home, "select count(*) from items")
        admin.post(f"/runs/{run}/cancel")


def test_a_strangers_run_is_not_there(place: tuple[Serving, Works], cast: Cast) -> None:
    """Whatever is tried with it, and by whatever part of its id or name."""
    _, shared = place
    request = shared.request(shared.fill("own", {"a": "1"}), "true", name="hidden")
    run = works.submit(cast.member, request)["id"]
    works.ended(cast.member, run)
    item = cast.member.get(f"/runs/{run}/items").json()["items"][0]["id"]
    mine = works.submit(cast.other, shared.request(shared.share / "own", "true"))["id"]

    for person in (cast.other, cast.viewer):
        for ref in (run, run[:9], "hidden"):
            for method, path in (
                ("GET", ""),
                ("PATCH", ""),
                ("DELETE", ""),
                *(("POST", f"/{what}") for what in ("cancel", "pause", "resume", "retry")),
                *(("GET", f"/{what}") for what in ("items", "failures", "cells", "outputs")),
                ("GET", f"/items/{item}"),
                ("GET", "/outputs.zip"),
                ("GET", "/outputs/run.json"),
            ):
                body: dict[str, str] | None = {} if method == "PATCH" else None
                answer = person.request(method, f"/runs/{ref}{path}", json=body)
                assert (404, "run.not_found") == (answer.status_code, answer.json()["code"])
    assert 404 == cast.other.get(f"/runs/{mine}/items/{item}").status_code
    assert 200 == cast.member.get(f"/runs/{run}").status_code


def test_a_shared_run_is_for_looking(place: tuple[Serving, Works], cast: Cast) -> None:
    """Members of the group see it whole, and change nothing."""
    _, shared = place
    group = cast.admin.post("/groups", json={"name": "readers"}).json()["id"]
    for person in (cast.member, cast.viewer):
        cast.admin.put(f"/groups/{group}/members/{scene.user_id(person)}")
    request = shared.request(shared.fill("shared", {"a.txt": "1"}), group=group)
    run = works.submit(cast.member, request)["id"]
    works.ended(cast.member, run)

    assert "1" == cast.viewer.get(f"/runs/{run}/outputs/a.txt/copy").text
    assert 403 == cast.viewer.post(f"/runs/{run}/retry").status_code
    assert 403 == cast.viewer.delete(f"/runs/{run}").status_code
    foreign = cast.other.post("/runs", json=request)
    assert (404, "group.not_found") == (foreign.status_code, foreign.json()["code"])


def test_nothing_tells_where_the_server_keeps_files(
    place: tuple[Serving, Works], cast: Cast
) -> None:
    """No answer about a run, nor its own files, name the server's folder."""
    server, shared = place
    request = shared.request(shared.fill("where", {"a": "1"}), "cat {input} >&2; exit 1")
    run = works.submit(cast.member, request)["id"]
    works.ended(cast.member, run)

    for path in (
        "",
        "/items",
        "/failures",
        "/outputs",
        "/outputs/run.json",
        "/outputs/report.html",
    ):
        answer = cast.member.get(f"/runs/{run}{path}")
        assert 200 == answer.status_code
        assert str(server.home) not in answer.text


def test_the_server_reads_no_files_for_parameters(place: tuple[Serving, Works], cast: Cast) -> None:
    """NAME=@FILE is for whoever types it; what lies outside the shares is not there."""
    _, shared = place
    folder = shared.fill("at", {"a": "1"})
    (folder / "out").symlink_to("/etc/hostname")
    request = shared.request(folder, settings=["shell=@/etc/passwd"], params={})
    refused = cast.member.post("/runs", json=request)
    assert (422, "parameter.invalid") == (refused.status_code, refused.json()["code"])
    outside = cast.member.post("/runs", json=shared.request(Path("/etc")))
    assert (422, "inputs.invalid") == (outside.status_code, outside.json()["code"])
    plan = cast.member.post("/runs/plan", json=shared.request(folder)).json()
    assert (1, ["a"]) == (plan["items"], plan["examples"])
    assert {"links that lead out of the shared folder": 1} == plan["skipped"]


def test_a_run_lives_and_goes(place: tuple[Serving, Works], cast: Cast) -> None:
    """Paused, resumed, cancelled, tried again, deleted with its files, each in the audit log."""
    server, shared = place
    folder = shared.fill("life", {f"{number}": "x" for number in range(30)})
    run = works.submit(cast.member, shared.request(folder, "sleep 0.1"))["id"]
    assert 409 == cast.member.delete(f"/runs/{run}").status_code
    works.until(lambda: works.show(cast.member, run)["counts"]["done"])
    assert "paused" == cast.member.post(f"/runs/{run}/pause").json()["state"]
    works.until(lambda: works.show(cast.member, run)["driver"] is None)
    assert "waiting" == cast.member.post(f"/runs/{run}/resume").json()["state"]
    assert cast.member.post(f"/runs/{run}/cancel").is_success
    assert "cancelled" == works.ended(cast.member, run)["state"]
    assert "waiting" == cast.member.post(f"/runs/{run}/retry").json()["state"]
    assert "done" == works.ended(cast.member, run)["state"]
    assert (server.home / "outputs" / run).exists()
    assert 204 == cast.member.delete(f"/runs/{run}").status_code
    assert not (server.home / "outputs" / run).exists()
    assert not (server.home / "runs" / run).exists()

    noted = cast.admin.get("/audit", params={"limit": 200}).json()["items"]
    actions = [one["action"] for one in noted if run in one["target"]]
    words = ("deleted", "retried", "cancelled", "resumed", "paused", "submitted")
    assert [f"run.{word}" for word in words] == actions


def test_a_folder_stays_as_long_as_a_run_needs_it(place: tuple[Serving, Works], cast: Cast) -> None:
    """Nobody takes the inputs from under a run; ended, it needs them no more."""
    folder = cast.member.post("/folders", json={"name": "in"}).json()["id"]
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": "1",
        "Upload-Metadata": f"filename YQ==,folder {b64encode(folder.encode()).decode()}",
        "Content-Type": "application/offset+octet-stream",
    }
    assert 201 == cast.member.post("/uploads", content=b"x", headers=headers).status_code
    request = {**place[1].request(place[1].share, "sleep 60"), "inputs": [{"folder": folder}]}
    run = works.submit(cast.member, request)["id"]

    refused = cast.member.delete(f"/folders/{folder}")
    assert (409, "conflict") == (refused.status_code, refused.json()["code"])
    assert run in refused.json()["detail"]
    cast.member.post(f"/runs/{run}/cancel")
    works.ended(cast.member, run)
    assert 204 == cast.member.delete(f"/folders/{folder}").status_code
