"""Functions of singular values and eigenvalues: ties, zeros, rectangles, equivalences, the fast path, what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from monops import errors, functions
from monops.functions import (
    Box,
    EigenvalueFunction,
    Huber,
    KyFanNorm,
    L1Ball,
    L1Norm,
    L2Norm,
    LargestEigenvalue,
    LInfNorm,
    LogDeterminant,
    NegativeEntropy,
    NonNegative,
    NuclearBall,
    NuclearNorm,
    PositiveSemidefinite,
    SchattenNorm,
    SchattenPower,
    Spectrahedron,
    SpectralBall,
    SpectralFunction,
    SpectralNorm,
    SumLargestEigenvalues,
    Trace,
    TraceInverse,
    WeightedNuclearNorm,
)
from monops.functions.spectral import spectral, spectrum


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def unitary(n: int, seed: int, complex_: bool = False) -> np.ndarray:
    x = rng(seed).standard_normal((n, n)) + (1j * rng(seed + 1).standard_normal((n, n)) if complex_ else 0.0)
    return np.linalg.qr(x)[0]


def with_values(values: list[float], m: int, n: int, complex_: bool = False) -> np.ndarray:
    """An m x n matrix with the given singular values."""
    return unitary(m, 1, complex_)[:, : len(values)] * np.array(values) @ unitary(n, 5, complex_)[: len(values), :]


def matrix_of(jacobian: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The real matrix of a linear map on real arrays."""
    basis = np.eye(math.prod(shape)).reshape(-1, *shape)
    return np.stack([jacobian.apply(e).ravel() for e in basis], axis=1)


DIFFERENTIABLE_AT_TIES = [
    (SchattenPower(3.0), [2.0, 2.0, 0.5]),
    (SchattenPower(1.5), [2.0, 2.0, 2.0]),
    (SchattenPower(4.0), [2.0, 0.0, 0.0]),
    (NuclearNorm(0.5), [2.0, 2.0, 0.1]),
    (NuclearNorm(0.5), [2.0, 0.0, 0.0]),
    (SpectralBall(1.0), [2.0, 2.0, 0.1]),
    (SpectralBall(1.0), [2.0, 0.0, 0.0]),
    (SpectralNorm(1.5), [2.0, 2.0, 0.1]),
    (SpectralNorm(1.5), [2.0, 1.7, 0.0]),
    (NuclearBall(2.5), [2.0, 2.0, 0.1]),
    (SchattenNorm(2, 0.5), [2.0, 2.0, 0.0]),
    (SpectralFunction(Huber(0.3)), [2.0, 2.0, 0.0]),
    (KyFanNorm(2, 0.5), [3.0, 3.0, 0.4]),
    (WeightedNuclearNorm(np.array([1.0, 0.8, 0.2])), [3.0, 3.0, 0.7]),
]


@pytest.mark.parametrize(("f", "values"), DIFFERENTIABLE_AT_TIES)
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 4)])
@pytest.mark.parametrize("complex_", [False, True])
def test_derivative_at_repeated_and_zero_singular_values(f: Any, values: list[float], shape: Any, complex_: bool) -> None:
    """These proxes are differentiable there; a difference quotient does not see a decomposition at all."""
    x = with_values(values, *shape, complex_)
    h = rng(3).standard_normal(shape) + (1j * rng(4).standard_normal(shape) if complex_ else 0.0)
    t = 1e-5
    numeric = (f.prox(x + t * h, 0.9) - f.prox(x - t * h, 0.9)) / (2 * t)
    np.testing.assert_allclose(f.prox_derivative(x, 0.9).apply(h), numeric, atol=1e-7)


