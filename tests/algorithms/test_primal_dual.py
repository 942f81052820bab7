"""Primal-dual methods: answers against CVXPY, certificates, the inequalities of the theorems, extremal instances, rows."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest

import monops
from monops import arrays
from monops.algorithms import diagonal_steps, primal_dual
from monops.algorithms.primal_dual import (
    accelerated_chambolle_pock,
    adaptive_primal_dual,
    chambolle_pock,
    condat_vu,
    linearized_admm,
    primal_dual_three_operator,
)
from monops.constants import Constants
from monops.errors import DataError, NotApplicableError, StepSizeError
from monops.functions import Function
from monops.solve import as_inclusion
from tests.algorithms.primal_dual_cases import BY_NAME, CASES, DESIGN, IMAGE, SMOOTH, STEPS, TARGET, error, reference
from tests.backends import BACKENDS

SLOW = {("linear program", "AdaptivePrimalDual")}  # sublinear there: 1e-6 after 50 000 steps
PAIRS = [(case.name, name) for case in CASES for name in case.methods if (case.name, name) not in SLOW]
LINEAR_PROGRAM_TOL = 1e-4
STRICT = next(backend for backend in BACKENDS if backend.name == "strict")
TORCH = next(backend for backend in BACKENDS if backend.name == "torch")


def run(method: Any, problem: Any, x0: Any, steps: int, batch_ndim: int = 0) -> tuple[Any, list[Any]]:
    """Terms, and all states of some steps."""
    terms = method.match(as_inclusion(problem).batched(batch_ndim))
    states = [method.init(terms, x0)]
    for _ in range(steps):
        states.append(method.step(terms, states[-1]))
    return terms, states


def square(point: Any) -> float:
    return float(arrays.inner(point, point))


def gaussian_like(point: Any, generator: np.random.Generator) -> Any:
    return arrays.tree_map(lambda leaf: generator.standard_normal(leaf.shape), point)


# ---- answers and certificates -----------------------------------------------------------------------


@pytest.mark.parametrize(("case", "name"), PAIRS)
def test_answers_are_those_of_an_interior_point_method(case: str, name: str) -> None:
    tol = LINEAR_PROGRAM_TOL if case == "linear program" and name not in ("ADMM", "AdaptiveADMM") else 1e-7
    result = monops.solve(BY_NAME[case].build(np.asarray), getattr(monops, name)(), x0=np.zeros(BY_NAME[case].shape), tol=tol)
    assert result.success
    assert error(case, result.x) <= 10 * tol


@pytest.mark.parametrize(("case", "name"), PAIRS)
def test_the_certificate_is_an_element_of_the_primal_dual_operator(case: str, name: str) -> None:
    """r_x - K*y - grad f(x) in dg(x) iff x = prox_g(x + that), and r_y + Kx in dh*(y) iff y = prox_h*(y + that)."""
    problem = as_inclusion(BY_NAME[case].build(np.asarray))
    method = getattr(monops, name)()
    terms, states = run(method, problem, 0.1 * np.ones(BY_NAME[case].shape), 7)
    x, y = method.solution(terms, states[-1])
    in_x, in_y = method.certificate(terms, states[-1])
    split = hasattr(terms, "B")  # ADMM: f by its penalised step, B behind the map
    forward = terms.f if split else getattr(terms, "C", getattr(terms, "f", None))
    rest = in_x - terms.map.adjoint(y) - (0.0 if forward is None else forward.forward(x))
    A = monops.Zero() if split else terms.A
    assert float(arrays.norm(A.resolvent(x + rest, 1.0) - x)) <= 1e-9 * (1 + float(arrays.norm(rest)))
    slope = in_y + terms.map.apply(x)
    # y in B(slope) for ADMM, slope in B^-1 y for the others
    back = terms.B.resolvent(slope + y, 1.0) - slope if split else terms.dual.resolvent(y + slope, 1.0) - y
    assert float(arrays.norm(back)) <= 1e-9 * (1 + float(arrays.norm(slope)))
    assert float(arrays.norm(method.certificate(terms, states[-1]))) > 1e-6


@pytest.mark.parametrize(("case", "name"), PAIRS)
def test_maps_are_averaged_in_their_metric(case: str, name: str) -> None:
    problem, generator = as_inclusion(BY_NAME[case].build(np.asarray)), np.random.default_rng(0)
    for settings in ({}, {"relaxation": 1.5}, {"step_size": 0.3}):
        if not getattr(monops, name).is_map or not settings.keys() <= getattr(monops, name).__dataclass_fields__.keys():
            continue
        method = getattr(monops, name)(**settings)
        try:
            terms, states = run(method, problem, np.zeros(BY_NAME[case].shape), 3)
        except StepSizeError:  # 0.3 is too long for some problems
            continue
        z = method.governing(terms, states[2])
        again = method.governing(terms, method.step(terms, method.at(terms, z)))
        assert float(arrays.norm(again - method.governing(terms, states[3]))) <= 1e-9 * (1 + float(arrays.norm(z)))
        a = method.averagedness(terms)
        assert a is not None

        def size(u: Any, method: Any = method, terms: Any = terms) -> float:
            return float(arrays.inner(method.metric(terms, u), u))

        for scale in (3.0, 1e-2):
            u = z + gaussian_like(z, generator)
            v = u + scale * gaussian_like(z, generator)
            Tu, Tv = (method.governing(terms, method.step(terms, method.at(terms, w))) for w in (u, v))
            assert size(Tu - Tv) + (1 - a) / a * size((u - Tu) - (v - Tv)) <= size(u - v) * (1 + 1e-8)


# ---- rates ------------------------------------------------------------------------------------------


def test_accelerated_distance_obeys_its_bound() -> None:
    """|x_N - x*|^2 <= t_N^2 (|x0 - x*|^2/t_0^2 + |y0 - y*|^2/(s_0 t_0)), and t_N falls like 1/(gamma N)."""
    problem = BY_NAME["denoising"].build(np.asarray)
    exact = monops.solve(problem, monops.ChambollePock(), x0=np.zeros((8, 8)), tol=1e-12, max_iter=50_000)
    for fraction in (0.7, 1.0):
        method = monops.AcceleratedChambollePock(fraction=fraction, step_size=1.0, max_restarts=0)
        terms, states = run(method, problem, np.full((8, 8), 5.0), 400)
        first = square(states[0].x - exact.x) / terms.step_size**2
        first += square(exact.dual) / (terms.step_size * terms.dual_step_size)
        for count, state in enumerate(states[1:], start=1):
            assert square(state.x - exact.x) <= state.used_step_size**2 * first * (1 + 1e-9)
            assert abs(state.step_size * state.dual_step_size * terms.map.norm.value**2 - 1) < 1e-9
            assert state.used_step_size <= 1.5 / (fraction * count)


def test_acceleration_on_the_dual_obeys_the_mirrored_bound() -> None:
    problem = BY_NAME["lasso behind the map"].build(np.asarray)  # |x|_1 is not strongly convex, |Kx - b|^2/2 is smooth
    exact = monops.solve(problem, monops.ChambollePock(), x0=np.zeros(8), tol=1e-12, max_iter=50_000)
    method = monops.AcceleratedChambollePock(max_restarts=0)
    terms, states = run(method, problem, np.full(8, 2.0), 300)
    assert terms.dual_leads
    first = square(exact.dual) / terms.dual_step_size**2
    first += square(states[0].x - exact.x) / (terms.step_size * terms.dual_step_size)
    for state in states[1:]:
        assert square(state.y - exact.dual) <= state.used_dual_step_size**2 * first * (1 + 1e-9)


def test_both_strongly_monotone_contracts_by_the_claimed_factor() -> None:
    """mu |x - x*|^2 + (1 - w) dual_mu |y - y*|^2 <= w^N (mu |x0 - x*|^2 + dual_mu |y0 - y*|^2)."""
    mu, L = 0.3, 2.0
    problem = monops.SquaredL2(mu).translate(TARGET[:8]) + monops.SquaredL2(L).translate(TARGET) @ monops.Matrix(DESIGN)
    exact_x = np.linalg.solve(mu * np.eye(8) + L * DESIGN.T @ DESIGN, mu * TARGET[:8] + L * DESIGN.T @ TARGET)
    exact_y = L * (DESIGN @ exact_x - TARGET)
    terms, states = run(monops.AcceleratedChambollePock(), problem, np.full(8, 3.0), 200)
    w = terms.guarantee.squared_contraction(terms.step_size)
    norm = np.linalg.norm(DESIGN, 2)
    assert abs(terms.step_size - math.sqrt(1 / L / mu) / norm) < 1e-9
    assert abs(w - 1 / (1 + 2 * math.sqrt(mu / L) / norm)) < 1e-9
    first = mu * square(states[0].x - exact_x) + square(exact_y) / L
    for count, state in enumerate(states[1:], start=1):
        left = mu * square(state.x - exact_x) + (1 - w) / L * square(state.y - exact_y)
        assert left <= w**count * first * (1 + 1e-9) + 1e-13


def test_line_search_keeps_its_inequality_and_the_energy_of_the_proof_falls() -> None:
    """|x_{k+1} - x*|^2 + |y_{k+1} - y*|^2/ratio + 2 t_k (1 + theta_k) P(x_k) never grows (Malitsky-Pock 2018, Thm 3.4)."""
    problem = BY_NAME["denoising"].build(np.asarray)
    exact = monops.solve(problem, monops.ChambollePock(), x0=np.zeros((8, 8)), tol=1e-12, max_iter=50_000)
    f = monops.SquaredL2().translate(IMAGE)
    for settings in ({"ratio": 0.5}, {"step_size": 1e-3}, {"step_size": 1e3}):
        method = monops.ChambollePockLineSearch(**settings)
        terms, states = run(method, problem, np.full((8, 8), 4.0), 150)
        pull = terms.map.adjoint(exact.dual)
        energies = []
        for before, state, after in zip(states[:-2], states[1:-1], states[2:], strict=True):
            assert float(state.step_size) <= float(before.step_size) * math.sqrt(1 + float(before.theta)) * (1 + 1e-12)
            change = state.y - before.y
            left = math.sqrt(terms.ratio) * float(state.step_size) * float(arrays.norm(terms.map.adjoint(change)))
            assert left <= 0.99 * float(arrays.norm(change)) + 1e-10
            gap = float(f(state.x) - f(exact.x) + arrays.inner(pull, state.x - exact.x))
            energy = square(after.x - exact.x) + square(state.y - exact.dual) / terms.ratio
            energies.append(energy + 2 * float(state.step_size) * (1 + float(state.theta)) * gap)
        assert all(now <= then * (1 + 1e-9) + 1e-10 for then, now in itertools.pairwise(energies))
        assert float(states[-1].step_size) >= 0.6 * 0.99 / (math.sqrt(terms.ratio) * terms.map.norm.value)


def test_adaptive_steps_keep_their_product_and_their_changes_have_a_finite_sum() -> None:
    problem = BY_NAME["linear program"].build(np.asarray)
    terms, states = run(monops.AdaptiveChambollePock(step_size=100.0), problem, np.zeros(8), 3000)
    products = [float(state.step_size * state.dual_step_size) * terms.map.norm.value**2 for state in states]
    assert max(abs(product - 0.99) for product in products) < 1e-9
    steps = [float(state.step_size) for state in states]
    changes = [max(a, b) / min(a, b) - 1 for a, b in itertools.pairwise(steps) if a != b]
    assert len(changes) > 10
    for number, change in enumerate(changes):  # 1/(1 - a) with a = 0.5 0.95^number
        assert abs(change - (1 / (1 - 0.5 * 0.95**number) - 1)) < 1e-9


def test_the_balance_does_not_depend_on_units() -> None:
    """x in other units by c, the objective by c^2: the same iterates up to c."""
    answers = []
    for c in (1.0, 1e4):
        problem = monops.SquaredL2().translate(c * IMAGE) + 0.4 * c * monops.L1Norm() @ monops.Gradient((8, 8))
        _, states = run(monops.AdaptiveChambollePock(), problem, c * np.ones((8, 8)), 60)
        answers.append(states[-1].x / c)
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-9)


def test_restarts_lower_the_reference_and_beat_the_plain_method_on_a_linear_program() -> None:
    problem = BY_NAME["linear program"].build(np.asarray)
    terms, states = run(monops.RestartedChambollePock(), problem, np.zeros(8), 1500)
    references = [float(state.reference) for state in states]
    assert all(now <= then for then, now in itertools.pairwise(references))
    assert references[-1] < 1e-3 * references[21]
    jumps = [(a, b) for a, b in itertools.pairwise(states) if float(b.length) == 0 and b.iteration > 20]
    assert len(jumps) > 3
    weights = {float(state.step_size) for state in states}
    assert 2 < len(weights) <= 51
    plain, plain_states = run(monops.ChambollePock(), problem, np.zeros(8), 1500)
    here = float(arrays.norm(monops.RestartedChambollePock().certificate(terms, states[-1])))
    there = float(arrays.norm(monops.ChambollePock().certificate(plain, plain_states[-1])))
    assert here < 1e-3 * there


def test_restarted_averages_are_the_averages_of_the_stretch() -> None:
    """Up to the first comparison the sums are those of the iterates, which are those of ChambollePock."""
    problem = BY_NAME["denoising"].build(np.asarray)
    terms, states = run(monops.RestartedChambollePock(), problem, np.zeros((8, 8)), 19)
    np.testing.assert_allclose(states[-1].sum_x, sum(state.x for state in states[1:]), atol=1e-12)
    plain = monops.ChambollePock(terms.step_size, terms.product / terms.step_size)
    np.testing.assert_allclose(states[-1].x, run(plain, problem, np.zeros((8, 8)), 19)[1][-1].x, atol=1e-12)


# ---- extremal instances -----------------------------------------------------------------------------


def radius(method: Any, problem: Any, primal: int, dual: int) -> float:
    """Spectral radius of the map of a method on a linear problem, column by column."""
    terms = method.match(as_inclusion(problem))
    columns = []
    for unit in np.eye(primal + dual):
        z = arrays.Blocks((unit[:primal], unit[primal:]))
        image = method.governing(terms, method.step(terms, method.at(terms, z)))
        columns.append(np.concatenate([np.ravel(block) for block in image]))
    return float(np.max(np.abs(np.linalg.eigvals(np.array(columns).T))))


ONE = monops.Matrix(np.ones((1, 1)))


@pytest.mark.parametrize("name", ["ChambollePock", "LinearizedADMM"])
def test_four_thirds_is_sharp(name: str) -> None:
    """f = 0, g* = 0, K = 1: stable below step dual_step = 4/3, and refused above it, where it would diverge."""
    problem, method = monops.Zero() + monops.Point(np.zeros(1)) @ ONE, getattr(monops, name)
    assert radius(method(1.0, 0.999 * 4 / 3), problem, 1, 1) < 1
    with pytest.raises(StepSizeError, match="4/"):
        method(1.0, 1.001 * 4 / 3).match(as_inclusion(problem))
    instance = method(1.0, 1.0)
    terms = instance.match(as_inclusion(problem))._replace(dual_step_size=1.001 * 4 / 3)
    state = instance.init(terms, np.ones(1))
    for _ in range(5000):
        state = instance.step(terms, state)
    assert abs(float(state.x[0])) > 100


@pytest.mark.parametrize("t", [0.3, 1.0, 1.7])
def test_condat_vu_on_the_two_by_two_instance(t: float) -> None:
    """C = x, K = 1, g* = 0: it crosses the unit circle at step dual_step = 4/3 (1 - step L/2), a third beyond the theorem."""
    problem = monops.SquaredL2() + monops.Point(np.zeros(1)) @ ONE
    proven = (1 - t / 2) / t
    assert radius(monops.CondatVu(t, 0.999 * proven), problem, 1, 1) < 1
    with pytest.raises(StepSizeError, match="outside the proven interval"):
        monops.CondatVu(t, 1.001 * proven).match(as_inclusion(problem))
    method = monops.CondatVu(t, 0.5 * proven)
    terms = method.match(as_inclusion(problem))
    for factor, stable in ((0.999, True), (1.001, False)):
        moved = terms._replace(dual_step_size=factor * 4 / 3 * proven)
        columns = []
        for unit in np.eye(2):
            z = arrays.Blocks((unit[:1], unit[1:]))
            columns.append(np.concatenate(list(method.governing(moved, method.step(moved, method.at(moved, z))))))
        assert (np.max(np.abs(np.linalg.eigvals(np.array(columns)))) < 1) == stable


@pytest.mark.parametrize("name", ["CondatVu", "PrimalDualThreeOperator"])
def test_two_over_L_is_sharp_where_the_map_does_not_reach(name: str) -> None:
    """K = (1, 0), C = x: the second entry is plain gradient descent, with |1 - step L| at 2/L equal to 1."""
    problem = monops.SquaredL2() + monops.Point(np.zeros(1)) @ monops.Matrix(np.array([[1.0, 0.0]]))
    method = getattr(monops, name)(step_size=1.999, dual_step_size=1e-6)
    assert radius(method, problem, 2, 1) < 1
    with pytest.raises(StepSizeError):
        getattr(monops, name)(step_size=2.001, dual_step_size=1e-6).match(as_inclusion(problem))
    terms = method.match(as_inclusion(problem))._replace(step_size=2.001)
    state = method.init(terms, np.ones(2))
    for _ in range(8000):
        state = method.step(terms, state)
    assert np.max(np.abs(method.governing(terms, state)[0])) > 100


def test_relaxed_condat_vu_at_its_limit() -> None:
    """Relaxation r on C = x: |1 - r step| = 1 at step = 2/r; the theorem asks for 2 (2 - r), which is smaller for r > 1."""
    free = Constants(0.0, cyclic=True)
    for r in (1.0, 1.5):
        proven = condat_vu.guarantee(free, free, Constants(0.0, lipschitz=1.0, cyclic=True), 0, 1, r)
        assert abs(proven.interval[1] - 2 * (2 - r)) < 1e-12
        assert proven.interval[1] <= 2 / r + 1e-12


def test_printed_formulas_are_the_code() -> None:
    generator = np.random.default_rng(1)
    for _ in range(50):
        mu, L, dual_mu, norm, dual = (float(v) for v in generator.uniform(0.2, 3.0, 5))
        r = float(generator.uniform(0.2, 1.8))
        C, free = Constants(0.0, lipschitz=L, cyclic=True), Constants(0.0, cyclic=True)
        names = {"mu": mu, "beta": 1 / L, "dual_mu": dual_mu, "norm": norm, "dual_step_size": dual, "relaxation": r}
        strong = (Constants(mu, cyclic=True), Constants(dual_mu, cyclic=True))
        for proven in (
            chambolle_pock.guarantee(free, free, norm, dual),
            linearized_admm.guarantee(free, free, norm, dual),
            accelerated_chambolle_pock.guarantee(*strong, norm),
            condat_vu.guarantee(free, free, C, norm, dual, r),
            primal_dual_three_operator.guarantee(free, free, C, norm),
        ):
            upper = float(proven.interval[1])
            assert 0 < float(proven.best_step) < upper or (proven.upper_included and proven.best_step == proven.interval[1])
            for factor in (0.5, 0.999, 1.001):
                assert eval(proven.formula, {}, {**names, "step_size": factor * upper}) == (factor < 1)
        limit = primal_dual_three_operator.dual_guarantee(norm, 0.7)
        for factor in (0.999, 1.001):
            values = {**names, "step_size": 0.7, "dual_step_size": factor * limit.interval[1]}
            assert eval(limit.formula, {}, values) == (factor < 1)


# ---- diagonal steps -----------------------------------------------------------------------------------


def dense(linear_map: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The matrix of a map."""
    columns = []
    for unit in np.eye(math.prod(shape)):
        image = linear_map.apply(unit.reshape(shape))
        columns.append(np.concatenate([np.ravel(leaf) for leaf in arrays.leaves(image)]))
    return np.array(columns).T


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_diagonal_sums_are_those_of_the_matrix_and_the_scaled_norm_is_at_most_one(alpha: float) -> None:
    import scipy.sparse

    kernel = np.array([0.5, -1.0, 0.0])
    for linear_map, shape in (
        (monops.Matrix(STEPS), (8,)),
        (monops.SparseMatrix(scipy.sparse.csr_array(STEPS)), (8,)),
        (monops.Gradient((3, 4), 0.5), (3, 4)),
        (monops.Gradient((1, 3)), (1, 3)),
        (monops.Convolution(kernel, (5,)), (5,)),
        (2.0 * monops.Matrix(STEPS), (8,)),
        (monops.Matrix(STEPS).T, (7,)),
        (monops.Stack((monops.Identity((8,)), monops.Matrix(STEPS), monops.linear.Diagonal(np.arange(8.0)))), (8,)),
    ):
        matrix = np.abs(dense(linear_map, shape))
        matrix = np.where(matrix > 1e-12, matrix, 0.0)  # the FFT rounds
        powers = np.where(matrix > 0, np.where(matrix > 0, matrix, 1.0) ** alpha, 0.0)
        others = np.where(matrix > 0, np.where(matrix > 0, matrix, 1.0) ** (2 - alpha), 0.0)
        x, y = np.zeros(shape), linear_map.apply(np.zeros(shape))
        rows, columns = diagonal_steps.sums(linear_map, alpha), diagonal_steps.sums(linear_map, 2 - alpha)
        assert not isinstance(rows, monops.theory.Missing)
        assert not isinstance(columns, monops.theory.Missing)
        expanded = arrays.tree_map(lambda leaf, like: leaf + like, rows.rows, y)
        np.testing.assert_allclose(np.concatenate([np.ravel(v) for v in arrays.leaves(expanded)]), powers.sum(axis=1))
        np.testing.assert_allclose(np.ravel(columns.columns + x), others.sum(axis=0))
        s = arrays.tree_map(lambda leaf, like: leaf + like, diagonal_steps.reciprocal(rows.rows, y), y)
        t = diagonal_steps.reciprocal(columns.columns, x) + x
        S = np.concatenate([np.ravel(v) for v in arrays.leaves(s)])
        assert np.linalg.norm(np.sqrt(S)[:, None] * dense(linear_map, shape) * np.sqrt(np.ravel(t)), 2) <= 1 + 1e-12


