"""Functions against their definitions: subgradient inequality, finite differences, Fenchel-Young, constants, batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from monops import arrays, errors, functions
from monops.functions import Box, Function, Huber, L1Norm, LogisticLoss, Quadratic, Simplex, Tanh
from tests.strategies import FUNCTIONS, Instance, point

IDS = [f"{index}-{instance.cls.__name__}" for index, instance in enumerate(FUNCTIONS)]
STEPS = (0.01, 0.5, 1.0, 3.0, 100.0)
every_function = pytest.mark.parametrize("instance", FUNCTIONS, ids=IDS)


def inner(x: Any, y: Any) -> float:
    """<x, y> as a float."""
    return float(arrays.inner(x, y))


def test_every_public_function_has_an_instance() -> None:
    public = {
        value
        for value in vars(functions).values()
        if isinstance(value, type) and issubclass(value, Function) and value is not Function
    }
    assert public == {instance.cls for instance in FUNCTIONS}


@every_function
@pytest.mark.parametrize("step", STEPS)
def test_prox_satisfies_the_subgradient_inequality(instance: Instance, step: float) -> None:
    """f(y) >= f(p) + <(x - p)/step, y - p> for y in the domain: the definition of p = prox(x)."""
    f = instance.build(np.array)
    if not f.has_value:
        f, dual = f.conjugate(), f  # prox of the conjugate by Moreau: check it through f, whose value is known
        x = point(instance.shape, np.array)
        p = (x - dual.prox(x, step)) / step
        x, step = x / step, 1.0 / step
    else:
        x = point(instance.shape, np.array)
        p = f.prox(x, step)
    value = float(f(p))
    assert np.isfinite(value)
    slope = (x - p) / step
    scale = 1.0 + inner(slope, slope) ** 0.5
    for seed in range(30):
        y = point(instance.shape, np.array, seed + 50, scale=1.0)
        y = p + 1e-3 * (y - p) if seed % 2 else y
        y = f.prox(y, 1e-8) if not np.isfinite(float(f(y))) else y  # into the domain
        assert float(f(y)) >= value + inner(slope, y - p) - 1e-8 * scale * (1 + inner(y - p, y - p) ** 0.5)


@every_function
def test_prox_is_firmly_nonexpansive_and_strongly_so(instance: Instance) -> None:
    """|Px - Py|^2 (1 + step mu) <= <Px - Py, x - y>."""
    f = instance.build(np.array)
    mu = f.constants.strong_monotonicity
    for seed in range(20):
        x, y = point(instance.shape, np.array, seed), point(instance.shape, np.array, seed + 99)
        moved = f.prox(x, 0.7) - f.prox(y, 0.7)
        assert inner(moved, moved) * (1 + 0.7 * mu) <= inner(moved, x - y) + 1e-10


@every_function
def test_gradient_is_the_derivative_of_the_value(instance: Instance) -> None:
    f = instance.build(np.array)
    if not f.has_gradient:
        with pytest.raises(errors.CapabilityError):
            f.gradient(point(instance.shape, np.array))
        return
    x, direction = point(instance.shape, np.array), point(instance.shape, np.array, 7, scale=1.0)
    h = 1e-6
    numeric = (float(f(x + h * direction)) - float(f(x - h * direction))) / (2 * h)
    assert abs(numeric - inner(f.gradient(x), direction)) < 1e-6 * (1 + abs(numeric))


@every_function
def test_moreau_decomposition_against_the_conjugate_class(instance: Instance) -> None:
    """x = prox_{s f}(x) + s prox_{f*/s}(x/s)."""
    f = instance.build(np.array)
    x = point(instance.shape, np.array)
    for step in (0.3, 2.0):
        total = f.prox(x, step) + step * f.conjugate().prox(x / step, 1.0 / step)
        assert inner(total - x, total - x) < 1e-18 * (1 + inner(x, x))


@every_function
def test_fenchel_young_is_an_equality_at_the_prox(instance: Instance) -> None:
    f = instance.build(np.array)
    conjugate = f.conjugate()
    if not (f.has_value and conjugate.has_value):
        return
    x = point(instance.shape, np.array)
    p = f.prox(x, 1.0)
    assert abs(float(f(p)) + float(conjugate(x - p)) - inner(p, x - p)) < 1e-9


@every_function
def test_claimed_constants_hold_and_are_attained(instance: Instance) -> None:
    f = instance.build(np.array)
    if not f.has_gradient:
        assert f.constants.lipschitz is None
        return
    ratios, curvatures = [], []
    for seed in range(400):
        x, y = point(instance.shape, np.array, seed, 0.5), point(instance.shape, np.array, seed + 1000, 0.5)
        y = x + 0.05 * y if seed % 2 else y
        moved, change = x - y, f.gradient(x) - f.gradient(y)
        ratios.append((inner(change, change) / inner(moved, moved)) ** 0.5)
        curvatures.append(inner(change, moved) / inner(moved, moved))
    lipschitz, mu = f.constants.lipschitz, f.constants.strong_monotonicity
    assert max(ratios) <= lipschitz * (1 + 1e-9)
    assert min(curvatures) >= mu - 1e-9
    if instance.exact and lipschitz:
        top = _extreme_curvature(f, instance, largest=True)
        assert top >= 0.99 * lipschitz  # a claim 1 % too large would fail
        assert _extreme_curvature(f, instance, largest=False) <= mu + 0.01 * lipschitz  # as would a mu too small


def _extreme_curvature(f: Function, instance: Instance, largest: bool) -> float:
    """Extreme eigenvalue of numerical Hessians at a few points, the origin first."""
    found = []
    for scale in (0.0, 1e-3, 0.1, 1.0, 5.0):
        x = point(instance.shape, np.array, 3, scale)
        if isinstance(x, tuple):
            blocks = [_hessian(part, block) for part, block in zip(f.functions, x, strict=True) if part.has_gradient]
        else:
            blocks = [_hessian(f, x)]
        for block in blocks:
            values = np.linalg.eigvalsh(block)
            found.append(values[-1] if largest else values[0])
    return float(max(found) if largest else min(found))


def _hessian(f: Function, x: np.ndarray) -> np.ndarray:
    h, n = 1e-5, x.size
    columns = [(f.gradient(x + h * e) - f.gradient(x - h * e)) / (2 * h) for e in np.eye(n)]
    return 0.5 * (np.array(columns) + np.array(columns).T)


@every_function
def test_prox_derivative_is_the_derivative(instance: Instance) -> None:
    f = instance.build(np.array)
    x = point(instance.shape, np.array)
    for step in (0.4, 1.0, 2.5):
        try:
            derivative = f.prox_derivative(x, step)
        except errors.CapabilityError:
            assert type(f).prox_derivative is Function.prox_derivative or hasattr(f, "function")
            return
        direction = point(instance.shape, np.array, 5)
        h = 1e-7
        numeric = (f.prox(x + h * direction, step) - f.prox(x - h * direction, step)) / (2 * h)
        np.testing.assert_allclose(derivative.apply(direction), numeric, atol=1e-6)


@every_function
def test_batch_equals_loop(instance: Instance) -> None:
    f = instance.build(np.array)
    x = point(instance.shape, np.array, batch=(3,))
    together = f.batched(1)
    for row in range(3):
        single = arrays.tree_map(lambda leaf, row=row: leaf[row], x)
        same = arrays.tree_map(lambda leaf, row=row: leaf[row], together.prox(x, 0.7))
        difference = f.prox(single, 0.7) - same
        assert inner(difference, difference) < 1e-24
        if f.has_value:
            assert together(x).shape == (3,)
            np.testing.assert_allclose(float(together(x)[row]), float(f(single)), rtol=1e-12)


@every_function
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_library_dtype_device_and_values_on_every_backend(instance: Instance, dtype: str, backend: Any) -> None:
    def a(host: Any) -> Any:
        return backend.asarray(host, dtype)

    f, reference = instance.build(a), instance.build(np.array)
    x = point(instance.shape, a)
    p = f.prox(x, 0.7)
    expected = reference.prox(point(instance.shape, np.array), 0.7)
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    results = [(p, expected)]
    if f.has_gradient:
        results.append((f.gradient(x), reference.gradient(point(instance.shape, np.array))))
    for got, wanted in results:
        for leaf, like, host in zip(arrays.leaves(got), arrays.leaves(x), arrays.leaves(wanted), strict=True):
            assert type(leaf) is type(like)
            assert leaf.dtype == like.dtype
            assert arrays.device(leaf) == arrays.device(like)
            np.testing.assert_allclose(backend.to_numpy(leaf), host, atol=tolerance, rtol=tolerance)
    if f.has_value and np.isfinite(float(reference(expected))):
        np.testing.assert_allclose(
            float(f(p)), float(reference(expected)), atol=1e-3 if dtype == "float32" else 1e-9, rtol=1e-3
        )


def test_complex_soft_threshold_keeps_the_phase() -> None:
    x = np.array([3 + 4j, 0.1j, 0.0])
    np.testing.assert_allclose(L1Norm(1.0).prox(x, 1.0), [(3 + 4j) * 0.8, 0.0, 0.0])


@pytest.mark.parametrize("step", [1e-6, 1e-3, 0.3, 1.0, 2.0, 1e3, 1e6])
def test_prox_of_tanh_is_exact_for_every_step(step: float) -> None:
    """y = tanh(t) with (1 - step) tanh(t) + step t = x: check the optimality condition, and step 1 against tanh."""
    x = np.concatenate([np.linspace(-30, 30, 241), [0.0, 1e-12, -1e-12, 1e300]])
    y = Tanh().prox(x, step)
    assert np.all(np.abs(y) <= 1)
    inside = np.abs(y) < 1 - 1e-9
    residual = y[inside] + step * (np.arctanh(y[inside]) - y[inside]) - x[inside]
    assert np.max(np.abs(residual) / (1 + np.abs(x[inside]) + step / (1 - y[inside] ** 2))) < 1e-13
    if step == 1.0:
        np.testing.assert_array_equal(y, np.tanh(x))


def test_logistic_never_overflows() -> None:
    f = LogisticLoss(np.array([1.0, -1.0]))
    x = np.array([1e300, 1e300])
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(f(x))
        assert np.all(np.isfinite(f.gradient(x)))
        np.testing.assert_allclose(f.prox(np.array([1e8, -1e8]), 2.0), [1e8, -1e8])


def test_simplex_projection_is_exact_on_large_numbers_and_ties() -> None:
    np.testing.assert_allclose(Simplex().prox(np.full(4, 1e9)), np.full(4, 0.25))
    np.testing.assert_allclose(Simplex().prox(np.array([1e9, 0.0])), [1.0, 0.0])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Box(np.nan, 1.0), "NaN"),
        (lambda: Huber(0.0), "delta"),
        (lambda: Simplex(-1.0), "total"),
        (lambda: Quadratic(np.array([[1.0, 1.0], [0.0, 1.0]])), "not symmetric"),
        (lambda: Quadratic(-np.eye(2)).constants, "not convex"),
        (lambda: LogisticLoss(np.array([0.0, 1.0])), "2\\*labels - 1"),
        (lambda: L1Norm(np.array([1.0, -1.0])), "negative"),
        (lambda: functions.MoreauEnvelope(L1Norm(), 0.0), "parameter"),
        (lambda: functions.SeparableSum((L1Norm(),)).prox(np.ones(2)), "Blocks"),
    ],
)
def test_bad_parameters_are_named(build: Any, words: str) -> None:
    with pytest.raises(errors.MonopsError, match=words):
        build()
