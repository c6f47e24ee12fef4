"""What models have in common that other packages run: options, weights, devices, failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from grange.errors import GrangeError, ModelFailed, ModelInvalid
from grange.pipelines.wildlife.models import digests

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from grange.pipelines.wildlife.models.manifest import Manifest

# A manifest without a file is its own file.
_MANIFEST_SUFFIX: Final = ".toml"
# So much of what a package says of its failure is told on.
_MOST_SAID: Final = 300


def options_of(manifest: Manifest, known: Mapping[str, type]) -> Mapping[str, Any]:
    """The options of a manifest, each known to its backend and of the right type.

    Raises:
        ModelInvalid: One is unknown, or of another type.
    """
    for name, value in manifest.options.items():
        if name not in known:
            raise ModelInvalid(
                f"The manifest of the model {manifest.name} has an unknown option, {name}.",
                hint=f"Options of {manifest.backend}: {', '.join(sorted(known))}.",
            )
        if type(value) is not known[name]:
            raise ModelInvalid(
                f"The manifest of the model {manifest.name} is wrong in options.{name}: "
                f"{value!r} is no {known[name].__name__}."
            )
    return manifest.options


def weights_of(manifest: Manifest) -> Path | None:
    """The file with the weights, verified; None where the package is to fetch them by itself.

    Raises:
        ModelInvalid: The file is another than the manifest means, or there is none
            and the manifest does not ask the package to fetch any.
    """
    if manifest.file.suffix.lower() != _MANIFEST_SUFFIX:
        digests.verify(manifest)
        return manifest.file
    if manifest.options.get("fetch") is not True:
        raise ModelInvalid(
            f"The manifest of the model {manifest.name} names no file with weights.",
            hint="Name one (file, sha256), or say options.fetch = true to have "
            f"{manifest.backend} fetch them from the internet.",
        )
    return None


def beside(manifest: Manifest, name: str) -> Path:
    """The file that an option names; a relative path is meant from the manifest's folder.

    Raises:
        ModelInvalid: It is not there, or not what options say that its sha256 is.
    """
    path = manifest.file.parent / str(manifest.options[name])
    found = digests.digest_of(path)
    if found != (said := manifest.options.get(f"{name}_sha256", found)):
        raise ModelInvalid(
            f"The file {path} is not the one that the manifest of the model {manifest.name} means: "
            f"its sha256 is {found[:12]}…, not {said[:12]}…."
        )
    return path


def device_of(manifest: Manifest, *, gpu: bool) -> str:
    """The device that the manifest asks for; by default the first GPU where there is one.

    Raises:
        ModelInvalid: It asks for a GPU, and there is none.
    """
    device = str(manifest.options.get("device", "auto"))
    if device == "auto":
        return "cuda:0" if gpu else "cpu"
    if device != "cpu" and not gpu:
        raise ModelInvalid(
            f"The manifest of the model {manifest.name} asks for the device {device}, "
            "and PyTorch finds no GPU here.",
            hint='Say options.device = "auto" or "cpu".',
        )
    return device


def watch(network: Module, manifest: Manifest) -> None:
    """Have a network (a torch module) stop with ModelFailed when what it gives is no number."""

    def look(_network: Module, _inputs: tuple[Tensor, ...], outputs: object) -> None:
        if any(bool(one.isnan().any()) for one in _numbers(outputs)):
            raise ModelFailed(
                f"The model {manifest.name} gave what is no number (NaN).",
                hint="Is the file with its weights whole, and of this very model?",
            )

    network.register_forward_hook(look)


def _numbers(outputs: object) -> Iterator[Tensor]:
    """All tensors of floats in what a network has given, however it is nested."""
    if isinstance(outputs, Mapping):
        yield from _numbers(list(outputs.values()))
    elif isinstance(outputs, list | tuple):
        for one in outputs:
            yield from _numbers(one)
    elif hasattr(outputs, "is_floating_point") and outputs.is_floating_point():
        yield outputs


@contextmanager
def loading(manifest: Manifest, package: str) -> Iterator[None]:
    """Turn whatever stops a package while it loads a model into one clear error."""
    try:
        yield
    except GrangeError:
        raise
    except Exception as error:
        said = f"{package} can't load the model {manifest.name}: {_told(error)}"
        raise ModelInvalid(said, hint="Do its file and its options belong together?") from error


@contextmanager
def running(manifest: Manifest, package: str) -> Iterator[None]:
    """Turn whatever stops a package while it runs a model into one clear error."""
    try:
        yield
    except GrangeError:
        raise
    except Exception as error:
        said = f"{package} stopped while it ran the model {manifest.name}: {_told(error)}"
        raise ModelFailed(said) from error


def _told(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    told = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return told[:_MOST_SAID]
