"""Turn MegaDetector V5 (md_v5a.0.0.pt, md_v5b.0.0.pt) into an ONNX file that Grange runs.

    python megadetector_to_onnx.py md_v5a.0.0.pt md_v5a.onnx

It needs the package yolov5, whose code is in such a file, and onnx: pip install yolov5 onnx.
A .pt file can run anything when it is opened. Open only one that you trust.
"""

from __future__ import annotations

import os
import sys

import onnx
import torch
import yolov5

SIDE = 1280
OPSET = 17


def main(source: str, target: str) -> None:
    """Load the weights, and write the graph for pictures of 1280 by 1280, as many as come."""
    # The file calls YOLOv5's modules as they are called from within its folder.
    sys.path.insert(0, os.path.dirname(yolov5.__file__))
    saved = torch.load(source, map_location="cpu", weights_only=False)
    model = saved["model"].float().fuse().eval()
    head = model.model[-1]
    head.inplace, head.export = False, True
    pictures = torch.zeros(2, 3, SIDE, SIDE)
    torch.onnx.export(
        model,
        (pictures,),
        target,
        input_names=["images"],
        output_names=["output0"],
        dynamic_axes={"images": {0: "batch"}, "output0": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )
    # As YOLOv5's own export says it: so the classes need not be named when the file is added.
    graph = onnx.load(target)
    said = {"names": str(model.names), "stride": str(int(max(model.stride)))}
    onnx.helper.set_model_props(graph, said)
    onnx.save(graph, target)
    print(f"{target}: {os.path.getsize(target) / 1e6:.0f} MB, classes {model.names}")


if __name__ == "__main__":
    main(*sys.argv[1:])
