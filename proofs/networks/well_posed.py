"""Theorems on uniqueness beyond strong monotonicity: NN-02, NN-03, NN-12, NN-13."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

import monops
from monops_nn import ACTIVATIONS, wellposed
from proofs.networks.instances import (
    DISTINCT,
    SELU,
    Array,
    MeanField,
    boltzmann,
    brute_minors,
    circulant,
    ferromagnet,
    multiplicity,
    nearby,
    relu_equilibria,
    singular_network,
    solution,
)
from proofs.networks.uniqueness import METHODS, equilibrium
from proofs.ratios import farthest, norm, quotient
from proofs.theorem import Counterexample, Mutant, Theorem

# ---- NN-02 -----------------------------------------------------------------------------------------


def nn02_matrix(generator: np.random.Generator) -> tuple[Array, str | None]:
    """M, and the rung of the ladder it was made for: each of the four, and a random matrix."""
    kind, n = int(generator.integers(5)), int(generator.integers(1, 4))
    if kind == 0:
        return np.eye(n) - singular_network(generator, float(generator.uniform(-1.0, 0.99)), n), "monotone"
    if kind == 1:
        return np.array([[1.0, 10 ** generator.uniform(0.31, 1.5)], [0.0, 1.0]]), "LBEN"
    if kind == 2:
        return circulant(float(generator.uniform(2.05, 5.0))), "P-matrix"
    if kind == 3:
        return circulant(-float(generator.uniform(1.01, 5.0))), "none"
    return np.eye(n) + generator.standard_normal((n, n)), None


def nn02_sample(generator: np.random.Generator) -> float:
    """0 where verdict, rung, metric, minors and equilibria (by enumeration, or the two of the certificate) agree."""
    M, rung = nn02_matrix(generator)
    n = len(M)
    W, found = np.eye(n) - M, wellposed(np.eye(n) - M)
    if found.holds != brute_minors(M) or rung not in (None, found.rung):
        return np.inf
    if found.rung in ("monotone", "LBEN"):
        metric = np.asarray(found.certificate.get("metric", np.ones(n)))
        least = float(np.linalg.eigvalsh(metric[:, None] * M + (metric[:, None] * M).T)[0]) / 2
        if not least > 0 or (found.rung == "monotone" and abs(found.margin - least) > 1e-6 * least + 1e-12 * norm(M)):
            return np.inf
    if not found.holds:
        return 0.0 if multiplicity(W) > 1 else np.inf
    worst = 0.0
    for c in (np.zeros(n), *generator.standard_normal((3, n))):
        points = relu_equilibria(W, c)
        spread = max((norm(z - points[0]) / (1e-6 * (1 + norm(z))) for z in points), default=np.inf)
        worst = max(worst, spread)
    return worst


def nn02_extremal() -> float:
    """The circulant has minors 1, 1, 1 + c^3: unique for the float above -1 (decided in fractions), two equilibria at -1."""
    last = float(np.nextafter(1.0, 0.0))
    assert 1 + Fraction(-last) ** 3 > 0
    assert wellposed(np.eye(3) - circulant(-last)).rung == "P-matrix"
    assert multiplicity(np.eye(3) - circulant(-1.0)) > 1
    return last


def sharpest(witness: float) -> float:
    """The largest number accepted in place of the circulant's c; its equilibrium is unique for this one."""
    assert wellposed(np.eye(3) - circulant(witness)).holds
    return witness


def half_space_equilibria() -> float:
    """M = [[1, -3], [0, 1]] has positive minors; with sigma the projection on {x1 - x2 <= 1} and c = 0, 0 and (2, 1) solve."""
    M, sigma = np.array([[1.0, -3.0], [0.0, 1.0]]), monops.HalfSpace(np.array([1.0, -1.0]), 1.0)
    assert brute_minors(M)
    points = [np.zeros(2), np.array([2.0, 1.0])]
    assert all(norm(sigma.prox(z - M @ z, 1.0) - z) < 1e-14 for z in points)
    return norm(points[0] - points[1]) / DISTINCT


