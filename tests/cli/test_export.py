"""`grange export` and `grange import`: here, and with a server, they write the same."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.cli.invocations import COMMAND, Grange, events
from tests.server import scene

EXIF_TIME = 306
SETTINGS = ("--set", "pose=none", "--set", "classifier=none", "--set", "threshold=0.02")
DEPLOYMENTS = (
    "folder,latitude,longitude,deploymentStart,deploymentEnd\n"
    ".,52.7,23.8,2026-01-01T00:00:00,2026-12-31T00:00:00\n"
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of two pictures that say when they were taken, and one that is none."""
    folder = tmp_path_factory.mktemp("pictures") / "in"
    (folder / "cam1").mkdir(parents=True)
    exif = Image.Exif()
    exif[EXIF_TIME] = "2026:05:01 12:00:00"
    for number in (1, 2):
        picture = Image.new("RGB", (64, 48), (40 * number, 90, 60))
        picture.save(folder / "cam1" / f"{number}.jpg", exif=exif)
    (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


@pytest.fixture(scope="module")
def finished(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home with a run that has ended."""
    folder = tmp_path_factory.mktemp("finished")
    _run(pictures, folder / "out", GRANGE_HOME=str(folder / "home"))
    return folder / "home"


@pytest.fixture
def last(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `last` be the run that has ended."""
    monkeypatch.setenv("GRANGE_HOME", str(finished))


@pytest.fixture(scope="module")
def server(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Give the environment of whoever is logged in to a server that has worked on a run."""
    folder = tmp_path_factory.mktemp("server")
    with scene.serving(folder / "home") as serving, closing(scene.set_up(serving)) as ada:
        made = ada.post("/tokens", json={"name": "t", "scopes": ["read", "run", "admin"]})
        told = {
            "GRANGE_SERVER": serving.url,
            "GRANGE_TOKEN": made.json()["text"],
            "GRANGE_HOME": str(folder / "own"),
            "COOKIES": json.dumps(dict(ada.cookies)),
        }
        _run(pictures, folder / "out", **told)
        yield told


@pytest.mark.usefixtures("last")
def test_a_run_is_written_in_another_format(grange: Grange, tmp_path: Path) -> None:
    """A folder, named after the run and the format; its place is the answer."""
    done = grange("export", "last", "--to", "csv")

    assert (0, str(tmp_path / "first-csv")) == (done.returncode, done.stdout.strip())
    assert {"detections.csv", "tracks.csv", "summary.csv", "megadetector.csv"} == {
        one.name for one in (tmp_path / "first-csv").iterdir()
    }


@pytest.mark.usefixtures("last")
def test_a_format_of_one_file_becomes_a_file(grange: Grange, tmp_path: Path) -> None:
    """Where --out ends as the format's only file does; folders above it are made."""
    done = grange(
        "export", "first", "--to", "md", "--out", "x/y.json", "--threshold", "0.99", "--json"
    )
    (told,) = events(done.stdout)
    found = json.loads((tmp_path / "x" / "y.json").read_text())

    assert {"path": str(tmp_path / "x" / "y.json"), "files": 1, "format": "md"} == {
        key: told[key] for key in ("path", "files", "format")
    }
    assert ["bad.jpg", "cam1/1.jpg", "cam1/2.jpg"] == [one["file"] for one in found["images"]]
    assert [None, [], []] == [one["detections"] for one in found["images"]]


@pytest.mark.usefixtures("last")
def test_nothing_is_written_over(grange: Grange, tmp_path: Path) -> None:
    """What is there stays, and nothing else is left behind."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").write_text("a")
    done = grange("export", "last", "--to", "csv", "--out", "mine")

    assert (2, True) == (done.returncode, "is there already" in done.stderr)
    assert ["mine"] == [one.name for one in tmp_path.iterdir()]
    assert ["a"] == [one.name for one in (tmp_path / "mine").iterdir()]


@pytest.mark.usefixtures("last")
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--to", "excel"], "There are: md, "),
        (["--to", "md", "--level", "event"], "takes no level"),
        (["--to", "md", "--threshold", "2"], "threshold '2.0' is no number from 0 to 1"),
        (["--to", "dlc-csv"], "No video of this run has poses"),
        (["--to", "coco-keypoints"], "have no poses"),
        (["--to", "camtrap-dp", "--deployments", "none.csv"], "can't be read"),
    ],
)
def test_what_makes_no_sense_is_refused(
    grange: Grange, tmp_path: Path, words: list[str], why: str
) -> None:
    """One word, and nothing is left behind."""
    done = grange("export", "last", *words)

    assert (2, True) == (done.returncode, why in done.stderr), done.stderr
    assert [] == list(tmp_path.iterdir())


@pytest.mark.usefixtures("last")
def test_a_first_package_ends_in_a_table_to_fill_in(grange: Grange, tmp_path: Path) -> None:
    """Filled in, it is all that was missing."""
    refused = grange("export", "last", "--to", "camtrap-dp", "--out", "package")
    table = tmp_path / "package-deployments.csv"

    assert (2, True) == (refused.returncode, str(table) in refused.stderr)
    assert [table] == list(tmp_path.iterdir())
    assert "cam1" == table.read_text().splitlines()[1].split(",")[0]

    table.write_text(DEPLOYMENTS)
    words = ("--to", "camtrap-dp", "--out", "package", "--deployments", table.name)
    done = grange("export", "last", *words)

    assert 0 == done.returncode, done.stderr
    assert "1 failed item says no time" in done.stderr
    assert {"datapackage.json", "deployments.csv", "media.csv", "observations.csv"} == {
        one.name for one in (tmp_path / "package").iterdir()
    }


@pytest.mark.usefixtures("last")
def test_a_run_of_another_pipeline_has_its_own_formats(grange: Grange, tmp_path: Path) -> None:
    """A pipeline says which formats there are; `command` has none."""
    (tmp_path / "a").write_text("a")
    assert 0 == grange("map", "cp {input} {output}/b", "a", "--out", "out").returncode

    done = grange("export", "last", "--to", "md")

    assert (2, True) == (done.returncode, "can't be written as 'md'" in done.stderr)


def test_a_server_writes_the_same(
    grange: Grange,
    tmp_path: Path,
    finished: Path,
    server: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server's archive is unpacked, and holds what this machine would have written."""
    monkeypatch.setenv("GRANGE_HOME", str(finished))
    assert 0 == grange("export", "first", "--to", "csv", "--out", "here").returncode
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    done = grange("export", "first", "--to", "csv", "--out", "there")

    assert 0 == done.returncode, done.stderr
    assert _files(tmp_path / "here") == _files(tmp_path / "there")


def test_what_needs_files_of_this_machine_works_with_a_server(
    grange: Grange, tmp_path: Path, server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table of deployments is here, the results are there."""
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    refused = grange("export", "first", "--to", "camtrap-dp", "--out", "package")
    (tmp_path / "d.csv").write_text(DEPLOYMENTS)
    words = ("--to", "camtrap-dp", "--out", "package", "--deployments", "d.csv")
    done = grange("export", "first", *words)

    assert (2, True) == (refused.returncode, "package-deployments.csv" in refused.stderr)
    assert 0 == done.returncode, done.stderr
    assert 4 == len(_files(tmp_path / "package"))


def test_the_page_of_outputs_offers_the_formats(server: dict[str, str]) -> None:
    """Each is a link to an archive; what asks for more than a click is not among them."""
    cookies = json.loads(server["COOKIES"])
    with httpx.Client(base_url=server["GRANGE_SERVER"], cookies=cookies) as browser:
        page = browser.get("/runs/first/outputs").text
        links = re.findall(r'href="(/api/v1/runs/[^"]+/exports/[^"]+)"', page)
        answer = browser.get(links[0])

    assert ["md", "timelapse", "csv", "coco-ct", "coco-keypoints", "dlc-csv", "dlc-h5"] == [
        one.rpartition("/")[2] for one in links
    ]
    assert "first-md.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert ["detections.json"] == archive.namelist()


def test_the_server_runs_nobodys_own_code_for_an_export(server: dict[str, str]) -> None:
    """Code of one's own belongs into workers, which hold no passwords."""
    environment = {**os.environ, **server}
    words = ["map", "cp {input} {output}/b", __file__, "--out"]
    with tempfile.TemporaryDirectory() as name:
        out = str(Path(name) / "out")
        run = [*COMMAND, *words, out, "--json"]
        done = subprocess.run(run, env=environment, check=True, capture_output=True, text=True)
        identity = events(done.stdout)[0]["run"]
    with httpx.Client(base_url=server["GRANGE_SERVER"]) as client:
        headers = {"Authorization": f"Bearer {server['GRANGE_TOKEN']}"}
        answer = client.get(f"/api/v1/runs/{identity}/exports/md", headers=headers)

    assert "export.refused" == answer.json()["code"]


def test_a_server_leaves_nothing_behind(server: dict[str, str], tmp_path: Path) -> None:
    """What an export is made of goes with it, whether it was read or refused."""
    environment = {**os.environ, **server}
    for dialect, code in (("md", 0), ("excel", 2)):
        words = ["export", "first", "--to", dialect, "--out", str(tmp_path / dialect)]
        done = subprocess.run([*COMMAND, *words], env=environment, check=False, capture_output=True)
        assert code == done.returncode
    home = Path(server["GRANGE_HOME"]).with_name("home")

    assert [] == list(home.glob(".export-*"))


def test_results_of_another_program_are_imported(grange: Grange, tmp_path: Path) -> None:
    """The dialect is found out, and what was written is named."""
    found = [{"category": "animal", "confidence": 0.9, "bbox": [10, 10, 30, 30]}]
    data = [{"file": "a.jpg", "detections": found}]
    (tmp_path / "wild.json").write_text(json.dumps(data))
    refused = grange("import", "wild.json", "--out", "found.json")
    done = grange("import", "wild.json", "--out", "found.json", "--size", "100x50", "--json")
    again = grange("import", "wild.json", "--out", "found.json", "--size", "200x50")
    (told,) = events(done.stdout)
    (image,) = json.loads((tmp_path / "found.json").read_text())["images"]

    assert (2, True) == (again.returncode, "is there already" in again.stderr)
    assert (2, True) == (refused.returncode, "--images FOLDER" in refused.stderr)
    assert ("microsoft", 1, []) == (told["format"], told["items"], told["faults"])
    assert [0.1, 0.2, 0.2, 0.4] == image["detections"][0]["bbox"]


@pytest.mark.parametrize(
    "words",
    [
        ["none.json", "--out", "a.json"],
        ["wild.json", "--out", "wild.json"],
        ["wild.json", "--out", "a.json", "--size", "big"],
        ["wild.json", "--out", "a.json", "--images", "none"],
        ["wild.json", "--out", "a.json", "--from", "excel"],
    ],
)
def test_an_import_that_makes_no_sense_is_refused(
    grange: Grange, tmp_path: Path, words: list[str]
) -> None:
    """One word, and nothing has changed."""
    (tmp_path / "wild.json").write_text("[]")
    done = grange("import", *words)

    assert 2 == done.returncode, done.stderr
    assert {"wild.json": b"[]"} == _files(tmp_path)


def _run(pictures: Path, out: Path, **environment: str) -> None:
    words = ["run", "wildlife", str(pictures), "--out", str(out), "--name", "first", "--quiet"]
    done = subprocess.run(
        [*COMMAND, *words, *SETTINGS, "--workers", "1"]
        if "GRANGE_SERVER" not in environment
        else [*COMMAND, *words, *SETTINGS],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 3 == done.returncode, done.stderr


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()
    }
