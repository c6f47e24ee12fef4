"""A site of several machines: broker, database, server and workers, each on a host of its own.

All of them are the real programs. Each host has its own network and its own small disk;
the share is seen by all, but for those workers that are `afar`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx

from tests import brokers, services
from tests.brokers import Broker
from tests.faults.machines.network import Network, network
from tests.faults.machines.processes import (
    all_pids,
    command_line,
    descendants,
    environment_of,
)
from tests.faults.machines.promises import Ended, broken
from tests.faults.machines.recorder import Recorder
from tests.places import Place
from tests.server import scene
from tests.server.scene import Serving
from tests.worker.station.stage import Stage, Worker, until

LEASE_SECONDS = 15.0
# The promise is about the time from when all parties can do their work again.
RECOVERY_SECONDS = 2 * LEASE_SECONDS
PORT = "4050"
SHELL = (
    "sleep {seconds}; sha256sum < {{input}} > {{output}}/digest; cat {{input}} > {{output}}/copy"
)
PATIENCE_SECONDS = 90.0
# The item that kills whoever works on it, in runs that have one.
POISONED = "003"

# The workers that are always there, and whether their bytes go through the server.
STAFF = {"one": False, "two": True, "three": False}

MEGABYTE = 1 << 20
DISKS = {"broker": 400, "database": 400, "server": 64}
WORKERS_DISK = 32

# A killed server loses nothing that it has acknowledged; the machine itself lives on.
DATABASE = ("synchronous_commit=on", "max_wal_size=64MB", "wal_keep_size=0")


class Machines(Stage):
    """The site. What goes wrong is done to it from outside, with signals, links and disks."""

    def __init__(
        self,
        folder: Path,
        net: Network,
        broker: Broker,
        database: services.Server,
        *,
        url: str,
        places: Mapping[str, Place],
    ) -> None:
        self.net = net
        self.places = places
        self.hosts = {host.name: host for host in net.hosts}
        self.database = database
        self.database_url = url
        self._mounts = contextlib.ExitStack()
        self.disks = {"broker": folder / "broker", "database": folder / "database"}
        self.disk("server", DISKS["server"], folder)
        self.broker = broker
        super().__init__(folder, broker, self._launch())
        self.recorder = Recorder(url)
        self.staff: dict[str, Worker] = {}
        self.acknowledged: list[Ended] = []
        self._inputs = 0
        # Who asks while something is wrong does not wait for ever.
        self.admin.timeout = httpx.Timeout(10)

    # ---- the server

    def _launch(self, environment: Mapping[str, str] | None = None) -> Serving:
        host = self.hosts["server"]
        return scene.launch(
            self.disks["server"] / "home",
            *("--host", host.address, "--port", PORT, "--plain-http"),
            prefix=host.prefix,
            GRANGE_DATABASE=self.database_url,
            GRANGE_ENGINE=self.broker.url,
            GRANGE_ENGINE_MANAGEMENT=self.broker.management,
            GRANGE_SHARES=str(self.disks["server"].parent / "share"),
            GRANGE_LEASE_SECONDS=str(LEASE_SECONDS),
            **(environment or {}),
        )

    def serve_again(self, environment: Mapping[str, str] | None = None) -> None:
        """Start the server again, where it was."""
        scene.end(self.server)
        self.server = self._launch(environment)

    def driver(self) -> int:
        """The process that works on the server's runs."""
        for child in descendants(self.server.process.pid):
            if b"drive" in command_line(child):
                return child
        message = "nobody drives the server's runs"
        raise AssertionError(message)

    # ---- workers

    def hire(
        self,
        name: str,
        *,
        slots: int = 2,
        afar: bool = False,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Worker:
        """Start a worker on its own host: for the first time, or again."""
        known = name in self.hosts
        if not known:
            self.hosts[name] = self.net.host(name)
            self.disk(name, WORKERS_DISK, self.folder)
            (self.folder / name).symlink_to(self.disks[name])
        hidden = self.without(self.share, self.disks["server"]) if afar else ()
        self.staff[name] = self.worker(
            name,
            line="" if known else None,
            slots=slots,
            environment=environment,
            prefix=(*self.hosts[name].prefix, *prefix, *hidden),
        )
        return self.staff[name]

    def ready(self, *names: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until these workers take work."""

        def up() -> bool:
            answer = self.ask("GET", "/workers")
            standing = answer.json()["items"] if answer is not None else []
            good = {
                one["name"]
                for one in standing
                if one["presence"] == "up" and one["version"] and one["engine_up"]
            }
            return set(names or self.staff) <= good

        until(up, "workers that take work", seconds=seconds)

    def power_off(self, name: str) -> None:
        """End a worker with all that it has started, as if its machine lost its power."""
        self.send(name, signal.SIGKILL)
        self.staff[name].process.wait()

    def send(self, party: str, number: signal.Signals) -> None:
        """Send a signal to all processes of a party at once."""
        for pid in self.processes(party):
            self.send_one(pid, number)

    def send_one(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def processes(self, party: str) -> list[int]:
        """All processes of a party."""
        if party in self.staff:
            # The home is a link; processes have it as they were told.
            mark = f"GRANGE_HOME={self.folder / party}".encode()
            return [pid for pid in all_pids() if mark in environment_of(pid)]
        first = {
            "server": self.server.process,
            "broker": self.broker.process,
            "database": self.database.process,
        }[party]
        lives = first is not None and first.poll() is None
        return [first.pid, *descendants(first.pid)] if first is not None and lives else []

    # ---- disks

    def disk(self, party: str, megabytes: int, parent: Path) -> Path:
        """Give a party a small disk of its own."""
        made = services.small_disk(parent, size_bytes=megabytes * MEGABYTE)
        self.disks[party] = self._mounts.enter_context(made)
        return self.disks[party]

    def fill_up(self, party: str) -> None:
        """Leave no room on a party's disk."""
        filler = (self.disks[party] / "filler").open("wb", buffering=0)
        with filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))

    def make_room(self, party: str) -> None:
        """Take away what filled a disk. Idempotent."""
        (self.disks[party] / "filler").unlink(missing_ok=True)

    def start(self, party: str, environment: Mapping[str, str] | None = None) -> None:
        """Start the broker or the database, which has ended, with this in its environment."""
        words = [f"{name}={value}" for name, value in (environment or {}).items()]
        self.places[party].inside[:] = ["env", *words] if words else []
        if party == "database":
            self.database.start()
        else:
            self.broker.start()

    def clock(self, party: str) -> float:
        """What time it is for the broker or the database."""
        if party == "database":
            return float(self.recorder.ask("SELECT extract(epoch FROM clock_timestamp())")[0][0])
        return float(self.broker.control("eval", "os:system_time(second)."))

    def room_again(self, party: str) -> None:
        """Take away what filled a disk, and start what has ended of it, as its service would."""
        self.make_room(party)
        if party == "database" and not self.database.lives():
            self.database.start()
        if party == "broker" and not self.broker.lives():
            self.broker.start()

    def settle(self) -> None:
        """Have everybody back at work, whatever was done to them."""
        self.net.mend()
        for party in ("database", "broker", "server", *self.staff):
            self.send(party, signal.SIGCONT)
            self.make_room(party)
        if not self.database.lives():
            self.database.start()
        if not self.broker.lives():
            self.broker.start()
        if self.server.process.poll() is not None:
            self.serve_again()
        for name, afar in STAFF.items():
            if name not in self.staff or self.staff[name].process.poll() is not None:
                self.hire(name, afar=afar)
        for name in [name for name in self.staff if name not in STAFF]:
            self.power_off(name)
            del self.staff[name]
        self.ready()

    # ---- work

    def begin(self, items: int = 40, *, seconds: float = 0.5, poison: str = "") -> Ended:
        """Submit a run; from when the server has acknowledged it, it must come to its end.

        With `poison` one of its items does this to whoever works on it, each time.
        """
        self._inputs += 1
        files = {f"{number:03}": f"{self._inputs}/{number}\n" * 200 for number in range(items)}
        folder = self.fill(f"in-{self._inputs}", files)
        shell = SHELL.format(seconds=seconds)
        if poison:
            shell = f"test {{name}} != {POISONED} || {poison}; {shell}"
        run = self.submit(folder, shell)
        expected: dict[str, bytes] = {}
        for name, text in files.items():
            if poison and name == POISONED:
                continue
            digest = hashlib.sha256(text.encode()).hexdigest()
            expected[f"{name}/copy"] = text.encode()
            expected[f"{name}/digest"] = f"{digest}  -\n".encode()
        out = self.disks["server"] / "home" / "outputs" / run
        ended = Ended(run, out, expected, failed=int(bool(poison)))
        self.acknowledged.append(ended)
        return ended

    def ask(self, method: str, path: str) -> httpx.Response | None:
        """Ask the server; None when there is no answer."""
        with contextlib.suppress(httpx.HTTPError):
            answer = self.admin.request(method, path, timeout=10)
            return answer if answer.is_success else None
        return None

    def done(self, run: Ended) -> int:
        """How many items of a run are done, as the ledger has it."""
        rows = self.recorder.ask("SELECT items_done FROM runs WHERE id = :id", id=run.id)
        return int(rows[0].items_done)

    def end_of_all(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until all runs have ended, as the ledger has it; those too whose answer got lost."""
        # A submission that was cut off before anybody heard of it is swept up some day.
        query = (
            "SELECT id, state, note, items_done FROM runs"
            " WHERE state NOT IN ('submitting', 'done', 'failed', 'cancelled')"
        )
        deadline = time.monotonic() + seconds
        while rows := self.recorder.ask(query):
            assert time.monotonic() < deadline, f"{rows}\n{self.said()}"
            time.sleep(0.1)
        # Workers that come too late tidy up once they know that their run is over.
        deadline = time.monotonic() + seconds
        while at_work := self._at_work():
            assert time.monotonic() < deadline, f"{at_work}\n{self.said()}"
            time.sleep(0.1)
        until(self._is_tidy, "the end of what was staged", seconds=seconds)

    def _at_work(self) -> list[str]:
        """What workers that are up say that they are at, or hold; in words."""
        answer = self.ask("GET", "/workers")
        if answer is None:
            return ["the server does not answer"]
        return [
            f"{one['name']} is at {one['busy']} and holds {one['held']}: {one['tasks']}"
            for one in answer.json()["items"]
            if one["name"] in self.staff and one["presence"] == "up" and one["busy"] + one["held"]
        ]

    def _is_tidy(self) -> bool:
        return not any((run.out / ".grange").exists() for run in self.acknowledged)

    def unfinished(self) -> int:
        """How many runs have no end yet, as the ledger has it."""
        query = "SELECT count(*) FROM runs WHERE finished_at IS NULL AND state <> 'submitting'"
        return int(self.recorder.ask(query)[0][0])

    def broken(self) -> list[str]:
        """What does not hold of what was acknowledged, and what the server did not foresee."""
        unforeseen = [line for line in _lines(self.server.log) if "grange.server fault" in line]
        return [*broken(self.recorder, self.acknowledged), *unforeseen]

    def said(self) -> str:
        """The last words of all parties, for who looks for what went wrong."""
        words = [f"server: {chr(10).join(_lines(self.server.log)[-20:])}"]
        words += [f"{name}: {one.text()[-600:]}" for name, one in self.staff.items()]
        return "\n".join(words)

    def close(self) -> None:
        """End all workers."""
        for name in self.staff:
            self.send(name, signal.SIGCONT)
            self.send(name, signal.SIGKILL)
        super().close()
        self.staff.clear()

    def end(self) -> None:
        """End all that is left, and take the disks away."""
        self.close()
        self.admin.close()
        self.send("server", signal.SIGCONT)
        self.send("server", signal.SIGKILL)
        scene.end(self.server)
        self._mounts.close()


@contextlib.contextmanager
def machines() -> Iterator[Machines]:
    """Run a site for as long as the block lasts."""
    # Not among pytest's own folders: the broker and the database have users of their own.
    folder = Path(tempfile.mkdtemp(prefix="grange-machines-", dir="/tmp"))  # see above
    folder.chmod(0o755)
    try:
        with contextlib.ExitStack() as opened:
            (folder / "share").mkdir()
            net = opened.enter_context(network())
            places = {}
            for party in ("broker", "database"):
                size = DISKS[party] * MEGABYTE
                disk = opened.enter_context(services.small_disk(folder, size_bytes=size))
                (folder / party).symlink_to(disk)
                host = net.host(party)
                places[party] = Place(host.address, host.prefix, disk)
            net.host("server")
            broker = opened.enter_context(brokers.rabbitmq(place=places["broker"]))
            database = opened.enter_context(services.postgresql(places["database"], DATABASE))
            url = opened.enter_context(database.database())
            site = Machines(folder, net, broker, database, url=url, places=places)
            opened.callback(site.end)
            yield site
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lines(file: Path) -> list[str]:
    # What is written on a full disk ends anywhere.
    return file.read_text(errors="replace").splitlines() if file.exists() else []
