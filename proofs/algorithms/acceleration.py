"""Theorems on fixed-point iterations that hold for every method: Anderson as GMRES, and summable residuals, AL-19, AL-20."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import monops
from monops.constants import Constants
from monops.solve import as_inclusion
from proofs.algorithms.instances import block, iterates, nonexpansive, reflecting, terms_of
from proofs.algorithms.linear_iterations import flat, squared
from proofs.generators import orthogonal
from proofs.ratios import safe_ratio
from proofs.theorem import Counterexample, Mutant, Theorem

# ---- AL-19 -----------------------------------------------------------------------------------------

ACCURACY = 1e-9  # relative to the first residual; Anderson solves its small least-squares problems by normal equations


def plain_anderson(memory: int) -> Any:
    """Anderson acceleration as in the theorem: no safeguard, no regularisation, on gradient steps."""
    return monops.Anderson(monops.ForwardStep(), memory=memory, regularisation=0.0, safeguard=False)


def anderson_points(B: Any, start: np.ndarray, count: int, memory: int, **changes: Any) -> list[np.ndarray]:
    """x_0, ..., x_count of plain Anderson acceleration of I - aB."""
    method = plain_anderson(memory)
    terms = method.match(as_inclusion(B))
    terms = terms._replace(inner=terms.inner._replace(**changes))
    state = method.init(terms, start)
    points = [state.z]
    for _ in range(count):
        state = method.step(terms, state)
        points.append(state.z)
    return points


def step_map(B: Any, **changes: Any) -> Callable[[np.ndarray], np.ndarray]:
    """G = I - aB, one step of the method that is accelerated."""
    method = monops.ForwardStep()
    terms = method.match(as_inclusion(B))._replace(**changes)
    return lambda x: method.step(terms, method.at(terms, x)).x


def gmres(G: Callable[[np.ndarray], np.ndarray], start: np.ndarray, k: int) -> np.ndarray:
    """The point of x_0 + span{r, Mr, ..., M^(k-1) r} with the least |Gx - x|, M = I - G, by QR."""
    residual = G(start) - start
    shift = G(np.zeros_like(start))

    def apply(v: np.ndarray) -> np.ndarray:
        return v - (G(v) - shift)

    basis = np.empty((len(start), 0))
    direction = residual
    for _ in range(k):
        for _ in range(2):
            direction = direction - basis @ (basis.T @ direction)
        basis = np.column_stack([basis, direction / np.linalg.norm(direction)])
        direction = apply(basis[:, -1])
    if k == 0:
        return start
    images = np.column_stack([apply(column) for column in basis.T])
    return start + basis @ np.linalg.lstsq(images, residual, rcond=None)[0]


def anderson_difference(B: Any, start: np.ndarray, last: int, memory: int = 10, **changes: Any) -> float:
    """max over k < last of |x_{k+1} - G(x_k^GMRES)|, relative to ACCURACY |x_0 - G x_0|."""
    points = anderson_points(B, start, last, memory, **changes)
    G = step_map(B, **changes)
    worst = max(float(np.linalg.norm(points[k + 1] - G(gmres(G, start, k)))) for k in range(last))
    return worst / (ACCURACY * float(np.linalg.norm(G(start) - start)))


def well_conditioned(generator: np.random.Generator, n: int = 4) -> tuple[Any, np.ndarray]:
    """A strongly monotone affine operator that is not symmetric, and a start."""
    S = generator.standard_normal((n, n))
    scales = np.diag(generator.uniform(1.0, 3.0, n))
    Q = orthogonal(n, generator)
    B = monops.Affine(Q @ scales @ Q.T + 0.4 * (S - S.T), generator.standard_normal(n))
    return B, generator.standard_normal(n)


def al19_sample(generator: np.random.Generator) -> float:
    """The points of four steps against GMRES."""
    return anderson_difference(*well_conditioned(generator), last=4)


def fixed_instance(**settings: Any) -> float:
    """The same on one fixed instance, with some hypothesis dropped."""
    B, start = well_conditioned(np.random.default_rng(1))
    return anderson_difference(B, start, **{"last": 3, **settings})


def shifted_index() -> float:
    """|x_{k+1} - x_{k+1}^GMRES| instead of |x_{k+1} - G(x_k^GMRES)|, k = 1."""
    B, start = well_conditioned(np.random.default_rng(1))
    G = step_map(B)
    difference = anderson_points(B, start, 2, 10)[2] - gmres(G, start, 2)
    return float(np.linalg.norm(difference)) / (ACCURACY * float(np.linalg.norm(G(start) - start)))


def quarter_turn() -> float:
    """B = the quarter turn, a = 1: GMRES stagnates once and then solves; Anderson's residual stays 1.4 for ever."""
    constants = Constants(0.0, lipschitz=1.0, cocoercivity=1.0)
    turn = block(1j)
    B = monops.Custom(forward=lambda x: turn @ x - np.array([1.0, 0.0]), constants=constants, input_shape=(2,))
    points = anderson_points(B, np.zeros(2), 2, 10, step_size=1.0)
    G = step_map(B, step_size=1.0)
    assert np.linalg.norm(gmres(G, np.zeros(2), 2) - np.linalg.solve(turn, np.array([1.0, 0.0]))) < 1e-12
    return float(np.linalg.norm(G(points[2]) - points[2])) / ACCURACY


