"""The words of the pages: one folder of TOML files per language, one file per part of the site.

A key is the file's name and the path within it: `people.invite.title` stands
in `people.toml` as `title` below `[invite]`. Templates write `t('people.invite.title')`.
A text may have places, as `str.format` does: `t('people.count', count=3)`. Where
the number decides the form, the key is a table with `one` and `other`, asked for
by `t.n('people.count', 3)`.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from grange.runs.report.words import number

FOLDER = Path(__file__).parent / "texts"
DEFAULT = "en"


class Texts:
    """The texts of one language. An unknown key is a mistake in a page, and raises KeyError."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        """Take the texts by their keys."""
        self.language = language
        self._texts = texts

    def __call__(self, key: str, **places: object) -> str:
        """The text, its places filled."""
        text = self._texts[key]
        return text.format(**places) if places else text

    def n(self, key: str, count: int, **places: object) -> str:
        """The form of the text that fits the number, which fills `{count}`."""
        form = "one" if count == 1 else "other"
        return self(f"{key}.{form}", count=number(count), **places)

    def get(self, key: str, default: str = "") -> str:
        """The text, or what is given where the key comes from outside and may be none."""
        return self._texts.get(key, default)

    def below(self, prefix: str) -> dict[str, str]:
        """All texts whose keys begin so, by the rest of their keys: what a page's scripts say."""
        return {
            key.removeprefix(prefix): text
            for key, text in self._texts.items()
            if key.startswith(prefix)
        }

    def __contains__(self, key: object) -> bool:
        return key in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)


@functools.cache
def texts(language: str = DEFAULT) -> Texts:
    """All texts of a language."""
    found: dict[str, str] = {}
    for path in sorted((FOLDER / language).glob("*.toml")):
        found.update(_flat(tomllib.loads(path.read_text(encoding="utf-8")), f"{path.stem}."))
    return Texts(language, found)


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, str):
            yield prefix + name, value
        else:
            yield from _flat(value, f"{prefix}{name}.")
