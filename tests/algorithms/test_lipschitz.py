"""The methods for a monotone Lipschitz term: answers, certificates, equivalences, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import monops
from monops import arrays
from monops.constants import Constants
from monops.errors import DataError, NotApplicableError, StepSizeError
from monops.solve import as_inclusion
from tests.algorithms.lipschitz_cases import ADAPTIVE, FIXED, MAPS, MONOTONE, complementarity, every, name_of, rotation, run
from tests.problems import CASES

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
