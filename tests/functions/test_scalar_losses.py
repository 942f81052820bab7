"""Entropies, barriers, likelihoods, hinge and robust losses: closed forms, equivalences, zero weights, extremes, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

import monops.functions as f
from monops import errors
from monops.functions import equations
from monops.functions.separable import Separable
from tests.reference import golden_prox

STEPS = (1e-3, 0.7, 50.0)


def points(seed: int = 0, n: int = 200, scale: float = 3.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal(n)


# ---- equations ---------------------------------------------------------------------------------------


def test_wright_omega_is_that_of_scipy() -> None:
    z = np.concatenate([np.linspace(-700, 700, 4001), np.linspace(-3, 3, 4001), np.logspace(3, 300, 200)])
    np.testing.assert_allclose(equations.wright_omega(z), special.wrightomega(z), rtol=1e-14)
    assert np.isnan(equations.wright_omega(np.array([np.nan])))[0]


@pytest.mark.parametrize("step", [1e-10, 1e-3, 1.0, 1e3, 1e10])
@pytest.mark.parametrize(
    ("solve", "left", "start"),
    [
        (equations.logistic_root, lambda u, v, s: u - s / (1 + np.exp(u)) - v, lambda s: -s / 2),
        (equations.hypotenuse_root, lambda t, a, s: t + s * t / np.sqrt(1 + t * t) - a, lambda s: 0.0),
        (lambda x, s: equations.power_root(x, s, 2.7), lambda t, a, s: t + s * t**2.7 - a, lambda s: 0.0),
        (lambda x, s: equations.power_root(x, s, 0.07), lambda t, a, s: t + s * t**0.07 - a, lambda s: 0.0),
        (lambda x, s: equations.power_root(x, s, 3.0), lambda t, a, s: t + s * t**3 - a, lambda s: 0.0),
        (lambda x, s: equations.power_root(x, s, 1 / 3), lambda t, a, s: t + s * t ** (1 / 3) - a, lambda s: 0.0),
        (lambda x, s: equations.inverse_power_root(x, s, 2.0), lambda p, x, s: p - s / p**2 - x, lambda s: -30.0),
        (lambda x, s: equations.inverse_power_root(x, s, 0.4), lambda p, x, s: p - s / p**0.4 - x, lambda s: -30.0),
        (lambda x, s: equations.two_sided_root(x, s, 2 * s), lambda p, x, s: p - s / p + 2 * s / (1 - p) - x, lambda s: -9.0),
        (equations.reciprocal_root, lambda p, x, s: p - s / p - x, lambda s: -30.0),
    ],
)
def test_roots_change_the_sign_of_their_equation(solve: Callable, left: Callable, start: Callable, step: float) -> None:
    """Within a relative 2e-13 of the root the increasing left side has both signs (or is 0 to rounding)."""
    x = start(step) + np.concatenate([np.logspace(-3, 1.5, 60), step * np.logspace(-3, 3, 60)])
    p = solve(x, step)
    with np.errstate(all="ignore"):
        rounding = 1e-13 * (np.abs(x) + np.abs(left(p, 0 * x, step)) + np.abs(step))
        gap = 2e-13 * np.maximum(np.abs(p), 1e-3 * np.minimum(1.0, np.abs(p)))
        assert np.all(left(p - gap, x, step) <= rounding)
        assert np.all(left(p + gap, x, step) >= -rounding)


@pytest.mark.parametrize("s", [1e-6, 1.0, 1e3, 1e6])
def test_bounded_slopes_are_inverted_across_their_transition(s: float) -> None:
    t = np.logspace(-8, 8, 400)
    rounding = 1e-15 * (1.0 + s)
    np.testing.assert_allclose(equations.hypotenuse_root(t + s * t / np.hypot(1, t), s), t, rtol=1e-9, atol=rounding)
    v = t - s / (1.0 + np.exp(np.minimum(t, 700.0)))
    np.testing.assert_allclose(equations.logistic_root(v, s), t, rtol=1e-9, atol=rounding)


def test_elastic_box_without_l1_moves_through_zero() -> None:
    np.testing.assert_array_equal(f.ElasticBox(-1.0, 1.0).prox_derivative(np.zeros(2)).apply(np.ones(2)), 1.0)
    np.testing.assert_array_equal(f.ElasticBox(-1.0, 1.0, 0.5).prox_derivative(np.zeros(2)).apply(np.ones(2)), 0.0)


def test_blocks_give_what_the_whole_gives() -> None:
    x, weight = points(n=3 * equations.BLOCK + 5), 0.1 + np.abs(points(1, n=3 * equations.BLOCK + 5))
    unblocked: Any = equations.reciprocal_root
    whole = unblocked.__wrapped__(x, weight)
    np.testing.assert_array_equal(equations.reciprocal_root(x, weight), whole)
    scales = np.array([0.0, 1.0, -1.0, 2.0])
    matrix = equations.entropic_root(x[: 2 * equations.BLOCK + 4].reshape(-1, 4), 0.5, scales)
    np.testing.assert_array_equal(matrix[:5], equations.entropic_root(x[:20].reshape(5, 4), 0.5, scales))


# ---- closed forms and equivalences --------------------------------------------------------------------


def test_entropic_proxes_by_lambert() -> None:
    x = points(scale=2.0)
    for step in (0.3, 1.0, 4.0):
        lambert = step * special.lambertw(np.exp(x / step - 1) / step).real
        np.testing.assert_allclose(f.NegativeEntropy().prox(x, step), lambert, rtol=1e-12)
        lambert = x - special.lambertw(step * np.exp(x)).real
        np.testing.assert_allclose(f.Exponential().prox(x, step), lambert, rtol=1e-12, atol=1e-14)


def test_values_against_scipy() -> None:
    p = np.abs(points()) + 0.01
    np.testing.assert_allclose(f.NegativeEntropy().entry_value(p), -special.entr(p), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(f.KullbackLeibler(0.7).entry_value(p), special.kl_div(p, 0.7), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(f.ReverseKullbackLeibler(0.7).entry_value(p), special.kl_div(0.7, p), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(f.Huber(0.6).entry_value(p), special.huber(0.6, p), rtol=1e-13)
    np.testing.assert_allclose(f.PseudoHuber(0.6).entry_value(p), special.pseudo_huber(0.6, p) / 0.6, rtol=1e-12)
    x = points()
    assert float(f.LogSumExp()(x)) == pytest.approx(special.logsumexp(x), rel=1e-14)
    np.testing.assert_allclose(f.LogSumExp().gradient(x), special.softmax(x), rtol=1e-12)


def test_losses_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    y, x = np.sign(points(1)), points(2)
    n = x.size
    assert float(f.Hinge(y)(x)) / n == pytest.approx(metrics.hinge_loss(y, x), rel=1e-12)
    assert float(f.Quantile(0.2)(y - x)) / n == pytest.approx(metrics.mean_pinball_loss(y, x, alpha=0.2), rel=1e-12)
    p = special.expit(x)
    assert float(f.LogisticLoss(y)(x)) / n == pytest.approx(metrics.log_loss(y, p), rel=1e-10)
    assert float(f.CrossEntropy((y + 1) / 2)(p)) / n == pytest.approx(metrics.log_loss(y, p), rel=1e-10)
    counts = np.round(np.exp(x))
    deviance = 2 * float(f.ReverseKullbackLeibler(counts)(p)) / n
    assert deviance == pytest.approx(metrics.mean_poisson_deviance(counts, p), rel=1e-12)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f.Vapnik(0.0, 0.7), f.L1Norm(0.7)),
        (f.SquaredVapnik(0.0, 0.7), f.SquaredL2(0.7)),
        (f.Power(2.0, 0.7), f.SquaredL2(0.7)),
        (f.ElasticBox(l1=0.7), f.L1Norm(0.7)),
        (f.ElasticBox(-1.0, 2.0), f.Box(-1.0, 2.0)),
        (f.Quantile(0.5, 1.4), f.L1Norm(0.7)),
        (f.PositivePart(0.7), f.Quantile(1.0, 0.7)),
        (f.PoissonLoss(2.0), f.ReverseKullbackLeibler(2.0)),
        (f.CrossEntropy(0.5), f.BoxBarrier(0.0, 1.0, 0.5, 0.5)),
        (f.UpperLogBarrier(0.7), f.LogBarrier(0.7).scale_argument(-1.0)),
        (f.NegativeEntropy(-1.0), f.KullbackLeibler(1.0)),
        (f.LogisticLoss(-1.0), f.FermiDirac().conjugate()),
        (f.BerHu(1e9, 0.7), f.L1Norm(0.7)),
    ],
)
def test_two_classes_with_the_same_prox(one: f.Function, other: f.Function, step: float) -> None:
    x = points()
    np.testing.assert_allclose(one.prox(x, step), other.prox(x, step), rtol=1e-11, atol=1e-12)


def test_smoothed_hinge_tends_to_the_hinge_and_to_the_square() -> None:
    x, y = points(), np.sign(points(4))
    np.testing.assert_allclose(f.SmoothedHinge(y, 1e-12).prox(x, 0.7), f.Hinge(y).prox(x, 0.7), atol=1e-11)
    wide = f.SmoothedHinge(y, 1e9, 2e9)  # weight/delta = 2: t^2
    np.testing.assert_allclose(wide.prox(x, 0.7), f.SquaredHinge(y).prox(x, 0.7), rtol=1e-6)


def test_log_sum_exp_prox_solves_its_equation_over_all_scales() -> None:
    for n in (1, 2, 7, 500):
        for scale in (0.0, 1e-3, 1.0, 1e3, 1e8):
            for step in (1e-10, 0.1, 1.0, 30.0):
                x = points(n, n, scale)
                p = f.LogSumExp().prox(x, step)
                np.testing.assert_allclose(p + step * special.softmax(p), x, rtol=1e-12, atol=1e-13 * (step + scale))


def test_simplex_entropy_prox_is_on_the_simplex_and_softmax_in_the_limit() -> None:
    x = points(3, 6).reshape(2, 3)
    p = f.SimplexEntropy(batch_ndim=1).prox(x, 0.3)
    np.testing.assert_allclose(np.sum(p, axis=1), 1.0, rtol=1e-14)
    multiplier = x - p - 0.3 * np.log(p)  # the same for the entries of a row: optimality
    np.testing.assert_allclose(multiplier, multiplier[:, :1] + 0.0 * p, atol=1e-13)
    assert float(f.SimplexEntropy()(np.array([0.5, 0.6]))) == np.inf
    assert float(f.SimplexEntropy()(np.array([1.5, -0.5]))) == np.inf
    np.testing.assert_allclose(f.SimplexEntropy().prox(1e8 * points(3, 6), 1e8), special.softmax(points(3, 6)), rtol=1e-6)


# ---- zero weights, ends of intervals --------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "function",
    [
        f.LogBarrier(0.0),
        f.UpperLogBarrier(0.0, 1.0, 0.0),
        f.BoxBarrier(0.0, 1.0, 0.0, 1.0),
        f.BoxBarrier(-2.0, 1.0, 1.0, 0.0),
        f.CrossEntropy(0.0),
        f.CrossEntropy(1.0),
        f.PoissonLoss(0.0),
        f.ReverseKullbackLeibler(0.0),
        f.Hinge(1.0, 0.0),
        f.Vapnik(0.5, 0.0),
        f.Quantile(0.0),
        f.Huber(1.0, 0.0),
        f.ElasticBox(0.5, 0.5, 0.3, 0.1),
        f.ElasticBox(0.0, 2.0),
    ],
    ids=lambda function: f"{type(function).__name__}" if isinstance(function, Separable) else "",
)
def test_zero_weights_keep_the_domain(function: Separable, step: float) -> None:
    """The golden section on the value, the inclusion, and a derivative without NaN that is the difference quotient."""
    x = points(5, 40)
    p = function.prox(x, step)
    objective = function.entry_value(p) + (p - x) ** 2 / (2 * step)
    golden, attained = golden_prox(function, x, step)
    assert np.all(objective <= attained + 1e-9 * (1 + np.abs(attained)))
    np.testing.assert_allclose(p, golden, atol=2e-6)
    lower, upper = function.entry_subdifferential(p)
    v = (x - p) / step
    assert np.all((v >= lower - 1e-8 * (1 + np.abs(v))) & (v <= upper + 1e-8 * (1 + np.abs(v))))
    slope = function.prox_derivative(x, step).apply(np.ones_like(x))
    numeric = (function.prox(x + 1e-7, step) - function.prox(x - 1e-7, step)) / 2e-7
    np.testing.assert_allclose(slope, numeric, atol=1e-5)
    for name, part in function.prox_parameter_derivatives(x, step).items():
        assert np.all(np.isfinite(part.apply(1.0))), name


def test_data_with_some_zeros_pass_through_torch() -> None:
    torch = pytest.importorskip("torch")
    counts = torch.tensor([0.0, 1.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([-1.0, 0.0, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    f.PoissonLoss(counts).prox(x, 0.5).sum().backward()
    assert torch.all(torch.isfinite(counts.grad))
    assert torch.all(torch.isfinite(x.grad))
    np.testing.assert_allclose(x.grad[:1], 0.0)
    np.testing.assert_allclose(x.grad[2:3], 1.0)


SMOOTH = (
    *(f.NegativeEntropy(), f.Exponential(), f.FermiDirac(), f.LogBarrier(), f.BoxBarrier(), f.LogisticLoss(1.0)),
    *(f.CrossEntropy(0.3), f.KullbackLeibler(), f.Fair(), f.LogCosh(), f.PseudoHuber(), f.Power(1.2), f.Power(5.0)),
    *(f.InversePower(), f.NegativeRoot(), f.LogSumExp(), f.SimplexEntropy()),
    *(f.Semicircle(), f.ArtanhEntropy(), f.SymmetricBarrier(), f.LogPower(3.0), f.LogInverse()),
)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e150])
@pytest.mark.parametrize("step", [1e-10, 1e10])
def test_extreme_points_with_extreme_steps_stay_finite(scale: float, step: float) -> None:
    x = scale * np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    for function in SMOOTH:
        p = function.prox(x, step)
        assert np.all(np.isfinite(p)), type(function).__name__
        assert np.all(np.diff(p) >= -1e-15 * np.abs(p[1:])), f"{type(function).__name__}: a prox of one variable increases"


# ---- conjugates ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "closed"),
    [
        (f.NegativeEntropy(0.5), f.Exponential),
        (f.Exponential(0.5), f.NegativeEntropy),
        (f.KullbackLeibler(2.0), f.Exponential),
        (f.Exponential(2.0, centered=True), f.KullbackLeibler),
        (f.FermiDirac(), f.LogisticLoss),
        (f.LogisticLoss(-1.0), f.FermiDirac),
        (f.LogBarrier(2.0), f.UpperLogBarrier),
        (f.PoissonLoss(2.0), f.UpperLogBarrier),
        (f.ReverseKullbackLeibler(2.0), f.UpperLogBarrier),
        (f.Power(4.0, 3.0), f.Power),
        (f.InversePower(2.0, 3.0), f.Function),
        (f.NegativeRoot(0.3, 3.0), f.Function),
        (f.Hinge(-1.0, 2.0), f.ElasticBox),
        (f.SquaredHinge(-1.0, 2.0), f.ElasticBox),
        (f.SmoothedHinge(1.0, 0.5, 2.0), f.ElasticBox),
        (f.Vapnik(0.5, 2.0), f.ElasticBox),
        (f.SquaredVapnik(0.5, 2.0), f.ElasticBox),
        (f.Huber(0.5, 2.0), f.ElasticBox),
        (f.Quantile(0.3, 2.0), f.Box),
        (f.Fair(0.5, 2.0), f.SymmetricBarrier),
        (f.LogCosh(2.0), f.ArtanhEntropy),
        (f.PseudoHuber(0.5, 2.0), f.Semicircle),
        (f.SymmetricBarrier(2.0, 0.5), f.Fair),
        (f.ArtanhEntropy(2.0), f.LogCosh),
        (f.Semicircle(2.0, 0.5), f.PseudoHuber),
        (f.PositivePart(2.0), f.Box),
    ],
)
def test_conjugate_is_the_supremum(
    function: Separable,
    closed: type,
) -> None:
    """F*(y) = sup_x x y - f(x), by a grid; infinite where the supremum is at its end."""
    conjugate = function.conjugate()
    assert isinstance(conjugate, closed)
    assert conjugate.has_value
    grid = np.concatenate([np.linspace(-40, 40, 400_001), np.logspace(-8, 0, 2001)])
    with np.errstate(all="ignore"):
        values = np.asarray(function.entry_value(grid))
    for y in (-1.7, -1.5, -0.4, 0.3, 0.8):
        slopes = grid * y - values
        best = int(np.argmax(slopes))
        if abs(grid[best]) > 39.9:
            assert float(conjugate(np.array([y]))) == np.inf
            continue
        assert float(conjugate(np.array([y]))) == pytest.approx(slopes[best], abs=2e-6)


# ---- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: f.LogisticLoss(np.array([0.0, 1.0])), "labels 0 and 1 pass"),
        (lambda: f.LogisticLoss(np.array([1j])), "complex"),
        (lambda: f.Hinge(2.0), "labels must be -1 or 1"),
        (lambda: f.SquaredHinge(1.0, 0.0), "weight=0.0 must be finite and > 0"),
        (lambda: f.CrossEntropy(1.5), "between 0 and 1"),
        (lambda: f.PoissonLoss(np.array([-1.0])), "counts"),
        (lambda: f.KullbackLeibler(0.0), "reference=0.0 must be finite and > 0"),
        (lambda: f.BoxBarrier(1.0, 1.0), "no interior"),
        (lambda: f.UpperLogBarrier(1.0, 0.0, 0.0), "scale is 0"),
        (lambda: f.Exponential(-1.0), "weight"),
        (lambda: f.Power(1.0), "use L1Norm"),
        (lambda: f.NegativeRoot(1.0), "strictly between 0 and 1"),
        (lambda: f.InversePower(-1.0), "exponent"),
        (lambda: f.Quantile(1.5), "not convex"),
        (lambda: f.Vapnik(float("nan")), "epsilon"),
        (lambda: f.Huber(0.0), "delta"),
        (lambda: f.ElasticBox(1.0, 0.0), "lower exceeds upper"),
        (lambda: f.ElasticBox(l1=-1.0), "l1"),
    ],
)
def test_bad_parameters_are_refused(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(errors.DataError, match=message):
        build()


def test_labels_that_are_integers_are_refused() -> None:
    with pytest.raises(errors.BackendError, match="floating"):
        f.LogisticLoss(np.array([1, -1]))


# ---- steps ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        *(function for function in SMOOTH if isinstance(function, Separable)),
        *(f.Hinge(-1.0), f.SquaredHinge(), f.SmoothedHinge(), f.Vapnik(0.5), f.SquaredVapnik(0.5), f.Quantile(0.3)),
        *(f.PositivePart(), f.Huber(), f.BerHu(), f.ElasticBox(0.0, 2.0, 0.3, 0.1), f.UpperLogBarrier(), f.PoissonLoss(2.0)),
    ],
    ids=lambda function: type(function).__name__,
)
def test_a_step_for_each_entry_is_a_loop_over_entries(function: Separable) -> None:
    x, steps = points(n=20), np.logspace(-3, 3, 20)
    together: Any = function.prox
    one_by_one = np.array([float(function.prox(x[i : i + 1], float(steps[i]))[0]) for i in range(20)])
    np.testing.assert_allclose(together(x, steps), one_by_one, rtol=1e-13, atol=1e-300)