def test_preconditioning_pays_on_badly_scaled_rows() -> None:
    scales = 10.0 ** np.linspace(-2, 2, 7)
    problem = monops.SquaredL2().translate(TARGET[:8]) + monops.Box(-scales / 4, scales / 4) @ monops.Matrix(
        scales[:, None] * STEPS
    )
    counts = {}
    for name in ("ChambollePock", "PreconditionedChambollePock"):
        counts[name] = monops.solve(problem, getattr(monops, name)(), tol=1e-6, max_iter=5000, on_failure="ignore").iterations
    assert counts["PreconditionedChambollePock"] < 0.4 * counts["ChambollePock"]


# ---- methods without constants ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["AdaptivePrimalDual", "AdaptivePrimalDualLineSearch"])
def test_a_gradient_without_a_lipschitz_constant(name: str) -> None:
    """min sum (x - 1)^4 + |x|_1 over the differences: against a slow reference from another method's answer by CVXPY."""
    import cvxpy as cp

    problem = monops.Power(4.0).translate(TARGET[:8]) + monops.Box(-1.0, 0.8) + 0.1 * monops.L1Norm() @ monops.Matrix(STEPS)
    scale = float(monops.Power(4.0)(np.ones(1)))  # the factor in front of the power in this library
    x = cp.Variable(8)
    objective = cp.Minimize(scale * cp.sum(cp.power(x - TARGET[:8], 4)) + 0.1 * cp.norm1(STEPS @ x))
    best = cp.Problem(objective, [x >= -1, x <= 0.8]).solve(solver=cp.CLARABEL)
    result = monops.solve(problem, getattr(monops, name)(), tol=1e-4)
    value = scale * np.sum((result.x - TARGET[:8]) ** 4) + 0.1 * np.sum(np.abs(STEPS @ result.x))
    assert result.success
    assert abs(value - best) < 1e-5
    with pytest.raises(NotApplicableError, match="forward value"):
        monops.CondatVu().match(as_inclusion(problem))


