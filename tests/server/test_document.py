"""The document of the API, and whether the server does what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance

from grange.client.schemas import basis
from tests.server import scene
from tests.server.scene import Cast, Serving

EXAMPLES = 10
# What would end the session under test, and the stream, which has no end.
LEFT_OUT = ["log_out", "follow_events"]

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
schemathesis.serializer.alias("application/x-tar", "application/octet-stream")


@pytest.fixture(scope="module")
def document(cast: Cast) -> dict[str, Any]:
    """Give the document as the server tells it."""
    found: dict[str, Any] = cast.admin.get("/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def program(cast: Cast, server: Serving) -> Iterator[httpx.Client]:
    """Give a program of an administrator's."""
    with scene.with_token(cast.admin, server.url, "read", "run", "admin") as client:
        yield client


def test_whatever_is_sent_is_answered_as_documented(
    document: dict[str, Any], server: Serving, program: httpx.Client
) -> None:
    """No request that the document allows, or nearly does, breaks the server or its own promise."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=server.url)
    headers = {"Authorization": program.headers["Authorization"]}
    broken = []
    tried = 0
    for found in schema.exclude(operation_id=LEFT_OUT).get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        try:
            _try(operation, headers)
        except Exception as error:  # noqa: BLE001  # all that went wrong is told at the end
            broken.append(f"{operation.label}: {error}")
        tried += 1

    assert [] == broken
    assert len(document["paths"]) <= tried


def _try(operation: Any, headers: dict[str, str]) -> None:
    """Send what the document allows to one operation, and what it just does not."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(
            headers=headers, checks=[not_a_server_error, response_schema_conformance]
        )

    check()


def test_nobody_reads_the_document_without_a_login(server: Serving) -> None:
    """What the server can do is told to those who may use it."""
    with server.client() as nobody:
        assert 401 == nobody.get("/openapi.json").status_code
        for path in ("/docs", "/redoc", "/openapi.json"):
            assert 404 == httpx.get(server.url + path).status_code


def test_each_operation_says_what_it_does(document: dict[str, Any]) -> None:
    """Each has a name of its own that code can use, one line about it, and its errors."""
    operations = [
        one for methods in document["paths"].values() for one in methods.values() if one["summary"]
    ]
    names = [one["operationId"] for one in operations]

    assert len(names) == len(set(names))
    assert all(name.isidentifier() and name.islower() for name in names)
    for one in operations:
        problem = one["responses"]["default"]["content"]["application/problem+json"]
        assert {"$ref": "#/components/schemas/Problem"} == problem["schema"]
        assert "422" not in one["responses"]


def test_the_document_knows_the_types_that_travel(document: dict[str, Any]) -> None:
    """Client and server have one definition of each type, and the document shows it."""
    schemas = document["components"]["schemas"]

    assert {"User", "Run", "Folder", "Problem"} <= set(schemas)
    assert set(basis.Problem.model_fields) == set(schemas["Problem"]["properties"])
