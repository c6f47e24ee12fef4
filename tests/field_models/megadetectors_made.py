"""MegaDetectors with weights made at random: the architectures that are published, or smaller ones.

Files are as the real ones are: whole pickled models for what YOLOv5 and Ultralytics run, states
for the others. Biases are raised, so that nets which have learnt nothing find something.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

NAMES = {0: "animal", 1: "person", 2: "vehicle"}
SEED = 4

RTDETR = "rtdetr"
# As in the published one, a decoder stands on three scales; what is below it is larger there.
RTDETR_CONFIG = """\
nc: 3
backbone:
  - [-1, 1, Conv, [16, 3, 4]]
  - [-1, 1, Conv, [32, 3, 2]]
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, Conv, [64, 3, 2]]
head:
  - [[2, 3, 4], 1, RTDETRDecoder, [nc, 64, 100]]
"""

# The published one is of the same kind, with more layers.
MIT_CONFIG = """\
image_size: [640, 640]
task: {data: {source: ""}, nms: {min_confidence: 0.1, min_iou: 0.5, max_bbox: 300}}
model:
  name: v9-tiny
  anchor: {reg_max: 16, strides: [8, 16, 32]}
  model:
    backbone:
      - Conv: {args: {out_channels: 8, kernel_size: 3, stride: 2}, source: 0}
      - Conv: {args: {out_channels: 16, kernel_size: 3, stride: 2}}
      - Conv: {args: {out_channels: 32, kernel_size: 3, stride: 2}, tags: B3}
      - Conv: {args: {out_channels: 32, kernel_size: 3, stride: 2}, tags: B4}
      - Conv: {args: {out_channels: 32, kernel_size: 3, stride: 2}, tags: B5}
    head:
      - MultiheadDetection: {source: [B3, B4, B5], tags: Main, output: true}
"""


def v5(path: Path) -> None:
    """A small YOLOv5 with four heads, pickled as MegaDetector V5 is."""
    import yolov5

    root = os.path.dirname(yolov5.__file__)
    sys.path.insert(0, root)  # the real file names its classes as they are called from there
    from models.yolo import DetectionModel

    torch.manual_seed(SEED)
    model = DetectionModel(os.path.join(root, "models/hub/yolov5n6.yaml"), nc=len(NAMES))
    head = model.model[-1]
    for layer in head.m:
        bias = layer.bias.data.view(head.na, -1)
        bias[:, 4] += 4.5
        bias[:, 5:] = torch.randn(bias[:, 5:].shape)
    model.names = NAMES
    _spread(model)
    torch.save({"model": model.half(), "epoch": -1}, path)


def ultralytics(path: Path, config: str) -> None:
    """A model of Ultralytics's, pickled as MegaDetector V6 is."""
    import ultralytics as package
    from ultralytics.nn import tasks

    torch.manual_seed(SEED)
    kind = tasks.DetectionModel
    if config == RTDETR:
        kind, written = tasks.RTDETRDetectionModel, path.with_name("rtdetr-tiny.yaml")
        written.write_text(RTDETR_CONFIG)
        config = str(written)
    model = kind(config, nc=len(NAMES), verbose=False)
    for part in ("cv3", "one2one_cv3"):
        for layers in getattr(model.model[-1], part, None) or ():
            layers[-1].bias.data = torch.randn(layers[-1].bias.shape) - 2
    model.names, model.task = NAMES, "detect"
    model.args = {"task": "detect", "imgsz": 1280, "model": config}
    _spread(model)
    saved = {"model": model, "train_args": model.args, "epoch": -1, "date": ""}
    torch.save(saved | {"version": package.__version__}, path)


def apache(path: Path) -> None:
    """The RT-DETR of MDV6-apa-rtdetr-c, as its state."""
    from PytorchWildlife.models.detection.rtdetr_apache import rtdetr_apache_base as base

    torch.manual_seed(SEED)
    configs = base.project_root / "rtdetrv2_pytorch" / "configs" / "rtdetrv2"
    said = configs / "rtdetrv2_r18vd_120e_megadetector.yml"
    model = base.YAMLConfig(str(said), PResNet={"pretrained": False}).model
    for name, value in model.state_dict().items():
        if "score_head" in name and name.endswith("bias"):
            value.copy_(torch.randn(value.shape) - 1)
    torch.save({"model": model.state_dict()}, path)


def mit(path: Path) -> None:
    """A tiny YOLO of the MIT kind, as its state, with the YAML file that describes it."""
    from omegaconf import OmegaConf
    from PytorchWildlife.models.detection.yolo_mit import yolo_mit_base as base

    torch.manual_seed(SEED)
    path.with_suffix(".yaml").write_text(MIT_CONFIG)
    config = OmegaConf.create(MIT_CONFIG)
    model = base.create_model(config.model, weight_path=False, class_num=len(NAMES))
    for name, value in model.model.state_dict().items():
        if name.endswith("class_conv.2.bias"):
            value.copy_(torch.randn(value.shape) - 2)
    state = {f"model.model.{name}": value for name, value in model.model.state_dict().items()}
    torch.save({"state_dict": state}, path)


def _spread(model: torch.nn.Module) -> None:
    """Have a net that has learnt nothing give different answers in different places."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.mul_(1.6)
