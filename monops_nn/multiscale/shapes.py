"""Generated pictures of overlapping shapes with a class for every pixel, and how well a segmentation meets them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from monops_nn.parametrize.arguments import positive_integer

CLASSES = ("background", "disc", "cross", "triangle", "ring")
NOISE = 0.15
Floats = np.ndarray[Any, np.dtype[np.float64]]


class Shapes(NamedTuple):
    """Images (count, 3, size, size) of about mean 0 and deviation 1, and the class (count, size, size) of every pixel."""

    images: Tensor
    labels: Tensor


def generate_shapes(count: int, size: int = 32, seed: int = 0) -> Shapes:
    """Pictures of one to three shapes, each over those before it, on a darker, sloping background, with noise.

    Discs, crosses (turned), triangles (turned) and rings of random places, sizes and colours; all shapes have colours of one
    distribution, so that a pixel tells which shape it is in only by what is around it.

    Parameters
    ----------
    count : int
    size : int, default 32
        Side of a picture.
    seed : int, default 0
        Picture k depends on the seed, the size and k alone.

    Raises
    ------
    DataError
        When count or size is no positive integer.

    Examples
    --------
    >>> images, labels = generate_shapes(2, 16)
    >>> images.shape, labels.shape
    (torch.Size([2, 3, 16, 16]), torch.Size([2, 16, 16]))
    >>> bool((images == generate_shapes(5, 16).images[:2]).all())
    True
    """
    positive_integer("count", count, "of pictures")
    positive_integer("size", size, "the side of a picture")
    pictures = [_picture(np.random.default_rng([seed, size, k]), size) for k in range(count)]
    images, labels = (np.stack(part) for part in zip(*pictures, strict=True))
    return Shapes(torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels.astype(np.int64)))


def _picture(rng: np.random.Generator, size: int) -> tuple[Floats, Any]:
    centres = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(centres, centres, indexing="ij")
    slope = rng.uniform(-0.3, 0.3, (3, 2))
    image = rng.uniform(-1.0, -0.4, 3)[:, None, None] + slope[:, :1, None] * (x - 0.5) + slope[:, 1:, None] * (y - 0.5)
    labels = np.zeros((size, size), dtype=np.int64)
    for _ in range(rng.integers(1, 4)):
        kind = int(rng.integers(1, len(CLASSES)))
        inside = _inside(kind, x - rng.uniform(0.15, 0.85), y - rng.uniform(0.15, 0.85), rng)
        labels[inside] = kind
        image[:, inside] = rng.uniform(-0.2, 1.0, 3)[:, None]
    return (image + NOISE * rng.standard_normal(image.shape) + 0.4) / 0.6, labels


def _inside(kind: int, x: Floats, y: Floats, rng: np.random.Generator) -> Any:
    """Which pixels a shape of this kind around 0 covers."""
    radius, angle = rng.uniform(0.18, 0.32), rng.uniform(0, 2 * np.pi)
    turned = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    distance = np.hypot(x, y)
    if kind == 1:
        return distance <= radius
    if kind == 2:
        far, near = np.maximum(*np.abs(turned)), np.minimum(*np.abs(turned))
        return (far <= radius) & (near <= 0.3 * radius)
    if kind == 3:
        corners = np.pi * (0.5 + np.arange(3) * 2 / 3)
        return np.max([turned[0] * np.cos(a) + turned[1] * np.sin(a) for a in corners], axis=0) <= 0.6 * radius
    return (distance <= radius) & (distance >= 0.55 * radius)


def mean_intersection_over_union(predicted: Tensor, labels: Tensor, classes: int) -> float:
    """The mean over classes of (pixels with the class in both)/(pixels with the class in one or both).

    Parameters
    ----------
    predicted, labels : integer tensors of one shape
        All pixels of all pictures count together.
    classes : int
        Classes that occur in neither are left out; NaN when there are none.

    Examples
    --------
    >>> a, b = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1])
    >>> round(mean_intersection_over_union(a, b, 3), 4)
    0.5833
    """
    counts = torch.bincount((classes * labels + predicted).flatten(), minlength=classes**2).reshape(classes, classes).double()
    both = counts.diagonal()
    either = counts.sum(0) + counts.sum(1) - both
    return float((both / either)[either > 0].mean())
