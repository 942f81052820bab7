"""What once gave a silent wrong answer: each is refused now, or right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from monops import errors
from monops import functions as f

X = np.array([1.0, -2.0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: f.GroupPenalty(f.ElasticBox(slope=3.0)), "not even and nondecreasing"),
        (lambda: f.GroupPenalty(f.Exponential()), "not even and nondecreasing"),
        (lambda: f.GroupPenalty(f.Box(1.0, 2.0)), "not even and nondecreasing"),
        (lambda: f.GroupPenalty(f.BinarySet(-1.0, 1.0)), "not even and nondecreasing"),
        (lambda: f.GroupPenalty(f.L1Norm(np.array([1.0, 4.0]))), "the same phi for all"),
        (lambda: f.EigenvalueFunction(f.L1Norm().translate(np.array([1.0, 0.0]))), "no places of their own"),
        (lambda: f.SpectralFunction(f.L1Norm().tilt(np.array([1.0, 0.0]))), "no places of their own"),
        (lambda: f.L1Norm().prox(X, np.float32(-1.0)), "step"),
        (lambda: f.L1Norm().prox(X, np.int64(0)), "step"),
        (lambda: f.Box(0.0, 1.0).prox(X, None), "step"),
        (lambda: f.L2Norm().prox(X, np.array([1.0, 2.0])), "step must be one number"),
        (lambda: f.Max().prox(X + 1j), "function of real points"),
        (lambda: f.Simplex().prox(X + 1j), "function of real points"),
        (lambda: f.OnBox(f.LogBarrier(), -2.0, -1.0), "no point in common"),
        (lambda: f.combine(f.Point(-1.0), f.NonNegative()), "no point in common"),
        (lambda: f.Scaling(f.L1Norm(), -1.0), "not convex"),
        (lambda: f.L2Norm(batch_ndim=5).prox(X), "batch_ndim=5"),
        (lambda: f.L2Norm(batch_ndim=-1).prox(X), "batch_ndim=-1"),
        (lambda: f.L1Norm(np.ones(3)).prox(X), r"L1Norm.weight has shape \(3,\).* x of shape \(2,\)"),
        (lambda: f.L1Norm(np.ones(3)).prox(X[:1]), "which does not broadcast"),  # NumPy would enlarge x to the weights
        (lambda: f.Box(np.zeros(3), 1.0)(X), "Box.lower has shape"),
        (lambda: f.LogisticLoss(np.ones(3)).prox(X), "LogisticLoss.labels has shape"),
        (lambda: f.HalfSpace(np.ones(3), 1.0).prox(X), "a has shape"),
        (lambda: f.Hyperplane(np.ones(3), 1.0).prox(X), "a has shape"),
        (lambda: f.LeastSquares(np.ones((4, 3)), np.ones(4)).prox(X), "A takes points of shape"),
        (lambda: f.L1Norm().prox_vjp(X, np.ones(3)), "cotangent must have the shape of x"),
        (lambda: f.L1Norm().prox_jvp(X, dx=np.ones(3)), "dx must have the shape of x"),
        (lambda: f.Box("a", 1.0), "must be a number or an array"),
        (lambda: f.HalfSpace(X, "1"), "must be a finite number"),
    ],
)
def test_refused_in_a_sentence(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(errors.MonopsError, match=words):
        call()


def test_several_steps_at_once_are_for_separable_functions() -> None:
    np.testing.assert_allclose(f.L1Norm().prox(np.array([3.0, 3.0]), np.array([1.0, 2.0])), [2.0, 1.0])


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1.0, 1e6])
def test_the_prox_of_a_homogeneous_function_scales_with_its_argument(scale: float) -> None:
    """prox of s f at s x is s prox of f at x: a tolerance that is not relative to |x| would break it for small data."""
    image = np.random.default_rng(1).standard_normal((16, 16))
    edges = [[0, 1], [1, 2], [2, 3], [3, 0], [0, 2]]
    values = np.array([1.0, -1.0, 2.0, 0.0])
    groups = (((0, 1, 2), 0.6), ((2, 3), 0.5))
    for make, x in (
        (lambda s: f.TotalVariation(0.3 * s), image),
        (lambda s: f.TotalVariation(0.3 * s, anisotropic=True), image),
        (lambda s: f.GraphTotalVariation(edges, 0.3 * s), values),
        (lambda s: f.OverlappingGroupL2(tuple((g, w * s) for g, w in groups)), values),
    ):
        np.testing.assert_allclose(make(scale).prox(scale * x) / scale, make(1.0).prox(x), atol=3e-3)


@pytest.mark.parametrize(
    "make", [f.Simplex, f.L1Norm, f.Max, f.L1Ball, f.SquaredL1, f.Softmax, f.LInfNorm], ids=lambda c: c.__name__
)
def test_a_batch_without_rows_has_no_rows(make: Any) -> None:
    g = make(batch_ndim=1)
    assert g.prox(np.zeros((0, 5))).shape == (0, 5)
    assert g(np.zeros((0, 5))).shape == (0,)


@pytest.mark.parametrize("magnitude", [1.0, 1e4, 1e8, 1e12])
@pytest.mark.parametrize(
    "make", [lambda: f.SortedL1Ball(np.array([2.0, 1.1, 1.0, 0.4, 0.1])), lambda: f.BoundedCumulativeSums(0.6)]
)
def test_the_projection_of_a_far_point_is_in_the_set_by_its_own_value(make: Callable[[], Any], magnitude: float) -> None:
    """x - prox(x) alone is off by epsilon |x|, far outside a set of size 1."""
    ball, random = make(), np.random.default_rng(0)
    for _ in range(20):
        x = magnitude * random.standard_normal(5)
        p = ball.prox(x)
        assert ball(p) == 0
        vertex = ball.prox(random.standard_normal(5))  # <x - p, q - p> <= 0 for every q of the set, up to epsilon |x|
        assert np.dot(x - p, vertex - p) <= 1e-13 * magnitude


def test_two_libraries_in_one_prox_are_refused() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(errors.BackendError, match=r"L1Norm\.weight is an array of numpy, but x is one of torch"):
        f.L1Norm(np.ones(2)).prox(torch.ones(2))
    with pytest.raises(errors.BackendError, match="cotangent is an array of torch, but x is one of numpy"):
        f.Simplex().prox_vjp(X, torch.ones(2))
