"""Small layers, inputs and methods that the tests of equilibrium layers share."""

from __future__ import annotations

from typing import Any

import torch

import monops
from monops_nn import MonDEQ, MonotoneLinear

ALGORITHMS = (
    monops.ForwardBackward(),
    monops.PeacemanRachford(),
    monops.PeacemanRachford(step_size=0.3),
    monops.DouglasRachford(),
    monops.ForwardBackwardForward(),
)


def layer(
    activation: str = "relu",
    algorithm: Any = None,
    n: int = 5,
    inputs: int = 3,
    tol: float = 1e-12,
    seed: int = 0,
    **kwargs: Any,
) -> MonDEQ:
    """A small float64 layer with a sizeable W."""
    torch.manual_seed(seed)
    linear = MonotoneLinear(n, monotonicity=0.7, dtype=torch.float64)
    with torch.no_grad():
        linear.A.mul_(2.0)
        linear.B.mul_(2.0)
    return MonDEQ(linear, activation, injection=inputs, algorithm=algorithm, tol=tol, max_iter=20_000, **kwargs)


def inputs(rows: int = 4, features: int = 3, seed: int = 1) -> Any:
    """Random float64 inputs."""
    return torch.randn(rows, features, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sigma(module: MonDEQ, h: Any) -> Any:
    """The activation."""
    return module.activation.prox(h, 1.0)
