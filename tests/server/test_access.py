"""Who may do what: every operation of the document, tried by everyone who may not.

The table below says for each operation who it is for. One that is not in the
table fails these tests, so that nobody adds an open door by oversight.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from grange.core.ids import ID_LENGTH, looks_like_id
from tests.server import scene
from tests.server.scene import Cast, Serving

METHODS = ("get", "put", "post", "patch", "delete", "head", "options")

PUBLIC = "public"  # everyone, logged in or not
KEY = "key"  # everyone who has a one-time key or a password
ANYONE = "anyone"  # everyone who is logged in, each with their own things
OWNER = "owner"  # whom the thing belongs to; for others it is not there
MEMBER = "member"  # members and administrators, to make something of their own
ADMIN = "admin"  # administrators
WORKER = "worker"  # machines that have joined, by a key of their own

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = "application/offset+octet-stream"


@dataclass(frozen=True)
class Rule:
    """Who an operation is for, and a body that it takes."""

    whose: str
    body: Any = None
    options: dict[str, Any] = field(default_factory=dict)


RULES: dict[str, Rule] = {
    "show_setup": Rule(PUBLIC),
    "set_up": Rule(
        KEY, {"key": "x", "email": "x@example.org", "name": "X", "password": scene.PASSWORD}
    ),
    "welcome_user": Rule(KEY, {"key": "x", "password": scene.PASSWORD}),
    "log_in": Rule(KEY, {"email": "nobody@example.org", "password": "x"}),
    "show_session": Rule(ANYONE),
    "log_out": Rule(ANYONE),
    "list_sessions": Rule(ANYONE),
    "end_session": Rule(OWNER),
    "change_password": Rule(KEY, {"old": "x", "new": scene.PASSWORD}),
    "list_users": Rule(ANYONE),
    "invite_user": Rule(ADMIN, {"email": "new@example.org", "name": "New"}),
    "show_user": Rule(OWNER),
    "change_user": Rule(OWNER, {"name": "Somebody else"}),
    "delete_user": Rule(ADMIN),
    "reset_password": Rule(ADMIN),
    "list_groups": Rule(ANYONE),
    "make_group": Rule(ADMIN, {"name": "Rogues"}),
    "show_group": Rule(OWNER),
    "rename_group": Rule(ADMIN, {"name": "Rogues"}),
    "delete_group": Rule(ADMIN),
    "add_member": Rule(ADMIN),
    "remove_member": Rule(ADMIN),
    "list_tokens": Rule(ANYONE),
    "make_token": Rule(ANYONE, {"name": "x", "scopes": ["read"]}),
    "revoke_token": Rule(OWNER),
    "list_workers": Rule(MEMBER),
    "show_worker": Rule(OWNER),
    "change_worker": Rule(ADMIN, {"name": "Mine now"}),
    "remove_worker": Rule(ADMIN),
    "list_worker_tokens": Rule(ADMIN),
    "make_worker_token": Rule(ADMIN, {}),
    "revoke_worker_token": Rule(ADMIN),
    "join_worker": Rule(KEY, {"token": "x", "secret": "x" * 43, "facts": {"name": "rogue"}}),
    "renew_worker": Rule(WORKER),
    "beat_worker": Rule(WORKER, {}),
    "fetch_input": Rule(WORKER),
    "send_output": Rule(WORKER),
    "send_outputs": Rule(WORKER),
    "seal_outputs": Rule(WORKER, {"files": []}),
    "list_parts": Rule(WORKER),
    "fetch_part": Rule(WORKER),
    "send_log": Rule(WORKER),
    "list_audit": Rule(ADMIN),
    "verify_audit": Rule(ADMIN),
    "show_health": Rule(PUBLIC),
    "show_system": Rule(ADMIN),
    "list_targets": Rule(ADMIN),
    "list_pipelines": Rule(ANYONE),
    "show_pipeline": Rule(ANYONE),
    "list_models": Rule(ANYONE),
    "show_model": Rule(ANYONE),
    "submit_run": Rule(MEMBER, {"pipeline": "command", "inputs": [{"folder": "0" * 10}]}),
    "plan_run": Rule(MEMBER, {"pipeline": "command", "inputs": [{"folder": "0" * 10}]}),
    "list_runs": Rule(ANYONE),
    "show_run": Rule(OWNER),
    "change_run": Rule(OWNER, {"name": "Mine now"}),
    "delete_run": Rule(OWNER),
    "cancel_run": Rule(OWNER),
    "pause_run": Rule(OWNER),
    "resume_run": Rule(OWNER),
    "retry_run": Rule(OWNER),
    "list_failures": Rule(OWNER),
    "show_cells": Rule(OWNER),
    "show_timeline": Rule(OWNER),
    "list_items": Rule(OWNER),
    "show_item": Rule(OWNER),
    "list_attempts": Rule(OWNER),
    "show_log": Rule(OWNER),
    "list_outputs": Rule(OWNER),
    "download_all": Rule(OWNER),
    "download_output": Rule(OWNER),
    "export_run": Rule(OWNER),
    "follow_events": Rule(OWNER, options={"params": {"topic": "run:{run}"}}),
    "show_upload_abilities": Rule(ANYONE),
    "begin_upload": Rule(MEMBER, options={"headers": TUS | {"Upload-Length": "3"}}),
    "show_upload_offset": Rule(OWNER, options={"headers": TUS}),
    "show_upload": Rule(OWNER),
    "send_part": Rule(
        OWNER,
        options={
            "headers": TUS | {"Upload-Offset": "0", "Content-Type": PIECE},
            "content": b"abc",
        },
    ),
    "drop_upload": Rule(OWNER, options={"headers": TUS}),
    "make_folder": Rule(MEMBER, {"name": "x"}),
    "list_folders": Rule(ANYONE),
    "show_folder": Rule(OWNER),
    "delete_folder": Rule(OWNER),
    "list_files": Rule(OWNER),
    "add_files": Rule(OWNER, {"files": [{"path": "a", "size": 1, "sha256": "0" * 64}]}),
    "unpack_archive": Rule(OWNER, {"upload": "0" * 10}),
    "list_shares": Rule(MEMBER),
    "probe_share": Rule(
        MEMBER, {"path": "/etc", "samples": [{"path": "passwd", "size": 1, "mtime_ns": 1}]}
    ),
}

REFUSED = {
    PUBLIC: set(),
    KEY: {401, 409},
    ANYONE: set(),
    OWNER: {403, 404},
    ADMIN: {403},
    WORKER: {403},
}
RUN_SECONDS = 60.0
# With these a test would log out those who it needs.
LAST = {"log_out"}


@dataclass(frozen=True)
class Operation:
    """An operation of the document."""

    name: str
    method: str
    path: str

    def filled(self, values: dict[str, str]) -> str:
        """Fill the path with ids."""
        return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], self.path)


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder that the server sees itself."""
    folder = tmp_path_factory.mktemp("share")
    (folder / "a.txt").write_text("what mia has")
    return folder


