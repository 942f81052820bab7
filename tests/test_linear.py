"""Linear maps against the dense matrix that their columns make."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

import monops
from monops import arrays, errors, linear
from monops.linear import Gradient, LinearMap, Matrix, MatvecMap, SparseMatrix, Stack, adjoint_error, as_linear_map
from tests.strategies import MAPS, Instance, point

IDS = [f"{index}-{instance.cls.__name__}" for index, instance in enumerate(MAPS)]
every_map = pytest.mark.parametrize("instance", MAPS, ids=IDS)


def flatten(x: Any) -> np.ndarray:
    """All entries of a point as one host vector."""
    return np.concatenate([arrays.to_numpy(leaf).ravel() for leaf in arrays.leaves(x)])


def units(shape: Any) -> list[Any]:
    """The unit vectors of a space of the shape."""
    if shape and isinstance(shape[0], tuple):
        zeros = [np.zeros(part) for part in shape]
        found = []
        for index, part in enumerate(shape):
            for unit in units(part):
                found.append(monops.Blocks([*zeros[:index], unit, *zeros[index + 1 :]]))
        return found
    return [row.reshape(shape) for row in np.eye(int(np.prod(shape)))]


def dense(K: LinearMap, shape: Any) -> np.ndarray:
    """The matrix of K, column by column."""
    return np.array([flatten(K.apply(unit)) for unit in units(shape)]).T


def test_every_public_map_has_an_instance() -> None:
    public = {
        value
        for value in vars(linear).values()
        if isinstance(value, type) and issubclass(value, LinearMap) and value is not LinearMap
    }
    assert public == {instance.cls for instance in MAPS}


@every_map
def test_adjoint_is_the_transposed_matrix(instance: Instance) -> None:
    K = instance.build(np.array)
    np.testing.assert_allclose(dense(K.T, K.output_shape), dense(K, instance.shape).T, atol=1e-12)


@every_map
def test_norm_bounds_hold_and_exact_ones_are_attained(instance: Instance) -> None:
    K = instance.build(np.array)
    matrix = dense(K, instance.shape)
    values = np.linalg.svd(matrix, compute_uv=False)
    assert K.norm.value >= values[0] * (1 - 1e-12)
    assert not K.norm.estimated
    smallest = values[-1] if matrix.shape[0] >= matrix.shape[1] else 0.0
    assert K.smallest_singular_value.value <= smallest + 1e-12
    if instance.exact:
        np.testing.assert_allclose(K.norm.value, values[0], rtol=1e-10)
        if not isinstance(K, MatvecMap):
            np.testing.assert_allclose(K.smallest_singular_value.value, smallest, atol=1e-6)


@every_map
@pytest.mark.parametrize("step", [0.1, 7.0])
def test_regularized_inverse_solves_the_dense_system(instance: Instance, step: float) -> None:
    K = instance.build(np.array)
    x = point(instance.shape, np.array)
    if not K.has_regularized_inverse:
        with pytest.raises(errors.CapabilityError):
            K.regularized_inverse(x, step)
        return
    matrix = dense(K, instance.shape)
    expected = np.linalg.solve(np.eye(matrix.shape[1]) + step * matrix.T @ matrix, flatten(x))
    np.testing.assert_allclose(flatten(K.regularized_inverse(x, step)), expected, atol=1e-11)


@every_map
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_library_dtype_device_and_values_on_every_backend(instance: Instance, dtype: str, backend: Any) -> None:
    def a(host: Any) -> Any:
        return backend.asarray(host, dtype)

    if instance.cls is SparseMatrix and not backend.name.startswith("numpy"):
        K = instance.build(np.array)
        with pytest.raises(errors.BackendError, match="NumPy arrays"):
            K.apply(a(np.ones(4)))
        return
    K, reference = instance.build(a), instance.build(np.array)
    x, host = point(instance.shape, a), point(instance.shape, np.array)
    image, expected = K.apply(x), reference.apply(host)
    for got, wanted in ((image, expected), (K.adjoint(image), reference.adjoint(expected))):
        for leaf, value in zip(arrays.leaves(got), arrays.leaves(wanted), strict=True):
            like = arrays.leaves(x)[0]
            assert type(leaf) is type(like)
            assert leaf.dtype == like.dtype
            assert arrays.device(leaf) == arrays.device(like)
            np.testing.assert_allclose(backend.to_numpy(leaf), value, atol=1e-4 if dtype == "float32" else 1e-11)


@every_map
def test_batch_equals_loop(instance: Instance) -> None:
    K = instance.build(np.array)
    x = point(instance.shape, np.array, batch=(3,))
    image = K.apply(x)
    back = K.adjoint(image)
    for row in range(3):
        single = arrays.tree_map(lambda leaf, row=row: leaf[row], x)
        np.testing.assert_allclose(
            flatten(arrays.tree_map(lambda leaf, row=row: leaf[row], image)), flatten(K.apply(single)), atol=1e-13
        )
        np.testing.assert_allclose(
            flatten(arrays.tree_map(lambda leaf, row=row: leaf[row], back)), flatten(K.adjoint(K.apply(single))), atol=1e-12
        )


def test_generic_gradient_equals_its_numpy_form() -> None:
    import array_api_strict as xp

    x = np.random.default_rng(0).standard_normal((2, 5, 4, 3))
    K = Gradient((5, 4, 3))
    generic = K.apply(xp.asarray(x))
    np.testing.assert_allclose(arrays.to_numpy(generic), K.apply(x), atol=1e-15)
    np.testing.assert_allclose(arrays.to_numpy(K.adjoint(generic)), K.adjoint(K.apply(x)), atol=1e-14)


def test_complex_matrix_has_the_conjugate_adjoint() -> None:
    generator = np.random.default_rng(0)
    K = Matrix(generator.standard_normal((4, 3)) + 1j * generator.standard_normal((4, 3)))
    x, y = generator.standard_normal(3) + 0j, generator.standard_normal(4) * 1j
    assert abs(np.vdot(K.apply(x), y) - np.vdot(x, K.adjoint(y))) < 1e-12


def test_large_matrix_norm_is_a_certified_bound() -> None:
    A = np.random.default_rng(0).standard_normal((1100, 1050)).astype(np.float32)
    K = Matrix(A)
    assert K.norm.why.startswith("computed: bound")
    assert K.norm.value >= np.linalg.norm(A, 2)


def test_power_iteration_says_that_it_is_an_estimate() -> None:
    A = np.random.default_rng(0).standard_normal((30, 20))
    K = as_linear_map(LinearOperator((30, 20), matvec=lambda x: A @ x, rmatvec=lambda y: A.T @ y, dtype=np.float64))
    assert K.norm.estimated
    assert 0.99 * np.linalg.norm(A, 2) <= K.norm.value <= 1.051 * np.linalg.norm(A, 2)


def test_adjoint_error_finds_a_wrong_adjoint() -> None:
    A = np.random.default_rng(0).standard_normal((5, 4))
    assert adjoint_error(Matrix(A), np.empty(0)) < 1e-14
    wrong = MatvecMap(lambda x: A @ x, lambda y: -A.T @ y, (4,), (5,))
    assert adjoint_error(wrong, np.empty(0)) > 1e-3


@pytest.mark.parametrize(
    ("call", "exception", "words"),
    [
        (lambda: Matrix(np.ones(3)), errors.ShapeError, "two-dimensional"),
        (lambda: Matrix(np.ones((2, 2), dtype=int)), errors.BackendError, "floating"),
        (lambda: as_linear_map([[1.0]]), errors.BackendError, "list is no linear map"),
        (lambda: Matrix(np.eye(3)) @ np.ones(4), errors.ShapeError, r"shape \(..., 3\), got \(4,\)"),
        (lambda: Matrix(np.eye(3)) @ Matrix(np.eye(4)), errors.ShapeError, "cannot compose"),
        (lambda: Stack((Matrix(np.eye(3)), Matrix(np.eye(4)))), errors.ShapeError, "different shapes"),
        (lambda: Gradient((0,)), errors.DataError, "positive"),
        (lambda: Gradient((3,), spacing=-1.0), errors.DataError, "spacing"),
        (lambda: monops.Convolution(np.ones(5), (3,)), errors.ShapeError, "does not fit"),
        (lambda: SparseMatrix(scipy.sparse.csr_array(np.array([[np.nan]]))), errors.DataError, "non-finite"),
        (lambda: MatvecMap(lambda x: x, lambda y: y, (2,), (2,), -1.0), errors.ConstantError, "known_norm"),
    ],
)
def test_bad_maps_are_named(call: Any, exception: type[Exception], words: str) -> None:
    with pytest.raises(exception, match=words):
        call()
