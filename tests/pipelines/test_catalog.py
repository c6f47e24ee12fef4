"""Finding pipelines: by name, in files, and what is said of those that can't be used."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from grange.errors import PipelineInvalid, PipelineNotFound
from grange.pipelines import catalog
from grange.pipelines.catalog import absolute, check_params, find, function_key, names

GOOD = """
from __future__ import annotations
from typing import Annotated
from grange.pipelines import INCIDENTAL, Parameters, Pipeline

class Settings(Parameters):
    size: int = 3
    threads: Annotated[int, INCIDENTAL] = 1

class Good(Pipeline[Settings]):
    name = "good"
    version = "2"
    summary = "Does good."
    Parameters = Settings

    def process(self, part, params, model, work):
        return None
"""


def _file(folder: Path, text: str, name: str = "mine.py") -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return str(folder / name)


def _invalid(reference: str) -> PipelineInvalid:
    with pytest.raises(PipelineInvalid) as refused:
        find(reference)
    return refused.value


def test_the_command_pipeline_is_found_by_name() -> None:
    """It is built in, and needs no file and no installed metadata."""
    assert "command" == find("command").name
    assert find("command") is find("command")
    listed = {info.name: info for info in names()}
    assert "" == listed["command"].error
    assert "built in" == listed["command"].source
    assert listed["command"].summary


def test_a_file_s_version_tells_its_content(tmp_path: Path) -> None:
    """An edited file is another version, and is loaded again; an unchanged one is not."""
    reference = _file(tmp_path, GOOD)
    before = find(reference)
    assert find(reference) is before

    _file(tmp_path, GOOD + "# changed\n")
    after = find(reference)

    assert before.version.startswith("2+")
    assert len("2+") + 12 == len(before.version)
    assert before.version != after.version


def test_a_file_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absolute reference means the same file after the folder has changed; names stay names."""
    _file(tmp_path, GOOD)
    reference = absolute("mine.py:Good", cwd=tmp_path)
    monkeypatch.chdir("/")

    assert f"{tmp_path.resolve()}/mine.py:Good" == reference
    assert "good" == find(reference).name
    assert "command" == absolute("command", cwd=tmp_path)


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    """Its folder is importable while it is loaded, and not afterwards."""
    _file(tmp_path, "FACTOR = 3\n", "a_neighbour_of_mine.py")
    path = list(sys.path)

    find(_file(tmp_path, GOOD + "\nimport a_neighbour_of_mine\n"))

    assert path == sys.path


def test_loading_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    """No __pycache__ appears in a folder that is the user's own."""
    find(_file(tmp_path / "mine", GOOD))

    assert ["mine.py"] == [one.name for one in (tmp_path / "mine").iterdir()]


def test_one_of_several_pipelines_is_named(tmp_path: Path) -> None:
    """A file with two pipelines needs the class's name; one that is only a base does not count."""
    two = GOOD + "\nclass Better(Good):\n    name = 'better'\n"
    reference = _file(tmp_path, two)

    refused = _invalid(reference)

    assert "Good, Better" in refused.message
    assert "mine.py:Good" in refused.hint
    assert "better" == find(f"{reference}:Better").name
    assert "good" == find(f"{reference}:Good").name
    assert "defines no pipeline Bester" in _invalid(f"{reference}:Bester").message


def test_an_unfinished_base_does_not_count(tmp_path: Path) -> None:
    """A class without `process` is there to be extended."""
    base = GOOD.replace("def process", "def prepare").replace("Good", "Base")
    derived = "\nclass Real(Base):\n    def process(self, part, params, model, work): ...\n"

    assert "Real" == type(find(_file(tmp_path, base + derived))).__name__


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import sys\nx = (1,\n", "mine.py:2: SyntaxError: '(' was never closed"),
        ("import nonesuch\n", "mine.py:1: ModuleNotFoundError: No module named 'nonesuch'"),
        ("def f():\n    return 1 / 0\nf()\n", "mine.py:2: ZeroDivisionError"),
        ("\nraise SystemExit(3)\n", "mine.py:2: SystemExit: 3"),
        ("x = 1\n", "defines no pipeline"),
        (GOOD.replace('name = "good"', ""), "it has no name"),
        (GOOD.replace('"good"', '"Good One"'), "its name 'Good One' is not made of"),
        (GOOD.replace('version = "2"', ""), "it has no version"),
        (GOOD.replace('version = "2"', "version = 2"), "its version 2 is no text"),
        (GOOD.replace('summary = "Does good."', ""), "it has no summary"),
        (GOOD.replace("Parameters = Settings", "Parameters = dict"), "do not extend"),
        (GOOD + "    accepts = '*.txt'\n", "its accepts is no tuple"),
        (GOOD + "    def split(self, item, params, work): ...\n", "but has no merge method"),
        (GOOD + "    def merge(self, item, parts, params, work): ...\n", "but no split method"),
        (GOOD + "    def __init__(self, device): ...\n", "can't be made: TypeError"),
    ],
)
def test_a_broken_file_is_refused_with_what_is_wrong_and_where(
    tmp_path: Path, text: str, told: str
) -> None:
    """Whatever is wrong with a file, its user is told the fault, and its line if it has one."""
    assert told in _invalid(_file(tmp_path, text)).message