def test_adaptive_primal_dual_steps_obey_all_three_bounds() -> None:
    problem = BY_NAME["three terms"].build(np.asarray)
    terms, states = run(monops.AdaptivePrimalDual(), problem, np.full(8, 2.0), 200)
    norm, epsilon = terms.norm, 1e-6
    for before, state in itertools.pairwise(states[1:]):
        t, last, new = float(before.step_size), float(before.previous_step), float(state.step_size)
        dx, dg = before.x - before.previous_x, before.gradient - before.previous_gradient
        local = float(dg @ dx / (dx @ dx)) if dx @ dx > 0 else 0.0
        c = float(dg @ dg / (dg @ dx)) if dg @ dx > 0 else 0.0
        D, xi = t * local * (t * c - 1), (t * norm) ** 2
        room = 1 - 4 * xi * (1 + epsilon) ** 2
        third = t * math.sqrt(room / (2 * (1 + epsilon) * (D + math.sqrt(D * D + xi * room))))
        assert abs(new - min(t * math.sqrt(1 + t / last), 1 / (2.4 * norm), third)) <= 1e-6 * new


def test_line_search_of_the_adaptive_method_bounds_the_map_on_every_step() -> None:
    problem = BY_NAME["three terms"].build(np.asarray)
    for first in (None, 1e-3, 1e3):
        method = monops.AdaptivePrimalDualLineSearch(step_size=first)
        terms, states = run(method, problem, np.full(8, 2.0), 100)
        for before, state in itertools.pairwise(states):
            change = state.y - before.y
            assert float(arrays.norm(terms.map.adjoint(change))) <= float(state.estimate * arrays.norm(change)) + 1e-10
            assert float(state.step_size) <= 1 / (2.4 * float(state.estimate)) * (1 + 1e-12)
        assert float(states[-1].estimate) <= 2 * terms.map.norm.value


