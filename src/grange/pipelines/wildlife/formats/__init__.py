"""The dialects in which results are exchanged."""

from typing import Final

# What `grange export --to` knows of wildlife's results.
EXPORTS: Final = (
    *("md", "timelapse", "csv", "camtrap-dp", "coco-ct", "coco-keypoints", "dlc-csv", "dlc-h5"),
)
# What all exports are made of, in the folder of a run's outputs.
RESULTS: Final = "report/detections.json"
