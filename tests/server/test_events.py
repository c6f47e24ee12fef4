"""The stream of events: each thing once, to whoever may hear it, also over restarts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, update

from grange.client.schemas.runs import ItemsEnded
from grange.db import Database, open_database, prepare
from grange.errors import TooMany
from grange.runs.models import RunView
from grange.runs.pages import Sight
from grange.runs.queries import find_run
from grange.runs.service import Runs
from grange.runs.tables import items, runs
from grange.server import events
from grange.server.events import Hub, Listener
from tests import aside
from tests.server import scene, works
from tests.server.scene import Serving
from tests.server.works import Event, People, Works

# As promised, and what a busy machine adds.
SHUT_OUT_SECONDS = 12.0
SLOW = "sleep 0.1; cp {input} {output}/copy"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Works]]:
    """Share one server."""
    with works.serving(tmp_path_factory.mktemp("events")) as (server, shared):
        yield server, shared


@pytest.fixture(scope="module")
def cast(place: tuple[Serving, Works]) -> Iterator[scene.Cast]:
    """Give people of every role."""
    found = scene.cast(place[0])
    yield found
    found.close()


def follow(person: httpx.Client, *topics: str, **given: str) -> Any:
    """Open a stream."""
    return person.stream("GET", "/events", params={"topic": list(topics), **given}, timeout=30)


def paths_until_end(stream: Iterator[Event], run: str) -> list[str]:
    """Give the paths of the items that are told until the run's end."""
    found: list[str] = []
    for event in stream:
        if event.name == "items":
            found += [one["path"] for one in event.data["items"]]
        elif event.name == "run" and event.data["id"] == run and event.data["state"] in works.ENDS:
            return found
    return found


def test_each_item_is_told_once_over_restarts_of_reader_and_server(
    tmp_path: Path, people: People
) -> None:
    """A reader that comes back with the last id hears the rest, also from another server."""
    names = [f"{number}.txt" for number in range(24)]
    with works.serving(tmp_path) as (server, shared):
        admin = people.set_up(server)
        folder = shared.fill("in", dict.fromkeys(names, "text"))
        run = works.submit(admin, shared.request(folder, SLOW))["id"]
        heard: list[str] = []
        last = ""
        for _ in range(2):
            given = {"after": last or "start"}
            with follow(admin, f"run:{run}", **given) as answer:
                for event in works.events(answer):
                    last = event.id or last
                    if event.name == "items":
                        heard += [one["path"] for one in event.data["items"]]
                        break
        server.kill()
    with works.relaunch(tmp_path) as server:
        admin = people.log_in(server)
        with admin.stream(
            "GET", "/events", params={"topic": f"run:{run}"}, headers={"Last-Event-ID": last}
        ) as answer:
            heard += paths_until_end(works.events(answer), run)

    assert sorted(names) == sorted(heard)


@pytest.mark.parametrize("how", ["session", "token", "disabled", "group"])
def test_whoever_is_shut_out_hears_nothing_more(
    place: tuple[Serving, Works], cast: scene.Cast, how: str
) -> None:
    """An open stream ends within seconds of the end of what let it in; others stay."""
    server, _ = place
    with contextlib.ExitStack() as opened:
        name = f"{how}-person"
        person = scene.invite(cast.admin, server.url, name, role="member")
        opened.enter_context(closing(person))
        user = scene.user_id(person)
        program = scene.with_token(person, server.url, "read")
        opened.enter_context(closing(program))
        reader = program if how == "token" else person
        group = cast.admin.post("/groups", json={"name": name}).json()["id"]
        other = opened.enter_context(follow(cast.other, "runs"))
        answer = opened.enter_context(follow(reader, "runs"))
        lines = answer.iter_lines()
        next(lines)

        if how == "session":
            person.delete("/session")
        elif how == "token":
            token = person.get("/tokens").json()["items"][0]["id"]
            assert 204 == person.delete(f"/tokens/{token}").status_code
        elif how == "disabled":
            cast.admin.patch(f"/users/{user}", json={"disabled": True})
        else:
            cast.admin.put(f"/groups/{group}/members/{user}")
        began = time.monotonic()
        for _ in lines:
            pass
        assert time.monotonic() - began < SHUT_OUT_SECONDS
        again = reader.get("/session").status_code
        assert (200 if how == "group" else 401) == again
        assert not other.is_closed
        assert "retry" in next(other.iter_lines())