def selu_equilibria() -> float:
    """W = 0.97, c = -1/2: SELU(Wz + c) has a fixed point on its linear side, and one on the other."""
    right = SELU * 0.5 / (SELU * 0.97 - 1.0)
    left = 0.0
    for _ in range(300):
        left = SELU * 1.6732632423543772 * np.expm1(0.97 * left - 0.5)
    assert right > 1
    assert abs(SELU * 1.6732632423543772 * np.expm1(0.97 * left - 0.5) - left) < 1e-12
    return (right - left) / DISTINCT


MINORS = "all principal minors of I - W are positive"
ENTRYWISE = "sigma acts entry by entry"
SLOPES = "sigma is increasing and 1-Lipschitz"

NN02 = Theorem(
    "NN-02",
    "the ladder of well-posedness: monotone, monotone in a diagonal metric, P-matrix",
    "sym M > 0 => Lambda M + M' Lambda > 0 for a diagonal Lambda > 0 => all principal minors of M = I - W are positive => "
    "z = sigma(Wz + c) has exactly one solution for every c, sigma entry by entry with slopes in [0, 1]; for ReLU the last "
    "condition is necessary too, and neither of the first two implications can be reversed",
    "Samelson, Thrall and Wesler (1958) for ReLU, a linear complementarity problem; Winston and Kolter (2020); Revay, Wang and "
    "Manchester (2020)",
    (MINORS, ENTRYWISE, SLOPES),
    ("wellposed", "HalfSpace.prox"),
    nn02_sample,
    nn02_extremal,
    (
        Counterexample(MINORS, "W = 2: two equilibria", lambda: multiplicity(np.array([[2.0]]))),
        Counterexample(
            MINORS, "a circulant whose determinant alone is negative", lambda: multiplicity(np.eye(3) - circulant(-2.0))
        ),
        Counterexample(ENTRYWISE, "the projection on a half space", half_space_equilibria),
        Counterexample(SLOPES, "SELU, slope 1.05", selu_equilibria),
    ),
    (
        Mutant("sym M > 0 is necessary: circulant with c = 3 for c <= 2", lambda: sharpest(3.0) / 2.0),
        Mutant("a diagonal metric is necessary: the same c, for c <= 2", lambda: sharpest(2.5) / 2.0),
        Mutant(
            "positive diagonal and determinant suffice",
            lambda: multiplicity(np.eye(4) - np.kron(np.eye(2), [[1.0, 2.0], [2.0, 1.0]])),
        ),
    ),
    note="Witnesses: [[1, -3], [0, 1]] is monotone in a metric only; the circulant with c > 2 has positive minors and, by "
    "cyclic averaging, no metric. Sufficiency for all slopes in [0, 1] is derived: det(I - DW) is affine in each D_ii.",
)

# ---- NN-03 -----------------------------------------------------------------------------------------

GENTLE = ("sigmoid", "centered_sigmoid", "hardsigmoid", "softmax")


def slope_ratio(name: str, W: Array, h: Array, other: Array) -> float:
    """|z - z'| over its bound |c - c'| / margin, the margin 1/S - lambda_max(sym W) as monops_nn computes it."""
    (z, c), (y, d) = (solution(ACTIVATIONS[name](), W, point) for point in (h, other))
    return quotient(norm(z - y), norm(c - d) / wellposed(W, name).margin, 1e-2 * norm(h))


def nn03_sample(generator: np.random.Generator) -> float:
    """Two equilibria of one W with their injections."""
    name, n = GENTLE[int(generator.integers(len(GENTLE)))], int(generator.integers(2, 6))
    reciprocal = 1.0 + ACTIVATIONS[name]().constants.strong_monotonicity
    W = singular_network(generator, reciprocal - float(10 ** generator.uniform(-2, 0)) * (reciprocal - 1.0), n)
    h = float(10 ** generator.uniform(-3, 1)) * generator.standard_normal(n)
    return slope_ratio(name, W, h, nearby(h, generator))