@pytest.mark.parametrize(
    ("f", "values"),
    [
        (LogDeterminant(0.7), [1.0, 1.0, -2.0]),
        (TraceInverse(), [0.5, 0.5, 0.5]),
        (PositiveSemidefinite(), [1.0, 1.0, -2.0]),
        (Spectrahedron(2.0), [2.0, 2.0, -1.0]),
        (LargestEigenvalue(0.8), [2.0, 2.0, 0.1]),
        (SumLargestEigenvalues(2, 0.4), [2.0, 2.0, -1.0]),
        (EigenvalueFunction(NegativeEntropy()), [1.0, 1.0, -2.0]),
        (EigenvalueFunction(Huber(0.5), symmetric=False), [1.0, 1.0, 0.0]),
    ],
)
@pytest.mark.parametrize("complex_", [False, True])
def test_derivative_at_repeated_eigenvalues(f: Any, values: list[float], complex_: bool) -> None:
    q = unitary(3, 2, complex_)
    x = (q * np.array(values)) @ q.conj().T
    h = rng(3).standard_normal((3, 3)) + (1j * rng(4).standard_normal((3, 3)) if complex_ else 0.0)
    t = 1e-5
    numeric = (f.prox(x + t * h, 0.9) - f.prox(x - t * h, 0.9)) / (2 * t)
    np.testing.assert_allclose(f.prox_derivative(x, 0.9).apply(h), numeric, atol=1e-7)


