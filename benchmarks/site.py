"""A site for the benchmarks of the server: a home with people and runs, and `grange serve`."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.listing import SMALL_RUN_ITEMS, insert_rows, run_row
from benchmarks.measure import ROOT
from grange.accounts.models import Actor, Place, Role, Scope
from grange.accounts.service import Accounts
from grange.accounts.sessions import open_cache
from grange.core.ids import new_id
from grange.db import Database, open_database
from grange.db.schema import prepare
from grange.runs.tables import runs

API = "/api/v1"
MEMBERS = 20
GROUPS = 4
# Of so many runs one is shared with a group, and one is paused: all the oldest ones are.
SHARED_EVERY = 10
PAUSED_EVERY = 100
PASSWORD = "seven tame herons waded"  # noqa: S105  # of people who live for a minute
DAY_SECONDS = 86_400.0
STOP_SECONDS = 30.0


@dataclass
class Site:
    """A home: whose tokens there are, by name, and some of the runs' ids."""

    home: Path
    database: str
    tokens: dict[str, str] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)


def make_site(home: Path, *, runs_number: int, database: str = "") -> Site:
    """Make a home with an administrator, members, groups, viewers, and so many ended runs.

    `mia` is a member with one of twenty runs; `vera` a viewer, and sees what is
    shared with two groups of four. A tenth of all runs is shared.
    """
    home.mkdir(parents=True)
    site = Site(home, database or f"sqlite:///{home}/grange.db")
    opened = open_database(site.database)
    prepare(opened)
    accounts = Accounts(opened, open_cache("memory"))
    _add_people(accounts, site)
    owners = [one for name, one in site.users.items() if name.startswith("m")]
    _add_runs(opened, site, owners, runs_number)
    accounts.close()
    opened.close()
    return site


@contextmanager
def serving(
    site: Site, *flags: str, under: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """`grange serve` over this site, started below the command `under`; it ends with the block."""
    words = ["grange", "serve", "--port", "0", "--json", "--database", site.database, *flags]
    with _running(site, [*under, sys.executable, "-m", *words], environment or {}) as server:
        yield server


@contextmanager
def serving_bare(site: Site) -> Iterator[Server]:
    """The bare app of benchmarks/bare.py over the same database."""
    words = [sys.executable, "-m", "benchmarks.bare", site.database]
    with _running(site, words, {}) as server:
        yield server


@contextmanager
def _running(
    site: Site, command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[Server]:
    log = site.home / "serve.log"
    with log.open("a") as told:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment_of(site.home, environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline() or "{}")
        if "url" not in said:
            sys.exit(f"{command} did not start: {log.read_text()[-2000:]}")
        yield Server(process, int(said["url"].rpartition(":")[2]), log)
    finally:
        end(process)


@dataclass(frozen=True)
class Server:
    """A process that answers on a port of this machine."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def ask(self, path: str, token: str, *, method: str = "GET", body: Any = None) -> Any:  # noqa: ANN401
        """The JSON that the server answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        return json.loads(text)


def environment_of(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a server over this home: none of the settings around us."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRANGE_")}
    return {**kept, "GRANGE_HOME": str(home), "GRANGE_WORKERS": "1", **(more or {})}


def end(process: subprocess.Popen[str]) -> None:
    """End a server, as an administrator would, and then whatever is left of it."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdout is not None:
            process.stdout.close()


def seconds_of_processor(process: int) -> float:
    """How long a process, with all its threads, has kept a processor busy."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _add_people(accounts: Accounts, site: Site) -> None:
    place, operator = Place(address="127.0.0.1"), accounts.operator()
    key = accounts.setup_key() or ""
    ada = accounts.set_up(key, email="ada@example.org", name="Ada", password=PASSWORD, place=place)
    site.users["ada"] = ada.id
    site.groups = [accounts.make_group(operator, f"group {one}").id for one in range(GROUPS)]
    names = ["mia", *(f"m{one}" for one in range(1, MEMBERS)), "vera"]
    for name in names:
        role = Role.VIEWER if name == "vera" else Role.MEMBER
        invited = accounts.invite(operator, email=f"{name}@example.org", name=name, role=role)
        site.users[name] = invited.user.id
    for name, group in (("mia", 0), ("vera", 0), ("vera", 1)):
        accounts.add_member(operator, site.groups[group], site.users[name])
    accounts.welcome(invited.key, password=PASSWORD, name=None, place=place)
    scopes = {"ada": list(Scope), "mia": [Scope.READ, Scope.RUN], "vera": [Scope.READ]}
    for name, allowed in scopes.items():
        site.tokens[name] = token(accounts, operator, site.users[name], allowed)


def token(accounts: Accounts, operator: Actor, user: str, scopes: Sequence[Scope]) -> str:
    """A token of a user's."""
    made = accounts.make_token(
        operator, name="of a benchmark", scopes=scopes, expires_seconds=DAY_SECONDS, user=user
    )
    return made.text


def _add_runs(database: Database, site: Site, owners: Sequence[str], number: int) -> None:
    site.runs = [new_id() for _ in range(number)]
    insert_rows(database, runs, (_row(site, owners, one) for one in range(number)))


def _row(site: Site, owners: Sequence[str], number: int) -> dict[str, Any]:
    row = run_row(number, site.runs[number], SMALL_RUN_ITEMS)
    turn = number // SHARED_EVERY
    shared = site.groups[turn % GROUPS] if number % SHARED_EVERY == 0 else None
    paused = {"state": "paused", "finished_at": None, "out_key": f"{number:064x}"}
    return {
        **row,
        "owner": owners[number % len(owners)],
        "shared_with": shared,
        "out_key": None,
        **(paused if number < len(site.runs) // PAUSED_EVERY else {}),
    }
