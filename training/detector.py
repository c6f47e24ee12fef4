"""Training of the reference detector."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.data import Array, Rendered
from training.fitting import Jitter, Plan, fit, quickly
from training.networks import Detector
from training.scenes import CATEGORIES

INPUT = (192, 320)  # height, width
PAD = 6  # rows above and below a picture of 16:9
MOST = 10  # bodies in a frame
GREY = 114 / 255


def train(rendered: Rendered, plan: Plan) -> Detector:
    """Train a detector; the same data and steps give the same model on the same machine."""
    torch.manual_seed(7)
    rng = np.random.default_rng(7)
    jitter, truth = Jitter(rng), _by_frame(rendered)

    def loss(network: nn.Module, rows: Array) -> Tensor:
        pictures, bodies = _augmented(rendered.frames[rows], truth[rows], rng)
        return _loss(network, jitter(pictures), bodies)

    network: Detector = fit(Detector(INPUT, len(CATEGORIES)), len(truth), plan, loss)
    network.raw = False
    return network


def _by_frame(rendered: Rendered) -> Array:
    """Return [frames, MOST, 6]: category (-1: nobody), corners in small pixels, whether counted."""
    truth = np.zeros((len(rendered.frames), MOST, 6), np.float32)
    truth[..., 0] = -1
    filled = np.zeros(len(truth), np.int64)
    for frame, category, left, top, width, height, counted in rendered.boxes:
        at = int(frame)
        if filled[at] < MOST:
            corners = (left / 2, top / 2, (left + width) / 2, (top + height) / 2)
            truth[at, filled[at]] = (category, *corners, counted)
            filled[at] += 1
    return truth


def _augmented(frames: Array, truth: Array, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return pictures of the input's size, shifted, scaled and mirrored, and their truth."""
    count = len(frames)
    height, width = INPUT
    pictures = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    zoom = np.exp(rng.uniform(np.log(0.7), np.log(1.35), count)).astype(np.float32)
    plain = rng.random(count) < 0.4
    zoom[plain] = 1.0
    shift = rng.uniform(-0.18, 0.18, (count, 2)).astype(np.float32) * (width, height)
    shift[plain] = 0
    shift[plain, 1] = rng.integers(-PAD, PAD + 1, int(plain.sum()))
    mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0).astype(np.float32)
    # Where each pixel of the input comes from in the frame, both in -1..1.
    theta = np.zeros((count, 2, 3), np.float32)
    theta[:, 0, 0] = mirror / zoom
    theta[:, 1, 1] = height / frames.shape[1] / zoom
    theta[:, 0, 2] = -mirror * shift[:, 0] * 2 / width / zoom
    theta[:, 1, 2] = -shift[:, 1] * 2 / frames.shape[1] / zoom
    places = functional.affine_grid(
        torch.from_numpy(theta), [count, 3, height, width], align_corners=False
    )
    moved = functional.grid_sample(pictures - GREY, places, align_corners=False) + GREY
    bodies = truth.copy()
    middle = np.array([frames.shape[2] / 2, frames.shape[1] / 2], np.float32)
    for first in (1, 3):
        corner = (truth[..., first : first + 2] - middle) * zoom[:, None, None]
        corner[..., 0] *= mirror[:, None]
        bodies[..., first : first + 2] = corner + shift[:, None] + (width / 2, height / 2)
    left, right = bodies[..., 1].copy(), bodies[..., 3].copy()
    bodies[..., 1], bodies[..., 3] = np.minimum(left, right), np.maximum(left, right)
    return moved, torch.from_numpy(_cropped(bodies))


def _cropped(bodies: Array) -> Array:
    """Cut boxes at the picture's edge; what loses most of itself no longer counts."""
    height, width = INPUT
    before = (bodies[..., 3] - bodies[..., 1]) * (bodies[..., 4] - bodies[..., 2])
    bodies[..., 1:4:2] = bodies[..., 1:4:2].clip(0, width)
    bodies[..., 2:5:2] = bodies[..., 2:5:2].clip(0, height)
    sides = bodies[..., 3:5] - bodies[..., 1:3]
    small = (sides.max(-1) < 8) | (sides.prod(-1) < 0.35 * before)
    bodies[..., 5][small] = 0
    bodies[..., 0][sides.min(-1) < 1] = -1
    return bodies


