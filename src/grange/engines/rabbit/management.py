"""RabbitMQ's management API: a user for each worker, who may do what a worker does and no more."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import httpx

from grange.engines.rabbit.names import Names
from grange.engines.rabbit.troubles import UNTRUSTED
from grange.errors import BrokerRefused, BrokerUnreachable

MANAGEMENT_PORT = 15672
MANAGEMENT_TLS_PORT = 15671
ANSWER_SECONDS = 10.0
_UNAUTHORISED = frozenset({401, 403})
_MISSING = 404
_NO_SUCCESS = 300
_ERRNO = re.compile(r"^\[Errno (\d+)\]")


def management_url(engine: str) -> str:
    """Where the management API of a broker usually is, with the broker's user and password.

    Of one that is spoken to encrypted it is that of the other port: passwords go there, too.
    """
    parts = urlsplit(engine)
    login, _, where = parts.netloc.rpartition("@")
    host = where if where.endswith("]") else where.rpartition(":")[0] or where
    encrypted = parts.scheme == "amqps"
    scheme, port = ("https", MANAGEMENT_TLS_PORT) if encrypted else ("http", MANAGEMENT_PORT)
    return urlunsplit((scheme, f"{login or 'guest:guest'}@{host}:{port}", "", "", ""))


def permissions(site: str, worker: str) -> dict[str, str]:
    """What a worker may configure, write and read: its own queue, what it says, and its tasks."""
    own = rf"grange\.{re.escape(site)}"
    station = rf"station\.{re.escape(worker)}\..+"
    return {
        "configure": rf"^{own}\.{station}$",
        "write": rf"^{own}\.(outcomes|beats|{station})$",
        "read": rf"^{own}\.(tasks\..+|control|{station})$",
    }


class WorkerUsers:
    """Makes and deletes the users of workers on one broker."""

    def __init__(self, engine: str, *, site: str, address: str = "", management: str = "") -> None:
        """Name the broker; nothing is asked of it yet.

        Args:
            engine: The server's own URL of the broker.
            site: The word that the names of this site's queues begin with.
            address: The broker's URL for workers, without a user; that of `engine` by default.
            management: The URL of the API, where it is not the usual one.
        """
        self._engine = urlsplit(engine)
        self._address = urlsplit(address or engine)
        self._site = site
        given = urlsplit(management or management_url(engine))
        login, _, where = given.netloc.rpartition("@")
        user, _, password = (login or self._engine.netloc.rpartition("@")[0]).partition(":")
        self._auth = (unquote(user) or "guest", unquote(password) or "guest")
        self._api = urlunsplit((given.scheme, where, given.path.rstrip("/"), "", ""))

    def check(self) -> None:
        """Everything that can be told without asking is well."""

    def examine(self) -> None:
        """See that the management API answers and lets the server make users.

        Raises:
            BrokerUnreachable: It does not answer.
            BrokerRefused: The server's own user may not make users.
        """
        with self._client() as client:
            self._send(client, "GET", "users?columns=name&page=1&page_size=1")

    def issue(self, worker: str, password: str) -> str:
        """The URL by which this worker reaches the broker; done again it changes nothing.

        Raises:
            BrokerUnreachable: Its management API does not answer.
            BrokerRefused: The server's own user may not make users.
        """
        user = self._name(worker)
        vhost = unquote(self._engine.path.removeprefix("/")) or "/"
        with self._client() as client:
            self._put(client, f"users/{quote(user)}", {"password": password, "tags": ""})
            allowed = permissions(self._site, worker)
            self._put(client, f"permissions/{quote(vhost, safe='')}/{quote(user)}", allowed)
        where = self._address.netloc.rpartition("@")[2]
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        path = self._engine.path or "/"
        return urlunsplit((self._address.scheme, f"{login}@{where}", path, "", ""))

    def revoke(self, worker: str) -> None:
        """Delete the worker's user, which closes its connections; that there is none is fine.

        Raises:
            BrokerUnreachable: The management API does not answer.
            BrokerRefused: The server's own user may not delete users.
        """
        with self._client() as client:
            self._send(client, "DELETE", f"users/{quote(self._name(worker))}")

    def _name(self, worker: str) -> str:
        return Names(self._site).user(worker)

    def _client(self) -> httpx.Client:
        return httpx.Client(auth=self._auth, timeout=ANSWER_SECONDS)

    def _put(self, client: httpx.Client, path: str, body: Mapping[str, str]) -> None:
        self._send(client, "PUT", path, body)

    def _send(
        self, client: httpx.Client, method: str, path: str, body: Mapping[str, str] | None = None
    ) -> None:
        try:
            answer = client.request(method, f"{self._api}/api/{path}", json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise BrokerUnreachable(
                    f"The broker's management API at {self._api} shows a certificate that is not "
                    f"trusted: {error}.",
                    hint=UNTRUSTED,
                ) from error
            raise BrokerUnreachable(
                f"The broker's management API at {self._api} does not answer: {_words(error)}.",
                hint="Is the broker up, and its plugin on: rabbitmq-plugins enable "
                "rabbitmq_management? Where there is none, set "
                "workers_engine to an address with a user that all workers share.",
            ) from error
        if answer.status_code in _UNAUTHORISED:
            raise BrokerRefused(
                f"The broker's management API at {self._api} refuses the server's user.",
                hint="Is its password right? It makes a user for each worker, so it needs the tag "
                "administrator: rabbitmqctl set_user_tags USER administrator",
            )
        gone = method == "DELETE" and answer.status_code == _MISSING
        if answer.status_code >= _NO_SUCCESS and not gone:
            raise BrokerRefused(
                f"The broker's management API answered {method} {path} with the status "
                f"{answer.status_code}.",
                hint="Is it RabbitMQ there, and is there such a virtual host?",
            )


def _words(error: Exception) -> str:
    found = _ERRNO.search(str(error))
    return os.strerror(int(found[1])) if found else str(error).rstrip(".")
