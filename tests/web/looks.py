"""A pipeline with a review of its own, installed as any other is, and a run of it to look at.

Its results are prepared, so that a test says what they are; the videos, pictures
and plots in them are real.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.pipelines.wildlife.looking import scene
from tests.pipelines.wildlife.looking.scene import Sample

NAME = "looks"
_MODULE = '''
"""Gives results that were prepared; each waits for its turn, where there are turns."""
import json
import os
import shutil
import time
from pathlib import Path

from grange.errors import InputUnreadable
from grange.pipelines import Parameters, Pipeline
from grange.pipelines.wildlife.looking.review import VIEWER


class Prepared(Parameters):
    folder: Path
    turns: bool = False


class LooksPipeline(Pipeline[Prepared]):
    name = "looks"
    version = "1"
    summary = "Gives results that were prepared."
    Parameters = Prepared
    review = VIEWER

    def process(self, part, params, model, work):
        let, done = params.folder / "let", params.folder / "done"
        while params.turns and len(os.listdir(let)) <= len(os.listdir(done)):
            time.sleep(0.05)
        (done / part.item.name).touch()
        record = json.loads((params.folder / "records" / f"{part.item.path}.json").read_text())
        if "failure" in record:
            raise InputUnreadable(record["failure"])
        shutil.copytree(params.folder / "outputs" / part.item.path, work.output, dirs_exist_ok=True)
        return record
'''

SAMPLES = (
    Sample(
        path="creek/deer.mp4",
        found={"1": 0.95},
        species="deer",
        taken=datetime(2026, 4, 3, 5, 12),  # noqa: DTZ001  # cameras know no zone
        individuals=2,
    ),
    Sample(
        path="creek/fox and walker.mp4",
        found={"1": 0.55, "2": 0.8},
        species="fox",
        taken=datetime(2026, 4, 4, 22, 40),  # noqa: DTZ001
    ),
    Sample(
        path="ridge/boar.mp4",
        found={"1": 0.3, "2": 0.1},
        species="boar",
        loss="The video breaks off after 3 s.",
    ),
    Sample(path="ridge/jeep.jpg", found={"3": 0.9}, still=True),
    Sample(path="ridge/wind.mp4", found={}),
    Sample(path="ridge/broken.mp4", failure="The video has no frame that can be read."),
    *(Sample(path=name, found={"1": 0.7}, species="deer", frames=5) for name in scene.ODD_NAMES),
)


@dataclass(frozen=True)
class Prepared:
    """Inputs, and what the pipeline is to give for them."""

    inputs: Path
    folder: Path

    def let(self, number: int) -> None:
        """Let one more item come to its end, the `number`th."""
        (self.folder / "let" / str(number)).touch()


def install(site: Path) -> Path:
    """Put the pipeline where Python finds it once this is in its path, as pip would."""
    about = site / f"{NAME}-1.dist-info"
    about.mkdir(parents=True)
    (site / "looks_pipeline.py").write_text(_MODULE)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        f"[grange.pipelines]\n{NAME} = looks_pipeline:LooksPipeline\n"
    )
    return site


def prepare(folder: Path, samples: Iterable[Sample] = SAMPLES) -> Prepared:
    """Write the inputs of a run, and its results."""
    prepared = Prepared(folder / "inputs", folder)
    for name in ("let", "done"):
        (folder / name).mkdir(parents=True)
    for sample in samples:
        given = prepared.inputs / sample.path
        given.parent.mkdir(parents=True, exist_ok=True)
        given.write_text(sample.path)
        results = scene.results_of(sample)
        record = folder / "records" / f"{sample.path}.json"
        record.parent.mkdir(parents=True, exist_ok=True)
        if sample.failure:
            record.write_text(json.dumps({"failure": sample.failure}))
            continue
        scene.write_item(folder / "outputs" / sample.path, sample, results)
        record.write_text(json.dumps(scene.record_of(sample, results)))
    return prepared
