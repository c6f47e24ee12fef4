"""Placeholders in argument lists, and what is told of slips before anything runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grange.pipelines.command.template import code_with, fill, placeholders, shell_words, slip

NAMES = ("input", "output", "name", "stem")


@pytest.mark.parametrize(
    ("argument", "filled"),
    [
        ("{input}", "IN"),
        ("--to={output}/{stem}.txt", "--to=OUT/STEM.txt"),
        ("{input}{input}", "ININ"),
        ("{{input}}", "{input}"),
        ("{{{input}}}", "{{input}}"),
        ("${input}", "${input}"),
        ("{print $1}", "{print $1}"),
        ("{print}", "{print}"),
        ("{a,b} {} {", "{a,b} {} {"),
        ("{input", "{input"),
        ("{ input }", "{ input }"),
    ],
)
def test_only_known_names_in_braces_are_replaced(argument: str, filled: str) -> None:
    """All other braces are the program's own."""
    values = {"input": "IN", "output": "OUT", "name": "NAME", "stem": "STEM"}

    assert filled == fill(argument, values)


@given(st.text())
def test_a_value_is_never_looked_at_again(value: str) -> None:
    """A file whose name looks like a placeholder is just a file."""
    assert f"<{value}>" == fill("<{name}>", {"name": value, "input": "no"})


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("cat {ouput}", ("ouput", "output")),
        ("cat {inputs}", ("inputs", "input")),
        ("cat {imput}", ("imput", "input")),
        ("cat {Input}", ("Input", "input")),
        ("cat {stems}", ("stems", "stem")),
    ],
)
def test_a_slip_is_recognised(text: str, suggestion: tuple[str, str]) -> None:
    """A name that is nearly a placeholder's is taken for a slip of the fingers."""
    assert suggestion == slip([text], NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "awk '{print}'",
        "awk '{printf} {next} {exit} {getline} {n} {sum} {i++}'",
        "{input} {output} {name} {stem}",
        "${inputs} {{inputs}}",
        "jq '{item}' {}",
    ],
)
def test_what_other_programs_write_in_braces_is_no_slip(text: str) -> None:
    """Awk and its like keep their braces."""
    assert slip([text], NAMES) is None


def test_placeholders_are_listed() -> None:
    """What could be a placeholder is told by its name."""
    assert {"a", "b", "c_1"} == placeholders(["{a} {b}", "{b}{c_1} {{d}} ${e} {1}"])


@pytest.mark.parametrize(
    "line",
    [
        "sh -c 'cat {input}'",
        "find . | xargs /bin/bash -eu -c 'cat {input}'",
        'eval "cat {input}"',
        "python3 -c 'print(open(\"{input}\"))'",
        "perl -pe 's/x/{stem}/' file",
    ],
)
def test_a_file_name_in_program_text_is_noticed(line: str) -> None:
    """Inside the text of another program no quoting of ours could keep a name from being code."""
    assert code_with(shell_words(line), NAMES) is not None


@pytest.mark.parametrize(
    "line",
    [
        "sh script.sh -c {input}",
        "bash -c 'cat \"$1\"' bash {input}",
        "python3 -c 'print({size})'",
        "python3 -m tool -c {input}",
        "tar -c {input}",
        "grep -e {name} list",
        "cat {input} | sh",
    ],
)
def test_a_file_name_as_an_argument_is_fine(line: str) -> None:
    """Arguments are not code, and neither are values that the user chose."""
    assert code_with(shell_words(line), NAMES) is None