def nn03_extremal() -> float:
    """W = wI at the steepest point: dz/dc = S/(1 - wS) for the sigmoid, the hard sigmoid and two states of softmax."""
    h = np.array([1e-5, -1e-5])
    return farthest(
        *(slope_ratio(name, 0.75 * top * np.eye(2), h, -h) for name, top in zip(GENTLE, (4.0, 4.0, 6.0, 2.0), strict=True))
    )


def nn03_wrong(name: str, claimed: float, true: float) -> float:
    """The claim for lambda_max(sym W) = ``claimed`` held against W = ``true`` I at the steepest point."""
    h = np.array([1e-5, -1e-5])
    (z, c), (y, d) = (solution(ACTIVATIONS[name](), true * np.eye(2), point) for point in (h, -h))
    return quotient(norm(z - y), norm(c - d) / wellposed(claimed * np.eye(2), name).margin, 1e-6)


def two_sigmoid_equilibria(w: float = 4.1) -> float:
    """z = sigmoid(wz - w/2) is solved by 1/2 and by a larger z for w > 4."""
    z, sigma = np.ones(1), ACTIVATIONS["sigmoid"]()
    for _ in range(3000):
        z = sigma.prox(w * z - w / 2, 1.0)
    assert norm(sigma.prox(np.full(1, w * 0.5 - w / 2), 1.0) - 0.5) == 0
    return float(z[0] - 0.5) / DISTINCT


def rotated_activation() -> float:
    """With sigma(h) = S R h, R the turn by 60 degrees, and W = R'/S: sym W = I/(2S) < I/S, and every z solves for c = 0."""
    turn = np.array([[0.5, -np.sqrt(0.75)], [np.sqrt(0.75), 0.5]])
    W, slope = 4.0 * turn.T, 0.25
    assert wellposed(W, "sigmoid").rung == "slope"
    z = np.array([1.0, 0.0])
    assert norm(slope * turn @ W @ z - z) < 1e-15
    return norm(z) / DISTINCT


RANGE = "sym W < I/S"
GENTLE_SLOPES = "sigma is S-Lipschitz"
PROX = "sigma is the prox of a convex function"

NN03 = Theorem(
    "NN-03",
    "activations with slopes below one allow larger weights",
    "sigma = prox_f S-Lipschitz, delta = 1/S - lambda_max(sym W) > 0 => z = sigma(Wz + c) has exactly one solution, and "
    "|z(c) - z(c')| <= |c - c'| / delta; S = 1/4 for the sigmoid, 1/6 for the hard sigmoid, 1/2 for softmax",
    "derived: f is (1/S - 1)-strongly convex by Baillon and Haddad (1977), so that the sum is delta-strongly monotone",
    (RANGE, GENTLE_SLOPES, PROX),
    ("wellposed", "Sigmoid.prox", "CenteredSigmoid.prox", "HardSigmoid.prox", "Softmax.prox"),
    nn03_sample,
    nn03_extremal,
    (
        Counterexample(RANGE, "w = 4.1 with the sigmoid: two equilibria", two_sigmoid_equilibria),
        Counterexample(GENTLE_SLOPES, "ReLU with W = 2: two equilibria", lambda: multiplicity(np.array([[2.0]]))),
        Counterexample(PROX, "S times a turn by 60 degrees: a continuum", rotated_activation),
    ),
    (
        Mutant("claim times 0.999", lambda: nn03_extremal() / 0.999),
        Mutant("S = 1/5 for the sigmoid: the margin 5 - w", lambda: nn03_wrong("sigmoid", 2.0, 3.0)),
        Mutant("S = 1/4 for softmax: the margin 4 - w", lambda: nn03_wrong("softmax", -0.5, 1.5)),
    ),
    standing="derived",
    note="Improves the condition sym W < I of Winston and Kolter (2020) for these activations. For sigma entry by entry it is "
    "the usual sector condition of slope-restricted nonlinearities; for softmax we did not find it in print. Softmax of two "
    "states has the slope 1/2 at (1/2, 1/2), although the abstract of Nair (2025, arXiv 2510.23012) calls 1/2 a limit, not "
    "attained.",
)

# ---- NN-12 -----------------------------------------------------------------------------------------


