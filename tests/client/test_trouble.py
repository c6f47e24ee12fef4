"""What goes wrong between client and server ends in one clear error."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from grange import errors
from grange.client.api import Client
from grange.client.connection import Connection
from grange.client.schemas.accounts import LogIn
from grange.client.schemas.basis import Problem
from grange.client.schemas.runs import Run
from grange.client.trouble import error_of
from grange.server.problems import problem
from tests.server.scene import Serving

Answers = Callable[[bytes], str]


def _tree(kind: type[errors.GrangeError]) -> Iterator[type[errors.GrangeError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


@pytest.mark.parametrize("kind", sorted(_tree(errors.GrangeError), key=str))
def test_an_error_crosses_the_network_as_itself(kind: type[errors.GrangeError]) -> None:
    """What the server raises is what its client catches: class, words and hint."""
    error = kind("It is so.", hint="Do this.")

    crossed = error_of(Problem.model_validate(problem(error)))

    assert (kind, "It is so.", "Do this.") == (type(crossed), crossed.message, crossed.hint)


def test_a_code_of_a_newer_server_keeps_its_words() -> None:
    """An older client still says what happened."""
    told = Problem(type="", title="", status=400, detail="Too blue.", code="colour.refused")

    error = error_of(told)

    assert isinstance(error, errors.ServerRefused)
    assert "Too blue." in error.message


@pytest.fixture
def answering() -> Iterator[Answers]:
    """Give a function that starts something that answers with these bytes, whatever it is asked."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threads: list[threading.Thread] = []

        def serve(said: bytes) -> None:
            try:
                while True:
                    near, _ = listener.accept()
                    with near:
                        near.recv(65_536)
                        near.sendall(said)
            except OSError:
                return

        def begin(said: bytes) -> str:
            threads.append(threading.Thread(target=serve, args=(said,), daemon=True))
            threads[-1].start()
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield begin
        listener.shutdown(socket.SHUT_RDWR)
        for one in threads:
            one.join(timeout=10)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n<p>hi</p>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops",
        b"HTTP/1.1 302 Go\r\nLocation: https://elsewhere\r\nConnection: close\r\n\r\n",
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(answering: Answers, said: bytes) -> None:
    """A page of a proxy, or of something else on that port, is no answer."""
    with Connection(answering(said)) as connection, pytest.raises(errors.ServerRefused):
        connection.get(Run, "runs/last")


def test_something_that_is_no_web_server_is_said(answering: Answers) -> None:
    """Whoever speaks another language there is not understood, and that is said."""
    with (
        Connection(answering(b"220 mail.example.org ESMTP\r\n")) as connection,
        pytest.raises(errors.ServerUnreachable),
    ):
        connection.get(Run, "runs/last")


def test_a_server_that_is_not_there_is_said_soon() -> None:
    """Nobody waits half a minute to learn that a URL is wrong."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]

    with (
        Connection(f"http://127.0.0.1:{port}") as connection,
        pytest.raises(errors.ServerUnreachable, match="refused"),
    ):
        connection.get(Run, "runs/last")


@pytest.mark.parametrize("url", ["", "example.org", "ftp://example.org", "http://", "http://a b"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(errors.SettingInvalid):
        Connection(url)


@pytest.mark.parametrize("token", ["", "two words", "a\r\nHost: evil", "schlüssel"])
def test_a_token_that_can_be_none_is_refused(server: Serving, token: str) -> None:
    """It never becomes a header of its own."""
    with pytest.raises(errors.CredentialsInvalid):
        Connection(server.url, token=token)


def test_a_wrong_token_and_a_wrong_password_are_told(server: Serving, token: str) -> None:
    """Each is the error that the server raised."""
    forged = f"{token[:-4]}0000"
    with (
        Client(server.url, token=forged) as client,
        pytest.raises(errors.CredentialsInvalid),
    ):
        client.accounts.show_session()
    with Client(server.url) as client:
        with pytest.raises(errors.CredentialsInvalid):
            client.accounts.log_in(LogIn(email="ada@example.org", password="guess"))
        with pytest.raises(errors.NotAuthenticated) as caught:
            client.accounts.show_session()
    assert caught.value.hint


def test_a_file_of_authorities_has_to_be_one(tmp_path: Path) -> None:
    """A wrong file is told before anything is sent."""
    file = tmp_path / "ca.pem"
    for content in ("", "no certificate"):
        file.write_text(content)
        with pytest.raises(errors.SettingInvalid):
            Connection("https://127.0.0.1", ca=file)
    with pytest.raises(errors.SettingInvalid):
        Connection("https://127.0.0.1", ca=tmp_path / "none.pem")
