"""The methods for a monotone Lipschitz term: extremal instances, and the energies of the proofs."""

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
from monops.errors import NotApplicableError
from monops.solve import as_inclusion
from tests.algorithms.lipschitz_cases import (
    SUBDIFFERENTIALS_ONLY,
    by_resolvent,
    complementarity,
    name_of,
    rotation,
    run,
    square,
)

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
