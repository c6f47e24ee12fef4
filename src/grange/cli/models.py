"""`grange models`: what pipelines find, tell apart and measure with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grange.cli import modelwords, terminal, words
from grange.cli.exits import DONE, ERROR
from grange.cli.modelwords import (
    Classes,
    CountsAs,
    Fields,
    Keypoints,
    Layout,
    Licence,
    Name,
    Size,
    Source,
    TaskName,
)
from grange.cli.options import Json, examples, settings_with
from grange.cli.users import Yes, ask

if TYPE_CHECKING:
    from grange.pipelines.wildlife.models.registry import Models

app = typer.Typer(no_args_is_help=True)

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", show_default=False, help="A name, or the path of a .toml or .onnx file."
    ),
]


def list_models(json: Json = False) -> None:
    """List the models that pipelines can use: those that ship with Grange, and those added."""
    from grange.bootstrap.models import open_shelf

    with open_shelf(settings_with()) as shelf:
        found = shelf.models()
    if json:
        for one in found:
            terminal.put_json(one.model_dump(mode="json"))
        return
    terminal.put_table(
        ("name", "task", "layout", "input", "licence", "from", "sha256"),
        (modelwords.row(one) for one in found),
    )


def show(model: ModelArgument, json: Json = False) -> None:
    """Show a model: what it is for, what it tells apart, whose it is."""
    from grange.bootstrap.models import open_shelf

    with open_shelf(settings_with()) as shelf:
        found = shelf.find(model)
    if json:
        terminal.put_json(found.model_dump(mode="json"))
        return
    terminal.put_pairs((name, words.visible(said)) for name, said in modelwords.pairs(found))


def check(model: ModelArgument, json: Json = False) -> None:
    """Check a model: its file, its graph, and what it answers to made-up pictures.

    Works on this machine alone. The exit code is 1 when the model can't be used.
    """
    found = _models_here().check(model)
    if json:
        from grange.cli.records import record

        findings = [record(one) for one in found.findings]
        told = {"model": found.model, "good": found.good, "seconds": found.seconds}
        terminal.put_json(told | {"findings": findings})
        raise typer.Exit(DONE if found.good else ERROR)
    for one in found.findings:
        state = "ok" if one.good else "broken"
        space = " " * (6 - len(state))
        said = words.visible(one.said)
        terminal.put(f"{terminal.state_word(state)}{space}  {one.name:<8}  {said}")
        if one.hint:
            terminal.put(f"{'':18}→ {words.visible(one.hint)}")
    raise typer.Exit(DONE if found.good else ERROR)


def add(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", show_default=False, help="A graph (.onnx) or a manifest (.toml)."
        ),
    ],
    *,
    name: Name = "",
    task: TaskName = "",
    classes: Classes = "",
    counts_as: CountsAs = "",
    keypoints: Keypoints = "",
    layout: Layout = "",
    size: Size = "",
    licence: Licence = "",
    source: Source = "",
    fields: Fields = None,
    json: Json = False,
) -> None:
    """Add a model to this machine: its file is copied. What the graph shows need not be said.

    What is said wins over what a manifest says. Adding the same again changes nothing.
    """
    said: dict[str, Any] = {
        "name": name,
        "task": task,
        "classes": modelwords.names(classes),
        "counts_as": modelwords.names(counts_as),
        "keypoints": modelwords.names(keypoints),
        "layout": layout,
        "input": modelwords.size(size),
        "licence": licence,
        "source": source,
    }
    given = {field: value for field, value in said.items() if value}
    models = _models_here(to_add=True)
    made = models.add(Path(file).expanduser(), given | modelwords.fields(fields or []))
    if json:
        terminal.put_json({"event": "added", "model": made.name, "sha256": made.sha256})
        return
    layout = f" ({made.layout})" if made.layout not in {"", made.task.value} else ""
    terminal.put(f"The {made.task} {made.name} is added{layout}.")
    terminal.put(f"Check it: grange models check {made.name}")


def remove(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", show_default=False, help="The name of a model.")
    ],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Remove a model that was added to this machine, its file with it."""
    models = _models_here()
    models.entry(model, files=False)
    if not yes:
        ask(f"Runs that use {words.visible(model)} and are not done will fail.")
    models.remove(model)
    if json:
        terminal.put_json({"event": "removed", "model": model})
        return
    terminal.put(f"The model {words.visible(model)} is removed.")


def _models_here(*, to_add: bool = False) -> Models:
    from grange.bootstrap.models import models_here

    return models_here(settings_with(), to_add=to_add)


app.command("list", epilog=examples("grange models list"))(list_models)
app.command(
    "show", epilog=examples("grange models show reference-detector", "grange models show my.onnx")
)(show)
app.command(
    "check",
    epilog=examples("grange models check reference-detector", "grange models check my.onnx"),
)(check)
app.command(
    "add",
    epilog=examples(
        "grange models add md_v5a.onnx --name megadetector-v5a --licence AGPL-3.0",
        "grange models add deer.onnx --classes deer,boar,person --counts-as animal,animal,person",
        "grange models add species.onnx --task classifier --classes @names.txt --input 224",
        "grange models add pose.toml",
    ),
)(add)
app.command("remove", epilog=examples("grange models remove megadetector-v5a --yes"))(remove)
