"""What every request and every answer passes."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server import scene
from tests.server.scene import Cast, Serving

LOG_SECONDS = 10.0


@pytest.fixture
def nobody(server: Serving) -> Iterator[httpx.Client]:
    """Give a client that has not logged in."""
    with server.client() as client:
        yield client


@pytest.mark.parametrize("path", ["/health", "/session", "/nowhere", "/../../login"])
def test_every_answer_has_its_headers(nobody: httpx.Client, path: str) -> None:
    """Answers, errors and pages alike say what browsers must not do with them."""
    headers = nobody.get(path).headers

    assert "nosniff" == headers["x-content-type-options"]
    assert "same-origin" == headers["referrer-policy"]
    assert "same-origin" == headers["cross-origin-opener-policy"]
    assert "same-origin" == headers["cross-origin-resource-policy"]
    assert "no-store" == headers["cache-control"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "server" not in headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:4050", 200),
        ("[::1]:80", 200),
        ("192.0.2.7", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_other_names_are_refused(nobody: httpx.Client, host: str, status: int) -> None:
    """A name that others let point to this machine is none of this server's."""
    assert status == nobody.get("/health", headers={"Host": host}).status_code


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_change_nothing(cast: Cast, headers: dict[str, str]) -> None:
    """Whatever they know or guess, a request that says where it comes from is refused."""
    answer = cast.member.post("/tokens", json={"name": "x", "scopes": ["read"]}, headers=headers)

    assert (403, "auth.forgery") == (answer.status_code, answer.json()["code"])


def test_pages_of_other_sites_log_nobody_in(nobody: httpx.Client) -> None:
    """Nor may they put a browser into a session of their own choice."""
    body = {"email": scene.email("mia"), "password": scene.PASSWORD}
    answer = nobody.post("/session", json=body, headers={"Origin": "https://evil.example"})

    assert (403, "auth.forgery") == (answer.status_code, answer.json()["code"])


def test_own_pages_may(cast: Cast, server: Serving) -> None:
    """A request of this server's pages passes."""
    headers = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    answer = cast.member.post("/tokens", json={"name": "x", "scopes": ["read"]}, headers=headers)

    assert 201 == answer.status_code


@pytest.mark.parametrize("csrf", [None, "", "0" * 64, "another's"])
def test_a_cookie_alone_changes_nothing(cast: Cast, csrf: str | None) -> None:
    """A browser sends its cookie by itself; what proves the page is the session's own token."""
    cookies = dict(cast.member.cookies)
    headers = {} if csrf is None else {"X-CSRF-Token": csrf}
    if csrf == "another's":
        headers["X-CSRF-Token"] = cast.other.headers["X-CSRF-Token"]
    with httpx.Client(base_url=cast.member.base_url, cookies=cookies, headers=headers) as forger:
        answer = forger.post("/tokens", json={"name": "x", "scopes": ["read"]})

        assert (403, "auth.forgery") == (answer.status_code, answer.json()["code"])
        assert 200 == forger.get("/session").status_code


def test_json_in_disguise_is_no_json(cast: Cast) -> None:
    """A form of another site can send text that looks like JSON: it is not taken for it."""
    body = json.dumps({"name": "x", "scopes": ["read"]})
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = cast.member.post("/tokens", content=body, headers={"Content-Type": kind})

        assert 422 == answer.status_code


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 200 + "]" * 200,
        '{"name": NaN}',
        '{"name": Infinity}',
        '{"name": 1e999}',
        '{"name": ' + "9" * 5000 + "}",
        '{"name": "a", "name": "b"}',
        '{"name": "\\u0000"}',
        '{"name": "\\ud800"}',
        '{"name": "a"',
        "",
        "null",
        "\ufeff{}",
    ],
)
def test_json_that_nobody_should_send(cast: Cast, body: str) -> None:
    """Huge, deep, ambiguous and broken JSON gets one clear answer."""
    headers = {"Content-Type": "application/json"}
    answer = cast.admin.post("/groups", content=body.encode(), headers=headers)

    assert (422, "request.invalid") == (answer.status_code, answer.json()["code"])


def test_flat_json_with_many_brackets_passes(cast: Cast) -> None:
    """Depth is what is limited, not what stands in texts or side by side."""
    name = "[{" * 90
    answer = cast.admin.post("/groups", json={"name": name})

    assert (201, name) == (answer.status_code, answer.json()["name"])


