"""Every function as arithmetic: batches, backends, dtypes, limits of the step, huge, tiny, empty and broken inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from monops import arrays, errors
from monops.functions.iterative import Iterative
from monops.functions.separable import Separable
from tests.strategies import point
from tests.walk import Case, every, every_case, every_complex_case, every_convex_case, host, inner, size


@every_case
def test_batch_equals_loop(case: Case) -> None:
    f, x = case.f, case.x(batch=(3,))
    together = f.batched(1)
    for row in range(3):
        single = arrays.tree_map(lambda leaf, row=row: leaf[row], x)
        same = arrays.tree_map(lambda leaf, row=row: leaf[row], together.prox(x, 0.7))
        case.close(same, f.prox(single, 0.7), 10.0, size(single))
        if f.has_value:
            assert together(x).shape == (3,)
            np.testing.assert_allclose(float(together(x)[row]), float(f(single)), rtol=1e-10)


@every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_library_dtype_device_and_values_on_every_backend(case: Case, dtype: str, backend: Any) -> None:
    def a(values: Any) -> Any:
        return backend.asarray(host(values), dtype)

    f, reference = case.sample.build(a), case.f
    x = point(case.sample.shape, a, 0, case.sample.scale)
    expected = reference.prox(case.x(), 0.7)
    rounding = 3e-3 if isinstance(f, Iterative) else 3e-4  # the root of a duality gap resolves sqrt(epsilon)
    tolerance = rounding if dtype == "float32" else 1e-9 + 30 * case.sample.accuracy
    p = f.prox(x, 0.7)
    results = [(p, expected)]
    if f.has_gradient:
        results.append((f.gradient(x), reference.gradient(case.x())))
    for got, wanted in results:
        for leaf, like, numbers in zip(arrays.leaves(got), arrays.leaves(x), arrays.leaves(wanted), strict=True):
            assert type(leaf) is type(like)
            assert leaf.dtype == like.dtype
            assert arrays.device(leaf) == arrays.device(like)
            np.testing.assert_allclose(backend.to_numpy(leaf), numbers, atol=tolerance * (1 + size(expected)), rtol=tolerance)
    if f.has_value and np.isfinite(float(reference(expected))):
        loose = 1e-3 if dtype == "float32" else 1e-8 + 30 * case.sample.accuracy
        if np.isfinite(float(f(p))):
            np.testing.assert_allclose(float(f(p)), float(reference(expected)), atol=loose, rtol=loose)
        else:  # rounding to float32 may leave the domain by more than the slack, but only just
            assert dtype == "float32"
            case_point = arrays.tree_map(lambda leaf: host(backend.to_numpy(leaf)), p)
            assert size(reference.prox(case_point, 1e-6) - case_point) < 1e-4 * (1 + size(case_point))


@every_convex_case
@pytest.mark.filterwarnings("ignore::monops.errors.InexactProxWarning")
def test_small_steps_go_to_the_projection_on_the_domain_and_large_steps_to_a_minimiser(case: Case) -> None:
    f, x = case.f, case.x()
    nearest = x if f.domain is None else f.domain.prox(x)
    p = f.prox(x, 1e-10)
    assert np.isfinite(size(p))
    if f.domain is not None:
        assert size(p - nearest) <= 1e-3 * (1 + size(x)) + case.sample.accuracy  # square-root behaviour at a boundary
    far = f.prox(x, 1e10)
    assert np.isfinite(size(far))
    if f.has_value:
        value = float(f(far))
        for seed in range(20):
            y = f.prox(case.x(seed), 1.0)
            assert value <= float(f(y)) + (1e-9 + size(y - x) ** 2 / 2e10) + 1e-7 * (1 + abs(value))


@every_case
@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e-8, 1e8, 1e30, 1e150])
def test_huge_and_tiny_inputs_stay_finite_and_raise_no_floating_point_error(case: Case, scale: float) -> None:
    f = case.f
    x = case.x(2, scale)
    with np.errstate(all="ignore"):
        p = f.prox(x, 1.0)
    for leaf in arrays.leaves(p):
        assert np.all(np.isfinite(leaf)), "the prox of a finite point is finite"
    if f.is_convex and f.has_prox:
        with np.errstate(all="ignore"):
            q = f.prox(0.5 * x, 1.0)
        moved = size((p - q) / scale)
        assert moved <= size(0.5 * x / scale) * (1 + 1e-6) + 1e-6


@every_case
@pytest.mark.parametrize("exponent", [-40, -8, 0, 8, 18, 36])
def test_single_precision_stays_finite_over_its_range(case: Case, exponent: int) -> None:
    """Up to 1e18, whose square is a float32; entrywise functions over the whole range."""
    exponent = exponent if isinstance(case.f, Separable) else min(exponent, 18)

    def a(values: Any) -> Any:
        return host(values).astype(np.float32)

    f = case.sample.build(a)
    x = point(case.sample.shape, a, 2, 10.0**exponent)
    with np.errstate(all="ignore"):
        p = f.prox(x, 1.0)
    for leaf in arrays.leaves(p):
        assert leaf.dtype == np.float32
        assert np.all(np.isfinite(leaf))


@every_case
def test_not_a_number_is_never_turned_into_a_number(case: Case) -> None:
    f, x = case.f, case.x()
    leaf = arrays.leaves(x)[0]
    leaf.ravel()[0] = np.nan
    with np.errstate(all="ignore"):
        p = f.prox(x, 1.0)
    assert any(np.any(np.isnan(part)) for part in arrays.leaves(p))


@every_case
@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_step_is_refused(case: Case, step: float) -> None:
    with pytest.raises(errors.DataError, match="step"):
        case.f.prox(case.x(), step)


def _takes_every_shape(case: Case) -> bool:
    """Separable functions with scalar data; the others keep to the shape of their data."""
    return isinstance(case.f, Separable) and not any(arrays.is_array(value) for value in vars(case.f).values())


@every(_takes_every_shape)
def test_empty_and_size_one_inputs(case: Case) -> None:
    f = case.f
    for shape in ((0,), (1,), (), (2, 0), (1, 1)):
        x = np.full(shape, 0.3)
        assert f.prox(x, 0.5).shape == shape
        assert np.isfinite(float(f(f.prox(x, 0.5))))


@every_case
def test_the_argument_is_not_changed(case: Case) -> None:
    f, x = case.f, case.x()
    before = arrays.tree_map(np.copy, x)
    f.prox(x, 0.7)
    f.prox(x, 0.7)
    for leaf, was in zip(arrays.leaves(x), arrays.leaves(before), strict=True):
        np.testing.assert_array_equal(leaf, was)


@every_complex_case
def test_complex_points_satisfy_the_inclusion(case: Case) -> None:
    """f(y) >= f(p) + Re <(x - p)/step, y - p>, and a real point gives the real answer."""
    f, step = case.f, 0.8
    x = case.x(0) + 1j * case.x(1)
    p = f.prox(x, step)
    assert p.dtype == np.complex128
    value, slope = float(f(p)), (x - p) / step
    for seed in range(30):
        y = case.x(seed + 50) + 1j * case.x(seed + 90)
        y = p + 1e-3 * (y - p) if seed % 2 else y
        y = f.prox(y, 1e-8) if not np.isfinite(float(f(y))) else y
        assert float(f(y)) >= value + inner(slope, y - p) - 1e-8 * (1 + abs(value))
    np.testing.assert_allclose(f.prox(case.x(0) + 0j, step), f.prox(case.x(0), step), atol=1e-12)


@every_case
def test_every_function_prints_as_mathematics(case: Case) -> None:
    text = case.f.value_formula("x")
    assert "x" in text or text == "0"
    assert "object at" not in text


@every_case
def test_integers_and_lists_are_refused_in_a_sentence(case: Case) -> None:
    """A prox of integers would be rounded to integers without a word."""
    f = case.f
    with pytest.raises(errors.BackendError, match="floating dtype"):
        f.prox(arrays.tree_map(lambda leaf: np.round(leaf).astype(np.int64), case.x()), 1.0)
    with pytest.raises(errors.MonopsError, match=r"convert it first|Blocks"):
        f.prox([1.0, 2.0], 1.0)
