"""Theorems on primal-dual splitting: Chambolle-Pock and Condat-Vu, AL-15 and AL-16."""

from __future__ import annotations

from typing import Any

import numpy as np

import monops
from monops.algorithms.primal_dual import accelerated_chambolle_pock, chambolle_pock
from monops.arrays import Blocks
from monops.constants import Constants
from proofs.algorithms.forward_backward import averaged_pair
from proofs.algorithms.instances import (
    MONOTONE,
    block,
    by_cayley,
    declared_end,
    linear,
    nonexpansive,
    reflecting,
    required_averagedness,
)
from proofs.algorithms.linear_iterations import backward, forward, image, inner, spectral_radius, squared, step_matrix
from proofs.ratios import farthest, safe_ratio
from proofs.theorem import Counterexample, Mutant, Theorem

POCK, CONDAT, THREE = monops.ChambollePock(), monops.CondatVu(), monops.PrimalDualThreeOperator()
LINE = monops.Matrix(np.eye(1))


def resolved(generator: np.random.Generator, n: int) -> Any:
    """A maximal monotone operator that is zero at 0, known by its resolvent: a function, a skew matrix, or any (Minty)."""
    skew = generator.standard_normal((n, n)) * generator.uniform(0.1, 3.0)
    return (
        monops.L1Norm(),
        monops.Box(-0.5, 1.0),
        monops.SquaredL2(0.3),
        backward(skew - skew.T),
        reflecting(nonexpansive(generator, n)),
    )[int(generator.integers(5))]


def behind_map(generator: np.random.Generator) -> Any:
    """K*BK for such a B and a 4 x 3 matrix K of any norm."""
    K = monops.Matrix(10 ** float(generator.uniform(-1, 1)) * generator.standard_normal((4, 3)))
    return K.T @ resolved(generator, 4) @ K


def energy(terms: Any, state: Any, weight: float = 7 / 6) -> float:
    """V = |x|^2/t - 2 <Kx, y> + |y|^2/s + (7 + tL)/6 |dx|^2/t - 2 <K dx, dy> + (4/3)|dy|^2/s, the solution being 0."""
    t, s, K = terms.step_size, terms.dual_step_size, terms.map
    reach = t / float(terms.C.constants.cocoercivity) if hasattr(terms, "C") else 0.0
    x, y, dx, dy = state.x, state.y, state.x - state.previous_x, state.y - state.previous_y
    value = squared(x) / t - 2 * inner(K.apply(x), y) + squared(y) / s
    return value + (weight + reach / 6) * squared(dx) / t - 2 * inner(K.apply(dx), dy) + 4 / 3 * squared(dy) / s


def energy_ratio(method: Any, terms: Any, start: np.ndarray) -> float:
    """The largest V+/V along a short run from a random pair, from the first step on, where V is defined."""
    state = method.step(terms, method.at(terms, Blocks((start[:3], start[3:]))))
    first, worst = energy(terms, state), 0.0
    for _ in range(4):
        before = energy(terms, state)
        state = method.step(terms, state)
        worst = max(worst, safe_ratio(energy(terms, state), before, first))
    return worst


def averaged_ratio(method: Any, terms: Any, z: np.ndarray, w: np.ndarray) -> float:
    """|d+|^2 + (1 - a)/a |d - d+|^2 over |d|^2 for d = z - w, d+ = Tz - Tw, in the metric and with the a of the method."""
    a = float(method.averagedness(terms))
    first, second = (Blocks((point[:3], point[3:])) for point in (z, w))
    d, new = first - second, image(method, terms, first) - image(method, terms, second)
    sizes = [inner(method.metric(terms, part), part) for part in (new, d - new, d)]
    return safe_ratio(sizes[0] + (1 - a) / a * sizes[1], sizes[2], squared(d) / terms.step_size)


def line_ratio(method: Any, terms: Any, y: float, weight: float = 7 / 6) -> float:
    """V+/V in the second step from x = 1 and this y."""
    state = method.step(terms, method.at(terms, Blocks((np.array([1.0]), np.array([y])))))
    return energy(terms, method.step(terms, state), weight) / energy(terms, state, weight)


# ---- AL-15 -----------------------------------------------------------------------------------------


