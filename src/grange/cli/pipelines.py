"""`grange pipelines`: what can be run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from grange.cli import terminal, words
from grange.cli.options import Json, examples, settings_with

if TYPE_CHECKING:
    from grange.pipelines.catalog import ParameterInfo

app = typer.Typer(no_args_is_help=True)


def list_pipelines(json: Json = False) -> None:
    """List the pipelines that are installed."""
    from grange.bootstrap import catalogs
    from grange.cli.records import record

    with catalogs.open_catalog(settings_with()) as catalog:
        found = catalog.names()
    if json:
        for one in found:
            terminal.put_json(record(one))
        return
    terminal.put_table(
        ("name", "version", "from", "summary"),
        ((one.name, one.version, one.source, one.summary or f"! {one.error}") for one in found),
    )


def show(
    pipeline: Annotated[
        str,
        typer.Argument(metavar="PIPELINE", show_default=False, help="A name, or ./file.py"),
    ],
    json: Json = False,
) -> None:
    """Show a pipeline's parameters, with their types, defaults and help."""
    from grange.bootstrap import catalogs
    from grange.cli.records import record

    with catalogs.open_catalog(settings_with()) as catalog:
        found = catalog.find(pipeline)
    if json:
        terminal.put_json(
            {
                "name": found.name,
                "version": found.version,
                "summary": found.summary,
                "accepts": list(found.accepts),
                "parameters": [record(one) for one in found.parameters],
            }
        )
        return
    terminal.put_pairs(
        [
            ("pipeline", found.name),
            ("version", found.version),
            ("is", found.summary),
            ("takes", ", ".join(found.accepts)),
        ]
    )
    terminal.put()
    for one in found.parameters:
        _put_parameter(one)


def _put_parameter(one: ParameterInfo) -> None:
    default = "required" if one.required else f"default: {words.value(one.default) or 'empty'}"
    terminal.put(f"--set {one.name}=…")
    terminal.put(f"    {one.allowed}; {default}")
    if one.choices:
        terminal.put(f"    one of {', '.join(map(words.value, one.choices))}")
    if one.help:
        terminal.put(f"    {one.help}")


app.command("list")(list_pipelines)
app.command(
    "show", epilog=examples("grange pipelines show command", "grange pipelines show ./words.py")
)(show)
