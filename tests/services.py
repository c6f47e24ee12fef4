"""Real databases and caches for tests: started on demand, thrown away afterwards.

Each server listens on a free port of 127.0.0.1, keeps its files in a folder of
its own under /tmp and dies with the process that started it. Nothing is synced
to disk: the data is worth nothing after the test.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
import sqlalchemy

from tests.freezing import freeze
from tests.places import HERE, Place

USER = "grange"
PASSWORD = "s3cret-of-the-tests"

# Starting a server takes about a second; a busy machine may need many times that.
START_SECONDS = 60.0
STOP_SECONDS = 10.0

# What the copies of tables are called that a fresh database has something in.
_COPY = "fresh_"

# PostgreSQL's "immediate shutdown"; MariaDB takes it for its usual one.
QUICK_END = signal.SIGQUIT


def unavailable(reason: str) -> NoReturn:
    """Skip the test on a laptop; fail it in CI, where everything must be there."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have this: {reason}")
    pytest.skip(reason)


@dataclass
class Server:
    """One database server and how to reach it."""

    driver: str
    port: int
    first_database: str
    drop_suffix: str
    launch: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes] | None = None
    address: str = HERE.address
    # The database that `prepared_database` has made, and what it is made of.
    prepared: str = ""
    made_of: list[str] = field(default_factory=list)

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of one database."""
        return f"{self.driver}://{USER}:{PASSWORD}@{self.address}:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        """Run one statement outside any transaction, with all rights."""
        engine = sqlalchemy.create_engine(
            self.url(self.first_database),
            isolation_level="AUTOCOMMIT",
            poolclass=sqlalchemy.NullPool,
        )
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database, give its URL, and drop it at the end."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name}{self.drop_suffix}")

    @contextlib.contextmanager
    def prepared_database(self, prepare: Callable[[str], None]) -> Iterator[str]:
        """Give a database with tables and no more in them than `prepare` has put there.

        `prepare` is called once, with the URL of an empty database. PostgreSQL copies
        that; MariaDB, where making tables costs seconds, empties those it has, unless
        the test before has changed more than their rows.
        """
        in_place = self.driver.startswith("mysql")
        if in_place and self.prepared and self.made_of != _made_of(self.url(self.prepared)):
            self.execute(f"DROP DATABASE {self.prepared}")
            self.prepared = ""
        if not self.prepared:
            name = f"prepared_{secrets.token_hex(6)}"
            self.execute(f"CREATE DATABASE {name}")
            prepare(self.url(name))
            if in_place:
                _keep_a_copy(self.url(name))
                self.made_of = _made_of(self.url(name))
            self.prepared = name
        if in_place:
            _bring_back(self.url(self.prepared))
            yield self.url(self.prepared)
            return
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {self.prepared}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name}{self.drop_suffix}")

    def start(self) -> None:
        """Start the server, or start it again over the same files."""
        self.process = self.launch()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
            except sqlalchemy.exc.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    message = f"{self.driver} did not start: {error}"
                    raise RuntimeError(message) from error
                time.sleep(0.05)
            else:
                return

    def lives(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    def freeze(self) -> None:
        """Let the server hang: connections are taken, and nothing is answered."""
        if self.process is not None:
            freeze(self.process.pid)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def stop(self) -> None:
        """End the server for good: without a checkpoint, but with its shared memory given back."""
        if self.process is not None:
            self.process.send_signal(QUICK_END)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        if self.process is not None:
            kill_group(self.process)
            self.process = None


@dataclass
class CacheServer:
    """One Redis or memcached server: what it holds is gone once it ends."""

    scheme: str
    port: int
    ping: bytes
    launch: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL as the setting `sessions` takes it."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def ask(self, line: bytes) -> bytes:
        """Send one line, and return the beginning of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=STOP_SECONDS) as talk:
            talk.sendall(line + b"\r\n")
            return talk.recv(1 << 16)

    def start(self) -> None:
        """Start the server, or start it again on the same port, empty."""
        self.process = self.launch()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.ask(self.ping)
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    message = f"{self.scheme} did not start: {error}"
                    raise RuntimeError(message) from error
                time.sleep(0.02)
            else:
                return

    def freeze(self) -> None:
        """Let the server hang: connections are taken, and nothing is answered."""
        if self.process is not None:
            freeze(self.process.pid)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the server at once."""
        if self.process is not None:
            self._signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


@contextlib.contextmanager
def redis() -> Iterator[CacheServer]:
    """Run a Redis server of our own for as long as the block lasts."""
    program = find_program("redis-server", os.environ.get("PATH", ""), package="redis-server")
    with server_folder("redis") as folder:
        port = free_port()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        command += ["--save", "", "--appendonly", "no"]
        launch = functools.partial(spawn, command, "redis", folder)
        with _caching("redis", port, b"PING", launch) as server:
            yield server


@contextlib.contextmanager
def memcached() -> Iterator[CacheServer]:
    """Run a memcached server of our own for as long as the block lasts."""
    program = find_program("memcached", os.environ.get("PATH", ""), package="memcached")
    with server_folder("memcache") as folder:
        port = free_port()
        command = [program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-m", "16"]
        launch = functools.partial(spawn, command, "memcache", folder)
        with _caching("memcached", port, b"version", launch) as server:
            yield server


@contextlib.contextmanager
def postgresql(place: Place = HERE, options: Sequence[str] = ()) -> Iterator[Server]:
    """Run a PostgreSQL server of our own for as long as the block lasts."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version)
    search = os.pathsep.join([*map(str, reversed(programs)), os.environ.get("PATH", "")])
    initdb = find_program("initdb", search, package="postgresql")
    postgres = find_program("postgres", search, package="postgresql")
    with server_folder("postgres", place.folder) as folder:
        _initialise_postgresql(initdb, folder)
        with (folder / "data" / "pg_hba.conf").open("a") as doors:
            doors.write(f"host all all {place.address}/24 scram-sha-256\n")

        def launch() -> subprocess.Popen[bytes]:
            # A killed server leaves its lock behind; its number may be another process's now.
            (folder / "data" / "postmaster.pid").unlink(missing_ok=True)
            settings = (
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
                "max_connections=200",
                "shared_buffers=64MB",
                "log_min_messages=panic",
                *options,
            )
            command = [postgres, "-D", str(folder / "data"), "-k", str(folder)]
            command += ["-h", place.address, "-p", str(port)]
            command += [word for setting in settings for word in ("-c", setting)]
            return spawn([*place.inside, *command], "postgres", folder, place.prefix)

        port = free_port()
        server = Server(
            "postgresql+psycopg",
            port,
            "postgres",
            " WITH (FORCE)",
            launch,
            address=place.address,
        )
        with _running(server):
            yield server


