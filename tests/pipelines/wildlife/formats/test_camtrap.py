"""Camtrap DP: frictionless finds the packages valid, and people learn what is missing."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import frictionless
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grange.errors import ExportRefused
from grange.pipelines.wildlife.formats import camtrap, camtrapinputs
from grange.pipelines.wildlife.formats.camtrapobservations import file_path
from grange.pipelines.wildlife.results import Detection, Kind, Media, Results, Source
from tests.pipelines.wildlife.formats import made

SCHEMAS = Path(__file__).parent / "camtrap-dp-1.0.2"
NOON = datetime(2026, 5, 1, 12, 0, 0)  # noqa: DTZ001  # as cameras say it
DEPLOYMENTS = """\
folder,timezone,latitude,longitude,deploymentStart,deploymentEnd,baitUse,featureType
.,+02:00,52.7044,23.8499,1990-01-01T00:00:00,2041-01-01T00:00:00,false,trailGame
cam1,Europe/Warsaw,-12.5,130.25,1990-01-01T00:00:00,2041-01-01T00:00:00,,
"""
TWICE = """\
folder,deploymentStart,deploymentEnd,latitude,longitude
a,2026-01-01,2026-01-02,1,1
a/,2026-01-01,2026-01-02,1,1
"""
BOX = (0.1, 0.2, 0.3, 0.4)


# Frictionless needs half a second for each package.
@settings(max_examples=6, deadline=None)
@given(made.results(least=2), st.sampled_from(camtrap.LEVELS))
def test_frictionless_finds_every_package_valid(results: Results, level: str) -> None:
    """Both levels of observations keep all rules of the published schemas."""
    media = [one if one.taken or one.failure else replace(one, taken=NOON) for one in results.media]
    with made.folder() as folder:
        camtrap.write_camtrap(folder, results, media, _wanted(folder, level=level))

        _check(folder)


@made.few
@given(made.results())
def test_each_detection_is_an_observation(results: Results) -> None:
    """Boxes, confidences, labels, frames and tracks are there, and what is empty is blank."""
    media = [one if one.taken else replace(one, taken=NOON) for one in results.media]
    with made.folder() as folder:
        camtrap.write_camtrap(folder, results, media, _wanted(folder))
        found = _rows(folder, "observations")
    seen = Counter(
        (row["mediaID"], *(float(row[key]) for key in ("bboxX", "bboxY")), _tags(row))
        for row in found
        if row["bboxX"]
    )
    expected = Counter(
        (file_path(one.file), *each.box[:2], _said(each, results))
        for one in media
        for each in one.detections
    )

    assert expected == seen
    assert sum(not one.detections and not one.failure for one in media) == sum(
        row["observationType"] == "blank" for row in found
    )
    assert sum(bool(one.failure) for one in media) == sum(
        row["observationType"] == "unclassified" for row in found
    )


def test_a_frame_has_its_own_time(tmp_path: Path) -> None:
    """The time of the file, in the zone of the camera, and the time of the frame in it."""
    video = Media(
        file="cam1/a.mp4",
        kind=Kind.VIDEO,
        taken=NOON,
        frame_rate=made.RATES[0],
        frames=250,
        processed=(0, 50),
        detections=(Detection("2", 0.8, BOX, 50, 1),),
    )
    camtrap.write_camtrap(tmp_path, Results(media=()), [video], _wanted(tmp_path))
    (row,) = _rows(tmp_path, "observations")

    assert ("2026-05-01T12:00:02+02:00", "human") == (row["eventStart"], row["observationType"])
    assert "frame:50 | second:2.0 | track:1 | detection:0.8" == row["observationTags"]
    assert "2026-05-01T12:00:00+02:00" == _rows(tmp_path, "media")[0]["timestamp"]


def test_files_that_follow_each_other_are_one_event(tmp_path: Path) -> None:
    """An event is over when nothing comes for as long as was said; it counts who was there."""
    deer = Detection("1", 0.8, BOX, guesses=(("0", 0.9),))
    times = (0, 60, 119, 300)
    media = [
        Media(f"cam1/{n}.jpg", taken=NOON + timedelta(seconds=n), detections=(deer,) * (1 + n % 2))
        for n in times
    ]
    head = Results(media=(), species={"0": "Cervus elaphus"})
    wanted = _wanted(tmp_path, level="event", gap=timedelta(seconds=120))
    camtrap.write_camtrap(tmp_path, head, media, wanted)
    rows = _rows(tmp_path, "observations")

    assert [
        ("2026-05-01T12:00:00+02:00", "2026-05-01T12:01:59+02:00", "2", "Cervus elaphus"),
        ("2026-05-01T12:05:00+02:00", "2026-05-01T12:05:00+02:00", "1", "Cervus elaphus"),
    ] == [
        tuple(row[key] for key in ("eventStart", "eventEnd", "count", "scientificName"))
        for row in rows
    ]
    _check(tmp_path)


def test_without_deployments_a_table_to_fill_in_is_written(tmp_path: Path) -> None:
    """Whoever exports for the first time learns what to do, and fills in what is missing alone."""
    media = [
        Media("cam1/a.jpg", taken=NOON),
        Media("cam1/b.jpg", taken=NOON + timedelta(days=3)),
        Media("c.jpg"),
    ]
    wanted = camtrap.Wanted(template=str(tmp_path / "out"))
    with pytest.raises(ExportRefused) as refused:
        camtrap.write_camtrap(tmp_path, Results(media=()), media, wanted)
    template = tmp_path / "out-deployments.csv"
    rows = list(csv.DictReader(template.read_text().splitlines()))

    assert str(template) in refused.value.hint
    assert ["cam1", "."] == [row["folder"] for row in rows]
    assert ("2026-05-01T12:00:00", "2026-05-04T12:00:00") == (
        rows[0]["deploymentStart"],
        rows[0]["deploymentEnd"],
    )
    # A table that somebody is filling in is never written over.
    with pytest.raises(ExportRefused, match="coordinates"):
        camtrap.write_camtrap(tmp_path, Results(media=()), media, wanted)
    assert (tmp_path / "out-deployments-2.csv").is_file()


def test_items_without_a_time_are_named(tmp_path: Path) -> None:
    """Times that files do not say can be said in a table, which is written to be filled in."""
    media = [Media("cam1/a.jpg"), Media("cam1/b.jpg", failure="cut off")]
    wanted = replace(_wanted(tmp_path), template=str(tmp_path / "out"))
    with pytest.raises(ExportRefused, match="when each picture"):
        camtrap.write_camtrap(tmp_path, Results(media=()), media, wanted)
    times = tmp_path / "out-times.csv"
    assert "file,timestamp\ncam1/a.jpg,\n" == times.read_text()
    times.write_text("file,timestamp\ncam1/a.jpg,2026-05-01T10:00:00Z\n")

    notes = camtrap.write_camtrap(tmp_path, Results(media=()), media, replace(wanted, times=times))

    assert "2026-05-01T10:00:00Z" == _rows(tmp_path, "media")[0]["timestamp"]
    assert "1 failed item says no time" in notes[0]
    _check(tmp_path)


def test_labels_become_scientific_names_where_somebody_says_them(tmp_path: Path) -> None:
    """A label is no scientific name; whoever knows it writes a table of them."""
    guesses = (("0", 0.9),)
    media = [Media("a.jpg", taken=NOON, detections=(Detection("1", 0.9, BOX, guesses=guesses),))]
    head = Results(media=(), species={"0": "deer"})
    notes = camtrap.write_camtrap(tmp_path, head, media, _wanted(tmp_path))
    assert "" == _rows(tmp_path, "observations")[0]["scientificName"]
    assert any("deer" in note for note in notes)

    taxa = tmp_path / "taxa.csv"
    taxa.write_text("label,scientificName,taxonRank\ndeer,Cervus elaphus,species\n")
    notes = camtrap.write_camtrap(tmp_path, head, media, replace(_wanted(tmp_path), taxa=taxa))

    assert "Cervus elaphus" == _rows(tmp_path, "observations")[0]["scientificName"]
    assert not any("deer" in note for note in notes)
    package = json.loads((tmp_path / "datapackage.json").read_text())
    taxon = {"scientificName": "Cervus elaphus", "taxonRank": "species"}
    assert [taxon] == package["taxonomic"]


def test_the_project_is_what_a_person_says(tmp_path: Path) -> None:
    """Contributors and the project come from a file; the tables do not."""
    said = {"contributors": [{"title": "A. Nemo"}], "project": {"title": "Night"}, "resources": 3}
    project = tmp_path / "project.json"
    project.write_text(json.dumps(said))
    head = Results(media=(), source=Source(finished=datetime(2026, 5, 2, tzinfo=UTC)))
    camtrap.write_camtrap(tmp_path, head, [], replace(_wanted(tmp_path), project=project))
    package = json.loads((tmp_path / "datapackage.json").read_text())

    assert [{"title": "A. Nemo"}] == package["contributors"]
    assert ("Night", "opportunistic") == (
        package["project"]["title"],
        package["project"]["samplingDesign"],
    )
    assert (3, "2026-05-02T00:00:00Z") == (len(package["resources"]), package["created"])


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("latitude\n1\n", "has no column 'folder'"),
        ("folder,latitude\n", "has no deployment"),
        ("folder,latitude,longitude\na,91,0\n", "deploymentStart is empty"),
        ("folder,deploymentStart,deploymentEnd\na,x,y\n", "'x' is no time"),
        ("folder,deploymentStart,deploymentEnd\na,2026-01-02,2026-01-01\n", "lies before"),
        ("folder,deploymentStart,deploymentEnd,latitude\na,2026-01-01,2026-01-02,91\n", "±90"),
        ("folder,deploymentStart,deploymentEnd,latitude\na,2026-01-01,2026-01-02,nan\n", "±90"),
        ("folder,timezone\na,Middle/Earth\n", "no timezone 'Middle/Earth'"),
        (TWICE, "two deployments"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path: Path, table: str, why: str) -> None:
    """The line and the column are named."""
    (tmp_path / "d.csv").write_text(table)

    with pytest.raises(ExportRefused) as refused:
        camtrapinputs.read_deployments(tmp_path / "d.csv")

    assert why in str(refused.value)


def test_a_folder_of_a_name_that_means_nothing_is_a_deployment(tmp_path: Path) -> None:
    """NA is what readers take for an empty cell, and how some call North America."""
    text = DEPLOYMENTS.replace("cam1", "NA")
    (tmp_path / "d.csv").write_text(text)

    found = camtrapinputs.read_deployments(tmp_path / "d.csv").of("NA/x/a.jpg")

    assert found is not None
    assert "deployment NA" == found.id


@pytest.mark.parametrize(
    "file", ["..a.jpg", "~a.jpg", "a..b.jpg", "a/.b\n.jpg", "é.jpg", "a\udce9"]
)
def test_paths_are_written_as_the_standard_allows(file: str) -> None:
    """What it forbids in a path is written as in URLs."""
    import re

    schema = json.loads((SCHEMAS / "media-table-schema.json").read_text())
    (pattern,) = (
        one["constraints"]["pattern"] for one in schema["fields"] if one["name"] == "filePath"
    )

    assert re.search(pattern, file_path(file))
    file_path(file).encode()


def _wanted(folder: Path, **more: Any) -> camtrap.Wanted:
    path = folder / "given.csv"
    path.write_text(DEPLOYMENTS)
    return camtrap.Wanted(deployments=path, **more)


def _check(folder: Path) -> None:
    """Validate the package with frictionless and the profile, without the network."""
    package = json.loads((folder / "datapackage.json").read_text())
    profile = json.loads((SCHEMAS / "camtrap-dp-profile.json").read_text())
    jsonschema.validate(package, profile)
    resources = []
    for one in package["resources"]:
        schema = json.loads((SCHEMAS / f"{one['name']}-table-schema.json").read_text())
        with (folder / one["path"]).open(newline="") as file:
            columns = next(csv.reader(file))
        assert [field["name"] for field in schema["fields"]] == columns
        resources.append({"name": one["name"], "path": one["path"], "schema": schema})
    report = frictionless.Package({"resources": resources}, basepath=str(folder)).validate()

    assert [] == report.flatten(["rowNumber", "fieldName", "note"])
    assert report.valid


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _tags(row: dict[str, str]) -> frozenset[str]:
    tags = row["observationTags"].split(" | ")
    return frozenset(one for one in tags if not one.startswith("second:"))


def _said(one: Detection, results: Results) -> frozenset[str]:
    said: Iterable[tuple[str, object]] = (
        ("frame", one.frame),
        ("track", one.track),
        ("label", results.species[one.guesses[0][0]] if one.guesses else None),
        ("detection", one.conf),
    )
    return frozenset(f"{name}:{value}" for name, value in said if value is not None)
