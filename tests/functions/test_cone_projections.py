"""Projections on exponential and power cones, and their derivatives, that are exact by construction in 60 digits."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from monops.functions import (
    DualExponentialCone,
    DualPowerCone,
    ExponentialCone,
    Function,
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
    PowerCone(0.99),
    DualPowerCone(0.2),
)


def size(x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x, axis=-1)


def exponential_points(reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x = p + u with p = a (t, 1, e^t), u = b (1, 1 - t, -e^-t), a, b > 0; p; and the derivatives of x and p in t."""
    rng = np.random.default_rng(4)
    rows: list[list[list[Any]]] = []
    with mpmath.workdps(60):
        for _ in range(300):
            t = mpmath.mpf(rng.uniform(-reach, reach))
            a, b = (mpmath.mpf(10.0 ** rng.uniform(-6, 6)) for _ in range(2))
            rise, fall = mpmath.exp(t), mpmath.exp(-t)
            p, u = [a * t, a, a * rise], [b, b * (1 - t), -b * fall]
            dp, du = [a, 0, a * rise], [0, -b, b * fall]
            x, dx = ([i + j for i, j in zip(*pair, strict=True)] for pair in ((p, u), (dp, du)))
            rows.append([x, p, dx, dp])
    table = np.array(rows, dtype=float)
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3]


@pytest.mark.parametrize("reach", [1.0, 5.0, 30.0])
def test_exponential_projection(reach: float) -> None:
    x, p, _, _ = exponential_points(reach)
    assert np.max(size(ExponentialCone(batch_ndim=1).prox(x) - p) / size(x)) < 16 * EPSILON


@pytest.mark.parametrize("reach", [1.0, 5.0, 30.0])
def test_derivative_of_the_exponential_projection(reach: float) -> None:
    """J x'(t) = p'(t), J p = p, J u = 0: the three directions span the space."""
    x, p, dx, dp = exponential_points(reach)
    J = ExponentialCone(batch_ndim=1).prox_derivative(x)
    tolerance = 1e-9 if reach < 10 else 1e-7  # the multiplier, next to which x is rounded, is small against x
    unit = size(x)[:, None]
    assert np.max(size(J.apply(dx) - dp) / size(dx)) < tolerance
    assert np.max(size(J.apply(p / unit) - p / unit)) < tolerance
    assert np.max(size(J.apply((x - p) / unit))) < tolerance


@pytest.mark.parametrize("alpha", [0.5, 0.01, 0.93])
def test_power_projection(alpha: float) -> None:
    """p = (p1, p2, r) on the boundary plus b (-alpha r/p1, -(1 - alpha) r/p2, 1) is projected on p."""
    rng = np.random.default_rng(5)
    xs, expected = [], []
    with mpmath.workdps(60):
        share = mpmath.mpf(alpha)
        for _ in range(300):
            one, two, b = (mpmath.mpf(10.0 ** rng.uniform(-4, 4)) for _ in range(3))
            r = one**share * two ** (1 - share)
            sign = int(rng.choice([-1, 1]))
            p = [one, two, sign * r]
            u = [-b * share * r / one, -b * (1 - share) * r / two, sign * b]
            xs.append([float(i + j) for i, j in zip(p, u, strict=True)])
            expected.append([float(i) for i in p])
    x = np.array(xs)
    assert np.max(size(PowerCone(alpha, batch_ndim=1).prox(x) - np.array(expected)) / size(x)) < 32 * EPSILON


@pytest.mark.parametrize("cone", CONES, ids=lambda cone: type(cone).__name__)
@pytest.mark.parametrize("reach", [0, 1, 4, 12])
def test_derivative_along_the_point_itself(cone: Function, reach: int) -> None:
    """J x = P x and J P x = P x: the projection is positively homogeneous; entries up to 10^(2 reach) apart."""
    rng = np.random.default_rng(6)
    x = rng.standard_normal((4000, 3)) * 10.0 ** rng.uniform(-reach, reach, (4000, 3))
    x = x / size(x)[:, None]
    rows = cone.batched(1)
    p, J = rows.prox(x), rows.prox_derivative(x)
    np.testing.assert_allclose(J.apply(x), p, atol=1e-12, rtol=0)
    np.testing.assert_allclose(J.apply(p), p, atol=1e-12, rtol=0)
