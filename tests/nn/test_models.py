"""Image classifiers: published sizes, and what they compute, held against the definition."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="monops_nn needs torch")
import torch
from torch import Tensor
from torch.nn import functional

from monops.errors import DataError, ShapeError
from monops_nn import models


@pytest.mark.parametrize(
    ("model", "data", "parameters"),
    [
        ("dense", "mnist", 84_313),
        ("dense", "fashion-mnist", 84_313),
        ("single-convolution", "mnist", 79_500),
        ("multi-tier", "mnist", 81_394),
        ("single-convolution", "cifar10", 172_218),
        ("multi-tier", "cifar10", 170_194),
    ],
)
def test_networks_have_the_published_sizes(model: str, data: str, parameters: int) -> None:
    network = models.build(model, data)
    assert sum(value.numel() for value in network.parameters()) == parameters
    assert network(torch.zeros(2, *network.images)).shape == (2, 10)
    with pytest.raises(ShapeError, match="this network needs"):
        network(torch.zeros(2, 5, 5))


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(DataError, match="choose one of dense, single-convolution, multi-tier"):
        models.build("resnet", "mnist")
    with pytest.raises(DataError, match="choose one of mnist"):
        models.build("dense", "letters")


def block_means(z: Tensor) -> Tensor:
    """Means over 4 x 4 pixels of the state with a border of zeros, pixel by pixel."""
    count, channels, height, width = z.shape
    framed = torch.zeros(count, channels, height + 2, width + 2, dtype=z.dtype)
    framed[:, :, 1:-1, 1:-1] = z
    rows, columns = (height + 2) // 4, (width + 2) // 4
    means = [framed[:, :, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4].mean((2, 3)) for i in range(rows) for j in range(columns)]
    return torch.stack(means, 2).reshape(count, channels, rows, columns)


@pytest.mark.parametrize("name", models.MODELS)
def test_scores_are_those_of_the_equilibrium(name: str) -> None:
    torch.manual_seed(0)
    images = (2, 8, 8)
    network = {
        "dense": lambda: models.dense(images, 6, 3, tol=1e-6),
        "single-convolution": lambda: models.single_convolution(images, 4, 3, tol=1e-6),
        "multi-tier": lambda: models.multi_tier(images, (3, 4), 3, tol=1e-6),
    }[name]()
    x = torch.randn(5, *images)
    layer = network.layer
    z = layer(network.inputs(x))
    injected, moved = layer.injection(network.inputs(x)), layer.linear(z)
    if isinstance(z, tuple):  # only the first tier sees the image
        injected = (injected, *(torch.zeros_like(part) for part in z[1:]))
        for part, product, given in zip(z, moved, injected, strict=True):
            torch.testing.assert_close(part, torch.relu(product + given), rtol=0, atol=1e-4)
        seen = functional.pad(z[-1], (1, 1, 1, 1))
    else:
        torch.testing.assert_close(z, torch.relu(moved + injected), rtol=0, atol=1e-4)
        seen = z if name == "dense" else block_means(z)
    expected = seen.flatten(1) @ network.scores.weight.T + network.scores.bias
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-5)
