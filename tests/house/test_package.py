"""What is installed is whole. These tests also run against the wheel, without src."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import sys
from pathlib import Path

import pytest

import grange

ROOT = Path(__file__).parents[2]

# Programs and Alembic's own scripts: they act when they are imported.
ACTING = ("grange.__main__", "grange.db.migrations")


def _modules() -> list[str]:
    found = pkgutil.walk_packages(grange.__path__, "grange.")
    return [module.name for module in found if not module.name.startswith(ACTING)]


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
