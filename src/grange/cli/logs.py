"""`grange runs logs`: what the attempts at a run's items wrote."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from grange.cli import terminal, words
from grange.cli.options import Json, RunArgument, open_site
from grange.errors import NotFound

if TYPE_CHECKING:
    from grange.bootstrap import Site
    from grange.runs.models import AttemptView, ItemView


def show_logs(
    run: RunArgument,
    item: Annotated[
        str | None,
        typer.Argument(
            metavar="ITEM", show_default=False, help="An item's path, or the end of it; else all."
        ),
    ] = None,
    attempt: Annotated[
        int | None,
        typer.Option("--attempt", metavar="N", min=1, help="Only the first, second, … attempt."),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only failed items.")] = False,
    json: Json = False,
) -> None:
    """Print what a run's attempts wrote to stdout and stderr, item by item."""
    with open_site() as site:
        view = site.find_run(run)
        for one in _items(site, view.id, item, failed=failed):
            found = list(enumerate(site.attempts(view.id, one), start=1))
            if item is not None and attempt is not None and attempt > len(found):
                raise NotFound(
                    f"There is no attempt {attempt} at {words.visible(one.path)}.",
                    hint=f"There have been {len(found)}.",
                )
            for number, tried in found:
                if attempt in {None, number}:
                    _put_attempt(site, one, number, tried, as_json=json)


def _items(site: Site, run: str, path: str | None, *, failed: bool) -> Iterator[ItemView]:
    from grange.core.states import ItemState

    if path is not None:
        yield site.find_item(run, path)
    else:
        yield from site.items(run, state=ItemState.FAILED if failed else None)


def _put_attempt(
    site: Site, item: ItemView, number: int, attempt: AttemptView, *, as_json: bool
) -> None:
    if as_json:
        from grange.cli.records import record

        terminal.put_json({"path": item.path, "attempt": number} | record(attempt))
        return
    part = f", {attempt.kind} {attempt.part}" if attempt.kind != "process" or attempt.part else ""
    end = terminal.state_word(attempt.end)
    took = words.duration(attempt.seconds)
    terminal.put(f"==> {words.visible(item.path)}: attempt {number}{part}, {end}, {took}")
    if attempt.failure:
        terminal.put(f"    {attempt.failure['code']}: {words.visible(attempt.failure['message'])}")
    for name, log in (("stdout", attempt.out_log), ("stderr", attempt.err_log)):
        if log is not None:
            terminal.put(f"--> {name}")
            _put_log(site.read_log(log))


def _put_log(pieces: Iterator[bytes]) -> None:
    """Copy a log: as it is into a file or a pipe, harmless on a terminal, that obeys escapes."""
    try:
        if sys.stdout.isatty():
            for line in _lines(pieces):
                text = line.decode(errors="backslashreplace").rstrip("\r\n")
                terminal.put("\t".join(map(words.visible, text.split("\t"))))
            return
        sys.stdout.flush()
        for piece in pieces:
            sys.stdout.buffer.write(piece)
    except NotFound:
        terminal.put("(this log is gone)")


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if rest:
        yield rest
