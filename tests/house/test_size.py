"""Code stays in pieces that a person can read in one sitting."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "grange"

MODULE_LINES = 500
MEDIAN_MODULE_LINES = 150
FUNCTION_LINES = 60
SHORT_FUNCTION_LINES = 20
SHORT_SHARE = 0.8

# A function that may be longer than the limit, and why.
LONG_FUNCTIONS: dict[str, str] = {}

# Names that say nothing about what is inside.
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "misc", "common"}


def _modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def _functions() -> Iterator[tuple[str, int]]:
    """Yield each function's name, as `module:function`, and its lines with all that is in it."""
    for module in _modules():
        name = ".".join(module.relative_to(SOURCE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.name}", (node.end_lineno or 0) - node.lineno + 1


@pytest.mark.parametrize("module", _modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_is_read_in_one_sitting(module: Path) -> None:
    """No module is longer than 500 lines."""
    assert len(module.read_text().splitlines()) <= MODULE_LINES


def test_most_modules_are_short() -> None:
    """Half of the modules that hold anything are shorter than 150 lines."""
    lines = [len(module.read_text().splitlines()) for module in _modules()]

    assert statistics.median([count for count in lines if count > 1]) < MEDIAN_MODULE_LINES


def test_a_function_fits_on_a_screen() -> None:
    """No function is longer than 60 lines, unless a reason is written down."""
    long = {name for name, lines in _functions() if lines > FUNCTION_LINES}

    assert set(LONG_FUNCTIONS) == long


def test_most_functions_are_short() -> None:
    """Four functions in five have at most 20 lines."""
    lines = [count for _, count in _functions()]
    short = sum(count <= SHORT_FUNCTION_LINES for count in lines)

    assert short / len(lines) >= SHORT_SHARE


def test_every_name_says_what_is_inside() -> None:
    """No module or folder has a name that would fit anything."""
    names = {part for module in _modules() for part in module.relative_to(SOURCE).parts}

    assert set() == {name for name in names if Path(name).stem in EMPTY_NAMES}