def test_a_late_reader_hears_all_from_the_start(
    place: tuple[Serving, Works], cast: scene.Cast
) -> None:
    """`after=start` tells of what has long ended, each item once."""
    _, shared = place
    names = [f"{number}.txt" for number in range(5)]
    request = shared.request(shared.fill("late", dict.fromkeys(names, "x")), "true")
    run = works.submit(cast.member, request)["id"]
    works.ended(cast.member, run)

    with follow(cast.member, f"run:{run}", after="start") as answer:
        assert sorted(names) == sorted(paths_until_end(works.events(answer), run))


def test_a_new_reader_hears_what_happens_from_now_on(
    place: tuple[Serving, Works], cast: scene.Cast
) -> None:
    """Without a place to go on from, the first word is how the run stands."""
    _, shared = place
    request = shared.request(shared.fill("now", {"a": "1"}), "true")
    run = works.submit(cast.member, request)["id"]
    works.ended(cast.member, run)

    with follow(cast.member, f"run:{run}") as answer:
        first = next(works.events(answer))

    assert ("run", "done", 1) == (first.name, first.data["state"], first.data["counts"]["done"])
    assert run in first.id


def test_a_live_page_sees_what_workers_do(place: tuple[Serving, Works], cast: scene.Cast) -> None:
    """The items at hand are told by worker, while they are."""
    _, shared = place
    request = shared.request(shared.fill("live", {"a.txt": "1"}), "sleep 3")
    run = works.submit(cast.member, request)["id"]

    with follow(cast.member, "runs") as answer:
        for event in works.events(answer):
            if event.data["id"] == run and any(one["item"] for one in event.data["workers"]):
                break

    assert ["a.txt"] == [one["item"] for one in event.data["workers"]]
    cast.member.post(f"/runs/{run}/cancel")


def test_others_runs_are_not_heard(place: tuple[Serving, Works], cast: scene.Cast) -> None:
    """Neither by name nor in the stream of all runs."""
    _, shared = place
    folder = shared.fill("mine", {"a": "1"})
    with follow(cast.other, "runs") as answer:
        theirs = works.submit(cast.member, shared.request(folder, "true"))["id"]
        works.ended(cast.member, theirs)
        mine = works.submit(cast.other, shared.request(folder, "true"))["id"]
        for event in works.events(answer):
            assert mine == event.data["id"]
            if event.data["state"] == "done":
                break

    for person in (cast.other, cast.viewer):
        assert 404 == person.get("/events", params={"topic": f"run:{theirs}"}).status_code
    assert 401 == cast.nobody.get("/events", params={"topic": "runs"}).status_code


def test_a_run_that_is_taken_away_says_so(place: tuple[Serving, Works], cast: scene.Cast) -> None:
    """Who may not see it any more, and who saw it deleted, hear `gone` and nothing else."""
    _, shared = place
    group = cast.admin.post("/groups", json={"name": "watchers"}).json()["id"]
    for person in (cast.member, cast.other):
        path = f"/groups/{group}/members/{scene.user_id(person)}"
        assert cast.admin.put(path).is_success
    request = shared.request(shared.fill("gone", {"a": "1"}), "true", group=group)
    run = works.submit(cast.member, request)["id"]
    works.ended(cast.member, run)
    with follow(cast.other, f"run:{run}") as theirs, follow(cast.member, f"run:{run}") as mine:
        of_theirs, of_mine = works.events(theirs), works.events(mine)
        assert "run" == next(of_theirs).name == next(of_mine).name
        assert 200 == cast.member.patch(f"/runs/{run}", json={"group": ""}).status_code
        assert ("gone", run) == [(one.name, one.data["id"]) for one in of_theirs][-1]
        assert 204 == cast.member.delete(f"/runs/{run}").status_code
        assert ("gone", run) == [(one.name, one.data["id"]) for one in of_mine][-1]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"topic": "nothing"},
        {"topic": "run:"},
        {"topic": "runs", "after": "x:y:z"},
        {"topic": "runs", "after": "x:1_0:5"},
        {"topic": "runs", "after": "x:nan:5"},
        {"topic": [f"run:{number}" for number in range(60)]},
    ],
    ids=str,
)
def test_a_senseless_stream_is_refused(cast: scene.Cast, query: dict[str, Any]) -> None:
    """A topic or a place that makes no sense is the caller's mistake, in one clear error."""
    answer = cast.member.get("/events", params=query)

    assert answer.status_code in {404, 422}
    assert answer.json()["code"] in {"request.invalid", "run.not_found"}


