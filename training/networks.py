"""The three networks: plain convolutions, small enough for one core of an old laptop."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STRIDES = (8, 16, 32)


def conv(inner: int, outer: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Return a convolution with its normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outer),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, width: int) -> None:
        """Make a block for so many channels."""
        super().__init__()
        self.body = nn.Sequential(conv(width, width), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return what came in, and what the block adds."""
        return x + self.body(x)


class Detector(nn.Module):
    """Boxes without anchors at strides 8, 16 and 32.

    In training it returns raw distances to the four sides and raw scores, channels first; else
    the YOLOv8 layout: centre, width and height in pixels, and a score for each class.
    """

    def __init__(self, size: tuple[int, int], classes: int) -> None:
        """Make a detector for pictures of `size` (height, width)."""
        super().__init__()
        self.stem = nn.Sequential(conv(3, 32, 4, 7), conv(32, 48, 2), Residual(48))
        self.middle = nn.Sequential(conv(48, 80, 2), Residual(80))
        self.deep = nn.Sequential(conv(80, 96, 2), Residual(96))
        self.side = nn.ModuleList(nn.Conv2d(width, 48, 1) for width in (48, 80, 96))
        self.smooth = nn.ModuleList(conv(48, 48) for _ in STRIDES)
        self.head = conv(48, 48)
        self.boxes = nn.Conv2d(48, 4, 1)
        self.scores = nn.Conv2d(48, classes, 1)
        nn.init.constant_(self.scores.bias, -4.6)
        nn.init.constant_(self.boxes.bias, 0.7)
        self.raw = True
        points, strides = grid(size)
        self.register_buffer("points", points, persistent=False)
        self.register_buffer("strides", strides, persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return [N, 4 + classes, anchors]."""
        near = self.stem(pictures)
        middle = self.middle(near)
        deep = self.deep(middle)
        third = self.side[2](deep)
        second = self.side[1](middle) + nn.functional.interpolate(third, scale_factor=2.0)
        first = self.side[0](near) + nn.functional.interpolate(second, scale_factor=2.0)
        found = []
        for level, smooth in zip((first, second, third), self.smooth, strict=True):
            seen = self.head(smooth(level))
            found.append(torch.cat((self.boxes(seen), self.scores(seen)), 1).flatten(2))
        raw = torch.cat(found, 2)
        if self.raw:
            return raw
        left_top, right_bottom = self.corners(raw[:, :4])
        middle_point, extent = (left_top + right_bottom) / 2, right_bottom - left_top
        return torch.cat((middle_point, extent, raw[:, 4:].sigmoid()), 1)

    def corners(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return left top and right bottom, in pixels, from raw distances."""
        sides = raw.clamp(-6, 6).exp() * self.strides
        return self.points - sides[:, :2], self.points + sides[:, 2:]


def grid(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the middles of all cells as [1, 2, anchors], and their strides."""
    points, strides = [], []
    for stride in STRIDES:
        rows, columns = size[0] // stride, size[1] // stride
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        points.append((torch.stack((x, y)).flatten(1) + 0.5) * stride)
        strides.append(torch.full((1, rows * columns), float(stride)))
    return torch.cat(points, 1)[None], torch.cat(strides, 1)[None]


class Pose(nn.Module):
    """A heatmap of a quarter of the crop's size for each keypoint."""

    def __init__(self, keypoints: int) -> None:
        """Make a network for so many keypoints."""
        super().__init__()
        self.first = nn.Sequential(conv(3, 32, 4, 7), Residual(32))
        self.second = nn.Sequential(conv(32, 64, 2), Residual(64))
        self.third = nn.Sequential(conv(64, 80, 2), Residual(80))
        self.fourth = nn.Sequential(conv(80, 80, 2), Residual(80))
        self.up3 = nn.Sequential(conv(80 + 80, 64, kernel=1), conv(64, 64))
        self.up2 = nn.Sequential(conv(64 + 64, 64, kernel=1), conv(64, 64))
        self.up1 = nn.Sequential(conv(64 + 32, 64, kernel=1), conv(64, 64))
        self.heat = nn.Conv2d(64, keypoints, 1)
        nn.init.constant_(self.heat.bias, -2.0)
        self.raw = True

    def forward(self, crops: Tensor) -> Tensor:
        """Return [N, keypoints, height / 4, width / 4]; peaks of 0..1 but in training."""
        first = self.first(crops)
        second = self.second(first)
        third = self.third(second)
        deep = self.fourth(third)
        deep = self.up3(torch.cat((_double(deep), third), 1))
        deep = self.up2(torch.cat((_double(deep), second), 1))
        deep = self.up1(torch.cat((_double(deep), first), 1))
        heat = self.heat(deep)
        return heat if self.raw else heat.sigmoid()


def _double(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2.0)


class Classifier(nn.Module):
    """A logit for each species."""

    def __init__(self, classes: int) -> None:
        """Make a network for so many classes."""
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 32, 4, 7),
            conv(32, 48, 2),
            Residual(48),
            conv(48, 80, 2),
            Residual(80),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(80, classes),
        )

    def forward(self, crops: Tensor) -> Tensor:
        """Return [N, classes]."""
        return self.body(crops)
