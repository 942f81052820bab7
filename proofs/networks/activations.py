"""Theorem on which activations are proxes, and of what: NN-10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from monops.errors import CapabilityError
from monops_nn import ACTIVATIONS, wellposed
from proofs.networks.instances import Array
from proofs.ratios import farthest, norm
from proofs.theorem import Counterexample, Mutant, Theorem

TORCH: dict[str, Callable[[Any], Any]] = {
    "relu": torch.relu,
    "leaky_relu": functional.leaky_relu,
    "relu6": functional.relu6,
    "hardtanh": functional.hardtanh,
    "hardsigmoid": functional.hardsigmoid,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": functional.softplus,
    "elu": functional.elu,
    "arctan": torch.arctan,
    "softsign": functional.softsign,
    "arcsinh": torch.arcsinh,
    "soft_threshold": lambda h: functional.softshrink(h, 1.0),
    "softmax": lambda h: torch.softmax(h, -1),
}  # what torch calls them: the prox with step 1 must be these


def minimum_ratio(value: Callable[[Array], Any], mu: float, x: Array, p: Array, y: Array, step: float) -> float:
    """|y - p|^2 (1 + step mu)/(2 step) over F(y) - F(p), F(y) = f(y) + |y - x|^2/(2 step); infinite if p is no minimiser."""
    parts = [(float(value(v)), norm(v - x) ** 2 / (2 * step)) for v in (y, p)]
    gap = sum(parts[0]) - sum(parts[1]) + 1e-12 * sum(abs(part) for pair in parts for part in pair)
    grown = norm(y - p) ** 2 * (1 + step * mu) / (2 * step)
    return 0.0 if grown == 0 else grown / gap if gap > 0 else np.inf


def firmness(sigma: Callable[[Array], Array], x: Array, y: Array) -> float:
    """|sigma(x) - sigma(y)|^2 over <sigma(x) - sigma(y), x - y>; infinite if that is negative."""
    moved = sigma(x) - sigma(y)
    inner = float(moved @ (x - y)) + 1e-13 * norm(moved) * (norm(x) + norm(y))
    return 0.0 if norm(moved) == 0 else norm(moved) ** 2 / inner if inner > 0 else np.inf


def cyclicity(sigma: Callable[[Array], Array], points: list[Array]) -> float:
    """1 + sum_k <sigma(x_k), x_{k+1} - x_k>/sum_k |.| |.| over a cycle: at most 1 where sigma is the gradient of a convex f."""
    images, steps = [sigma(x) for x in points], [after - x for x, after in zip(points, points[1:] + points[:1], strict=True)]
    total = sum(float(image @ step) for image, step in zip(images, steps, strict=True))
    return 1.0 + total / (sum(norm(image) * norm(step) for image, step in zip(images, steps, strict=True)) + 1e-12)


def nn10_sample(generator: np.random.Generator) -> float:
    """A named activation: its prox minimises, for a random step; with step 1 it is torch's; and it is a firm gradient."""
    name = tuple(ACTIVATIONS)[int(generator.integers(len(ACTIVATIONS)))]
    f, n, step = ACTIVATIONS[name](), int(generator.integers(1, 5)), float(10 ** generator.uniform(-1.5, 1.5))
    x, other, third = (float(10 ** generator.uniform(-1, 1)) * generator.standard_normal(n) for _ in range(3))

    def sigma(h: Array) -> Array:
        return f.prox(h, step)

    mu = float(f.constants.strong_monotonicity)
    worst = max(
        minimum_ratio(f, mu, x, sigma(x), f.prox(other, 1.0), step),
        firmness(sigma, x, other),
        cyclicity(sigma, [x, other, third]),
    )
    if name in TORCH:
        expected = TORCH[name](torch.as_tensor(x)).numpy()
        worst = max(worst, float(np.abs(f.prox(x, 1.0) - expected).max()) / (1e-13 * (1 + norm(x))))
    return worst


def nn10_extremal() -> float:
    """F grows by the least that is proven: f = 0, inside a box, and for the quadratic f of the hard sigmoid, mu = 5."""
    x, y = np.array([0.4, -0.3]), np.array([0.3, 0.6])
    found = []
    for name in ("identity", "hardtanh", "hardsigmoid"):
        f = ACTIVATIONS[name]()
        found.append(minimum_ratio(f, float(f.constants.strong_monotonicity), x, f.prox(x, 0.5), y, 0.5))
    return farthest(*found)


