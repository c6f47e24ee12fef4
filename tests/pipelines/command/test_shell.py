"""Shell lines: a placeholder is one word, whatever the file is called and wherever it stands."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grange.pipelines.command.shell import fill_shell
from grange.pipelines.command.template import TemplateError

NAMES = ("input", "output", "name", "stem", "size")

SHELLS = [
    pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell), reason=f"no {shell}"))
    for shell in ("/bin/sh", "bash")
]

# What file systems take for a name: any bytes but two.
nasty_names = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=6),
        st.sampled_from(
            [b" ", b"\n", b"'", b'"', b"\\", b"$(exit 9)", b"`exit 9`", b"${x}", b"*", b"-n", b"#"]
        ),
    ),
    min_size=1,
    max_size=8,
).map(lambda pieces: b"".join(pieces).replace(b"\0", b"0").replace(b"/", b"|"))

# Each prints the name exactly; a substitution loses ends of lines, so a point stands behind.
PRINTS = [
    "printf '%s.\\0' {name}",
    'printf "%s.\\0" "{name}"',
    "printf '%s.\\0' '{name}'",
    "printf '{size}.\\0' {name}",
    "printf '%s\\0' \"$(printf %s. {name})\"",
    'printf \'%s\\0\' "$(printf %s. "{name}")"',
    "printf '%s\\0' \"$(printf %s. '{name}')\"",
    'printf \'%s\\0\' "$(printf %s "$(printf %s. {name})")"',
    "printf '%s\\0' \"`printf %s. {name}`\"",
    "printf '%s\\0' \"`printf %s. '{name}'`\"",
    "x={name}; printf '%s.\\0' \"$x\"",
    "x=`printf %s. {name}`; printf '%s\\0' \"$x\"",
    "printf '%s.\\0' {name} # {name} isn't \"printed\" here",
    "f() { printf '%s.\\0' \"$1\"; }; f {name}",
    "if :; then { (printf '%s.\\0' {name}) } fi",
    "case {name} in {name}) printf '%s.\\0' {name};; *) ;; esac",
    "printf '%s\\0' \"$(case x in (y) ;; x) printf %s. {name};; esac)\"",
    "printf '%s\\0' \"${GRANGE_none:-$(printf %s. {name})}\"",
    "printf '%s.\\0' {name} $((1 + (2 * 3))) | cut -z -f 1-9 | head -z -n 1",
    "cat <<END; printf '\\0'\n{name}.\nEND\n",
    "cat <<-END; printf '\\0'\n\t$(printf %s. {name})\n\tEND\n",
]


def _output(shell: str, line: str, **values: bytes | str) -> bytes:
    variables = {f"GRANGE_{name}": value for name, value in values.items()}
    ended = subprocess.run(
        [shell, "-c", fill_shell(line, NAMES)],
        env={os.fsencode(name): os.fsencode(value) for name, value in variables.items()}
        | {b"PATH": os.fsencode(os.environ["PATH"])},
        capture_output=True,
        check=False,
    )
    assert b"" == ended.stderr
    return ended.stdout


@pytest.mark.parametrize("shell", SHELLS)
@given(name=nasty_names)
@example(name=b"-n")
@example(name=b" \n'\"`\\")
@example(name=bytes(set(range(1, 256)) - {ord("/")}))
def test_any_name_is_one_word_in_any_quoting(shell: str, name: bytes) -> None:
    """Each way to write a placeholder hands the program exactly the file's name."""
    line = "\n".join(PRINTS)

    printed = _output(shell, line, name=name, size="%s").split(b"\0")[:-1]

    assert len(PRINTS) == len(printed)
    for template, word in zip(PRINTS, printed, strict=True):
        assert name + b"." == word.rstrip(b"\n"), template


def _nested(inner: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    joined = st.tuples(inner, inner).map(lambda two: (two[0][0] + two[1][0], two[0][1] + two[1][1]))
    inside = inner.map(lambda one: (f'"$(printf %s. {one[0]})"', f"{one[1]}."))
    grouped = inner.map(lambda one: (f'"$( (: ")" ; {{ printf %s. {one[0]}; }}) )"', f"{one[1]}."))
    around = inner.map(lambda one: (f'"<$(printf %s. {one[0]})>"', f"<{one[1]}.>"))
    return st.one_of(joined, inside, grouped, around)


words = st.recursive(
    st.sampled_from(
        [
            ("{name}", "NAME"),
            ('"{name}"', "NAME"),
            ("'{name}'", "NAME"),
            ("'\"{name}'", '"NAME'),
            ('"\'{name}"', "'NAME"),
            ('"\\"{name}\\\\"', '"NAME\\'),
            ("'\\'{name}", "\\NAME"),
            ("\\'{name}\\\"", "'NAME\""),
            ("{{name}}", "{name}"),
            ("\\{name}", "{name}"),
            ("'${name}'", "${name}"),
            ('"`printf %s. {name}`"', "NAME."),
            ("{print}", "{print}"),
            ("'#'\"#\"a#{name}", "##a#NAME"),
            ("$%", "$%"),
        ]
    ),
    _nested,
    max_leaves=8,
)


@pytest.mark.parametrize("shell", SHELLS)
@given(word=words)
def test_quotes_may_be_nested_as_people_like(shell: str, word: tuple[str, str]) -> None:
    """However quotes and substitutions enclose each other, the word is what it was meant to be."""
    template, expected = word
    name = "  a\n'b\"\\* `$(c) "

    printed = _output(shell, f"printf '%s:' {template}", name=name)

    assert f"{expected}:".replace("NAME", name).encode() == printed


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("echo '{name}", "a ' is not closed"),
        ('echo "{name}', 'a " is not closed'),
        ("echo $(echo {name}", "a ( is not closed"),
        ("echo `echo {name}", "a ` is not closed"),
        ("echo ${x", "a ${ is not closed"),
        ("echo $((1 + 2)", "$(( begins arithmetic"),
        ("echo $((1 +", "a $(( is not closed"),
        ("echo ${x:-{name}}", "{name} can't stand inside ${…}"),
        ('echo "${x%"{name}"}"', "{name} can't stand inside ${…}"),
        ("echo $(({size} + 1))", "{size} can't stand inside"),
        ("echo $'{name}'", "$'…' means different things"),
        ('echo "`echo \\"{name}\\"`"', "write $(…) instead of `…`"),
        ("cat <<'END'\n{name}\nEND\n", "takes no placeholder when END is quoted"),
    ],
)
def test_where_no_quoting_helps_the_line_is_refused(line: str, told: str) -> None:
    """Rather than run a line that would take a name apart, its fault is told."""
    with pytest.raises(TemplateError) as refused:
        fill_shell(line, NAMES)

    assert told in str(refused.value)


@pytest.mark.parametrize(
    "line",
    [
        "awk '{print $1}' x | sed 's/{a}/b/' > y",
        'echo ${HOME} "${HOME:-"{}"}" {a,b} {} "{ name }" $# ${#x} $((1 << 2))',
        "cat <<'END' | tr a b\n'unclosed {print} \"$(\nEND\necho $?",
        "case x in x) echo '(';; esac; f() { echo; }; echo \\' # isn't",
        'echo `date` "`date`" <<<word',
    ],
)
def test_a_line_without_placeholders_stays_as_it_is(line: str) -> None:
    """Everything else in a line is the shell's."""
    assert line == fill_shell(line, NAMES)