def nn12_sample(generator: np.random.Generator) -> float:
    """The response to b, and one damped parallel update: the worse of the two ratios."""
    nodes, states = int(generator.integers(2, 5)), int(generator.integers(2, 4))
    model = MeanField(boltzmann(generator, float(generator.uniform(0.05, 0.9)), nodes, states), states)
    if generator.integers(2):
        model = MeanField(ferromagnet(float(generator.uniform(-0.95, 0.95) / (nodes - 1)), nodes), 2)
    h = float(10 ** generator.uniform(-3, 1)) * generator.standard_normal(len(model.Phi))
    q = model.solution(h)[0]
    return max(model.response(h, nearby(h, generator)), model.damped_step(h, nearby(q, generator)))


TURN = np.array([1e-5, -1e-5, 1e-5, -1e-5])  # both nodes towards their first state


def nn12_extremal() -> float:
    """Two nodes of two states: dq/db = 1/(2 - w) where both are undecided, and the update is as slow as claimed there."""
    response = MeanField(ferromagnet(1.5), 2).response(TURN, -TURN)
    return farthest(response, MeanField(ferromagnet(0.75), 2).damped_step(np.zeros(4), 0.5 + TURN))


def magnetised(w: float = 2.1) -> float:
    """Above w = 2 both nodes may prefer the same state, d = tanh(w d/2), besides the undecided solution, for b = 0."""
    d, model = 1.0, MeanField(ferromagnet(w), 2)
    for _ in range(2000):
        d = float(np.tanh(w * d / 2))
    q = 0.5 + 0.5 * d * np.array([1.0, -1.0, 1.0, -1.0])
    undecided, b = model.solution(np.zeros(4))
    assert norm(b + w * 0.5) < 1e-15  # constant in the states of a node, as good as 0
    assert norm(model.solution(w * q)[0] - q) < 1e-12
    return norm(q - undecided) / DISTINCT


CRITICAL = "sym Phi < 2 I"
DAMPED = "the parallel update is damped, step < 2/|I - Phi|"

NN12 = Theorem(
    "NN-12",
    "mean field of a Boltzmann machine",
    "lambda_max(sym Phi) < 2 => q_i = softmax((Phi q + b)_i) for all i has exactly one solution, and "
    "|q(b) - q(b')| <= |b - b'| / (2 - lambda_max(sym Phi)); with Phi = Phi', m I <= I - Phi <= L I the parallel update "
    "prox_{af}((1 - a)q + a(Phi q + b)), a < 2/L, contracts to it by max(|1 - am|, |1 - aL|)/(1 + a)",
    "Feng, Winston and Kolter (2023) for sym(I - Phi) > 0; the constant 2 and the rate are derived, see NN-03",
    (CRITICAL, DAMPED),
    ("wellposed", "BlockAffine", "SeparableSum.prox", "Softmax.prox", "ForwardBackward"),
    nn12_sample,
    nn12_extremal,
    (
        Counterexample(CRITICAL, "a ferromagnet of two nodes, w = 2.1: magnetised both ways", magnetised),
        Counterexample(
            DAMPED,
            "four nodes that repel each other, step 1: the plain parallel update overshoots",
            lambda: MeanField(ferromagnet(-0.9, 4), 2).damped_step(np.zeros(8), 0.5 + np.tile([1e-3, -1e-3], 4), undamped=True),
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: nn12_extremal() / 0.999),
        Mutant("3 for 2: the margin 3 - w", lambda: nn12_extremal() * (3 - 1.5) / (2 - 1.5)),
        Mutant(
            "1 + 2a for 1 + a in the rate",
            lambda: MeanField(ferromagnet(0.75), 2).damped_step(np.zeros(4), 0.5 + TURN, 0.5) * 2.0 / 1.5,
        ),
    ),
    note="Sharper by the slope 1/2 of softmax than sym(I - Phi) > 0, which any parametrisation Phi = blkdiag(A'A) - A'A with "
    "blocks of norm below 1 gives.",
)

# ---- NN-13 -----------------------------------------------------------------------------------------


