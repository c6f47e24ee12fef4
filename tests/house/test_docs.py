"""The documentation tells what the code does."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import grange
from docs import generate
from grange import settings
from grange.cli.exits import EXITS
from grange.server.app import describe
from grange.server.documents import API
from tests.server import scene
from training.clips import write_clip
from training.scenes import Scene

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

# A run whose items failed on purpose ends like this.
SOME_FAILED = 3


def _blocks(page: Path, kind: str = "") -> list[str]:
    fences = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [block for language, block in fences.findall(page.read_text()) if language == kind]


def _examples() -> list[tuple[str, str]]:
    """Give every line of a shell example that calls grange, with the page that shows it."""
    return [
        (page.name, line)
        for page in PAGES
        for block in _blocks(page, "sh")
        # A line that goes on behind a backslash is one.
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("grange ")
    ]


def _execute(block: str, folder: Path, *, typed: str = "") -> subprocess.CompletedProcess[str]:
    programs = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-e", "-c", block],
        cwd=folder,
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )


def _steps(page: Path) -> list[str]:
    """Give the shell examples of a page, without those that install."""
    return [block for block in _blocks(page, "sh") if "pip install" not in block]


@pytest.mark.parametrize(
    "name", ["cli.md", "settings.md", "api.md", "http.md", "errors.md", "metrics.md"]
)
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    """Whoever changes the code runs `make docs` and commits what it changes."""
    assert generate.pages()[name] == (generate.REFERENCE / name).read_text()


def test_every_command_is_explained() -> None:
    """Each command, argument and option says what it is for."""
    silent = [
        f"{name} {parameter.name if parameter else ''}"
        for name, command in generate.commands()
        for parameter in (None, *command.params)
        if not (command.help if parameter is None else parameter.help or parameter.hidden)
    ]

    assert [] == silent


def test_every_setting_is_on_its_page() -> None:
    """The page of settings leaves none out, and each says what it is."""
    page = generate.pages()["settings.md"]

    assert [] == [one.name for one in settings.SETTINGS if f"| `{one.name}` |" not in page]
    assert all(one.help.endswith(".") for one in settings.SETTINGS)


def test_every_error_is_on_its_page() -> None:
    """The page of errors has each code, with its exit code and its HTTP status."""
    page = generate.pages()["errors.md"]

    for _, error in generate.error_tree():
        row = next(line for line in page.splitlines() if f"`{error.__name__}`" in line)

        assert f"| `{error.code}` |" in row
        assert re.search(r"\| \d+ \| \d{3} \|$", row)


def test_every_operation_is_on_its_page() -> None:
    """The page of the API has each operation, and says which are there for everyone."""
    rows = [line for line in generate.pages()["http.md"].splitlines() if line.startswith("| `")]
    told = {row.split("`")[1]: row.split(" | ")[2] for row in rows}
    document = describe()
    known = {f"{method} {path[len(API) :]}" for method, path, _ in generate.operations(document)}

    assert set() == known - told.keys()
    assert {
        "GET /health",
        "GET /setup",
        "POST /setup",
        "POST /welcome",
        "POST /session",
        "POST /workers/join",
    } == {name for name in known if told[name] == "none"}


def test_every_public_name_is_on_its_page() -> None:
    """The page of the Python interface has all of `grange.__all__`."""
    page = generate.pages()["api.md"]

    assert [] == [name for name in grange.__all__ if f"## `grange.{name}`\n" not in page]


@pytest.mark.parametrize(("page", "line"), _examples())
def test_an_example_uses_what_there_is(page: str, line: str) -> None:
    """Every command line in the documentation names real commands and real options."""
    known: dict[str, Any] = dict(generate.commands())
    words = shlex.split(line.split(" | ", maxsplit=1)[0])
    name = words.pop(0)
    while words and f"{name} {words[0]}" in known:
        name = f"{name} {words.pop(0)}"
    options = {option for one in known[name].params for option in one.opts} | {"--help"}

    assert not getattr(known[name], "commands", None), f"{page}: {line} names no command"
    assert [] == [word for word in words if word.startswith("--") and word not in options]


def _film(videos: Path) -> None:
    """Make what a newcomer has: a folder with a camera's clip in it."""
    (videos / "creek").mkdir(parents=True)
    deer = Scene(20101, kinds=("deer",), count=2, light="day", country="meadow")
    write_clip(videos / "creek" / "deer.mp4", deer, 1, 10)


def test_the_examples_of_the_readme_work(tmp_path: Path) -> None:
    """A newcomer who types the README's examples gets the files that it shows."""
    readme = ROOT / "README.md"
    _film(tmp_path / "videos")
    shown = [line.split()[0] for line in _blocks(readme)[0].splitlines()]
    wildlife, notes = (
        next(step for step in _steps(readme) if command in step)
        for command in ("grange run wildlife", "grange map")
    )

    found, packed = _execute(wildlife, tmp_path), _execute(notes, tmp_path)

    assert 0 == found.returncode, found.stderr
    assert 0 == packed.returncode, packed.stderr
    assert "3 of 3 items done" in packed.stderr
    assert len(shown) > 1
    assert [] == [name for name in shown if not (tmp_path / name).is_file()]


def test_the_quickstart_works_from_top_to_bottom(tmp_path: Path) -> None:
    """Each step of the quickstart ends as the page says, after the demonstration."""
    _film(tmp_path / "videos")
    for step in _steps(ROOT / "docs" / "quickstart.md"):
        if "make demo" in step:
            continue
        done = _execute(step, tmp_path)

        expected = SOME_FAILED if "grep" in step else 0
        assert expected == done.returncode, f"{step}\n{done.stdout}\n{done.stderr}"


def test_the_guide_to_a_server_works(
    tmp_path: Path,
) -> None:
    """Whoever types the guide's commands logs in, gets results, and invites somebody."""
    steps = _steps(ROOT / "docs" / "guides" / "server.md")
    said = []
    with scene.serving(tmp_path / "site") as server:
        scene.set_up(server).close()
        for step in steps:
            if "grange serve" not in step:
                here = step.replace("http://127.0.0.1:4050", server.url)
                done = _execute(here, tmp_path, typed=scene.PASSWORD)
                assert 0 == done.returncode, f"{step}\n{done.stdout}\n{done.stderr}"
                said.append(done.stdout)

    assert 3 == len(said)
    assert "ada@example.org" in said[0]
    assert (tmp_path / "packed" / "3.txt" / "3.txt.gz").is_file()
    assert "/welcome?key=" in said[-1]


def test_the_pipeline_of_the_guide_works(tmp_path: Path) -> None:
    """The guide's pipeline is a whole file that runs as shown."""
    guide = ROOT / "docs" / "guides" / "pipelines.md"
    (tmp_path / "words.py").write_text(_blocks(guide, "python")[0])
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "one.txt").write_text("to be or not to be")

    done = _execute(_steps(guide)[0], tmp_path)

    assert 0 == done.returncode, done.stderr
    assert "not" == (tmp_path / "counted" / "one.txt" / "words.txt").read_text()


def test_the_readme_has_the_exit_codes() -> None:
    """The table of the README is that of the program."""
    rows = re.findall(r"^\| (\d+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert [str(code) for code in EXITS] == rows


def test_every_link_between_files_leads_somewhere() -> None:
    """What the files at the top link to is there (mkdocs looks after the rest)."""
    links = [
        (page.name, target)
        for page in sorted(ROOT.glob("*.md"))
        for target in re.findall(r"\]\(([^):#]+)\)", page.read_text())
    ]

    assert len(links) > 10
    assert [] == [(page, target) for page, target in links if not (ROOT / target).exists()]