def test_more_streams_than_may_be_are_refused_politely(tmp_path: Path, people: People) -> None:
    """The limit is told with when to come back, and a stream that ends makes room."""
    with works.serving(tmp_path, GRANGE_STREAMS="2") as (server, _):
        admin = people.set_up(server)
        with follow(admin, "runs") as one, follow(admin, "runs") as two:
            assert [200, 200] == [one.status_code, two.status_code]
            full = admin.get("/events", params={"topic": "runs"})
            assert (429, "rate.limited") == (full.status_code, full.json()["code"])
            assert int(full.headers["retry-after"]) > 0
            assert 200 == admin.get("/runs").status_code
            assert 2 == admin.get("/system").json()["event_streams"]

        def again() -> bool:
            with follow(admin, "runs") as answer:
                return bool(answer.status_code == 200)

        works.until(again)


def test_open_streams_do_not_hold_up_the_end(tmp_path: Path, people: People) -> None:
    """SIGTERM ends the streams, and the server within seconds."""
    with works.serving(tmp_path) as (server, _):
        admin = people.set_up(server)
        with follow(admin, "runs") as answer:
            began = time.monotonic()
            assert 0 == server.stop()
            list(answer.iter_lines())
            assert time.monotonic() - began < 8


# ---- the hub itself, over a real ledger


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[Hub, Database, RunView]]:
    """Give a hub over a ledger with a run of three thousand items, none of which has ended."""
    with closing(open_database(tmp_path / "grange.db")) as database:
        prepare(database)
        row = {"number": 1, "id": "0123456789", "state": "running", "pipeline": "p", "version": "1"}
        row |= {name: {} for name in ("params", "models", "inputs", "plan")}
        row |= dict.fromkeys(("function_key", "request_key", "out"), "x")
        row |= {"retries": 0, "created_at": 1.0, "items_total": 3000, "owner": "u1"}
        with database.write() as connection:
            connection.execute(insert(runs), row)
            connection.execute(insert(items), [_item(number) for number in range(1, 3001)])
        served = Runs(database, logs=tmp_path / "logs")
        yield (
            Hub(served, home=tmp_path, limit=200),
            database,
            find_run(database, "0123456789"),
        )


def _item(number: int) -> dict[str, object]:
    return {
        "id": number,
        "run": 1,
        "path": f"day/{number}.txt",
        "uri": f"file:///in/{number}",
        "uri_key": f"file:///in/{number}",
        "size": 1,
        "mtime_ns": 1,
        "weight": 1,
        "state": "running",
    }


def end(database: Database, first: int, last: int) -> None:
    """End items, as a driver does: in one transaction with the run's counts."""
    with database.write() as connection:
        connection.execute(
            update(items)
            .where(items.c.id.between(first, last))
            .values(state="done", ended_at=time.time())
        )
        values = {"items_done": runs.c.items_done + last - first + 1}
        connection.execute(update(runs).values(**values))


def enter(hub: Hub, run: RunView, user: str = "u1") -> Listener:
    """Take a listener in."""
    return hub.enter(user, Sight(owner="u1"), runs=[run], after="start")


