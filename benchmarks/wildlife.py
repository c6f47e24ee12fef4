"""Clips of a camera trap from files to tables and labelled videos: Grange, a cluster, Ray, Celery.

All run the same models, decoder, drawing, encoder and tables on the same frames, and what they
write is compared: what differs is how the work is organised.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import wildlifelimits
from benchmarks.broker import broker_there
from benchmarks.clips import AS_IT_COMES, clips
from benchmarks.measure import Result, Row, Target, in_child, in_turn

JSON = Any

ABOUT = """\
The models that Grange brings, on rendered clips of 640x360 at 30 frames a second, two in three
with something in them. All contestants use the same detector, classifier, pose model, decoder,
drawing, encoder, tables and plots, on the same frames; what they wrote is compared each time, and
has to be the same. So what differs is how the work is organised.

- **Grange** is timed from the request to the report: the start of its workers, its ledger, the
  manifest of outputs and the review page are part of it. The others keep no account, and their
  clock starts when their processes are up and, for Ray and Celery, have loaded all models.
- **The cluster's loop** is that of a real wildlife cluster: clips in a queue of RabbitMQ, two
  consumers of pika's with one message at a time, models loaded for each clip, two programs one
  after the other, frame by frame. The first finds and names animals and leaves a labelled video.
  The second reads the clip again, has to find the animals again, since all that the first keeps
  is pixels, and poses them. There it ran on the painted video; here on the clip, else outputs
  would differ. It posed at eight scales, too: that is the loop as it was. The rows with one scale
  are kinder to it than it was to itself; the target is held against both.
- **Ray Data** takes clips through a stage that decodes, two actors with warm models that take
  16 frames at once, and a stage that writes. **Celery** has a task for each clip on two processes
  with warm models, frame by frame.
- Their ONNX Runtime is as it comes: a thread for each core in each process, which spins while it
  waits. On two cores with two processes these get into each other's way. Whoever knows
  that says one thread: the rows of one thread show what is left of the difference then. Targets
  are held against ONNX Runtime as it comes.
- The limit is the slowest of decoding, inference and encoding by itself, in processor seconds
  spread over both cores. All three need the same cores, so that no program without another
  processor for the models can come close to it, unless its model is far larger than these: what
  can be reached is the sum, which stands in a row. With every frame analysed, which is for Grange
  alone here, more of the work is inference.
