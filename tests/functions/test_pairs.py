"""Functions of pairs: epigraphs, perspectives and divergences against each other, closed forms, high precision and refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from monops import Blocks, errors
from monops import functions as F
from monops.functions.divergences.pairs import PairwiseMap, waterline

RNG = np.random.default_rng(5)
POSITIVE = (
    F.KullbackLeiblerDivergence(),
    F.JeffreysDivergence(),
    F.HellingerDivergence(),
    F.IAlphaDivergence(0.3),
    F.RenyiDivergence(3.0),
    F.ChiSquareDivergence(),
)
SMOOTH_ROOTS = (
    *POSITIVE,
    F.EpigraphExp(),
    F.EpigraphNegativeLog(),
    F.EpigraphSquare(),
    F.EpigraphPower(3.0),
    F.EpigraphPower(1.2),
    F.QuadraticOverLinear(True),
    F.HuberPerspective(True, 0.7),
)


def name(f: Any) -> str:
    return type(f).__name__


def pair(x: Any, y: Any) -> Blocks:
    return Blocks((np.array(x, dtype=float), np.array(y, dtype=float)))


def wide(spread: float, n: int = 4000) -> Blocks:
    """Pairs of both signs over many magnitudes."""
    sizes = 10.0 ** RNG.uniform(-spread, spread, (2, n))
    signs = RNG.choice([-1.0, 1.0], (2, n))
    return Blocks(tuple(sizes * signs))


def assert_pairs_close(a: Any, b: Any, tolerance: float = 1e-12) -> None:
    for got, wanted in zip(a, b, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("f", SMOOTH_ROOTS, ids=name)
@pytest.mark.parametrize("spread", [0.3, 3.0, 12.0])
def test_roots_are_exact_in_extended_precision(f: Any, spread: float) -> None:
    """The same code in 80-bit arithmetic differs by a few units in the last place of float64, over 24 orders of magnitude."""
    if np.finfo(np.longdouble).eps > 1e-18:
        pytest.skip("no extended precision on this platform")
    x = wide(spread)
    exact = f.prox(Blocks([part.astype(np.longdouble) for part in x]), np.longdouble(1.0))
    p = f.prox(x, 1.0)
    homogeneous = not f.is_indicator
    scale = np.maximum(np.hypot(*x), 0.0 if homogeneous else 1.0)
    for got, wanted in zip(p, exact, strict=True):
        assert np.max(np.abs(got - wanted) / scale) < 2e-14


@pytest.mark.parametrize("f", POSITIVE, ids=name)
@pytest.mark.parametrize("step", [1e-8, 0.3, 1e8])
def test_divergences_are_positively_homogeneous_so_that_the_prox_scales(f: Any, step: float) -> None:
    """prox_{c step}(c z) = c prox_step(z)."""
    x = wide(2.0)
    p = f.prox(x, step)
    for c in (1e-20, 1e20):
        q = f.prox(c * x, c * step)
        for a, b in zip(p, q, strict=True):
            assert np.max(np.abs(a - b / c) / np.hypot(*x)) < 1e-12


@pytest.mark.parametrize("f", [*POSITIVE, F.QuadraticOverLinear(True)], ids=name)
def test_prox_of_a_homogeneous_function_satisfies_euler(f: Any) -> None:
    """f(p) = <(z - p)/step, p>: Euler's identity for a subgradient of a positively homogeneous function."""
    x = wide(1.0)
    p = f.prox(x, 0.7)
    value = f.entry_value(*p) if hasattr(f, "entry_value") else None
    inner = ((x[0] - p[0]) * p[0] + (x[1] - p[1]) * p[1]) / 0.7
    if value is None:
        value = np.where(p[1] > 0, p[0] ** 2 / (2 * np.where(p[1] > 0, p[1], 1.0)), 0.0)
    np.testing.assert_allclose(value, inner, atol=1e-11)


def test_divergences_at_known_points() -> None:
    x, y = [2.0, 0.0, 3.0, 0.0], [1.0, 5.0, 3.0, 0.0]
    log2 = math.log(2.0)
    known = {
        F.KullbackLeiblerDivergence(): [2 * log2 - 1, 5.0, 0.0, 0.0],
        F.JeffreysDivergence(): [log2, math.inf, 0.0, 0.0],
        F.HellingerDivergence(): [(2**0.5 - 1) ** 2, 5.0, 0.0, 0.0],
        F.ChiSquareDivergence(): [1.0, 5.0, 0.0, 0.0],
        F.RenyiDivergence(3.0): [8.0, 0.0, 3.0, 0.0],
        F.IAlphaDivergence(0.5): [1.5 - 2**0.5, 2.5, 0.0, 0.0],
        F.TotalVariationDistance(): [1.0, 5.0, 0.0, 0.0],
    }
    for f, values in known.items():
        np.testing.assert_allclose(f.entry_value(np.array(x), np.array(y)), values, atol=1e-14, err_msg=name(f))
        negative = f.entry_value(np.array([-1e-3, 1.0]), np.array([1.0, -1e-3]))
        assert np.all(np.isinf(negative))


