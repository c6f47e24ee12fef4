"""The report of a run: one page to look at, in one file that needs nothing else."""

from grange.runs.report.page import write_report
from grange.runs.report.survey import Survey

__all__ = ["Survey", "write_report"]
