"""Theorems on ADMM (AL-10) and on the three-operator splitting of Davis and Yin (AL-12)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import monops
from monops.algorithms.cocoercive.davis_yin import guarantee as davis_yin_guarantee
from monops.constants import Constants
from proofs.algorithms.forward_backward import averaged_pair
from proofs.algorithms.instances import (
    MONOTONE,
    block,
    by_cayley,
    declared_end,
    declared_square,
    image,
    iterates,
    linear,
    map_ratio,
    nonexpansive,
    reflecting,
    required_averagedness,
    rotation,
    terms_of,
)
from proofs.generators import orthogonal, strongly_monotone_lipschitz
from proofs.own_operator import declared, pair
from proofs.ratios import farthest, safe_ratio, square
from proofs.theorem import Counterexample, Mutant, Theorem

E1 = np.array([1.0, 0.0])
TOLERANCE = 1e-12


# ---- AL-10 -----------------------------------------------------------------------------------------


class Composite:
    """min f(x) + g(Kx) with f = x'Px/2 + q'x, and its dual inclusion 0 in K P^-1 K' y + K P^-1 q + dg*(y)."""

    def __init__(self, P: np.ndarray, q: np.ndarray, K: np.ndarray, g: Any) -> None:
        self.primal = monops.Quadratic(P, q) + g @ K
        self.K = K
        inverse = K @ np.linalg.inv(P)
        A = monops.Affine(0.5 * (inverse @ K.T + K @ inverse.T), inverse @ q)
        self.dual = monops.Custom(resolvent=A.resolvent, constants=A.constants) + g.conjugate()


def random_composite(generator: np.random.Generator) -> Composite:
    """Four variables, three rows of K, a nonsmooth g."""
    F = generator.standard_normal((4, 4))
    functions = (monops.L1Norm(), monops.NonNegative(), monops.Box(-0.5, 1.0), monops.L2Ball(0.8), monops.Huber(0.5))
    return Composite(
        F @ F.T + 0.3 * np.eye(4),
        generator.standard_normal(4),
        generator.standard_normal((3, 4)),
        functions[int(generator.integers(len(functions)))],
    )


def dual_difference(problem: Composite, x0: np.ndarray, step: float, relaxation: float, dual_step: float) -> float:
    """The largest |t_k/step - u_k| over eight steps, over the tolerance."""
    t = iterates(problem.primal, monops.ADMM(step, relaxation), x0, 8)
    u = iterates(problem.dual, monops.DouglasRachford(dual_step, relaxation), problem.K @ x0 / step, 8)
    scale = 1 + max(math.sqrt(square(point)) for point in u)
    return max(math.sqrt(square(a / step - b)) for a, b in zip(t, u, strict=True)) / (TOLERANCE * scale)


def al10_sample(generator: np.random.Generator) -> float:
    """The difference of the two paths, and the averagedness of the step of ADMM on two points."""
    problem = random_composite(generator)
    step, relaxation = float(10 ** generator.uniform(-1, 1)), float(generator.uniform(0.1, 1.95))
    x0, (t, other) = generator.standard_normal(4), generator.standard_normal((2, 3))
    solver = monops.ADMM(step, relaxation)
    terms = terms_of(problem.primal, solver)
    found = [solver.governing(terms, solver.step(terms, solver.at(terms, point))) for point in (t, other)]
    averaged = required_averagedness(t - other, found[0] - found[1]) / solver.averagedness(terms)
    return max(dual_difference(problem, x0, step, relaxation, 1 / step), averaged)


def with_dual_step(factor: float) -> float:
    """The difference when Douglas-Rachford takes ``factor`` times the dual step."""
    generator = np.random.default_rng(5)
    problem = random_composite(generator)
    return dual_difference(problem, generator.standard_normal(4), 2.0, 1.0, 0.5 * factor)


def two_lines(relaxation: float) -> float:
    """Required over declared averagedness for f and g the indicators of two lines, whose reflections make a rotation."""
    f, g = (monops.AffineSet(np.array([[math.sin(a), -math.cos(a)]]), np.zeros(1)) for a in (0.0, 0.7))
    problem, solver = f + g @ monops.Identity((2,)), monops.ADMM(1.0, relaxation)
    moved = image(problem, solver, E1) - image(problem, solver, 0 * E1)
    return required_averagedness(E1, moved) / float(solver.averagedness(terms_of(problem, solver)))


def al10_extremal() -> float:
    """The averagedness is attained at every relaxation."""
    return farthest(*(two_lines(relaxation) for relaxation in (0.5, 1.0, 1.8)))