def pock_limit() -> float:
    """The end of the interval for K = 1 and dual step 1, as monops declares it: 4/3."""
    return declared_end(chambolle_pock.guarantee(MONOTONE, MONOTONE, 1, 1))


def pock_terms(product: float) -> Any:
    """A = 0, B^-1 = 0, K = 1: the simplest instance, at any product of the steps."""
    terms = POCK.match(monops.Zero() + monops.Point(0.0) @ LINE)
    return terms._replace(step_size=product, dual_step_size=1.0)


def pock_radius(product: float) -> float:
    """Spectral radius of [[1, -t], [s, 1 - 2ts]]."""
    terms = pock_terms(product)
    return spectral_radius(step_matrix(POCK, terms, np.zeros(1)))


def theta_radius(A: Any, B: Any, product: float, theta: float) -> float:
    """Spectral radius with extrapolation theta instead of 1 and K = I, by the step of the accelerated method at fixed steps."""
    method = monops.AcceleratedChambollePock()
    K = monops.Matrix(np.eye(2))
    terms = method.match(monops.SquaredL2() + monops.SquaredL2() @ K)
    dual = POCK.match(A + K.T @ B @ K).dual
    terms = terms._replace(A=A, dual=dual, step_size=product, dual_step_size=1.0, theta=theta)
    columns = []
    for e in np.eye(6):
        x, y, ahead = np.split(e, 3)
        state = accelerated_chambolle_pock.State(x, y, ahead, x, y, ahead, product, 1.0, product, 1.0, 100, 0)
        new = method.step(terms, state)
        columns.append(np.concatenate([new.x, new.y, new.ahead]))
    return spectral_radius(np.array(columns).T)


def al15_sample(generator: np.random.Generator) -> float:
    """Firm nonexpansiveness in the metric for products up to 1; V along a run up to 4/3."""
    problem = resolved(generator, 3) + behind_map(generator)
    terms = POCK.match(problem)
    limit = float(terms.guarantee.interval[1])  # for the dual step that match has chosen
    z, w = 10 ** generator.uniform(-1, 1, (2, 1)) * generator.standard_normal((2, 7))
    small = terms._replace(step_size=0.75 * limit * float(generator.uniform(0.05, 1.0)))
    large = terms._replace(step_size=limit * float(generator.uniform(0.5, 1.0)))
    return max(averaged_ratio(POCK, small, z, w), energy_ratio(POCK, large, z))


def al15_extremal() -> float:
    """At ts|K|^2 = 4/3 the radius is 1 and V stands still at (1, 2/t), an eigenvector for -1: the lesser of the two."""
    t = pock_limit()
    return farthest(pock_radius(t), line_ratio(POCK, pock_terms(t), 2 / t))


def negative_radius() -> float:
    """A = -1, B^-1 = 0, K = 1, t = s = 1/4."""
    terms = POCK.match(backward(-np.eye(1)) + monops.Point(0.0) @ LINE)._replace(step_size=0.25, dual_step_size=0.25)
    return spectral_radius(step_matrix(POCK, terms, np.zeros(1)))


