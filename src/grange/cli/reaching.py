"""The checks of `grange doctor` that look over the network: server, broker, buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING

from grange.cli import words
from grange.errors import GrangeError

if TYPE_CHECKING:
    from grange.cli.checks import Finding
    from grange.settings import Settings


def server(settings: Settings) -> Iterator[Finding]:
    """Which server the commands talk to, whether it answers, and as whom."""
    from grange.cli.checks import BROKEN, OK, WARN, Finding

    if settings.server is None:
        yield Finding("server", OK, "none: the commands work on this machine")
        return
    from grange.bootstrap.remote.login import open_client

    try:
        with open_client(settings) as client:
            theirs = client.system.show_health().version
            me = client.accounts.show_session()
    except GrangeError as error:
        yield Finding("server", BROKEN, f"{settings.server}: {error.message}", error.hint)
        return
    ours = version("grange")
    seen = f"{settings.server}, Grange {theirs}, as {words.visible(me.user.email)}"
    if theirs == ours:
        yield Finding("server", OK, seen)
    else:
        todo = f"This machine has {ours}; the same version on both sides is best."
        yield Finding("server", WARN, seen, todo)


def engine(settings: Settings) -> Iterator[Finding]:
    """Whether work gets to the workers, and machines that join can be given access."""
    from grange.bootstrap import engines, pooling
    from grange.cli.checks import OK, Finding

    if settings.engine == engines.LOCAL:
        yield Finding("engine", OK, "local: the cores of this machine do the work")
        return
    engines.check_engine(settings)
    if not engines.is_brokered(settings):
        yield Finding("engine", OK, f"{settings.shown('engine')}: its client is installed")
        return
    from grange.engines.rabbit.trial import try_broker

    def broker() -> str:
        return f"the broker at {try_broker(settings.engine)} lets the server in"

    def access() -> str:
        pooling.examine_access(settings)
        return "workers can be given access to the broker"

    yield _tried("engine", broker)
    yield _tried("engine", access)


def joined(settings: Settings) -> Iterator[Finding]:
    """If this machine works for a server: whether it reaches that, and its broker."""
    from grange.bootstrap.working import FOLDER
    from grange.cli.checks import OK, Finding
    from grange.client.system import System
    from grange.client.workers import Me
    from grange.engines.rabbit.trial import try_broker
    from grange.worker.station.papers import read_papers

    papers = read_papers(settings.home / FOLDER)
    if papers is None:
        yield Finding("joined", OK, "no server: this machine takes no work from others")
        return

    def reached() -> str:
        with Me(papers.server, papers.key, pin=papers.pin) as me:
            theirs = System(me.connection).show_health().version
        return f"{papers.server}, Grange {theirs}, as the worker {words.visible(papers.name)}"

    yield _tried("joined", reached)
    yield _tried("joined", lambda: f"the broker at {try_broker(papers.engine)} lets it in")


def buckets(settings: Settings) -> Iterator[Finding]:
    """Whether the buckets that the settings name can be read, or written to."""
    from grange.cli.checks import OK, Finding
    from grange.server.buckets import check_inputs, check_results, listed

    written = [*listed(settings.store), *listed(settings.out_buckets)]
    read = listed(settings.buckets)
    if not written and not read:
        yield Finding("buckets", OK, "none are set")
    for url in written:
        yield _bucket(url, check_results, "can be written to")
    for url in read:
        yield _bucket(url, check_inputs, "can be read")


def _tried(name: str, look: Callable[[], str]) -> Finding:
    from grange.cli.checks import BROKEN, OK, Finding

    try:
        return Finding(name, OK, look())
    except GrangeError as error:
        return Finding(name, BROKEN, error.message, error.hint)


def _bucket(url: str, check: Callable[[str], None], may: str) -> Finding:
    def look() -> str:
        check(url)
        return f"{url} {may}"

    return _tried("buckets", look)
