"""The check of `grange doctor` that asks the server whether it answers."""

from __future__ import annotations

from collections.abc import Iterator
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