"""

WORKERS = 2
CLIPS, SECONDS = 40, 5.0
REPETITIONS = 2
# The default, which the cluster had too; then, for Grange alone, what whoever studies how animals
# move asks for.
USUAL = "5"
SAMPLES = {USUAL: "5 frames a second", "all": "every frame"}
SCALES = 8

GRANGE = "Grange"
CLUSTER = "The cluster's loop"
CLUSTER_TUNED = "The cluster's loop, one thread for each model"
CLUSTER_SCALES = "The cluster's loop, poses at its eight scales"
RAY = "Ray Data"
RAY_TUNED = "Ray Data, one thread for each model"
CELERY = "Celery"
CELERY_TUNED = "Celery, one thread for each model"

# What the pipeline's counts end in.
SECONDS_OF, LOADS_OF = "seconds", "loads"
# How far rounding may take a number that was computed in batches of another size.
SLACK = 0.011
# Below it, a pose's point may be anywhere.
SURE = 0.6


def measure(*, quick: bool = False) -> Result:
    """Compare the times, side by side."""
    number, seconds, repetitions = (2, 1.0, 1) if quick else (CLIPS, SECONDS, REPETITIONS)
    folder = clips(number, seconds)
    result = Result(
        "wildlife",
        f"Wildlife, {number} clips of {seconds:g} s, {WORKERS} workers",
        ABOUT,
    )
    for sample, named in list(SAMPLES.items())[: 1 if quick else None]:
        _measure(result, folder, sample, named, repetitions)
    return result


def _measure(result: Result, folder: Path, sample: str, named: str, repetitions: int) -> None:
    contestants = _contestants()
    with tempfile.TemporaryDirectory() as outputs:
        ready = {
            name: partial(_contest, name, module, folder, Path(outputs), (sample, *words))
            for name, (module, *words) in contestants.items()
            if sample == USUAL or name == GRANGE
        }
        # Once is enough of what takes so long.
        once = {name: ready.pop(name) for name in (CLUSTER_SCALES,) if name in ready}
        found = in_turn(ready, repetitions=repetitions) | in_turn(once, repetitions=1)
    limits = in_child("wildlifelimits", folder, sample)
    for name, answers in found.items():
        seconds = [one["seconds"] for one in answers]
        result.rows.append(Row(f"{name}, {named}", "s", seconds, 1))
    result.rows += _where_it_goes(found[GRANGE], named)
    result.rows += [
        Row(f"One clip after another: {stage}, {named}", "processor s", [spent], 1)
        for stage, spent in limits.items()
    ]
    both = sum(limits.values()) / WORKERS
    result.rows.append(Row(f"All of that over {WORKERS} cores, {named}", "s", [both], 1))
    result.targets += _targets(result, named, limits, found[GRANGE])


def _contestants() -> dict[str, tuple[str, *tuple[object, ...]]]:
    """Which there are: each a module and what it is told."""
    there: dict[str, tuple[str, *tuple[object, ...]]] = {GRANGE: ("wildlife",)}
    if broker_there() and find_spec("pika"):
        there[CLUSTER] = ("wildlifecluster", AS_IT_COMES, 1)
        there[CLUSTER_TUNED] = ("wildlifecluster", 1, 1)
        there[CLUSTER_SCALES] = ("wildlifecluster", AS_IT_COMES, SCALES)
    # Ray Data stores its blocks in Arrow's format.
    if find_spec("ray") and find_spec("pyarrow"):
        there[RAY] = ("wildliferay", AS_IT_COMES)
        there[RAY_TUNED] = ("wildliferay", 1)
    if broker_there() and find_spec("celery"):
        there[CELERY] = ("wildlifecelery", AS_IT_COMES)
        there[CELERY_TUNED] = ("wildlifecelery", 1)
    return there


def _contest(
    name: str, module: str, folder: Path, outputs: Path, words: tuple[object, ...]
) -> JSON:
    with tempfile.TemporaryDirectory() as out:
        answer = in_child(module, folder, f"{out}/out", *words)
        found = _found(Path(out, "out"), folder)
    kept = outputs / "found.json"
    if not kept.exists():
        kept.write_text(json.dumps(found))
    check_equal(json.loads(kept.read_text()), json.loads(json.dumps(found)), name)
    return answer


def run_grange(folder: str, out: str, sample: str) -> dict[str, JSON]:
    """From the request to the report; where the processors' time went, and what was loaded."""
    from grange import settings
    from grange.bootstrap import open_site
    from grange.runs.models import RunRequest

    with tempfile.TemporaryDirectory() as home:
        chosen = settings.load({"home": home})
        request = RunRequest(
            pipeline="wildlife", inputs=[folder], out=out, params={"sample_fps": sample}
        )
        with open_site(chosen) as site:
            begun = time.perf_counter()
            run = site.submit(request).run
            view = site.drive(run.id, workers=WORKERS)
            seconds = time.perf_counter() - begun
        assert view.counts.done == view.counts.total, view.counts
        spent, loads = _told(chosen.database)
    workers, own = (_processor(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    spent["workers besides"] = workers - sum(spent.values())
    return {"seconds": seconds, "loads": loads, "spent": {**spent, "ledger and report": own}}


def _told(database: str) -> tuple[dict[str, float], dict[str, int]]:
    """What attempts have counted: processor seconds by stage, and how often a model was opened."""
    from grange.db import open_database

    spent, loads = Counter[str](), Counter[str]()
    opened = open_database(database)
    with opened.read() as connection:
        rows = connection.exec_driver_sql("SELECT counts FROM attempts WHERE counts IS NOT NULL")
        for (text,) in rows:
            for name, amount in json.loads(text).items():
                what, _, unit = name.rpartition(" ")
                if unit in (SECONDS_OF, LOADS_OF):
                    (spent if unit == SECONDS_OF else loads)[what] += amount
    opened.close()
    return dict(spent), dict(loads)


def _processor(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _where_it_goes(answers: list[JSON], named: str) -> list[Row]:
    stages = answers[0]["spent"]
    return [
        Row(f"Grange: {stage}, {named}", "processor s", [one["spent"][stage] for one in answers], 1)
        for stage in stages
    ]


def _targets(
    result: Result, named: str, limits: dict[str, float], answers: list[JSON]
) -> list[Target]:
    grange = result.median(f"{GRANGE}, {named}")
    rows = {row.what: row.median for row in result.rows}
    targets = [
        Target(f"times {peer}, {named}", rows[f"{peer}, {named}"] / grange, least)
        for peer, least in ((CLUSTER_SCALES, 5), (CLUSTER, 5), (RAY, 1.3), (CELERY, 1.3))
        if f"{peer}, {named}" in rows
    ]
    slowest = max(limits[stage] for stage in wildlifelimits.ALONE) / WORKERS
    targets.append(Target(f"of the slowest stage by itself, {named}", slowest / grange, 0.85))
    loads = max(max(one["loads"].values()) for one in answers)
    targets.append(Target(f"loads of a model in a run, {named}", loads, WORKERS, at_most=True))
    return targets


# ---- whether all found the same


def _found(out: Path, folder: Path) -> dict[str, list[JSON]]:
    """Each clip's detections, as they were written."""
    found = {}
    for clip in sorted(folder.glob("*.mp4")):
        (folder_of_clip,) = out.glob(f"**/{clip.name}/")
        (image,) = json.loads((folder_of_clip / "detections.json").read_text())["images"]
        assert (folder_of_clip / "labelled.mp4").stat().st_size
        found[clip.name] = image["detections"]
    return found


def check_equal(these: dict[str, list[JSON]], those: dict[str, list[JSON]], name: str) -> None:
    """Refuse what `name` has found in each clip if it is not what was found first."""
    for clip, mine in these.items():
        for left, right in ((mine, those[clip]), (those[clip], mine)):
            missing = [one for one in left if not any(_alike(one, other) for other in right)]
            assert not missing, f"{name} found something else in {clip}: {missing[:3]}"


def _alike(one: JSON, other: JSON) -> bool:
    same = ("frame_number", "category", "track")
    if any(one.get(key) != other.get(key) for key in same) or bool(_points(one)) != bool(
        _points(other)
    ):
        return False
    return all(
        abs(left - right) < SLACK
        for left, right in zip(_numbers(one, other), _numbers(other, one), strict=True)
    )


def _numbers(one: JSON, other: JSON) -> list[float]:
    """What has to be alike; of points, those that either is sure of."""
    numbers = [one["conf"], *one["bbox"]]
    for mine, its in zip(_points(one), _points(other), strict=True):
        if max(mine[2], its[2]) >= SURE:
            numbers += mine
    return numbers


def _points(one: JSON) -> list[list[float]]:
    return one.get("keypoints") or []


if __name__ == "__main__":
    print(json.dumps(run_grange(*sys.argv[1:])))