def test_a_missing_package_comes_with_its_install_line(tmp_path: Path) -> None:
    """The hint names the very Python that would have to import it."""
    refused = _invalid(_file(tmp_path, "import nonesuch.inner\n"))

    assert f"{sys.executable} -m pip install nonesuch" in refused.hint


def test_a_file_that_failed_can_be_mended(tmp_path: Path) -> None:
    """A failure is not remembered: the next look takes the file as it is then."""
    reference = _file(tmp_path, "import nonesuch\n")
    _invalid(reference)

    assert "good" == find(_file(tmp_path, GOOD)).name


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("comand", "Did you mean command?"),
        ("zzz", "Installed: command"),
        ("mine", "Did you mean ./mine.py?"),
        ("mien.py", "Did you mean mine.py?"),
        ("nowhere/at/all.py", ""),
        ("", "Installed: command"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, hint: str
) -> None:
    """A slip of the fingers gets a suggestion, anything else a list."""
    _file(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(PipelineNotFound) as refused:
        find(reference)

    assert hint in refused.value.hint


def test_a_file_that_can_t_be_read_is_refused(tmp_path: Path) -> None:
    """A folder with a pipeline's name is none."""
    (tmp_path / "folder.py").mkdir()

    with pytest.raises(PipelineNotFound, match="can't be read: Is a directory"):
        find(str(tmp_path / "folder.py"))


def _install(folder: Path, entry: str, code: str) -> None:
    metadata = folder / "barn-1.5.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: barn\nVersion: 1.5\n")
    (metadata / "entry_points.txt").write_text(f"[grange.pipelines]\n{entry}\n")
    (folder / "barn_pipelines.py").write_text(code)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where packages can be installed for this test alone."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "barn_pipelines", raising=False)
    catalog._find_installed.cache_clear()
    return tmp_path


def test_an_installed_package_offers_its_pipelines(packages: Path) -> None:
    """An entry point is enough to be found and listed, with the package that it comes from."""
    _install(packages, "good = barn_pipelines:Good", GOOD)

    listed = {info.name: info for info in names()}

    assert "2" == find("good").version
    assert "barn 1.5" == listed["good"].source
    assert "Does good." == listed["good"].summary


def test_a_broken_package_is_listed_with_its_fault(packages: Path) -> None:
    """One bad pipeline is no reason not to list the others."""
    _install(packages, "good = barn_pipelines:Good", "import nonesuch\n")

    listed = {info.name: info for info in names()}

    assert "No module named 'nonesuch'" in listed["good"].error
    assert "barn 1.5" in listed["good"].error
    assert "" == listed["command"].error


def test_a_package_must_use_the_pipeline_s_own_name(packages: Path) -> None:
    """What is listed under a name is recorded under that name."""
    _install(packages, "best = barn_pipelines:Good", GOOD)

    assert "installs 'best', but it calls itself 'good'" in _invalid("best").message


def test_a_package_can_t_take_the_name_of_a_built_in_one(packages: Path) -> None:
    """`command` is always the one that comes with Grange."""
    _install(packages, "command = barn_pipelines:Good", GOOD)

    assert "command" == find("command").name


def test_the_address_of_work_tells_what_decides_its_result(tmp_path: Path) -> None:
    """Other parameters are other work; an incidental one, or the order, is not."""
    good = find(_file(tmp_path, GOOD))

    def key(**values: object) -> str:
        return function_key(good, check_params(good, values))

    assert key() == key(size=3) == key(threads=8, size="3")
    assert key() != key(size=4)
    assert 64 == len(key())


def test_the_address_of_work_tells_its_code_and_its_models(tmp_path: Path) -> None:
    """Edited code and another model are other work."""
    models = "    def models(self, params): return {'net': '%s'}\n"
    keys = set()
    for text in (GOOD, GOOD + "#\n", GOOD + models % "aa", GOOD + models % "bb"):
        pipeline = find(_file(tmp_path, text))
        keys.add(function_key(pipeline, check_params(pipeline, {})))

    assert 4 == len(keys)


def test_models_that_can_t_be_named_are_refused(tmp_path: Path) -> None:
    """A broken models() is the pipeline's fault, and says so."""
    good = find(_file(tmp_path, GOOD + "    def models(self, params): return {}['net']\n"))

    with pytest.raises(PipelineInvalid, match="can't say what decides its results: KeyError"):
        function_key(good, check_params(good, {}))
