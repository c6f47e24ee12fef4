"""All words of the pages stand in one place, so that another language can follow."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from grange.server.web import templating
from grange.server.web.texts import DEFAULT, FOLDER, texts

WEB = Path(templating.__file__).parent
TEMPLATES = sorted((WEB / "templates").rglob("*.html"))

# What is shown to people among attributes.
SPOKEN = re.compile(r'\b(?:title|alt|placeholder|aria-label|content)="([^"]*)"')
CODE = re.compile(r"{#.*?#}|{%.*?%}|{{.*?}}", re.DOTALL)
MARKUP = re.compile(r"<script\b.*?</script>|<style\b.*?</style>|<!--.*?-->|<[^>]*>", re.DOTALL)
# `content` of these is for browsers.
TECHNICAL = re.compile(r"<meta\b[^>]*>")
# Words that are the same in every language: commands to copy.
VERBATIM = re.compile(r"<code>.*?</code>", re.DOTALL)
LETTERS = re.compile(r"[^\W\d_]{2,}")

USED = re.compile(r"""\bt(?:\.n|\.get|\.below)?\(\s*['"]([a-z0-9_.]+)['"]\s*([~)+,]|\s)""")
FORMS = (".one", ".other")

SCRIPTS = sorted(
    path for path in (WEB / "static" / "js").rglob("*.js") if "vendor" not in path.parts
)
REMARKS = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.DOTALL)
# A string of a script; in a template literal what is filled in is code.
STRINGS = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`')
FILLED = re.compile(r"\$\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")
# Words as in no code: after a capital letter, around a small word, before a full stop.
SENTENCE = re.compile(
    r"(?:^|[ (])[A-Z][a-z]+ [a-z]+|[a-z]+ (?:a|an|the|is|are|was|of) [a-z]+|[a-z]{2,}\.$"
)
SAID = re.compile(r"""\bsay(?:Count)?\(\s*["`]([a-z_.]+)(["$`])""")


def _literals(template: str) -> Iterator[str]:
    visible = MARKUP.sub(" ", VERBATIM.sub(" ", CODE.sub(" ", template)))
    yield from LETTERS.findall(visible)
    for words in SPOKEN.findall(TECHNICAL.sub(" ", template)):
        yield from LETTERS.findall(CODE.sub(" ", words))


def _calls(source: str) -> Iterator[tuple[str, bool]]:
    """Give each key that is asked for, and whether it is only the beginning of one."""
    for key, following in USED.findall(source):
        yield key, following.strip() == "~" or key.endswith(".")


def _python_calls(path: Path) -> Iterator[tuple[str, bool]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not node.args or not _is_t(node.func):
            continue
        match node.args[0]:
            case ast.Constant(str(key)):
                yield key, False
            case ast.JoinedStr([ast.Constant(str(beginning)), *_]):
                yield beginning, True
            case _:
                pass


def _is_t(function: ast.expr) -> bool:
    match function:
        case ast.Name("t") | ast.Attribute(ast.Name("t"), "n" | "get"):
            return True
        case ast.Attribute(ast.Call(ast.Name("texts")), "n" | "get") | ast.Call(ast.Name("texts")):
            return True
        case _:
            return False


def _asked_for() -> set[tuple[str, bool]]:
    in_templates = {call for path in TEMPLATES for call in _calls(path.read_text())}
    in_python = {call for path in WEB.rglob("*.py") for call in _python_calls(path)}
    return in_templates | in_python


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(WEB)))
def test_a_template_holds_no_words_of_its_own(path: Path) -> None:
    """Who adds a language translates files of texts, and never looks for words in templates."""
    assert [] == list(_literals(path.read_text()))


def test_words_in_a_template_would_be_found() -> None:
    """The search for literal words sees text and attributes, and passes over code."""
    template = """{% set x = 'Not this' %}<p title="Here">{{ t('not.this') }} And here</p>"""

    assert ["And", "here", "Here"] == list(_literals(template))


def _sentences(script: str) -> list[str]:
    strings = (one or other for one, other in STRINGS.findall(REMARKS.sub(" ", script)))
    return [one for one in strings if SENTENCE.search(FILLED.sub(" ", one))]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_holds_no_sentence_of_its_own(path: Path) -> None:
    """What scripts say comes with the page, in its language."""
    assert [] == _sentences(path.read_text())


def test_sentences_in_a_script_would_be_found() -> None:
    """The search sees strings and templates, and passes over remarks and what is code."""
    script = """
        // Not this one here.
        place.className = "s running"; find("#state .state"); say("left", { time });
        place.textContent = "Reading the log"; other.title = `The ${kind} is gone.`;
    """

    assert ["Reading the log", "The ${kind} is gone."] == _sentences(script)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_what_a_script_says_is_there(path: Path) -> None:
    """No script puts a key in the place of a text."""
    known = {*texts().below("runs.js."), *texts().below("frame.js.")}
    known |= {f"state.{name}" for name in texts().below("frame.state.")}

    missing = [
        key
        for key, end in SAID.findall(path.read_text())
        if not any(one == key or one.startswith(f"{key.rstrip('.')}.") for one in known)
    ]

    assert [] == missing


def test_every_text_that_is_asked_for_is_there() -> None:
    """No page breaks because a text is missing."""
    known = {key.removesuffix(form) for key in texts() for form in ("", *FORMS)}

    missing = [
        key
        for key, is_beginning in _asked_for()
        if key not in known and not (is_beginning and any(one.startswith(key) for one in known))
    ]

    assert [] == missing


def test_every_text_is_used() -> None:
    """Nobody translates what is never shown."""
    asked = _asked_for()
    whole = {key for key, is_beginning in asked if not is_beginning}
    beginnings = tuple(key for key, is_beginning in asked if is_beginning)

    unused = [
        key
        for key in texts()
        if not {key, *(key.removesuffix(form) for form in FORMS)} & whole
        and not key.startswith(beginnings)
    ]

    assert [] == unused


@pytest.mark.parametrize("key", sorted(key for key in texts() if key.endswith(".one")))
def test_a_text_with_a_number_has_both_forms(key: str) -> None:
    """Whatever the number is, there is a form for it."""
    assert key.removesuffix("one") + "other" in texts()


def test_other_languages_have_the_same_texts() -> None:
    """A language is whole, or it is not there."""
    for folder in FOLDER.iterdir():
        assert set(texts(DEFAULT)) == set(texts(folder.name))
