"""The exit codes, and the one mapping of errors and of ended runs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grange.errors import UsageError

if TYPE_CHECKING:
    from grange.runs.models import RunView

# Everything that was asked for is done.
DONE: Final = 0

# Something went wrong that is not an item's own failure; also a run that was cancelled.
ERROR: Final = 1

# The command line, a parameter or a setting makes no sense; repeating it can't help.
USAGE: Final = 2

# The run ended, and some of its items failed: what failed and why is in its report.
FAILED_ITEMS: Final = 3

# Stopped before the end by Ctrl-C or a signal (or paused); the same command goes on.
INTERRUPTED: Final = 130

EXITS: Final[dict[int, str]] = {
    DONE: "Done: every item of the run is done.",
    ERROR: "An error: nothing further was done. The run, if there is one, is kept. "
    "Also when the run was cancelled.",
    USAGE: "The command line, a parameter or a setting makes no sense.",
    FAILED_ITEMS: "The run has ended, and some of its items failed.",
    INTERRUPTED: "Interrupted or paused. The same command, or `grange runs resume`, goes on.",
}


def exit_code(error: Exception) -> int:
    """The code for an error that ends a command."""
    return USAGE if isinstance(error, UsageError) else ERROR


def run_exit_code(run: RunView) -> int:
    """The code for a run that nobody waits for any longer, ended or not."""
    if not run.state.is_finished():
        return INTERRUPTED
    if run.state == "cancelled":
        return ERROR
    return FAILED_ITEMS if run.counts.failed else DONE
