"""Count tracks by camera, species and hour of day, from the tables of a wildlife run.

python examples/activity.py found/report

Needs pandas. A camera is a folder of the run's inputs. Videos that do not say when they were taken
are left out and counted.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

# A species that its sightings speak for less is unnamed.
SURE = 0.5


def activity(report: Path) -> pd.DataFrame:
    """One row for each camera and species, one column for each hour, and their sum."""
    tracks = pd.read_csv(report / "tracks.csv")
    animals = tracks[tracks["category"] == "animal"].copy()
    animals["camera"] = animals["file"].map(lambda file: str(Path(file).parent))
    confidence = pd.to_numeric(animals["species_confidence"])
    animals.loc[~(confidence >= SURE), "species"] = "unnamed"
    # The clock of the camera, whatever its zone.
    animals["hour"] = pd.to_numeric(animals["start_datetime"].str.slice(11, 13))
    without = int(animals["hour"].isna().sum())
    if without:
        print(f"Without a time, and left out: {without}.", file=sys.stderr)
    dated = animals.dropna(subset="hour").astype({"hour": int})
    counts = dated.pivot_table(
        index=["camera", "species"], columns="hour", values="track", aggfunc="count", fill_value=0
    )
    counts["all"] = counts.sum(axis="columns")
    return counts


if __name__ == "__main__":
    print(activity(Path(sys.argv[1])).to_string())
