"""The methods for a monotone Lipschitz term: answers, extremal instances, energies, certificates, rows, refusals."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import monops
from monops import arrays
from monops.algorithms.lipschitz import (
    anchored_extragradient,
    extragradient,
    forward_backward_forward,
    forward_reflected_backward,
    popov,
    projected_reflected_gradient,
)
from monops.algorithms.shared.monotone_lipschitz import best_step
from monops.constants import Constants
from monops.errors import DataError, NotApplicableError, StepSizeError
from monops.solve import as_inclusion
from tests.backends import BACKENDS, Backend
from tests.problems import CASES

FIXED = (
    monops.ForwardBackwardForward(),
    monops.ForwardReflectedBackward(),
    monops.Extragradient(),
    monops.Popov(),
    monops.ProjectedReflectedGradient(),
    monops.AnchoredExtragradient(),
)
ADAPTIVE = (monops.ForwardBackwardForwardLineSearch(), monops.GoldenRatio())
METHODS = FIXED + ADAPTIVE
MAPS = tuple(method for method in METHODS if method.is_map)
SUBDIFFERENTIALS_ONLY = (monops.Extragradient(), monops.Popov(), monops.GoldenRatio())
MONOTONE = Constants(strong_monotonicity=0.0)


def name_of(method: Any) -> str:
    return str(method.name)


every = pytest.mark.parametrize("method", METHODS, ids=name_of)


def rotation(mu: float, lipschitz: float) -> np.ndarray:
    """mu + i sqrt(L^2 - mu^2) as a 2 x 2 matrix: strongly monotone, Lipschitz, and extremal for both."""
    turn = math.sqrt(lipschitz**2 - mu**2)
    return np.array([[mu, -turn], [turn, mu]])


def by_resolvent(M: np.ndarray, constants: Constants = MONOTONE) -> monops.Custom:
    """x -> Mx, known only through its resolvent."""
    return monops.Custom(resolvent=lambda x, s: np.linalg.solve(np.eye(len(M)) + s * M, x), constants=constants)


def complementarity(mu: float, n: int = 8, seed: int = 0) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """0 <= x, 0 <= Mx + q, <x, Mx + q> = 0 with M = mu I + skew and a solution known beforehand; problem, x*, M, q."""
    generator = np.random.default_rng(seed)
    S = generator.standard_normal((n, n))
    M = mu * np.eye(n) + (S - S.T)
    solution = np.maximum(generator.standard_normal(n), 0.0)
    slack = np.where(solution > 0, 0.0, generator.uniform(0.1, 1.0, n))
    q = slack - M @ solution
    return monops.Affine(M, q) + monops.NonNegative(), solution, M, q


def run(method: Any, terms: Any, x0: Any, count: int) -> list[Any]:
    states = [method.init(terms, x0)]
    for _ in range(count):
        states.append(method.step(terms, states[-1]))
    return states


def square(x: np.ndarray) -> float:
    return float(np.sum(x * x))


# ---- answers ----------------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("case", [case for case in CASES if case.name != "three terms"], ids=lambda case: case.name)
def test_problems_of_the_library(method: Any, case: Any) -> None:
    result = monops.solve(case.build(np.asarray), method, x0=case.start(np.asarray), tol=1e-7, max_iter=60_000)
    assert result.success
    assert case.error(result.x) <= 1e-5


@every
def test_skew_complementarity_reaches_the_known_solution(method: Any) -> None:
    problem, solution, _, _ = complementarity(0.0)
    x = monops.solve(problem, method, tol=1e-9, max_iter=100_000).require().x
    np.testing.assert_allclose(x, solution, atol=1e-6)


@every
def test_strongly_monotone_system_equals_the_dense_solution(method: Any) -> None:
    _, _, M, q = complementarity(0.5)
    result = monops.solve(monops.Affine(M, q), method, tol=1e-10, max_iter=20_000).require()
    exact = np.linalg.solve(M, -q)
    np.testing.assert_allclose(result.x, exact, atol=1e-9)
    assert np.linalg.norm(result.x - exact) <= result.error_bound * (1 + 1e-9)


@every
def test_total_variation_has_its_dual_point(method: Any) -> None:
    """x = signal - D'y with |y| <= w, y = w sign(Dx) where Dx is not 0."""
    signal, D = np.repeat([0.0, 2.0, -1.0], 4) + 0.1 * np.arange(12), np.diff(np.eye(12), axis=0)
    problem = monops.SquaredL2().translate(signal) + 0.4 * monops.L1Norm() @ monops.Matrix(D)
    result = monops.solve(problem, method, tol=1e-9, max_iter=20_000).require()
    x, y = result.x, result.dual
    np.testing.assert_allclose(x, signal - D.T @ y, atol=1e-8)
    assert np.max(np.abs(y)) <= 0.4 + 1e-8
    jumps = D @ x
    np.testing.assert_allclose(y[np.abs(jumps) > 1e-6], 0.4 * np.sign(jumps[np.abs(jumps) > 1e-6]), atol=1e-7)


