"""What is installed is whole. These tests also run against the wheel, without src."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import grange

ROOT = Path(__file__).parents[2]

# Programs and Alembic's own scripts: they act when they are imported.
ACTING = ("grange.__main__", "grange.db.migrations")

# What the command line must not load before it is needed, and who asks for it least.
SLOW = {"PIL", "alembic", "jinja2", "psutil", "pydantic", "sqlalchemy"}


def _modules() -> list[str]:
    found = pkgutil.walk_packages(grange.__path__, "grange.")
    return [module.name for module in found if not module.name.startswith(ACTING)]


def _loaded_by(*arguments: str) -> set[str]:
    """Give the packages that the command line has loaded by its end."""
    code = (
        "import sys; from grange.cli.main import main; sys.argv[0] = 'grange'\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('\\n' + ' '.join({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.wheel
def test_the_package_under_test_is_the_installed_one() -> None:
    """Without src, nothing but the wheel can be what is tested."""
    source = ROOT / "src"
    expected = source if source.exists() else Path(sys.prefix)

    assert Path(grange.__file__).is_relative_to(expected)


@pytest.mark.wheel
@pytest.mark.parametrize("module", _modules())
def test_a_module_can_be_imported(module: str) -> None:
    """Every module finds what it imports among the declared dependencies."""
    assert module == importlib.import_module(module).__name__


@pytest.mark.wheel
def test_the_package_is_typed() -> None:
    """Who builds on Grange has its types checked."""
    assert (Path(grange.__file__).parent / "py.typed").exists()


@pytest.mark.wheel
def test_every_offered_pipeline_is_there() -> None:
    """The entry points lead to classes."""
    offered = importlib.metadata.entry_points(group="grange.pipelines")

    assert "command" in offered.names
    assert all(isinstance(one.load(), type) for one in offered)


@pytest.mark.wheel
def test_help_comes_without_the_slow_packages() -> None:
    """Asking for help loads neither the database nor anything else that is slow."""
    assert set() == SLOW & _loaded_by("--help")


@pytest.mark.wheel
def test_a_list_of_runs_loads_only_the_database() -> None:
    """`runs list` on an up-to-date database reads it, and loads nothing else that is slow."""
    _loaded_by("runs", "list")

    assert set() == (SLOW - {"sqlalchemy", "psutil"}) & _loaded_by("runs", "list")
