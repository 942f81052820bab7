"""Theorems on how the equilibrium depends on the input and on the weights: NN-08, NN-09."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch

from monops_nn import ACTIVATIONS, LipschitzBounded, LipschitzBoundedNetwork, MonDEQ, wellposed
from proofs.networks.instances import SELU, Array, layer, nearby, singular_network, solution
from proofs.networks.uniqueness import METHODS, equilibrium
from proofs.ratios import farthest, norm, quotient
from proofs.theorem import Counterexample, Mutant, Theorem

STRONG = "sym(I - W) >= m I with m > 0"

# ---- NN-08 -----------------------------------------------------------------------------------------


def states(made: MonDEQ, x: Array) -> Array:
    """The equilibria of a batch of inputs."""
    return made.solve(torch.as_tensor(x)).z.numpy()


def certificate(W: Array, U: Array, C: Array, weights: Array) -> float:
    """Gamma = lambda_max(N^-1 (C'C + Lambda U U'Lambda)), N = 2 Lambda - Lambda W - W'Lambda; infinite unless N > 0."""
    LW, LU = weights[:, None] * W, weights[:, None] * U
    N = 2 * np.diag(weights) - LW - LW.T
    least = float(np.linalg.eigvalsh(N)[0])
    if least <= 1e-9 * norm(N):
        return np.inf
    return float(np.linalg.eigvals(np.linalg.solve(N, C.T @ C + LU @ LU.T)).real.max())


def lipschitz_bounded(C: Array, U: Array, V: Array, S: Array, gamma: float, m: float) -> LipschitzBoundedNetwork:
    """x -> C z(x) with ReLU and these parameters, metric 1."""
    made = LipschitzBoundedNetwork(U.shape[1], len(U), len(C), gamma, "relu", m, dtype=torch.float64, tol=1e-12, max_iter=5000)
    linear = made.layer.linear
    assert isinstance(linear, LipschitzBounded)
    with torch.no_grad():
        for kept, value in ((linear.C, C), (linear.U, U), (linear.V, V), (linear.S, S)):
            kept.copy_(torch.as_tensor(value))
    return made


def network_ratio(made: LipschitzBoundedNetwork, x: Array, y: Array, gamma: float) -> float:
    """Output over input distance, over gamma."""
    with torch.no_grad():
        first, second = made(torch.as_tensor(np.stack((x, y)))).numpy()
    return quotient(norm(first - second), gamma * norm(x - y), 10.0 * norm(x))


