"""The queries that stand in dashboards and alerts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DEPLOY = Path(__file__).parents[2] / "deploy"

_NAMES = re.compile(r"\b((?:grange|node|process|rabbitmq)_\w+|up)\b\s*(?:\{([^}]*)\})?")
_KEYS = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")


def dashboards() -> dict[str, dict[str, Any]]:
    """Give each dashboard by its file's name."""
    return {file.stem: json.loads(file.read_text()) for file in (DEPLOY / "grafana").glob("*.json")}


def expressions(dashboard: dict[str, Any]) -> list[str]:
    """Give the queries of a dashboard's panels."""
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


def variables(dashboard: dict[str, Any]) -> list[str]:
    """Give the queries of its variables: metric and label, as `label_values` takes them."""
    return [
        one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"
    ]


def used(query: str) -> Iterator[tuple[str, set[str]]]:
    """Give each metric that a query asks for, with the labels by which it chooses."""
    # What stands in quotes or in `by (…)` are no metrics.
    bare = re.sub(r"\b(?:by|on|ignoring|without)\s*\([^)]*\)", "", query)
    for name, chosen in _NAMES.findall(bare):
        yield name, set(_KEYS.findall(chosen))
