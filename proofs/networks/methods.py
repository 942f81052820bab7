"""Theorems on methods for equilibrium networks, solved exactly or cut short: NN-05, NN-15."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

import monops
from monops.algorithms.shared import reflected
from monops_nn import ACTIVATIONS, MonDEQ
from monops_nn.equilibrium import NEUMANN_TERMS
from proofs.generators import orthogonal, rotation_block, strongly_monotone_lipschitz
from proofs.networks.instances import Array, layer, nearby, singular_network, solution
from proofs.ratios import farthest, norm, quotient
from proofs.theorem import Counterexample, Mutant, Theorem

METHODS = (monops.ForwardBackward, monops.PeacemanRachford, monops.DouglasRachford, monops.ForwardBackwardForward)
PROXES = ("identity", "relu", "hardtanh", "tanh", "soft_threshold")
STRONG = "sym(I - W) >= m I with m > 0"


class Iteration:
    """A method of monops on z = sigma(Wz + c), M = I - W, and the point of its own that belongs to the equilibrium z."""

    def __init__(self, method: Any, M: Array, sigma: Any, h: Array) -> None:
        self.method = method
        self.z, self.c = solution(sigma, np.eye(len(M)) - M, h)
        self.terms = method.match(monops.Affine(M, -self.c) + sigma)
        self.fixed = self.z
        if isinstance(self.terms, reflected.Terms):  # u = x + step b with b in Bx
            F = M @ self.z - self.c
            self.fixed = self.z + self.terms.step_size * (F if isinstance(self.terms.B, monops.Affine) else -F)

    def step(self, point: Array, **wrong: Any) -> Array:
        """The next governing point, u of reflected resolvents or x; ``wrong`` terms stand in place of the matched ones."""
        terms = self.terms._replace(**wrong)
        state = self.method.step(terms, self.method.init(terms, point))
        return state.u if isinstance(state, reflected.State) else state.x

    def claim(self) -> float:
        """Squared factor as monops proves it."""
        return float(self.terms.guarantee.squared_contraction(self.terms.step_size))

    def ratio(self, point: Array, claim: float | None = None, **wrong: Any) -> float:
        """|T v - v*|^2 / (claim |v - v*|^2)."""
        distance = norm(point - self.fixed) ** 2
        claimed = (self.claim() if claim is None else claim) * distance
        return quotient(norm(self.step(point, **wrong) - self.fixed) ** 2, claimed, distance + 1e-3 * norm(point) ** 2)


# ---- NN-05 -----------------------------------------------------------------------------------------


def admissible(method: Any, M: Array, generator: np.random.Generator) -> Any:
    """The method with a random step of its proven interval."""
    guarantee = method().match(monops.Affine(M) + monops.Zero()).guarantee
    step = float(guarantee.best_step * 10 ** generator.uniform(-1, 1))
    return method(step_size=min(step, 0.99 * float(guarantee.interval[1])))


def nn05_sample(generator: np.random.Generator) -> float:
    """One step of each method, M extremal, generic or symmetric: the worst ratio."""
    M = strongly_monotone_lipschitz(generator)[0]
    if generator.integers(3) == 0:
        Q = orthogonal(4, generator)
        M = Q @ np.diag(10 ** generator.uniform(-1, 1, 4)) @ Q.T
    sigma = ACTIVATIONS[PROXES[int(generator.integers(len(PROXES)))]]()
    h, worst = 3.0 * generator.standard_normal(len(M)), 0.0
    for method in METHODS:
        iteration = Iteration(admissible(method, M, generator), M, sigma, h)
        worst = max(worst, iteration.ratio(nearby(iteration.fixed, generator)))
    return worst


EXTREMAL = rotation_block(0.6, 1.0)
POINT, AT = np.array([1.0, 0.5]), np.array([0.3, -0.2])


def attained(method: Any, M: Array, claim: float | None = None, **wrong: Any) -> float:
    """The ratio with sigma the identity, the prox of 0: the method is then linear."""
    return Iteration(method, M, monops.Zero(), AT).ratio(POINT, claim, **wrong)


def nn05_extremal() -> float:
    """M = m + i sqrt(L^2 - m^2) for both, the eigenvalues m and L of a symmetric M, and M = m I for Douglas-Rachford."""
    axis = Iteration(monops.ForwardBackward(), np.diag([0.25, 1.0]), monops.Zero(), AT)
    return farthest(
        attained(monops.ForwardBackward(0.5), EXTREMAL),
        attained(monops.PeacemanRachford(0.5), EXTREMAL),
        axis.ratio(axis.fixed + np.array([1.0, 0.0])),
        attained(monops.DouglasRachford(0.5), 0.6 * np.eye(2)),
    )


def quadratic(square: float) -> float:
    """Forward-backward on the extremal block with step 1/2, held against the claim 1 - ``square``."""
    return attained(monops.ForwardBackward(0.5), EXTREMAL, 1 - square)


def jumping_activation() -> float:
    """Hard thresholding, the prox of a nonconvex f: two points on both sides of the threshold are torn apart."""
    iteration = Iteration(monops.ForwardBackward(0.5), EXTREMAL, monops.Zero(), np.array([1.001, 1.001]))
    return iteration.ratio(iteration.fixed - 0.01, A=monops.L0Norm())


LIPSCHITZ = "|I - W| <= L"
INTERVAL = "the step lies in the proven interval"
CONVEX = "sigma is the prox of a convex function"

NN05 = Theorem(
    "NN-05",
    "linear rates of the methods for equilibrium networks",
    "sym(I - W) >= m I, |I - W| <= L, sigma = prox_f => the squared distance to the solution shrinks each step by: "
    "forward-backward 1 - 2am + a^2L^2, 0 < a < 2m/L^2 (W symmetric: max(|1 - am|, |1 - aL|)^2, a < 2/L); Peaceman-Rachford "
    "1 - 4am/(1 + 2am + a^2L^2) = r^2, any a > 0; Douglas-Rachford ((1 + r)/2)^2; forward-backward-forward "
    "(1 - am(1 - aL)/(1 - aL + am))^2, a < 1/L",
    "Winston and Kolter (2020), Theorem 1 and on step sizes; Ryu and Boyd (2016); Giselsson (2017); Tseng (2000)",
    (STRONG, LIPSCHITZ, INTERVAL, CONVEX),
    ("ForwardBackward", "PeacemanRachford", "DouglasRachford", "ForwardBackwardForward", "Affine", "theory.Guarantee"),
    nn05_sample,
    nn05_extremal,
    (
        Counterexample(
            STRONG,
            "a rotation, m = 0, by forward-backward: further away",
            lambda: attained(monops.ForwardBackward(0.5), EXTREMAL, B=monops.Affine(rotation_block(0.0, 1.0))),
        ),
        Counterexample(
            STRONG,
            "a rotation, m = 0, by Peaceman-Rachford: an isometry",
            lambda: attained(monops.PeacemanRachford(0.5), EXTREMAL, A=monops.Affine(rotation_block(0.0, 1.0))),
        ),
        Counterexample(
            LIPSCHITZ,
            "L = 4 held against the claim for L = 1",
            lambda: attained(monops.ForwardBackward(0.5), EXTREMAL, B=monops.Affine(rotation_block(0.6, 4.0))),
        ),
        Counterexample(
            INTERVAL,
            "forward-backward with a = 2.1 m/L^2 leaves the solution",
            lambda: attained(monops.ForwardBackward(0.5), EXTREMAL, 1.0, step_size=2.1 * 0.6),
        ),
        Counterexample(
            INTERVAL,
            "forward-backward-forward with a = 1.1/L, m = L/100, leaves the solution",
            lambda: attained(monops.ForwardBackwardForward(0.5), rotation_block(0.01, 1.0), 1.0, step_size=1.1),
        ),
        Counterexample(CONVEX, "hard thresholding tears points apart", jumping_activation),
    ),
    (
        Mutant("claims times 0.999", lambda: nn05_extremal() / 0.999),
        Mutant("forward-backward with 2.1 am", lambda: quadratic(2.1 * 0.5 * 0.6 - 0.25)),
        Mutant("forward-backward with m and L exchanged", lambda: quadratic(2 * 0.5 * 1.0 - 0.25 * 0.36)),
        Mutant(
            "Peaceman-Rachford with 5 am",
            lambda: attained(monops.PeacemanRachford(0.5), EXTREMAL, 1 - 5 * 0.5 * 0.6 / (1 + 0.6 + 0.25)),
        ),
    ),
    note="Attained with sigma the identity. Douglas-Rachford: for L = m; for L > m by a rotation in the place of sigma "
    "(AL-06), by no activation that we know. Forward-backward-forward: valid, not tight; with the identity and the extremal "
    "W, 1 - rho is 1.3 to 11 times as large as proven for m/L from 0.9 to 0.01.",
)

# ---- NN-15 -----------------------------------------------------------------------------------------


def truncation(iteration: Iteration, point: Array, errors: list[Array]) -> float:
    """|v_K - v*| over rho^K |v_0 - v*| + sum_k rho^(K-1-k) |e_k|, v_{k+1} = T v_k + e_k."""
    rho, bound, scale = math.sqrt(max(iteration.claim(), 0.0)), norm(point - iteration.fixed), norm(point)
    for error in errors:
        point, bound = iteration.step(point) + error, rho * bound + norm(error)
    return quotient(norm(point - iteration.fixed), bound, 1e-2 * scale + 1.0)


def exact_gradient(W: Array, J: Array, g: Array) -> Array:
    """The u = (I - J W')^-1 J g, derivative of <g, z> in c."""
    return np.linalg.solve(np.eye(len(W)) - J[:, None] * W.T, J * g)


def slopes(sigma: Any, h: Array) -> Array:
    """The diagonal of J, the derivative of the activation at h."""
    J: Array = sigma.prox_derivative(h, 1.0).diagonal
    return J


def layer_gradient(made: MonDEQ, c: Array, g: Array) -> Array:
    """The derivative of <g, z> in c as the layer gives it, exact or approximate."""
    x = torch.as_tensor(c)[None].requires_grad_()
    return torch.autograd.grad(made(x), x, torch.as_tensor(g)[None])[0][0].numpy()


def series_ratio(W: Array, m: float, h: Array, g: Array, mode: str, terms: int) -> float:
    """|u_K - u| over |W|^K |u| for the layer's truncated series, ReLU."""
    c = solution(monops.NonNegative(), W, h)[1]
    u = exact_gradient(W, (h > 0).astype(float), g)
    found = layer_gradient(layer(W, np.eye(len(h)), "relu", m, gradient=mode), c, g)
    return quotient(norm(found - u), norm(W) ** terms * norm(u), norm(u) + norm(g))


def descent_ratio(W: Array, m: float, h: Array, g: Array, name: str = "relu") -> float:
    """m |u|^2 over <u_1, u>, u_1 = J g the layer's one-step gradient in c; infinite where that is no descent direction."""
    sigma = ACTIVATIONS[name]()
    c = solution(sigma, W, h)[1]
    u = exact_gradient(W, slopes(sigma, h), g)
    inner = float(layer_gradient(layer(W, np.eye(len(h)), name, 0.99 * m, gradient="one_step"), c, g) @ u)
    inner += 1e-12 * norm(g) ** 2
    return m * norm(u) ** 2 / inner if inner > 0 else np.inf


def nn15_sample(generator: np.random.Generator) -> float:
    """A few steps with errors, of one method; or a truncated series, or the one-step gradient."""
    kind, n = int(generator.integers(3)), int(generator.integers(2, 6))
    if kind == 0:
        M = strongly_monotone_lipschitz(generator)[0]
        method = admissible(METHODS[int(generator.integers(len(METHODS)))], M, generator)
        h = 3.0 * generator.standard_normal(len(M))
        iteration = Iteration(method, M, ACTIVATIONS[PROXES[int(generator.integers(len(PROXES)))]](), h)
        size = float(generator.integers(2) * 10 ** generator.uniform(-4, 0))
        errors = list(size * generator.standard_normal((int(generator.integers(1, 7)), len(M))))
        return truncation(iteration, nearby(iteration.fixed, generator), errors)
    h, g = 2.0 * generator.standard_normal((2, n))
    m = float(generator.uniform(0.1, 1.0))
    if kind == 1:
        return descent_ratio(singular_network(generator, 1.0 - m, n), m, h, g)
    W = generator.standard_normal((n, n)) if generator.integers(2) else orthogonal(n, generator)
    W *= (1.0 - m) / norm(W)
    mode, terms = (("one_step", 1), ("neumann", NEUMANN_TERMS))[int(generator.integers(2))]
    return series_ratio(W, m, h, g, mode, terms)


ONES = np.ones(2)


def nn15_truncated(method: Any = monops.ForwardBackward, step: float = 0.5) -> float:
    """M = 0.6 I, errors in the direction of the error: all inequalities of the chain are equalities."""
    iteration = Iteration(method(step), 0.6 * np.eye(2), monops.Zero(), AT)
    return truncation(iteration, iteration.fixed + ONES, [0.1 * ONES] * 4)


def nn15_extremal() -> float:
    """W = wI with all units active: the truncation, both series, and the descent are attained."""
    W = 0.5 * np.eye(2)
    series = [series_ratio(W, 0.5, ONES, ONES, *mode) for mode in (("one_step", 1), ("neumann", NEUMANN_TERMS))]
    return farthest(nn15_truncated(), *series, descent_ratio(W, 0.5, ONES, ONES))


def growing() -> float:
    """Five steps of forward-backward beyond 2m/L^2, held against the claim of a step within."""
    iteration = Iteration(monops.ForwardBackward(0.5), EXTREMAL, monops.Zero(), AT)
    point = POINT
    for _ in range(5):
        point = iteration.step(point, step_size=2.1 * 0.6)
    return norm(point - iteration.fixed) / (iteration.claim() ** 2.5 * norm(POINT - iteration.fixed))


def ascent_of_smooth_units() -> float:
    """Skew W = 4i (m = 1), tanh with slopes 1 and 0.07: <J g, u> < 0 for the g that gives u = (1, 1)."""
    W, h = np.array([[0.0, -4.0], [4.0, 0.0]]), np.array([0.0, 2.0])
    J = 1.0 - np.tanh(h) ** 2
    return max(descent_ratio(W, 1.0, h, (u - J * (W.T @ u)) / J, "tanh") for u in (ONES, np.array([1.0, -1.0])))


def unstable_equilibrium() -> float:
    """W = 3/2 (m = -1/2): z = 2 solves z = relu(1.5 z - 1), u = g/(1 - W) = -2g, and the one-step gradient g points away."""
    g, u = 1.0, 1.0 / (1.0 - 1.5)
    assert max(1.5 * 2.0 - 1.0, 0.0) == 2.0
    return np.inf if g * u <= 0 else 0.5 * u**2 / (g * u)


VERTEX = "J has the entries 0 and 1, as for ReLU, in the claim on descent"

NN15 = Theorem(
    "NN-15",
    "truncated and inexact equilibria and gradients",
    "v_{k+1} = T v_k + e_k, T rho-contractive => |v_K - v*| <= rho^K |v_0 - v*| + sum_k rho^(K-1-k) |e_k|; K terms u_K of "
    "u = sum_k (J W')^k J g, 0 <= J <= I, leave |u_K - u| <= |W|^K |u|; and for ReLU and one sample the one-step gradient "
    "u_1 = J g in c = Ux + b has <u_1, u> >= m |u|^2, a descent direction for every monotone W, contraction or not",
    "Fung, Heaton, Li, McKenzie, Osher and Yin (2022) for contractions; Geng et al. (2021) for truncated series; the last "
    "inequality is derived",
    (STRONG, INTERVAL, VERTEX),
    ("ForwardBackward", "PeacemanRachford", "DouglasRachford", "ForwardBackwardForward", "MonDEQ", "NonNegative", "Tanh"),
    nn15_sample,
    nn15_extremal,
    (
        Counterexample(STRONG, "W = 3/2: the one-step gradient points away from the gradient", unstable_equilibrium),
        Counterexample(INTERVAL, "five steps of forward-backward with a = 2.1 m/L^2", growing),
        Counterexample(VERTEX, "tanh with a skew W of norm 4: the one-step gradient ascends", ascent_of_smooth_units),
    ),
    (
        Mutant("claims times 0.999", lambda: nn15_extremal() / 0.999),
        Mutant(
            "one term more, |W|^(K+1)", lambda: series_ratio(0.5 * np.eye(2), 0.5, ONES, ONES, "neumann", NEUMANN_TERMS + 1)
        ),
        Mutant("2m |u|^2 for m |u|^2", lambda: 2 * descent_ratio(0.5 * np.eye(2), 0.5, ONES, ONES)),
    ),
    standing="derived",
    note="<u_1, u> = <g, J u> = <g, u> for J = J^2, and <g, u> = <u, (I - W')u> + <u, (J^-1 - I)u>. Fung et al. ask for a "
    "contraction, which trained monotone networks are not (|W| = 4.6 in a published one); we did not find the inequality "
    "in print. Over several samples the gradient in W is a sum of u z', for which the claim does not follow.",
)

THEOREMS = (NN05, NN15)