AL15 = Theorem(
    "AL-15",
    "Chambolle-Pock: steps up to ts|K|^2 = 4/3",
    "A, B monotone, (x*, y*) a solution of 0 in Ax + K*y, Kx in B^-1 y. For ts|K|^2 <= 1 the step is firmly nonexpansive in "
    "the metric |x|^2/t - 2 <Kx, y> + |y|^2/s. For ts|K|^2 <= 4/3, with d the change in one step and (x, y) taken relative to "
    "(x*, y*), V = |x|^2/t - 2 <Kx, y> + |y|^2/s + (7/6)|dx|^2/t - 2 <K dx, dy> + (4/3)|dy|^2/s never grows from the first "
    "step on, and the iterates converge (finite dimensions) where the inequality is strict. With A = 0, B^-1 = 0, K = 1 and "
    "extrapolation theta the iteration has the eigenvalue -1 at ts = 4/(1 + 2 theta)",
    "He and Yuan (2012) for the metric; 4/3 for functions: Li and Yan (2022), Banert, Upadhyaya and Giselsson (2023); V and "
    "monotone operators: derived here",
    ("A and B are monotone", "ts|K|^2 <= 4/3", "the extrapolation is theta = 1"),
    (
        "ChambollePock.step",
        "ChambollePock.averagedness",
        "ChambollePock.metric",
        "algorithms.primal_dual.chambolle_pock.guarantee",
        "AcceleratedChambollePock.step",
        "Operator.inverse",
        "Function.conjugate",
    ),
    al15_sample,
    al15_extremal,
    (
        Counterexample("A and B are monotone", "A = -1, B^-1 = 0, K = 1, t = s = 1/4", negative_radius),
        Counterexample(
            "ts|K|^2 <= 4/3", "A = 0, B^-1 = 0, K = 1 at 1.001 of the bound", lambda: pock_radius(1.001 * pock_limit())
        ),
        Counterexample(
            "the extrapolation is theta = 1",
            "theta = 1/10, A = -i/2, B^-1 = -2i/5, K = 1, ts = 1",
            lambda: theta_radius(backward(block(-0.5j)), backward(block(2.5j)), 1.0, 0.1),
        ),
        Counterexample(
            "the extrapolation is theta = 1",
            "theta = 6/5, A = 0, B^-1 = 0, K = 1 at ts = 4/3: the bound is 4/(1 + 2 theta) = 1.18 there",
            lambda: theta_radius(monops.Zero(), monops.Point(0.0), 4 / 3, 1.2),
        ),
    ),
    (
        Mutant("bound 3/2", lambda: pock_radius(1.5)),
        Mutant(
            "4/theta/3 for 4/(1 + 2 theta), at theta = 3/4",
            lambda: theta_radius(monops.Zero(), monops.Point(0.0), 4 / 2.25, 0.75),
        ),
        Mutant("1/2 for 7/6 in V, at ts = 6/5", lambda: line_ratio(POCK, pock_terms(1.2), 1.1, weight=0.5)),
        Mutant("V times 0.999", lambda: line_ratio(POCK, pock_terms(4 / 3), 1.5) / 0.999),
    ),
    standing="derived",
    note="For convex functions the bound 4/3 is known; the sources that we found (abstracts read) assume functions, and with "
    "general theta the interval ts|K|^2 < 4/(1 + 2 theta) for theta > 1/2 is recalled. The function V, which makes 4/3 a "
    "theorem on monotone operators, is derived here: the case L = 0 of the identity in AL-16. Bound and V are attained by one "
    "2 x 2 matrix.",
)

# ---- AL-16 -----------------------------------------------------------------------------------------


def condat_terms(t: float, s: float, L: float = 1.0) -> Any:
    """A = 0, B^-1 = 0, C = L, K = 1, at any steps."""
    problem = monops.SquaredL2(L) + monops.Point(0.0) @ LINE
    return CONDAT.match(problem)._replace(step_size=t, dual_step_size=s)


def condat_radius(t: float, s: float, L: float = 1.0) -> float:
    """Its spectral radius."""
    return spectral_radius(step_matrix(CONDAT, condat_terms(t, s, L), np.zeros(1)))


def wide(t: float, L: float = 1.0) -> float:
    """The dual step with ts = (4/3)(1 - tL/2), K = 1."""
    return 4 / 3 * (1 - t * L / 2) / t


def cocoercive(generator: np.random.Generator) -> Any:
    """A cocoercive operator that is zero at 0: a smooth function, or b-cocoercive affine (I + N)/(2b), N an isometry."""
    L = 10 ** float(generator.uniform(-1, 1))
    Q = np.linalg.qr(generator.standard_normal((3, 3)))[0]
    return (L * monops.LogCosh(), monops.Huber(0.3, L), monops.Affine(0.5 * L * (np.eye(3) + Q)))[int(generator.integers(3))]


def backward_only(generator: np.random.Generator) -> Any:
    """A monotone operator that no method takes forward."""
    skew = generator.standard_normal((3, 3))
    return (monops.L1Norm(), monops.Box(-0.5, 1.0), backward(skew - skew.T), reflecting(nonexpansive(generator, 3)))[
        int(generator.integers(4))
    ]