# ---- refusals, rows, libraries ------------------------------------------------------------------------


def test_refusals_name_the_hypothesis_and_the_way_out() -> None:
    K = monops.Matrix(STEPS)
    flat = monops.Box(0.0, 1.0) + monops.L1Norm() @ K
    refused = [
        (monops.AcceleratedChambollePock(), flat, "neither A nor the inverse of B.*use ChambollePock"),
        (monops.CondatVu(), flat, "no term can go by its forward value.*ChambollePock"),
        (monops.PrimalDualThreeOperator(), flat, "no term can go by its forward value.*ChambollePock"),
        (monops.AdaptivePrimalDual(), flat, "no term can go by its forward value.*ChambollePockLineSearch"),
        (monops.CondatVu(), monops.SquaredL2() + monops.L1Norm(), "linear map; use ForwardBackward"),
        (monops.ChambollePock(), monops.SquaredL2() + monops.L1Norm(), "no linear map"),
        (
            monops.PreconditionedChambollePock(),
            monops.L1Norm() + monops.L1Norm() @ monops.MatvecMap(np.diff, lambda y: y, (8,), (7,)),
            "entries of MatvecMap are not known",
        ),
        (
            monops.PreconditionedChambollePock(),
            monops.Simplex() + monops.L2Norm() @ K,
            "no resolvent takes one step for each entry; use ChambollePock",
        ),
        (
            monops.ChambollePockLineSearch(),
            monops.Affine(np.eye(8) + np.triu(np.ones((8, 8)), 1) - np.tril(np.ones((8, 8)), -1), np.ones(8))
            + monops.L1Norm() @ K,
            "A is not known to be the subdifferential",
        ),
    ]
    for method, problem, sentence in refused:
        with pytest.raises(NotApplicableError, match=sentence):
            method.match(as_inclusion(problem))
    problem = as_inclusion(BY_NAME["three terms"].build(np.asarray))
    for method in (
        monops.CondatVu(relaxation=2.0),
        monops.CondatVu(step_size=-1.0),
        monops.PrimalDualThreeOperator(dual_step_size=1e3),
        monops.AdaptiveChambollePock(step_size=math.nan),
        monops.AdaptivePrimalDual(step_size=1e3),
        monops.ChambollePockLineSearch(ratio=0.0),
    ):
        with pytest.raises(StepSizeError, match="outside"):
            method.match(problem)
    for method in (
        monops.AcceleratedChambollePock(fraction=1.1),
        monops.AdaptiveChambollePock(decay=1.0),
        monops.PreconditionedChambollePock(alpha=2.1),
    ):
        with pytest.raises(DataError):
            method.match(problem)


