"""JSON files with long lists, written an entry at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

JSON = Any


def write_object(path: Path, members: Iterable[tuple[str, JSON]]) -> None:
    """Write one object; a member that is an iterator becomes a list, written as it comes."""
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write("{")
        comma = "\n"
        for name, value in members:
            file.write(f"{comma} {text_of(name)}: ")
            if isinstance(value, Iterator):
                inner = "["
                for one in value:
                    file.write(f"{inner}\n  {text_of(one)}")
                    inner = ","
                file.write("[]" if inner == "[" else "\n ]")
            else:
                file.write(text_of(value))
            comma = ",\n"
        file.write("\n}\n")


def text_of(value: JSON) -> str:
    """A value in plain ASCII, which holds every name, even one that is no text in any encoding."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False)