def al16_sample(generator: np.random.Generator) -> float:
    """Averagedness of both methods in their metrics inside the declared intervals; V of Condat-Vu up to the wider bound."""
    problem = backward_only(generator) + cocoercive(generator) + behind_map(generator)
    z, w = 10 ** generator.uniform(-1, 1, (2, 1)) * generator.standard_normal((2, 7))
    terms = CONDAT.match(problem)
    limit = float(terms.guarantee.interval[1])
    inside = terms._replace(step_size=limit * float(generator.uniform(0.05, 1.0)))
    L = 1 / float(terms.C.constants.cocoercivity)
    t = float(generator.uniform(0.02, 0.98)) * 2 / L
    s = wide(t, L) / float(terms.map.norm.value) ** 2 * float(generator.uniform(0.5, 1.0))
    three = THREE.match(problem)
    three_step = float(three.guarantee.interval[1]) * float(generator.uniform(0.05, 1.0))
    three = three._replace(step_size=three_step, dual_step_size=1 / (three_step * float(three.map.norm.value) ** 2))
    return max(
        averaged_ratio(CONDAT, inside, z, w),
        averaged_ratio(THREE, three, z, w),
        energy_ratio(CONDAT, terms._replace(step_size=t, dual_step_size=s), z),
    )


def loosely_coupled(method: Any, A: Any, C: Any) -> Any:
    """Terms for 0 in Ax + Cx and a map K of norm 1e-9: forward-backward steps in the plane."""
    return method.match(A + C + monops.Point(0.0) @ monops.Matrix(1e-9 * np.eye(2)))


def small_turns(method: Any, step: float) -> float:
    """Required over declared averagedness for beta = 1 and the small turns that need it in forward-backward splitting."""
    R, z = averaged_pair(step, 1.0)
    C = monops.Custom(forward=linear(block(z)), constants=Constants(cocoercivity=1.0))
    terms = loosely_coupled(method, by_cayley(R), C)._replace(step_size=step, dual_step_size=1.0)
    x = np.array([1.0, 0.0])
    new = image(method, terms, Blocks((x, 0 * x)))[0]
    return required_averagedness(x, new) / float(method.averagedness(terms))


def classical_ratio(method: Any, part: float = 1.0) -> float:
    """|Tz|^2 over |z|^2 for A = 0, C = I and K near 0 at this part of the declared interval, which ends at 2/L: 1 there."""
    terms = loosely_coupled(method, by_cayley(1.0), monops.SquaredL2())
    x = np.array([1.0, 0.0])
    terms = terms._replace(step_size=part * declared_end(terms.guarantee), dual_step_size=1.0)
    return squared(image(method, terms, Blocks((x, 0 * x)))[0])


def al16_extremal() -> float:
    """At ts = (4/3)(1 - tL/2) the radius is 1 and V stands still at (1, 2/t - L); interval and averagedness near K = 0."""
    steps = (0.5, 1.5)
    ratios = [line_ratio(CONDAT, condat_terms(t, wide(t)), 2 / t - 1) for t in steps]
    ratios += [condat_radius(t, wide(t)) for t in steps]
    for method in (monops.CondatVu(dual_step_size=1.0), THREE):
        ratios += [classical_ratio(method), small_turns(method, 0.5), small_turns(method, 1.5)]
    return farthest(*ratios)


def turning_radius() -> float:
    """C = i held to be 1-cocoercive, A = 0, B^-1 = 0, t = 1/2, K small."""
    C = forward(block(1j), Constants(0.0, lipschitz=1.0, cocoercivity=1.0))
    K = monops.Matrix(1e-3 * np.eye(2))
    terms = CONDAT.match(C + monops.Point(0.0) @ K)._replace(step_size=0.5, dual_step_size=1.0)
    return spectral_radius(step_matrix(CONDAT, terms, np.zeros(2)))


def negative_condat() -> float:
    """A = -1, C = x/2, B^-1 = 0, K = 1, t = s = 1/4."""
    problem = backward(-np.eye(1)) + monops.SquaredL2(0.5) + monops.Point(0.0) @ LINE
    terms = CONDAT.match(problem)._replace(step_size=0.25, dual_step_size=0.25)
    return spectral_radius(step_matrix(CONDAT, terms, np.zeros(1)))


