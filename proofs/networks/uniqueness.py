"""Theorems on equilibrium networks: NN-01, NN-04."""

from __future__ import annotations

from typing import Any

import numpy as np

import monops
from proofs.generators import network
from proofs.theorem import Counterexample, Mutant, Theorem

METHODS = (
    monops.ForwardBackwardForward(),
    monops.PeacemanRachford(),
    monops.DouglasRachford(step_size=0.7),
)
MARGIN = 0.5


def equilibrium(W: np.ndarray, c: np.ndarray, activation: Any, method: Any, start: np.ndarray) -> np.ndarray:
    """Z = sigma(Wz + c) as the zero of (I - W)z - c + df(z), by the public API."""
    problem = monops.Affine(np.eye(len(c)) - W, -c) + activation
    return monops.solve(problem, method, x0=start, tol=1e-11, max_iter=50_000).require().x


def sigma(activation: Any, h: np.ndarray) -> np.ndarray:
    """The activation, prox of f with step 1."""
    return activation.prox(h, 1.0)


def spread(W: np.ndarray, c: np.ndarray, activation: Any, generator: np.random.Generator) -> float:
    """Largest distance of the equilibria found from three starts by three methods."""
    starts = (np.zeros_like(c), 10 * generator.standard_normal(c.shape), -np.ones_like(c))
    found = [equilibrium(W, c, activation, method, start) for method, start in zip(METHODS, starts, strict=True)]
    return max(float(np.linalg.norm(z - found[0])) for z in found)


def bound(W: np.ndarray, m: float, error: np.ndarray) -> float:
    """(1 + |W|/m)|e|: the a-posteriori bound of |z - z*| with e = z - sigma(Wz + c)."""
    return (1 + float(np.linalg.norm(W, 2)) / m) * float(np.linalg.norm(error))


# ---- NN-01 -----------------------------------------------------------------------------------------


def nn01_sample(generator: np.random.Generator) -> float:
    """Equilibria from all starts and methods agree, and perturbed points obey the bound: the worse of the two ratios."""
    W, c = network(generator, MARGIN)
    activation = (monops.NonNegative(), monops.Tanh())[int(generator.integers(2))]
    z = equilibrium(W, c, activation, METHODS[0], np.zeros_like(c))
    worst = spread(W, c, activation, generator) / 1e-8
    for _ in range(5):
        other = z + float(10 ** generator.uniform(-4, 1)) * generator.standard_normal(c.shape)
        error = other - sigma(activation, W @ other + c)
        worst = max(worst, float(np.linalg.norm(other - z)) / bound(W, MARGIN, error))
    return worst


def nn01_scalar(W: float, point: float, c: float, fixed: float) -> float:
    """|z - z*| over the bound in one dimension, with ReLU."""
    error = point - max(W * point + c, 0.0)
    return abs(point - fixed) / bound(np.array([[W]]), 1 - W, np.array([error]))


def nn01_extremal() -> float:
    """Scalar 0 <= W < 1, active ReLU: z - z* = e/(1 - W) and 1 + W/(1 - W) = 1/(1 - W): attained for every such W."""
    return nn01_scalar(0.5, 3.0, 1.0, 2.0)


def two_fixed_points() -> float:
    """W = 2, c = -1: 0 and 1 are both fixed points of ReLU(2z - 1); distance 1 against agreement to 1e-8."""
    images = [max(2 * z - 1, 0.0) for z in (0.0, 1.0)]
    assert images == [0.0, 1.0]
    return abs(images[1] - images[0]) / 1e-8


def continuum() -> float:
    """W = 1, c = 0: every z >= 0 is a fixed point."""
    images = [max(1.0 * z, 0.0) for z in (0.0, 0.3, 7.0)]
    assert images == [0.0, 0.3, 7.0]
    return 7.0 / 1e-8


