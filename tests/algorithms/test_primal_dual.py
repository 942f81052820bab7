"""Primal-dual methods: answers against CVXPY, certificates, the inequalities of the theorems, extremal instances, rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest

import monops
from monops import arrays
from monops.algorithms import primal_dual
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
from tests.algorithms.primal_dual_cases import BY_NAME, CASES, DESIGN, SMOOTH, STEPS, TARGET, error, reference
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
    for settings in ({}, {"relaxation": 1.5}, {"step_size": 0.3}, {"alpha": 0.3}):
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


@pytest.mark.parametrize("name", ["CondatVu", "PrimalDualThreeOperator"])
def test_averagedness_close_to_the_limit(name: str) -> None:
    """In the same instance the second entry is multiplied by 1 - step L = -0.9, which is 0.95-averaged and no better."""
    problem = monops.SquaredL2() + monops.Point(np.zeros(1)) @ monops.Matrix(np.array([[1.0, 0.0]]))
    method = getattr(monops, name)(step_size=1.9, dual_step_size=1e-6)
    terms = method.match(as_inclusion(problem))
    z = arrays.Blocks((np.array([0.0, 1.0]), np.zeros(1)))
    np.testing.assert_allclose(method.governing(terms, method.step(terms, method.at(terms, z)))[0], [0.0, -0.9], atol=1e-12)
    assert 0.95 <= method.averagedness(terms) < 1


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
    """The prox of a norm takes one step for all rows."""
    targets = np.stack([TARGET[:8], 10.0 * TARGET[8:16]])
    problem = monops.L2Norm(0.4) + monops.SquaredL2().translate(targets).batched(1) @ monops.Identity((8,))
    result = monops.solve(problem, getattr(monops, name)(), x0=np.ones((2, 8)), batch_ndim=1, tol=1e-8)
    assert result.success
    for row in range(2):
        np.testing.assert_allclose(result.x[row], monops.L2Norm(0.4).prox(targets[row]), atol=1e-6)


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
