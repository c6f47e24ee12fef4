"""What is committed could have been written anywhere, and fits together."""

from __future__ import annotations

import importlib.metadata
import os
import pwd
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Where people keep their own files on the usual systems.
HOMES = re.compile(rb"(?<![\w.])(/home/\w+/|/Users/\w+/|[A-Z]:\\Users\\)")


def _committed() -> list[Path]:
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    names = listing.stdout.split(b"\0")[:-1]
    return [path for name in names if (path := ROOT / os.fsdecode(name)).is_file()]


def test_no_file_names_the_place_where_it_was_written() -> None:
    """Neither this checkout's path nor anybody's home is in a committed file."""
    own_home = pwd.getpwuid(os.getuid()).pw_dir
    places = [os.fsencode(place) for place in (str(ROOT), f"{own_home}/")]
    guilty = [
        str(path.relative_to(ROOT))
        for path in _committed()
        if HOMES.search(content := path.read_bytes()) or any(place in content for place in places)
    ]

    assert [] == guilty


def test_the_changelog_leads_to_this_version() -> None:
    """The top entry is what comes next or what this version is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entries = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert entries[0] in {"Unreleased", project["version"]}


def test_the_package_knows_its_version() -> None:
    """The installed package is the one that this checkout describes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == importlib.metadata.version("grange")