def refused(name: str, sigma: Callable[[Any], Any], x: list[float], y: list[float]) -> float:
    """``firmness`` between two points, for an activation that monops_nn refuses by its name."""
    try:
        wellposed(np.zeros((1, 1)), name)
    except CapabilityError:
        return firmness(lambda h: sigma(torch.as_tensor(h)).numpy(), np.array(x), np.array(y))
    return 0.0


def turned() -> float:
    """cos(t) times a turn by t = 60 degrees is firmly nonexpansive, but no gradient: a square is a cycle that gains."""
    T = 0.5 * np.array([[0.5, -np.sqrt(0.75)], [np.sqrt(0.75), 0.5]])
    square = [np.array(point) for point in ([1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0])]
    assert firmness(lambda x: T @ x, square[0], square[1]) <= 1 + 1e-12
    return cyclicity(lambda x: T @ x, square)


def wrong_pair(value: Callable[[Array], Any], step: float = 1.0) -> float:
    """Tanh as the prox of ``value`` with this step, at x = 3, against other points."""
    x, line = np.array([3.0]), np.linspace(-6.0, 6.0, 61)
    return max(minimum_ratio(value, 0.0, x, np.tanh(x), np.array([y]), step) for y in (*line, *np.tanh(line)))


def f_tanh(y: Array) -> Any:
    """The function of monops whose prox is tanh."""
    return ACTIVATIONS["tanh"]()(y)


INCREASING = "sigma is nondecreasing"
CONTRACTION = "sigma is 1-Lipschitz"
GRADIENT = "sigma is a gradient, in several variables"

NN10 = Theorem(
    "NN-10",
    "activations that are proxes",
    "sigma: R -> R is the prox of a convex f iff it is nondecreasing and 1-Lipschitz, and then f' = sigma^-1 - id (tanh: "
    "y artanh y + log(1 - y^2)/2 - y^2/2; sigmoid: y log y + (1 - y) log(1 - y) - y^2/2; softplus: Li_2(e^-y); ReLU: the "
    "indicator of y >= 0; ...); in several variables iff sigma is 1-Lipschitz and the gradient of a convex function. p = "
    "prox_{af}(x), f mu-strongly convex => F(y) >= F(p) + (1 + a mu) |y - p|^2/(2a), F(y) = f(y) + |y - x|^2/(2a)",
    "Moreau (1965), Proposition 10.b and Corollary 10.c; Combettes and Pesquet (2020), Deep neural network structures solving "
    "variational inequalities",
    (INCREASING, CONTRACTION, GRADIENT),
    ("ACTIVATIONS", "Function.prox", "Function.__call__", "wellposed"),
    nn10_sample,
    nn10_extremal,
    (
        Counterexample(INCREASING, "GELU falls from -2 to -1", lambda: refused("gelu", functional.gelu, [-2.0], [-1.0])),
        Counterexample(INCREASING, "SiLU falls from -3 to -2", lambda: refused("silu", functional.silu, [-3.0], [-2.0])),
        Counterexample(INCREASING, "Mish falls from -3 to -2", lambda: refused("mish", functional.mish, [-3.0], [-2.0])),
        Counterexample(
            INCREASING,
            "GroupSort of two entries swaps them",
            lambda: refused("groupsort", lambda h: torch.sort(h).values, [2.0, 1.0], [3.0, 0.0]),
        ),
        Counterexample(CONTRACTION, "SELU has the slope 1.05", lambda: refused("selu", functional.selu, [2.0], [1.0])),
        Counterexample(GRADIENT, "cos(60) times a turn by 60 degrees", turned),
    ),
    (
        Mutant("growth times 1.001", lambda: nn10_extremal() * 1.001),
        Mutant("tanh as the prox of log(1 + y^2)", lambda: wrong_pair(lambda y: np.log1p(y @ y))),
        Mutant("- y^2/2 left out of f for tanh", lambda: wrong_pair(lambda y: f_tanh(y) + 0.5 * float(y @ y))),
        Mutant("sigma for prox_{af} with a = 1/2", lambda: wrong_pair(f_tanh, 0.5)),
    ),
    note="The pair tanh and log(1 + y^2), seen in talks, is wrong by far: at x = 3 its prox is 2.26, not 0.995.",
)

THEOREMS = (NN10,)
