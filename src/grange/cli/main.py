"""The command `grange`: its groups, and the one place where errors become words and exit codes.

Start-up time is part of the interface: nothing but typer, the errors and these
modules is imported before a command runs.
"""

from __future__ import annotations

import copy
import gc
import itertools
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from grange.cli import (
    audit,
    benchmark,
    consume,
    doctor,
    drive,
    export,
    groups,
    importing,
    login,
    models,
    pipelines,
    produce,
    run,
    runs,
    serve,
    terminal,
    tokens,
    top,
    users,
    watch,
    words,
    worker,
    workers,
)
from grange.cli.exits import INTERRUPTED, exit_code
from grange.cli.options import examples
from grange.errors import GrangeError

app = typer.Typer(
    # Rich help doubles the start-up time.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "grange map 'gzip -k -c {input} > {output}/{name}.gz' photos/ --out packed/",
        "grange run ./words.py texts/ --out counted/",
        "grange runs show last",
    ),
)

DEBUG_VARIABLE = "GRANGE_DEBUG"


def main() -> None:
    """Run the command line of this process."""
    # What is imported stays: looking for garbage among it takes a twentieth of the start-up time.
    gc.set_threshold(50_000)
    terminal.tame_streams()
    try:
        asked_for(sys.argv[1:])(prog_name="grange")
    except KeyboardInterrupt:
        # Before a command has begun, which would have said more.
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001  # here every error becomes words
        sys.exit(_complain(error))


def asked_for(words: Sequence[str]) -> typer.Typer:
    """The command line with that command alone which these words begin with.

    To make all of them takes half of the start-up time. With any other words, such as
    those that ask for help, it is the whole.
    """
    first = next(itertools.dropwhile(lambda word: word == "--debug", words), "")
    commands = [one for one in app.registered_commands if one.name == first]
    groups = [one for one in app.registered_groups if one.name == first]
    if not (commands or groups):
        return app
    narrow = copy.copy(app)
    narrow.registered_commands, narrow.registered_groups = commands, groups
    return narrow


def _put_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        terminal.put(f"grange {version('grange')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_put_version, is_eager=True, help="Say which it is."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="With an error, show where in the code it happened.")
    ] = False,
) -> None:
    """Grange pools the machines that you own, and runs analyses across them."""
    if debug:
        # In the environment, so that the settings and the workers know it too.
        os.environ[DEBUG_VARIABLE] = "1"


def _complain(error: Exception) -> int:
    """Say what went wrong, to people or to programs; returns the exit code."""
    if _is_debugging():
        traceback.print_exception(error, file=sys.stderr)
    code, message, hint = _told(error)
    if "--json" in sys.argv:
        about = {"code": code, "message": message} | ({"hint": hint} if hint else {})
        terminal.put_json({"error": about})
    else:
        terminal.say(f"error: {_lines(message)} [{code}]")
        if hint:
            sys.stderr.write(f"  {_lines(hint)}\n")
    return exit_code(error)


def _told(error: Exception) -> tuple[str, str, str]:
    """The error's code, message and hint."""
    if isinstance(error, GrangeError):
        return error.code, error.message, error.hint
    if isinstance(error, OSError):
        return "system", f"The system refused: {error}", "See where it happened: grange --debug …"
    message = f"Something unforeseen happened: {type(error).__name__}: {error}"
    return "fault", message, "This is a fault of Grange. See where it happened: grange --debug …"


def _lines(text: str) -> str:
    return "\n".join(map(words.visible, text.split("\n")))


def _is_debugging() -> bool:
    return os.environ.get(DEBUG_VARIABLE, "").lower() in {"1", "true", "yes", "on"}


app.command("run", epilog=run.RUN_EXAMPLES)(run.run)
app.command("map", epilog=run.MAP_EXAMPLES)(run.map_command)
app.command("watch", epilog=watch.EXAMPLES)(watch.watch)
app.command("produce", epilog=produce.EXAMPLES)(produce.produce)
app.command("consume", epilog=consume.EXAMPLES)(consume.consume)
app.add_typer(runs.app, name="runs", help="Look at runs, and say what becomes of them.")
app.command("export", epilog=export.EXAMPLES)(export.export)
app.command("import", epilog=importing.EXAMPLES)(importing.import_command)
app.add_typer(pipelines.app, name="pipelines", help="Look at what can be run.")
app.add_typer(models.app, name="models", help="Look after what pipelines find and measure with.")
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
# `grange serve` starts it; nobody has to know it.
app.command("drive", hidden=True)(drive.drive)
app.command("doctor", epilog=examples("grange doctor", "grange doctor --json"))(doctor.doctor)
app.command("login", epilog=login.LOGIN_EXAMPLES)(login.login)
app.command("logout", epilog=login.LOGOUT_EXAMPLES)(login.logout)
app.command("whoami", epilog=login.WHOAMI_EXAMPLES)(login.whoami)
app.add_typer(users.app, name="users", help="Look after who may use the site.")
app.add_typer(groups.app, name="groups", help="Look after groups of users.")
app.command("worker", epilog=worker.EXAMPLES)(worker.worker)
app.command("top", epilog=top.EXAMPLES)(top.top)
app.add_typer(workers.app, name="workers", help="Look after the machines that take work.")
app.add_typer(tokens.app, name="tokens", help="Look after keys for programs.")
app.add_typer(benchmark.app, name="benchmark", help="Measure how quick this machine is.")
app.add_typer(audit.app, name="audit", help="See who did what, and check that log.")
