"""JSON files read a value at a time, so that a file of a million entries needs little memory."""

from __future__ import annotations

import io
import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from grange.errors import FormatInvalid

JSON = Any

# What is read at once.
CHUNK_CHARACTERS: Final = 1 << 18
# No single value of a file may be longer: it has to fit into memory several times over.
MOST_CHARACTERS: Final = 1 << 28
# A number or a word that the buffer's end cuts is shorter than this.
LONGEST_WORD: Final = 64
# How deep lists are passed over an entry at a time: an item's detections, one by one.
_DEPTH: Final = 2
_SPACE = " \t\n\r"


@contextmanager
def open_json(path: Path, place: int = 0) -> Iterator[JsonText]:
    """The values of a JSON file, or those from a `JsonText.place` of it on.

    Raises:
        FormatInvalid: It can't be read.
    """
    try:
        with path.open("rb") as file:
            begin = place or (len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0)
            file.seek(begin)
            yield JsonText(io.TextIOWrapper(file, encoding="utf-8", newline=""), path.name, begin)
    except UnicodeDecodeError as error:
        raise FormatInvalid(f"{path.name!r} is no JSON: it is not text in UTF-8.") from error
    except OSError as error:
        message = f"{str(path)!r} can't be read: {error.strerror}."
        raise FormatInvalid(message, hint="Name a file of results.") from error


class JsonText:
    """The values of one JSON text, in their order; each has to be read or entered once."""

    def __init__(self, file: IO[str], name: str, begin: int = 0) -> None:
        """Read from the file's place on; `name` is what errors call it.

        `begin` says how many bytes of it lie before that place.
        """
        self._file = file
        self._name = name
        self._text = ""
        self._at = 0
        self._before = begin
        self._ended = False
        self._decoder = json.JSONDecoder(parse_constant=self._no_number)

    @property
    def place(self) -> int:
        """The byte of the file at which what comes next begins, or the space before it."""
        return self._before + _bytes_in(self._text[: self._at])

    def peek(self) -> str:
        """The first character of what comes next; empty at the end."""
        while True:
            while self._at < len(self._text):
                one = self._text[self._at]
                if one not in _SPACE:
                    return one
                self._at += 1
            if not self._more():
                return ""

    def members(self) -> Iterator[str]:
        """Enter an object: the names of its members, each of whose values the caller has to read.

        Raises:
            FormatInvalid: There is no object, or it is broken.
        """
        for _ in self._entries("{", "}"):
            name = self.value()
            if not isinstance(name, str):
                self._wrong("a name is no text")
            self._take(":")
            yield name

    def elements(self) -> Iterator[None]:
        """Enter a list: one step for each of its values, which the caller has to read.

        Raises:
            FormatInvalid: There is no list, or it is broken.
        """
        return self._entries("[", "]")

    def value(self) -> JSON:
        """The next value, whole.

        Raises:
            FormatInvalid: It is no JSON, too long, or nested too deeply.
        """
        first = self.peek()
        if first not in '{["':
            # A number may go on beyond what has been read of it.
            while len(self._text) - self._at < LONGEST_WORD and self._more():
                pass
        while True:
            try:
                found, self._at = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._is_cut(error) or not self._more():
                    self._wrong(error.msg, error.pos)
            except RecursionError:
                self._wrong("it is nested too deeply")
            except ValueError as error:
                self._wrong(str(error))
            else:
                return found

    def skip(self, depth: int = _DEPTH) -> None:
        """Pass over the next value, without holding more of it than one of its inner values.

        Raises:
            FormatInvalid: It is no JSON.
        """
        first = self.peek() if depth else ""
        if first == "[":
            for _ in self.elements():
                self.skip(depth - 1)
        elif first == "{":
            for _ in self.members():
                self.skip(depth - 1)
        else:
            self.value()

    def end(self) -> None:
        """Make sure that nothing follows.

        Raises:
            FormatInvalid: Something does.
        """
        if self.peek():
            self._wrong("something follows after its end")

    def _entries(self, opening: str, closing: str) -> Iterator[None]:
        self._take(opening)
        if self.peek() == closing:
            self._at += 1
            return
        while True:
            yield
            if self.peek() == closing:
                self._at += 1
                return
            self._take(",")

    def _take(self, character: str) -> None:
        if self.peek() != character:
            self._wrong(f"{character!r} is missing")
        self._at += 1

    def _more(self) -> bool:
        """Read on, as much again as is waiting; false at the end of the file."""
        waiting = len(self._text) - self._at
        if self._ended:
            return False
        if waiting > MOST_CHARACTERS:
            self._wrong(f"a single value has more than {MOST_CHARACTERS:,} characters")
        piece = self._file.read(max(CHUNK_CHARACTERS, waiting))
        self._ended = not piece
        self._before = self.place
        self._text = self._text[self._at :] + piece
        self._at = 0
        return bool(piece)

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether more text may mend what is wrong."""
        near_end = error.pos > len(self._text) - LONGEST_WORD
        return near_end or error.msg.startswith("Unterminated string")

    def _no_number(self, name: str) -> NoReturn:
        self._wrong(f"{name} is no number")

    def _wrong(self, what: str, at: int | None = None) -> NoReturn:
        place = self._before + _bytes_in(self._text[: self._at if at is None else at])
        raise FormatInvalid(
            f"{self._name!r} is no JSON that can be used: {what} (at byte {place:,}).",
            hint="It may have been cut off while it was copied or written.",
        )


def _bytes_in(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
