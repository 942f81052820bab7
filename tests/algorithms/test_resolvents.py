"""One resolvent a term, projective splitting, relaxed and inertial proximal point; Douglas-Rachford without a solution."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import cvxpy
import numpy as np
import pytest

import monops
from monops import arrays
from monops.algorithms.resolvents.proximal_point import guarantee as proximal_point_guarantee
from monops.constants import Constants
from monops.errors import NotApplicableError, StepSizeError
from monops.solve import as_inclusion
from tests.backends import BACKENDS

SIZE = 12
PRECISE = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-9)
MANY = (monops.ParallelDouglasRachford(), monops.MalitskyTam(), monops.ProjectiveSplitting())
ALL = (*MANY, monops.Ryu())
J = np.array([[0.0, -1.0], [1.0, 0.0]])  # rotation by a right angle: multiplication by i
generator = np.random.default_rng(3)
TARGET = 2.0 * generator.standard_normal(SIZE)
NORMAL = generator.standard_normal(SIZE)
PLANE = generator.standard_normal(SIZE)


def pieces() -> list[tuple[Any, Callable[[Any], tuple[Any, list[Any]]]]]:
    """Five functions with what CVXPY knows of them: objective and constraints."""
    return [
        (monops.SquaredL2().translate(TARGET), lambda y: (0.5 * cvxpy.sum_squares(y - TARGET), [])),
        (0.3 * monops.L1Norm(), lambda y: (0.3 * cvxpy.norm1(y), [])),
        (monops.L2Ball(1.5), lambda y: (0, [cvxpy.norm2(y) <= 1.5])),
        (monops.HalfSpace(NORMAL, -0.8), lambda y: (0, [NORMAL @ y <= -0.8])),
        (monops.Hyperplane(PLANE, 0.5), lambda y: (0, [PLANE @ y == 0.5])),
    ]


def reference(count: int) -> np.ndarray:
    y = cvxpy.Variable(SIZE)
    parts = [build(y) for _, build in pieces()[:count]]
    problem = cvxpy.Problem(cvxpy.Minimize(sum(value for value, _ in parts)), [c for _, some in parts for c in some])
    problem.solve(solver="CLARABEL", **PRECISE)
    return np.asarray(y.value)


def after(method: Any, problem: Any, x0: Any, steps: int) -> tuple[Any, Any]:
    """Terms, and the state after some steps."""
    terms = method.match(as_inclusion(problem))
    state = method.init(terms, x0)
    for _ in range(steps):
        state = method.step(terms, state)
    return terms, state


@pytest.mark.parametrize("count", [3, 4, 5])
@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_sums_of_functions_against_an_interior_point_method(method: Any, count: int) -> None:
    problem = sum(function for function, _ in pieces()[:count])
    if method.name == "Ryu" and count != 3:
        with pytest.raises(NotApplicableError, match=f"{count} terms, three are needed; use MalitskyTam"):
            method.match(problem)
        return
    result = monops.solve(problem, method, x0=np.zeros(SIZE), tol=1e-9, max_iter=20_000)
    assert result.success
    np.testing.assert_allclose(result.x, reference(count), atol=3e-5)  # what the reference reaches


@pytest.mark.parametrize("method", MANY, ids=lambda method: method.name)
def test_the_answer_lies_in_every_set(method: Any) -> None:
    sets = [monops.Box(-0.4, 0.4), *[function for function, _ in pieces()[2:]]]
    problem = sum((monops.NormalCone(part) for part in sets[1:]), monops.NormalCone(sets[0]))
    result = monops.solve(problem, method, x0=TARGET, tol=1e-9, max_iter=20_000)
    assert result.success
    for part in sets:
        assert np.linalg.norm(part.prox(result.x) - result.x) <= 2e-9


@pytest.mark.parametrize("relaxation", [0.7, 1.0, 1.8])
def test_parallel_douglas_rachford_is_douglas_rachford_on_the_diagonal(relaxation: float) -> None:
    functions = [function for function, _ in pieces()]

    def diagonal(z: Any, step: float) -> Any:
        return monops.Blocks([sum(z) / len(z)] * len(z))

    product = monops.SeparableSum(tuple(sorted(functions, key=lambda f: not f.has_forward)))
    cone = monops.operators.Custom(resolvent=diagonal, constants=Constants(0.0))
    two, many = monops.DouglasRachford(0.6, relaxation), monops.ParallelDouglasRachford(0.6, relaxation)
    terms_two, terms_many = two.match(product + cone), many.match(sum(functions))
    first, second = two.init(terms_two, monops.Blocks([TARGET] * 5)), many.init(terms_many, TARGET)
    for _ in range(30):
        first, second = two.step(terms_two, first), many.step(terms_many, second)
        for a, b in zip((*first.u, *first.y), (*second.z, *second.points), strict=True):
            np.testing.assert_array_equal(a, b)


def test_malitsky_tam_with_two_terms_is_douglas_rachford() -> None:
    problem = pieces()[0][0] + pieces()[1][0]
    minimal, two = monops.MalitskyTam(0.6, 1.5), monops.DouglasRachford(0.6, 1.5)
    terms, terms_two = minimal.match(problem), two.match(problem)
    assert minimal.averagedness(terms) == two.averagedness(terms_two) == 0.75
    terms_two = terms_two._replace(A=terms.operators[1], B=terms.operators[0])
    state, other = minimal.init(terms, TARGET), two.init(terms_two, TARGET)
    for _ in range(20):
        state, other = minimal.step(terms, state), two.step(terms_two, other)
        np.testing.assert_allclose(state.z[0], other.u, atol=1e-14)


def matrix_of(method: Any, terms: Any, blocks: int) -> np.ndarray:
    """The matrix of the linear map T of a method whose operators are linear on R^2."""
    columns = []
    for unit in np.eye(2 * blocks):
        z = monops.Blocks([np.array(part) for part in unit.reshape(blocks, 2)])
        columns.append(np.concatenate(method.governing(terms, method.step(terms, method.at(terms, z)))))
    return np.array(columns).T


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("method", ALL[:2] + ALL[3:], ids=lambda method: method.name)
def test_the_map_is_averaged_as_claimed(method: Any, count: int) -> None:
    """|Tz|^2 <= |z|^2 - (1/a - 1)|z - Tz|^2 for linear monotone operators, skew ones (the extremal ones) among them."""
    if method.name == "Ryu" and count != 3:
        return
    draws = np.random.default_rng(0)
    for trial in range(40):
        matrices = []
        for _ in range(count):
            F, s = draws.standard_normal((2, 2)), draws.standard_normal()
            matrices.append(s * J if trial % 2 else F @ F.T + s * J)
        terms = method.match(sum((monops.Affine(M) for M in matrices[1:]), monops.Affine(matrices[0])))
        T = matrix_of(method, terms, len(method.init(terms, np.zeros(2)).z))
        a, unit = method.averagedness(terms), np.eye(len(T))
        gap = unit - T.T @ T - (1 / a - 1) * (unit - T).T @ (unit - T)
        assert np.linalg.eigvalsh(gap)[0] > -1e-10


def test_relaxation_limits_are_tight() -> None:
    """Multipliers |1 - 2 relaxation| (three resolvents) and |1 - relaxation| (n): 1 at the limit, more beyond it."""
    origin = monops.operators.Custom(resolvent=lambda x, step: 0.0 * x, constants=Constants(0.0))
    skew = 0.02 * J
    instances = (
        (monops.Ryu(), origin + origin + monops.Zero(), (0, 1, 2), 1.0),
        (monops.MalitskyTam(), monops.Affine(-skew) + monops.Zero() + monops.Affine(skew), (0, 1, 2), 1.0),
        (monops.ParallelDouglasRachford(), origin + origin, (0, 1), 2.0),
    )
    for method, problem, order, limit in instances:
        terms = method.match(problem)
        given = tuple(term.summand for term in problem.terms)
        terms = terms._replace(operators=tuple(given[index] for index in order), step_size=1.0)
        blocks = len(method.init(terms, np.zeros(2)).z)
        for relaxation, stable in ((0.98 * limit, True), (1.02 * limit, False)):
            T = matrix_of(method, terms._replace(relaxation=relaxation), blocks)
            assert (np.abs(np.linalg.eigvals(T)).max() <= 1 + 1e-9) == stable, (method.name, relaxation)
        for relaxation in (0.0, limit, 1.3 * limit):
            with pytest.raises(StepSizeError, match=rf"outside \(0, {limit:g}\)"):
                type(method)(relaxation=relaxation).match(problem)


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_certificate_is_an_element_of_the_operator(method: Any) -> None:
    """Subgradient inequalities at x for what is left after the single-valued term; gaps and duals fit together."""
    quadratic, norm, ball = (function for function, _ in pieces()[:3])
    terms, state = after(method, quadratic + norm + ball, TARGET, 5)
    x, dual = method.solution(terms, state)
    total, gap = method.certificate(terms, state)
    assert float(np.linalg.norm(gap)) > 1e-6
    assert terms.constants.strong_monotonicity == 0  # of the primal-dual operator: the norm is not smooth
    point = x + gap  # where the dual is a subgradient of the norm
    rest = total - quadratic.gradient(x) - dual  # normal to the ball at x
    for y in np.random.default_rng(1).standard_normal((50, SIZE)):
        assert norm(y) >= norm(point) + dual @ (y - point) - 1e-10
        assert rest @ (ball.prox(y) - x) <= 1e-10


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_single_valued_terms_leave_no_gap_and_bound_the_error(method: Any) -> None:
    """All terms but one have a forward value: the residual is an element of the sum, residual/mu bounds the error."""
    problem = monops.Quadratic(np.diag(np.linspace(1, 3, SIZE)), NORMAL) + monops.SquaredL2(0.5) + monops.Box(-0.3, 0.3)
    solution = np.clip(-NORMAL / (np.linspace(1, 3, SIZE) + 0.5), -0.3, 0.3)
    result = monops.solve(problem, method, x0=np.ones(SIZE), tol=1e-3)
    assert result.dual is None
    assert result.residual.__class__ is float
    assert 0 < np.linalg.norm(result.x - solution) <= result.error_bound <= 1e-3 / 1.5


def test_parallel_douglas_rachford_contracts_as_proven() -> None:
    """Every term strongly monotone and Lipschitz: the factor of the product holds along iterates."""
    matrices = [0.5 * np.eye(2) + J, 2.0 * np.eye(2), np.array([[1.0, 0.3], [-0.3, 1.0]])]
    problem = sum((monops.Affine(M) for M in matrices[1:]), monops.Affine(matrices[0]))
    method = monops.ParallelDouglasRachford()
    terms = method.match(problem)
    T = matrix_of(method, terms, 3)
    factor = terms.guarantee.factor(terms.step_size)
    assert factor < 1
    assert np.linalg.norm(T, 2) <= factor + 1e-12


# ---- projective splitting --------------------------------------------------------------------------------
def variation() -> tuple[Any, np.ndarray, np.ndarray]:
    signal = np.repeat([0.0, 2.0, 1.0], 5) + 0.2 * np.random.default_rng(5).standard_normal(15)
    D = np.diff(np.eye(15), axis=0)
    y = cvxpy.Variable(15)
    objective = 0.5 * cvxpy.sum_squares(y - signal) + 0.6 * cvxpy.norm1(D @ y)
    cvxpy.Problem(cvxpy.Minimize(objective), [y <= 1.5]).solve(solver="CLARABEL", **PRECISE)
    return D, signal, np.asarray(y.value)


@pytest.mark.parametrize("settings", [{}, {"prefer_forward": True}, {"relaxation": 1.7, "step_size": 0.8}, {"scaling": 4.0}])
def test_projective_splitting_with_linear_maps(settings: dict[str, Any]) -> None:
    D, signal, expected = variation()
    problem = monops.SquaredL2().translate(signal) + 0.6 * monops.L1Norm() @ D + monops.Box(-10.0, 1.5)
    result = monops.solve(problem, monops.ProjectiveSplitting(**settings), tol=1e-8, max_iter=30_000)
    assert result.success
    np.testing.assert_allclose(result.x, expected, atol=1e-6)
    mapped = monops.SquaredL2().translate(signal) @ np.eye(15) + 0.6 * monops.L1Norm() @ D  # no term without a map
    assert monops.solve(mapped, monops.ProjectiveSplitting(**settings), tol=1e-7, max_iter=30_000).success


def test_projective_splitting_takes_terms_without_a_resolvent_forward() -> None:
    """A monotone Lipschitz term with a forward value alone, on the extremal rotation; beyond 1/L it is refused."""
    L = 2.0
    rotation = monops.operators.Custom(lambda x: L * (J @ x), constants=Constants(0.0, lipschitz=L))
    method = monops.ProjectiveSplitting()
    problem = rotation + monops.Box(-1.0, 1.0)
    terms = method.match(problem)
    assert terms.by_forward == (True, False)
    assert terms.step_size == 0.9 / L
    result = monops.solve(problem, method, x0=np.array([3.0, 2.0]), tol=1e-9, max_iter=20_000)
    assert result.success
    np.testing.assert_allclose(result.x, 0.0, atol=1e-8)
    for step in (1 / L, 0.6):
        with pytest.raises(StepSizeError, match=r"0 < step_size\*L < 1"):
            monops.ProjectiveSplitting(step_size=step).match(problem)
    unknown = monops.operators.Custom(lambda x: L * (J @ x), constants=Constants(0.0))
    with pytest.raises(NotApplicableError, match="no closed-form resolvent and its lipschitz is unknown"):
        method.match(unknown + monops.Box(-1.0, 1.0))


@pytest.mark.parametrize("prefer_forward", [False, True])
def test_projective_splitting_comes_closer_in_every_step(prefer_forward: bool) -> None:
    """scaling |z - z*|^2 + |w - w*|^2 falls by at least (2/relaxation - 1) times the squared move: a projection on a
    half-space that contains the solutions.
    """
    D, signal, _ = variation()
    problem = monops.SquaredL2().translate(signal) + 0.6 * monops.L1Norm() @ D
    method = monops.ProjectiveSplitting(relaxation=1.4, prefer_forward=prefer_forward)
    terms, state = after(method, problem, np.zeros(15), 0)
    limit = after(method, problem, np.zeros(15), 4000)[1]
    goal = method.governing(terms, limit)
    assert float(arrays.norm(method.certificate(terms, limit))) < 1e-10

    def square(difference: Any) -> float:
        return float(arrays.inner(method.metric(terms, difference), difference))

    for _ in range(60):
        old = method.governing(terms, state)
        state = method.step(terms, state)
        new = method.governing(terms, state)
        gain = square(old - goal) - square(new - goal)
        assert gain >= (2 / 1.4 - 1) * square(new - old) - 1e-10


# ---- proximal point ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("count", [2, 5, 10, 40])
def test_proximal_point_attains_its_worst_case_on_a_rotation(count: int) -> None:
    """|x_n - x_{n-1}|^2 <= (1 - 1/n)^(n-1)/n |x0|^2 (Gu and Yang 2020), equality for a skew map of the right size."""
    method = monops.ProximalPoint(step_size=(count - 1) ** -0.5)
    _, state = after(method, monops.Affine(J), np.array([1.0, 0.0]), count)
    bound = (1 - 1 / count) ** (count - 1) / count
    assert float(np.sum((state.x - state.previous) ** 2)) == pytest.approx(bound, rel=1e-12)
    for step in (0.3, 0.8 * method.step_size, 1.2 * method.step_size):
        _, other = after(monops.ProximalPoint(step_size=step), monops.Affine(J), np.array([1.0, 0.0]), count)
        assert float(np.sum((other.x - other.previous) ** 2)) <= bound


@pytest.mark.parametrize("relaxation", [0.5, 1.0, 1.6])
def test_relaxed_proximal_point_attains_its_factor(relaxation: float) -> None:
    """mu I shrinks by |1 - relaxation s|, the normal cone of the origin by |1 - relaxation|; exact on fractions."""
    mu, step = Fraction(1, 3), Fraction(3, 2)
    claimed = proximal_point_guarantee(Constants(mu), Fraction(relaxation)).squared_contraction(step)
    s = step * mu / (1 + step * mu)
    assert claimed == max((1 - Fraction(relaxation) * s) ** 2, (1 - Fraction(relaxation)) ** 2)
    shrinkages = []
    for operator in (monops.SquaredL2(float(mu)), monops.Box(0.0, 0.0)):
        _, state = after(monops.ProximalPoint(float(step), relaxation), operator, np.ones(1), 1)
        shrinkages.append(float(abs(state.x[0])))
    assert max(shrinkages) ** 2 == pytest.approx(float(claimed), abs=1e-15)
    draws = np.random.default_rng(0)
    for _ in range(100):
        F = draws.standard_normal((2, 2))
        resolvent = np.linalg.inv(np.eye(2) + float(step) * (float(mu) * np.eye(2) + F @ F.T + draws.standard_normal() * J))
        assert np.linalg.norm((1 - relaxation) * np.eye(2) + relaxation * resolvent, 2) ** 2 <= float(claimed) + 1e-12


def test_relaxation_of_proximal_point_ends_at_two() -> None:
    for relaxation in (0.0, 2.0, float("nan")):
        with pytest.raises(StepSizeError, match=r"outside \(0, 2\)"):
            monops.ProximalPoint(relaxation=relaxation).match(as_inclusion(monops.Affine(J)))
    method = monops.ProximalPoint(relaxation=1.9)
    terms, state = after(method, monops.Box(0.0, 0.0), np.ones(1), 1)
    assert method.averagedness(terms) == 0.95
    np.testing.assert_allclose(state.x, -0.9)
    np.testing.assert_array_equal(method.solution(terms, state).x, 0.0)
    _, beyond = after(method, monops.Box(0.0, 0.0), np.ones(1), 0)
    for _ in range(10):
        beyond = method.step(terms._replace(relaxation=2.1), beyond)
    assert abs(beyond.x[0]) > 2.5


def test_inertia_of_one_third_is_the_limit() -> None:
    """On a small rotation inertia 0.33 converges and 0.345 diverges (Alvarez and Attouch 2001; tightness: expansion in s)."""
    with pytest.raises(StepSizeError, match=r"outside \[0, 1/3\)"):
        monops.InertialProximalPoint(inertia=1 / 3).match(as_inclusion(monops.Affine(J)))
    method = monops.InertialProximalPoint(step_size=0.05)
    terms = method.match(as_inclusion(monops.Affine(J)))
    sizes = {}
    for inertia in (0.0, 0.33, 0.345):
        state = method.init(terms, np.array([1.0, 0.0]))
        for _ in range(20_000):
            state = method.step(terms._replace(inertia=inertia), state)
        sizes[inertia] = float(np.linalg.norm(state.x))
    assert sizes[0.0] < 1e-9
    assert sizes[0.33] < 0.8
    assert sizes[0.345] > 2.0


def test_inertial_proximal_point_solves_and_its_certificate_is_in_the_operator() -> None:
    M = np.array([[0.1, 3.0], [-3.0, 0.1]])
    problem = monops.Affine(M, np.array([1.0, 2.0]))
    result = monops.solve(problem, monops.InertialProximalPoint(), tol=1e-10)
    np.testing.assert_allclose(result.x, -np.linalg.solve(M, [1.0, 2.0]), atol=1e-9)
    terms, state = after(monops.InertialProximalPoint(), problem, np.ones(2), 3)
    np.testing.assert_allclose(monops.InertialProximalPoint().certificate(terms, state), problem.forward(state.x), atol=1e-12)
    for method in (monops.InertialProximalPoint(), monops.ProximalPoint()):
        with pytest.raises(NotApplicableError, match="2 terms, one is allowed"):
            method.match(problem + monops.Box(0.0, 1.0))


# ---- what all share ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("relaxation", [0.5, 1.0, 1.6])
def test_douglas_rachford_without_a_solution_drifts_by_the_minimal_displacement(relaxation: float) -> None:
    """Two disjoint balls: u_k - u_{k+1} -> relaxation times a vector as long as the gap, along it (Bauschke and Moursi)."""
    left, right = monops.L2Ball(1.0), monops.L2Ball(1.0).translate(np.array([3.0, 4.0]))
    _, state = after(monops.DouglasRachford(relaxation=relaxation), left + right, np.array([0.3, -2.0]), 3000)
    drift = (state.previous - state.u) / relaxation
    gap = 3.0 * np.array([0.6, 0.8])  # centres 5 apart, radii 1
    assert min(np.linalg.norm(drift - gap), np.linalg.norm(drift + gap)) < 1e-4


def test_refusals_say_what_is_missing() -> None:
    nonmonotone = monops.operators.Custom(resolvent=lambda x, step: x, constants=Constants())
    mapped = monops.L1Norm() + monops.L1Norm() @ np.ones((2, 3)) + monops.Box(0.0, 1.0)
    three = monops.L1Norm() + monops.Box(0.0, 1.0)
    for method in ALL:
        with pytest.raises(NotApplicableError, match="not known to be monotone"):
            method.match(three + nonmonotone)
        with pytest.raises(NotApplicableError, match="single term"):
            method.match(as_inclusion(monops.L1Norm()))
        if method.name != "ProjectiveSplitting":
            with pytest.raises(NotApplicableError, match="contains a linear map"):
                method.match(mapped)
        with pytest.raises(StepSizeError, match=r"step_size=-1 is outside"):
            type(method)(step_size=-1.0).match(three + monops.L2Ball(1.0))
        with pytest.raises(StepSizeError, match=r"relaxation=nan"):
            type(method)(relaxation=float("nan")).match(three + monops.L2Ball(1.0))
    with pytest.raises(StepSizeError, match="scaling=0"):
        monops.ProjectiveSplitting(scaling=0.0).match(three)


def problem_on(asarray: Callable[[np.ndarray], Any]) -> Any:
    quadratic = monops.Quadratic(asarray(np.diag(np.linspace(1, 2, SIZE))), asarray(TARGET))
    return quadratic + 0.3 * monops.L1Norm() + monops.HalfSpace(asarray(NORMAL), -0.8)


SINGLE = (monops.ProximalPoint(relaxation=1.5), monops.InertialProximalPoint())


@pytest.mark.parametrize("method", ALL + SINGLE, ids=lambda method: method.name)
def test_rows_of_a_batch_are_independent(method: Any) -> None:
    problem = (
        problem_on(np.asarray) if method in ALL else as_inclusion(monops.Quadratic(np.diag(np.linspace(0, 2, SIZE)), TARGET))
    )
    rows = np.random.default_rng(2).standard_normal((3, SIZE)) * np.array([[1.0], [10.0], [0.1]])
    terms, together = after(method, problem.batched(1), rows, 12)
    answer, certificate = method.solution(terms, together).x, method.certificate(terms, together)
    for index, row in enumerate(rows):
        terms_one, alone = after(method, problem, row, 12)
        np.testing.assert_allclose(answer[index], method.solution(terms_one, alone).x, atol=1e-12)
        np.testing.assert_allclose(
            arrays.norm(certificate, 1)[index], arrays.norm(method.certificate(terms_one, alone)), rtol=1e-9
        )


@pytest.mark.parametrize("library", [b for b in BACKENDS if b.name in ("torch", "strict")], ids=lambda b: b.name)
@pytest.mark.parametrize("method", ALL + SINGLE, ids=lambda method: method.name)
def test_other_libraries_make_the_same_iterates(method: Any, library: Any) -> None:
    if library.missing:
        pytest.skip(library.missing)
    build = (
        problem_on if method in ALL else lambda a: as_inclusion(monops.Affine(a(np.diag(np.linspace(0, 2, SIZE))), a(TARGET)))
    )
    terms, state = after(method, build(np.asarray), np.ones(SIZE), 8)
    terms_other, other = after(method, build(library.asarray), library.asarray(np.ones(SIZE)), 8)
    np.testing.assert_allclose(
        library.to_numpy(method.solution(terms_other, other).x), method.solution(terms, state).x, atol=1e-12
    )
    single = library.asarray(np.ones(SIZE), "float32")
    _, narrow = after(method, build(lambda host: library.asarray(host, "float32")), single, 3)
    assert {str(leaf.dtype).split(".")[-1] for leaf in arrays.leaves(narrow)} == {"float32"}


@pytest.mark.parametrize("method", ALL + SINGLE, ids=lambda method: method.name)
def test_a_resumed_run_is_an_uninterrupted_one_and_steps_leave_their_input_alone(method: Any) -> None:
    problem = problem_on(np.asarray) if method in ALL else as_inclusion(monops.Affine(np.diag(np.linspace(0, 2, SIZE)), TARGET))
    terms, whole = after(method, problem, np.ones(SIZE), 20)
    _, part = after(method, problem, np.ones(SIZE), 7)
    part = arrays.tree_map(np.copy, part)
    before = arrays.tree_map(np.copy, part)
    method.step(terms, part)
    for a, b in zip(arrays.leaves(part), arrays.leaves(before), strict=True):
        np.testing.assert_array_equal(a, b)
    for _ in range(13):
        part = method.step(terms, part)
    for a, b in zip(arrays.leaves(part), arrays.leaves(whole), strict=True):
        np.testing.assert_array_equal(a, b)
