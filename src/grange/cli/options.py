"""The arguments and options that several commands share, and how a command gets its site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from grange.bootstrap import Site
    from grange.bootstrap.accounts import People
    from grange.bootstrap.crews import WorkersOfSite
    from grange.settings import Settings

RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        show_default=False,
        help="A run's id, the beginning of one, its name, or 'last'.",
    ),
]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        show_default=False,
        help="Files, folders (with all below) or globs; also in a bucket: s3://bucket/folder.",
    ),
]
Out = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        show_default=False,
        help="The folder for the results, or s3://bucket/folder.",
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="GLOB", help="Take only files that match; may be repeated."),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="GLOB", help="Leave out what matches; may be repeated."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Set a parameter of the pipeline; may be repeated."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", "-w", metavar="N", show_default=False, help="Worker processes; one per core."
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(
        "--retries",
        metavar="N",
        show_default=False,
        help="Tries after a failed one (2, unless set otherwise).",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout", metavar="SECONDS", show_default=False, help="Time limit of one attempt."
    ),
]
Name = Annotated[
    str, typer.Option("--name", metavar="TEXT", show_default=False, help="A name to find it by.")
]
Priority = Annotated[
    int,
    typer.Option(
        "--priority",
        metavar="N",
        help="On many machines, 10 more get twice the workers; below 0, it yields to others here.",
    ),
]
Group = Annotated[
    str,
    typer.Option(
        "--group",
        metavar="GROUP",
        show_default=False,
        help="On a server: the group whose members may look at the run too.",
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        show_default=False,
        help="How work reaches workers: local, amqp://…, ray://… (see GRANGE_ENGINE).",
    ),
]
Cores = Annotated[
    float | None,
    typer.Option("--cores", metavar="N", show_default=False, help="Cores that each task needs."),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory", metavar="SIZE", show_default=False, help="Memory that each task needs: 16GB."
    ),
]
Gpu = Annotated[
    str | None,
    typer.Option(
        "--gpu",
        metavar="N[:SIZE]",
        show_default=False,
        help="GPUs that each task needs; with 1:8GB it shares one and takes so much of it.",
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="LABEL", help="Only workers with this label; repeatable."),
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Return at once; the run goes on in the background.")
]
Json = Annotated[bool, typer.Option("--json", help="Answer in lines of JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many at most.")]


def examples(*lines: str) -> str:
    """An epilog of commands to copy, kept as they are written."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def settings_with(**flags: object) -> Settings:
    """The settings in force, where some may be given on the command line."""
    from grange import settings

    return settings.load(flags)


def needed(
    cores: float | None, memory: str | None, gpu: str | None, labels: list[str] | None
) -> dict[str, object]:
    """What each task of a run is said to need, by the names of `Needs`.

    Raises:
        UsageError: A value is none.
    """
    count, with_memory, size = (gpu or "").partition(":")
    said = {
        "cores": cores,
        "memory_bytes": _size("--memory", memory) if memory is not None else None,
        "gpus": _count("--gpu", count) if gpu is not None else None,
        "gpu_memory_bytes": _size("--gpu", size) if with_memory else None,
        "labels": labels or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _size(option: str, text: str) -> object:
    from grange.errors import UsageError
    from grange.settings import kinds

    kind = kinds.size(0)
    try:
        return kind.parse(text)
    except ValueError as error:
        message = f"{option} can't take {text[:60]!r}."
        raise UsageError(message, hint=f"It takes {kind.allowed}.") from error


def _count(option: str, text: str) -> int:
    from grange.errors import UsageError

    if not text.isascii() or not text.isdigit():
        raise UsageError(f"{option} can't take {text[:60]!r}.", hint="It takes 1, or 1:8GB.")
    return int(text)


def open_site(settings: Settings | None = None) -> AbstractContextManager[Site]:
    """The site that the settings name."""
    from grange import bootstrap

    return bootstrap.open_site(settings or settings_with())


def open_people() -> AbstractContextManager[People]:
    """Users, groups, tokens and the audit log: those of the server, or of this machine's home."""
    from grange.bootstrap import accounts

    return accounts.open_people(settings_with())


def open_crew() -> AbstractContextManager[WorkersOfSite]:
    """The workers: those of the server, or of this machine's home."""
    from grange.bootstrap import crews

    return crews.open_crew(settings_with())