def test_guarantee_of_the_adaptive_method_asks_for_functions() -> None:
    function, operator = Constants(0.0, cyclic=True), Constants(0.0, lipschitz=1.0)
    missing = adaptive_primal_dual.guarantee(function, function, operator)
    assert "C is not known to be the subdifferential" in str(missing)


ROWS = ("ConsensusADMM", "SharingADMM")


@pytest.mark.parametrize("name", [name for name in primal_dual.__all__ if name not in ROWS])
def test_rows_of_a_batch_are_independent(name: str) -> None:
    """Three rows of very different scale, together and one by one."""
    targets = np.stack([TARGET[:8], 100.0 * TARGET[8:16], 0.01 * TARGET[4:12]])

    def problem(target: np.ndarray) -> Any:
        quadratic = monops.SquaredL2(2.0).translate(target).batched(target.ndim - 1)
        return quadratic + monops.NonNegative() + 0.3 * monops.L1Norm() @ monops.Matrix(STEPS)

    method = getattr(monops, name)()
    _, together = run(method, problem(targets), np.ones((3, 8)), 45, batch_ndim=1)
    for row in range(3):
        terms, alone = run(method, problem(targets[row]), np.ones(8), 45)
        x = method.solution(terms, alone[-1]).x
        got = method.solution(terms, together[-1]).x[row]
        np.testing.assert_allclose(got, x, atol=1e-9 * (1 + np.abs(x).max()))


