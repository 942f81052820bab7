"""Cones: projections made exact by construction, Moreau's decomposition to rounding, equivalences, faces, refusals."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from monops import errors
from monops.functions import (
    Box,
    DualCone,
    DualExponentialCone,
    DualPowerCone,
    EpigraphL2,
    ExponentialCone,
    Function,
    L1Norm,
    MonotoneCone,
    MonotonePolar,
    NonNegative,
    PolarCone,
    PowerCone,
    RotatedSecondOrderCone,
    SecondOrderCone,
)

EPSILON = float(np.finfo(float).eps)
CONES = (
    SecondOrderCone(),
    RotatedSecondOrderCone(),
    ExponentialCone(),
    DualExponentialCone(),
    PowerCone(0.5),
    PowerCone(0.9),
    PowerCone(1e-3),
    DualPowerCone(0.2),
)
every_cone = pytest.mark.parametrize("cone", CONES, ids=lambda cone: cone.value_formula("x"))


def wild(seed: int, count: int = 4000) -> np.ndarray:
    """Triples whose entries are up to 24 powers of ten apart; a tenth of them with a zero."""
    rng = np.random.default_rng(seed)
    x = rng.choice([-1.0, 1.0], (count, 3)) * 10.0 ** rng.uniform(-12, 12, (count, 3))
    return np.where(rng.random((count, 3)) < 0.1, 0.0, x)


def size(x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x, axis=-1)


@every_cone
@pytest.mark.parametrize("points", ["ordinary", "wild"])
def test_moreau_decomposition_holds_to_rounding(cone: Function, points: str) -> None:
    """x = p + u with p in K, u in the polar, <p, u> = 0: this defines both projections."""
    x = wild(1) if points == "wild" else np.random.default_rng(0).standard_normal((4000, 3))
    rows = cone.batched(1)
    p, u = rows.prox(x), rows.conjugate().prox(x)
    scale = size(x)
    unit = np.where(scale > 0, scale, 1.0)[:, None]
    assert np.max(size(p + u - x) / unit[:, 0]) < 16 * EPSILON
    assert np.max(np.abs(np.sum(p / unit * (u / unit), axis=-1))) < 16 * EPSILON
    assert np.all(rows(p / unit) == 0)
    assert np.all(rows.conjugate()(u / unit) == 0)


@every_cone
@pytest.mark.parametrize("factor", [1e-300, 1e-150, 1e-3, 1e5, 1e150])
def test_projection_is_positively_homogeneous(cone: Function, factor: float) -> None:
    x = np.random.default_rng(2).standard_normal((500, 3))
    with np.errstate(under="ignore"):
        scaled = cone.prox(factor * x) / factor
    np.testing.assert_allclose(scaled, cone.prox(x), atol=32 * EPSILON, rtol=0)


@every_cone
def test_a_point_of_the_cone_and_a_point_of_its_polar_do_not_move(cone: Function) -> None:
    x = np.random.default_rng(3).standard_normal((500, 3))
    inside, polar = cone.prox(x), x - cone.prox(x)
    np.testing.assert_allclose(cone.prox(inside), inside, atol=16 * EPSILON)
    np.testing.assert_allclose(cone.prox(polar), 0.0, atol=16 * EPSILON)


@pytest.mark.parametrize("reach", [1.0, 5.0, 30.0])
def test_exponential_projections_that_are_exact_by_construction(reach: float) -> None:
    """x = a (t, 1, e^t) + b (1, 1 - t, -e^-t), a, b > 0, is projected on its first part."""
    rng = np.random.default_rng(4)
    xs, expected = [], []
    with mpmath.workdps(60):
        for _ in range(300):
            t = mpmath.mpf(rng.uniform(-reach, reach))
            a, b = (mpmath.mpf(10.0 ** rng.uniform(-6, 6)) for _ in range(2))
            p = [a * t, a, a * mpmath.exp(t)]
            u = [b, b * (1 - t), -b * mpmath.exp(-t)]
            xs.append([float(i + j) for i, j in zip(p, u, strict=True)])
            expected.append([float(i) for i in p])
    x = np.array(xs)
    assert np.max(size(ExponentialCone().batched(1).prox(x) - np.array(expected)) / size(x)) < 16 * EPSILON


@pytest.mark.parametrize("alpha", [0.5, 0.01, 0.93])
def test_power_projections_that_are_exact_by_construction(alpha: float) -> None:
    """p = (p1, p2, r) on the boundary plus b (-alpha r/p1, -(1 - alpha) r/p2, 1) is projected on p."""
    rng = np.random.default_rng(5)
    xs, expected = [], []
    with mpmath.workdps(60):
        for _ in range(300):
            one, two, b = (mpmath.mpf(10.0 ** rng.uniform(-4, 4)) for _ in range(3))
            r = one ** mpmath.mpf(alpha) * two ** (1 - mpmath.mpf(alpha))
            sign = int(rng.choice([-1, 1]))
            p = [one, two, sign * r]
            u = [-b * mpmath.mpf(alpha) * r / one, -b * (1 - mpmath.mpf(alpha)) * r / two, sign * b]
            xs.append([float(i + j) for i, j in zip(p, u, strict=True)])
            expected.append([float(i) for i in p])
    x = np.array(xs)
    assert np.max(size(PowerCone(alpha).batched(1).prox(x) - np.array(expected)) / size(x)) < 32 * EPSILON


def test_the_faces_of_the_exponential_cone() -> None:
    x = np.array([[-2.0, -1.0, 3.0], [-2.0, -1.0, -3.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    expected = [[-2.0, 0.0, 3.0], [-2.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]
    np.testing.assert_array_equal(ExponentialCone().prox(x) + 0.0, expected)
    assert np.all(ExponentialCone(batch_ndim=1)(np.array(expected)) == 0)
    outside = np.array([[1.0, 0.0, 1e9], [0.0, 1.0, 0.999], [-1.0, -1e-9, 1.0], [-1.0, 0.0, -1e-9]])
    assert np.all(ExponentialCone(batch_ndim=1)(outside) == np.inf)


def test_exponential_cone_contains_the_graph_of_the_logarithm() -> None:
    z = 10.0 ** np.arange(-300.0, 301.0, 50.0)
    points = np.stack([np.log(z), np.ones_like(z), z], axis=-1)
    assert np.all(ExponentialCone(batch_ndim=1)(points) == 0)


def test_dual_exponential_cone_pairs_nonnegatively_with_the_cone() -> None:
    rng = np.random.default_rng(6)
    x = ExponentialCone().prox(rng.standard_normal((200, 3)))
    y = DualExponentialCone().prox(rng.standard_normal((200, 3)))
    assert (x @ y.T).min() >= -1e-14
    assert (x @ y.T).min() < 1e-3  # it is no smaller cone


def test_power_cone_of_one_half_is_the_rotated_second_order_cone() -> None:
    stretch = np.array([1.0, 1.0, 2.0**0.5])
    rng = np.random.default_rng(7)
    v = PowerCone(0.5).prox(rng.standard_normal((100, 3)))
    assert np.all(RotatedSecondOrderCone(batch_ndim=1)(v * stretch) == 0)
    assert np.all(
        RotatedSecondOrderCone(batch_ndim=1)(v * stretch * [1.0, 1.0, 1.001])[np.abs(v[:, 2]) > 0.1][:3] != 0
    ) or np.all(PowerCone(0.5, batch_ndim=1)(v * [1, 1, 1.001]) == 0)


def test_second_order_cone_is_the_epigraph_of_the_norm_with_the_head_first() -> None:
    from monops.arrays import Blocks

    x = np.random.default_rng(8).standard_normal(6)
    tail, head = EpigraphL2().prox(Blocks((x[1:], x[0])))
    np.testing.assert_allclose(SecondOrderCone().prox(x), [head, *tail], atol=1e-15)


def test_second_order_cone_of_one_entry_is_a_half_line() -> None:
    np.testing.assert_array_equal(SecondOrderCone().prox(np.array([[-2.0], [3.0]])), [[0.0], [3.0]])


def test_rotation_turns_one_second_order_cone_into_the_other() -> None:
    x = np.random.default_rng(9).standard_normal((50, 5))
    r = 0.5**0.5
    R = np.eye(5)
    R[:2, :2] = [[r, r], [r, -r]]
    np.testing.assert_allclose(RotatedSecondOrderCone().prox(x), SecondOrderCone().prox(x @ R) @ R, atol=1e-15)


@every_cone
def test_derivative_in_the_trivial_regions(cone: Function) -> None:
    """The identity inside the cone, 0 inside the polar; everywhere J x = P x, because P is positively homogeneous."""
    interior = {
        "SecondOrderCone": [3.0, 1.0, 1.0],
        "ExponentialCone": [-1.0, 1.0, 3.0],
        "DualExponentialCone": [-1.0, 1.0, 3.0],
    }
    center = np.array(interior.get(type(cone).__name__, [2.0, 2.0, 0.5]))
    h = np.array([0.3, -0.2, 0.5])
    np.testing.assert_array_equal(cone.prox_derivative(center).apply(h), h)
    polar = -np.array(interior.get(type(cone.dual()).__name__, [2.0, 2.0, 0.5]))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(cone.prox_derivative(polar).apply(h), 0.0)
    for x in (*np.random.default_rng(10).standard_normal((50, 3)), *wild(11, 50)):
        unit = x / max(np.linalg.norm(x), 1e-300)
        np.testing.assert_allclose(cone.prox_derivative(unit).apply(unit), cone.prox(unit), atol=1e-10)


def test_derivative_on_the_face_of_the_exponential_cone() -> None:
    h = np.array([1.0, 1.0, 1.0])
    np.testing.assert_array_equal(ExponentialCone().prox_derivative(np.array([-2.0, -1.0, 3.0])).apply(h), [1.0, 0.0, 1.0])
    np.testing.assert_array_equal(ExponentialCone().prox_derivative(np.array([-2.0, -1.0, -3.0])).apply(h), [1.0, 0.0, 0.0])


@every_cone
def test_conjugate_is_the_polar_cone_and_back(cone: Function) -> None:
    polar = cone.conjugate()
    assert isinstance(polar, PolarCone)
    assert polar.conjugate() is cone
    x = np.random.default_rng(12).standard_normal((30, 3))
    np.testing.assert_allclose(DualCone(cone).prox(x), -polar.prox(-x), atol=1e-15)
    dual = DualCone(cone).batched(1)
    assert np.all(dual(dual.prox(x)) == 0)
    assert np.any(dual(x) == np.inf)


def test_polar_and_dual_of_cones_without_a_class_for_them() -> None:
    x = np.random.default_rng(13).standard_normal(6)
    np.testing.assert_allclose(PolarCone(MonotoneCone()).prox(x), MonotonePolar().prox(x), atol=1e-15)
    np.testing.assert_array_equal(DualCone(NonNegative()).prox(x), NonNegative().prox(x))
    assert float(PolarCone(NonNegative())(-np.abs(x))) == 0
    assert float(PolarCone(NonNegative())(x)) == np.inf


@pytest.mark.parametrize("wrapper", [PolarCone, DualCone])
def test_what_is_no_cone_is_refused(wrapper: Any) -> None:
    with pytest.raises(errors.DataError, match="indicator of a closed convex cone, got L1Norm"):
        wrapper(L1Norm())
    with pytest.raises(errors.DataError, match="Box is not a cone"):
        wrapper(Box(-1.0, 1.0)).prox(np.array([3.0, -2.0]))


def test_shapes_and_parameters_are_refused_with_the_reason() -> None:
    with pytest.raises(errors.ShapeError, match="last axis must have length 3"):
        ExponentialCone().prox(np.ones(4))
    with pytest.raises(errors.ShapeError, match="at least 2 entries"):
        RotatedSecondOrderCone().prox(np.ones(1))
    with pytest.raises(errors.ShapeError, match="no axis behind the batch axes"):
        SecondOrderCone(batch_ndim=1).prox(np.ones(3))
    for alpha in (0.0, 1.0, float("nan")):
        with pytest.raises(errors.DataError, match="strictly between 0 and 1"):
            PowerCone(alpha)
