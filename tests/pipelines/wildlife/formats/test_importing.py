"""Results of other programs: told apart, and read with nothing lost that they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from grange.errors import FormatInvalid
from grange.pipelines.wildlife.formats import md
from grange.pipelines.wildlife.formats.importing import DIALECTS, import_results
from grange.pipelines.wildlife.formats.validating import faults_of
from grange.pipelines.wildlife.results import CATEGORIES, Detection, Kind, Results
from tests.pipelines.wildlife.formats import made

SIZE = (1000, 500)
NAMES = list(CATEGORIES.values())
BOX = (0.1, 0.2, 0.3, 0.4)
CORNERS = [100, 100, 400, 300]  # of BOX, in a picture of SIZE
TAXON = "uuid;mammalia;cetartiodactyla;cervidae;capreolus;capreolus;european roe deer"


@made.few
@given(made.results())
def test_our_own_exports_come_back(results: Results) -> None:
    """MegaDetector's format loses nothing; Timelapse's only what it has no field for."""
    with made.folder() as folder:
        md.write_results(results, folder / "a.json")
        md.write_run(folder / "plain.json", results, results.media, plain=True)
        found = _imported(folder / "a.json", "md")
        plain = _imported(folder / "plain.json", "md")

    assert results == found
    assert [
        (one.file, one.failure, [_core(each) for each in one.detections]) for one in results.media
    ] == [(one.file, one.failure, [_core(each) for each in one.detections]) for one in plain.media]


_corners = st.tuples(*(st.integers(0, limit) for limit in (999, 499))).flatmap(
    lambda corner: st.tuples(
        st.just(corner[0]),
        st.just(corner[1]),
        st.integers(corner[0], 1000),
        st.integers(corner[1], 500),
    )
)
_found = st.lists(
    st.tuples(st.sampled_from(range(3)), st.integers(0, 1000).map(lambda n: n / 1000), _corners),
    max_size=4,
)


@made.few
@given(st.lists(_found, max_size=3), st.sampled_from(["microsoft", "pytorch-wildlife", "ids"]))
def test_boxes_in_pixels_are_the_same_in_fractions(
    pictures: list[list[tuple[int, float, tuple[int, ...]]]], shape: str
) -> None:
    """Both lists of boxes in pixels: corners become places and sizes, names become numbers."""
    if shape == "microsoft":
        data: Any = [
            {
                "file": f"{n}.jpg",
                "detections": [
                    {"category": NAMES[kind], "confidence": conf, "bbox": list(box)}
                    for kind, conf, box in found
                ],
            }
            for n, found in enumerate(pictures)
        ]
    else:
        data = {
            "annotations": [
                {
                    "img_id": f"{n}.jpg",
                    "bbox": [list(box) for _, _, box in found],
                    "category": [kind if shape == "ids" else NAMES[kind] for kind, _, _ in found],
                    "confidence": [conf for _, conf, _ in found],
                }
                for n, found in enumerate(pictures)
            ],
            "categories": [{"id": n, "name": name} for n, name in enumerate(NAMES)],
        }
    with made.folder() as folder:
        (folder / "a.json").write_text(json.dumps(data))
        dialect = "microsoft" if shape == "microsoft" else "pytorch-wildlife"
        found = _imported(folder / "a.json", dialect, size=SIZE)

    expected: Any = [
        [
            (str(kind + 1), conf, (x1 / 1000, y1 / 500, (x2 - x1) / 1000, (y2 - y1) / 500))
            for kind, conf, (x1, y1, x2, y2) in one
        ]
        for one in pictures
    ]
    assert expected == [
        [(each.category, each.conf, pytest.approx(each.box, abs=1e-6)) for each in one.detections]
        for one in found.media
    ]


def test_sizes_come_from_the_pictures(tmp_path: Path) -> None:
    """The pictures say their sizes; those that lie on their side are turned with their boxes."""
    (tmp_path / "photos" / "cam").mkdir(parents=True)
    Image.new("RGB", SIZE).save(tmp_path / "photos" / "cam" / "a.jpg")
    exif = Image.Exif()
    exif[274] = 6  # to be turned by a quarter to the right
    Image.new("RGB", SIZE).save(tmp_path / "photos" / "cam" / "b.jpg", exif=exif)
    found = [{"category": "animal", "confidence": 0.9, "bbox": CORNERS}]
    data = [
        {"file": "/elsewhere/cam/a.jpg", "detections": found},
        {"file": "..\\cam\\b.jpg", "detections": found},
    ]
    (tmp_path / "a.json").write_text(json.dumps(data))

    flat, turned = _imported(tmp_path / "a.json", "microsoft", images=tmp_path / "photos").media

    assert (1000, 500, BOX) == (flat.width, flat.height, flat.detections[0].box)
    assert (500, 1000) == (turned.width, turned.height)
    assert (0.4, 0.1, 0.4, 0.3) == pytest.approx(turned.detections[0].box)


def test_boxes_in_pixels_without_a_size_are_refused(tmp_path: Path) -> None:
    """Nobody guesses a size."""
    data = [{"file": "a.jpg", "detections": [{"category": 0, "confidence": 1, "bbox": CORNERS}]}]
    (tmp_path / "a.json").write_text(json.dumps(data))

    with pytest.raises(FormatInvalid, match=r"nothing says the size of 'a\.jpg'"):
        _imported(tmp_path / "a.json", "microsoft")


def test_no_picture_outside_of_the_folder_is_opened(tmp_path: Path) -> None:
    """A file of results names whatever it likes."""
    (tmp_path / "photos").mkdir()
    Image.new("RGB", SIZE).save(tmp_path / "secret.jpg")
    (tmp_path / "photos" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    for name in ("../secret.jpg", str(tmp_path / "secret.jpg"), "link.jpg"):
        found = [{"category": "animal", "confidence": 1, "bbox": CORNERS}]
        (tmp_path / "a.json").write_text(json.dumps([{"file": name, "detections": found}]))

        with pytest.raises(FormatInvalid, match="is not below"):
            _imported(tmp_path / "a.json", "microsoft", images=tmp_path / "photos")


def test_speciesnet_says_detections_and_classes(tmp_path: Path) -> None:
    """Classes go to the surest animal, a roll-up stands among them, and failures stay failures."""
    data = {
        "predictions": [
            {
                "filepath": "cam\\a.jpg",
                "classifications": {"classes": [TAXON, ";;;;;;blank"], "scores": [0.6, 0.1]},
                "detections": [
                    {"category": "1", "label": "animal", "conf": 0.5, "bbox": list(BOX)},
                    {"category": "1", "label": "animal", "conf": 0.9, "bbox": list(BOX)},
                    {"category": "2", "label": "human", "conf": 0.95, "bbox": list(BOX)},
                ],
                "prediction": "uuid;mammalia;cetartiodactyla;cervidae;;;cervidae family",
                "prediction_score": 0.7,
                "model_version": "4.0.1a",
            },
            {"filepath": "b.jpg", "failures": ["DETECTOR"]},
            {"filepath": "c.jpg", "failures": ["GEOLOCATION"], "detections": []},
        ]
    }
    (tmp_path / "a.json").write_text(json.dumps(data))

    found = _imported(tmp_path / "a.json", "speciesnet")
    first, failed, empty = found.media
    guesses = [
        [(found.species[number], conf) for number, conf in one.guesses] for one in first.detections
    ]

    assert ("cam/a.jpg", ["1", "1", "2"]) == (
        first.file,
        [one.category for one in first.detections],
    )
    best = [("cervidae family", 0.7), ("european roe deer", 0.6), ("blank", 0.1)]
    assert [[], best, []] == guesses
    assert "DETECTOR" in failed.failure
    assert ("", ()) == (empty.failure, empty.detections)
    assert "SpeciesNet 4.0.1a" == found.source.detector


def test_dive_says_the_tracks_of_a_video(tmp_path: Path) -> None:
    """Tracks keep their numbers, frames and types; the rate and the name are those of the file."""
    data = {
        "version": 2,
        "fps": 29.97,
        "groups": {},
        "tracks": {
            "4": {
                "id": 4,
                "confidencePairs": [["person", 0.7]],
                "features": [
                    {"frame": 6, "bounds": CORNERS, "keyframe": True},
                    {"frame": 0, "bounds": CORNERS},
                    {"frame": 3},
                ],
            },
            "7": {
                "id": 7,
                "confidencePairs": [["fox", 0.2], ["deer", 0.6]],
                "features": [{"frame": 6, "bounds": [0, 0, 2000, 250]}],
            },
        },
    }
    (tmp_path / "night.mp4.json").write_text(json.dumps(data))

    found = _imported(tmp_path / "night.mp4.json", "dive", size=SIZE)
    (video,) = found.media

    assert ("night.mp4", Kind.VIDEO, (0, 6), 7) == (
        video.file,
        video.kind,
        video.processed,
        video.frames,
    )
    assert 29.97 == float(video.frame_rate or 0)
    assert [(0, 4, "2", 0.7), (6, 4, "2", 0.7), (6, 7, "1", 0.6)] == [
        (one.frame, one.track, one.category, one.conf) for one in video.detections
    ]
    assert (0.0, 0.0, 1.0, 0.5) == video.detections[2].box
    assert [("deer", 0.6), ("fox", 0.2)] == [
        (found.species[number], conf) for number, conf in video.detections[2].guesses
    ]


def test_old_files_of_megadetector_are_read(tmp_path: Path) -> None:
    """Versions before 1.3: a number for a version, no categories, the best confidence beside."""
    data = {
        "images": [
            {
                "file": "a.jpg",
                "max_detection_conf": 0.9,
                "detections": [{"category": 1, "conf": 1, "bbox": list(BOX)}],
            },
            {"file": "b.jpg", "failure": "Failure image access", "detections": None},
        ],
        "info": {"format_version": 1.0},
    }
    (tmp_path / "a.json").write_text(json.dumps(data))

    found = _imported(tmp_path / "a.json", "md")

    assert (Detection("1", 1.0, BOX),) == found.media[0].detections
    assert "Failure image access" == found.media[1].failure


def test_what_pytorch_wildlife_writes_for_timelapse_is_read(tmp_path: Path) -> None:
    """It is MegaDetector's format with less in it."""
    data = {
        "images": [
            {
                "file": "a.jpg",
                "max_detection_conf": 0.9,
                "detections": [
                    {"category": "1", "conf": 0.9, "bbox": list(BOX), "classifications": []}
                ],
            }
        ],
        "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
        "info": {"detector": "megadetector_v5"},
    }
    (tmp_path / "a.json").write_text(json.dumps(data))

    found = _imported(tmp_path / "a.json", "md")

    assert (Detection("1", 0.9, BOX),) == found.media[0].detections
    assert "megadetector_v5" == found.source.detector


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"what": 1},
        3,
        "images",
        {"images": [], "annotations": [], "categories": []},
        {"predictions": 3},
        {"predictions": [3]},
        {"predictions": [{"filepath": "a", "classifications": {"classes": ["x"], "scores": []}}]},
        {"tracks": []},
        {"tracks": {"1": {"features": 3}}},
        {"tracks": {"x": {"features": []}}},
        {"tracks": {"1": {"confidencePairs": [[1, 2]]}}},
        {"annotations": [{"img_id": "a", "bbox": [[1, 2, 3, 4]], "category": []}]},
        {"annotations": [{"bbox": []}]},
        [{"detections": []}],
        [{"file": "a", "detections": [{"category": "animal", "confidence": 9, "bbox": CORNERS}]}],
        [{"file": "a", "detections": [{"category": 7, "confidence": 1, "bbox": CORNERS}]}],
        [{"file": "a", "detections": [{"category": None, "confidence": 1, "bbox": CORNERS}]}],
        [{"file": "a", "detections": [{"category": 1, "confidence": 1, "bbox": [4, 4, 1, 1]}]}],
        [{"file": "a", "detections": [{"category": 1, "confidence": 1, "bbox": "1234"}]}],
        [3],
    ],
)
def test_what_is_none_of_them_is_refused(tmp_path: Path, data: Any) -> None:
    """One clear error, and nothing is left behind."""
    (tmp_path / "a.json").write_text(json.dumps(data))

    with pytest.raises(FormatInvalid):
        import_results(tmp_path / "a.json", tmp_path / "out.json", size=SIZE)

    assert ["a.json"] == [one.name for one in tmp_path.iterdir()]