AL16 = Theorem(
    "AL-16",
    "Condat-Vu: steps up to ts|K|^2 = (4/3)(1 - tL/2), which is sharp",
    "A, B monotone, C 1/L-cocoercive, (x*, y*) a solution of 0 in Ax + Cx + K*y, Kx in B^-1 y. For 1/t - s|K|^2 > L/2 the "
    "step is averaged in the metric |x|^2/t - 2 <Kx, y> + |y|^2/s, nonexpansive at equality. For t < 2/L, ts|K|^2 <= (4/3)(1 "
    "- tL/2), with d the change in one step and (x, y) relative to (x*, y*), V = |x|^2/t - 2 <Kx, y> + |y|^2/s + ((7 + "
    "tL)/6)|dx|^2/t - 2 <K dx, dy> + (4/3)|dy|^2/s never grows from the first step on, and the iterates converge (finite "
    "dimensions) where the inequality is strict. With A = 0, C = L, B^-1 = 0, K = 1 the iteration has the eigenvalue -1 at "
    "equality. PD3O with t < 2/L, ts|K|^2 <= 1 is averaged",
    "Condat (2013), Theorem 3.1; Vu (2013); Yan (2018) for PD3O; the wider bound, V and its sharpness: derived here",
    ("A and B are monotone", "C is 1/L-cocoercive", "ts|K|^2 <= (4/3)(1 - tL/2)"),
    (
        "CondatVu.step",
        "CondatVu.averagedness",
        "CondatVu.metric",
        "algorithms.primal_dual.condat_vu.guarantee",
        "PrimalDualThreeOperator.step",
        "PrimalDualThreeOperator.averagedness",
    ),
    al16_sample,
    al16_extremal,
    (
        Counterexample("A and B are monotone", "A = -1, C = x/2, B^-1 = 0, K = 1, t = s = 1/4", negative_condat),
        Counterexample("C is 1/L-cocoercive", "C = i, monotone and 1-Lipschitz, K = 1/1000, t = 1/2", turning_radius),
        Counterexample(
            "ts|K|^2 <= (4/3)(1 - tL/2)",
            "A = 0, B^-1 = 0, C = K = 1, t = 1/2 at 1.001 of the bound",
            lambda: condat_radius(0.5, 1.001 * wide(0.5)),
        ),
        Counterexample(
            "ts|K|^2 <= (4/3)(1 - tL/2)",
            "t < 2/L and ts|K|^2 < 4/3, each for itself: t = 1, s = 1.3",
            lambda: condat_radius(1.0, 1.3),
        ),
    ),
    (
        Mutant("4/3 - tL/2 for (4/3)(1 - tL/2)", lambda: condat_radius(1.0, 4 / 3 - 1 / 2)),
        Mutant("4/3 - tL/3", lambda: condat_radius(1.0, 1.0)),
        Mutant("V times 0.999", lambda: line_ratio(CONDAT, condat_terms(0.5, wide(0.5)), 3.0) / 0.999),
        Mutant("classical interval at K -> 0 times 1.001", lambda: classical_ratio(monops.CondatVu(dual_step_size=1.0), 1.001)),
        Mutant("averagedness times 0.999", lambda: small_turns(CONDAT, 1.0) / 0.999),
    ),
    standing="derived",
    slack=0.99999,
    note="The classical region is ts|K|^2 < 1 - tL/2, and monops accepts that one. Its averagedness is attained in the limit "
    "of small angles and K -> 0 only (0.999999 at an angle of 1/1000). V and the wider bound are ours: an identity "
    "for all t, s, L, checked by computer algebra, with six multipliers times monotonicity and cocoercivity slacks, two "
    "squares and one 4 x 4 form; L = 0 is Chambolle-Pock, K = 0 is forward-backward, and the bound cannot be enlarged. "
    "Searched: larger steps for Condat-Vu, for functions and operators. Li and Yan (2022, abstract read) enlarge the steps of "
    "AFBA and of Chambolle-Pock for functions; an abstract of 2026 (Dai and Yan, arXiv 2606.21482) shows that t < 2/L and "
    "ts|K|^2 < 4/3 for themselves do not suffice, which the bound explains. Not found in print; only abstracts were read.",
)

THEOREMS = (AL15, AL16)
