"""`grange doctor`: what works on this machine, what doesn't, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from grange.cli import terminal, words
from grange.cli.exits import DONE, ERROR
from grange.cli.options import Json, settings_with

if TYPE_CHECKING:
    from grange.cli.checks import Finding
    from grange.settings import Settings


def doctor(json: Json = False) -> None:
    """Say what works on this machine, what doesn't, and what to do.

    Starts a worker process and gives it a task, but changes nothing. The exit
    code is 1 when something is broken.
    """
    from grange.cli import checks

    settings = settings_with()
    broken = 0
    for finding in checks.findings(settings):
        broken += finding.state == checks.BROKEN
        _put(finding, as_json=json)
    _put_settings(settings, as_json=json)
    if not json:
        terminal.put()
        terminal.put(
            f"{broken} broken: see above what to do." if broken else "All that is needed works."
        )
    raise typer.Exit(ERROR if broken else DONE)


def _put(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        from grange.cli.records import record

        terminal.put_json(record(finding))
        return
    space = " " * (6 - len(finding.state))
    seen = words.visible(finding.seen)
    terminal.put(f"{terminal.state_word(finding.state)}{space}  {finding.name:<9}  {seen}")
    if finding.todo:
        terminal.put(f"{'':19}→ {words.visible(finding.todo)}")


def _put_settings(settings: Settings, *, as_json: bool) -> None:
    from grange.settings import SETTINGS

    rows = [(one.name, settings.shown(one.name), settings.source(one.name)) for one in SETTINGS]
    if as_json:
        shown = [{"name": name, "value": value, "from": place} for name, value, place in rows]
        terminal.put_json({"settings": shown, "file": settings.file})
        return
    terminal.put()
    terminal.put_table(("setting", "value", "from"), rows)
    if settings.file:
        terminal.put(f"settings file: {words.visible(str(settings.file))}")
