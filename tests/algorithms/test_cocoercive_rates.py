"""The cocoercive family: exact rates and intervals on extremal instances, energies, objective bounds."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import monops
from monops.algorithms.cocoercive import forward_backward, forward_step
from monops.algorithms.cocoercive import inertial_forward_backward as inertial
from monops.algorithms.cocoercive import strongly_convex_forward_backward as strongly_convex
from monops.algorithms.shared.forward_terms import forward_contraction
from monops.constants import Constants
from monops.errors import NotApplicableError, StepSizeError
from monops.solve import as_inclusion
from tests.algorithms.cocoercive_cases import PROBLEMS, after, b


def complex_matrix(z: complex) -> np.ndarray:
    """Multiplication by z on R^2."""
    return np.array([[z.real, -z.imag], [z.imag, z.real]])


def operator(z: complex, **known: Any) -> Any:
    """x -> z x as an operator with the given constants."""
    matrix = complex_matrix(z)
    return monops.Custom(forward=lambda x: matrix @ x, constants=Constants(**known))


# ---- forward step -----------------------------------------------------------------------------------
@pytest.mark.parametrize("m", [0.05, 0.4, 0.9])
def test_forward_step_is_exact_on_a_strongly_monotone_rotation(m: float) -> None:
    """z = m + i sqrt(1 - m^2): OP-09 is attained, m/L^2 is the best step, and 2 m/L^2 the end (no cocoercivity is given)."""
    B = operator(complex(m, math.sqrt(1 - m * m)), strong_monotonicity=m, lipschitz=1.0)
    method = monops.ForwardStep()
    terms, states = after(method, B, np.array([1.0, 2.0]), 20)
    best = terms.guarantee.factor(terms.step_size)
    assert best == pytest.approx(math.sqrt(1 - m * m))
    for old, new in itertools.pairwise(states):
        assert np.linalg.norm(new.x) == pytest.approx(best * np.linalg.norm(old.x))
    for step in np.linspace(0.01, 1.99, 50) * m:
        assert terms.guarantee.factor(step) >= best - 1e-12
    for share, grows in ((0.999, False), (1.001, True)):
        bolder = terms._replace(step_size=share * 2 * m)
        moved = method.step(bolder, method.init(bolder, np.array([1.0, 0.0]))).x
        assert (np.linalg.norm(moved) > 1) == grows
    with pytest.raises(StepSizeError, match=r"proven interval .* 0 < step_size < 2\*beta"):
        monops.ForwardStep(step_size=2.002 * m).match(as_inclusion(B))


def test_forward_step_uses_a_cocoercivity_better_than_mu_over_l_squared() -> None:
    """z = m + i sqrt(m/b - m^2), L = 1/b: OP-10, 1 - 2 s m + s^2 m/b, is attained; L would allow 2 m b^2 only."""
    m, beta = 0.1, 0.5
    B = operator(complex(m, math.sqrt(m / beta - m * m)), strong_monotonicity=m, cocoercivity=beta)
    for step in (0.2, 0.5, 0.99):
        terms, states = after(monops.ForwardStep(step_size=step), B, np.array([3.0, -1.0]), 1)
        ratio = np.linalg.norm(states[1].x) / np.linalg.norm(states[0].x)
        assert ratio == pytest.approx(terms.guarantee.factor(step))
    assert terms.guarantee.interval == (0, 1.0)
    weak = Constants(strong_monotonicity=1.0, cocoercivity=0.1, lipschitz=2.0)  # a poor bound: mu/L^2 = 1/4 is better
    assert forward_step.guarantee(weak).interval == (0, 0.5)
    assert forward_contraction(weak, 0.1) == pytest.approx(1 - 0.2 + 0.04)  # by L; by beta it would be 0.9
    assert eval(forward_step.guarantee(weak).formula, {}, {"mu": 1.0, "L": 2.0, "step_size": 0.49})


def test_gradient_descent_attains_its_rate_with_the_step_two_over_mu_plus_l() -> None:
    quadratic = monops.Quadratic(np.diag([0.5, 4.0]), np.zeros(2))
    terms, states = after(monops.ForwardStep(), quadratic, np.array([1.0, 1.0]), 3)
    factor = 3.5 / 4.5
    assert terms.guarantee.factor(terms.step_size) == pytest.approx(factor)
    np.testing.assert_allclose(np.abs(states[3].x), factor**3, rtol=1e-12)
    exact = Constants(Fraction(1, 2), lipschitz=Fraction(4), cyclic=True)
    assert forward_step.guarantee(exact).squared_contraction(Fraction(4, 9)) == Fraction(49, 81)


def test_forward_step_needs_strong_monotonicity_of_the_sum_only() -> None:
    skew = monops.Affine(np.array([[0.0, 2.0], [-2.0, 0.0]]), np.array([1.0, -1.0]))
    with pytest.raises(NotApplicableError, match=r"neither known to be cocoercive .* use ForwardBackwardForward"):
        monops.solve(skew, monops.ForwardStep())
    result = monops.solve(skew + monops.SquaredL2(), monops.ForwardStep(), tol=1e-10)
    np.testing.assert_allclose(result.x, np.linalg.solve(np.eye(2) + skew.M, -skew.q), atol=1e-9)


def test_forward_map_is_exactly_as_averaged_as_claimed() -> None:
    """T = (1 - a) I + a N with |N| = 1 exactly, for B = I/beta and for a rotation."""
    for z, known in ((2.0, {"cocoercivity": 0.5}), (complex(0.3, 0.4), {"cocoercivity": 0.3 / 0.25})):
        method = monops.ForwardStep(step_size=0.4)
        terms, states = after(method, operator(z, **known), np.array([0.6, 0.8]), 1)
        a = method.averagedness(terms)
        assert np.linalg.norm((states[1].x - (1 - a) * states[0].x) / a) == pytest.approx(1.0)


# ---- relaxation: a pair of rotations on which every interval is attained ------------------------------
def extremal_pair(beta: float, step: float, angle: float = 1e-2) -> tuple[Any, Any]:
    """A by its resolvent (1 + e^(i phi))/2 and B = (1 - e^(i psi))/(2 beta), turning so that J_A(I - step B) is averaged with
    2 beta/(4 beta - step) and no better, as the angle goes to 0."""
    share = 1.0 - step / (2.0 * beta)
    phi, psi = 2.0 * angle * share, angle * (1.0 - share) * 2.0 * beta / step
    J = complex_matrix((1 + np.exp(1j * phi)) / 2)
    M = complex_matrix((1 - np.exp(1j * psi)) / (2 * beta))
    resolvent = monops.Custom(resolvent=lambda x, s: J @ x, constants=Constants(strong_monotonicity=0.0))
    return resolvent, monops.Custom(forward=lambda x: M @ x, constants=Constants(cocoercivity=beta))


@pytest.mark.parametrize("share", [0.5, 1.0, 1.9, 2.5, 3.5])
def test_relaxation_interval_is_attained(share: float) -> None:
    """|T| crosses 1 at relaxation 2 - step/(2 beta), on both sides of step = 2 beta."""
    beta = 0.7
    step = share * beta
    most = 2 - step / (2 * beta)
    pair = extremal_pair(beta, step)
    problem = pair[0] + pair[1]
    method = monops.ForwardBackward(step, 0.99 * most)
    terms, states = after(method, problem, np.array([1.0, 0.0]), 1)
    assert np.linalg.norm(states[1].x) < 1
    for relaxation in (0.99 * most, 1.01 * most):
        names = {"beta": beta, "step_size": step, "relaxation": relaxation}
        assert eval(terms.guarantee.formula, {}, names) == (relaxation < most)
    bolder = terms._replace(relaxation=1.01 * most)
    assert np.linalg.norm(method.step(bolder, states[0]).x) > 1
    with pytest.raises(StepSizeError, match="proven interval"):
        monops.ForwardBackward(step, 1.01 * most).match(as_inclusion(problem))
    weights = (0.3, 0.7)  # the same point in both copies: the generalised method does the same
    split = [monops.Custom(resolvent=lambda x, s: pair[0].resolvent(x, s), constants=Constants(0.0)) for _ in weights]
    several = monops.GeneralizedForwardBackward(step, 0.99 * most, weights)
    terms, states = after(several, split[0] + split[1] + pair[1], np.array([1.0, 0.0]), 1)
    assert np.linalg.norm(states[1].z[0]) < 1
    assert np.linalg.norm(several.step(terms._replace(relaxation=1.01 * most), states[0]).z[1]) > 1


def test_relaxed_averagedness_is_attained() -> None:
    beta, step, relaxation = 0.7, 0.9, 0.8
    problem = sum(extremal_pair(beta, step, 1e-3))
    method = monops.ForwardBackward(step, relaxation)
    terms, states = after(method, problem, np.array([1.0, 0.0]), 1)
    a = method.averagedness(terms)
    excess = np.linalg.norm(states[1].x - (1 - a) * states[0].x) - a
    assert -1e-9 < excess <= 1e-15  # of order angle^4 below the circle
    tight = 0.99 * a
    assert np.linalg.norm(states[1].x - (1 - tight) * states[0].x) > tight


@pytest.mark.parametrize("relaxation", [0.5, 0.9, 1.1])
def test_relaxed_factor_is_attained_on_a_quadratic(relaxation: float) -> None:
    """Below 1 by the eigenvalue mu, above 1 by L; at 2/(mu + L) both have the same plain factor."""
    quadratic = monops.Quadratic(np.diag([1.0, 3.0]), np.zeros(2))
    problem = quadratic + monops.Zero()
    terms, states = after(monops.ForwardBackward(0.5, relaxation), problem, np.array([1.0, 1.0]), 1)
    assert np.max(np.abs(states[1].x)) == pytest.approx(terms.guarantee.factor(0.5))
    free = Constants(strong_monotonicity=Fraction(0))
    beyond = forward_backward.guarantee(Constants(1.0), Constants(0.0, cocoercivity=1.0), 0.5)
    assert beyond.factor(2.9) <= 1.0  # averaged: never growing, even where the plain factor is above 1
    assert forward_backward.guarantee(free, Constants(Fraction(1), lipschitz=Fraction(3))).squared_contraction(
        Fraction(1, 9)
    ) == Fraction(8, 9)


# ---- inertia ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("inertia_", "relaxation", "share"), [(0.0, 1.0, 1.0), (0.2, 1.0, 1.0), (0.3, 1.0, 0.2), (0.5, 0.3, 0.8), (0.1, 0.5, 2.6)]
)
def test_inertial_interval_is_attained(inertia_: float, relaxation: float, share: float) -> None:
    """On the same pair the iteration crosses the unit circle exactly at the proven bound on the relaxation."""
    beta = 0.7
    step = share * beta
    most = (4 * beta - step) / (2 * beta) * (1 - inertia_) ** 2 / (1 - inertia_ + 2 * inertia_**2)
    proven = inertial.guarantee(Constants(0.0), Constants(cocoercivity=beta), inertia_, most)
    assert proven.interval[1] == pytest.approx(step)
    assert relaxation < most + 1e-9
    problem = sum(extremal_pair(beta, step, 1e-3))
    method = monops.InertialForwardBackward(step, inertia_, relaxation)
    terms = method.match(problem)

    def radius(relaxed: float) -> float:
        bolder = terms._replace(relaxation=relaxed)

        def image(z: np.ndarray) -> np.ndarray:
            state = inertial.State(z[:2], z[2:], z[:2], z[:2], z[:2])
            new = method.step(bolder, state)
            return np.concatenate([new.x, new.previous])

        return float(np.max(np.abs(np.linalg.eigvals(np.stack([image(e) for e in np.eye(4)], axis=1)))))

    assert radius(0.98 * most) < 1 < radius(1.02 * most)


def test_inertial_energy_decreases() -> None:
    problem = PROBLEMS["lasso"]()
    best = monops.solve(problem, monops.AcceleratedForwardBackward(), tol=1e-12, max_iter=100_000).x
    method = monops.InertialForwardBackward()
    terms, states = after(method, problem, np.full(12, 2.0), 200)
    a, beta = terms.inertia, terms.B.constants.cocoercivity
    k = (4 * beta - terms.step_size) / (2 * beta) - 1
    energies = [
        np.sum((s.x - best) ** 2)
        - a * np.sum((s.previous - best) ** 2)
        + (a * (1 + a) + k * a * (1 - a)) * np.sum((s.x - s.previous) ** 2)
        for s in states
    ]
    assert max(np.diff(energies)) <= 1e-12
    plain = after(monops.ForwardBackward(terms.step_size), problem, np.full(12, 2.0), 20)[1]
    assert np.linalg.norm(states[20].x - plain[20].x) > 1e-6


def test_no_inertia_is_forward_backward() -> None:
    problem = PROBLEMS["logistic"]()
    _, plain = after(monops.ForwardBackward(), problem, np.ones(12), 10)
    step = monops.ForwardBackward().match(problem).step_size
    _, inert = after(monops.InertialForwardBackward(step, inertia=0.0), problem, np.ones(12), 10)
    np.testing.assert_allclose(plain[-1].x, inert[-1].x, atol=1e-14)


# ---- objective bounds -----------------------------------------------------------------------------------
def gaps(name: str, points: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """F(x_k) - F* of points, and a precise solution."""
    problem = PROBLEMS[name]()
    best = monops.solve(problem, monops.AcceleratedForwardBackward(), x0=np.zeros(12), tol=1e-12, max_iter=100_000).x

    def value(x: np.ndarray) -> float:
        return sum(float(t.summand(x if t.map is None else t.map.apply(x))) for t in problem.terms)

    least = value(best)
    return np.array([value(x) for x in points]) - least, best


def test_proximal_gradient_gap_obeys_its_bound() -> None:
    """F(x_k) - F* <= |x0 - x*|^2/(2 s k) for s <= 1/L (Beck and Teboulle 2009)."""
    start = np.full(12, 3.0)
    problem = PROBLEMS["lasso"]()
    step = monops.ForwardBackward().match(problem).B.constants.cocoercivity
    _, states = after(monops.ForwardBackward(step), problem, start, 200)
    gap, best = gaps("lasso", [state.x for state in states[1:]])
    counts = np.arange(1, 201)
    assert np.all(gap <= np.sum((start - best) ** 2) / (2 * step * counts) + 1e-9)


@pytest.mark.parametrize("name", ["lasso", "elastic net", "box quadratic"])
def test_strongly_convex_energy_and_gap_obey_their_bounds(name: str) -> None:
    method = monops.StronglyConvexForwardBackward()
    start = np.full(12, 0.4)
    terms, states = after(method, PROBLEMS[name](), start, 150)
    gap, best = gaps(name, [state.x for state in states])
    step, r = terms.step_size, math.sqrt(terms.condition)
    grown = 1 + step * terms.A.constants.strong_monotonicity
    counts = np.arange(1, 151)
    bound = np.minimum((1 + r) * (1 - r) ** counts, 4 / (counts + 1) ** 2) * grown / (2 * step)
    assert np.all(gap[1:] <= bound * np.sum((start - best) ** 2) + 1e-9)
    energies = []
    for gap_k, old, new in zip(gap[1:], states, states[1:], strict=False):
        t = float(old.t)  # the t that belongs to new.x
        ahead = old.x + t * (new.x - old.x) - best
        energies.append(t * t * gap_k + grown / (2 * step) * np.sum(ahead**2))
    for now, then, state in zip(energies[1:], energies, states[1:], strict=False):
        assert now <= (1 - terms.condition * float(state.t)) * then + 1e-10


def test_strongly_convex_factor_is_attained_on_a_quadratic() -> None:
    """At the eigenvalue mu the distance shrinks by 1 - sqrt(mu/L) a step in the end: the energy by its square."""
    _, states = after(
        monops.StronglyConvexForwardBackward(), monops.Quadratic(np.diag([0.01, 1.0]), np.zeros(2)), np.ones(2), 300
    )
    ratio = (np.linalg.norm(states[300].x) / np.linalg.norm(states[200].x)) ** 0.01
    assert 0.9 <= ratio <= 0.92


def test_strong_convexity_of_either_term_counts() -> None:
    smooth, strong = Constants(0.0, lipschitz=4.0, cyclic=True), Constants(0.5, cyclic=True)
    assert strongly_convex.condition(strong, smooth, 0.25) == pytest.approx(0.125 / 1.125)
    assert strongly_convex.condition(Constants(cyclic=True), Constants(1.0, lipschitz=4.0, cyclic=True), 0.25) == 0.25
    with pytest.raises(NotApplicableError, match=r"strongly convex; use AcceleratedForwardBackward"):
        monops.solve(PROBLEMS["logistic"](), monops.StronglyConvexForwardBackward(), x0=np.zeros(12))
    one = monops.solve(
        monops.SquaredL2().translate(b) + monops.L1Norm(), monops.StronglyConvexForwardBackward(), x0=np.zeros(18)
    )
    np.testing.assert_allclose(one.x, np.sign(b) * np.maximum(np.abs(b) - 1, 0), atol=1e-12)  # q = 1