@pytest.fixture(scope="module")
def server(share: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Give a server on which members may have runs of their own."""
    home = tmp_path_factory.mktemp("server") / "home"
    with scene.serving(home, "--shares", str(share), "--commands", "member") as server:
        yield server


@pytest.fixture(scope="module")
def operations(cast: Cast) -> list[Operation]:
    """Give all operations of the document, those that log out last."""
    return sorted(operations_of(cast.admin), key=lambda one: one.name in LAST)


def operations_of(admin: httpx.Client) -> Iterator[Operation]:
    """Walk the document."""
    for path, methods in admin.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            if method in METHODS:
                yield Operation(operation["operationId"], method, path.removeprefix(scene.API))


@pytest.fixture(scope="module")
def foreign(cast: Cast, share: Path) -> dict[str, str]:
    """Give the ids of things that belong to one member, by the name that paths have for them."""
    member = scene.user_id(cast.member)
    group = cast.admin.post("/groups", json={"name": "Mia's"}).json()["id"]
    assert 204 == cast.admin.put(f"/groups/{group}/members/{member}").status_code
    token = cast.member.post("/tokens", json={"name": "mia's", "scopes": ["read"]}).json()
    sent = {**TUS, "Upload-Length": "3"}
    begun = cast.member.post("/uploads", headers=sent)
    return {
        "run": _submit(cast.member, share),
        "item": "1",
        "task": "1",
        "epoch": "1",
        "stream": "out",
        "path": "a.txt",
        "dialect": "md",
        "name": "command",
        "folder": cast.member.post("/folders", json={"name": "mia's"}).json()["id"],
        "upload": begun.headers["Location"].rsplit("/", 1)[1],
        "user": member,
        "group": group,
        "token": token["token"]["id"],
        "worker": "0" * 10,
        "session": cast.member.get("/sessions").json()["items"][0]["id"],
    }


def test_the_table_names_every_operation(operations: list[Operation]) -> None:
    """Whoever adds an operation says who it is for; what is gone has no rule."""
    assert {one.name for one in operations} == set(RULES)


def test_nobody_gets_in(
    server: Serving, operations: list[Operation], foreign: dict[str, str]
) -> None:
    """Without a session or a token, only what is for everyone answers."""
    wrong = []
    with server.client() as nobody:
        for one in operations:
            rule = RULES[one.name]
            answer = _try(nobody, one, foreign, rule)
            expected = {200} if rule.whose == PUBLIC else {401, 409}
            if answer.status_code not in expected:
                wrong.append((one.name, answer.status_code))

    assert [] == wrong


@pytest.mark.parametrize("who", ["viewer", "other"])
def test_nobody_reaches_what_belongs_to_others(
    cast: Cast, operations: list[Operation], foreign: dict[str, str], who: str
) -> None:
    """Another user's ids open nothing, and no answer shows them."""
    person: httpx.Client = getattr(cast, who)
    ids = {value for value in foreign.values() if looks_like_id(value) and len(value) == ID_LENGTH}
    wrong = []
    for one in operations:
        rule = RULES[one.name]
        if one.name in LAST:
            continue
        answer = _try(person, one, foreign, rule)
        allowed = rule.whose in {PUBLIC, ANYONE} or (rule.whose == MEMBER and who == "other")
        if allowed:
            fine = answer.status_code < 500
        else:
            fine = answer.status_code in REFUSED.get(rule.whose, {403})
        if not fine or _shows(answer, ids):
            wrong.append((one.name, answer.status_code, answer.text[:200]))

    assert [] == wrong


def test_a_token_that_reads_changes_nothing(
    server: Serving, cast: Cast, operations: list[Operation], foreign: dict[str, str]
) -> None:
    """Even its own user's things are out of reach of a token without the scope."""
    wrong = []
    with scene.with_token(cast.member, server.url, "read") as reader:
        for one in operations:
            rule = RULES[one.name]
            if one.method in {"get", "head", "options"} or one.name in LAST or rule.whose == KEY:
                continue
            answer = _try(reader, one, foreign, rule)
            if answer.status_code != 403:
                wrong.append((one.name, answer.status_code, answer.text[:200]))

    assert [] == wrong


@pytest.mark.parametrize(
    "nothing", ["0000000000", "zzzzzzzzzz", "a" * 40, "%2e%2e", "'", "%F0%9F%90%A6"]
)
def test_ids_of_nothing_are_not_found(
    cast: Cast, operations: list[Operation], nothing: str
) -> None:
    """What is no id, or nobody's, is told as such: it is no fault."""
    wrong = []
    for one in operations:
        rule = RULES[one.name]
        if "{" not in one.path:
            continue
        for person in (cast.admin, cast.member):
            answer = _try(person, one, dict.fromkeys(_names(one), nothing), rule)
            if answer.status_code not in {400, 403, 404, 405, 409, 410, 412, 415, 422}:
                wrong.append((one.name, answer.status_code, answer.text[:200]))

    assert [] == wrong


def _try(
    person: httpx.Client, one: Operation, values: dict[str, str], rule: Rule
) -> httpx.Response:
    options = dict(rule.options)
    if "params" in options:
        given = options["params"].items()
        options["params"] = {name: text.format(**values) for name, text in given}
    return person.request(one.method, one.filled(values), json=rule.body, **options)


def _submit(person: httpx.Client, share: Path) -> str:
    """Let somebody have a run, and wait until it has ended."""
    body = {
        "pipeline": "command",
        "inputs": [{"share": str(share)}],
        "params": {"command": "cp {input} {output}/"},
    }
    answer = person.post("/runs", json=body)
    assert 201 == answer.status_code, answer.text
    run: str = answer.json()["id"]
    deadline = time.monotonic() + RUN_SECONDS
    while (state := person.get(f"/runs/{run}").json()["state"]) != "done":
        assert time.monotonic() < deadline, state
        time.sleep(0.05)
    return run


def _names(one: Operation) -> list[str]:
    return re.findall(r"\{(\w+)\}", one.path)


def _shows(answer: httpx.Response, ids: set[str]) -> bool:
    """Whether the answer tells an id that the question did not name."""
    return any(one in answer.text for one in ids if one not in str(answer.request.url))