def test_the_zero_region_has_the_known_border() -> None:
    """(0, 0) where exp(x) - 1 + y <= 0, and for Hellinger where (1 - x)(1 - y) >= 1: just inside and just outside."""
    u = np.linspace(-3.0, 0.5, 8)
    for f, border in ((F.KullbackLeiblerDivergence(), -np.expm1(u)), (F.HellingerDivergence(), 1.0 - 1.0 / (1.0 - u))):
        inside, outside = f.prox(Blocks((u, border - 1e-9))), f.prox(Blocks((u, border + 1e-6)))
        assert np.all(inside[0] == 0)
        assert np.all(inside[1] == 0)
        assert np.all(outside[0] > 0)
        assert np.all(outside[1] > 0)


def test_tiny_steps_keep_the_component_that_stays_positive() -> None:
    """The new ratio is near 1e20 or 1e-20, and one of the two formulas for the prox has lost all digits."""
    for f in (F.HellingerDivergence(), F.IAlphaDivergence(0.3), F.KullbackLeiblerDivergence()):
        p, q = f.prox(pair([0.66, -0.83, 2.0], [-0.83, 0.66, -1.0]), 1e-10)
        np.testing.assert_allclose(p, [0.66, 0.0, 2.0], atol=1e-8)
        np.testing.assert_allclose(q, [0.0, 0.66, 0.0], atol=1e-8)


def test_relations_between_divergences() -> None:
    x = wide(1.0)
    assert_pairs_close(F.HellingerDivergence().prox(x, 0.4), F.IAlphaDivergence(0.5).prox(x, 0.8))
    renyi = F.RenyiDivergence(2.0).prox(Blocks((x[0], x[1])), 0.4)  # x^2/y, with x kept nonnegative
    clipped = Blocks((np.maximum(x[0], 0.0), x[1]))
    assert_pairs_close(renyi, F.QuadraticOverLinear(True).prox(clipped, 0.8), 1e-11)
    p, q = F.JeffreysDivergence().prox(x, 0.4)
    swapped = F.JeffreysDivergence().prox(Blocks((x[1], x[0])), 0.4)
    assert_pairs_close((q, p), swapped)
    shifted = Blocks((np.maximum(x[0] + 0.8, 0.0), x[1] - 0.4))  # (x - y)^2/y = x^2/y - 2x + y
    assert_pairs_close(F.ChiSquareDivergence().prox(x, 0.4), F.QuadraticOverLinear(True).prox(shifted, 0.8), 1e-11)


@pytest.mark.parametrize("f", [*POSITIVE[:1], *POSITIVE[2:], F.TotalVariationDistance()], ids=name)
def test_dual_values_of_divergences_are_suprema(f: Any) -> None:
    """phi*(u) = sup over r of r u - phi(r), by brute force on a fine grid of ratios."""
    ratios = np.concatenate(([0.0], np.exp(np.linspace(-12.0, 12.0, 200001))))
    values = f.entry_value(ratios, np.ones_like(ratios))
    for u in (-3.0, -1.5, -0.2, 0.1, 0.25):
        best = np.max(u * ratios - values)
        assert abs(float(f.entry_dual(np.array([u]))[0]) - best) < 1e-6 * (1 + abs(best))


def test_jeffreys_has_no_closed_dual() -> None:
    assert isinstance(F.JeffreysDivergence().conjugate(), F.Conjugate)
    dual = F.KullbackLeiblerDivergence().conjugate()
    assert isinstance(dual, F.DivergenceDual)
    assert isinstance(dual.conjugate(), F.KullbackLeiblerDivergence)


CLOSED = (
    (F.Epigraph(F.L1Norm()), F.EpigraphL1(), ((6,), (1,))),
    (F.Epigraph(F.L1Norm(), entrywise=True), F.EpigraphAbs(), ((6,), (6,))),
    (F.Perspective(F.SquaredL2()), F.QuadraticOverLinear(), ((6,), (1,))),
)


@pytest.mark.parametrize(("generic", "closed", "shapes"), CLOSED, ids=["L1", "abs", "square"])
def test_the_generic_root_agrees_with_the_closed_forms(generic: Any, closed: Any, shapes: Any) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scale = 10.0 ** rng.uniform(-3, 3)
        z = Blocks([scale * rng.standard_normal(shape) for shape in shapes])
        p, q = generic.prox(z, 0.6), closed.prox(z, 0.6)
        h = Blocks([rng.standard_normal(shape) for shape in shapes])
        for a, b in zip(p, q, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12 * scale)
        moved, wanted = generic.prox_derivative(z, 0.6).apply(h), closed.prox_derivative(z, 0.6).apply(h)
        for a, b in zip(moved, wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-9)