@pytest.mark.parametrize("gap", [10.0**-k for k in range(1, 16)])
def test_divided_differences_keep_their_digits_when_values_nearly_coincide(gap: float) -> None:
    """p + p^3 = s: (p - q)/(s - t) = 1/(1 + p^2 + pq + q^2) without cancellation."""
    f, s, t = SchattenPower(4.0), 2.0, 2.0 - gap
    x, swap = np.diag([s, t]), np.array([[0.0, 1.0], [1.0, 0.0]])
    p, q = np.diagonal(f.prox(x, 1.0))
    expected = 1.0 / (1.0 + p * p + p * q + q * q)
    moved = f.prox_derivative(x, 1.0).apply(swap)
    np.testing.assert_allclose(moved, expected * swap, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("gap", [1e-4, 1e-8, 1e-11])
def test_a_kink_between_two_near_values_is_not_averaged_away(gap: float) -> None:
    """A threshold between s and t: the quotient is the share of the gap above it."""
    f, x = NuclearNorm(), np.diag([1.0 + 0.25 * gap, 1.0 - 0.75 * gap])
    swap = np.array([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(f.prox_derivative(x, 1.0).apply(swap)[0, 1], 0.25, atol=1e-15 / gap)


TIES = [
    (NuclearNorm(1.0), np.eye(3)),
    (NuclearNorm(1.0), np.zeros((3, 4))),
    (SpectralBall(1.0), np.eye(3)[:, :2]),
    (SpectralNorm(1.0), np.eye(3)),
    (SpectralNorm(1.0), np.diag([3.0, 2.0, 2.0])),
    (NuclearBall(3.0), np.eye(3)),
    (NuclearBall(2.0), np.diag([2.0, 1.0, 1.0])),
    (KyFanNorm(2), np.eye(3)),
    (KyFanNorm(2), np.diag([3.0, 2.0, 2.0])),
    (WeightedNuclearNorm(np.array([3.0, 2.0, 1.0])), np.diag([3.0, 2.0, 1.0])),
    (SchattenNorm(2), np.zeros((3, 2))),
    (PositiveSemidefinite(), np.zeros((3, 3))),
    (PositiveSemidefinite(), np.diag([1.0, 0.0, -1.0])),
    (Spectrahedron(), np.eye(3)),
    (Spectrahedron(), np.diag([1.5, 0.5, 0.5])),
    (LargestEigenvalue(), np.eye(3)),
    (SumLargestEigenvalues(2), np.diag([1.0, 1.0, 1.0])),
]


@pytest.mark.parametrize(("f", "x"), TIES)
def test_derivative_at_ties_on_kinks_is_symmetric_with_spectrum_between_0_and_1(f: Any, x: np.ndarray) -> None:
    matrix = matrix_of(f.prox_derivative(x, 1.0), x.shape)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    values = np.linalg.eigvalsh(matrix)
    assert values[0] >= -1e-12
    assert values[-1] <= 1 + 1e-12


def test_the_element_of_the_clarke_jacobian_is_a_limit_of_derivatives() -> None:
    """At X = I, threshold 1, the element taken is the derivative just below: 0; at the ball, that just outside."""
    np.testing.assert_allclose(matrix_of(NuclearNorm().prox_derivative(np.eye(2), 1.0), (2, 2)), 0.0, atol=1e-15)
    outside = matrix_of(SpectralBall().prox_derivative(np.eye(2) * (1 + 1e-9), 1.0), (2, 2))
    np.testing.assert_allclose(matrix_of(SpectralBall().prox_derivative(np.eye(2), 1.0), (2, 2)), outside, atol=1e-8)


@pytest.mark.parametrize(
    "f",
    [NuclearBall(), SpectralBall(), SchattenPower(4.0), SpectralFunction(functions.L2Ball()), SpectralFunction(Box(-1.0, 1.0))],
)
@pytest.mark.parametrize("x", [np.zeros((3, 4)), np.zeros((4, 3)), np.zeros((2, 2))])
def test_the_derivative_at_zero_of_a_prox_that_is_the_identity_there(f: Any, x: np.ndarray) -> None:
    h = rng(0).standard_normal(x.shape)
    np.testing.assert_allclose(f.prox_derivative(x, 1.0).apply(h), h, atol=1e-14)


def test_the_derivative_of_the_cone_is_the_formula_of_malick_and_sendov() -> None:
    moved = PositiveSemidefinite().prox_derivative(np.diag([3.0, -1.0])).apply(np.array([[1.0, 2.0], [2.0, 5.0]]))
    np.testing.assert_allclose(moved, [[1.0, 2.0 * 0.75], [2.0 * 0.75, 0.0]])


X = rng(0).standard_normal((4, 3))
SYMMETRIC = rng(1).standard_normal((4, 4))
SYMMETRIC = SYMMETRIC + SYMMETRIC.T


@pytest.mark.parametrize(
    ("f", "g"),
    [
        (KyFanNorm(1, 0.7), SpectralNorm(0.7)),
        (KyFanNorm(3, 0.7), NuclearNorm(0.7)),
        (SchattenNorm(1, 0.7), NuclearNorm(0.7)),
        (SchattenNorm(2, 0.7), L2Norm(0.7)),
        (SchattenNorm(math.inf, 0.7), SpectralNorm(0.7)),
        (SchattenPower(2.0, 0.7), functions.SquaredL2(0.7)),
        (WeightedNuclearNorm(np.full(3, 0.7)), NuclearNorm(0.7)),
        (WeightedNuclearNorm(np.array([0.7, 0.7, 0.0])), KyFanNorm(2, 0.7)),
        (SpectralFunction(L1Ball(1.5)), NuclearBall(1.5)),
        (SpectralFunction(Box(-0.6, 0.6)), SpectralBall(0.6)),
        (SpectralFunction(LInfNorm(0.7)), SpectralNorm(0.7)),
    ],
)
def test_equal_functions_of_singular_values(f: Any, g: Any) -> None:
    np.testing.assert_allclose(f.prox(X, 0.8), g.prox(X, 0.8), atol=1e-13)
    np.testing.assert_allclose(f(X), g(X), rtol=1e-13)
    h = rng(7).standard_normal(X.shape)
    np.testing.assert_allclose(f.prox_derivative(X, 0.8).apply(h), g.prox_derivative(X, 0.8).apply(h), atol=1e-12)


@pytest.mark.parametrize(
    ("f", "g"),
    [
        (SumLargestEigenvalues(1, 0.7), LargestEigenvalue(0.7)),
        (EigenvalueFunction(L1Norm(0.7)), NuclearNorm(0.7)),
        (EigenvalueFunction(Box(-0.6, 0.6)), SpectralBall(0.6)),
        (SumLargestEigenvalues(4, 0.7), Trace(0.7)),
        (EigenvalueFunction(NonNegative()), PositiveSemidefinite()),
        (EigenvalueFunction(NegativeEntropy()), functions.VonNeumannEntropy()),
    ],
)
def test_equal_functions_of_eigenvalues_on_symmetric_matrices(f: Any, g: Any) -> None:
    np.testing.assert_allclose(f.prox(SYMMETRIC, 0.8), g.prox(SYMMETRIC, 0.8), atol=1e-13)
    np.testing.assert_allclose(f(SYMMETRIC), g(SYMMETRIC), rtol=1e-12)


def test_values_against_numpy() -> None:
    sigma = np.linalg.svd(X, compute_uv=False)
    np.testing.assert_allclose(NuclearNorm(2.0)(X), 2.0 * np.linalg.norm(X, "nuc"))
    np.testing.assert_allclose(SpectralNorm()(X), np.linalg.norm(X, 2))
    np.testing.assert_allclose(KyFanNorm(2)(X), sigma[0] + sigma[1])
    np.testing.assert_allclose(SchattenPower(3.0)(X), np.sum(sigma**3) / 3)
    positive = X.T @ X
    np.testing.assert_allclose(LogDeterminant(2.0)(positive), -2.0 * np.linalg.slogdet(positive)[1])
    np.testing.assert_allclose(TraceInverse(2.0)(positive), 2.0 * np.trace(np.linalg.inv(positive)))
    np.testing.assert_allclose(SumLargestEigenvalues(2)(positive), sigma[0] ** 2 + sigma[1] ** 2)
    assert float(LogDeterminant()(-positive)) == math.inf
    assert float(PositiveSemidefinite()(positive)) == 0
    assert float(PositiveSemidefinite()(positive - 1.1 * sigma[2] ** 2 * np.eye(3))) == math.inf
    assert float(Spectrahedron()(positive)) == math.inf
    assert float(NuclearBall(1.0)(X)) == math.inf


def test_optimality_of_the_log_determinant_and_the_trace_of_the_inverse() -> None:
    """p - step w p^-1 = X, and p - step w p^-2 = X: no decomposition."""
    p = LogDeterminant(2.0).prox(SYMMETRIC, 0.3)
    np.testing.assert_allclose(p - 0.6 * np.linalg.inv(p), SYMMETRIC, atol=1e-11)
    p = TraceInverse(2.0).prox(SYMMETRIC, 0.3)
    inverse = np.linalg.inv(p)
    np.testing.assert_allclose(p - 0.6 * inverse @ inverse, SYMMETRIC, atol=1e-11)


def test_a_matrix_that_is_not_symmetric_is_outside_and_its_prox_is_that_of_its_symmetric_part() -> None:
    x = rng(2).standard_normal((3, 3))
    f = PositiveSemidefinite()
    assert float(f(x @ x.T + np.triu(np.ones((3, 3)), 1))) == math.inf
    p = f.prox(x)
    np.testing.assert_array_equal(p, p.T)
    np.testing.assert_array_equal(p, f.prox(0.5 * x + 0.5 * x.T))


def test_without_symmetry_the_skew_part_is_free_and_the_conjugate_is_of_the_other_kind() -> None:
    x = rng(2).standard_normal((3, 3))
    f = EigenvalueFunction(NonNegative(), symmetric=False)
    np.testing.assert_allclose(f.prox(x) - f.prox(x).T, x - x.T, atol=1e-14)
    skew = np.triu(np.ones((3, 3)), 1) - np.tril(np.ones((3, 3)), -1)
    assert float(f(np.eye(3) + skew)) == 0
    dual = PositiveSemidefinite().conjugate()
    assert float(dual(-np.eye(3) + skew)) == 0
    assert float(f.conjugate()(-np.eye(3) + skew)) == math.inf


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (20, 20)])
@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("threshold", [0.01, 0.5, 3.0, 1e3])
def test_thresholding_through_the_gram_matrix_equals_the_decomposition(
    shape: tuple[int, int], complex_: bool, threshold: float
) -> None:
    x = with_values(list(np.geomspace(4.0, 1e-12, 7)), *shape, complex_)
    quick = spectral._thresholded(x, threshold)
    assert quick is not None
    np.testing.assert_allclose(quick, SpectralFunction(L1Norm(threshold)).prox(x), atol=1e-12)
    np.testing.assert_array_equal(quick, NuclearNorm(threshold).prox(x))
    np.testing.assert_array_equal(quick, NuclearNorm(1.0).prox(x, threshold))


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (9, 7)])
@pytest.mark.parametrize("complex_", [False, True])
def test_the_gram_matrix_is_left_where_it_would_lose_digits(shape: tuple[int, int], complex_: bool) -> None:
    """Values near the threshold far below the norm: the squared matrix would be off by 1e-9."""
    threshold, near = 1e-7, np.array([0.999, 1.0, 1.0 + 1e-8, 1.1, 2.0, 3.0])
    values = np.array([1.0, *threshold * near])
    x = with_values(list(values), *shape, complex_)
    expected = with_values(list(np.maximum(values - threshold, 0.0)), *shape, complex_)
    np.testing.assert_allclose(NuclearNorm().prox(x, threshold), expected, rtol=0, atol=3e-15)