NN01 = Theorem(
    "NN-01",
    "existence and uniqueness of the equilibrium",
    "sym(I - W) >= m I, m > 0, sigma = prox_f => z = sigma(Wz + c) has exactly one solution z*, and "
    "|z - z*| <= (1 + |W|/m) |z - sigma(Wz + c)| for every z",
    "Winston and Kolter (2020), Theorem 1; the bound is derived from Pabbaraju, Winston and Kolter (2021), Theorem 1",
    ("sym(I - W) >= m I with m > 0",),
    ("Affine", "NonNegative", "Tanh", "solve", "ForwardBackwardForward", "PeacemanRachford", "DouglasRachford"),
    nn01_sample,
    nn01_extremal,
    (
        Counterexample("sym(I - W) >= m I with m > 0", "W = 1 (m = 0), a continuum of equilibria", continuum),
        Counterexample("sym(I - W) >= m I with m > 0", "W = 2, two equilibria", two_fixed_points),
    ),
    (
        Mutant("bound times 0.999", lambda: nn01_extremal() / 0.999),
        Mutant(
            "bound without |W|/m",
            lambda: nn01_scalar(0.5, 3.0, 1.0, 2.0) * bound(np.array([[0.5]]), 0.5, np.ones(1)),
        ),
    ),
)

# ---- NN-04 -----------------------------------------------------------------------------------------

STEPS = (0.1, 1.0, 3.0)


def splitting_residual(W: np.ndarray, c: np.ndarray, z: np.ndarray, step: float, prox_step: float) -> float:
    """|z - prox_{prox_step f}((1 - step) z + step (Wz + c))| for tanh."""
    return float(np.linalg.norm(z - monops.Tanh().prox((1 - step) * z + step * (W @ z + c), prox_step)))


def nn04_point(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A network and its tanh equilibrium, refined by Newton to machine precision (from the definition z = tanh(Wz + c))."""
    W, c = network(generator, MARGIN)
    z = equilibrium(W, c, monops.Tanh(), METHODS[1], np.zeros_like(c))
    for _ in range(5):
        value = np.tanh(W @ z + c)
        z = z - np.linalg.solve(np.eye(len(c)) - (1 - value**2)[:, None] * W, z - value)
    return W, c, z


def nn04_sample(generator: np.random.Generator) -> float:
    """An equilibrium is a fixed point of the splitting for every step, and a point that is none is none for any."""
    W, c, z = nn04_point(generator)
    forward = max(splitting_residual(W, c, z, step, step) for step in STEPS) / (1e-11 * (1 + float(np.linalg.norm(W, 2))))
    other = z + 0.1 * generator.standard_normal(z.shape)
    backward = max(1e-6 / splitting_residual(W, c, other, step, step) for step in STEPS)
    return max(forward, backward)


def nn04_wrong(step: float, prox_step: float) -> float:
    """The same test with a wrong prox step."""
    W, c, z = nn04_point(np.random.default_rng(1))
    return splitting_residual(W, c, z, step, prox_step) / 1e-6


NN04 = Theorem(
    "NN-04",
    "equilibrium = fixed point of the splitting, for every step",
    "z = sigma(Wz + c) <=> z = prox_{a f}((1 - a) z + a (Wz + c)) for every a > 0, sigma = prox_f",
    "Winston and Kolter (2020), Theorem 1; Combettes and Pesquet (2020)",
    ("the prox is taken with the step of the splitting",),
    ("Tanh.prox", "Affine", "solve", "PeacemanRachford"),
    nn04_sample,
    None,
    (
        Counterexample(
            "the prox is taken with the step of the splitting",
            "sigma = prox_f itself in a splitting with a = 0.1",
            lambda: nn04_wrong(0.1, 1.0),
        ),
        Counterexample(
            "the prox is taken with the step of the splitting",
            "sigma = prox_f itself in a splitting with a = 3",
            lambda: nn04_wrong(3.0, 1.0),
        ),
    ),
    (
        Mutant("prox with step 1/a", lambda: nn04_wrong(0.1, 10.0)),
        Mutant("prox with step a, 0.1 % off", lambda: nn04_wrong(3.0, 3.003)),
    ),
)

THEOREMS = (NN01, NN04)