def test_power_two_is_the_square_and_hinge_at_zero_the_positive_part() -> None:
    x, t = wide(1.0)
    p, s = F.EpigraphPower(2.0).prox(Blocks((x, t)))
    q, r = F.EpigraphSquare().prox(Blocks((x * 2**0.5, t)))  # x^2 <= t: not the same metric, so compare through the set
    assert np.all(np.abs(p**2 - s)[p**2 > t] < 1e-9 * (1 + s)[p**2 > t])
    assert np.all(q**2 / 2 <= r * (1 + 1e-12) + 1e-12)
    cubic = p + 2 * p**3 - 2 * t * p - x  # stationarity q - x + (q^2 - t) 2q of the projection
    outside = x**2 > t
    assert np.max(np.abs(cubic[outside]) / (1 + np.abs(x) + 2 * np.abs(t * p))[outside]) < 1e-12
    p, s = F.EpigraphHinge(0.0).prox(Blocks((-x, t)))
    below = (x > 0) & (t <= -x)
    assert np.all(p[below] == 0)
    assert np.all(s[below] == 0)


def test_second_order_cone_and_its_vertex() -> None:
    f = F.EpigraphL2()
    np.testing.assert_allclose(f.prox(pair([3.0, 4.0], [-1.0]))[0], [1.2, 1.6])
    vertex = f.prox(pair([3.0, 4.0], [-6.0]))
    assert not np.any(vertex[0])
    assert vertex[1][0] == 0
    assert float(f(pair([3.0, 4.0], [5.0]))) == 0
    assert np.isinf(float(f(pair([3.0, 4.0], [4.99]))))
    p = f.prox(pair([3e-200, 4e-200], [0.0]))  # squares underflow
    np.testing.assert_allclose(p[0] / 1e-200, [1.5, 2.0])


def test_ties_in_the_waterline() -> None:
    s, mask = waterline(np.array([2.0, 2.0, 2.0, -1.0]), np.array([0.0]))
    assert s[0] == 1.5
    assert mask.tolist() == [1.0, 1.0, 1.0, 0.0]
    p, t = F.EpigraphMax().prox(pair([2.0, 2.0, 2.0, -1.0], [0.0]))
    assert p.tolist() == [1.5, 1.5, 1.5, -1.0]
    assert t.tolist() == [1.5]


def test_epigraph_of_a_function_with_a_domain() -> None:
    """Points outside the domain of f whose nearest point is inside the set keep their t."""
    f = F.Epigraph(F.Box(-1.0, 1.0))
    p, t = f.prox(pair([3.0, 0.5], [2.0]))
    assert p.tolist() == [1.0, 0.5]
    assert t.tolist() == [2.0]
    p, t = f.prox(pair([3.0, 0.5], [-2.0]))
    np.testing.assert_allclose(p, [1.0, 0.5])
    np.testing.assert_allclose(t, [0.0], atol=1e-14)
    moved = f.prox_derivative(pair([3.0, 0.5], [2.0])).apply(pair([1.0, 1.0], [1.0]))
    assert moved[0].tolist() == [0.0, 1.0]
    assert moved[1].tolist() == [1.0]


def test_epigraph_of_steep_functions_does_not_overflow() -> None:
    for x, t in ((1e150, -1e150), (700.0, 1e-300), (-1e150, -1e150), (1e150, 1e150)):
        p, s = F.EpigraphExp().prox(pair([x], [t]))
        assert np.isfinite(p[0])
        assert np.isfinite(s[0])
        assert float(F.EpigraphExp()(Blocks((p, s)))) == 0
    p, s = F.Epigraph(F.SquaredL2(1e12)).prox(pair([3.0, -4.0], [-2.0]))
    np.testing.assert_allclose(5e11 * np.sum(p**2), s, rtol=1e-9)


def test_rows_of_a_generic_epigraph_are_independent_also_for_functions_that_are_not_separable() -> None:
    class Norm(F.Function):  # the Euclidean norm, with nothing but value, prox and derivative
        def __call__(self, x: Any) -> Any:
            return np.sqrt(np.sum(x * x, axis=-1))

        def prox(self, x: Any, step: float = 1.0) -> Any:
            size = np.sqrt(np.sum(x * x, axis=-1, keepdims=True))
            return x * np.maximum(1.0 - step / size, 0.0)

        def prox_derivative(self, x: Any, step: float = 1.0) -> Any:
            from monops.linear.jacobian import SelfAdjointMap

            size = float(np.sqrt(np.sum(x * x)))
            if size <= step:
                return SelfAdjointMap(lambda h: 0.0 * h, x.shape)
            n = x / size
            return SelfAdjointMap(lambda h: h - step / size * (h - n * np.sum(n * h)), x.shape)

    generic, closed = F.Epigraph(Norm(batch_ndim=1), batch_ndim=1), F.EpigraphL2(batch_ndim=1)
    z, h = (Blocks((RNG.standard_normal((7, 4)), RNG.standard_normal((7, 1)))) for _ in range(2))
    assert_pairs_close(generic.prox(z), closed.prox(z))
    assert_pairs_close(generic.prox_derivative(z).apply(h), closed.prox_derivative(z).apply(h), 1e-9)