def test_thresholding_leaves_matrices_that_must_be_scaled_and_broken_ones_to_the_general_way() -> None:
    x = with_values([4.0, 1.0, 1e-3], 5, 3)
    assert spectral._thresholded(1e120 * x, 1e120) is None
    assert spectral._thresholded(np.full((2, 2), np.nan), 1.0) is None
    np.testing.assert_array_equal(NuclearNorm(0.0).prox(np.zeros((4, 2))), np.zeros((4, 2)))


def test_a_broken_matrix_does_not_spoil_its_neighbours() -> None:
    x = rng(0).standard_normal((3, 4, 3))
    x[1, 0, 0] = np.nan
    f = SpectralNorm(batch_ndim=1)
    p = f.prox(x)
    assert np.all(np.isnan(p[1]))
    np.testing.assert_array_equal(p[0], SpectralNorm().prox(x[0]))
    assert list(np.isnan(f(x))) == [False, True, False]


def test_matrices_of_very_different_size_side_by_side() -> None:
    x = rng(0).standard_normal((2, 3, 3))
    far = np.stack([1e200 * x[0], 1e-200 * x[1]])
    p = SpectralFunction(L2Norm(0.5), batch_ndim=1).prox(far)
    np.testing.assert_allclose(p[0] / 1e200, x[0], rtol=1e-12)
    np.testing.assert_array_equal(p[1], 0.0)
    np.testing.assert_allclose(SpectralNorm(batch_ndim=1)(far), [1e200, 1e-200] * SpectralNorm(batch_ndim=1)(x))