@pytest.mark.parametrize("name", ["AdaptiveChambollePock", "RestartedChambollePock", "ChambollePockLineSearch"])
def test_rows_that_must_share_a_step_converge(name: str) -> None:
    """The simplex takes one step for all rows."""
    targets = np.stack([TARGET[:8], 10.0 * TARGET[8:16]])
    problem = monops.Simplex() + monops.SquaredL2().translate(targets).batched(1) @ monops.Identity((8,))
    result = monops.solve(problem, getattr(monops, name)(), x0=np.full((2, 8), 0.125), batch_ndim=1, tol=1e-8)
    assert result.success
    for row in range(2):
        np.testing.assert_allclose(result.x[row], monops.Simplex().prox(targets[row]), atol=1e-6)


@pytest.mark.parametrize("name", [name for name in primal_dual.__all__ if name not in ROWS])
@pytest.mark.parametrize("backend", [STRICT, TORCH], ids=["strict", "torch"])
def test_other_libraries_agree_and_float32_stays(name: str, backend: Any) -> None:
    case = BY_NAME["three terms"]
    method = getattr(monops, name)()
    terms, states = run(method, case.build(np.asarray), np.ones(8), 6)
    other_terms, other = run(method, case.build(backend.asarray), backend.asarray(np.ones(8)), 6)
    for mine, theirs in zip(method.solution(terms, states[-1]), method.solution(other_terms, other[-1]), strict=True):
        for a, b in zip(arrays.leaves(mine), arrays.leaves(theirs), strict=True):
            np.testing.assert_allclose(backend.to_numpy(b), a, atol=1e-11, rtol=1e-11)

    def single(values: np.ndarray) -> Any:
        return backend.asarray(values, "float32")

    _, states = run(method, case.build(single), single(np.ones(8)), 25)
    for leaf in (part for point in states[-1] for part in arrays.leaves(point)):
        assert isinstance(leaf, (int, float)) or "float32" in str(leaf.dtype)