@every
def test_smooth_term_beside_a_linear_map(method: Any) -> None:
    """A smooth term, a box and a norm of Kx: forward, resolvent and dual role at once; Clarabel has the reference."""
    cvxpy = pytest.importorskip("cvxpy", reason="cvxpy is not installed")
    generator = np.random.default_rng(3)
    F, b, D = generator.standard_normal((9, 6)), generator.standard_normal(9), np.diff(np.eye(6), axis=0)
    problem = monops.LeastSquares(F, b) + monops.Box(-0.2, 0.2) + 0.5 * monops.L1Norm() @ monops.Matrix(D)
    x = monops.solve(problem, method, tol=1e-8, max_iter=50_000).require().x
    v = cvxpy.Variable(6)
    objective = 0.5 * cvxpy.sum_squares(F @ v - b) + 0.5 * cvxpy.norm1(D @ v)
    cvxpy.Problem(cvxpy.Minimize(objective), [v >= -0.2, v <= 0.2]).solve(solver=cvxpy.CLARABEL)
    np.testing.assert_allclose(x, v.value, atol=1e-5)


@pytest.mark.parametrize("method", ADAPTIVE, ids=name_of)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_adaptive_methods_need_no_constant(method: Any, scale: float) -> None:
    """B(x) = scale (x^3 + Sx + q), not Lipschitz on the whole space."""
    _, _, S, q = complementarity(0.0)

    def forward(x: np.ndarray) -> np.ndarray:
        return scale * (x**3 + S @ x + 3.0 * q)

    problem = monops.Custom(forward=forward, constants=MONOTONE) + monops.NonNegative()
    x = monops.solve(problem, method, x0=np.full(8, 2.0), tol=1e-8 * scale, max_iter=50_000).require().x
    np.testing.assert_allclose(np.minimum(x, forward(x) / scale), 0.0, atol=1e-7)
    for other in FIXED:
        with pytest.raises(NotApplicableError, match="its lipschitz is unknown"):
            other.match(problem)


@pytest.mark.parametrize("method", ADAPTIVE, ids=name_of)
def test_adaptive_methods_with_a_linear_map(method: Any) -> None:
    """x^3 - 2 + K* d|.|_1(Kx): at the answer x^3 - 2 + K*y = 0 with y in d|.|_1(Kx)."""
    D = np.diff(np.eye(5), axis=0)
    target = np.array([1.0, 3.0, 2.0, -4.0, 0.0])
    smooth = monops.Custom(forward=lambda x: x**3 - target, constants=MONOTONE)
    result = monops.solve(smooth + 0.3 * monops.L1Norm() @ monops.Matrix(D), method, x0=np.zeros(5), tol=1e-9).require()
    x, y = result.x, result.dual
    np.testing.assert_allclose(x**3 - target + D.T @ y, 0.0, atol=1e-8)
    np.testing.assert_allclose(y, np.clip(y + D @ x, -0.3, 0.3), atol=1e-8)


@every
def test_smooth_terms_with_a_map_are_split_off_beside_others(method: Any) -> None:
    """f @ K has L = |K|^2; beside a norm of Dx both maps are stacked, and L = |(K, D)|."""
    K, D = 10.0 * np.eye(3), np.diff(np.eye(3), axis=0)
    problem = monops.SquaredL2().translate(np.ones(3)) @ monops.Matrix(K) + monops.L1Norm() @ monops.Matrix(D)
    lipschitz = float(method.match(problem).B.constants.lipschitz)
    exact = np.linalg.norm(np.vstack([K, D]), 2)
    assert exact <= lipschitz <= 1.05 * exact
    assert float(method.match(problem.__class__(problem.terms[:1])).B.constants.lipschitz) == pytest.approx(100.0)


@every
def test_primal_points_of_several_blocks(method: Any) -> None:
    """min |x - a|^2/2 + |y - b|^2/2 + w |x + y|_1 over blocks (x, y): x = a - v, y = b - v with v in w d|.|_1(x + y)."""
    a, b, w = np.array([1.0, -2.0]), np.array([0.5, 3.0]), 0.25
    smooth = monops.SeparableSum((monops.SquaredL2().translate(a), monops.SquaredL2().translate(b)))
    problem = smooth + w * monops.L1Norm() @ monops.Row((monops.Identity((2,)), monops.Identity((2,))))
    result = monops.solve(problem, method, x0=monops.Blocks((np.zeros(2), np.zeros(2))), tol=1e-9).require()
    v = np.clip((a + b) / 2, -w, w)
    np.testing.assert_allclose(result.x[0], a - v, atol=1e-8)
    np.testing.assert_allclose(result.x[1], b - v, atol=1e-8)


# ---- extremal instances -----------------------------------------------------------------------------------------