def test_decompositions_see_no_square_that_overflows() -> None:
    """LAPACK takes care of its own; other libraries need not."""
    tame, scale, broken = spectrum.tamed(np.stack([1e200 * X, X, np.full_like(X, np.inf)]))
    assert np.max(np.abs(tame)) <= np.max(np.abs(X))
    np.testing.assert_allclose(scale.ravel(), [1e200 * np.max(np.abs(X)), 1.0, 1.0])
    assert list(broken.ravel()) == [False, False, True]


def test_axes_between_rows_and_matrices_are_summed() -> None:
    x = rng(0).standard_normal((2, 5, 3, 4))
    value = NuclearNorm(batch_ndim=1)(x)
    np.testing.assert_allclose(value, [sum(np.linalg.norm(x[i, k], "nuc") for k in range(5)) for i in range(2)])
    np.testing.assert_allclose(NuclearNorm().prox(x)[1, 2], NuclearNorm().prox(x[1, 2]), atol=1e-14)


def test_torch_differentiates_in_the_data_of_the_inner_function() -> None:
    torch = pytest.importorskip("torch")
    weight = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    x = torch.tensor(X, requires_grad=True)
    g = rng(6).standard_normal(X.shape)
    (SpectralFunction(L1Norm(weight)).prox(x, 0.9) * torch.tensor(g)).sum().backward()
    cotangents = SpectralFunction(L1Norm(0.4)).prox_vjp(X, g, 0.9)
    np.testing.assert_allclose(float(weight.grad), cotangents.parameters["function.weight"])
    np.testing.assert_allclose(x.grad.numpy(), cotangents.x, atol=1e-13)


