"""Forward steps without a Lipschitz constant: the energies of the proofs, objective bounds, rows, answers against CVXPY."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cvxpy
import numpy as np
import pytest

import monops
from monops import arrays
from monops.algorithms.cocoercive import adaptive_proximal_gradient
from monops.algorithms.shared import smooth_terms
from monops.constants import Constants
from monops.errors import NotApplicableError, StepSizeError
from monops.functions import Function
from monops.solve import as_inclusion
from tests.backends import BACKENDS

generator = np.random.default_rng(5)
K = generator.standard_normal((10, 8))
TARGET = generator.standard_normal(10)


@dataclass(frozen=True, eq=False)
class QuarticWell(Function):
    """f(x) = sum (x_i - 1)^4/4: no Lipschitz gradient, no prox."""

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, cyclic=True, why="computed: convex")

    def __call__(self, x: Any) -> Any:
        return arrays.row_sum((x - 1.0) ** 4 / 4.0, self.batch_ndim)

    def gradient(self, x: Any) -> Any:
        return (x - 1.0) ** 3


@dataclass(frozen=True, eq=False)
class Bend(Function):
    """f(x) = sum sqrt(1 + x_i^4): flat at 0, linear growth of the slope."""

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, cyclic=True, why="computed: convex")

    def __call__(self, x: Any) -> Any:
        return arrays.row_sum(arrays.namespace(x).sqrt(1.0 + x**4), self.batch_ndim)

    def gradient(self, x: Any) -> Any:
        return 2.0 * x**3 / arrays.namespace(x).sqrt(1.0 + x**4)


PROBLEMS = {
    "quartic": lambda: QuarticWell() + 0.1 * monops.L1Norm(),
    "bend": lambda: Bend() + monops.Box(0.2, 3.0),
    "fourth powers": lambda: monops.Power(4.0).translate(TARGET) @ monops.Matrix(K) + 0.3 * monops.L1Norm(),
    "least squares": lambda: monops.LeastSquares(K, TARGET) + 0.3 * monops.L1Norm(),
    "huber and fourth powers": lambda: monops.Huber(0.3) + monops.Power(4.0).translate(TARGET) @ monops.Matrix(K),
}
SIZE = 8


def run(method: Any, problem: Any, x0: Any, steps: int) -> tuple[Any, list[Any]]:
    """Terms, and all states of some steps."""
    terms = method.match(as_inclusion(problem))
    states = [method.init(terms, x0)]
    for _ in range(steps):
        states.append(method.step(terms, states[-1]))
    return terms, states


def value(problem: Any, x: np.ndarray) -> float:
    """The objective at x."""
    return sum(float(t.summand(x if t.map is None else t.map.apply(x))) for t in problem.terms)


@functools.cache
def minimiser(name: str) -> np.ndarray:
    """A precise answer, whose optimality the certificate shows."""
    method = monops.AdaptiveAcceleratedForwardBackward()
    return monops.solve(PROBLEMS[name](), method, x0=np.full(SIZE, 0.5), tol=1e-11, max_iter=200_000).require().x


# ---- adaPG ------------------------------------------------------------------------------------------------
def energies(name: str, method: Any, start: np.ndarray, steps: int = 300) -> np.ndarray:
    """|x - x*|^2/2 + (pi/r - 1)|x - x_-|^2/2 + g (1 + pi g/g_-)(F(x_-) - F*) along the iterates."""
    problem, best = as_inclusion(PROBLEMS[name]()), minimiser(name)
    least = value(problem, best)
    terms, states = run(method, problem, start, steps)
    ratio = terms.pi / terms.r
    return np.array(
        [
            0.5 * np.sum((s.x - best) ** 2)
            + 0.5 * (ratio - 1) * np.sum((s.x - s.previous) ** 2)
            + float(s.step) * (1 + terms.pi * float(s.growth)) * (value(problem, s.previous) - least)
            for s in states[1:]
            if float(s.step) < 1e6  # a row at rest: see below
        ]
    )


@pytest.mark.parametrize("name", ["quartic", "bend", "fourth powers", "least squares"])
@pytest.mark.parametrize(("pi", "r"), [(1.5, 0.75), (1.0, 0.5), (5 / 3, 5 / 6), (1.1, 1.0), (3.0, 0.5)])
def test_energy_of_the_adaptive_gradient_never_grows(name: str, pi: float, r: float) -> None:
    for step, start in ((None, np.full(SIZE, 2.5)), (50.0, np.linspace(0.2, 3.0, SIZE)), (1e-3, np.full(SIZE, 0.3))):
        found = energies(name, monops.AdaptiveProximalGradient(step, pi, r), start)
        scale = found[0]
        assert np.max(np.diff(found)) <= 1e-9 * scale
        assert found[-1] <= 0.9 * scale


@pytest.mark.parametrize(("pi", "r"), [(1.5, 0.75), (1.1, 1.0), (3.0, 0.5)])
def test_steps_follow_the_published_rule(pi: float, r: float) -> None:
    problem = as_inclusion(PROBLEMS["fourth powers"]())
    _, states = run(monops.AdaptiveProximalGradient(pi=pi, r=r), problem, np.full(SIZE, 2.5), 40)
    caps = 0
    for before, state, after in zip(states, states[1:], states[2:], strict=False):
        dx, dh, g = state.x - state.previous, state.gradient - state.gradient_previous, float(state.step)
        ell, lipschitz = dh @ dx / (dx @ dx), np.linalg.norm(dh) / np.linalg.norm(dx)
        rest = g**2 * lipschitz**2 + 2 * g * ell * (r - 1) - (2 * r - 1)
        cap = math.sqrt(1 / pi + g / float(before.step))
        expected = cap if rest <= 0 else min(cap, math.sqrt((1 - r / pi) / rest))
        caps += expected == cap
        assert float(after.step) == pytest.approx(g * expected, rel=1e-9)
    assert 0 < caps < 39


@pytest.mark.parametrize("broken", ["no growth cap", "double step"])
def test_energy_notices_a_broken_rule(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    proven = adaptive_proximal_gradient._next_step

    def bold(terms: Any, dx: Any, dh: Any, step: Any, growth: Any) -> Any:
        if broken == "no growth cap":
            return proven(terms, dx, dh, step, 20.0 + growth)
        new, _ = proven(terms, dx, dh, step, growth)
        return 2.0 * new, 2.0 * new / step

    monkeypatch.setattr(adaptive_proximal_gradient, "_next_step", bold)
    found = energies("fourth powers", monops.AdaptiveProximalGradient(), np.full(SIZE, 2.5), 100)
    assert not np.max(np.diff(found)) <= 1e-9 * found[0]


def test_adaptive_gradient_takes_longer_steps_than_the_global_constant_allows() -> None:
    """On the way from far away the curvature of x^4 falls by orders of magnitude, and the step follows."""
    _, states = run(monops.AdaptiveProximalGradient(), PROBLEMS["quartic"](), np.full(SIZE, 100.0), 200)
    steps = np.array([float(state.step) for state in states])
    assert steps[0] < 1e-3
    assert steps.max() > 1e4 * steps[0]
    assert np.all(np.abs(states[-1].x - minimiser("quartic")) < 1e-3)


def test_adaptive_gradient_rests_at_a_solution() -> None:
    """Where x does not move the step is kept, instead of growing to infinity."""
    problem = monops.LeastSquares(np.eye(2), np.array([3.0, 0.5])) + monops.L1Norm()
    _, states = run(monops.AdaptiveProximalGradient(), problem, np.array([2.0, 0.0]), 3000)
    assert float(states[-1].step) == float(states[0].step)
    linear = monops.Linear(np.array([1.0, -1.0])) + monops.Box(-1.0, 1.0)
    result = monops.solve(linear, monops.AdaptiveProximalGradient(), x0=np.zeros(2), tol=1e-12)
    np.testing.assert_allclose(result.x, [-1.0, 1.0])


def test_steps_survive_an_overflow() -> None:
    """In float32 the slope of x^4 at 1e12 squares to infinity."""
    state = run(monops.AdaptiveProximalGradient(1e-20), monops.Power(4.0), np.full(3, 1e12, dtype=np.float32), 1)[1][1]
    terms, states = run(monops.AdaptiveProximalGradient(1e-9), monops.Power(4.0), np.full(3, 2e3, dtype=np.float32), 60)
    assert state.x.dtype == np.float32
    assert all(float(s.step) > 0 for s in states)
    assert np.all(np.isfinite(states[-1].x)), terms


# ---- backtracking FISTA --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["quartic", "bend", "fourth powers", "least squares"])
@pytest.mark.parametrize("step", [None, 10.0, 1e-3])
def test_gap_of_backtracking_fista_obeys_its_bound(name: str, step: float | None) -> None:
    """F(x_k) - F* <= |x0 - x*|^2/(2 s_k t_k^2), and t_k^2 s_k grows like k^2."""
    problem, best, start = as_inclusion(PROBLEMS[name]()), minimiser(name), np.full(SIZE, 2.5)
    _, states = run(monops.AdaptiveAcceleratedForwardBackward(step, max_restarts=0), problem, start, 150)
    least = value(problem, best)
    for state in states[1:]:
        bound = np.sum((start - best) ** 2) / (2 * float(state.step) * float(state.t) ** 2)
        assert value(problem, state.x) - least <= bound * (1 + 1e-9) + 1e-12
    roots = [math.sqrt(float(state.step)) * float(state.t) for state in states[1:]]
    for old, new in itertools.pairwise(states):
        s, larger = float(old.step) / float(new.step), float(new.t)
        assert larger * (larger - 1) == pytest.approx(s * float(old.t) ** 2)
        momentum = max(float(old.t) - 1, 0) / larger
        np.testing.assert_allclose(new.y, old.x + momentum * (old.x - old.previous), atol=1e-12)
    smallest = min(float(state.step) for state in states[1:])
    assert roots[-1] >= 0.5 * 150 * math.sqrt(smallest)


def test_accepted_steps_bound_the_gap() -> None:
    """Whatever is let through satisfies the descent inequality, by values or by gradients."""
    smooth = smooth_terms.SmoothSum(as_inclusion(QuarticWell()).terms)
    for scale in (1.0, 1e-4, 1e-9):
        for _ in range(200):
            z = 1.0 + generator.standard_normal(4)
            x = z + scale * generator.standard_normal(4)
            step = 10.0 ** generator.uniform(-2, 1)
            gradient = smooth.forward(z)
            found = smooth_terms.descent(smooth, z, smooth.value(z), gradient, x, 0)
            good = bool(smooth_terms.accepted(smooth, found, z, gradient, x, np.asarray(step), 0))
            d = x - z
            a = z - 1.0
            gap = np.sum(1.5 * a**2 * d**2 + a * d**3 + d**4 / 4)  # the Taylor remainder, without cancellation
            quadratic = np.sum(d**2) / (2 * step)
            assert not good or gap <= quadratic * (1 + 1e-9)
            assert good or gap >= 0.49 * quadratic  # nothing is refused that is off by more than the factor of gradients


# ---- adaptive Davis-Yin -----------------------------------------------------------------------------------------
def test_energy_of_the_adaptive_three_operator_splitting_never_grows() -> None:
    """|z + s u - x* - s u*|^2 with steps that only shrink, from a first step that is far too long."""
    problem = monops.Power(4.0).translate(TARGET) @ monops.Matrix(K) + monops.Box(0.0, 0.5) + 0.3 * monops.L1Norm()
    precise = monops.solve(problem, monops.AdaptiveDavisYin(), x0=np.zeros(SIZE), tol=1e-11, max_iter=100_000).require()
    best, dual = precise.x, precise.dual
    method = monops.AdaptiveDavisYin(20.0, max_growths=0)
    _, states = run(method, problem, np.full(SIZE, 2.0), 400)
    steps = [float(state.step) for state in states]
    assert steps[0] > 5 * steps[-1]
    found = [np.sum((s.z + float(s.step) * s.u - best - float(s.step) * dual) ** 2) for s in states]
    assert np.max(np.diff(found)) <= 1e-10
    assert found[-1] < 0.1 * found[0]


def test_steps_of_the_three_operator_splitting_grow_where_the_curvature_falls() -> None:
    problem = QuarticWell() + monops.Box(-200.0, 200.0) + 0.1 * monops.L1Norm()
    method = monops.AdaptiveDavisYin()
    _, states = run(method, problem, np.full(SIZE, 100.0), 200)
    assert float(states[-1].step) > 1e3 * float(states[0].step)
    assert float(states[-1].growths_left) >= 50
    np.testing.assert_allclose(states[-1].x, minimiser("quartic"), atol=1e-3)
    _, fixed = run(monops.AdaptiveDavisYin(max_growths=0), problem, np.full(SIZE, 100.0), 200)
    assert float(fixed[-1].step) <= float(fixed[0].step)


# ---- answers ----------------------------------------------------------------------------------------------------
@functools.cache
def quartic_reference(box: bool) -> np.ndarray:
    y = cvxpy.Variable(SIZE)
    objective = cvxpy.sum(cvxpy.power(K @ y - TARGET, 4)) / 4 + 0.3 * cvxpy.norm1(y)
    constraints = [y >= 0, y <= 0.5] if box else []
    cvxpy.Problem(cvxpy.Minimize(objective), constraints).solve(solver="CLARABEL")
    return np.asarray(y.value)


METHODS = (monops.AdaptiveProximalGradient(), monops.AdaptiveAcceleratedForwardBackward(), monops.AdaptiveDavisYin())


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_fourth_powers_against_clarabel(method: Any) -> None:
    result = monops.solve(PROBLEMS["fourth powers"](), method, x0=np.zeros(SIZE), tol=1e-8, max_iter=100_000)
    assert result.success
    np.testing.assert_allclose(result.x, quartic_reference(False), atol=1e-4)
    slope = K.T @ (K @ result.x - TARGET) ** 3
    point = result.x - slope
    np.testing.assert_allclose(np.sign(point) * np.maximum(np.abs(point) - 0.3, 0), result.x, atol=1e-7)


def test_fourth_powers_in_a_box_against_clarabel() -> None:
    problem = PROBLEMS["fourth powers"]() + monops.Box(0.0, 0.5)
    result = monops.solve(problem, monops.AdaptiveDavisYin(), x0=np.zeros(SIZE), tol=1e-8, max_iter=100_000)
    assert result.success
    np.testing.assert_allclose(result.x, quartic_reference(True), atol=1e-4)


def test_every_differentiable_term_goes_forward() -> None:
    """Huber has a prox, but with it forward nothing is left for the prox of the mapped term to do."""
    problem = PROBLEMS["huber and fourth powers"]()
    terms = monops.AdaptiveProximalGradient().match(problem)
    assert len(terms.B.terms) == 2
    x = monops.solve(problem, monops.AdaptiveProximalGradient(), tol=1e-9).require().x
    assert np.linalg.norm(np.clip(x, -0.3, 0.3) + K.T @ (K @ x - TARGET) ** 3) <= 1e-8


# ---- rows -------------------------------------------------------------------------------------------------------
ROWS = (
    (monops.AdaptiveProximalGradient(), lambda: QuarticWell() + 0.1 * monops.L1Norm()),
    (monops.AdaptiveAcceleratedForwardBackward(), lambda: QuarticWell() + 0.1 * monops.L1Norm()),
    (monops.AdaptiveDavisYin(), lambda: QuarticWell() + 0.1 * monops.L1Norm() + monops.Box(0.0, 90.0)),
)


@pytest.mark.parametrize(("method", "build"), ROWS, ids=[method.name for method, _ in ROWS])
def test_rows_have_steps_of_their_own(method: Any, build: Any) -> None:
    starts = np.stack([np.full(3, 100.0), np.full(3, 0.1), np.array([0.9, 1.5, -2.0])])
    result = monops.solve(build(), method, x0=starts, batch_ndim=1, tol=1e-8, max_iter=5000)
    assert result.success
    assert result.state.step.shape == (3,)
    for index, start in enumerate(starts):
        alone = monops.solve(build(), method, x0=start, tol=1e-8, max_iter=5000)
        assert alone.iterations == result.iterations[index]
        np.testing.assert_allclose(result.x[index], alone.x, atol=1e-12)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_rows_share_the_smallest_step_where_the_prox_takes_one_only_and_a_broken_row_harms_no_other(method: Any) -> None:
    problem = QuarticWell() + monops.Simplex()
    assert not monops.Simplex().takes_many_steps
    starts = np.stack([np.array([0.2, 0.3, 0.5]), np.full(3, np.nan), np.array([30.0, 0.0, 0.0])])
    result = monops.solve(problem, method, x0=starts, batch_ndim=1, tol=1e-7, max_iter=5000, on_failure="ignore")
    assert [status is monops.Status.CONVERGED for status in result.row_status] == [True, False, True]
    np.testing.assert_allclose(result.x[0], np.full(3, 1 / 3), atol=1e-3)
    np.testing.assert_allclose(result.x[2], np.full(3, 1 / 3), atol=1e-3)


# ---- libraries, refusals ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("library", ["torch", "strict"])
@pytest.mark.parametrize(("method", "build"), ROWS, ids=[method.name for method, _ in ROWS])
def test_other_libraries_take_the_same_steps_in_rows(method: Any, build: Any, library: str) -> None:
    backend = next(entry for entry in BACKENDS if entry.name == library)
    starts = np.stack([np.full(3, 4.0), np.array([0.9, 1.5, -2.0])])
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-3)):
        problem = build().batched(1)
        terms, states = run(method, problem, backend.asarray(starts, dtype), 5)
        _, expected = run(method, problem, starts, 5)
        np.testing.assert_allclose(arrays.to_numpy(states[-1].x), expected[-1].x, atol=tolerance)
        for leaf in arrays.leaves((*states[-1], method.certificate(terms, states[-1]))):
            assert dtype in str(leaf.dtype)


ROTATION = np.array([[0.1, -1.0], [1.0, 0.1]])


@pytest.mark.parametrize(
    ("method", "problem", "error", "words"),
    [
        (monops.AdaptiveProximalGradient(pi=0.5, r=0.5), PROBLEMS["quartic"](), StepSizeError, "pi > r >= 1/2"),
        (monops.AdaptiveProximalGradient(step_size=0.0), PROBLEMS["quartic"](), StepSizeError, "0 < step_size"),
        (monops.AdaptiveProximalGradient(), monops.L1Norm() + monops.Box(0.0, 1.0), NotApplicableError, "use DouglasRachford"),
        (
            monops.AdaptiveProximalGradient(),
            monops.Affine(ROTATION) + QuarticWell(),
            NotApplicableError,
            "convex functions only",
        ),
        (
            monops.AdaptiveProximalGradient(),
            QuarticWell() + monops.L1Norm() + monops.Box(0.0, 1.0),
            NotApplicableError,
            "2 terms need their proxes.*AdaptiveDavisYin",
        ),
        (
            monops.AdaptiveAcceleratedForwardBackward(),
            monops.Affine(np.eye(2)) + monops.L1Norm(),
            NotApplicableError,
            "no value.*use AdaptiveProximalGradient",
        ),
        (monops.AdaptiveDavisYin(), monops.L1Norm() @ monops.Matrix(K) + QuarticWell(), NotApplicableError, "linear map"),
        (monops.AdaptiveDavisYin(), monops.MCP(1.0, 3.0) + QuarticWell(), NotApplicableError, "nonconvex"),
    ],
)
def test_refusals_name_the_hypothesis_and_the_way_out(method: Any, problem: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        monops.solve(problem, method, x0=np.zeros(as_inclusion(problem).input_shape or 2))
