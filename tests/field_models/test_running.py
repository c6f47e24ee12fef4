"""`grange run wildlife` with a model of another package, from the command line to the results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from tests.field_models.manifests import manifest_of

QUADRUPED = 'superanimal = "superanimal_quadruped"\nmodel = "rtmpose_s"\ndevice = "cpu"'
APACHE = 'model = "MDV6-apa-rtdetr-c"\ndevice = "cpu"'


def _manifest(folder: Path) -> tuple[str, Path]:
    """The parameter and the manifest of a model of the package that is installed here."""
    if find_spec("deeplabcut"):
        from tests.field_models import deeplabcut_made

        deeplabcut_made.superanimal(folder / "quadruped.pt", "rtmpose_s")
        keypoints = json.dumps(_keypoints())
        more = f"keypoints = {keypoints}"
        weights = folder / "quadruped.pt"
        manifest_of(weights, "deeplabcut", "pose", options=QUADRUPED, more=more)
        return "pose", folder / "quadruped.toml"
    from tests.field_models import megadetectors_made

    megadetectors_made.apache(folder / "apache.pth")
    manifest_of(folder / "apache.pth", "pytorch-wildlife", "detector", options=APACHE)
    return "detector", folder / "apache.toml"


def _keypoints() -> list[str]:
    from deeplabcut.pose_estimation_pytorch.config.pose import PoseConfig

    config = PoseConfig.build_for_superanimal_inference(
        "superanimal_quadruped", model_name="rtmpose_s", detector_name="fasterrcnn_resnet50_fpn_v2"
    )
    return list(config["metadata"]["bodyparts"])


def test_a_run_finds_and_measures_with_it(
    home: Path, folder: Path, scenes: list[np.ndarray], tmp_path: Path
) -> None:
    """A run with such a model ends well, and its results name the model and hold its answers."""
    (tmp_path / "in").mkdir()
    for number, pixels in enumerate(scenes[:2]):
        Image.fromarray(pixels).save(tmp_path / "in" / f"scene{number}.png")
    parameter, manifest = _manifest(folder)
    # What the shipped detector finds in such pictures is little; every box gets a pose.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "grange", "run", "wildlife", "in", "--out", "out"),
            *("--workers", "1", "--set", f"{parameter}={manifest}", "--set", "classifier=none"),
            *("--set", "threshold=0.001", "--set", "label_threshold=0.001"),
        ],
        cwd=tmp_path,
        env={**os.environ, "GRANGE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    results = json.loads((tmp_path / "out" / "scene0.png" / "detections.json").read_text())
    found = results["images"][0]["detections"]

    assert manifest.stem in json.dumps(results["info"])
    assert len(found) > 0
    if parameter == "pose":
        assert "front_left_thai" in json.dumps(results)
