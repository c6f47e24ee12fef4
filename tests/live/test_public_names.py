"""What `import grange` promises."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import grange

SLOW = ("PIL", "alembic", "jinja2", "numpy", "psutil", "pydantic", "rich", "sqlalchemy", "typer")


@pytest.mark.wheel
def test_the_public_names_are_these() -> None:
    """A name that joins or goes is a decision, made here."""
    assert grange.__all__ == [
        "Bytes",
        "GrangeError",
        "Item",
        "ItemRecord",
        "ItemResult",
        "Parameters",
        "Part",
        "PartResult",
        "Pipeline",
        "Run",
        "Work",
        "__version__",
        "find_run",
        "list_runs",
        "run",
    ]
    assert grange.__all__ == sorted(grange.__all__) == dir(grange)


@pytest.mark.parametrize("name", grange.__all__)
def test_a_public_name_is_there(name: str) -> None:
    """Each can be used, and is what its own module calls by that name."""
    value = getattr(grange, name)

    assert getattr(value, "__name__", name) in {name, "Annotated"}


def test_the_version_is_that_of_the_package() -> None:
    """What the program says it is, is what was installed."""
    assert version("grange") == grange.__version__


def test_other_names_are_refused() -> None:
    """A misspelt name is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="no attribute 'ruun'"):
        grange.ruun  # type: ignore[attr-defined]  # noqa: B018


def test_importing_costs_next_to_nothing() -> None:
    """Nothing slow is loaded before a name that needs it is used."""
    answer = subprocess.run(
        [sys.executable, "-c", "import sys, grange; print(*sys.modules, sep='\\n')"],
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = {name.split(".")[0] for name in answer.stdout.split()}
    assert set() == loaded & set(SLOW)
