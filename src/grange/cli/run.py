"""`grange run` and `grange map`: a pipeline, or any command, over files."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from grange.cli import terminal, words
from grange.cli.exits import DONE, INTERRUPTED
from grange.cli.options import (
    Cores,
    Detach,
    DryRun,
    Engine,
    Exclude,
    Gpu,
    Group,
    Include,
    Inputs,
    Json,
    Labels,
    Memory,
    Name,
    Out,
    Priority,
    Quiet,
    Retries,
    Set,
    Timeout,
    Workers,
    examples,
    needed,
    open_site,
    settings_with,
)

if TYPE_CHECKING:
    from grange.bootstrap import Site
    from grange.runs.models import RunPlan, RunRequest, RunView, Submitted
    from grange.settings import Settings

# Nobody wonders earlier than this why nothing is shown.
PATIENCE_SECONDS = 2.0

RUN_EXAMPLES = examples(
    "grange run ./words.py texts/ --out counted/ --set shortest=3",
    "grange run command photos/ --out small/ \\",
    """  --set 'command=["convert", "{input}", "-resize", "640", "{output}/{name}"]'""",
    "grange run ./words.py texts/ --out counted/ --dry-run",
)
MAP_EXAMPLES = examples(
    "grange map 'gzip -k -c {input} > {output}/{name}.gz' photos/ --out packed/",
    "grange map 'ffmpeg -i {input} {output}/{stem}.mp4' 'videos/*.avi' --out mp4/ -w 2",
)


def run(
    pipeline: Annotated[
        str,
        typer.Argument(
            metavar="PIPELINE",
            show_default=False,
            help="A name (see: grange pipelines list), or the file of one's own: ./file.py",
        ),
    ],
    inputs: Inputs,
    out: Out,
    *,
    settings: Set = None,
    include: Include = None,
    exclude: Exclude = None,
    workers: Workers = None,
    retries: Retries = None,
    timeout: Timeout = None,
    name: Name = "",
    priority: Priority = 0,
    group: Group = "",
    engine: Engine = None,
    cores: Cores = None,
    memory: Memory = None,
    gpu: Gpu = None,
    labels: Labels = None,
    detach: Detach = False,
    json: Json = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> None:
    """Apply a pipeline to files, and follow it to its end.

    Ctrl-C stops it cleanly. The same command goes on where it stopped; what is done costs nothing.
    """
    from grange.runs.models import RunRequest

    given = _given(quiet, engine=engine, workers=workers, retries=retries, timeout_seconds=timeout)
    request = RunRequest(
        pipeline=pipeline,
        inputs=inputs,
        out=out,
        settings=settings or (),
        include=include or (),
        exclude=exclude or (),
        workers=given.workers,
        retries=given.retries,
        timeout_seconds=given.timeout_seconds,
        name=name,
        priority=priority,
        group=group,
        needs=needed(cores, memory, gpu, labels),
        cwd=os.getcwd(),
    )
    with open_site(given) as site:
        if dry_run:
            _put_plan(site.plan(request), as_json=json)
            return
        submitted = _submit(site, request, quiet=quiet)
        go_on(site, submitted, workers=given.workers, detach=detach, as_json=json, quiet=quiet)


def map_command(
    command: Annotated[
        str,
        typer.Argument(
            metavar="COMMAND",
            show_default=False,
            help="A line for the shell, with {input} {output} {name} {stem} in it.",
        ),
    ],
    inputs: Inputs,
    out: Out,
    *,
    settings: Set = None,
    include: Include = None,
    exclude: Exclude = None,
    workers: Workers = None,
    retries: Retries = None,
    timeout: Timeout = None,
    name: Name = "",
    priority: Priority = 0,
    group: Group = "",
    engine: Engine = None,
    cores: Cores = None,
    memory: Memory = None,
    gpu: Gpu = None,
    labels: Labels = None,
    detach: Detach = False,
    json: Json = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> None:
    """Run a shell command on each file, and keep what it writes.

    What it leaves in the folder {output} becomes the file's result.
    Every placeholder is passed as one quoted word, whatever the file is called: write {input},
    without quotes around it. The same as the pipeline `command` with --set shell=COMMAND.
    """
    run(
        "command",
        inputs,
        out,
        settings=[f"shell={command}", *(settings or ())],
        include=include,
        exclude=exclude,
        workers=workers,
        retries=retries,
        timeout=timeout,
        name=name,
        priority=priority,
        group=group,
        engine=engine,
        cores=cores,
        memory=memory,
        gpu=gpu,
        labels=labels,
        detach=detach,
        json=json,
        dry_run=dry_run,
        quiet=quiet,
    )


def go_on(
    site: Site,
    submitted: Submitted,
    *,
    workers: int | None,
    detach: bool,
    as_json: bool,
    quiet: bool = False,
) -> NoReturn:
    """Work on a run to its end, here or in the background, and leave with its exit code."""
    if detach:
        site.detach(submitted.run.id, workers=workers)
        as_lines = as_json or not terminal.is_interactive()
        _put_detached(submitted.run, site.server, as_json=as_lines)
        raise typer.Exit(DONE)
    from grange.cli.driving import work_on

    raise typer.Exit(work_on(site, submitted, workers=workers, as_json=as_json, quiet=quiet))


def _submit(site: Site, request: RunRequest, *, quiet: bool) -> Submitted:
    """Put the run on disk; with very many inputs, say what takes so long."""
    patience = threading.Timer(PATIENCE_SECONDS, terminal.say, ["Taking in the inputs …"])
    patience.daemon = True
    if not quiet:
        patience.start()
    try:
        return site.submit(request, told=_ignore if quiet else terminal.say)
    except KeyboardInterrupt:
        terminal.say("Interrupted. The same command goes on where it stopped.")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        patience.cancel()


def _ignore(_: str) -> None:
    """Nobody wants to hear it."""


def _put_detached(view: RunView, server: str, *, as_json: bool) -> None:
    run = view.id
    if as_json:
        terminal.put_json({"event": "detached", "run": run})
        return
    terminal.put(f"Run {run} goes on {f'at {server}' if server else 'in the background'}.")
    terminal.put(f"follow it: grange runs watch {run}")
    terminal.put(f"stop it:   grange runs cancel {run}")
    if view.out.startswith("s3://"):
        terminal.put(f"its results: {words.place(view.out)}")
    elif server:
        terminal.put(f"its results: grange runs resume {run}, or the same command again")


def _put_plan(plan: RunPlan, *, as_json: bool) -> None:
    spec = plan.spec
    if as_json:
        terminal.put_json(
            {
                "event": "plan",
                "pipeline": spec.pipeline,
                "version": spec.version,
                "params": dict(spec.params),
                "models": dict(spec.models),
                "out": spec.out,
                "items": plan.items,
                "bytes": plan.bytes,
                "skipped": dict(plan.skipped),
                "examples": list(plan.examples),
                "resumes": plan.resumes,
            }
        )
        return
    left_out = ", ".join(f"{count:,} {why}" for why, count in plan.skipped.items() if count)
    terminal.put_pairs(
        [
            ("pipeline", f"{words.visible(spec.pipeline)}, version {spec.version}"),
            *((f"  {name}", words.value(value)) for name, value in spec.params.items()),
            ("results", words.place(spec.out)),
            ("inputs", f"{words.items(plan.items)}, {words.size(plan.bytes)}"),
            ("left out", left_out),
            ("goes on", f"with run {plan.resumes}" if plan.resumes else ""),
        ]
    )
    for path in plan.examples:
        terminal.put(f"  {words.visible(path)}")
    if plan.items > len(plan.examples):
        terminal.put(f"  … and {plan.items - len(plan.examples):,} more")
    terminal.put("Nothing was done: this was a dry run.")


def _given(quiet: bool, **set_by: object) -> Settings:
    """The settings in force; says which flags mean this machine alone, when a server works."""
    given = settings_with(**set_by)
    flags = [f"--{name}" for name in ("engine", "workers") if given.source(name) == "flag"]
    if given.server is not None and flags and not quiet:
        verb = "is" if len(flags) == 1 else "are"
        terminal.say(
            f"{' and '.join(flags)} {verb} for this machine alone: {given.server} "
            "works with what it has. Here: GRANGE_SERVER=none"
        )
    return given
