"""DeepLabCut's tables: what pandas reads from them is what was found."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given

from grange.errors import ExportRefused, StorePathRefused
from grange.pipelines.wildlife.formats import RESULTS, dialects, dlc, md
from grange.pipelines.wildlife.results import Detection, Kind, Media, Point, Results
from tests.pipelines.wildlife.formats import made

POSE = tuple((n / 10, n / 20, 0.9) for n in range(len(made.KEYPOINTS)))
HEAD = Results(media=(), keypoints=made.KEYPOINTS)


@made.few
@given(made.results(kinds=(Kind.VIDEO,), least=1))
def test_pandas_reads_every_pose_from_both_files(results: Results) -> None:
    """Rows are the frames of the video; all else is empty; both files are the same table."""
    for media in filter(dlc.has_poses, results.media):
        with made.folder() as folder:
            dlc.write_csv(folder / "a.csv", results, media)
            dlc.write_h5(folder / "a.h5", results, media)
            table = pd.read_hdf(folder / "a.h5", dlc.KEY)
            text = pd.read_csv(folder / "a.csv", header=[0, 1, 2, 3], index_col=0)

        assert list(dlc.LEVELS) == list(table.columns.names)
        assert list(range(media.frames)) == list(table.index)
        assert {results.keypoints} == {
            tuple(dict.fromkeys(table[dlc.scorer_of(results)][one].columns.get_level_values(0)))
            for one in table.columns.get_level_values("individuals")
        }
        assert _expected(media) == _found(table, media)
        assert _expected(media) == _found(text, media)


def test_an_individual_is_a_track() -> None:
    """Each track has its own columns; what no track follows has others."""
    video = _video(
        Detection("1", 0.9, (0, 0, 1, 1), 0, 7, (), POSE),
        Detection("1", 0.9, (0, 0, 1, 1), 0, None, (), POSE),
        Detection("1", 0.9, (0, 0, 1, 1), 2, 3, (), POSE),
    )
    with made.folder() as folder:
        dlc.write_csv(folder / "a.csv", HEAD, video)
        table = pd.read_csv(folder / "a.csv", header=[0, 1, 2, 3], index_col=0)
    names = list(dict.fromkeys(table.columns.get_level_values(1)))

    assert ["track3", "track7", "untracked1"] == names
    assert ["x", "y", "likelihood"] == list(dict.fromkeys(table.columns.get_level_values(3)))


def test_many_individuals_are_written_too(tmp_path: Path) -> None:
    """A table of HDF5 has no room for so many names; the file opens all the same."""
    found = [Detection("1", 0.9, (0, 0, 1, 1), n // 10, n, (), POSE) for n in range(100)]
    dlc.write_h5(tmp_path / "a.h5", HEAD, _video(*found, frames=10))
    table = pd.read_hdf(tmp_path / "a.h5", dlc.KEY)

    assert (10, 100 * len(made.KEYPOINTS) * 3) == table.shape


def test_long_videos_are_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pieces of a long table are one table."""
    video = _video(*(Detection("1", 0.9, (0, 0, 1, 1), n, 1, (), POSE) for n in range(0, 95, 5)))
    video = replace(video, frames=100)
    dlc.write_h5(tmp_path / "whole.h5", HEAD, video)
    monkeypatch.setattr(dlc, "_ROWS_AT_ONCE", 7)
    dlc.write_h5(tmp_path / "pieces.h5", HEAD, video)
    whole, pieces = (pd.read_hdf(tmp_path / f"{one}.h5", dlc.KEY) for one in ("whole", "pieces"))

    pd.testing.assert_frame_equal(whole, pieces)


def test_what_would_have_too_many_cells_is_refused(tmp_path: Path) -> None:
    """An hour-long video full of animals has no table that anybody could open."""
    video = replace(_video(Detection("1", 0.9, (0, 0, 1, 1), 0, 1, (), POSE)), frames=10**9)

    with pytest.raises(ExportRefused, match="cells"):
        dlc.write_csv(tmp_path / "a.csv", HEAD, video)


def test_what_would_take_too_much_memory_is_refused(tmp_path: Path) -> None:
    """A wide table of pandas' is written at once; the one of text is not."""
    found = [Detection("1", 0.9, (0, 0, 1, 1), 0, track, (), POSE) for track in range(1, 60)]
    video = replace(_video(*found), frames=10**5)

    with pytest.raises(ExportRefused, match="memory") as caught:
        dlc.write_h5(tmp_path / "a.h5", HEAD, video)

    assert "dlc-csv" in caught.value.hint
    assert [] == list(tmp_path.iterdir())


def test_a_video_of_unknown_size_is_refused(tmp_path: Path) -> None:
    """Pixels need a size."""
    video = replace(_video(Detection("1", 0.9, (0, 0, 1, 1), 0, 1, (), POSE)), width=0)

    with pytest.raises(ExportRefused, match="size"):
        dlc.write_csv(tmp_path / "a.csv", HEAD, video)


def test_videos_of_one_stem_do_not_share_a_file() -> None:
    """DeepLabCut names its files after the stem, of which there may be two."""
    stems = dlc.Stems()

    assert ["a", "A_mov", "a"] == [stems.of(one) for one in ("x/a.mp4", "x/A.mov", "y/a.mp4")]


@pytest.mark.parametrize("file", ["../up.mp4", "/tmp/up.mp4", "a/../../up.mp4"])
def test_no_name_of_a_video_leads_elsewhere(tmp_path: Path, file: str) -> None:
    """Results that a server made up write nothing but below the folder."""
    results, target = tmp_path / "run", tmp_path / "deep" / "target"
    (results / RESULTS).parent.mkdir(parents=True)
    target.mkdir(parents=True)
    video = _video(Detection("1", 0.9, (0, 0, 1, 1), 0, 1, (), POSE))
    md.write_results(replace(HEAD, media=(replace(video, file=file),)), results / RESULTS)

    with pytest.raises(StorePathRefused):
        dialects.export("dlc-csv", results, target, {})


def _video(*found: Detection, frames: int = 3) -> Media:
    return Media(
        file="a.mp4",
        kind=Kind.VIDEO,
        width=640,
        height=360,
        frames=frames,
        frame_rate=Fraction(10),
        processed=tuple(sorted({one.frame or 0 for one in found})),
        detections=found,
    )


def _expected(media: Media) -> dict[int, list[tuple[Point, ...]]]:
    found: dict[int, list[tuple[Point, ...]]] = defaultdict(list)
    for one in media.detections:
        if one.pose:
            found[one.frame or 0].append(one.pose)
    return {frame: sorted(poses) for frame, poses in found.items()}


def _found(table: pd.DataFrame, media: Media) -> dict[int, list[tuple[Point, ...]]]:
    """The poses that are in a table, as fractions with the digits of results."""
    found: dict[int, list[tuple[Point, ...]]] = defaultdict(list)
    for frame, row in table.iterrows():
        for start in range(0, len(row), 3 * len(made.KEYPOINTS)):
            cells = [float(one) for one in row.iloc[start : start + 3 * len(made.KEYPOINTS)]]
            if all(map(math.isnan, cells)):
                continue
            points = zip(cells[::3], cells[1::3], cells[2::3], strict=True)
            pose = tuple(
                (round(x / media.width, 4), round(y / media.height, 4), conf)
                for x, y, conf in points
            )
            found[int(frame)].append(pose)
    return {frame: sorted(poses) for frame, poses in found.items()}