def displacement(W: Array, perturbed: Array, c: Array, start: Array) -> tuple[float, float]:
    """|z - z~| with its bound |W~ - W| |z~|/m, m from monops_nn; equilibria of ReLU by monops."""
    z, other = (equilibrium(V, c, monops.NonNegative(), METHODS[1], start) for V in (W, perturbed))
    return norm(z - other), norm(perturbed - W) * norm(other) / wellposed(W).margin


def nn13_sample(generator: np.random.Generator) -> float:
    """Rounding of W to a grid, or a random or a worst perturbation: the margin that is left, and the displacement."""
    n, m = int(generator.integers(2, 5)), float(generator.uniform(0.1, 1.0))
    W = singular_network(generator, 1.0 - m, n)
    kind = int(generator.integers(3))
    if kind == 0:
        grid = m / n * generator.uniform(0.1, 1.0)
        dW = np.round(W / grid) * grid - W
    else:
        dW = np.eye(n) if kind == 1 else generator.standard_normal((n, n))
        dW *= generator.uniform(0.05, 0.95) * m / norm(dW)
    left = wellposed(W + dW).margin
    observed, claimed = displacement(W, W + dW, 2 * generator.standard_normal(n), np.zeros(n))
    return max((m - norm(dW)) / left, quotient(observed, claimed, 10.0 / (m - norm(dW))))


def nn13_exact(w: Fraction = Fraction(1, 2), moved: Fraction = Fraction(1, 4)) -> Fraction:
    """Scalars, active ReLU, c = 1: |z - z~| = |1/(1 - w) - 1/(1 - w - d)| over d |z~|/(1 - w), exactly."""
    z, other = 1 / (1 - w), 1 / (1 - w - moved)
    assert z == max(w * z + 1, 0)
    assert other == max((w + moved) * other + 1, 0)
    return abs(z - other) / (moved * other / (1 - w))


def nn13_extremal() -> float:
    """The displacement exactly; and dW = d I leaves the margin m - d, up to rounding of eigenvalues."""
    left = wellposed(np.array([[0.75]])).margin
    return farthest(float(nn13_exact()), (0.5 - 0.25) / left)


def nn13_weak(claimed: float, true: float) -> float:
    """The bound with the margin ``claimed`` held against scalar W = 1 - ``true``, moved by 0.1."""
    observed, bound = displacement(np.array([[1 - true]]), np.array([[1.1 - true]]), np.ones(1), np.zeros(1))
    return observed / (bound * true / claimed)


SMALL = "|dW| < m"
STRONG = "sym(I - W) >= m I with m > 0"

NN13 = Theorem(
    "NN-13",
    "perturbed and quantised weights",
    "sym(I - W) >= m I, |dW| < m => sym(I - W - dW) >= (m - |dW|) I, so that W + dW has exactly one equilibrium z~ for every "
    "c, and |z~ - z| <= (|dW|/m) |z~|, sigma = prox_f",
    "Li, Leong and Chaffey (2026) for quantisation, as recalled; both inequalities are derived in one line",
    (SMALL, STRONG),
    ("wellposed", "Affine", "NonNegative", "solve", "PeacemanRachford"),
    nn13_sample,
    nn13_extremal,
    (
        Counterexample(SMALL, "W = 1/2 (m = 1/2), dW = 3/4: two equilibria", lambda: multiplicity(np.array([[1.25]]))),
        Counterexample(SMALL, "dW = m exactly: a continuum of equilibria", lambda: multiplicity(np.array([[1.0]]))),
        Counterexample(STRONG, "m = 0.2 held against the claim for m = 1/2", lambda: nn13_weak(0.5, 0.2)),
    ),
    (
        Mutant("bound times 0.999", lambda: nn13_extremal() / 0.999),
        Mutant("|z| for |z~| on the right", lambda: float(nn13_exact() * 2)),
        Mutant("m + |dW| for m", lambda: float(nn13_exact() * Fraction(3, 2))),
    ),
    note="Rounding of trained weights is far from the worst perturbation; a multiple of the identity is the worst.",
)

THEOREMS = (NN02, NN03, NN12, NN13)