@contextlib.contextmanager
def mariadb(place: Place = HERE) -> Iterator[Server]:
    """Run a MariaDB server of our own for as long as the block lasts."""
    search = os.pathsep.join(["/usr/sbin", os.environ.get("PATH", "")])
    installer = find_program("mariadb-install-db", search, package="mariadb-server")
    mariadbd = find_program("mariadbd", search, package="mariadb-server")
    with server_folder("mysql", place.folder) as folder:
        _initialise_mariadb(installer, folder, "127.0.0.1" if place == HERE else "%")

        def launch() -> subprocess.Popen[bytes]:
            command = [
                mariadbd,
                "--no-defaults",
                f"--datadir={folder / 'data'}",
                # One that starts removes what it finds of others' temporary tables.
                f"--tmpdir={folder}",
                f"--socket={folder / 'socket'}",
                f"--pid-file={folder / 'pid'}",
                f"--init-file={folder / 'users.sql'}",
                f"--bind-address={place.address}",
                f"--port={port}",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-doublewrite=0",
                "--innodb-fast-shutdown=3",
                "--innodb-flush-method=nosync",
                "--sync-frm=0",
                "--skip-name-resolve",
                "--max-connections=200",
            ]
            return spawn([*place.inside, *command], "mysql", folder, place.prefix)

        port = free_port()
        server = Server("mysql+pymysql", port, "mysql", "", launch, address=place.address)
        with _running(server):
            yield server


@contextlib.contextmanager
def small_disk(parent: Path, *, size_bytes: int) -> Iterator[Path]:
    """Mount a file system of a few megabytes, to be filled up; needs root."""
    if os.geteuid() != 0:
        unavailable("mounting a small disk needs root")
    folder = Path(tempfile.mkdtemp(prefix="disk-", dir=parent))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0755", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        unavailable(f"a small disk can't be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily, because a process that a test killed may not be gone yet.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _keep_a_copy(url: str) -> None:
    """Keep what the tables of a fresh database hold beside them."""
    with _alone_in(url) as execute:
        for (table,) in execute("SHOW TABLES"):
            if execute(f"SELECT 1 FROM `{table}` LIMIT 1"):
                execute(f"CREATE TABLE `{_COPY}{table}` AS SELECT * FROM `{table}`")