def growth(method: Any, A: Any, B: Any, step: float, count: int = 400) -> float:
    """Factor a step of |x| over the second half of a run at a step that need not be proven; terms of Tseng's method."""
    problem = B if A is None else A + B
    terms = monops.ForwardBackwardForward().match(as_inclusion(problem))
    states = run(method, terms._replace(step_size=step), np.array([1.0, 0.5]), count)
    first, last = (float(arrays.norm(states[index][0])) for index in (count // 2, count))
    return (last / first) ** (2 / count)


def test_forward_reflected_backward_interval_is_tight() -> None:
    """A = i/(4 s^2 L), B = i L: an eigenvalue is -2 s L i, so that 1/(2L) is the end; without A it is 1/(sqrt(3) L)."""
    method, lipschitz = monops.ForwardReflectedBackward(), 2.0
    for reach, expected in ((0.49, 0.98), (0.51, 1.02)):
        step = reach / lipschitz
        A = by_resolvent(rotation(0.0, 1 / (4 * step**2 * lipschitz)))
        assert abs(growth(method, A, monops.Affine(rotation(0.0, lipschitz)), step) - expected) < 1e-6
    B = monops.Affine(rotation(0.0, lipschitz))
    assert growth(method, None, B, 0.57 / lipschitz) < 1 < growth(method, None, B, 0.585 / lipschitz)


@pytest.mark.parametrize("method", [monops.ForwardBackwardForward(), monops.Extragradient()], ids=name_of)
def test_intervals_of_two_evaluations_are_tight_on_the_rotation(method: Any) -> None:
    """B = i L alone: |T|^2 = 1 - s^2 + s^4 with s = step L."""
    B = monops.Affine(rotation(0.0, 2.0))
    for reach in (0.5, 0.99, 1.01):
        assert abs(growth(method, None, B, reach / 2.0) - math.sqrt(1 - reach**2 + reach**4)) < 1e-9


@pytest.mark.parametrize(
    ("method", "step", "turn"),
    [(monops.Extragradient(), 0.4, 0.81), (monops.Popov(), 0.3, 0.926), (monops.Popov(), 0.4, 0.877)],
    ids=["Extragradient", "Popov-0.3", "Popov-0.4"],
)
def test_skew_resolvents_diverge_where_a_subdifferential_is_asked_for(method: Any, step: float, turn: float) -> None:
    """The refusal is needed: A = turn i and B = -i, both skew, at steps far inside the interval for subdifferentials."""
    A, B = by_resolvent(rotation(0.0, turn)), monops.Affine(-rotation(0.0, 1.0))
    assert growth(method, A, B, step, 2000) > 1.0003
    assert growth(monops.ForwardBackwardForward(), A, B, step) < 1.0
    assert growth(monops.ForwardReflectedBackward(), A, B, step) < 1.0


def test_golden_ratio_diverges_with_skew_resolvents() -> None:
    """The same for z = (x/2 + z_-)/(3/2), x+ = J(z - s Bx): an eigenvalue outside the unit circle at s = 0.5."""
    J, B, s, phi = 1 / (1 + 0.5 * 0.7945j), -1j, 0.5, 1.5
    T = np.array([[J * ((phi - 1) / phi - s * B), J / phi], [(phi - 1) / phi, 1 / phi]])
    assert np.max(np.abs(np.linalg.eigvals(T))) > 1.002


@pytest.mark.parametrize("method", SUBDIFFERENTIALS_ONLY, ids=name_of)
def test_two_resolvents_of_an_operator_that_is_no_subdifferential_are_refused(method: Any) -> None:
    problem = by_resolvent(rotation(0.0, 1.0)) + monops.Affine(rotation(0.0, 1.0))
    with pytest.raises(NotApplicableError, match=r"not known to be the subdifferential.*use ForwardBackwardForward"):
        method.match(problem)


@pytest.mark.parametrize("mu", [0.05, 0.3, 0.9])
def test_contraction_factors_hold_on_the_extremal_rotation(mu: float) -> None:
    """One step of the two-evaluation methods with A = a I: the norm of the map is at most the factor."""
    M = rotation(mu, 1.0)
    for a in (0.0, 0.4, 5.0):
        A, B = Constants(a, cyclic=True), monops.Affine(M).constants
        for module in (forward_backward_forward, extragradient):
            proven = module.guarantee(A, B)
            for step in (0.1, 0.6, 0.95, float(proven.best_step)):
                J = 1 / (1 + step * a)
                Y = J * (np.eye(2) - step * M)
                T = J * (np.eye(2) - step * M @ Y) if module is extragradient else Y - step * (M @ Y - M)
                assert np.linalg.norm(T, 2) <= proven.factor(step) + 1e-12


def test_best_steps_have_the_least_factor() -> None:
    for module in (forward_backward_forward, extragradient, popov, forward_reflected_backward):
        for mu, a in ((0.01, 0.0), (0.5, 0.0), (0.0, 2.0)):
            proven = module.guarantee(Constants(a, cyclic=True), Constants(mu, lipschitz=2.0))
            least = proven.squared_contraction(proven.best_step)
            for step in np.linspace(0.001, 0.999, 60) * float(proven.interval[1]):
                assert proven.squared_contraction(step) >= least * (1 - 1e-9)
    assert abs(best_step(lambda s: (s - 0.3) ** 2, 1.0) - 0.3) < 1e-8


def test_factors_are_exact_on_fractions() -> None:
    A, B, step = Constants(Fraction(1, 2), cyclic=True), Constants(Fraction(1, 10), lipschitz=Fraction(3)), Fraction(1, 9)
    a, b = step * (Fraction(2, 10) + Fraction(1, 2)), 1 - Fraction(1, 9)
    assert extragradient.guarantee(A, B).squared_contraction(step) == (1 - a * b / (a + b)) / (1 + step / 2)
    b = 1 - Fraction(4, 9)
    assert popov.guarantee(A, B).squared_contraction(step) == (1 - a * b / (a + b)) / (1 + step / 2)
    gain = min(2 * step * Fraction(6, 10) / (1 + Fraction(1, 3)), (1 - Fraction(2, 3)) / Fraction(2, 3))
    assert forward_reflected_backward.guarantee(A, B).squared_contraction(step) == 1 / (1 + gain)
    rho = 1 - step * Fraction(6, 10) * Fraction(2, 3) / (Fraction(2, 3) + step * Fraction(6, 10))
    assert forward_backward_forward.guarantee(A, B).squared_contraction(step) == rho**2


def test_printed_intervals_are_the_code() -> None:
    B = Constants(0.3, lipschitz=1.7)
    modules = (
        forward_backward_forward,
        forward_reflected_backward,
        extragradient,
        popov,
        projected_reflected_gradient,
        anchored_extragradient,
    )
    for module in modules:
        proven = module.guarantee(Constants(0.0, cyclic=True), B)
        upper = float(proven.interval[1])
        for step in (-0.1, 0.5 * upper, 0.999 * upper, 1.001 * upper):
            assert eval(proven.formula, {}, {"L": 1.7, "step_size": step}) == (0 < step < upper)
        assert proven.upper_included == ("<= 1/L" in proven.formula)


# ---- the inequality of each proof, along iterates ---------------------------------------------------------------


@pytest.mark.parametrize("mu", [0.0, 0.4])
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_forward_reflected_backward_energy(mu: float, share: float) -> None:
    problem, solution, M, _ = complementarity(mu)
    L = np.linalg.norm(M, 2)
    method = monops.ForwardReflectedBackward(step_size=share / (2 * L))
    terms = method.match(problem)
    s = terms.step_size

    def energy(state: Any, before: Any) -> float:
        step = state.x - before.x
        return square(state.x - solution) + 2 * s * (M @ step) @ (solution - state.x) + s * L * square(step)

    states = run(method, terms, np.full(8, 3.0), 150)
    for before, now, new in zip(states, states[1:], states[2:], strict=False):
        gain = 2 * s * mu * square(new.x - solution) + (1 - 2 * s * L) * square(new.x - now.x)
        assert energy(new, now) + gain <= energy(now, before) + 1e-10
        assert energy(now, before) >= (1 - s * L) * square(now.x - solution) - 1e-10
        if mu > 0:
            assert energy(new, now) <= terms.guarantee.squared_contraction(s) * energy(now, before) + 1e-10


@pytest.mark.parametrize("mu", [0.0, 0.4])
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_extragradient_and_popov_energies(mu: float, share: float) -> None:
    problem, solution, M, q = complementarity(mu)
    L = np.linalg.norm(M, 2)
    for method in (monops.Extragradient(share / L), monops.Popov(share / (2 * L))):
        past = isinstance(method, monops.Popov)
        terms = method.match(problem)
        s = terms.step_size
        states = run(method, terms, np.full(8, 3.0), 150)
        for now, new in pairwise(states):
            x, x_new = now.x, new.x
            if past:
                y, y_new = now.y, new.y
                energy, energy_new = square(x - solution) + square(x - y), square(x_new - solution) + square(x_new - y_new)
                drop = (1 - (2 * s * L) ** 2) * (square(x - y_new) + square(x - y)) + 2 * s * mu * square(y_new - solution)
                assert np.linalg.norm(x_new - y_new) <= s * L * np.linalg.norm(y_new - y) + 1e-12
            else:
                y_new = np.maximum(x - s * (M @ x + q), 0.0)
                energy, energy_new = square(x - solution), square(x_new - solution)
                drop = (1 - (s * L) ** 2) * square(x - y_new) + 2 * s * mu * square(y_new - solution)
            assert energy_new + drop <= energy + 1e-10
            if mu > 0:
                assert energy_new <= terms.guarantee.squared_contraction(s) * energy + 1e-10


@pytest.mark.parametrize(
    "method",
    [monops.ForwardBackwardForward(), monops.Extragradient(), monops.ForwardReflectedBackward(), monops.Popov()],
    ids=name_of,
)
def test_strong_monotonicity_of_the_resolvent_counts(method: Any) -> None:
    """A = a I + normal cone of the orthant, B skew: the distance (with memory: the energy) shrinks by the factor."""
    a = 0.7
    _, solution, M, q = complementarity(a)
    S = M - a * np.eye(8)
    A = monops.Custom(
        resolvent=lambda x, s: np.maximum(x, 0.0) / (1 + s * a), constants=Constants(strong_monotonicity=a, cyclic=True)
    )
    terms = method.match(A + monops.Affine(S, q))
    s, L = terms.step_size, float(terms.B.constants.lipschitz)
    factor = terms.guarantee.squared_contraction(s)
    assert 0 < factor < 1

    def energy(state: Any, before: Any) -> float:
        value = square(state.x - solution)
        if isinstance(method, monops.Popov):
            return value + square(state.x - state.y)
        if isinstance(method, monops.ForwardReflectedBackward):
            step = state.x - before.x
            return value + 2 * s * (S @ step) @ (solution - state.x) + s * L * square(step)
        return value

    states = run(method, terms, np.full(8, 3.0), 60)
    for before, now, new in zip(states, states[1:], states[2:], strict=False):
        assert energy(new, now) <= factor * energy(now, before) + 1e-12


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_projected_reflected_gradient_energy_for_a_general_resolvent(share: float) -> None:
    """|x - x*|^2 - 2s <a + Bx*, x - x_-> + (2 - sqrt(2)) |x - y_-|^2 never grows, a in Ax, y_- = 2x_- - x_--; A is skew."""
    A, M = rotation(0.0, 1.3), -rotation(0.0, 2.0)
    method = monops.ProjectedReflectedGradient(step_size=share * (math.sqrt(2) - 1) / 2.0)
    terms = method.match(by_resolvent(A) + monops.Affine(M))
    s = terms.step_size
    states = run(method, terms, np.array([1.0, -2.0]), 100)

    def energy(index: int) -> float:
        x, before, earlier = (states[index - back].x for back in (0, 1, 2))
        return square(x) - 2 * s * (A @ x) @ (x - before) + (2 - math.sqrt(2)) * square(x - (2 * before - earlier))

    values = [energy(index) for index in range(2, 100)]
    assert all(new <= now + 1e-12 for now, new in pairwise(values))
    assert values[0] > 1.0


def test_golden_ratio_energy_and_step_rule() -> None:
    problem, solution, M, _ = complementarity(0.0)
    method = monops.GoldenRatio(step_size=10.0)
    terms = method.match(problem)
    states = run(method, terms, np.full(8, 3.0), 300)
    phi = method.phi

    def energy(state: Any) -> float:
        average = ((phi - 1) * state.x + state.average) / phi
        return phi / (phi - 1) * square(average - solution) + 0.5 * float(state.theta) * square(state.x - state.previous)

    for now, new in pairwise(states[1:]):
        assert energy(new) <= energy(now) + 1e-10
        assert new.step <= (1 / phi + 1 / phi**2) * now.step * (1 + 1e-12)
        assert abs(new.theta - phi * new.step / now.step) <= 1e-12 * phi
        lipschitz = np.linalg.norm(now.Bx - now.B_previous) / np.linalg.norm(now.x - now.previous)
        assert new.step <= phi * now.theta / (4 * now.step * lipschitz**2) * (1 + 1e-12)
    assert states[0].step * np.linalg.norm(states[0].Bx - states[0].B_previous) <= 0.5 * np.linalg.norm(
        states[0].x - states[0].previous
    )
    assert max(float(state.step) for state in states) > 0.5 / np.linalg.norm(M, 2)  # and the steps are of use


def test_line_search_energy_and_acceptance() -> None:
    problem, solution, M, _ = complementarity(0.0)
    method = monops.ForwardBackwardForwardLineSearch(step_size=50.0, theta=0.8)
    terms = method.match(problem)
    states = run(method, terms, np.full(8, 3.0), 200)
    for now, new in pairwise(states):
        moved = square(now.x - new.y)
        assert new.step * np.linalg.norm(M @ (new.y - now.x)) <= 0.8 * math.sqrt(moved) + 1e-12
        assert square(new.x - solution) <= square(now.x - solution) - (1 - 0.8**2) * moved + 1e-10
        assert new.step >= 0.7 * 0.8 / np.linalg.norm(M, 2)


@pytest.mark.parametrize("resolvent", [False, True], ids=["alone", "with a skew A"])
def test_anchored_extragradient_energy_and_rate(resolvent: bool) -> None:
    """V = (s k^2/2) |r|^2 + k <r, x - x0> never grows, V_1 <= 0, |r_k| <= 2 |x0 - x*|/(s k), at the end of the interval."""
    A, B = rotation(0.0, 0.7) if resolvent else np.zeros((2, 2)), -rotation(0.0, 2.0)
    method = monops.AnchoredExtragradient(step_size=0.5, restart=False)
    terms = method.match(by_resolvent(A) + monops.Affine(B) if resolvent else as_inclusion(monops.Affine(B)))
    start = np.array([3.0, -1.0])
    previous = 0.0
    for k, state in enumerate(run(method, terms, start, 300)[1:], start=1):
        np.testing.assert_allclose(state.element, (A + B) @ state.x, atol=1e-10)
        energy = 0.25 * k**2 * square(state.element) + k * state.element @ (state.x - start)
        assert energy <= previous + 1e-9
        previous = energy
        assert np.linalg.norm(state.element) <= 2 * np.linalg.norm(start) / (0.5 * k) + 1e-12
        if not resolvent and k % 4 == 2:  # the bound is attained: it cannot be improved by any factor
            assert np.linalg.norm(state.element) >= 2 * np.linalg.norm(start) / (0.5 * k) * (1 - 1e-9)


def test_anchored_extragradient_interval_is_tight() -> None:
    """k |r_k| stays bounded on rotations at s = 1/L, and grows without bound at 1.01/L."""
    method, start = monops.AnchoredExtragradient(restart=False), np.array([1.0, 0.0])
    problem = as_inclusion(monops.Affine(rotation(0.0, 1.0)))
    for step, grows in ((1.0, False), (1.01, True)):
        state = run(method, method.match(problem)._replace(step_size=step), start, 1000)[-1]
        assert bool(1000 * np.linalg.norm(state.element) > 100.0) is grows


def test_restarts_move_the_anchor() -> None:
    problem, _, _, _ = complementarity(0.0)
    counts = {
        restart: monops.solve(problem, monops.AnchoredExtragradient(restart=restart), tol=1e-3, max_iter=50_000).iterations
        for restart in (True, False)
    }
    assert counts[True] < 0.2 * counts[False]
    none, off = (
        run(method, method.match(problem), np.ones(8), 50)[-1].x
        for method in (monops.AnchoredExtragradient(max_restarts=0), monops.AnchoredExtragradient(restart=False))
    )
    np.testing.assert_array_equal(none, off)
    states = run(monops.AnchoredExtragradient(max_restarts=1), monops.AnchoredExtragradient().match(problem), np.ones(8), 300)
    left = [float(state.restarts_left) for state in states]
    assert left[0] == 1.0
    assert left[-1] == 0.0
    moved = left.index(0.0)
    np.testing.assert_array_equal(states[-1].anchor, states[moved].x)
    assert float(states[moved].count) == 0.0


# ---- certificates, maps, equivalences ---------------------------------------------------------------------------


@every
def test_certificate_is_an_element_of_the_sum(method: Any) -> None:
    """r - (Mx + q) is normal to the nonnegative orthant at x: nonpositive, and 0 where x > 0."""
    problem, _, M, q = complementarity(0.2)
    terms = method.match(problem)
    for state in run(method, terms, np.full(8, 2.0), 12)[1:]:
        x, normal = method.solution(terms, state).x, method.certificate(terms, state)
        normal = normal - (M @ x + q)
        assert np.min(x) >= 0
        assert np.max(normal) <= 1e-10
        assert np.max(np.abs(normal[x > 0])) <= 1e-10
        assert np.linalg.norm(method.certificate(terms, state)) > 1e-3  # and far from a solution it is not small


@every
def test_certificate_is_an_element_of_the_primal_dual_operator(method: Any) -> None:
    """(x - signal + D'y, N(y) - Dx) with N the normal cone of the box of half-width w."""
    signal, D, w = np.array([1.0, -2.0, 0.5, 4.0, 0.0]), np.diff(np.eye(5), axis=0), 0.6
    problem = monops.SquaredL2().translate(signal) + monops.Box(-1.0, 1.5) + w * monops.L1Norm() @ monops.Matrix(D)
    terms = method.match(problem)
    for state in run(method, terms, np.zeros(5), 10)[2:]:
        x, y = method.solution(terms, state)
        primal, dual = method.certificate(terms, state)
        normal = primal - (x - signal + D.T @ y)
        assert np.all(np.abs(np.where((x > -1) & (x < 1.5), normal, 0.0)) < 1e-10)
        assert np.all(normal[x >= 1.5] >= -1e-10)
        assert np.all(normal[x <= -1.0] <= 1e-10)
        normal = dual + D @ x
        assert np.all(np.abs(np.where(np.abs(y) < w - 1e-12, normal, 0.0)) < 1e-10)
        assert np.all(normal[y >= w - 1e-12] >= -1e-10)
        assert np.all(normal[y <= -w + 1e-12] <= 1e-10)


@pytest.mark.parametrize("method", MAPS, ids=name_of)
def test_methods_that_are_maps_are_maps(method: Any) -> None:
    """The governing point determines the next one, and a solution is a fixed point."""
    problem, solution, _, _ = complementarity(0.2)
    terms = method.match(problem)
    state = method.init(terms, np.full(8, 2.0))
    z = method.governing(terms, state)
    for _ in range(20):
        state = method.step(terms, state)
        z = method.governing(terms, method.step(terms, method.at(terms, z)))
    for a, b in zip(arrays.leaves(z), arrays.leaves(method.governing(terms, state)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-13)
    fixed = method.governing(terms, method.step(terms, method.init(terms, solution)))
    np.testing.assert_allclose(arrays.leaves(fixed)[0], solution, atol=1e-12)


def test_without_a_resolvent_methods_coincide() -> None:
    """A = 0: extragradient is Tseng's method, and the midpoints of Popov are the points of forward-reflected-backward."""
    _, _, M, q = complementarity(0.2)
    problem = as_inclusion(monops.Affine(M, q))
    step = 0.4 / np.linalg.norm(M, 2)
    points = {}
    for cls in (monops.Extragradient, monops.ForwardBackwardForward, monops.Popov, monops.ForwardReflectedBackward):
        method = cls(step)
        states = run(method, method.match(problem), np.ones(8), 20)
        points[cls.__name__] = [state.y if cls is monops.Popov else state.x for state in states]
    np.testing.assert_allclose(points["Extragradient"], points["ForwardBackwardForward"], atol=1e-12)
    np.testing.assert_allclose(points["Popov"], points["ForwardReflectedBackward"], atol=1e-12)


# ---- rows, libraries, dtypes -------------------------------------------------------------------------------------


def rows_problem(asarray: Any = np.asarray) -> tuple[Any, np.ndarray]:
    """Three rows whose local Lipschitz constants differ by orders of magnitude, and their starts."""
    _, _, S, q = complementarity(0.0)
    S, q = asarray(0.3 * S.T), asarray(q)
    B = monops.Custom(forward=lambda x: x**3 + x @ S + q, constants=MONOTONE)
    start = np.stack([np.full(8, 0.1), np.linspace(0.0, 8.0, 8), np.full(8, 40.0)])
    return B + monops.NonNegative(), start


@pytest.mark.parametrize("method", FIXED, ids=name_of)
def test_rows_equal_single_runs(method: Any) -> None:
    _, _, M, _ = complementarity(0.1)
    q = np.random.default_rng(1).standard_normal((3, 8)) * np.array([[0.1], [1.0], [10.0]])
    start = np.stack([np.zeros(8), np.ones(8), np.full(8, 5.0)])

    def after(q: np.ndarray, x0: np.ndarray, batch_ndim: int) -> np.ndarray:
        problem = monops.Affine(M, q) + monops.NonNegative()
        result = monops.solve(problem, method, x0=x0, tol=0.0, max_iter=60, batch_ndim=batch_ndim, on_failure="ignore")
        return np.asarray(result.x)

    together = after(q, start, 1)
    for row in range(3):
        np.testing.assert_allclose(together[row], after(q[row], start[row], 0), atol=1e-11)


@pytest.mark.parametrize("method", ADAPTIVE, ids=name_of)
def test_rows_of_adaptive_methods_have_steps_of_their_own(method: Any) -> None:
    problem, start = rows_problem()
    options: dict[str, Any] = {"tol": 0.0, "max_iter": 40, "on_failure": "ignore"}
    together = monops.solve(problem, method, x0=start, batch_ndim=1, **options)
    for row in range(3):
        alone = monops.solve(problem, method, x0=start[row], **options)
        np.testing.assert_allclose(together.x[row], alone.x, atol=1e-9, rtol=1e-9)
        np.testing.assert_allclose(together.state.step[row], alone.state.step, rtol=1e-7)
    assert np.ptp(together.state.step) > 0


@pytest.mark.parametrize("method", ADAPTIVE, ids=name_of)
def test_rows_share_a_step_where_the_resolvent_takes_one(method: Any) -> None:
    _, _, S, q = complementarity(0.0)
    B = monops.Custom(forward=lambda x: x**3 + x @ S.T + q, constants=MONOTONE)
    start = np.stack([np.full(8, 1.0), np.linspace(0.0, 4.0, 8)])
    result = monops.solve(B + monops.Simplex(), method, x0=start, tol=1e-8, batch_ndim=1).require()
    assert np.ptp(result.state.step) == 0
    for row in result.x:
        slope = row**3 + S @ row + q
        np.testing.assert_allclose(row @ slope, slope.min(), atol=1e-7)  # the vertex with the least slope is no better


@pytest.mark.parametrize("method", ADAPTIVE, ids=name_of)
@pytest.mark.parametrize("simple", [True, False], ids=["without A", "with a sum of two functions"])
def test_rows_of_several_blocks(method: Any, simple: bool) -> None:
    """A step of its own for each row where there is no A, a shared one where A takes only one."""

    def forward(z: Any) -> Any:
        x, y = z
        return monops.Blocks((x**3 + y - 1.0, y**3 - x))

    problem: Any = monops.Custom(forward=forward, constants=MONOTONE)
    if not simple:
        problem = problem + monops.SeparableSum((monops.NonNegative(), monops.Box(-0.5, 0.5)))
    x, y = np.array([[0.1, 0.2], [4.0, 3.0]]), np.array([[0.3, 0.0], [-5.0, 2.0]])
    result = monops.solve(problem, method, x0=monops.Blocks((x, y)), tol=1e-9, batch_ndim=1).require()
    assert bool(np.ptp(result.state.step) > 0) is simple
    u, v = forward(result.x)
    low, high = (-np.inf, np.inf) if simple else (-0.5, 0.5)
    np.testing.assert_allclose(result.x[0], np.clip(result.x[0] - u, 0.0 if not simple else -np.inf, None), atol=1e-8)
    np.testing.assert_allclose(result.x[1], np.clip(result.x[1] - v, low, high), atol=1e-8)


def test_a_broken_row_costs_the_line_search_no_trials() -> None:
    calls = []

    def forward(x: np.ndarray) -> np.ndarray:
        calls.append(1)
        return x - 1.0

    problem = monops.Custom(forward=forward, constants=MONOTONE) + monops.NonNegative()
    start = np.array([[0.0, 0.0], [np.nan, 0.0]])
    method = monops.ForwardBackwardForwardLineSearch(step_size=0.5)
    terms = method.match(problem.batched(1))
    calls.clear()
    run(method, terms, start, 5)
    assert len(calls) == 10


@every
def test_a_broken_row_leaves_the_others_alone(method: Any) -> None:
    _, _, M, q = complementarity(0.3)
    problem = monops.Affine(M, q) + monops.NonNegative()
    start = np.zeros((2, 8))
    start[1, 3] = np.nan
    result = monops.solve(problem, method, x0=start, tol=1e-7, max_iter=5000, batch_ndim=1, on_failure="ignore")
    assert [str(status) for status in result.row_status] == ["converged", "non-finite"]


@every
@pytest.mark.parametrize("backend", [b for b in BACKENDS if b.name in ("torch", "strict")], ids=lambda b: b.name)
def test_other_libraries_take_the_same_steps(method: Any, backend: Backend) -> None:
    if backend.missing:
        pytest.skip(backend.missing)

    def after(asarray: Any, problem_of: Any, start: np.ndarray) -> Any:
        result = monops.solve(
            problem_of(asarray), method, x0=asarray(start), tol=0.0, max_iter=12, batch_ndim=start.ndim - 1, on_failure="ignore"
        )
        return result.x

    _, _, M, q = complementarity(0.2)
    D = np.diff(np.eye(8), axis=0)
    problems: list[tuple[Any, np.ndarray]] = [
        (lambda a: monops.Affine(a(M), a(q)) + monops.NonNegative(), np.ones((3, 8))),
        (lambda a: monops.SquaredL2().translate(a(q)) + 0.3 * monops.L1Norm() @ monops.Matrix(a(D)), np.ones(8)),
    ]
    if method in ADAPTIVE:
        problems.append((lambda a: rows_problem(a)[0], rows_problem()[1]))
    for problem_of, start in problems:
        expected = after(np.asarray, problem_of, start)
        got = backend.to_numpy(after(backend.asarray, problem_of, start))
        np.testing.assert_allclose(got, expected, atol=1e-12 * max(1.0, float(np.max(np.abs(expected)))))


@every
@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_float32_stays(method: Any, name: str) -> None:
    backend = next(b for b in BACKENDS if b.name == name)
    if backend.missing:
        pytest.skip(backend.missing)
    _, _, M, q = complementarity(0.2)
    problem = monops.Affine(backend.asarray(M, "float32"), backend.asarray(q, "float32")) + monops.NonNegative()
    start = backend.asarray(np.ones((2, 8)), "float32")
    result = monops.solve(problem, method, x0=start, tol=1e-3, max_iter=2000, batch_ndim=1).require()
    assert all("float32" in str(leaf.dtype) for leaf in arrays.leaves(result.state))


# ---- refusals ----------------------------------------------------------------------------------------------------


@every
def test_refusals_name_the_missing_hypothesis(method: Any) -> None:
    M = np.eye(2)
    with pytest.raises(NotApplicableError, match="2 terms need their resolvents"):
        method.match(monops.L1Norm() + monops.Simplex() + monops.Affine(M))
    with pytest.raises(NotApplicableError, match="no term has a forward value"):
        method.match(as_inclusion(monops.Simplex()))
    with pytest.raises(NotApplicableError, match=r"not known to be monotone|lipschitz is unknown"):
        method.match(monops.Custom(forward=lambda x: x) + monops.Simplex())
    with pytest.raises(NotApplicableError, match="is not known to be monotone"):
        method.match(monops.Custom(resolvent=lambda x, s: x) + monops.Affine(M))
    with pytest.raises(NotApplicableError, match="nonconvex"):
        method.match(monops.SCAD(1.0, 3.7) + monops.Affine(M))
    with pytest.raises(StepSizeError):
        type(method)(step_size=-1.0).match(monops.Affine(M) + monops.Simplex())
    problem = monops.SquaredL2() + monops.L1Norm() @ monops.Matrix(np.ones((1, 2)))
    with pytest.raises(DataError, match="primal point alone"):
        method.init(method.match(problem), monops.Blocks((np.zeros(2), np.zeros(1))))


@pytest.mark.parametrize(
    ("method", "step"),
    [
        (monops.ForwardBackwardForward, 0.5),
        (monops.ForwardReflectedBackward, 0.25),
        (monops.Extragradient, 0.5),
        (monops.Popov, 0.25),
        (monops.ProjectedReflectedGradient, 0.5 * (math.sqrt(2) - 1)),
        (monops.AnchoredExtragradient, 0.5 + 1e-9),
    ],
)
def test_steps_outside_the_interval_are_refused(method: Any, step: float) -> None:
    problem = monops.Affine(rotation(0.0, 2.0)) + monops.NonNegative()
    with pytest.raises(StepSizeError, match="outside the proven interval"):
        method(step_size=step * (1 + 1e-12)).match(problem)
    assert method(step_size=0.999 * step).match(problem).step_size == 0.999 * step


def test_settings_of_adaptive_methods_are_checked() -> None:
    problem = monops.Affine(np.eye(2)) + monops.NonNegative()
    for theta in (0.0, 1.0, math.nan):
        with pytest.raises(StepSizeError, match="theta"):
            monops.ForwardBackwardForwardLineSearch(theta=theta).match(problem)
    for phi in (1.0, 1.7):
        with pytest.raises(StepSizeError, match="phi"):
            monops.GoldenRatio(phi=phi).match(problem)
    assert monops.GoldenRatio(phi=0.5 * (1 + math.sqrt(5))).match(problem).step_size == pytest.approx(1.0)


@every
def test_a_constant_forward_term_is_a_proximal_point_method(method: Any) -> None:
    """B = q has L = 0: every step is proven, and the answer of |x|_1 + <q, x> with |q| < 1 is 0."""
    B = monops.Custom(forward=lambda x: 0.0 * x + 0.5, constants=Constants(0.0, lipschitz=0.0, cyclic=True))
    result = monops.solve(monops.L1Norm() + B, method, x0=np.array([3.0, -2.0]), tol=1e-9, max_iter=5000).require()
    np.testing.assert_allclose(result.x, 0.0, atol=1e-9)
    assert result.guarantee.interval[1] == math.inf
