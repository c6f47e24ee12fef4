"""What `--set` may say of the wildlife pipeline, and what its models are pinned to."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import pytest

from grange.errors import ParameterInvalid
from grange.pipelines import catalog
from grange.pipelines.base import NOWHERE
from grange.pipelines.wildlife.models.registry import SHIPPED, default_models
from grange.pipelines.wildlife.parameters import WildlifeParameters
from grange.pipelines.wildlife.sampling import Sampling

WILDLIFE = catalog.find("wildlife")


def _checked(*given: str, cwd: Path | None = None) -> WildlifeParameters:
    values = catalog.parse_settings(WILDLIFE, given)
    params = catalog.check_params(WILDLIFE, values, cwd=cwd)
    assert isinstance(params, WildlifeParameters)
    return params


def test_models_are_pinned_to_their_files_and_manifests() -> None:
    """A worker can't take another model of the same name; what was pinned stays as it is."""
    params = _checked()

    reference = default_models().find("reference-detector")
    pin = f"{reference.sha256[:12]}.{reference.digest[:12]}"
    assert f"reference-detector@{pin}" == params.detector
    assert params == _checked(f"detector={reference.pinned}")
    again = WildlifeParameters.model_validate(params.model_dump(mode="json"))
    assert params == again


def test_a_model_that_is_another_by_now_is_refused() -> None:
    """In a sentence that says which one is meant."""
    with pytest.raises(ParameterInvalid, match=r"another than was asked for.*000000000000"):
        _checked("detector=reference-detector@000000000000")


def test_a_file_is_a_model_too(tmp_path: Path) -> None:
    """A path is meant from where the run was asked for, and pinned as well."""
    for name in ("pose.toml", "pose.onnx"):
        shutil.copyfile(SHIPPED / name, tmp_path / name)

    params = _checked("pose=./pose.toml", cwd=tmp_path)

    assert params.pose.startswith(f"{tmp_path}/./pose.toml@")
    assert params == _checked(f"pose={params.pose.rpartition('.')[0]}")
    assert params == WildlifeParameters.model_validate(params.model_dump(mode="json"))


def test_who_asks_from_afar_reads_no_files(tmp_path: Path) -> None:
    """Not even to learn whether they are there."""
    shutil.copyfile(SHIPPED / "pose.toml", tmp_path / "pose.toml")

    for path in (tmp_path / "pose.toml", tmp_path / "nothing.toml"):
        with pytest.raises(ParameterInvalid, match="No model is called"):
            _checked(f"pose={path}", cwd=NOWHERE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("detector=none", "No model is called 'none'"),
        ("classifier=reference-pose", "is no classifier"),
        ("pose=reference-pos", r"Did you mean reference-pose"),
        ("sample_fps=0", "should be a number of frames a second"),
        ("sample_every=0", "at least 1"),
        ("threshold=2", "at most 1"),
        ("part_seconds=0", "more than 0"),
        ("sampel_fps=5", "did you mean sample_fps"),
    ],
)
def test_what_makes_no_sense_is_refused(given: str, message: str) -> None:
    """Before the run begins, with what is allowed."""
    with pytest.raises(ParameterInvalid, match=message):
        _checked(given)


def test_one_way_of_sampling_is_enough() -> None:
    """Frames a second or every so-manieth, not both."""
    with pytest.raises(ParameterInvalid, match="either sample_fps or sample_every"):
        _checked("sample_fps=5", "sample_every=2")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), Sampling(fps=Fraction(5))),
        (("sample_fps=1/3",), Sampling(fps=Fraction(1, 3))),
        (("sample_fps=all",), Sampling()),
        (("sample_every=7",), Sampling(every=7)),
    ],
)
def test_sampling_is_what_was_said(given: tuple[str, ...], expected: Sampling) -> None:
    """And five frames a second where nothing was."""
    assert expected == _checked(*given).sampling


def test_work_is_known_by_what_decides_it() -> None:
    """Another size of parts makes no work new; another manifest, threshold or model does."""

    def key(*given: str) -> str:
        return catalog.function_key(WILDLIFE, _checked(*given))

    usual = key()
    assert usual == key("part_seconds=1")
    others = ["pose=none", "threshold=0.3", "pcutoff=0.1", "labelled=false"]
    assert len({usual, *map(key, others)}) == 1 + len(others)


def test_what_a_manifest_says_decides_too(tmp_path: Path) -> None:
    """The same weights with another size of crops are another model."""
    said = (SHIPPED / "pose.toml").read_text()
    shutil.copyfile(SHIPPED / "pose.onnx", tmp_path / "pose.onnx")
    models = []
    for scale in ("1.25", "1.5"):
        changed = said.replace("crop_scale = 1.25", f"crop_scale = {scale}")
        (tmp_path / "pose.toml").write_text(changed)
        models.append(WILDLIFE.models(_checked("pose=pose.toml", cwd=tmp_path)))

    assert models[0]["reference-pose"] == models[1]["reference-pose"]
    assert models[0] != models[1]
