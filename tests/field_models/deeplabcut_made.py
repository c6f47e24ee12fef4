"""Models of DeepLabCut's with weights made at random: SuperAnimal's architectures, and projects."""

from __future__ import annotations

from pathlib import Path

import torch
from deeplabcut.core.config import ProjectConfig
from deeplabcut.pose_estimation_pytorch.config.pose import PoseConfig
from deeplabcut.pose_estimation_pytorch.models import PoseModel

SEED = 4
PARTS = ("nose", "left_ear", "right_ear", "tail_base", "front_left_paw")


def superanimal(path: Path, model: str) -> None:
    """The weights of a SuperAnimal quadruped, as the real file holds them."""
    config = PoseConfig.build_for_superanimal_inference(
        "superanimal_quadruped", model_name=model, detector_name="fasterrcnn_resnet50_fpn_v2"
    )
    _save(path, config)


def project(folder: Path, *, top_down: bool) -> Path:
    """A project's folder as after training, and its newest snapshot."""
    train = folder / "dlc-models-pytorch" / "iteration-0" / "deerMay4-trainset95shuffle1" / "train"
    train.mkdir(parents=True)
    said = ProjectConfig(
        Task="deer",
        scorer="anna",
        date="May4",
        project_path=folder,
        bodyparts=list(PARTS),
        TrainingFraction=[0.95],
        iteration=0,
    )
    said.to_yaml(folder / "config.yaml")
    config = PoseConfig.build(
        said,
        train / "pytorch_config.yaml",
        top_down=top_down,
        net_type="resnet_50",
        save=True,
    )
    _save(train / "snapshot-200.pt", config)
    return train / "snapshot-200.pt"


def _save(path: Path, config: PoseConfig) -> None:
    torch.manual_seed(SEED)
    model = PoseModel.build(config["model"])
    for name, value in model.state_dict().items():
        # What ends a head decides where it looks: with the usual small numbers, nowhere.
        if "heads" in name and name.endswith("weight"):
            value.mul_(8)
    torch.save({"model": model.state_dict(), "metadata": {"epoch": 200}}, path)
