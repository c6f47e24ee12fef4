"""All dialects that results are written in: what each takes, and what writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from grange.errors import ExportRefused
from grange.pipelines.wildlife.formats import (
    RESULTS,
    camtrap,
    coco_ct,
    coco_keypoints,
    dlc,
    md,
    naming,
    tables,
)
from grange.pipelines.wildlife.results import Media, Results
from grange.storage import check_path

PCUTOFF: Final = 0.6
_MOST_GAP_SECONDS: Final = 86_400.0

Write = Callable[[Results, Iterable[Media], Path, "Options"], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Options:
    """What the formats take besides the results."""

    # Detections below it are left out; None is what is usual for the format.
    threshold: float | None = None
    # Keypoints below it count as hidden.
    pcutoff: float = PCUTOFF
    camtrap: camtrap.Wanted = field(default_factory=camtrap.Wanted)


@dataclass(frozen=True, slots=True)
class Dialect:
    """A format: what it takes besides `threshold`, and whether it is for sure detections only."""

    write: Write
    options: tuple[str, ...] = ()
    sure_only: bool = False


class _Sure:
    """The items of a file with those detections alone that are sure enough, read each time."""

    def __init__(self, media: Iterable[Media], threshold: float) -> None:
        self._media = media
        self._threshold = threshold

    def __iter__(self) -> Iterator[Media]:
        return naming.every_above(self._media, self._threshold)


def export(dialect: str, results: Path, target: Path, options: Mapping[str, str]) -> Sequence[str]:
    """Write a run's results into the folder `target`; returns remarks for people.

    Args:
        dialect: One of `formats.EXPORTS`.
        results: The folder of the run's outputs.
        target: An empty folder.
        options: What was said on the command line, by name.

    Raises:
        ExportRefused: The format demands what nobody has said, or an option makes no sense.
    """
    known = DIALECTS[dialect]
    wanted = parse_options(options, takes=("threshold", "template", *known.options))
    file = results / RESULTS
    if not file.is_file():
        raise ExportRefused(
            "The run has no report yet, which its exports are made of.",
            hint="Wait until it has ended; if it has, see why its report failed: grange runs show",
        )
    found = md.ResultsFile(file)
    threshold = wanted.threshold
    if threshold is None:
        threshold = found.head.source.typical_threshold if known.sure_only else 0.0
    return known.write(found.head, _Sure(found, threshold), target, wanted)


def parse_options(given: Mapping[str, str], *, takes: Iterable[str]) -> Options:
    """What was said, checked.

    Raises:
        ExportRefused: An option is unknown to the format, or makes no sense.
    """
    unknown = sorted(set(given) - set(takes))
    if unknown:
        raise ExportRefused(f"This format takes no {unknown[0]}.", hint="See: grange export --help")
    level = given.get("level", camtrap.MEDIA_LEVEL)
    if level not in camtrap.LEVELS:
        raise ExportRefused(f"There is no level {level!r}.", hint="There are: media, event.")
    wanted = camtrap.Wanted(
        deployments=_path(given, "deployments"),
        times=_path(given, "times"),
        taxa=_path(given, "taxa"),
        project=_path(given, "project"),
        level=level,
        template=given.get("template", ""),
    )
    if "event_gap" in given:
        seconds = _number(given, "event_gap", _MOST_GAP_SECONDS)
        wanted = replace(wanted, gap=timedelta(seconds=seconds))
    return Options(
        threshold=_number(given, "threshold", 1.0) if "threshold" in given else None,
        pcutoff=_number(given, "pcutoff", 1.0) if "pcutoff" in given else PCUTOFF,
        camtrap=wanted,
    )


def _path(given: Mapping[str, str], name: str) -> Path | None:
    return Path(given[name]) if given.get(name) else None


def _number(given: Mapping[str, str], name: str, most: float) -> float:
    try:
        found = float(given[name])
    except ValueError:
        found = -1.0
    # Not a number compares with nothing.
    if not 0 <= found <= most:
        raise ExportRefused(f"{name} {given[name]!r} is no number from 0 to {most:g}.")
    return found


# ---- the writers


def _md(head: Results, media: Iterable[Media], target: Path, _: Options) -> Sequence[str]:
    md.write_run(target / "detections.json", head, media)
    return ()


def _timelapse(head: Results, media: Iterable[Media], target: Path, _: Options) -> Sequence[str]:
    md.write_run(target / "timelapse.json", head, media, plain=True)
    return ()


def _csv(head: Results, media: Iterable[Media], target: Path, options: Options) -> Sequence[str]:
    tables.write_detections(target / "detections.csv", head, media)
    tables.write_tracks(target / "tracks.csv", head, media)
    tables.write_summary(target / "summary.csv", head, media)
    threshold = options.threshold
    typical = head.source.typical_threshold if threshold is None else threshold
    tables.write_megadetector(target / "megadetector.csv", head, media, typical)
    return ()


def _coco_ct(head: Results, media: Iterable[Media], target: Path, _: Options) -> Sequence[str]:
    coco_ct.write_coco_ct(target / "coco_camera_traps.json", head, media)
    return ()


def _keypoints(
    head: Results, media: Iterable[Media], target: Path, options: Options
) -> Sequence[str]:
    path = target / "coco_keypoints.json"
    coco_keypoints.write_coco_keypoints(path, head, media, options.pcutoff)
    return ()


def _camtrap(
    head: Results, media: Iterable[Media], target: Path, options: Options
) -> Sequence[str]:
    return camtrap.write_camtrap(target, head, media, options.camtrap)


def _dlc_csv(head: Results, media: Iterable[Media], target: Path, _: Options) -> Sequence[str]:
    return _dlc(head, media, target, (dlc.write_csv, ".csv"))


def _dlc_h5(head: Results, media: Iterable[Media], target: Path, _: Options) -> Sequence[str]:
    return _dlc(head, media, target, (dlc.write_h5, ".h5"))


def _dlc(
    head: Results,
    media: Iterable[Media],
    target: Path,
    how: tuple[Callable[[Path, Results, Media], None], str],
) -> Sequence[str]:
    write, suffix = how
    stems, scorer, without = dlc.Stems(), dlc.scorer_of(head), 0
    for one in media:
        if not dlc.has_poses(one):
            without += 1
            continue
        # The results may come from a server: what they call a file must not lead elsewhere.
        folder = target / naming.folder_of(check_path(one.file))
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"{stems.of(one.file)}{scorer}{suffix}", head, one)
    if not any(target.iterdir()):
        raise ExportRefused(
            "No video of this run has poses, which are all that DeepLabCut's tables hold.",
            hint="Poses of pictures are in: grange export --to coco-keypoints",
        )
    return [f"{without:,} items have no poses in a video, and so no file"] if without else []


_FILES: Final = ("deployments", "times", "taxa", "project")
DIALECTS: Final[Mapping[str, Dialect]] = {
    "md": Dialect(_md),
    "timelapse": Dialect(_timelapse),
    "csv": Dialect(_csv),
    "camtrap-dp": Dialect(_camtrap, (*_FILES, "level", "event_gap"), sure_only=True),
    "coco-ct": Dialect(_coco_ct, sure_only=True),
    "coco-keypoints": Dialect(_keypoints, ("pcutoff",), sure_only=True),
    "dlc-csv": Dialect(_dlc_csv),
    "dlc-h5": Dialect(_dlc_h5),
}
