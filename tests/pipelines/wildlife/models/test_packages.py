"""Models of other packages: what is refused before any of them is asked."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import pytest

from grange.errors import ExtraMissing, ModelFailed, ModelInvalid
from grange.pipelines.wildlife.models import packages
from grange.pipelines.wildlife.models.manifest import Manifest, read_manifest
from grange.pipelines.wildlife.models.opening import open_detector, open_pose

needs_absence = pytest.mark.skipif(
    find_spec("PytorchWildlife") is not None or find_spec("deeplabcut") is not None,
    reason="the packages are installed",
)


def _manifest(
    folder: Path, backend: str, options: str, *, weights: bytes | None = b"w"
) -> Manifest:
    """A manifest as a user writes it, with a file of weights or without."""
    task = "pose" if backend == "deeplabcut" else "detector"
    text = f'name = "field"\ntask = "{task}"\nbackend = "{backend}"\n'
    if weights is not None:
        (folder / "field.pt").write_bytes(weights)
        text += f'file = "field.pt"\nsha256 = "{hashlib.sha256(weights).hexdigest()}"\n'
    (folder / "field.toml").write_text(f"{text}[options]\n{options}\n")
    return read_manifest(folder / "field.toml")


@needs_absence
def test_without_pytorch_wildlife_the_line_to_install_it_is_told(tmp_path: Path) -> None:
    """Whoever lacks the extra is told exactly what to type."""
    manifest = _manifest(tmp_path, "pytorch-wildlife", 'model = "MDV6-yolov9-c"')

    with pytest.raises(ExtraMissing) as caught:
        open_detector(manifest)

    assert "Install it: pip install 'grange[wildlife-pytorch]'" == caught.value.hint


@needs_absence
def test_without_deeplabcut_the_line_to_install_it_is_told(tmp_path: Path) -> None:
    """Whoever lacks the extra is told exactly what to type."""
    options = 'superanimal = "superanimal_quadruped"\nmodel = "hrnet_w32"'

    with pytest.raises(ExtraMissing) as caught:
        open_pose(_manifest(tmp_path, "deeplabcut", options))

    assert "Install it: pip install 'grange[wildlife-deeplabcut]'" == caught.value.hint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "options.model is None"),
        ('model = "MDV7"', "options.model is 'MDV7'"),
        ('model = "MDV5-a"\nspeed = 3', "an unknown option, speed"),
        ('model = "MDV5-a"\nfetch = "yes"', "wrong in options.fetch: 'yes' is no bool"),
    ],
)
def test_options_that_make_no_sense_are_named(tmp_path: Path, options: str, said: str) -> None:
    """The sentence says which option it is; nothing is imported for it."""
    with pytest.raises(ModelInvalid, match=said):
        open_detector(_manifest(tmp_path, "pytorch-wildlife", options))


def test_weights_are_fetched_only_when_the_manifest_says_so(tmp_path: Path) -> None:
    """Without a file and without `fetch = true`, a model is refused: nothing goes out by itself."""
    bare = _manifest(tmp_path, "pytorch-wildlife", 'model = "MDV5-a"', weights=None)
    with pytest.raises(ModelInvalid, match="names no file with weights"):
        packages.weights_of(bare)

    asking = _manifest(tmp_path, "pytorch-wildlife", "fetch = true", weights=None)
    assert packages.weights_of(asking) is None


def test_weights_are_those_that_the_manifest_means(tmp_path: Path) -> None:
    """A file is given out only while its sha256 is the manifest's."""
    manifest = _manifest(tmp_path, "deeplabcut", "")
    assert tmp_path / "field.pt" == packages.weights_of(manifest)

    (tmp_path / "field.pt").write_bytes(b"other")
    with pytest.raises(ModelInvalid, match="not the one that its manifest means"):
        packages.weights_of(manifest)


def test_a_configuration_beside_the_weights_is_verified_too(tmp_path: Path) -> None:
    """What an option names is looked for beside the weights, and checked where a sha256 is said."""
    (tmp_path / "config.yaml").write_bytes(b"method: td\n")
    digest = hashlib.sha256(b"method: td\n").hexdigest()
    options = f'config = "config.yaml"\nconfig_sha256 = "{digest}"'
    manifest = _manifest(tmp_path, "deeplabcut", options)
    assert tmp_path / "config.yaml" == packages.beside(manifest, "config")

    (tmp_path / "config.yaml").write_bytes(b"method: bu\n")
    with pytest.raises(ModelInvalid, match=r"config\.yaml is not the one"):
        packages.beside(manifest, "config")


@pytest.mark.parametrize(
    ("options", "there", "device"),
    [("", True, "cuda:0"), ("", False, "cpu"), ('device = "cpu"', True, "cpu")],
)
def test_a_gpu_is_used_where_there_is_one(
    tmp_path: Path, options: str, there: bool, device: str
) -> None:
    """By default the first GPU, else the processor; a manifest may choose."""
    assert device == packages.device_of(_manifest(tmp_path, "deeplabcut", options), gpu=there)


def test_a_gpu_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A manifest that insists on a GPU is refused without one, and told what to say instead."""
    manifest = _manifest(tmp_path, "deeplabcut", 'device = "cuda:1"')

    with pytest.raises(ModelInvalid, match="finds no GPU here"):
        packages.device_of(manifest, gpu=False)


def test_a_package_that_stops_is_told_in_one_sentence(tmp_path: Path) -> None:
    """What a package raises, with however many lines, becomes one error of ours."""
    manifest = _manifest(tmp_path, "deeplabcut", "")

    def stop(error: Exception) -> None:
        raise error

    with pytest.raises(ModelFailed) as failed, packages.running(manifest, "DeepLabCut"):
        stop(RuntimeError("out of it\nsecond line"))
    with pytest.raises(ModelInvalid) as refused, packages.loading(manifest, "PytorchWildlife"):
        stop(KeyError("ema"))

    stopped = "DeepLabCut stopped while it ran the model field: RuntimeError: out of it"
    assert stopped == failed.value.message
    assert "PytorchWildlife can't load the model field: KeyError: 'ema'" == refused.value.message
