"""What `grange serve` runs: the services, the app over them, and one server for each home."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grange.bootstrap.embedded import make_home, runs_of
from grange.errors import Conflict, SettingInvalid

if TYPE_CHECKING:
    from grange.bootstrap.driving import Driver
    from grange.server.parts import Parts
    from grange.server.serving import Listener
    from grange.settings import Settings

LOCK_NAME = "serve.lock"
# Says which database this home belongs to.
SITE_NAME = "site"
PRIVATE = 0o700


@dataclass(frozen=True)
class Server:
    """A server that is wired and bound, and answers from `serve` on."""

    parts: Parts
    listener: Listener
    start_driving: Callable[[], None]

    @property
    def url(self) -> str:
        """The address that people use."""
        return self.parts.url

    def setup_link(self) -> str | None:
        """A fresh one-time link to the set-up; None once there is an administrator."""
        from grange.server import links

        key = self.parts.accounts.setup_key()
        return links.set_up(self.url, key) if key else None

    def serve(self, ready: Callable[[], None]) -> None:
        """Answer requests until SIGTERM or SIGINT; `ready` is called when it begins."""
        from grange.server.app import make_app
        from grange.server.serving import serve

        def begin() -> None:
            # Not before: a process that starts beside this one would take its time.
            self.start_driving()
            ready()
            threading.Thread(target=self._examine, daemon=True).start()

        serve(make_app(self.parts), self.listener, ready=begin, stopping=self.parts.hub.close)

    def _examine(self) -> None:
        """Say in the log what keeps machines from joining, and runs from their buckets."""
        from grange.server import buckets

        self.parts.workers.examine()
        buckets.examine(self.parts.settings)


@contextmanager
def open_server(settings: Settings) -> Iterator[Server]:
    """The server of these settings, wired, and with its port taken.

    Raises:
        SettingInvalid: It can't listen as it is told to.
        ExtraMissing: What the engine that is set needs is not installed.
        Conflict: Another server has this home.
    """
    from grange.bootstrap.driving import Driver
    from grange.bootstrap.engines import check_engine
    from grange.bootstrap.pooling import keep_address
    from grange.server.serving import listen

    check_engine(settings)
    make_home(settings.home)
    with ExitStack() as opened:
        opened.enter_context(_lock(settings.home))
        _close_to_others(settings.home)
        listener = listen(settings)
        opened.callback(listener.close)
        url = settings.public_url or listener.url
        keep_address(settings, url)
        driver = Driver(settings)
        parts = _wire(settings, url, opened, driver)
        yield Server(parts, listener, driver.start)


def _wire(settings: Settings, url: str, opened: ExitStack, driver: Driver) -> Parts:
    """Open all services; `opened` closes them in the other order."""
    from grange.accounts.service import Accounts
    from grange.accounts.sessions import open_cache
    from grange.bootstrap.chores import Chores
    from grange.bootstrap.engines import standing_of
    from grange.bootstrap.pooling import make_workers
    from grange.db import open_database
    from grange.db.schema import prepare
    from grange.runs.handing import Handing
    from grange.server import exports, published
    from grange.server.events import Hub
    from grange.server.parts import Parts
    from grange.uploads.service import Uploads

    database = open_database(settings.database)
    opened.callback(database.close)
    prepare(database)
    cache = open_cache(settings.sessions)
    accounts = Accounts(database, cache)
    opened.callback(accounts.close)
    _check_home(settings.home, accounts.site())
    uploads = Uploads(
        database, settings.home, quota_bytes=settings.quota_bytes, record=accounts.record
    )
    opened.callback(uploads.close)
    runs = runs_of(database, settings)
    workers = make_workers(settings, database, accounts, url=lambda: url)
    opened.callback(workers.close)
    opened.callback(driver.stop)
    hub = Hub(runs, workers.all, home=settings.home, limit=settings.streams, still=accounts.still)
    opened.callback(hub.close)
    outputs = settings.home / "outputs"
    chores = Chores(
        [
            *(accounts.sweep, uploads.sweep, runs.sweep, workers.sweep),
            *(lambda: published.sweep(outputs), lambda: exports.sweep(settings.home)),
        ]
    )
    opened.callback(chores.stop)
    chores.start()
    return Parts(
        settings=settings,
        database=database,
        accounts=accounts,
        cache=cache,
        runs=runs,
        handing=Handing(database, logs=settings.home / "runs", work=settings.home / "work"),
        workers=workers,
        uploads=uploads,
        hub=hub,
        outputs=outputs,
        wake=driver.wake,
        started_at=time.time(),
        url=url,
        is_driven=driver.is_alive,
        engine_health=lambda: standing_of(settings.home),
    )


def _check_home(home: Path, site: str) -> None:
    """Refuse a home of another database: what that one names would seem to be named by nobody."""
    file = home / SITE_NAME
    try:
        known = file.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        _keep(file, f"{site}\n")
        return
    if known != site:
        raise SettingInvalid(
            f"The files in {home} belong to another database than the one that is set.",
            hint="Set the database that this home was served with, or another home: GRANGE_HOME. "
            f"When the database is gone for good, and the files may go, delete {file}.",
        )


def _keep(file: Path, text: str) -> None:
    """Write a small file so that it is there whole, or not at all."""
    fresh = file.with_name(f"{file.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="ascii") as written:
        written.write(text)
        written.flush()
        os.fsync(written.fileno())
    fresh.replace(file)


def _close_to_others(home: Path) -> None:
    """Keep people's results and logs from other accounts of this machine, whoever made the home."""
    for name in ("outputs", "runs"):
        folder = home / name
        try:
            folder.mkdir(exist_ok=True)
            with suppress(PermissionError):  # It is another account's, which has to know.
                folder.chmod(PRIVATE)
        except OSError as error:
            message = f"The folder {folder} can't be made: {error.strerror}."
            raise SettingInvalid(message, hint="Choose another home: GRANGE_HOME") from error


@contextmanager
def _lock(home: Path) -> Iterator[None]:
    """Keep other servers off this home for as long as this process lives, however it ends."""
    with (home / LOCK_NAME).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            holder = lock.read(20).strip()
            raise Conflict(
                f"Another server works in {home} already"
                + (f": process {holder}." if holder else "."),
                hint="Stop that one, or give this one a home of its own: GRANGE_HOME",
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