def test_huber_perspective_becomes_the_quadratic_and_its_prox_solves_the_dual_projection() -> None:
    z = Blocks((RNG.standard_normal(5), np.array([0.4])))
    assert_pairs_close(F.HuberPerspective(delta=1e6).prox(z), F.QuadraticOverLinear().prox(z))
    linear = F.HuberPerspective(delta=2.0).prox(pair([30.0, 40.0], [1.0]), 2.0)  # by hand: 50 - 2 * 2, and 1 + 2 * 2^2/2
    np.testing.assert_allclose(linear[0], [27.6, 36.8])
    np.testing.assert_allclose(linear[1], [5.0])
    assert float(F.HuberPerspective(delta=2.0)(pair([3.0, 4.0], [0.0]))) == 10.0
    assert float(F.HuberPerspective(delta=2.0)(pair([3.0, 4.0], [1.0]))) == 8.0
    assert float(F.QuadraticOverLinear()(pair([0.0, 0.0], [0.0]))) == 0.0
    assert np.isinf(float(F.QuadraticOverLinear()(pair([1.0, 0.0], [0.0]))))


def test_perspective_of_an_indicator_is_a_cone() -> None:
    f = F.Perspective(F.Box(-1.0, 2.0), entrywise=True)
    assert float(f(pair([1.9, -0.9], [1.0, 1.0]))) == 0
    assert np.isinf(float(f(pair([2.1], [1.0]))))
    p, y = f.prox(pair([3.0, -3.0, 1.0], [0.0, -9.0, 1.0]))
    np.testing.assert_allclose(p, [2.4, 0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(y, [1.2, 0.0, 1.0], atol=1e-12)


def test_conjugates_return() -> None:
    assert isinstance(F.QuadraticOverLinear(True).conjugate(), F.ReflectedSecond)
    dual = F.Epigraph(F.L1Norm()).conjugate()
    assert float(dual(pair([0.5, -0.5], [-1.0]))) == 0  # the polar of the cone: |u|_inf <= -v
    assert np.isinf(float(dual(pair([0.5, -1.5], [-1.0]))))


def test_pairwise_map_is_a_symmetric_matrix() -> None:
    a, b, c = RNG.standard_normal((3, 4))
    matrix = PairwiseMap(a, b, c)
    h = Blocks(tuple(RNG.standard_normal((2, 4))))
    expected = np.einsum("ijk,jk->ik", np.array([[a, b], [b, c]]), np.array(h))
    assert_pairs_close(matrix.apply(h), expected)
    assert_pairs_close(matrix.adjoint(h), expected)
    assert matrix.input_shape == ((4,), (4,))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: F.EpigraphPower(1.0), errors.DataError, "EpigraphAbs"),
        (lambda: F.EpigraphHinge(math.nan), errors.DataError, "margin"),
        (lambda: F.RenyiDivergence(1.0), errors.DataError, "IAlphaDivergence"),
        (lambda: F.IAlphaDivergence(1.0), errors.DataError, "between 0 and 1"),
        (lambda: F.HuberPerspective(delta=0.0), errors.DataError, "QuadraticOverLinear"),
        (lambda: F.Epigraph(F.KullbackLeiblerDivergence(), entrywise=True), errors.CapabilityError, "Separable"),
        (lambda: F.Epigraph(F.Conjugate(F.L1Norm())), errors.CapabilityError, "value and prox"),
        (lambda: F.Perspective(F.JeffreysDivergence()), errors.CapabilityError, "conjugate"),
        (lambda: F.EpigraphAbs().prox(np.ones(3)), errors.ShapeError, "Blocks"),
        (lambda: F.EpigraphAbs().prox(pair([1.0, 2.0], [1.0])), errors.ShapeError, "pairs entries"),
        (lambda: F.EpigraphMax().prox(pair([1.0, 2.0], [1.0, 2.0])), errors.ShapeError, "one number a row"),
        (lambda: F.ReflectedSecond(F.EpigraphAbs()).prox(np.ones(3)), errors.ShapeError, "Blocks"),
    ],
    ids=[str(index) for index in range(12)],
)
def test_refusals(build: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        build()
