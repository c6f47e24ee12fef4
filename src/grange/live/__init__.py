"""Runs from Python: start them, wait for them, take their results as they come."""

from grange.live.handle import Run
from grange.live.results import ItemResult
from grange.live.start import find_run, list_runs, run

__all__ = ["ItemResult", "Run", "find_run", "list_runs", "run"]
