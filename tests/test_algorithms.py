"""Every method on every problem it applies to, on every backend; and the laws of each iteration."""

from __future__ import annotations

import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import monops
from monops import arrays
from monops.algorithms import assess, methods
from monops.algorithms.cocoercive.forward_backward import forward_contraction
from monops.algorithms.lipschitz.forward_backward_forward import guarantee as forward_backward_forward_guarantee
from monops.algorithms.shared.reflected import cayley_contraction
from monops.constants import Constants
from monops.errors import NotConvergedWarning
from monops.solve import as_inclusion
from tests.problems import CASES, Case


def applicable(case: Case) -> list[str]:
    """Names of the methods whose theorem covers the case."""
    problem = as_inclusion(case.build(np.asarray))
    return [entry.algorithm.name for entry in assess(problem) if entry.terms is not None]


PAIRS = [(case, name) for case in CASES for name in applicable(case)]


def host(x: Any) -> Any:
    """Host copy, block by block."""
    return arrays.tree_map(arrays.to_numpy, x)


@pytest.mark.parametrize(("case", "name"), PAIRS, ids=[f"{case.name}-{name}" for case, name in PAIRS])
def test_iterates_on_every_backend_are_those_of_numpy(case: Case, name: str, backend: Any) -> None:
    def steps(asarray: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotConvergedWarning)
            return monops.solve(
                case.build(asarray), getattr(monops, name)(), x0=case.start(asarray), tol=0.0, max_iter=12, check_every=6
            )

    result = steps(lambda values: backend.asarray(values, "float64"))
    reference = steps(np.asarray)
    assert type(arrays.leaves(result.x)[0]) is type(arrays.leaves(case.start(lambda v: backend.asarray(v, "float64")))[0])
    for mine, theirs in zip(arrays.leaves(host(result.x)), arrays.leaves(reference.x), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-7)  # steps come from eigenvalues, and searches on them
    assert result.residual == pytest.approx(reference.residual, rel=1e-6, abs=1e-9)