def _made_of(url: str) -> list[str]:
    """Name the tables, columns and triggers of a database."""
    here = "_schema = DATABASE()"
    with _alone_in(url) as execute:
        columns = execute(
            "SELECT CONCAT_WS(' ', table_name, column_name, column_type) "
            f"FROM information_schema.columns WHERE table{here} ORDER BY 1"
        )
        triggers = execute(
            f"SELECT trigger_name FROM information_schema.triggers WHERE trigger{here} ORDER BY 1"
        )
    return [name for (name,) in (*columns, *triggers)]


def _bring_back(url: str) -> None:
    """Empty those tables that are used, and put back what they held when they were fresh."""
    with _alone_in(url) as execute:
        tables = [name for (name,) in execute("SHOW TABLES")]
        copies = [name for name in tables if name.startswith(_COPY)]
        execute("SET foreign_key_checks = 0")
        for table in [name for name in tables if name not in copies]:
            # Numbers begin anew; and unlike DELETE it asks no trigger.
            if execute(f"SELECT 1 FROM `{table}` LIMIT 1"):
                execute(f"TRUNCATE `{table}`")
        for copy in copies:
            execute(f"INSERT INTO `{copy.removeprefix(_COPY)}` SELECT * FROM `{copy}`")


@contextlib.contextmanager
def _alone_in(url: str) -> Iterator[Callable[[str], list[tuple[str, ...]]]]:
    engine = sqlalchemy.create_engine(
        url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool
    )

    with engine.connect() as connection:

        def execute(statement: str) -> list[tuple[str, ...]]:
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []

        yield execute
    engine.dispose()


def _initialise_postgresql(initdb: str, folder: Path) -> None:
    (folder / "password").write_text(PASSWORD)
    command = [initdb, "--no-sync", "--username", USER, "--pwfile", str(folder / "password")]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
    _finish(spawn([*command, "-D", str(folder / "data")], "postgres", folder), folder)


def _initialise_mariadb(installer: str, folder: Path, clients: str) -> None:
    (folder / "users.sql").write_text(
        f"CREATE USER IF NOT EXISTS {USER}@'{clients}' IDENTIFIED BY '{PASSWORD}';\n"
        f"GRANT ALL ON *.* TO {USER}@'{clients}' WITH GRANT OPTION;\n"
    )
    command = [installer, "--no-defaults", f"--datadir={folder / 'data'}", "--skip-test-db"]
    command += [f"--tmpdir={folder}"]
    command += ["--auth-root-authentication-method=normal", "--skip-name-resolve"]
    _finish(spawn(command, "mysql", folder), folder)


@contextlib.contextmanager
def _caching(
    scheme: str, port: int, ping: bytes, launch: Callable[[], subprocess.Popen[bytes]]
) -> Iterator[CacheServer]:
    server = CacheServer(scheme, port, ping, launch)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def _running(server: Server) -> Iterator[None]:
    try:
        server.start()
        yield
    finally:
        server.stop()


@contextlib.contextmanager
def server_folder(user: str, given: Path | None = None) -> Iterator[Path]:
    """Make a folder that the server's user owns; short, because it holds a socket.

    One that is given is used as it is, and left.
    """
    folder = given or Path(tempfile.mkdtemp(prefix=f"grange-{user}-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, user, user)
        yield folder
    finally:
        if given is None:
            shutil.rmtree(folder, ignore_errors=True)


def spawn(
    command: list[str], user: str, folder: Path, before: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start a program as its own user when we are root (the servers refuse to be root)."""
    prefix = ["setpriv", "--pdeathsig", QUICK_END.name] if shutil.which("setpriv") else []
    if os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        prefix = prefix or ["setpriv"]
        prefix += [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups"]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [*before, *prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
        )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a server at once, with its children: PostgreSQL's outlive a killed parent."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _finish(process: subprocess.Popen[bytes], folder: Path) -> None:
    if process.wait(START_SECONDS) != 0:
        message = f"the server's files can't be made: {(folder / 'log').read_text()[-2000:]}"
        raise RuntimeError(message)


def find_program(name: str, search: str, *, package: str) -> str:
    """Say where a program is; without it, the test is skipped on a laptop and fails in CI."""
    found = shutil.which(name, path=search)
    if found is None:
        unavailable(f"{name} is not installed (Debian package {package})")
    return found


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


def free_port() -> int:
    """Name a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
