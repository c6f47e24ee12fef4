"""Pipelines, the kinds of analysis that can be run: what one's own is written with."""

from grange.core.resources import Needs
from grange.pipelines.base import (
    INCIDENTAL,
    Bytes,
    Item,
    ItemFailure,
    ItemRecord,
    Parameters,
    Part,
    PartResult,
    Pipeline,
    Review,
    Work,
)

__all__ = [
    "INCIDENTAL",
    "Bytes",
    "Item",
    "ItemFailure",
    "ItemRecord",
    "Needs",
    "Parameters",
    "Part",
    "PartResult",
    "Pipeline",
    "Review",
    "Work",
]
