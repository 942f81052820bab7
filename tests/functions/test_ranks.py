"""The rank, and every kind of function lifted from vectors to matrices, convex or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from monops import errors
from monops.functions import (
    MCP,
    SCAD,
    Box,
    EigenvalueFunction,
    Function,
    Huber,
    L0Ball,
    L0Norm,
    L1Ball,
    L1Norm,
    L2Ball,
    L2Norm,
    LInfNorm,
    LqPenalty,
    Max,
    PseudoHuber,
    Rank,
    RankBall,
    Simplex,
    SortedL1,
    SpectralFunction,
    SquaredL2,
    SumLargestAbsolute,
    VonNeumannEntropy,
)

LIFTED = [
    L1Norm(0.7),
    LInfNorm(0.9),
    L2Norm(0.8),
    SquaredL2(1.5),
    Huber(0.6),
    L1Ball(1.9),
    L2Ball(1.4),
    Box(-0.9, 0.9),
    SumLargestAbsolute(2, 0.6),
    SortedL1(np.array([1.1, 0.6, 0.2])),
    L0Norm(0.5),
    L0Ball(2),
    SCAD(0.4),
    MCP(0.4),
    LqPenalty(0.5, 0.4),
]
NAMES = [type(g).__name__ for g in LIFTED]


def unitary(m: int, n: int, seed: int, complex_: bool) -> np.ndarray:
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((m, n)) + (1j * generator.standard_normal((m, n)) if complex_ else 0.0)
    return np.linalg.qr(x)[0]


def direction(shape: tuple[int, ...], complex_: bool) -> np.ndarray:
    generator = np.random.default_rng(8)
    return generator.standard_normal(shape) + (1j * generator.standard_normal(shape) if complex_ else 0.0)


@pytest.mark.parametrize("g", LIFTED, ids=NAMES)
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 6)])
@pytest.mark.parametrize("complex_", [False, True])
def test_the_prox_moves_the_singular_values_and_its_derivative_is_the_difference_quotient(
    g: Function, shape: tuple[int, int], complex_: bool
) -> None:
    f, step, sigma = SpectralFunction(g), 0.8, np.array([2.9, 1.7, 0.31])
    left, right = unitary(shape[0], 3, 1, complex_), unitary(shape[1], 3, 2, complex_).conj().T
    x, h, t = (left * sigma) @ right, direction(shape, complex_), 1e-6
    np.testing.assert_allclose(f.prox(x, step), (left * g.prox(sigma, step)) @ right, atol=1e-12)
    np.testing.assert_allclose(float(f(x)), float(g(sigma)), rtol=1e-12)
    numeric = (f.prox(x + t * h, step) - f.prox(x - t * h, step)) / (2 * t)
    np.testing.assert_allclose(f.prox_derivative(x, step).apply(h), numeric, atol=1e-7)
    assert f.is_convex is g.is_convex


@pytest.mark.parametrize(
    "g",
    [*LIFTED, Simplex(2.0), Max(0.7), Box(-0.5, 2.0)],
    ids=[*NAMES, "Simplex", "Max", "Box-unsymmetric"],
)
@pytest.mark.parametrize("complex_", [False, True])
def test_the_prox_moves_the_eigenvalues_and_its_derivative_is_the_difference_quotient(g: Function, complex_: bool) -> None:
    f, step, values = EigenvalueFunction(g), 0.8, np.array([-1.8, 0.31, 2.9])
    q = unitary(3, 3, 1, complex_)
    x, h, t = (q * values) @ q.conj().T, direction((3, 3), complex_), 1e-6
    np.testing.assert_allclose(f.prox(x, step), (q * g.prox(values, step)) @ q.conj().T, atol=1e-12)
    numeric = (f.prox(x + t * h, step) - f.prox(x - t * h, step)) / (2 * t)
    np.testing.assert_allclose(f.prox_derivative(x, step).apply(h), numeric, atol=1e-7)


NEAR_AND_EQUAL = [
    [2.0, 2.0, 2.0],
    [2.0, 2.0, 0.0],
    [1.5, 0.0, 0.0],
    *([2.0, 2.0 - gap, gap] for gap in (1e-3, 1e-5, 1e-7, 1e-9, 1e-12, 1e-15)),
    [2.0, 1e-200, 1e-250],
]


@pytest.mark.parametrize("g", [SquaredL2(1.5), L2Norm(0.8), L2Ball(1.4), L2Ball(9.0)], ids=lambda g: type(g).__name__)
@pytest.mark.parametrize("sigma", NEAR_AND_EQUAL)
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 6)])
@pytest.mark.parametrize("complex_", [False, True])
def test_functions_of_the_frobenius_norm_have_the_derivative_of_the_vector(
    g: Function, sigma: list[float], shape: tuple[int, int], complex_: bool
) -> None:
    """An exact formula without any decomposition, at ties, near them and at rank deficiency; J couples all of them."""
    left, right = unitary(shape[0], 3, 1, complex_), unitary(shape[1], 3, 2, complex_).conj().T
    x, h = (left * np.array(sigma)) @ right, direction(shape, complex_)
    expected = g.prox_derivative(x, 0.8).apply(h)
    np.testing.assert_allclose(SpectralFunction(g).prox_derivative(x, 0.8).apply(h), expected, atol=1e-10)


@pytest.mark.parametrize("small", [1e-5, 1e-6, 1e-7])
def test_a_derivative_that_agrees_at_two_near_values_need_not_be_the_quotient_between_them(small: float) -> None:
    """The derivative of the prox is even and steep around 0: equal at both eigenvalues, and smaller between them."""
    g, swap = PseudoHuber(small), np.zeros((3, 3))
    swap[1, 2] = swap[2, 1] = 1.0
    values = np.array([1.0, small, -small])
    p = g.prox(values, 2.0 * small)
    moved = EigenvalueFunction(g).prox_derivative(np.diag(values), 2.0 * small).apply(swap)
    np.testing.assert_allclose(moved[1, 2], (p[1] - p[2]) / (2.0 * small), rtol=1e-8)
    assert moved[1, 2] < 0.99 * g.prox_derivative(values, 2.0 * small).apply(np.ones(3))[1]


def test_truncation_is_the_nearest_matrix_of_the_rank() -> None:
    """Eckart and Young: the distance is that of the left-over singular values."""
    x = np.random.default_rng(0).standard_normal((6, 4))
    sigma = np.linalg.svd(x, compute_uv=False)
    for rank in range(6):
        p = RankBall(rank).prox(x)
        assert np.linalg.matrix_rank(p) == min(rank, 4)
        np.testing.assert_allclose(np.linalg.norm(x - p), np.linalg.norm(sigma[rank:]), atol=1e-13)
        assert float(RankBall(rank)(p)) == 0
        assert float(Rank(2.0)(p)) == 2 * min(rank, 4)
        assert np.isinf(float(RankBall(rank)(x))) == (rank < 4)
    np.testing.assert_array_equal(RankBall(0).prox(x), 0.0)


def test_the_penalty_keeps_what_is_above_its_threshold() -> None:
    x = np.diag([3.0, 2.0, 1.9])
    np.testing.assert_allclose(Rank(1.0).prox(x, 1.9), np.diag([3.0, 2.0, 0.0]), atol=1e-15)  # sqrt(2 step) = 1.949
    np.testing.assert_array_equal(Rank().prox(np.zeros((2, 3))), 0.0)
    assert float(Rank()(np.zeros((2, 3)))) == 0


def test_the_derivative_of_a_truncation_exceeds_1_between_a_kept_value_and_a_dropped_one() -> None:
    swap = np.array([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(RankBall(1).prox_derivative(np.diag([2.0, 1.5])).apply(swap), 2.0 / 0.5 * swap)
    tied = RankBall(1).prox_derivative(np.eye(2)).apply(swap)
    assert np.all(np.isfinite(tied))


def test_weak_convexity_is_that_of_the_vector_function() -> None:
    assert SpectralFunction(MCP(0.4, 2.5)).constants.strong_monotonicity == MCP(0.4, 2.5).constants.strong_monotonicity < 0


@pytest.mark.parametrize("f", [Rank(), RankBall(1), SpectralFunction(SCAD()), EigenvalueFunction(L0Norm())])
def test_what_is_not_convex_has_no_conjugate(f: Any) -> None:
    with pytest.raises(errors.CapabilityError, match="is nonconvex here"):
        f.conjugate()


def test_the_entropy_is_the_trace_of_x_log_x() -> None:
    q = unitary(3, 3, 4, True)
    values = np.array([0.0, 0.5, 2.0])
    x = (q * values) @ q.conj().T
    np.testing.assert_allclose(float(VonNeumannEntropy()(x)), 0.5 * np.log(0.5) + 2.0 * np.log(2.0), rtol=1e-12)
    p = VonNeumannEntropy().prox(x, 0.6)
    logarithm, vectors = np.linalg.eigh(p)
    gradient = (vectors * (1.0 + np.log(logarithm))) @ vectors.conj().T
    np.testing.assert_allclose(p + 0.6 * gradient, x, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Rank(0.0), r"Rank: weight=0.0 must be a finite number > 0"),
        (lambda: Rank(np.array([1.0, 2.0])), "Rank: weight"),
        (lambda: RankBall(-1), r"RankBall: rank=-1 must be an integer >= 0"),
        (lambda: RankBall(1.5), r"RankBall: rank=1.5 must be an integer >= 0"),  # type: ignore[arg-type]
        (lambda: SpectralFunction(L1Norm(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))), "no places of their own"),
        (lambda: EigenvalueFunction(SquaredL2(np.array([1.0, 2.0]))), "no places of their own"),
    ],
)
def test_refusals(make: Any, match: str) -> None:
    with pytest.raises(errors.DataError, match=match):
        make()