async def ids(hub: Hub, listener: Listener, run: RunView, *, least: int) -> list[int]:
    """Listen until so many items have been told."""
    found: list[int] = []
    async for data in hub.stream(listener, [run]):
        for line in data.decode().split("\n"):
            if line.startswith('data: {"run"'):
                told = ItemsEnded.model_validate_json(line[6:])
                found += [one.id for one in told.items]
        if len(found) >= least:
            return found
    return found


def test_a_hundred_pages_keep_up(hub: tuple[Hub, Database, RunView]) -> None:
    """A thousand items' progress reaches a hundred pages as it happens, each item once."""
    told, database, run = hub

    async def show() -> tuple[list[list[int]], float, float]:
        pages = [
            asyncio.create_task(ids(told, enter(told, run, f"u{number}"), run, least=1000))
            for number in range(100)
        ]
        for first in range(1, 1001, 50):
            await asyncio.to_thread(end, database, first, first + 49)
            await asyncio.sleep(0.05)
        ended, spent = time.monotonic(), time.process_time()
        found = await asyncio.gather(*pages)
        return found, time.monotonic() - ended, spent

    found, late, _ = aside.run(show())

    assert all(list(range(1, 1001)) == one for one in found)
    assert late < 2.0
    assert 0 == told.streams


def test_one_who_comes_in_the_middle_hears_all(hub: tuple[Hub, Database, RunView]) -> None:
    """Catching up and joining those who hear what is new lose nothing and repeat nothing."""
    told, database, run = hub

    async def show() -> list[list[int]]:
        pages = []
        for number, first in enumerate(range(1, 3001, 100)):
            pages.append(
                asyncio.create_task(ids(told, enter(told, run, f"u{number}"), run, least=3000))
            )
            await asyncio.to_thread(end, database, first, first + 99)
            await asyncio.sleep(0.03)
        return await asyncio.gather(*pages)

    for found in aside.run(show()):
        assert list(range(1, 3001)) == found


def test_a_slow_reader_is_let_go_and_comes_back(
    hub: tuple[Hub, Database, RunView], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for a reader has a bound; with its last id it hears the rest later."""
    told, database, run = hub
    monkeypatch.setattr(events, "MOST_WAITING_BYTES", 20_000)

    async def show() -> tuple[bool, list[int]]:
        listener = enter(told, run)
        stream = told.stream(listener, [run])
        while b"event: run" not in await anext(stream):
            pass
        await asyncio.to_thread(end, database, 1, 1000)
        while not listener.closed:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        empty = not listener.items
        place = listener.cursor().decode()
        async for _ in stream:
            pass
        again = told.enter("u1", Sight(owner="u1"), runs=[run], after=place)
        return empty, await ids(told, again, run, least=1000)

    empty, found = aside.run(show())

    assert empty
    assert list(range(1, 1001)) == found


def test_nobody_takes_all_streams(hub: tuple[Hub, Database, RunView]) -> None:
    """One user has a limit of their own, and those who leave make room."""
    told, _, run = hub
    mine = [enter(told, run) for _ in range(events.STREAMS_PER_USER)]

    with pytest.raises(TooMany, match="one user"):
        enter(told, run)
    other = enter(told, run, "u2")
    for listener in [*mine, other]:
        told.leave(listener)
    told.leave(other)

    assert 0 == told.streams
    told.leave(enter(told, run))


def test_a_database_that_is_away_for_a_moment_is_survived(
    hub: tuple[Hub, Database, RunView], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listeners hear what happened meanwhile, once it is back."""
    told, database, run = hub
    monkeypatch.setattr(events, "RETRY_SECONDS", 0.1)
    moment = {"until": time.monotonic() + 1.0}
    whole = Runs.now

    def away(self: Runs, numbers: list[int]) -> list[RunView]:
        if len(told._channels) and time.monotonic() < moment["until"]:
            raise RuntimeError("no database")
        return whole(self, numbers)

    async def show() -> list[int]:
        page = asyncio.create_task(ids(told, enter(told, run), run, least=10))
        await asyncio.sleep(0.3)
        monkeypatch.setattr(Runs, "now", away)
        await asyncio.to_thread(end, database, 1, 10)
        return await page

    assert list(range(1, 11)) == aside.run(show())