def test_every_method_is_exercised() -> None:
    assert {name for _, name in PAIRS} == {method.__name__ for method in methods()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_methods_agree(case: Case) -> None:
    answers = [
        monops.solve(case.build(np.asarray), getattr(monops, name)(), x0=case.start(np.asarray), tol=1e-9, max_iter=200_000)
        for name in applicable(case)
    ]
    if case.name == "matrix game":  # the value of the game is unique, the strategies need not be
        return
    for answer in answers[1:]:
        assert float(arrays.norm(answer.x - answers[0].x)) <= 1e-6


@pytest.mark.parametrize("name", ["ForwardBackward", "DouglasRachford", "PeacemanRachford", "ForwardBackwardForward"])
def test_distance_to_the_solution_shrinks_by_the_proven_factor(name: str) -> None:
    case = next(case for case in CASES if case.name == "complementarity")
    problem = case.build(np.asarray)
    method = getattr(monops, name)()
    terms = method.match(problem)
    factor = terms.guarantee.factor(terms.step_size)
    assert factor is not None
    assert factor < 1
    state = method.init(terms, np.full(10, 3.0))
    states = [state]
    for _ in range(1500):
        states.append(method.step(terms, states[-1]))
    limit = states[-1][0]
    distances = [float(np.linalg.norm(state[0] - limit)) for state in states[:40]]
    for now, then in zip(distances[1:], distances[:-1], strict=True):
        assert now <= factor * then + 1e-12


def averaged() -> list[tuple[Case, str]]:
    """Pairs of a problem and a method whose step is an averaged map, as the method says."""
    found = []
    for case, name in PAIRS:
        method = getattr(monops, name)()
        if method.is_map and method.averagedness(method.match(as_inclusion(case.build(np.asarray)))) is not None:
            found.append((case, name))
    return found


@pytest.mark.parametrize(("case", "name"), averaged(), ids=lambda part: getattr(part, "name", part))
def test_averaged_maps_are_averaged_in_their_metric(case: Case, name: str) -> None:
    """|Tz - Tw|^2 + (1 - a)/a |(z - Tz) - (w - Tw)|^2 <= |z - w|^2 for a-averaged T, at points of all sizes."""
    method = getattr(monops, name)()
    terms = method.match(as_inclusion(case.build(np.asarray)))
    a = method.averagedness(terms)
    start = method.governing(terms, method.init(terms, case.start(np.asarray)))
    generator = np.random.default_rng(0)

    def square(v: Any) -> float:
        return float(arrays.inner(method.metric(terms, v), v))

    def image(z: Any) -> Any:
        return method.governing(terms, method.step(terms, method.at(terms, z)))

    for scale in (0.01, 1.0, 1.0, 1.0, 100.0):
        z, w = (arrays.tree_map(lambda leaf: scale * generator.standard_normal(leaf.shape), start) for _ in range(2))  # noqa: B023
        Tz, Tw = image(z), image(w)
        before, after = square(z - w), square(Tz - Tw)
        moved = square((z - Tz) - (w - Tw))
        assert after + (1 - a) / a * moved <= before * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize(("case", "name"), averaged(), ids=lambda part: getattr(part, "name", part))
def test_fixed_point_residual_of_averaged_maps_never_grows(case: Case, name: str) -> None:
    method = getattr(monops, name)()
    terms = method.match(as_inclusion(case.build(np.asarray)))
    state = method.init(terms, case.start(np.asarray))
    moves = []
    for _ in range(100):
        new = method.step(terms, state)
        move = method.governing(terms, new) - method.governing(terms, state)
        moves.append(max(float(arrays.inner(method.metric(terms, move), move)), 0.0) ** 0.5)
        state = new
    for now, then in zip(moves[2:], moves[1:-1], strict=True):
        assert now <= then * (1 + 1e-9) + 1e-12


def test_a_step_is_the_map_that_at_and_governing_say() -> None:
    """Steps of the method, and T applied from ``at(governing)``, give the same points."""
    for case, name in PAIRS:
        method = getattr(monops, name)()
        if not method.is_map:
            continue
        terms = method.match(as_inclusion(case.build(np.asarray)))
        state = method.init(terms, case.start(np.asarray))
        for _ in range(3):
            new = method.step(terms, state)
            again = method.step(terms, method.at(terms, method.governing(terms, state)))
            difference = method.governing(terms, new) - method.governing(terms, again)
            assert float(arrays.norm(difference)) <= 1e-12, (name, case.name)
            state = new


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_certificate_belongs_to_the_operator(case: Case) -> None:
    """The residual vanishes only at solutions: far from one it is large, and at one it is small."""
    problem = case.build(np.asarray)
    for name in applicable(case):
        method = getattr(monops, name)()
        early = monops.solve(problem, method, x0=case.start(np.asarray), tol=0.0, max_iter=1, on_failure="ignore")
        if case.error(early.x) > 0.1:
            assert early.residual > 1e-3, name


def test_certificate_of_forward_backward_is_an_element_of_the_sum() -> None:
    """r - grad f(x) must be a subgradient of weight |x|_1 at x."""
    case = CASES[0]
    problem = case.build(np.asarray)
    for name in ("ForwardBackward", "AcceleratedForwardBackward", "DouglasRachford"):
        method = getattr(monops, name)()
        terms = method.match(problem)
        state = method.init(terms, np.ones(20))
        for _ in range(7):
            state = method.step(terms, state)
        x = method.solution(terms, state).x
        smooth, norm = problem.terms[0].summand, problem.terms[1].summand
        subgradient = method.certificate(terms, state) - smooth.gradient(x)
        for y in np.random.default_rng(0).standard_normal((50, 20)):
            assert norm(y) >= norm(x) + subgradient @ (y - x) - 1e-9


def test_resumed_run_equals_uninterrupted_run() -> None:
    method = monops.ForwardBackward()
    terms = method.match(CASES[0].build(np.asarray))
    whole = method.init(terms, np.zeros(20))
    for _ in range(20):
        whole = method.step(terms, whole)
    part = method.init(terms, np.zeros(20))
    for _ in range(7):
        part = method.step(terms, part)
    part = type(part)(*[leaf.copy() for leaf in part])  # as from a checkpoint
    for _ in range(13):
        part = method.step(terms, part)
    np.testing.assert_array_equal(whole.x, part.x)


def test_douglas_rachford_and_peaceman_rachford_are_one_family() -> None:
    """Relaxation 1 averages u and the Peaceman-Rachford point."""
    problem = CASES[2].build(np.asarray)
    half = monops.DouglasRachford(step_size=0.5)
    full = monops.PeacemanRachford(step_size=0.5)
    u = np.linspace(-1, 1, 10)
    terms_half, terms_full = half.match(problem), full.match(problem)
    averaged = half.step(terms_half, half.init(terms_half, u)).u
    reflected = full.step(terms_full, full.init(terms_full, u)).u
    np.testing.assert_allclose(averaged, 0.5 * (u + reflected), atol=1e-14)


def test_printed_intervals_are_the_code() -> None:
    """The formula of each guarantee, evaluated as text, gives the interval and agrees with what is refused."""
    generator = np.random.default_rng(0)
    for _ in range(100):
        mu, spread = generator.uniform(0.1, 1.0), generator.uniform(1.0, 5.0)
        constants = Constants(strong_monotonicity=mu, lipschitz=mu * spread)
        names = {
            "beta": constants.cocoercivity,
            "L": constants.lipschitz,
            "relaxation": 1.3,
            "dual_step_size": 0.7,
            "norm": 2.5,
        }
        free = Constants(strong_monotonicity=0.0)
        function = Constants(strong_monotonicity=mu, lipschitz=mu * spread, cyclic=True)
        from monops.algorithms.cocoercive import accelerated_forward_backward, davis_yin, forward_backward
        from monops.algorithms.primal_dual import chambolle_pock

        guarantees = (
            (forward_backward.guarantee(free, constants), names),
            (forward_backward_forward_guarantee(free, constants), names),
            (davis_yin.guarantee(free, free, constants, 1.3), names),
            (chambolle_pock.guarantee(free, free, 2.5, 0.7), names),
            (
                accelerated_forward_backward.guarantee(Constants(cyclic=True), function),
                {**names, "beta": function.cocoercivity},
            ),
        )
        for guarantee, values in guarantees:
            upper = float(guarantee.interval[1])
            for step in (0.5 * upper, 0.999 * upper, 1.001 * upper):
                allowed = eval(guarantee.formula, {}, {**values, "step_size": step})
                assert allowed == (step < upper)


def test_contractions_are_exact_on_fractions() -> None:
    mu, lipschitz, step = Fraction(1, 10), Fraction(3), Fraction(1, 9)
    constants = Constants(strong_monotonicity=mu, lipschitz=lipschitz)
    assert forward_contraction(constants, step) == 1 - 2 * step * mu + step**2 * lipschitz**2
    assert cayley_contraction(constants, step) == 1 - 4 * step * mu / (1 + 2 * step * mu + step**2 * lipschitz**2)


@pytest.mark.parametrize("mu", [0.0, 0.05, 0.5, 1.0])
def test_forward_steps_on_the_extremal_rotation_attain_the_rate(mu: float) -> None:
    """z = mu + i sqrt(L^2 - mu^2) as a 2 x 2 matrix: |I - step M| is the claimed factor (L = 1)."""
    imaginary = (1 - mu**2) ** 0.5
    M = np.array([[mu, -imaginary], [imaginary, mu]])
    constants = monops.Affine(M).constants
    if mu == 0:
        assert constants.cocoercivity in (None, 0.0) or constants.cocoercivity < 1e-12
        return
    for step in (0.1 * mu, mu, 1.9 * mu):
        claimed = forward_contraction(constants, step)
        assert abs(np.linalg.norm(np.eye(2) - step * M, 2) ** 2 - claimed) < 1e-12
        cayley = np.linalg.solve(np.eye(2) + step * M, np.eye(2) - step * M)
        assert abs(np.linalg.norm(cayley, 2) ** 2 - cayley_contraction(constants, step)) < 1e-12


def test_forward_backward_forward_factor_holds_on_the_extremal_rotation() -> None:
    for mu in (0.1, 0.5, 0.9):
        M = np.array([[mu, -((1 - mu**2) ** 0.5)], [(1 - mu**2) ** 0.5, mu]])
        guarantee = forward_backward_forward_guarantee(Constants(strong_monotonicity=0.0), monops.Affine(M).constants)
        for step in (0.2, 0.5, float(guarantee.best_step)):
            actual = np.linalg.norm(np.eye(2) - step * M @ (np.eye(2) - step * M), 2)
            assert actual <= guarantee.factor(step) + 1e-12


@pytest.mark.parametrize(("case", "name"), PAIRS, ids=[f"{case.name}-{name}" for case, name in PAIRS])
def test_every_method_keeps_float32_library_and_device(case: Case, name: str, backend: Any) -> None:
    def asarray(values: np.ndarray) -> Any:
        return backend.asarray(values, "float32")

    start = case.start(asarray)
    result = monops.solve(case.build(asarray), getattr(monops, name)(), x0=start, tol=0.0, max_iter=20, on_failure="ignore")
    for got, like in zip(arrays.leaves(result.x), arrays.leaves(start), strict=True):
        assert type(got) is type(like)
        assert got.dtype == like.dtype
        assert arrays.device(got) == arrays.device(like)
    if name in ("InteriorProximalMultipliers", "AugmentedLagrangianNewton"):
        return  # they factorise on the host in double precision
    for leaf in arrays.leaves(result.state):
        assert not arrays.is_array(leaf) or "float64" not in str(leaf.dtype)


def test_accelerated_objective_gap_obeys_its_bound() -> None:
    """F(x_k) - F* <= 9 |x0 - x*|^2 / (2 step (k + 2)^2) without restarts."""
    smooth, simple = (term.summand for term in CASES[0].build(np.asarray).terms)
    method = monops.AcceleratedForwardBackward(restart=False)
    terms = method.match(smooth + simple)
    best = monops.solve(smooth + simple, tol=1e-12).x
    start = np.full(20, 2.0)
    state, least = method.init(terms, start), float(smooth(best) + simple(best))
    for k in range(1, 300):
        state = method.step(terms, state)
        gap = float(smooth(state.x) + simple(state.x)) - least
        assert gap <= 9 * float(np.sum((start - best) ** 2)) / (2 * terms.step_size * (k + 2) ** 2) + 1e-9


def test_forward_backward_forward_factor_is_a_symbolic_identity() -> None:
    """With slacks <w, y> - nu |y|^2 and s^2 |d|^2 - |d - w|^2, the remainder is positive semidefinite for all s, nu."""
    sympy = pytest.importorskip("sympy", reason="sympy is not installed")
    s, nu = sympy.symbols("s nu", positive=True)
    rho = 1 - nu * (1 - s) / (1 - s + nu)
    S = sympy.Matrix(
        [
            [rho**2 - 1 + 2 * rho * nu, -2 * rho * nu, 1 - rho],
            [-2 * rho * nu, 2 * rho * nu - rho * s + rho / s, rho - rho / s],
            [1 - rho, rho - rho / s, rho / s - 1],
        ]
    )
    assert sympy.simplify(S.det()) == 0
    for point in ({s: 0.1, nu: 0.05}, {s: 0.9, nu: 0.9}, {s: 0.5, nu: 0.01}, {s: 0.99, nu: 0.3}):
        values = np.array(S.subs(point).evalf(), dtype=float)
        assert np.linalg.eigvalsh(values)[0] > -1e-12
    claimed = forward_backward_forward_guarantee(Constants(0.0), Constants(0.3, lipschitz=1.0)).squared_contraction(0.5)
    assert abs(claimed - float((rho**2).subs({s: 0.5, nu: 0.15}))) < 1e-15


def test_davis_yin_factor_is_attained_or_respected_by_matrices() -> None:
    """B = L i, C = mu I (beta = 1/mu), A = 0 and rotations: one step never shrinks less than claimed."""
    from monops.algorithms.cocoercive.davis_yin import guarantee

    generator = np.random.default_rng(0)
    for _ in range(200):
        mu, lipschitz = generator.uniform(0.1, 1.0), generator.uniform(0.1, 3.0)
        angle = generator.uniform(-1, 1) * np.pi / 2
        B = lipschitz * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        proven = guarantee(Constants(0.0), Constants(0.0, lipschitz=lipschitz), Constants(mu, lipschitz=mu, cyclic=True))
        step = generator.uniform(0.05, 1.95) / mu
        J = np.linalg.inv(np.eye(2) + step * B)
        N = generator.uniform(-1, 1) * np.eye(2)
        A = 0.5 * (np.eye(2) + N)  # a resolvent: half the identity plus a nonexpansive map
        T = np.eye(2) - J + A @ (2 * J - np.eye(2) - step * mu * J)
        assert np.linalg.norm(T, 2) <= proven.factor(step) + 1e-12


def test_peaceman_rachford_is_refused_where_it_would_circle() -> None:
    """B = normal cone of {0} is strongly monotone, A = 0: u changes sign for ever; DouglasRachford converges."""
    problem = monops.Zero() + monops.L2Ball(0.0)
    with pytest.raises(monops.errors.NotApplicableError, match="both strongly monotone and Lipschitz"):
        monops.solve(problem, monops.PeacemanRachford(), x0=np.ones(2))
    assert monops.solve(problem, monops.DouglasRachford(), x0=np.ones(2)).success