def nn08_sample(generator: np.random.Generator) -> float:
    """A layer against its own bound and against a certificate with random weights; or a network bounded by construction."""
    n, inputs = int(generator.integers(1, 6)), int(generator.integers(1, 4))
    U, C = generator.standard_normal((n, inputs)), generator.standard_normal((2, n))
    x = 3.0 * generator.standard_normal(inputs)
    y, m = nearby(x, generator), float(generator.uniform(0.1, 1.0))
    if generator.integers(3) == 0:
        gamma = float(10 ** generator.uniform(-0.5, 1))
        V, S = generator.standard_normal((n, n)), generator.standard_normal(n * (n - 1) // 2)
        return network_ratio(lipschitz_bounded(C, U, V, S, gamma, m), x, y, gamma)
    W = singular_network(generator, 1.0 - m, n)
    made = layer(W, U, ("relu", "tanh", "leaky_relu", "identity")[int(generator.integers(4))], 0.99 * m)
    z, w = states(made, np.stack((x, y)))
    plain = norm(C) / norm(U)
    gamma = certificate(W, U, C, plain * 10 ** generator.uniform(-0.3, 0.3, n))
    return max(
        quotient(norm(z - w), made.lipschitz_bound() * norm(x - y), 100.0 * norm(z)),
        quotient(norm(C @ (z - w)), gamma * norm(x - y), 100.0 * norm(C) * norm(z)),
        certificate(W, U, C, np.full(n, plain)) / (norm(C) * norm(U) / m) - 1e-12,
    )


def active_ratio(W: Array, claimed: float, weight: float = 1.0) -> float:
    """|z(x) - z(y)| / |x - y| over ``claimed`` for an active ReLU and the input in the first coordinate."""
    U = np.eye(len(W))[:, :1] * weight
    z, w = states(layer(W, U, "relu", 1.0 - float(np.linalg.eigvalsh(0.5 * (W + W.T))[-1])), np.array([[2.0], [1.0]]))
    return norm(z - w) / claimed


def nn08_extremal() -> float:
    """W = 1 - m, U = u, active ReLU: the slope u/m of both bounds; and a network with C = U, m negligible, has gamma."""
    W, one = np.array([[0.75]]), np.ones((1, 1))
    bounds = (layer(W, 3.0 * one, "relu", 0.25).lipschitz_bound(), certificate(W, 3.0 * one, one, np.array([1 / 3])))
    made = lipschitz_bounded(one, one, 0.0 * one, np.zeros(0), 0.5, 1e-10)
    bounded = network_ratio(made, np.array([2.0]), np.array([1.0]), 0.5)
    return farthest(*(active_ratio(W, bound, 3.0) for bound in bounds), bounded)


BOUNDED_SLOPES = "sigma is increasing and 1-Lipschitz"

NN08 = Theorem(
    "NN-08",
    "Lipschitz bounds in the input",
    "sym(I - W) >= m I, z(x) = sigma(Wz + Ux + b), sigma = prox_f => |z(x) - z(y)| <= (|U|/m) |x - y|; sigma entry by entry "
    "and N = 2 Lambda - Lambda W - W'Lambda > 0, Lambda > 0 diagonal => |C z(x) - C z(y)| <= gamma |x - y| for gamma = "
    "lambda_max(N^-1 (C'C + Lambda U U'Lambda)), at most |C| |U|/m for Lambda = (|C|/|U|) I",
    "Pabbaraju, Winston and Kolter (2021), Theorem 1; Revay, Wang and Manchester (2020), Theorem 2",
    (STRONG, BOUNDED_SLOPES),
    ("MonDEQ.lipschitz_bound", "MonDEQ.solve", "LipschitzBoundedNetwork", "LipschitzBounded"),
    nn08_sample,
    nn08_extremal,
    (
        Counterexample(
            STRONG, "m = 1/10 held against the claim for m = 1/2", lambda: active_ratio(np.array([[0.9]]), 1.0 / 0.5)
        ),
        Counterexample(
            BOUNDED_SLOPES, "SELU, slope 1.05, with W = 1/2: the active slope is 2.21", lambda: SELU / (1 - 0.5 * SELU) / 2.0
        ),
    ),
    (
        Mutant("bounds times 0.999", lambda: nn08_extremal() / 0.999),
        Mutant("|U|/L for |U|/m", lambda: active_ratio(np.diag([0.5, 0.0]), 1.0)),
        Mutant(
            "gamma/2, half the matrix inequality",
            lambda: active_ratio(
                np.array([[0.75]]), certificate(np.array([[0.75]]), np.ones((1, 1)), np.ones((1, 1)), np.ones(1)) / 2
            ),
        ),
    ),
    note="Attained by scalars only: random networks reach about a quarter of |U|/m.",
)

# ---- NN-09 -----------------------------------------------------------------------------------------


def weight_bound(W: Array, moved: Array, c: Array, input_part: float, bias_part: float) -> float:
    """|W~ - W| |Ux + b|/(m m~) + (|(U~ - U)x| + |b~ - b|)/m~ with the margins of monops_nn."""
    m, other = wellposed(W).margin, wellposed(moved).margin
    return norm(moved - W) * norm(c) / (m * other) + (input_part + bias_part) / other


def nn09_sample(generator: np.random.Generator) -> float:
    """Two networks, near each other or not, that share nothing or all but W."""
    n, inputs = int(generator.integers(1, 5)), int(generator.integers(1, 4))
    name = ("relu", "tanh", "leaky_relu", "soft_threshold")[int(generator.integers(4))]
    W, moved = (singular_network(generator, 1.0 - float(generator.uniform(0.1, 1.0)), n) for _ in range(2))
    moved = W + float(10 ** generator.uniform(-3, 0)) * (moved - W)  # margins are concave: this one stays positive
    sigma, h = ACTIVATIONS[name](), 3.0 * generator.standard_normal(n)
    z, c = solution(sigma, W, np.abs(h) if generator.integers(2) else h)
    x, size = generator.standard_normal(inputs), float(generator.integers(2) * 10 ** generator.uniform(-3, 0))
    dU, db = size * generator.standard_normal((n, inputs)), size * generator.standard_normal(n)
    other = equilibrium(moved, c + dU @ x + db, sigma, METHODS[1], np.zeros(n))
    bound = weight_bound(W, moved, c, norm(dU @ x), norm(db))
    return quotient(norm(z - other), bound, 10.0 * (norm(c) + norm(z)))


def nn09_exact(w: Fraction = Fraction(1, 4), moved: Fraction = Fraction(1, 2)) -> tuple[Fraction, Fraction]:
    """Scalars, active ReLU, c = 1: |z~ - z| and |w~ - w|/((1 - w)(1 - w~)), equal."""
    z, other = 1 / (1 - w), 1 / (1 - moved)
    assert z == max(w * z + 1, 0)
    assert other == max(moved * other + 1, 0)
    return abs(z - other), abs(w - moved) / ((1 - w) * (1 - moved))


def nn09_scalar(w: float, moved: float, bias: float = 0.0) -> tuple[float, float]:
    """|z~ - z| by monops and the bound, for c = 1, b~ = 1 + ``bias``."""
    points = [
        equilibrium(np.array([[v]]), np.array([c]), ACTIVATIONS["relu"](), METHODS[1], np.zeros(1))
        for v, c in ((w, 1.0), (moved, 1.0 + bias))
    ]
    return norm(points[0] - points[1]), weight_bound(np.array([[w]]), np.array([[moved]]), np.ones(1), 0.0, abs(bias))


def nn09_extremal() -> float:
    """Attained by scalars exactly, also by the solver, with and without a moved bias."""
    observed, claimed = nn09_exact()
    solved = [nn09_scalar(0.25, 0.5), nn09_scalar(0.25, 0.5, 0.5)]
    return farthest(*(float(observed / claimed), *(first / second for first, second in solved)))


def nonzero_at_zero() -> float:
    """The sigmoid with c = 0: z moves from 1/2 with W, and the claim is 0."""
    z = [equilibrium(np.array([[w]]), np.zeros(1), ACTIVATIONS["sigmoid"](), METHODS[1], np.zeros(1)) for w in (0.0, 0.5)]
    return quotient(norm(z[0] - z[1]), weight_bound(np.zeros((1, 1)), np.array([[0.5]]), np.zeros(1), 0.0, 0.0))


BOTH = "sym(I - W) >= m I and sym(I - W~) >= m~ I with m, m~ > 0"
ZERO = "sigma(0) = 0"

NN09 = Theorem(
    "NN-09",
    "Lipschitz bound in the weights",
    "sym(I - W) >= m I, sym(I - W~) >= m~ I, sigma = prox_f, sigma(0) = 0 => "
    "|z~ - z| <= |W~ - W| |Ux + b|/(m m~) + (|(U~ - U)x| + |b~ - b|)/m~",
    "Pabbaraju, Winston and Kolter (2021), Theorem 2",
    (BOTH, ZERO),
    ("wellposed", "Affine", "solve", "PeacemanRachford", "NonNegative", "Tanh", "LeakyReLU", "L1Norm"),
    nn09_sample,
    nn09_extremal,
    (
        Counterexample(
            BOTH,
            "m~ = 1/10 held against the claim for m~ = 1/2",
            lambda: nn09_scalar(0.25, 0.9)[0] / (0.65 / (0.75 * 0.5)),
        ),
        Counterexample(ZERO, "the sigmoid with U = 0, b = 0", nonzero_at_zero),
    ),
    (
        Mutant("bound times 0.999", lambda: nn09_extremal() / 0.999),
        Mutant("m^2 for m m~", lambda: float(nn09_exact()[0] / (Fraction(1, 4) / Fraction(3, 4) ** 2))),
        Mutant("1/m for 1/m~ in the second term", lambda: nn09_scalar(0.25, 0.5, 0.5)[0] / (0.25 / 0.375 + 0.5 / 0.75)),
    ),
    note="Attained by scalars only: random networks reach about a tenth.",
)

THEOREMS = (NN08, NN09)