def test_a_saddle_keeps_both_players() -> None:
    game = np.array([[1.0, -1.0], [-2.0, 1.0]])
    for name in ("RestartedChambollePock", "AdaptiveChambollePock", "ChambollePockLineSearch", "LinearizedADMM"):
        x, y = monops.solve(monops.Saddle(monops.Simplex(), monops.Simplex(), game), getattr(monops, name)(), tol=1e-8).x
        np.testing.assert_allclose(np.concatenate([x, y]), [0.4, 0.6, 0.6, 0.4], atol=1e-6)


@dataclass(frozen=True, eq=False)
class SmoothDistance(Function):
    """f(x) = sum sqrt(1 + x_i^2): a gradient with L = 1, and no prox."""

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=1.0, cyclic=True, why="computed: the second derivative is at most 1")

    def __call__(self, x: Any) -> Any:
        return arrays.row_sum(arrays.namespace(x).sqrt(1.0 + x * x), self.batch_ndim)

    def gradient(self, x: Any) -> Any:
        return x / arrays.namespace(x).sqrt(1.0 + x * x)


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_terms_behind_a_map_go_forward(name: str) -> None:
    """K1*grad f(K1 x) is evaluated; only the total variation, behind another map, is split off."""
    import cvxpy as cp

    problem = SmoothDistance() @ monops.Matrix(0.3 * DESIGN) + monops.Box(0.1, 1.0) + monops.L1Norm() @ monops.Matrix(STEPS)
    x = cp.Variable(8)
    rows = sum(cp.norm(cp.hstack([1.0, row])) for row in 0.3 * DESIGN @ x)
    cp.Problem(cp.Minimize(rows + cp.norm1(STEPS @ x)), [x >= 0.1, x <= 1.0]).solve(solver=cp.CLARABEL)
    result = monops.solve(problem, getattr(monops, name)(), tol=1e-8)
    np.testing.assert_allclose(result.x, x.value, atol=1e-5)
    with pytest.raises(NotApplicableError, match="no closed-form resolvent"):
        monops.ChambollePock().match(problem)


def test_references_are_solved() -> None:
    assert all(math.isfinite(reference(case.name)[1]) for case in CASES)
