"""DeepLabCut's own code opens the tables of poses that Grange writes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from deeplabcut.post_processing.analyze_skeleton import analyzebone
from deeplabcut.utils import auxiliaryfunctions, plotting

from grange.pipelines.wildlife.formats import dlc
from grange.pipelines.wildlife.results import ANIMAL, Detection, Kind, Media, Results, Source

PARTS = ("nose", "tail_base")
FRAMES = 40
WIDTH, HEIGHT = 640, 360


@pytest.fixture(scope="module")
def media() -> Media:
    """A video in which one animal walks through, and another is seen at the end."""
    detections = []
    for frame in range(0, FRAMES, 5):
        x = frame / FRAMES
        pose = ((x, 0.5, 0.9), (x / 2, 0.4, 0.7))
        detections.append(Detection(ANIMAL, 0.9, (0.1, 0.1, 0.5, 0.5), frame, 1, pose=pose))
        if frame >= FRAMES // 2:
            late = ((0.7, 0.5, 0.8), (0.8, 0.4, 0.6))
            detections.append(Detection(ANIMAL, 0.8, (0.6, 0.3, 0.3, 0.3), frame, 2, pose=late))
    return Media(
        "creek/deer.mp4",
        Kind.VIDEO,
        WIDTH,
        HEIGHT,
        detections=detections,
        frame_rate=Fraction(30),
        frames=FRAMES,
        processed=range(0, FRAMES, 5),
    )


@pytest.fixture(scope="module")
def head() -> Results:
    """What goes with its results."""
    return Results((), Source(pose="quadruped"), keypoints=PARTS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, head: Results, media: Media) -> Path:
    """A folder with the video's tables, named as DeepLabCut looks for them."""
    made = tmp_path_factory.mktemp("tables")
    stem = f"deer{dlc.scorer_of(head)}"
    dlc.write_h5(made / f"{stem}.h5", head, media)
    dlc.write_csv(made / f"{stem}.csv", head, media)
    return made


def test_deeplabcut_finds_and_reads_the_table(folder: Path, head: Results) -> None:
    """`load_analyzed_data` gives a row for each frame, and individuals with their body parts."""
    scorer = dlc.scorer_of(head)
    table, _, found, _ = auxiliaryfunctions.load_analyzed_data(str(folder), "deer", scorer)

    assert scorer == found
    assert FRAMES == len(table)
    assert ["scorer", "individuals", "bodyparts", "coords"] == list(table.columns.names)
    assert list(PARTS) == table.columns.get_level_values("bodyparts").unique().tolist()
    assert 20 / FRAMES * WIDTH == table.loc[20, (scorer, "track1", "nose", "x")]
    assert np.isnan(table.loc[21, (scorer, "track1", "nose", "x")])


def test_the_csv_says_the_same(folder: Path, head: Results) -> None:
    """Read as DeepLabCut reads its .csv, with four rows of header, it equals the .h5."""
    table = pd.read_csv(next(folder.glob("*.csv")), header=[0, 1, 2, 3], index_col=0)
    stored = pd.read_hdf(next(folder.glob("*.h5")))

    pd.testing.assert_frame_equal(stored, table, check_index_type=False, check_names=False)


def test_deeplabcut_plots_it(folder: Path, tmp_path: Path) -> None:
    """Its plotting of trajectories makes its four pictures for each individual."""
    plotting._plot_trajectories(
        str(next(folder.glob("*.h5"))),
        list(PARTS),
        ["track1", "track2"],
        False,
        50,
        1.0,
        "rainbow",
        0.7,
        0.6,
        "",
        ".png",
        str(tmp_path),
    )
    names = {path.name.split("-")[0].split("track")[0] for path in tmp_path.rglob("*.png")}

    assert {"trajectory", "plot", "hist"} <= {name.removesuffix(".png") for name in names}


def test_deeplabcut_measures_bones_in_it(folder: Path, head: Results) -> None:
    """Its analysis of skeletons finds lengths and angles wherever both body parts were seen."""
    table = pd.read_hdf(next(folder.glob("*.h5")))
    animal = table[dlc.scorer_of(head)]["track1"].dropna()
    bone = analyzebone(animal["nose"], animal["tail_base"])

    assert {"length", "orientation", "likelihood"} == set(bone.columns)
    assert FRAMES // 5 == len(bone)
    assert np.hypot(20 / FRAMES / 2 * WIDTH, 0.1 * HEIGHT) == pytest.approx(bone.loc[4, "length"])
