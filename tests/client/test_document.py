"""The client is made for the very document that the server publishes."""

from __future__ import annotations

import inspect

import httpx
import pytest

from grange.client.accounts import Accounts
from grange.client.files import Files
from grange.client.models import Models
from grange.client.runs import Runs
from grange.client.system import System
from grange.client.work import Work
from grange.client.workers import Me, Workers, join
from tests.server.scene import Serving

METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}

# What only a page in a browser asks for, and why the client has no use for it.
BROWSER_ONLY: dict[str, str] = {}

# What a worker does for itself has other names on its side, or is a part of something larger.
AS_A_WORKER: dict[str, object] = {
    "join_worker": join,
    "renew_worker": Me.renew,
    "beat_worker": Me.beat,
    "send_output": Work.send_outputs,
    "seal_outputs": Work.send_outputs,
}


@pytest.fixture(scope="module")
def operations(server: Serving, token: str) -> set[str]:
    """Give the ids of all operations in the document."""
    headers = {"Authorization": f"Bearer {token}"}
    document = httpx.get(f"{server.url}/api/v1/openapi.json", headers=headers).json()
    return {
        operation["operationId"]
        for path in document["paths"].values()
        for method, operation in path.items()
        if method in METHODS
    }


def _methods() -> set[str]:
    return {
        name
        for topic in (Accounts, Files, Models, Runs, System, Work, Workers)
        for name, _ in inspect.getmembers(topic, inspect.isfunction)
    }


def test_every_operation_has_a_method(operations: set[str]) -> None:
    """Whatever the API can do, a program can do by a typed method of the same name."""
    assert len(operations) > 50
    assert set() == operations - _methods() - BROWSER_ONLY.keys() - AS_A_WORKER.keys()


def test_the_list_of_exceptions_is_no_longer_than_it_has_to_be(operations: set[str]) -> None:
    """An operation that is gone, or has a method by now, stands in no list."""
    assert set() == (BROWSER_ONLY.keys() | AS_A_WORKER.keys()) - operations
    assert set() == (BROWSER_ONLY.keys() | AS_A_WORKER.keys()) & _methods()


def test_every_method_calls_an_operation(operations: set[str]) -> None:
    """A method that no operation stands behind is a convenience, and says so by its name."""
    public = {name for name in _methods() if not name.startswith("_")}
    conveniences = {name for name in public if name.startswith("every_")}

    assert {"output_path", "read_path"} == public - conveniences - operations
