"""The model card: what the reference models are, how good, and what they are not for."""

from __future__ import annotations

import tomllib
from pathlib import Path

from training.data import LEAST_AREA, LEAST_VISIBLE
from training.evaluate import Measured
from training.history import recorded
from training.scenes import CATEGORIES, KEYPOINTS, SPECIES

Speeds = dict[str, tuple[float, float]]


def text(folder: Path, measured: Measured, speeds: Speeds) -> str:
    """Return the card of the models in a folder."""
    return (
        "\n\n".join(
            (
                _purpose(),
                _files(folder, speeds),
                _data(),
                _detection(folder, measured),
                _poses(measured),
                _species(measured),
                _training(folder),
            )
        )
        + "\n"
    )


def _purpose() -> str:
    return """\
# The reference models

A detector, a classifier and a pose model that come with Grange, so that the wildlife pipeline can
be tried and tested on any machine, without a download.

**They are for demonstration and tests only.** All that they know is drawn by a program: five kinds
of synthetic animals, people and cars before synthetic landscapes. On the pictures of a real camera
they find little and mistake much. Never draw a conclusion about real animals from them.

In the field, use models that were made for it:

- To find animals, people and vehicles: MegaDetector, version 5 or v1000, exported to ONNX and added
  with `grange models add`; or MegaDetector V5 or V6 by the package PytorchWildlife (extra
  `wildlife-pytorch`).
- To tell species apart: SpeciesNet, or a classifier that was trained for your region, as ONNX.
- For poses: SuperAnimal or your own project's model by DeepLabCut (extra `wildlife-deeplabcut`), or
  any ONNX model with heatmap or SimCC heads.

Their licences and their limits are their makers' to say; read them first. The models here are
under Apache-2.0, as Grange is."""


def _table(head: str, rows: list[str]) -> str:
    columns = head.count("|") - 1
    return "\n".join((head, f"|{'---|' * columns}", *rows))


def _files(folder: Path, speeds: Speeds) -> str:
    rows = []
    for task in ("detector", "classifier", "pose"):
        facts = tomllib.loads((folder / f"{task}.toml").read_text())
        height, width = facts["input"]
        size = (folder / facts["file"]).stat().st_size / 1e6
        one, eight = speeds[task]
        rows.append(
            f"| {facts['file']} | {facts['layout']} | {width} × {height} | {size:.1f} MB "
            f"| {one:.1f} ms | {eight:.1f} ms |"
        )
    return f"""\
## Files

Times are for one picture on one thread of the machine that measured, alone and in a batch of
eight.

{_table("| file | layout | input | size | one | of eight |", rows)}"""


def _data() -> str:
    kinds = f"{', '.join(SPECIES[:-1])} and {SPECIES[-1]}"
    return f"""\
## Data

`training/scenes` renders meadows, woods, moors, snow and dry land by day, at dusk and at night
(infra-red), at 640 × 360 with a trail camera's banner and noise. In them {kinds}
walk, trot, stand and graze, people walk, and cars drive. Trunks, bushes, rocks and grass hide
parts of them. The models learn from 2000 scenes of three moments each. What follows is measured
on other scenes, from seeds that no training has seen, one moment each.

They are unseen by training, but not untouched: scores on them were looked at between the stages
below, and helped to decide how many there are and which thresholds the manifests name. During that
work the least size of people in all scenes, these included, was raised to 14% of the picture's
height, which makes them easier to find. `tests/training` looks at further scenes, of other seeds,
and holds the models to somewhat lower limits there: 0.86 for the detector, 0.82 for poses.

A body counts if at least {LEAST_VISIBLE:.0%} of it shows and its box covers {LEAST_AREA} pixels
or more (20 × 20). Finding a lesser one is neither right nor wrong."""


def _detection(folder: Path, measured: Measured) -> str:
    facts = tomllib.loads((folder / "detector.toml").read_text())
    thresholds = [facts[f"{which}_threshold"] for which in ("typical", "conservative")]
    rows = []
    for name in CATEGORIES:
        curve = measured.curves[name]
        points = [curve.at(threshold) for threshold in thresholds]
        cells = [f"{precision:.3f} / {recall:.3f}" for precision, recall in points]
        rows.append(
            f"| {name} | {measured.bodies[name]} | {curve.average:.3f} | {' | '.join(cells)} |"
        )
    head = (
        f"| class | bodies | AP@0.5 | precision / recall at {thresholds[0]} | at {thresholds[1]} |"
    )
    return f"""\
## Detection

Mean average precision at an overlap of 0.5, over {measured.frames} frames:
**{measured.mean_average_precision:.3f}** (all-point interpolation).

{_table(head, rows)}"""


def _poses(measured: Measured) -> str:
    shares = zip(KEYPOINTS, measured.keypoints, strict=True)
    rows = [f"| {name} | {share:.3f} |" for name, share in shares]
    return f"""\
## Poses

A keypoint is right if it is off by at most a tenth of the longer side of its animal's box
(PCK@0.1). Only visible keypoints are counted. One that the body itself, a trunk or another animal
hides is still given a place, with a confidence that should lie below about 0.4, and is not counted.

With the boxes of the truth: **{measured.true_boxes:.3f}**. With the detector's boxes, for the
{1 - measured.missed:.1%} of the animals that it finds: **{measured.found_boxes:.3f}**.

{_table("| keypoint | PCK@0.1 |", rows)}

Names are those of SuperAnimal's quadruped; a knee is the joint in the middle of the leg, which is
the hock behind."""


def _species(measured: Measured) -> str:
    rows = [
        f"| {name} | {' | '.join(str(count) for count in row)} |"
        for name, row in zip(SPECIES, measured.confusion, strict=True)
    ]
    return f"""\
## Species

Right for **{measured.top1:.1%}** of the animals, in the boxes of the truth. Rows are true, columns
are what the model says:

{_table(f"| | {' | '.join(SPECIES)} |", rows)}"""


def _training(folder: Path) -> str:
    rows = [
        f"| {task} | {number} | {stage.steps} of {stage.planned} | {stage.batch} | {stage.rate} "
        f"| {stage.processes} | {stage.note} |"
        for task, stages in recorded(folder).items()
        for number, stage in enumerate(stages, start=1)
    ]
    head = "| model | stage | steps | pictures a step | highest rate | processes | note |"
    return f"""\
## Training

`make train` renders the data, trains the three models on the processor, exports them to ONNX
(opset 17), checks that ONNX Runtime computes what PyTorch does, writes the manifests with the
files' checksums, and writes this card. The networks are plain convolutions with residual blocks,
half a million weights each or fewer; see `training/networks.py`. These files were made in the
stages below, each from the weights of the one before (`--from`). Seeds are fixed, but sums over
several threads or processes differ in their last digits, so that training again gives models that
are as good, and not the same bytes.

{_table(head, rows)}"""
