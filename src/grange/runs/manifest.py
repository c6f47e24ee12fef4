"""What lies at the top of an output folder for programs: run.json and items.jsonl."""

from __future__ import annotations

import re

from grange.runs.models import ITEMS_FILE, REPORT_FILE, RUN_FILE

# The folder in which a store keeps what is its own.
_STORE_FOLDER = ".grange"
_OWN = re.compile(
    "(?:"
    + "|".join(map(re.escape, (RUN_FILE, ITEMS_FILE, REPORT_FILE, _STORE_FOLDER)))
    + r")(?:\.item)*"
)


def published_path(item_path: str) -> str:
    """The folder of an item's outputs, relative to the output folder.

    It is the item's path, but never a name of Grange's own: `run.json` becomes
    `run.json.item`, and that one `run.json.item.item`. No two items share one.
    """
    first, slash, rest = item_path.partition("/")
    return f"{first}.item{slash}{rest}" if _OWN.fullmatch(first) else item_path