def three_blocks() -> float:
    """Spectral radius of ADMM with three blocks in turn on a1 x1 + a2 x2 + a3 x3 = 0, f = 0: (x2, x3, multiplier)."""
    a = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 2.0], [1.0, 2.0, 2.0]])

    def sweep(state: np.ndarray) -> np.ndarray:
        x, multiplier = np.array([0.0, state[0], state[1]]), state[2:]
        for i in range(3):
            rest = sum((a[j] * x[j] for j in range(3) if j != i), multiplier)
            x[i] = -(a[i] @ rest) / (a[i] @ a[i])
        return np.array([x[1], x[2], *(multiplier + a.T @ x)])

    return float(np.abs(np.linalg.eigvals(np.array([sweep(e) for e in np.eye(5)]).T)).max())


def overrelaxed(relaxation: float) -> float:
    """|Tt|^2 for f the indicator of 0, g = 0, K = I: T = 1 - relaxation."""
    problem, solver = monops.Box(0.0, 0.0) + monops.Zero() @ monops.Identity((2,)), monops.ADMM(1.0)
    return square(iterates(problem, solver, E1, 1, relaxation=relaxation)[1])


AL10 = Theorem(
    "AL-10",
    "ADMM is Douglas-Rachford on the dual",
    "f, g convex, z = prox_{step g}(t), x = argmin f + |K. - (2z - t)|^2/(2 step), t+ = t + r (Kx - z) => u_k = t_k/step are "
    "the iterates of Douglas-Rachford with step 1/step and relaxation r for 0 in -K df*(-K' y) + dg*(y); so t -> t+ is "
    "r/2-averaged, and |t_k - t*| never grows for r <= 2",
    "Gabay (1983), Applications of the method of multipliers to variational inequalities; Eckstein and Bertsekas (1992), "
    "Theorem 8",
    ("the dual step is 1/step", "two blocks, x and z", "r <= 2"),
    ("ADMM", "DouglasRachford", "Quadratic", "Function.conjugate", "Affine.resolvent", "ADMM.averagedness"),
    al10_sample,
    al10_extremal,
    (
        Counterexample("the dual step is 1/step", "the dual step is that of ADMM, 2 for 1/2", lambda: with_dual_step(4.0)),
        Counterexample(
            "two blocks, x and z",
            "three blocks in turn with the columns (1, 1, 1), (1, 1, 2), (1, 2, 2), f = 0: spectral radius 1.0278 of the "
            "iteration",
            three_blocks,
        ),
        Counterexample("r <= 2", "f the indicator of 0, g = 0, r = 2.1: t+ = -1.1 t", lambda: overrelaxed(2.1)),
    ),
    (
        Mutant("averagedness times 0.999", lambda: al10_extremal() / 0.999),
        Mutant("dual step 0.1 % off", lambda: with_dual_step(1.001)),
        Mutant("relaxation up to 2.01", lambda: overrelaxed(2.01)),
    ),
    note="Two code paths: ADMM solves a linear system in the primal space and uses prox_g, Douglas-Rachford the inverse of I "
    "+ K P^-1 K'/step and prox_g*. Equal to 1e-12 in floating point over eight steps. The three-block example is that of "
    "Chen, He, Ye and Yuan (2016), written here: monops has no such method.",
)

# ---- AL-12 -----------------------------------------------------------------------------------------


def resolvent_only(M: np.ndarray) -> Any:
    """The matrix as an operator without a forward value, which must go by its resolvent."""
    A = monops.Affine(M)
    return monops.Custom(resolvent=A.resolvent, constants=Constants(0.0, lipschitz=A.constants.lipschitz))


def al12_sample(generator: np.random.Generator) -> float:
    """Nonlinear A, B nonlinear or a matrix, C a matrix; or the worst instances."""
    relaxation, part = float(generator.choice([1.0, generator.uniform(0.05, 1.95)])), float(generator.uniform(0.02, 0.98))
    kind = int(generator.integers(4))
    if kind == 0:
        return small_turns(part * 2 * (2 - relaxation), relaxation)
    if kind == 1:
        mu, beta, lipschitz = (float(value) for value in generator.uniform([0.05, 0.2, 0.1], [1.0, 1.0, 5.0]))
        return worst_ratio(mu, beta, lipschitz, part * 2 * beta)
    M, _, _ = strongly_monotone_lipschitz(generator)
    n = len(M)
    C = monops.Affine(M)
    Q = orthogonal(n, generator)
    B = (
        reflecting(nonexpansive(generator, n))
        if kind == 2
        else resolvent_only(float(10 ** generator.uniform(-1, 1)) * (Q - Q.T))
    )
    step = part * 2 * float(C.constants.cocoercivity) * (2 - relaxation)
    x, y = generator.standard_normal((2, n))
    problem = reflecting(nonexpansive(generator, n)) + B + C
    return map_ratio(problem, monops.DavisYin(step, relaxation), x, y)


