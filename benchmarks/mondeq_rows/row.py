"""A row of ``./run bench mondeq``: the sizes, the weights in the published layout of names, and the inputs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

MNIST_MEAN, MNIST_DEVIATION = 0.1307, 0.3081


class Row(NamedTuple):
    """W on one layout: ``dense`` on ``channels`` units, or convolutions on a ring of side ``image`` + 2.

    ``weights`` is ``initial`` (torch's default start of the layers, g = h = 1) or a file of the folder ``pretrained`` in
    MONOPS_DATA, whose inputs are then test images.
    """

    kind: str  # dense, convolution or tiers
    channels: tuple[int, ...]
    image: int
    inputs: int
    weights: str = "initial"
    monotonicity: float = 1.0
    batch: int = 128

    def shrunk(self, divisor: int) -> Row:
        """A small copy for tests: fewer channels and rows, smaller images."""
        channels = tuple(max(2, c // divisor) for c in self.channels)
        return self._replace(channels=channels, image=8 if self.kind != "dense" else 4, weights="initial", batch=3)

    @property
    def ring(self) -> tuple[int, ...]:
        """Side of the ring of each tier: every border is one pixel wide, every tier half as large inside."""
        return tuple(self.image // 2**tier + 2 for tier in range(len(self.channels)))

    @property
    def available(self) -> bool:
        """Whether the weights are there."""
        return self.weights == "initial" or _pretrained(self.weights).is_file()


def _data() -> Path:
    return Path(os.environ.get("MONOPS_DATA", "data"))


def _pretrained(name: str) -> Path:
    return _data() / "pretrained" / f"{name}.npz"


def state_of(row: Row, seed: int = 0) -> dict[str, Tensor]:
    """The layer's weights under the published names, without the prefix ``mon.linear_module.``."""
    if row.weights != "initial":
        stored = np.load(_pretrained(row.weights))
        prefix = "mon.linear_module."
        return {name.removeprefix(prefix): torch.from_numpy(stored[name]) for name in stored if name.startswith(prefix)}
    torch.manual_seed(seed)
    first = row.channels[0]
    layers: dict[str, nn.Module] = {}
    if row.kind == "dense":
        layers["U"] = nn.Linear(row.inputs * row.image**2, first)
        layers |= {name: nn.Linear(first, first, bias=False) for name in "AB"}
        return _named(layers)
    layers["U"] = nn.Conv2d(row.inputs, first, 3)
    if row.kind == "convolution":
        layers |= {name: nn.Conv2d(first, first, 3, bias=False) for name in "AB"}
        return _named(layers) | {"g": torch.tensor(1.0), "h": torch.tensor(1.0)}
    tiers = range(len(row.channels))
    for name in ("A0", "B0"):
        layers |= {f"{name}.{i}": nn.Conv2d(c, c, 3, bias=False) for i, c in enumerate(row.channels)}
    layers |= {f"A_n0.{i}": nn.Conv2d(row.channels[i], row.channels[i + 1], 3, bias=False) for i in tiers[:-1]}
    scalars = [f"{name}.{i}" for name in "gh" for i in tiers] + [f"gn.{i}" for i in tiers[:-1]]
    return _named(layers) | {name: torch.tensor(1.0) for name in scalars}


def _named(layers: dict[str, nn.Module]) -> dict[str, Tensor]:
    return {f"{name}.{part}": value.detach() for name, layer in layers.items() for part, value in layer.named_parameters()}


def inputs_of(row: Row, seed: int = 1) -> Tensor:
    """A batch of inputs as the layer takes them: flat for ``dense``, with a border of zeros of one pixel for convolutions."""
    generator = torch.Generator().manual_seed(seed)
    if row.weights == "initial":
        images = torch.randn(row.batch, row.inputs, row.image, row.image, generator=generator)
    else:
        from monops_nn.datasets import load_mnist

        digits = load_mnist(_data()).test_images[: row.batch].reshape(-1, 1, row.image, row.image)
        images = (torch.from_numpy(digits) - MNIST_MEAN) / MNIST_DEVIATION
    return images.flatten(1) if row.kind == "dense" else nn.functional.pad(images, (1, 1, 1, 1))


def cotangents_of(row: Row, seed: int = 2) -> Tensor:
    """The gradient that reaches the last tier, on its ring."""
    generator = torch.Generator().manual_seed(seed)
    last, side = row.channels[-1], row.ring[-1]
    shape = (row.batch, last) if row.kind == "dense" else (row.batch, last, side, side)
    return torch.randn(shape, generator=generator) / row.batch
