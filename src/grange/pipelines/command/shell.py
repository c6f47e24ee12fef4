"""Placeholders in shell lines: each becomes one quoted word, whatever its value.

A placeholder becomes a reference to an environment variable, quoted so that it
expands to one word wherever it stands. A value is therefore never text that a
shell reads as code, whatever a file is called; if this reader of shell
grammar erred, a word could be split, but never executed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final

from grange.pipelines.command.template import PLACEHOLDER, TemplateError, placeholders

VARIABLE_PREFIX: Final = "GRANGE_"


def fill_shell(line: str, names: Collection[str]) -> str:
    """The line with each placeholder of these names made a quoted reference to its variable.

    The variable of `{input}` is `GRANGE_input`: whoever runs the line has to set it.

    Raises:
        TemplateError: A quote or bracket is not closed, or a placeholder
            stands where no quoting makes it one word.
    """
    return _Scanner(line, names).fill()


# What can't change how the next character is read.
_PLAIN = re.compile(r"[^\s'\"\\`$(){}#<>;&|]+")
_BACKTICKS = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)
_HERE = re.compile(r"<<(-?)[ \t]*((?:'[^']*'|\"[^\"]*\"|\\.|[^\s;&|<>()'\"\\])+)")
# Words after which the next word is a command's name, and so may be `case` or `esac`.
_LEADING = frozenset({"if", "then", "elif", "else", "while", "until", "do", "in", "!"})


class _Scanner:
    """Reads a line as sh does, as far as quoting goes, and writes it again with references.

    Each method reads one kind of context from after its opening to after its end.
    """

    def __init__(self, line: str, names: Collection[str]) -> None:
        self.line = line
        self.names = names
        self.at = 0
        self.written: list[str] = []
        self.here: list[tuple[bool, str, bool]] = []  # documents whose body comes after this line
        self.in_braces = 0

    def fill(self) -> str:
        self._code("")
        return "".join(self.written)

    def fill_document(self) -> str:
        self._text("")
        return "".join(self.written)

    # -- contexts

    def _code(self, end: str) -> None:
        """Commands, up to the bracket that ends them (or the end of the line)."""
        braces, self.in_braces = self.in_braces, 0
        leading, cases = True, 0
        while self.at < len(self.line):
            letter = self.line[self.at]
            if letter == end and not cases:
                self._copy(1)
                self.in_braces = braces
                return
            if word := _PLAIN.match(self.line, self.at):
                whole = self._is_word(word)
                cases += whole and leading and word[0] == "case"
                cases -= whole and leading and word[0] == "esac" and cases > 0
                leading = whole and word[0] in _LEADING
                self._copy(len(word[0]))
                continue
            leading = letter in ";&|()\n" or (leading and letter in " \t{}")
            self._code_letter(letter)
        if end:
            raise TemplateError(f"a {'(' if end == ')' else end} is not closed")

    def _code_letter(self, letter: str) -> None:
        special = self._CODE.get(letter)
        if special is not None:
            special(self)
        else:
            self._copy(1)

    def _text(self, end: str) -> None:
        """What is in double quotes or a here-document, where only `$` and backticks act."""
        while self.at < len(self.line):
            letter = self.line[self.at]
            if letter == end:
                self._copy(1)
                return
            if letter == "\\":
                self._copy(2)
            elif letter == "$":
                self._dollar()
            elif letter == "`":
                self._backticks()
            else:
                self._maybe_placeholder("${{{}}}")
        if end:
            raise TemplateError('a " is not closed')

    def _double(self) -> None:
        self._copy(1)
        self._text('"')

    def _single(self) -> None:
        self._copy(1)
        while self.at < len(self.line):
            letter = self.line[self.at]
            if letter == "'":
                self._copy(1)
                return
            if self.line.startswith("${", self.at):
                self._copy(2)
            else:
                self._maybe_placeholder("'\"${}\"'")
        raise TemplateError("a ' is not closed")

    def _dollar(self) -> None:
        if self.line.startswith("$((", self.at):
            self._copy(3)
            self._arithmetic()
        elif self.line.startswith("$(", self.at):
            self._copy(2)
            self._code(")")
        elif self.line.startswith("${", self.at):
            self._copy(2)
            self._braces()
        else:
            self._copy(1)

    def _code_dollar(self) -> None:
        if self.line.startswith("$'", self.at):
            raise TemplateError("$'…' means different things to different shells: use printf")
        self._dollar()

    def _braces(self) -> None:
        """The inside of `${…}`: how its quotes work depends on the shell, so nothing goes in."""
        self.in_braces += 1
        while self.at < len(self.line):
            letter = self.line[self.at]
            if letter == "}":
                self.in_braces -= 1
                self._copy(1)
                return
            self._quoted_or_plain(letter)
        raise TemplateError("a ${ is not closed")

    def _arithmetic(self) -> None:
        self.in_braces += 1
        depth = 0
        while self.at < len(self.line):
            letter = self.line[self.at]
            if letter == ")" and not depth:
                if not self.line.startswith("))", self.at):
                    raise TemplateError("$(( begins arithmetic: write $( ( for a command")
                self.in_braces -= 1
                self._copy(2)
                return
            depth += {"(": 1, ")": -1}.get(letter, 0)
            self._quoted_or_plain(letter)
        raise TemplateError("a $(( is not closed")

    def _quoted_or_plain(self, letter: str) -> None:
        if letter == "\\":
            self._copy(2)
        elif letter == '"':
            self._double()
        elif letter == "$":
            self._dollar()
        elif letter == "`":
            self._backticks()
        else:
            self._maybe_placeholder("")

    def _backticks(self) -> None:
        found = _BACKTICKS.match(self.line, self.at)
        if found is None:
            raise TemplateError("a ` is not closed")
        inside = found[1]
        if "\\" in inside and placeholders([inside]) & set(self.names):
            raise TemplateError("write $(…) instead of `…` around a placeholder and a backslash")
        self.at = found.end()
        filled = inside if "\\" in inside else _Scanner(inside, self.names).fill()
        self.written.append(f"`{filled}`")

    def _comment(self) -> None:
        if self.at and self.line[self.at - 1] not in " \t\n;&|()":
            self._copy(1)
            return
        end = self.line.find("\n", self.at)
        self._copy((end if end >= 0 else len(self.line)) - self.at)

    def _less(self) -> None:
        found = _HERE.match(self.line, self.at)
        if found is None or self.line.startswith("<<<", self.at):
            self._copy(3 if self.line.startswith("<<<", self.at) else 1)
            return
        delimiter = re.sub(r"['\"\\]", "", found[2])
        self.here.append((bool(found[1]), delimiter, delimiter != found[2]))
        self._copy(len(found[0]))

    def _newline(self) -> None:
        self._copy(1)
        documents, self.here = self.here, []
        for tabs, delimiter, quoted in documents:
            self._document(delimiter, tabs=tabs, quoted=quoted)

    def _document(self, delimiter: str, *, tabs: bool, quoted: bool) -> None:
        start = self.at
        for one in re.findall(r"[^\n]*\n|[^\n]+", self.line[start:]):
            self.at += len(one)
            text = one.removesuffix("\n")
            if (text.lstrip("\t") if tabs else text) == delimiter:
                break
        body = self.line[start : self.at]
        if not quoted:
            body = _Scanner(body, self.names).fill_document()
        elif placeholders([body]) & set(self.names):
            raise TemplateError(f"a here-document takes no placeholder when {delimiter} is quoted")
        self.written.append(body)

    # -- pieces

    def _copy(self, count: int) -> None:
        self.written.append(self.line[self.at : self.at + count])
        self.at += count

    def _is_word(self, found: re.Match[str]) -> bool:
        around = " \t\n;&|()"
        begins = found.start() == 0 or self.line[found.start() - 1] in around
        return begins and (found.end() == len(self.line) or self.line[found.end()] in around)

    def _group(self) -> None:
        self._copy(1)
        self._code(")")

    def _maybe_placeholder(self, form: str) -> None:
        found = PLACEHOLDER.match(self.line, self.at)
        if found is None or found[2] not in self.names:
            self._copy(1)
            return
        self.at = found.end()
        if found[1]:
            self.written.append(f"{{{found[2]}}}")
            return
        if self.in_braces:
            raise TemplateError(
                f"{found[0]} can't stand inside ${{…}} or $((…)): "
                f"put it into a variable of the shell's before, x={found[0]}"
            )
        self.written.append(form.format(VARIABLE_PREFIX + found[2]))

    def _escape(self) -> None:
        self._copy(2)

    def _open_brace(self) -> None:
        self._maybe_placeholder('"${}"')

    _CODE: Final[Mapping[str, Callable[[_Scanner], None]]] = {
        "\\": _escape,
        "'": _single,
        '"': _double,
        "`": _backticks,
        "$": _code_dollar,
        "(": _group,
        "{": _open_brace,
        "#": _comment,
        "<": _less,
        "\n": _newline,
    }
