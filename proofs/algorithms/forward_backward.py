"""Theorems on splitting with one forward value: forward-backward (AL-05), forward-backward-forward (AL-11)."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np

import monops
from monops.algorithms.cocoercive.forward_backward import guarantee as forward_backward_guarantee
from monops.algorithms.lipschitz.forward_backward_forward import guarantee as tseng_guarantee
from monops.constants import Constants
from proofs.algorithms.instances import (
    MONOTONE,
    block,
    by_cayley,
    by_resolvent,
    declared_end,
    declared_square,
    image,
    in_disc,
    linear,
    map_ratio,
    required_averagedness,
    rotation,
    terms_of,
)
from proofs.algorithms.two_operator_planes import strongly_monotone_disc
from proofs.generators import orthogonal, strongly_monotone_lipschitz
from proofs.own_operator import declared, pair
from proofs.ratios import farthest, safe_ratio, square
from proofs.theorem import Counterexample, Mutant, Theorem

E1 = np.array([1.0, 0.0])
TURN = rotation(math.pi / 2)


# ---- AL-05 -----------------------------------------------------------------------------------------


def averaged_pair(step: float, beta: float, angle: float = 1e-3) -> tuple[complex, complex]:
    """(R_A, B) in the plane whose forward-backward map needs the full constant in the limit of small angles.

    I - step B = 1 - c + c e^{i angle}, c = step/(2 beta), and R_A = e^{2 i (1 - c) angle}.
    """
    c = step / (2 * beta)
    return cmath.exp(2j * (1 - c) * angle), c * (1 - cmath.exp(1j * angle)) / step


def averaged_ratio(step: float, relaxation: float, declared_step: float | None = None) -> float:
    """Required over declared averagedness of that pair, beta = 1; at a step that monops refuses over 1."""
    R, B = averaged_pair(step, 1.0)
    operator = monops.Custom(forward=linear(block(B)), constants=Constants(cocoercivity=1.0))
    problem, method = by_cayley(R) + operator, monops.ForwardBackward(declared_step or step, relaxation)
    required = required_averagedness(E1, image(problem, method, E1, step_size=step))
    return required / (1.0 if declared_step else float(method.averagedness(terms_of(problem, method))))


def product_ratio(z: complex, mu: float, step: float, claimed: Constants) -> float:
    """|T|^2 for A = mu I and B = z, over the factor for these constants."""
    A = by_resolvent(lambda x: x / (1 + step * mu), Constants(strong_monotonicity=mu))
    B = monops.Custom(forward=linear(block(z)), constants=claimed)
    claim = declared_square(forward_backward_guarantee(A.constants, claimed), step)
    return safe_ratio(square(image(A + B, monops.ForwardBackward(step), E1)), claim)


def al05_sample(generator: np.random.Generator) -> float:
    """A nonlinear A of some strong monotonicity, B a matrix or a gradient; or a pair near the limit of averagedness."""
    relaxation = float(generator.choice([1.0, generator.uniform(0.05, 1.95)]))
    part = float(generator.uniform(0.02, 0.98))
    kind = int(generator.integers(3))
    if kind == 0:
        return averaged_ratio(part * 2 * (2 - relaxation), relaxation)
    M, _, _ = strongly_monotone_lipschitz(generator)
    if kind == 1:
        Q = orthogonal(len(M), generator)
        M = Q @ np.diag([0.0, *generator.uniform(0, 3, len(M) - 1)]) @ Q.T
    B = monops.Affine(M)
    step = part * 2 * float(B.constants.cocoercivity) * (2 - relaxation)
    mu = float(generator.choice([0.0, generator.uniform(0, 2)]))
    A = in_disc(strongly_monotone_disc(mu, step), generator, len(M), Constants(strong_monotonicity=mu))
    x, y = generator.standard_normal((2, len(M)))
    return map_ratio(A + B, monops.ForwardBackward(step, relaxation), x, y)


COCOERCIVE = Constants(strong_monotonicity=0.5, cocoercivity=1.0)
CYCLIC = Constants(strong_monotonicity=0.5, lipschitz=2.0, cyclic=True)


def step_end(relaxation: float = 1.0) -> float:
    """The end of the interval of steps for beta = 1, as monops declares it: 2 (2 - t)."""
    return declared_end(forward_backward_guarantee(MONOTONE, Constants(cocoercivity=1.0), relaxation))


def al05_extremal() -> float:
    """A = mu I with the worst cocoercive or symmetric B, the end of the interval, exactly; averagedness at small angles."""
    return farthest(
        overlong(step_end()),
        averaged_ratio(step_end(0.5), 0.5, declared_step=1.0),
        *(product_ratio(0.5 + 0.5j, mu, step, COCOERCIVE) for mu in (0.0, 1.0) for step in (0.5, 1.5)),
        product_ratio(0.5, 1.0, 0.5, CYCLIC),
        product_ratio(2.0, 1.0, 0.9, CYCLIC),
        *(averaged_ratio(step, t) for step, t in ((1.0, 1.0), (1.9, 1.0), (2.5, 0.7), (3.5, 0.2), (0.5, 1.7))),
    )


def al05_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """The operator by its forward value with a multiple of the l1 norm, at a random step and relaxation of the interval."""
    beta = float(declared(operator, "cocoercivity").cocoercivity)
    relaxation = float(generator.choice([1.0, generator.uniform(0.05, 1.95)]))
    step = float(generator.uniform(0.02, 0.98)) * (2 * beta * (2 - relaxation) if beta < math.inf else 10.0)
    problem = operator + float(10 ** generator.uniform(-2, 1)) * monops.L1Norm()
    return map_ratio(problem, monops.ForwardBackward(step, relaxation), *pair(operator, generator))


def turning() -> float:
    """|T|^2 = 1 + step^2 for the quarter turn, declared 1-cocoercive."""
    B = monops.Custom(forward=linear(TURN), constants=Constants(cocoercivity=1.0))
    return square(image(by_cayley(1.0) + B, monops.ForwardBackward(1.0), E1))


def overlong(step: float) -> float:
    """|T|^2 for A = 0 and B = I, beta = 1: (1 - step)^2."""
    B = monops.Custom(forward=lambda x: x, constants=Constants(cocoercivity=1.0))
    return square(image(by_cayley(1.0) + B, monops.ForwardBackward(1.0), E1, step_size=step))


def expanding() -> float:
    """|T|^2 for A = -I/4 and B = 0, step 1."""
    B = monops.Custom(forward=lambda x: 0 * x, constants=Constants(cocoercivity=1.0))
    return square(image(by_resolvent(lambda x: x / 0.75) + B, monops.ForwardBackward(1.0), E1))


AL05 = Theorem(
    "AL-05",
    "forward-backward splitting",
    "A monotone, B beta-cocoercive, 0 < step < 2 beta (2 - t), 0 < t < 2, T = (1 - t) I + t J_{step A}(I - step B) => T is "
    "(2 t beta/(4 beta - step))-averaged; t = 1, A mu_A-strongly and B mu-strongly monotone => |Tx - Ty|^2 <= r |x - y|^2, "
    "r = (1 - 2 step mu + step^2 mu/beta)/(1 + step mu_A)^2 for step <= 2 beta; B = df: "
    "r = max{|1 - step mu|, |1 - step L|}^2/(1 + step mu_A)^2",
    "Bauschke and Combettes (2017), Theorem 26.14 and Proposition 26.1; Aragon-Artacho and Torregrosa-Belen (2022) for steps "
    "beyond 2 beta; Combettes and Yamada (2015) for the averagedness",
    ("A is monotone", "B is beta-cocoercive", "step < 2 beta (2 - t)", "B is mu-strongly monotone"),
    ("ForwardBackward", "ForwardBackward.averagedness", "Affine.forward", "Custom", "cocoercive.forward_backward.guarantee"),
    al05_sample,
    al05_extremal,
    (
        Counterexample("A is monotone", "A = -I/4, B = 0, step 1", expanding),
        Counterexample("B is beta-cocoercive", "the quarter turn, monotone and Lipschitz: |T|^2 = 1 + step^2", turning),
        Counterexample("step < 2 beta (2 - t)", "A = 0, B = I, 1.05 of the end, t = 1", lambda: overlong(1.05 * step_end())),
        Counterexample(
            "step < 2 beta (2 - t)",
            "1.03 of the end at t = 1/2, two small turns: T is not averaged with a constant up to 1",
            lambda: averaged_ratio(1.03 * step_end(0.5), 0.5, declared_step=1.0),
        ),
        Counterexample(
            "B is mu-strongly monotone",
            "B = 0 held against mu = 1/2, beta = 1",
            lambda: product_ratio(0, 0.0, 1.0, COCOERCIVE),
        ),
    ),
    (
        Mutant("factor times 0.999", lambda: product_ratio(0.5 + 0.5j, 1.0, 0.5, COCOERCIVE) / 0.999),
        Mutant("averagedness times 0.999", lambda: averaged_ratio(1.0, 1.0) / 0.999),
        Mutant("averagedness step/(2 beta), that of I - step B", lambda: averaged_ratio(1.9, 1.0) * (2 / 2.1) / 0.95),
        Mutant(
            "2 beta for beta in the factor",
            lambda: product_ratio(0.5 + 0.5j, 1.0, 0.5, Constants(0.5, cocoercivity=2.0, lipschitz=1.0)),
        ),
    ),
    slack=0.99999,
    on_operator=al05_on_operator,
    note="The factors are attained as products by A = mu_A I; the averagedness constant is attained in the limit of small "
    "angles only (0.999999 at an angle of 1/1000), for steps beyond 2 beta too. monops declares a factor for t different from "
    "1 by the triangle inequality, which is not tight.",
)

# ---- AL-11 -----------------------------------------------------------------------------------------


def tseng_ratio(problem: Any, step: float, x: np.ndarray, **changes: Any) -> float:
    """The worst of |x+|^2 over |x|^2 - (1 - step^2 L^2) |x - y|^2, over |x|^2, and over the declared factor; x* = 0."""
    method = monops.ForwardBackwardForward(step)
    terms = terms_of(problem, method, **changes)
    state = method.step(terms, method.at(terms, x))
    s = terms.step_size * float(terms.B.constants.lipschitz)
    new, scale = square(state.x), square(x)
    worst = max(safe_ratio(new, scale - (1 - s**2) * square(x - state.y), scale), new / scale)
    if terms.guarantee.squared_contraction is None:
        return worst
    return max(worst, safe_ratio(new, declared_square(terms.guarantee, terms.step_size) * scale, scale))


def forward(matrix: np.ndarray, lipschitz: float, mu: float = 0.0) -> Any:
    """The linear operator with these constants declared, true or not."""
    return monops.Custom(forward=linear(matrix), constants=Constants(strong_monotonicity=mu, lipschitz=lipschitz))


def al11_sample(generator: np.random.Generator) -> float:
    """A nonlinear A of some strong monotonicity with a matrix: skew, extremal or random."""
    M, _, lipschitz = strongly_monotone_lipschitz(generator)
    if generator.integers(3) == 0:
        M = M - M.T
    B = monops.Affine(M)
    step = float(generator.uniform(0.02, 0.99)) / float(B.constants.lipschitz)
    mu = float(generator.choice([0.0, lipschitz * 10 ** generator.uniform(-2, 0.5)]))
    A = in_disc(strongly_monotone_disc(mu, step), generator, len(M), Constants(strong_monotonicity=mu))
    return tseng_ratio(A + B, step, generator.standard_normal(len(M)))


def tseng_end(step: float = 1.0) -> float:
    """|x+|^2 for the quarter turn at this part of the interval that monops declares: 1 at its end."""
    end = declared_end(tseng_guarantee(MONOTONE, Constants(0.0, lipschitz=1.0)))
    return square(image(by_cayley(1.0) + forward(TURN, 1.0), monops.ForwardBackwardForward(0.9), E1, step_size=step * end))


def al11_extremal() -> float:
    """A = 0, B a multiple of the quarter turn, at several steps and at the end of the interval."""
    return farthest(*(descent_ratio(TURN, 1.0, step) for step in (0.3, 0.6, 0.95)), tseng_end())


def descent_ratio(matrix: np.ndarray, coefficient: float, step: float) -> float:
    """|x+|^2 over |x|^2 - (coefficient - step^2 L^2) |x - y|^2 for A = 0 and a matrix of norm 1."""
    method = monops.ForwardBackwardForward(step)
    terms = terms_of(by_cayley(1.0) + forward(matrix, 1.0), method)
    state = method.step(terms, method.at(terms, E1))
    return square(state.x) / (1 - (coefficient - step**2) * square(E1 - state.y))


AL11 = Theorem(
    "AL-11",
    "forward-backward-forward splitting",
    "A monotone, B monotone and L-Lipschitz, 0 in (A + B)x*, 0 < step < 1/L, y = J_{step A}(x - step Bx), x+ = y - step (By - "
    "Bx) => |x+ - x*|^2 <= |x - x*|^2 - (1 - step^2 L^2) |x - y|^2 <= |x - x*|^2; A + B mu-strongly monotone => |x+ - x*| <= "
    "(1 - step mu (1 - step L)/(1 - step L + step mu)) |x - x*|",
    "Tseng (2000), A modified forward-backward splitting method; the factor is derived for monops",
    ("A is monotone", "B is monotone", "B is L-Lipschitz", "step < 1/L", "A + B is mu-strongly monotone"),
    ("ForwardBackwardForward", "Affine.forward", "Custom", "lipschitz.forward_backward_forward.guarantee"),
    al11_sample,
    al11_extremal,
    (
        Counterexample(
            "A is monotone",
            "R_A = 3/2, A = -1/5, and B = 0",
            lambda: tseng_ratio(by_cayley(1.5) + forward(np.zeros((2, 2)), 1.0), 0.5, E1),
        ),
        Counterexample(
            "B is monotone", "A = 0, B = -I", lambda: tseng_ratio(by_cayley(1.0) + forward(-np.eye(2), 1.0), 0.5, E1)
        ),
        Counterexample(
            "B is L-Lipschitz",
            "twice the quarter turn, declared 1-Lipschitz",
            lambda: tseng_ratio(by_cayley(1.0) + forward(2 * TURN, 1.0), 0.9, E1),
        ),
        Counterexample(
            "step < 1/L",
            "the quarter turn at 1.1 of the end: |x+|^2 = 1 - s^2 + s^4, s = 1.1",
            lambda: tseng_end(1.1),
        ),
        Counterexample(
            "A + B is mu-strongly monotone",
            "B = 0 held against mu = 1/2, L = 1",
            lambda: tseng_ratio(by_cayley(1.0) + forward(np.zeros((2, 2)), 1.0, mu=0.5), 0.5, E1),
        ),
    ),
    (
        Mutant("bound times 0.999", lambda: al11_extremal() / 0.999),
        Mutant("1 for 1 - step^2 L^2", lambda: descent_ratio(TURN, 1.0 + 0.36, 0.6)),
        Mutant("interval to 1.005/L", lambda: tseng_end(1.005)),
    ),
    note="The descent inequality is attained by A = 0, B = L i at every step, and the interval cannot be longer: |x+|^2 = 1 - "
    "s^2 + s^4 there, s = step L. The linear factor is a bound and not attained: at mu = 0.3, L = 1, step 0.5 its square is "
    "0.78254, semidefinite programs give 0.78064, and the worst plane linear operators 0.77244. Proven for all "
    "parameters in proofs/symbolic.",
)

THEOREMS = (AL05, AL11)