def _loss(network: nn.Module, pictures: Tensor, bodies: Tensor) -> Tensor:
    raw = quickly(network, pictures)
    left_top, right_bottom = network.corners(raw[:, :4])
    boxes = torch.cat((left_top, right_bottom), 1).transpose(1, 2)
    scores = raw[:, 4:].transpose(1, 2)
    with torch.no_grad():
        target, owner, weight = assign(
            network.points[0].T, boxes.detach(), scores.detach().sigmoid(), bodies
        )
    of_scores = functional.binary_cross_entropy_with_logits(scores, target, reduction="none")
    total = target.sum().clamp(min=1.0)
    wrong = (of_scores * weight[..., None]).sum() / total
    chosen = target.sum(-1) > 0
    if chosen.any():
        wanted = torch.gather(bodies[..., 1:5], 1, owner[..., None].expand(-1, -1, 4))[chosen]
        share = target[chosen].sum(-1)
        wrong = (
            wrong + 5.0 * ((1 - overlap(boxes[chosen], wanted, general=True)) * share).sum() / total
        )
    return wrong


def assign(
    points: Tensor, boxes: Tensor, scores: Tensor, bodies: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Choose for each body the cells that find it best already.

    Returns what each cell should say of each class, whose cell it is, and whether the cell
    counts: those within a body that nobody is asked for do not.
    """
    corners, category = bodies[..., 1:5], bodies[..., 0]
    asked = (category >= 0) & (bodies[..., 5] > 0)
    away = torch.cat(
        (points[None, None] - corners[..., None, :2], corners[..., None, 2:] - points[None, None]),
        -1,
    )
    inside = away.amin(-1) > 0
    likeness = overlap(boxes[:, None], corners[:, :, None]).clamp(min=0)
    named = torch.gather(
        scores[:, None].expand(-1, bodies.shape[1], -1, -1),
        3,
        category.clamp(min=0).long()[..., None, None].expand(-1, -1, scores.shape[1], 1),
    )[..., 0]
    merit = (
        named.sqrt() * likeness**4 * inside * asked[..., None] + 1e-9 * inside * asked[..., None]
    )
    best = merit.topk(9, dim=-1)
    chosen = torch.zeros_like(merit).scatter(-1, best.indices, 1.0) * (merit > 0)
    # A cell that two bodies want goes to the one that it finds better.
    owner = (likeness * chosen + chosen * 1e-6).argmax(1)
    mine = functional.one_hot(owner, bodies.shape[1]).transpose(1, 2) * chosen
    merit, likeness = merit * mine, likeness * mine
    scale = likeness.amax(-1, keepdim=True) / merit.amax(-1, keepdim=True).clamp(min=1e-12)
    quality = (merit * scale).amax(1).clamp(0, 1) * (mine.sum(1) > 0)
    kind = torch.gather(category.clamp(min=0).long(), 1, owner)
    target = functional.one_hot(kind, scores.shape[-1]) * quality[..., None]
    passed_over = (inside & (category >= 0)[..., None] & ~asked[..., None]).any(1)
    weight = (~passed_over | (quality > 0)).float()
    return target, owner, weight


def overlap(first: Tensor, second: Tensor, *, general: bool = False) -> Tensor:
    """Return intersection over union; `general` also tells boxes apart that do not touch."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    common = (high - low).clamp(min=0).prod(-1)
    sizes = [(box[..., 2:] - box[..., :2]).clamp(min=0).prod(-1) for box in (first, second)]
    union = sizes[0] + sizes[1] - common + 1e-7
    if not general:
        return common / union
    low = torch.minimum(first[..., :2], second[..., :2])
    high = torch.maximum(first[..., 2:], second[..., 2:])
    hull = (high - low).clamp(min=0).prod(-1) + 1e-7
    return common / union - (hull - union) / hull