AL19 = Theorem(
    "AL-19",
    "Anderson acceleration of an affine map is GMRES",
    "G affine, GMRES on x - Gx = 0 from x_0 not stagnating before it solves: Anderson acceleration with full memory has "
    "x_{k+1} = G(x_k^GMRES), x_k^GMRES the point of x_0 + span{r, ..., M^(k-1) r} with the least |Gx - x|, M = I - G, "
    "r = Gx_0 - x_0",
    "Walker and Ni (2011), Anderson acceleration for fixed-point iterations, Theorem 2.2",
    ("G is affine", "the memory is full", "GMRES does not stagnate"),
    ("Anderson.step", "ForwardStep.step", "Affine"),
    al19_sample,
    None,
    (
        Counterexample(
            "G is affine",
            "G = I - a grad of a Huber function",
            lambda: anderson_difference(monops.Huber(0.5), np.array([2.0, 0.4, -0.3]), 3),
        ),
        Counterexample("the memory is full", "memory 1, three steps", lambda: fixed_instance(memory=1)),
        Counterexample(
            "GMRES does not stagnate",
            "I - G = the quarter turn: GMRES stagnates once and solves in two steps, Anderson stands still for ever",
            quarter_turn,
        ),
    ),
    (
        Mutant("x_{k+1} = x_{k+1}^GMRES", shifted_index),
        Mutant("type I in place of type II", lambda: type_one()),
    ),
    note="Two independent computations agree to the rounding of normal equations, 1e-9 of the first residual. Where G is "
    "nonexpansive GMRES cannot stagnate before the solution, <r, Mr> >= |Mr|^2/2 > 0: for the averaged maps that monops "
    "accelerates the last hypothesis holds by itself, and its counterexample is a map that monops refuses.",
)


def type_one() -> float:
    """The third point of type I against GMRES."""
    B, start = well_conditioned(np.random.default_rng(1))
    method = monops.Anderson(monops.ForwardStep(), type=1, regularisation=0.0, safeguard=False)
    terms = method.match(as_inclusion(B))
    state = method.init(terms, start)
    for _ in range(2):
        state = method.step(terms, state)
    G = step_map(B)
    difference = float(np.linalg.norm(state.z - G(gmres(G, start, 1))))
    return difference / (ACCURACY * float(np.linalg.norm(G(start) - start)))


# ---- AL-20 -----------------------------------------------------------------------------------------


def residual_ratio(
    method: Any, problem: Any, start: Any, first: int, last: int, *, a: float | None = None, **changes: Any
) -> float:
    """(k - m + 1) |x_k - Tx_k|^2 and the sum over m..k against a/(1 - a) (|x_m - x*|^2 - |x_{k+1} - x*|^2), x* = 0."""
    terms = terms_of(problem, method, **changes)
    a = float(method.averagedness(terms)) if a is None else a
    points = [flat(z) for z in iterates(problem, method, start, last + 1, **changes)]
    squares = [squared(x - y) for x, y in itertools.pairwise(points)]
    claim = a / (1 - a) * (squared(points[first]) - squared(points[last + 1]))
    observed = max((last - first + 1) * squares[last], sum(squares[first : last + 1]))
    return safe_ratio(observed, claim, squared(points[0]))