@pytest.mark.parametrize("chunked", [False, True])
def test_huge_requests_are_refused(nobody: httpx.Client, *, chunked: bool) -> None:
    """Whether a request says its size or not, a mebibyte is enough."""
    body = b'"' + b"x" * (3 << 20) + b'"'

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 1 << 16):
            yield body[start : start + (1 << 16)]

    try:
        answer = nobody.post(
            "/session",
            content=pieces() if chunked else body,
            headers={"Content-Type": "application/json"},
        )
    except httpx.WriteError:
        return  # the server has hung up, which is as good
    assert (413, "request.too_large") == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /api/v1/health?" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000, 431),
        (b"GET /api/v1/health HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 300 + b"\r\n", 431),
        (b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nX\x00: y\r\n\r\n", 400),
        (b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n", 400),
        (b"NONSENSE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (
            b"POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n%b\r\n0\r\n\r\n"
            % b"Transfer-Encoding: chunked\r\n",
            400,
        ),
        (
            b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
            400,
        ),
    ],
)
def test_heads_that_are_none(server: Serving, head: bytes, status: int) -> None:
    """Heads that are huge, broken or ambiguous are answered and the connection is closed."""
    received = _exchange(server, head)

    assert str(status).encode() == received.split(b" ")[1]
    assert b"application/problem+json" in received


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/../../../../../etc/passwd",
        "/static/..%2f..%2f..%2fapp.py",
        "//etc/passwd",
        "/static/%00",
        "/etc/passwd%00.html",
    ],
)
def test_paths_lead_nowhere_else(server: Serving, path: str) -> None:
    """No spelling of a path leads out of what is served."""
    received = _exchange(
        server,
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(),
    )

    assert received.split(b" ")[1] in {b"404", b"422"}
    assert b"root:" not in received
    assert b"import" not in received


def test_a_line_of_the_log_stays_one(server: Serving, nobody: httpx.Client) -> None:
    """What a client sends can't begin a line of its own, and no query gets into the log."""
    nobody.get("/health%0d%0aforged:%20admin%20logged%20in%1b[31m?key=hidden-in-the-query")
    nobody.get("/health", headers={"User-Agent": "agent\tof\x7fchaos"})
    nobody.get("/health/the-last-one")
    text = _logged(server, "the-last-one")

    assert "%0d%0aforged" in text.lower()
    assert "\nforged" not in text
    assert "\x1b" not in text
    assert "hidden-in-the-query" not in text


def test_an_answer_gains_no_header(server: Serving, cast: Cast) -> None:
    """What was sent comes back in no header, however it is spelt."""
    answer = cast.admin.get("/users", params={"q": "a\r\nSet-Cookie: b=c"})

    assert 200 == answer.status_code
    assert "set-cookie" not in answer.headers
    hop = httpx.get(f"{server.url}/%0d%0aSet-Cookie:%20b=c", follow_redirects=False)
    assert "set-cookie" not in hop.headers


def test_errors_are_problems(nobody: httpx.Client) -> None:
    """Each error is a problem document, and none quotes what may be a secret."""
    unknown = nobody.get("/nowhere")
    method = nobody.request("PUT", "/health")
    secret = nobody.post("/session", json={"email": "a@b.c", "password": 7, "extra": "s3cret"})

    for answer, status, code in (
        (unknown, 404, "not_found"),
        (method, 405, "request.invalid"),
        (secret, 422, "request.invalid"),
    ):
        assert status == answer.status_code
        assert "application/problem+json" == answer.headers["content-type"]
        assert code == answer.json()["code"]
        assert f"urn:grange:error:{code}" == answer.json()["type"]
    assert ["body.password", "body.extra"] == [one["where"] for one in secret.json()["errors"]]
    assert "s3cret" not in secret.text


def test_people_get_pages_of_errors(server: Serving) -> None:
    """Where a person looks, an error is a page; below /api it is a document all the same."""
    accept = {"Accept": "text/html,*/*"}

    assert "text/html" in httpx.get(f"{server.url}/x", headers=accept).headers["content-type"]
    below = httpx.get(f"{server.url}{scene.API}/x", headers=accept)
    assert "application/problem+json" == below.headers["content-type"]


def _logged(server: Serving, last: str) -> str:
    """Read the log once this is in it: lines are written a moment after their answers."""
    deadline = time.monotonic() + LOG_SECONDS
    while last not in (text := server.log.read_text()):
        assert time.monotonic() < deadline, text[-1000:]
        time.sleep(0.02)
    return text


def _exchange(server: Serving, sent: bytes) -> bytes:
    """Send bytes as they are, and read until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(sent)
        received = bytearray()
        try:
            while data := connection.recv(65536):
                received += data
        except ConnectionResetError:
            pass
    return bytes(received)


def test_the_log_holds_no_secrets(server: Serving, cast: Cast) -> None:
    """Passwords, keys, cookies and tokens are nowhere in what the server writes."""
    with scene.with_token(cast.member, server.url) as client:
        assert 200 == client.get("/session").status_code
        token = client.headers["Authorization"].removeprefix("Bearer ")
    cookie = next(iter(cast.member.cookies.values()))
    cast.nobody.get("/health/after-secrets")
    text = _logged(server, "after-secrets")

    for secret in (scene.PASSWORD, server.setup_key, token, cookie):
        assert secret not in text
    database = b"".join(path.read_bytes() for path in Path(server.home).glob("grange.db*"))
    for secret in (scene.PASSWORD, server.setup_key, token, cookie):
        assert secret.encode() not in database
