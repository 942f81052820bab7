"""Operators against their definitions: resolvent inclusion, constants attained, backends; and the calculus on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import monops
from monops import arrays, errors, operators
from monops.operators import Affine, Custom, Operator, Saddle, Skew, Yosida
from tests.strategies import EXTREMAL, OPERATORS, ROTATION, WIDE, Instance, point

IDS = [f"{index}-{instance.cls.__name__}" for index, instance in enumerate(OPERATORS)]
every_operator = pytest.mark.parametrize("instance", OPERATORS, ids=IDS)


def inner(x: Any, y: Any) -> float:
    """<x, y> as a float."""
    return float(arrays.inner(x, y))


def test_every_public_operator_has_an_instance() -> None:
    public = {
        value
        for value in vars(operators).values()
        if isinstance(value, type) and issubclass(value, Operator) and value is not Operator
    }
    assert public == {instance.cls for instance in OPERATORS}


@every_operator
@pytest.mark.parametrize("step", [0.05, 1.0, 20.0])
def test_resolvent_satisfies_the_inclusion(instance: Instance, step: float) -> None:
    """p = J x means x - p = step A p: by the forward value where there is one, else by monotonicity against other points."""
    A = instance.build(np.array)
    if not A.has_resolvent:
        with pytest.raises(errors.CapabilityError):
            A.resolvent(point(instance.shape, np.array), step)
        return
    x = point(instance.shape, np.array)
    p = A.resolvent(x, step)
    if A.has_forward:
        miss = x - p - step * A.forward(p)
        assert inner(miss, miss) ** 0.5 < 1e-10 * (1 + step) * (1 + inner(x, x) ** 0.5)
    for seed in range(20):
        y = point(instance.shape, np.array, seed + 9)
        q = A.resolvent(y, step)
        mu = A.constants.strong_monotonicity
        moved, change = p - q, (x - p - (y - q)) / step
        assert inner(change, moved) >= mu * inner(moved, moved) - 1e-9 * (1 + inner(change, change))


@every_operator
def test_claimed_constants_hold_and_are_attained(instance: Instance) -> None:
    A = instance.build(np.array)
    if not A.has_forward:
        return
    mu, beta, lipschitz = A.constants.strong_monotonicity, A.constants.cocoercivity, A.constants.lipschitz
    worst_mu, worst_beta, worst_lipschitz = np.inf, np.inf, 0.0
    for seed in range(500):
        x, y = point(instance.shape, np.array, seed), point(instance.shape, np.array, seed + 1000)
        moved, change = x - y, A.forward(x) - A.forward(y)
        worst_mu = min(worst_mu, inner(change, moved) / inner(moved, moved))
        worst_lipschitz = max(worst_lipschitz, (inner(change, change) / inner(moved, moved)) ** 0.5)
        if inner(change, change) > 1e-12:
            worst_beta = min(worst_beta, inner(change, moved) / inner(change, change))
    assert worst_mu >= mu - 1e-9
    assert worst_lipschitz <= lipschitz * (1 + 1e-9)
    assert beta is None or worst_beta >= beta - 1e-9
    if instance.exact and instance.shape == (2,):  # on the extremal rotations every pair of points attains every constant
        np.testing.assert_allclose([worst_mu, worst_lipschitz], [mu, lipschitz], atol=1e-9)
        if beta:
            np.testing.assert_allclose(worst_beta, beta, atol=1e-9)


@every_operator
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_library_dtype_device_and_values_on_every_backend(instance: Instance, dtype: str, backend: Any) -> None:
    def a(host: Any) -> Any:
        return backend.asarray(host, dtype)

    A, reference = instance.build(a), instance.build(np.array)
    x, host = point(instance.shape, a), point(instance.shape, np.array)
    pairs = []
    if A.has_forward:
        pairs.append((A.forward(x), reference.forward(host)))
    if A.has_resolvent:
        pairs.append((A.resolvent(x, 0.7), reference.resolvent(host, 0.7)))
    assert pairs
    for got, wanted in pairs:
        for leaf, like, value in zip(arrays.leaves(got), arrays.leaves(x), arrays.leaves(wanted), strict=True):
            assert type(leaf) is type(like)
            assert leaf.dtype == like.dtype
            assert arrays.device(leaf) == arrays.device(like)
            np.testing.assert_allclose(backend.to_numpy(leaf), value, atol=2e-4 if dtype == "float32" else 1e-10)


def test_cocoercivity_of_singular_matrices_is_exact() -> None:
    """[[1, -1, 0], [1, 1, 0], [0, 0, 0]]: beta = 1/2 on the range, mu = 0; not mu/L^2, which would be 0."""
    M = np.zeros((3, 3))
    M[:2, :2] = [[1.0, -1.0], [1.0, 1.0]]
    constants = Affine(M).constants
    assert constants.strong_monotonicity == 0
    assert abs(constants.cocoercivity - 0.5) < 1e-12


def test_skew_matrix_is_recognised_and_symmetric_matrix_too() -> None:
    assert Affine(ROTATION).constants.skew
    assert Affine(np.diag([1.0, 2.0])).constants.cyclic
    assert not Affine(EXTREMAL).constants.cyclic


def test_monotone_but_rounding_negative_matrix_is_accepted() -> None:
    F = np.random.default_rng(0).standard_normal((3, 8))
    assert Affine(F.T @ F).constants.strong_monotonicity == 0.0


def test_batched_offsets_are_rows() -> None:
    q = np.random.default_rng(0).standard_normal((4, 2))
    A = Affine(EXTREMAL, q)
    x = np.ones((4, 2))
    for row in range(4):
        np.testing.assert_allclose(A.resolvent(x, 0.3)[row], Affine(EXTREMAL, q[row]).resolvent(x[row], 0.3))


def test_saddle_is_two_terms_and_has_the_value_of_the_game() -> None:
    game = Saddle(monops.SquaredL2(), monops.SquaredL2(), WIDE)
    assert len(game.terms()) == 2
    x, y = np.ones(5), np.ones(3)
    assert abs(float(game.value(monops.Blocks((x, y)))) - (2.5 + (WIDE @ x) @ y - 1.5)) < 1e-12


def test_skew_without_inverse_says_what_to_use() -> None:
    K = monops.MatvecMap(lambda x: x, lambda y: y, (2,), (2,))
    with pytest.raises(errors.CapabilityError, match="ForwardBackwardForward"):
        Skew(K).resolvent(monops.Blocks((np.ones(2), np.ones(2))), 1.0)


def test_yosida_semigroup() -> None:
    """(A_a)_b = A_{a+b} (theorem OP-18)."""
    A, x = Affine(EXTREMAL), np.array([1.0, -2.0])
    np.testing.assert_allclose(Yosida(Yosida(A, 0.3), 0.4).forward(x), Yosida(A, 0.7).forward(x), atol=1e-14)


def test_inverse_of_inverse_and_of_subdifferential() -> None:
    A = Affine(EXTREMAL)
    assert A.inverse().inverse() is A
    f = monops.Huber(0.5)
    x = np.array([3.0, -0.2])
    moreau = monops.Subdifferential(f).inverse().resolvent(x, 2.0)
    np.testing.assert_allclose(moreau, x - 2.0 * f.prox(x / 2.0, 0.5))


def test_congruence_is_evaluated_and_bounded() -> None:
    K = np.random.default_rng(1).standard_normal((2, 3))
    problem = K.T @ Affine(EXTREMAL) @ K
    dense = K.T @ EXTREMAL @ K
    x = np.array([1.0, 2.0, -1.0])
    np.testing.assert_allclose(problem.terms[0].forward(x), dense @ x)
    assert np.linalg.norm(dense, 2) <= problem.constants.lipschitz * (1 + 1e-12)


def test_custom_needs_something_and_uses_what_it_has() -> None:
    with pytest.raises(errors.CapabilityError, match="forward value, a resolvent, or both"):
        Custom()
    only = Custom(resolvent=lambda x, step: x / (1 + step), constants=monops.Constants(1.0))
    assert not only.has_forward
    with pytest.raises(errors.CapabilityError, match="use its resolvent"):
        only.forward(np.ones(2))
