"""A real RabbitMQ for tests: started on demand, killed, wiped and frozen as a test likes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from tests.places import HERE, Place
from tests.services import (
    PASSWORD,
    START_SECONDS,
    USER,
    find_program,
    free_port,
    kill_group,
    server_folder,
    spawn,
)

_PLACES = "/usr/lib/rabbitmq/bin"
_WITH_PARENT = "setpriv --pdeathsig KILL" if shutil.which("setpriv") else ""
_HELLO = b"AMQP\x00\x00\x09\x01"

# The machine's cores are the tests': what waits must not spin, and one scheduler will do.
_ERLANG = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"


@dataclass
class Broker:
    """One RabbitMQ server and how to reach it."""

    folder: Path
    program: str
    port: int
    management_port: int
    plugins: Sequence[str]
    place: Place = HERE
    # The file of a certificate of its own, with the key, where it speaks encrypted alone.
    certificate: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    _epmd_port: int = field(default_factory=free_port)
    _dist_port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """The address, with a user who may do everything."""
        return self.url_of(USER, PASSWORD)

    def url_of(self, user: str, password: str, vhost: str = "/") -> str:
        """The address, with this user."""
        scheme = "amqps" if self.certificate else "amqp"
        where = f"{self.place.address}:{self.port}"
        return f"{scheme}://{user}:{password}@{where}/{quote(vhost, safe='')}"

    @property
    def management(self) -> str:
        """Where the management API is, when its plugin is on."""
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{self.place.address}:{self.management_port}"

    def start(self) -> None:
        """Start the server, or start it again over the same files."""
        # Its own register of nodes, which ends with it, so that nothing is left of either.
        register = f'{_WITH_PARENT} epmd -port "$ERL_EPMD_PORT"'
        command = ["sh", "-c", f'{register} & exec "$0"', self.program]
        whole = [*self.place.inside, "env", *self._variables(), *command]
        self.process = spawn(whole, "rabbitmq", self.folder, self.place.prefix)
        deadline = time.monotonic() + 2 * START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                message = f"RabbitMQ did not start: {self._log()}"
                raise RuntimeError(message)
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it takes connections, and answers them."""
        try:
            with socket.create_connection((self.place.address, self.port), timeout=1) as plain:
                talk = plain
                if self.certificate:
                    trust = ssl.create_default_context(cafile=self.certificate)
                    talk = trust.wrap_socket(plain, server_hostname=self.place.address)
                with talk:
                    talk.sendall(_HELLO)
                    return talk.recv(1) == b"\x01"
        except OSError:
            return False

    def lives(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        if self.process is not None:
            kill_group(self.process)
            self.process = None

    def wipe(self) -> None:
        """Take away all that a killed server had on its disk."""
        shutil.rmtree(self.folder / "mnesia")

    def lists(self, queue: str) -> bool:
        """Whether it would find a quorum queue's log again: it writes that down a bit later."""
        return queue.encode() in self.listed()

    def unlist(self) -> None:
        """Let a killed server find no quorum queue's log, as if all had just been made."""
        self._register.unlink()

    def list_as_of(self, then: bytes) -> None:
        """Let a killed server find the logs of those queues only that were listed then."""
        self._register.write_bytes(then)

    def listed(self) -> bytes:
        """Which quorum queues' logs it would find again; for `list_as_of`."""
        return self._register.read_bytes()

    @property
    def _register(self) -> Path:
        node = f"test{self.port}@localhost"
        return self.folder / "mnesia" / node / "quorum" / node / "names.dets"

    def freeze(self) -> None:
        """Let the server hang: connections are taken, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)

    def control(self, *words: str) -> str:
        """Give a command to rabbitmqctl; what it prints."""
        command = ["env", *self._variables(), f"{_PLACES}/rabbitmqctl", "--quiet", *words]
        prefix = ["setpriv", "--reuid=rabbitmq", "--regid=rabbitmq", "--init-groups"]
        done = subprocess.run(
            [*self.place.prefix, *(prefix if os.geteuid() == 0 else []), *command],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=True,
        )
        return done.stdout

    def _variables(self) -> list[str]:
        values = {
            "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin",
            # The cookie of the node, and of those who command it.
            "HOME": self.folder,
            "ERL_EPMD_PORT": self._epmd_port,
            "RUNNING_UNDER_SYSTEMD": "1",  # in the foreground, without a shell before it
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": self.place.address,
            **({} if self.certificate else {"RABBITMQ_NODE_PORT": self.port}),
            "RABBITMQ_DIST_PORT": self._dist_port,
            "RABBITMQ_MNESIA_BASE": self.folder / "mnesia",
            "RABBITMQ_LOG_BASE": self.folder / "logs",
            "RABBITMQ_CONFIG_FILE": self.folder / "rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder / "plugins",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
        }
        return [f"{name}={value}" for name, value in values.items()]

    def prepare(self) -> None:
        """Write its files."""
        (self.folder / "plugins").write_text(f"[{','.join(self.plugins)}].\n")
        lines = [
            f"default_user = {USER}",
            f"default_pass = {PASSWORD}",
            "disk_free_limit.absolute = 1MB",
            "log.file.level = warning",
            "log.console = false",
        ]
        way = "ssl" if self.certificate else "tcp"
        if "rabbitmq_management" in self.plugins:
            lines += [f"management.{way}.ip = {self.place.address}"]
            lines += [f"management.{way}.port = {self.management_port}"]
        if self.certificate:
            lines += ["listeners.tcp = none"]
            lines += [f"listeners.ssl.default = {self.place.address}:{self.port}"]
            for part in ("ssl_options", "management.ssl"):
                lines += [f"{part}.certfile = {self.certificate}"]
                lines += [f"{part}.keyfile = {self.certificate}"]
        (self.folder / "rabbitmq.conf").write_text("\n".join([*lines, ""]))

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def _log(self) -> str:
        return (self.folder / "log").read_text()[-2000:]


def certified(folder: Path) -> Path:
    """Make a certificate for this machine, in one file with its key."""
    whole = folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-keyout", str(whole), "-out", str(folder / "part.pem"), "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        capture_output=True,
        check=True,
    )
    with whole.open("ab") as file:
        file.write((folder / "part.pem").read_bytes())
    whole.chmod(0o644)  # The broker has a user of its own.
    return whole


@contextlib.contextmanager
def rabbitmq(
    plugins: Sequence[str] = ("rabbitmq_management",),
    place: Place = HERE,
    *,
    encrypted: bool = False,
) -> Iterator[Broker]:
    """Run a RabbitMQ server of our own for as long as the block lasts."""
    program = find_program("rabbitmq-server", _PLACES, package="rabbitmq-server")
    with server_folder("rabbitmq", place.folder) as folder:
        certificate = certified(folder) if encrypted else None
        server = Broker(folder, program, free_port(), free_port(), plugins, place, certificate)
        server.prepare()
        try:
            server.start()
            yield server
        finally:
            server.kill()