def test_torch_differentiates_twice_the_same_singular_value() -> None:
    """The derivative that torch itself has for a decomposition is NaN at a tie; ours is not."""
    torch = pytest.importorskip("torch")
    x = torch.eye(3, dtype=torch.float64, requires_grad=True)
    NuclearNorm(0.5).prox(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), NuclearNorm(0.5).prox_vjp(np.eye(3), np.ones((3, 3))).x, atol=1e-14)
    assert np.all(np.isfinite(x.grad.numpy()))


@pytest.mark.parametrize("function", [L1Norm(np.array([1.0, 2.0])), functions.MonotoneCone()])
def test_a_function_that_depends_on_the_order_is_refused(function: Any) -> None:
    with pytest.raises(errors.DataError, match=r"values have no places of their own|depends on the order of its arguments"):
        SpectralFunction(function)
    with pytest.raises(errors.DataError, match=r"values have no places of their own|depends on the order of its arguments"):
        EigenvalueFunction(2.0 * function)


@pytest.mark.parametrize("function", [NonNegative(), Box(0.0, 1.0), functions.Simplex(), functions.Max()])
def test_a_function_that_depends_on_signs_is_refused_for_singular_values_only(function: Any) -> None:
    with pytest.raises(errors.DataError, match="depends on the signs of its arguments"):
        SpectralFunction(function)
    EigenvalueFunction(function)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: SpectralFunction(1.0), errors.DataError, "must be a Function"),
        (lambda: NuclearNorm(-1.0), errors.DataError, "weight=-1.0 must be a finite number >= 0"),
        (lambda: NuclearNorm(np.array([1.0, 0.5])), errors.DataError, "singular values have no labels"),
        (lambda: SpectralBall(-1.0), errors.DataError, "or the set is empty"),
        (lambda: SchattenNorm(3), errors.CapabilityError, r"use SchattenPower\(p\)"),
        (lambda: SchattenPower(1.0), errors.DataError, "for 1 use L1Norm"),
        (lambda: KyFanNorm(0), errors.DataError, "count=0 must be"),
        (lambda: WeightedNuclearNorm(np.array([0.5, 1.0])), errors.DataError, "nonincreasing"),
        (lambda: Spectrahedron(0.0), errors.DataError, "total=0.0 must be a finite number > 0"),
        (lambda: LogDeterminant(math.inf), errors.DataError, "weight=inf must be"),
        (lambda: Trace(math.nan), errors.DataError, "weight=nan must be a finite number"),
        (lambda: NuclearNorm().prox(np.ones(3)), errors.ShapeError, r"x has shape \(3,\).*a matrix"),
        (lambda: PositiveSemidefinite().prox(np.ones((2, 3))), errors.ShapeError, "a square matrix"),
        (lambda: Trace()(np.ones((2, 3))), errors.ShapeError, "a square matrix"),
        (lambda: SpectralNorm()(np.ones((2, 0))), errors.ShapeError, "at least one entry"),
    ],
)
def test_refusals(make: Any, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        make()
