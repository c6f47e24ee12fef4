"""Manifests: what they may say, and how they are told what is wrong."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from grange.errors import ModelInvalid
from grange.pipelines.wildlife.models.manifest import Manifest, Task, as_toml, read_manifest

DIGEST = "ab" * 32
LEAST = f'name = "mine"\ntask = "detector"\nfile = "mine.onnx"\nsha256 = "{DIGEST}"\n'


def write(folder: Path, text: str) -> Path:
    """Write a manifest."""
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_the_least_manifest_has_defaults(tmp_path: Path) -> None:
    """Four fields will do; the file is meant from the manifest's folder."""
    manifest = read_manifest(write(tmp_path, LEAST))

    assert (tmp_path / "mine.onnx", Task.DETECTOR) == (manifest.file, manifest.task)
    assert "mine@abababababab" == manifest.pinned
    assert (0.2, 0.05, "onnx") == (
        manifest.typical_threshold,
        manifest.conservative_threshold,
        manifest.backend,
    )


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    """A manifest survives being written, with every letter of its names."""
    manifest = Manifest(
        name="odd-one",
        task=Task.POSE,
        file=tmp_path / "model.onnx",
        sha256=DIGEST,
        version="2",
        source='of "us" \\ them\n\x7f 🦌',
        mean=(0.1, 0.2, 0.3),
        input=(128, 96),
        keypoints=("nose", 'the "tail"'),
        skeleton=(("nose", 'the "tail"'),),
        crop_scale=1.25,
        options={"cell_offset": 0.0, "deep er": {"list": [1, "two", True]}},
    )

    read = read_manifest(write(tmp_path, as_toml(manifest, "model.onnx")))

    assert manifest == read


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("name = ", "is no TOML"),
        ('colour = "red"', "has an unknown field, colour"),
        ("crop_scale = 99", "is wrong in crop_scale"),
        ("crop_scale = nan", "is wrong in crop_scale"),
        ('channels = "cmyk"', "is wrong in channels"),
        ("input = [640]", "is wrong in input"),
        ("std = [1.0, 0.0, 1.0]", "is wrong in std"),
        ('classes = ["a\\nb"]', "is wrong in classes"),
        ('counts_as = ["animal"]', "counts_as must have one name for each"),
        ('keypoints = ["a", "a"]', "must not name one twice"),
        ('skeleton = [["a", "b"]]', "none of the keypoints"),
        ('backend = "tensorflow"', "is wrong in backend"),
    ],
)
def test_a_wrong_field_is_named(change: str, said: str, tmp_path: Path) -> None:
    """Whoever writes one by hand is told which field to mend."""
    with pytest.raises(ModelInvalid, match=said):
        read_manifest(write(tmp_path, LEAST + change))


@pytest.mark.parametrize("field", ["name", "task", "file", "sha256"])
def test_a_missing_field_is_named(field: str, tmp_path: Path) -> None:
    """The four that must be there."""
    text = "".join(
        line for line in LEAST.splitlines(keepends=True) if not line.startswith(f"{field} =")
    )

    with pytest.raises(ModelInvalid, match=f"does not say {field}"):
        read_manifest(write(tmp_path, text))


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "A", ".hidden", "a..b", "a" * 65, "naïve", "x\n", "a b", "-a"]
)
def test_a_name_is_safe_as_a_file_name(name: str, tmp_path: Path) -> None:
    """Nothing that could lead elsewhere, or be told from another name only by its case."""
    text = LEAST.replace('"mine"', f'"{name}"'.replace("\n", "\\n"))

    with pytest.raises(ModelInvalid, match="is wrong in name"):
        read_manifest(write(tmp_path, text))


def test_an_unknown_field_is_told_from_a_near_one(tmp_path: Path) -> None:
    """A slip of the finger is told what was meant."""
    with pytest.raises(ModelInvalid) as caught:
        read_manifest(write(tmp_path, LEAST + 'license = "MIT"'))

    assert "Did you mean licence?" == caught.value.hint


def test_a_huge_or_strange_manifest_is_refused(tmp_path: Path) -> None:
    """A megabyte is enough; bytes that are no text, and nesting without end, are told."""
    path = write(tmp_path, LEAST + "#" * 1024 * 1024)
    with pytest.raises(ModelInvalid, match="larger than 1 MiB"):
        read_manifest(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ModelInvalid, match="is no TOML"):
        read_manifest(path)
    path.write_text(LEAST + "options = { a = " + "[" * 50_000)
    with pytest.raises(ModelInvalid, match="is no TOML"):
        read_manifest(path)
    with pytest.raises(ModelInvalid, match="can't be read: Is a directory"):
        read_manifest(tmp_path)


def test_other_packages_may_fetch_their_weights_themselves(tmp_path: Path) -> None:
    """Then the manifest stands for the model: another text is another model."""
    text = 'name = "md"\ntask = "detector"\nbackend = "pytorch-wildlife"\n'
    first = read_manifest(write(tmp_path, text))
    second = read_manifest(write(tmp_path, text + 'options = { model = "MDV6-yolov9-c" }'))

    assert not first.has_file
    assert first.sha256 != second.sha256
    assert "file" not in as_toml(first, "")


def test_the_manifest_of_the_guide_names_every_field(tmp_path: Path) -> None:
    """What it shows can be written as it stands; what is a pose model's alone stands elsewhere."""
    guide = (Path(__file__).parents[4] / "docs" / "guides" / "models.md").read_text()
    (shown,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)

    manifest = read_manifest(write(tmp_path, shown))

    named = set(re.findall(r"^(\w+) =", shown, re.MULTILINE))
    assert {"keypoints", "skeleton", "backend"} == {one.name for one in fields(Manifest)} - named
    assert {"1": "animal", "2": "person", "3": "vehicle"} == manifest.categories