def any_method(generator: np.random.Generator) -> tuple[Any, Any]:
    """An averaged method with a problem that 0 solves."""
    first, second = (reflecting(nonexpansive(generator, 4)) for _ in range(2))
    relaxation = float(generator.uniform(0.2, 1.8))
    smooth = (monops.LogCosh(), monops.Huber(0.3))[int(generator.integers(2))]
    return (
        (monops.DouglasRachford(relaxation=relaxation, step_size=1.0), first + second),
        (monops.ForwardBackward(step_size=float(generator.uniform(0.1, 1.99))), smooth + first),
        (monops.DavisYin(step_size=float(generator.uniform(0.1, 1.9))), smooth + monops.L1Norm() + monops.Box(-1.0, 2.0)),
        (monops.ParallelDouglasRachford(relaxation=relaxation, step_size=1.0), first + second + monops.L1Norm()),
    )[int(generator.integers(4))]


def al20_sample(generator: np.random.Generator) -> float:
    """Both statements for a random method between random m and k."""
    method, problem = any_method(generator)
    first = int(generator.integers(0, 8))
    return residual_ratio(method, problem, 3 * generator.standard_normal(4), first, first + int(generator.integers(0, 10)))


def mirror() -> tuple[Any, Any]:
    """A = 0 and B the normal cone of 0, relaxation 3/2: T = -I/2, so that a = 3/4."""
    return monops.DouglasRachford(relaxation=1.5, step_size=1.0), reflecting(lambda x: x) + monops.Point(0.0)


def al20_extremal() -> float:
    """T = -I/2: the sum of squares is attained for every m and k; here m = 1, k = 20."""
    return residual_ratio(*mirror(), np.ones(1), 1, 20)


def rotation_ratio(a: float) -> float:
    """Douglas-Rachford with relaxation 2 that turns by a quarter: the residual stays, against the claim for this a."""
    turn = block(1j)
    problem = reflecting(lambda x: turn @ x) + reflecting(lambda x: x)
    return residual_ratio(monops.DouglasRachford(step_size=1.0), problem, np.ones(2), 0, 10, a=a, relaxation=2.0)


def translation_ratio() -> float:
    """Douglas-Rachford for the points 0 and 1, a translation: 11 squares against a/(1 - a) 3^2, were x* within distance 3."""
    points = iterates(monops.Point(0.0) + monops.Point(1.0), monops.DouglasRachford(step_size=1.0), np.zeros(1), 11)
    return sum(squared(x - y) for x, y in itertools.pairwise(points)) / 3**2


AL20 = Theorem(
    "AL-20",
    "averaged maps: summable squares, o(1/k)",
    "T a-averaged, Tx* = x*, x_{k+1} = Tx_k => |x_k - Tx_k| never grows and for all m <= k (k - m + 1)|x_k - Tx_k|^2 <= "
    "sum over j = m..k of |x_j - Tx_j|^2 <= a/(1 - a) (|x_m - x*|^2 - |x_{k+1} - x*|^2). As |x_k - x*| converges, m = k/2 "
    "gives |x_k - Tx_k|^2 = o(1/k)",
    "Davis and Yin (2016), Convergence rate analysis of several splitting schemes; Bauschke and Combettes (2017), section 5.2",
    ("T is a-averaged with a < 1", "T has a fixed point"),
    (
        "DouglasRachford.averagedness",
        "ForwardBackward.averagedness",
        "DavisYin.averagedness",
        "ParallelDouglasRachford.averagedness",
        "Custom",
        "LogCosh",
        "Huber",
    ),
    al20_sample,
    al20_extremal,
    (
        Counterexample(
            "T is a-averaged with a < 1",
            "relaxation 2 (Peaceman-Rachford), a quarter turn, held against a = 0.99",
            lambda: rotation_ratio(0.99),
        ),
        Counterexample(
            "T has a fixed point",
            "Douglas-Rachford for the points 0 and 1: a translation, against any x* within 3",
            translation_ratio,
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: al20_extremal() / 0.999),
        Mutant("(1 - a)/a for a/(1 - a)", lambda: al20_extremal() * 9),
        Mutant("a = 0.749 for 0.75", lambda: residual_ratio(*mirror(), np.ones(1), 1, 20, a=0.749)),
    ),
    note="The sum is attained by every T = (1 - a)I + aN with N a rotation or a reflection, for all m and k. The finite form "
    "with m and k implies both the summability and the o(1/k), and can be tested; the constant of the last residual alone is "
    "better, see AL-01.",
)

THEOREMS = (AL19, AL20)
