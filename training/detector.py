"""Training of the reference detector."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from training.data import Array, Rendered
from training.fitting import Lesson, Plan, fit, quickly
from training.networks import Detector
from training.scenes import CATEGORIES

INPUT = (192, 320)  # height, width
PAD = 6  # rows above and below a picture of 16:9
MOST = 10  # bodies in a frame
GREY = (114, 114, 114)
LARGEST = (56, 120)  # the longest side that is found at the strides 8 and 16, in pixels


def train(rendered: Rendered, plan: Plan) -> Detector:
    """Train a detector; the same data and steps give the same model on the same machine."""
    torch.manual_seed(7)
    rng = np.random.default_rng(plan.seed)
    truth = _by_frame(rendered)
    # People and vehicles are rarer than animals: what shows them comes up twice as often.
    rare = np.flatnonzero((truth[..., 0] > 0).any(1))
    often = np.concatenate((np.arange(len(truth)), rare))

    def prepare(rows: Array) -> tuple[Tensor, Tensor]:
        chosen = often[rows]
        return _augmented(rendered.frames[chosen], truth[chosen], rng)

    network: Detector = fit(
        Detector(INPUT, len(CATEGORIES)), len(truth), plan, Lesson(prepare, _loss)
    )
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
    """Return pictures of the input's size, shifted, scaled, mirrored and relit, and their truth."""
    height, width = INPUT
    laid, bodies = [], truth.copy()
    for frame, rows in zip(frames, bodies, strict=True):
        picture = _relit(Image.fromarray(frame), rng)
        zoom, left, top = 1.0, 0, int(rng.integers(2 * PAD + 1))
        if rng.random() < 0.4:
            zoom = float(np.exp(rng.uniform(np.log(0.7), np.log(1.35))))
            size = (round(picture.width * zoom), round(picture.height * zoom))
            picture = picture.resize(size, Image.Resampling.BILINEAR)
        if rng.random() < 0.6:
            left = round((width - picture.width) / 2 + rng.uniform(-0.18, 0.18) * width)
            top = round((height - picture.height) / 2 + rng.uniform(-0.18, 0.18) * height)
        canvas = Image.new("RGB", (width, height), GREY)
        canvas.paste(picture, (left, top))
        rows[:, 1:5] = rows[:, 1:5] * zoom + (left, top, left, top)
        mirrored = rng.random() < 0.5
        if mirrored:
            rows[:, [1, 3]] = width - rows[:, [3, 1]]
        laid.append(np.asarray(canvas)[:, ::-1] if mirrored else np.asarray(canvas))
    pictures = torch.from_numpy(np.stack(laid)).permute(0, 3, 1, 2).float() / 255
    return pictures, torch.from_numpy(_cropped(bodies))


def _relit(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a picture in another light; some in grey, some with more noise."""
    if rng.random() < 0.2:
        picture = picture.convert("L").convert("RGB")
    steps = np.arange(256) / 255
    gains = rng.uniform(0.75, 1.3) * rng.uniform(0.93, 1.07, (3, 1))
    curves = np.clip(steps * gains, 0, 1)
    # A bend that keeps black and white where they are.
    curves += rng.uniform(-0.35, 0.35) * curves * (1 - curves)
    picture = picture.point(list((255 * curves).astype(int).ravel()))
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(0, 8), (picture.height, picture.width, 1))
        noisy = np.asarray(picture) + noise.astype(np.int16)
        picture = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    return picture


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
    peaks, passed_over = assign(network.points[0].T, network.strides[0, 0], bodies)
    kinds = functional.one_hot(bodies[..., 0].clamp(min=0).long(), scores.shape[-1])
    wanted = (peaks[..., None] * kinds[:, :, None]).amax(1)
    count = (peaks.amax(-1) > 0).sum().clamp(min=1)
    sure, unsure = functional.logsigmoid(scores), functional.logsigmoid(-scores)
    found = scores.sigmoid()
    # The peak should be found; the nearer to it, the less is it wrong to say so.
    right = torch.where(wanted == 1, (1 - found) ** 2 * sure, 0.0)
    wrong = torch.where(wanted < 1, (1 - wanted) ** 4 * found**2 * unsure, 0.0)
    wrong = wrong * ~passed_over[..., None]
    share, owner = peaks.max(1)
    chosen = share > 0.3
    corners = torch.gather(bodies[..., 1:5], 1, owner[..., None].expand(-1, -1, 4))[chosen]
    apart = (1 - overlap(boxes[chosen], corners)) * share[chosen]
    total = share[chosen].sum().clamp(min=1)
    loss: Tensor = -(right.sum() + wrong.sum()) / count + 2.0 * apart.sum() / total
    return loss


def assign(points: Tensor, strides: Tensor, bodies: Tensor) -> tuple[Tensor, Tensor]:
    """Say where each body should be found: a peak of 1 about its middle, at one stride.

    Returns [frames, bodies, cells], and which cells lie within a body that nobody is asked for.
    """
    corners = bodies[..., 1:5]
    there = bodies[..., 0] >= 0
    asked = there & (bodies[..., 5] > 0)
    sides = (corners[..., 2:] - corners[..., :2]).clamp(min=1)
    middles = (corners[..., :2] + corners[..., 2:]) / 2
    long = sides.amax(-1)
    own = torch.where(long < LARGEST[0], 8, torch.where(long < LARGEST[1], 16, 32))
    spread = torch.maximum(0.16 * sides, 0.6 * own[..., None])[:, :, None]
    away = (points[None, None] - middles[:, :, None]) / spread
    peaks = torch.exp(-0.5 * (away**2).sum(-1)) * (strides[None, None] == own[..., None])
    peaks = peaks / peaks.amax(-1, keepdim=True).clamp(min=1e-6) * asked[..., None]
    offset = (points[None, None] - middles[:, :, None]).abs() * 2
    inside = (offset < sides[:, :, None]).all(-1) & (there & ~asked)[..., None]
    return peaks, inside.any(1) & (peaks.amax(1) < 0.3)


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """Return the intersection over union, less what of their common hull neither fills."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    common = (high - low).clamp(min=0).prod(-1)
    sizes = [(box[..., 2:] - box[..., :2]).clamp(min=0).prod(-1) for box in (first, second)]
    union = sizes[0] + sizes[1] - common + 1e-7
    low = torch.minimum(first[..., :2], second[..., :2])
    high = torch.maximum(first[..., 2:], second[..., 2:])
    hull = (high - low).clamp(min=0).prod(-1) + 1e-7
    shared: Tensor = common / union - (hull - union) / hull
    return shared