def test_a_dialect_can_be_said(tmp_path: Path) -> None:
    """Who knows better than the file says so; a name that is none is refused."""
    (tmp_path / "a.json").write_text(json.dumps([]))

    assert ("microsoft", 0) == import_results(
        tmp_path / "a.json", tmp_path / "b.json", dialect="microsoft"
    )
    for dialect in ("speciesnet", "xml"):
        with pytest.raises(FormatInvalid):
            import_results(tmp_path / "a.json", tmp_path / "b.json", dialect=dialect)
    assert {"md", "microsoft", "pytorch-wildlife", "speciesnet", "dive"} == set(DIALECTS)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "images",
                        "file",
                        "detections",
                        "tracks",
                        "predictions",
                        "annotations",
                        "bbox",
                        "category",
                        "conf",
                        "img_id",
                        "filepath",
                        "features",
                        "frame_rate",
                        "info",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_no_nonsense_ends_in_anything_but_words(data: Any) -> None:
    """Whatever a file holds: it is read, or refused with a word for people."""
    with made.folder() as folder:
        (folder / "a.json").write_text(json.dumps(data))
        try:
            import_results(folder / "a.json", folder / "out.json", size=SIZE)
        except FormatInvalid:
            return
        md.read_results(folder / "out.json")


def _imported(path: Path, dialect: str, **how: Any) -> Results:
    """What a file says, told apart by itself, through the canonical format and its validator."""
    out = path.with_suffix(".out")
    found, items = import_results(path, out, **how)
    results = md.read_results(out)

    assert (dialect, items) == (found, len(results.media))
    assert [] == faults_of(out)
    return results


def _core(one: Detection) -> tuple[Any, ...]:
    return (one.category, one.conf, one.box, one.frame, one.guesses)