def worst_operators(
    mu: float, beta: float, lipschitz: float, step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A, B, C and z in three dimensions: C e1 = mu e1 + n e3, n^2 = mu/beta - mu^2, B e1 = L e2, A(e1 - step C e1) = -L e2."""
    n = math.sqrt(max(mu / beta - mu**2, 0.0))
    C = np.array([[mu, 0, -n], [0, mu, 0], [n, 0, mu]])
    B = np.array([[0, -lipschitz, 0], [lipschitz, 0, 0], [0, 0, 0.0]])
    x = np.array([1 - step * mu, 0, -step * n])
    e2 = np.array([0, 1.0, 0])
    A = lipschitz * (np.outer(x, e2) - np.outer(e2, x)) / square(x)
    return A, B, C, np.array([1, step * lipschitz, 0])


def worst_ratio(mu: float, beta: float, lipschitz: float, step: float, claimed: Constants | None = None) -> float:
    """|Tz|^2/|z|^2 on these operators over the declared factor, or over that for other constants of C."""
    A, B, C, z = worst_operators(mu, beta, lipschitz, step)
    problem, method = monops.Affine(A) + monops.Affine(B) + monops.Affine(C), monops.DavisYin(step)
    guarantee = terms_of(problem, method).guarantee
    if claimed is not None:
        guarantee = davis_yin_guarantee(MONOTONE, Constants(0.0, lipschitz=lipschitz), claimed)
    return safe_ratio(square(image(problem, method, z)) / square(z), declared_square(guarantee, step))


def small_turns(step: float, relaxation: float, declared_step: float | None = None) -> float:
    """Required over declared averagedness, beta = 1, A and C small turns, B = 0; at a step that monops refuses over 1."""
    R, z = averaged_pair(step, 1.0)
    C = monops.Custom(forward=linear(block(z)), constants=Constants(cocoercivity=1.0))
    problem, method = by_cayley(R) + by_cayley(1.0) + C, monops.DavisYin(declared_step or step, relaxation)
    required = required_averagedness(E1, image(problem, method, E1, step_size=step))
    return required / (1.0 if declared_step else float(method.averagedness(terms_of(problem, method))))


def davis_yin_end(relaxation: float = 1.0) -> float:
    """The end of the interval of steps for beta = 1, as monops declares it: 2 (2 - t)."""
    return declared_end(davis_yin_guarantee(MONOTONE, MONOTONE, Constants(cocoercivity=1.0), relaxation))


def al12_extremal() -> float:
    """The linear factor and the end of the interval exactly; the averagedness at small angles, nearly."""
    return farthest(
        with_forward(np.eye(2), by_cayley(1.0), by_cayley(1.0), step_size=davis_yin_end()),
        small_turns(davis_yin_end(0.5), 0.5, declared_step=1.0),
        *(worst_ratio(0.5, 1.0, lipschitz, step) for lipschitz in (0.5, 2.0) for step in (0.5, 1.0, 1.75)),
        *(small_turns(step, t) for step, t in ((1.0, 1.0), (1.9, 1.0), (2.5, 0.7), (3.5, 0.2), (0.5, 1.7))),
    )


def al12_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """The operator as C with the l1 norm and a box, at a random step and relaxation of the interval."""
    beta = float(declared(operator, "cocoercivity").cocoercivity)
    relaxation = float(generator.choice([1.0, generator.uniform(0.05, 1.95)]))
    step = float(generator.uniform(0.02, 0.98)) * (2 * beta * (2 - relaxation) if beta < math.inf else 10.0)
    problem = operator + float(10 ** generator.uniform(-2, 1)) * monops.L1Norm() + monops.Box(-1.0, 2.0)
    return map_ratio(problem, monops.DavisYin(step, relaxation), *pair(operator, generator))


def with_forward(C: np.ndarray, A: Any, B: Any, **changes: Any) -> float:
    """|Tx|^2 from e1 with C declared 1-cocoercive, step 1 unless changed."""
    operator = monops.Custom(forward=linear(C), constants=Constants(cocoercivity=1.0))
    return square(image(A + B + operator, monops.DavisYin(1.0), E1, **changes))


def claim_of(mu: float, lipschitz: float) -> float:
    """The factor for beta = 1 at step 1."""
    guarantee = davis_yin_guarantee(MONOTONE, Constants(0.0, lipschitz=lipschitz), Constants(mu, cocoercivity=1.0))
    return declared_square(guarantee, 1.0)


AL12 = Theorem(
    "AL-12",
    "Davis-Yin splitting",
    "A, B monotone, C beta-cocoercive, 0 < step < 2 beta (2 - t), 0 < t < 2, x = J_{step B} z, y = J_{step A}(2x - z - step "
    "Cx), Tz = z + t (y - x) => T is (2 t beta/(4 beta - step))-averaged; t = 1, B L-Lipschitz, C mu-strongly monotone => |Tz "
    "- Tz'|^2 <= (1 - step mu (2 - step/beta)/(1 + step^2 L^2)) |z - z'|^2",
    "Davis and Yin (2017), A three-operator splitting scheme; Aragon-Artacho and Torregrosa-Belen (2022) for steps beyond 2 "
    "beta; the factor is derived for monops",
    ("A is monotone", "C is beta-cocoercive", "step < 2 beta (2 - t)", "B is L-Lipschitz", "C is mu-strongly monotone"),
    ("DavisYin", "DavisYin.averagedness", "Affine", "Custom", "cocoercive.davis_yin.guarantee"),
    al12_sample,
    al12_extremal,
    (
        Counterexample(
            "A is monotone",
            "R_A = 3/2, A = -1/5, and B = C = 0",
            lambda: with_forward(np.zeros((2, 2)), by_cayley(1.5), by_cayley(1.0)),
        ),
        Counterexample(
            "C is beta-cocoercive",
            "A = B = 0 and C the quarter turn, monotone and Lipschitz: |Tz|^2 = 1 + step^2",
            lambda: with_forward(rotation(math.pi / 2), by_cayley(1.0), by_cayley(1.0)),
        ),
        Counterexample(
            "step < 2 beta (2 - t)",
            "A = B = 0, C = I, 1.05 of the end, t = 1",
            lambda: with_forward(np.eye(2), by_cayley(1.0), by_cayley(1.0), step_size=1.05 * davis_yin_end()),
        ),
        Counterexample(
            "step < 2 beta (2 - t)",
            "1.03 of the end at t = 1/2, two small turns: T is not averaged with a constant up to 1",
            lambda: small_turns(1.03 * davis_yin_end(0.5), 0.5, declared_step=1.0),
        ),
        Counterexample(
            "B is L-Lipschitz",
            "A and B the normal cone of {0}, C = I/2: T = I, held against mu = 1/2, L = 1",
            lambda: with_forward(0.5 * np.eye(2), by_cayley(-1.0), by_cayley(-1.0)) / claim_of(0.5, 1.0),
        ),
        Counterexample(
            "C is mu-strongly monotone",
            "A = B = C = 0: T = I, held against mu = 1/2, L = 1",
            lambda: with_forward(np.zeros((2, 2)), by_cayley(1.0), by_cayley(1.0)) / claim_of(0.5, 1.0),
        ),
    ),
    (
        Mutant("factor times 0.999", lambda: worst_ratio(0.5, 1.0, 2.0, 1.0) / 0.999),
        Mutant("averagedness times 0.999", lambda: small_turns(1.0, 1.0) / 0.999),
        Mutant(
            "2 beta for beta in the factor",
            lambda: worst_ratio(0.5, 1.0, 2.0, 1.0, Constants(0.5, cocoercivity=2.0, lipschitz=1.0)),
        ),
        Mutant(
            "2 - step/(4 beta) for the reciprocal of the averagedness",
            lambda: small_turns(1.9, 1.0) * (2 / 2.1) * (2 - 1.9 / 4),
        ),
    ),
    slack=0.99999,
    on_operator=al12_on_operator,
    note="The linear factor is attained for all constants by three linear operators in three dimensions: C e1 = mu e1 + n e3, "
    "B e1 = L e2, A(e1 - step C e1) = -L e2, z = e1 + step L e2. Plane linear operators attain it for mu beta = 1 only: at mu "
    "= 1/2, beta = 1, L = 2, step = 1 it is 0.9 and they reach 0.8531. Derived for monops, proven by a symbolic identity; "
    "Lee, Yi and Ryu (2025) give factors of this method, their theorems were not at hand: priority unknown. The averagedness "
    "constant is attained in the limit of small angles only, at steps beyond 2 beta too.",
)

THEOREMS = (AL10, AL12)
