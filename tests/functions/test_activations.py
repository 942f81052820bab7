"""Activations as proxes: exact for every step, equal to the formulas of their fields at step 1, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import monops
from monops import errors
from monops import functions as f
from monops.functions.activations.activations import Activation

SIGMAS: list[tuple[f.Function, Callable[[Any], Any]]] = [
    (f.Tanh(), np.tanh),
    (f.Sigmoid(), scipy.special.expit),
    (f.CenteredSigmoid(), lambda x: scipy.special.expit(x) - 0.5),
    (f.Arctan(), np.arctan),
    (f.Arctan(2 / np.pi), lambda x: 2 / np.pi * np.arctan(x)),
    (f.Arctan(2 / np.pi, np.pi / 2), lambda x: 2 / np.pi * np.arctan(np.pi * x / 2)),
    (f.Softsign(), lambda x: x / (1 + np.abs(x))),
    (f.InverseSquareRoot(), lambda x: x / np.sqrt(1 + x * x)),
    (f.InverseSquareRootLinear(), lambda x: np.where(x >= 0, x, x / np.sqrt(1 + x * x))),
    (f.ELU(), lambda x: np.where(x >= 0, x, np.expm1(np.minimum(x, 0)))),
    (f.ELU(0.5), lambda x: np.where(x >= 0, x, 0.5 * np.expm1(np.minimum(x, 0)))),
    (f.Softplus(), lambda x: np.logaddexp(0, x)),
    (f.BentIdentity(), lambda x: np.where(x > 0, x + np.sqrt(x * x + 1) - 1, 1 / (np.sqrt(x * x + 1) - x) - 1) / 2),
    (f.SignedLogarithm(), lambda x: np.sign(x) * np.log1p(np.abs(x))),
    (f.Arcsinh(), np.arcsinh),
    (f.Squash(), lambda x: 8 / (3 * np.sqrt(3)) * x * np.abs(x) / (1 + x * x)),
    (f.LeakyReLU(0.2), lambda x: np.where(x >= 0, x, 0.2 * x)),
    (f.HardSigmoid(), lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    (f.NonNegative(), lambda x: np.maximum(x, 0)),
    (f.Box(0.0, 6.0), lambda x: np.clip(x, 0, 6)),
    (f.Zero(), lambda x: x),
]
IDS = [f"{type(potential).__name__}-{index}" for index, (potential, _) in enumerate(SIGMAS)]
every = pytest.mark.parametrize(("potential", "sigma"), SIGMAS, ids=IDS)
X = np.concatenate([np.linspace(-30, 30, 241), [0.0, 1e-12, -1e-12, 1e5, -1e5]])


@every
def test_the_prox_with_step_one_is_the_activation(potential: f.Function, sigma: Callable[[Any], Any]) -> None:
    np.testing.assert_allclose(potential.prox(X, 1.0), sigma(X), rtol=4e-16, atol=4e-16)


@every
@pytest.mark.parametrize("step", [1e-6, 1e-3, 0.3, 2.0, 1e3, 1e6])
def test_the_prox_is_exact_for_every_step(potential: f.Function, sigma: Callable[[Any], Any], step: float) -> None:
    """y = sigma(t) with (1 - step) sigma(t) + step t = x: t is recovered as (x - (1 - step) y)/step, in extended precision."""
    y = potential.prox(X, step)
    t = (X.astype(np.longdouble) - (1 - np.longdouble(step)) * y) / np.longdouble(step)
    again = np.asarray(sigma(t.astype(float)), dtype=float)
    spread = 4e-16 * (1 + (np.abs(X) + np.abs(y)) / step)  # rounding of t, through a slope of at most 1
    assert np.all(np.abs(again - y) <= 1e-12 + 8 * spread)


SATURATIONS: list[tuple[Activation, Callable[[Any], Any]]] = [
    (potential, sigma) for potential, sigma in SIGMAS if isinstance(potential, Activation) and type(potential) is not f.Squash
] + [(f.Squash(), lambda x: 8 / (3 * np.sqrt(np.longdouble(3))) * x * np.abs(x) / (1 + x * x))]
every_saturation = pytest.mark.parametrize(
    ("potential", "sigma"), SATURATIONS, ids=[f"{type(potential).__name__}-{i}" for i, (potential, _) in enumerate(SATURATIONS)]
)


@every_saturation
@pytest.mark.parametrize("step", [2.0, 1e3, 1e6])
def test_large_steps_lose_no_digits(potential: Activation, sigma: Callable[[Any], Any], step: float) -> None:
    """x = sigma(t) + step (t - sigma(t)) in extended precision: prox(x) is sigma(t) relative to itself, not only to x."""
    if np.finfo(np.longdouble).eps > 1e-18:
        pytest.skip("no extended precision here")
    t = np.concatenate([np.geomspace(0.03, 30, 60), -np.geomspace(0.03, 30, 60)]).astype(np.longdouble)
    if isinstance(potential, f.Squash):  # where its slope is 1, and f has no curvature, y is as uncertain as x
        t = t[np.abs(np.abs(t) - 3**-0.5) > 0.1]
    if isinstance(potential, f.Softplus):
        t = t[np.abs(t) < 3]  # beyond, even extended precision does not know t - sigma(t) as precisely as asked here
    y = sigma(t)
    x = y + step * (t - y)
    np.testing.assert_allclose(potential.prox(x.astype(float), step), y.astype(float), rtol=3e-14, atol=1e-300)


@every_saturation
def test_newton_does_not_wander_where_rounding_decides(potential: Activation, sigma: Callable[[Any], Any]) -> None:
    """At most 18 evaluations, whichever of 20000 entries is slowest; one that is bisected needs more than 50."""
    x = np.random.default_rng(3).standard_normal(20000) * 3
    original, sizes = type(potential).activation_slope, []

    def counting(self: Activation, t: Any) -> Any:
        sizes.append(t.size)
        return original(self, t)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(potential), "activation_slope", counting)
        for step in (0.1, 0.5, 2.0, 10.0, 1e3):
            sizes.clear()
            potential.prox(x, step)
            assert 0 < sum(sizes) <= 18 * x.size


@every
def test_the_prox_of_a_huge_float32_is_finite_for_every_step(potential: f.Function, sigma: Callable[[Any], Any]) -> None:
    x = np.array([1e30, -1e30, 1e-30, 0.0], dtype=np.float32)
    for step in (1e-10, 1e-3, 1e3, 1e10):
        with np.errstate(over="ignore"):
            y = potential.prox(x, step)
        assert y.dtype == np.float32
        assert np.all(np.isfinite(y))


@every_saturation
def test_derivatives_and_proxes_overflow_nowhere(potential: Activation, sigma: Callable[[Any], Any]) -> None:
    x = np.array([1e150, -1e150, 1e-300, 0.0, 800.0, -800.0, np.inf, -np.inf])
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        assert np.all(np.isfinite(potential.prox(x, 1.0)) | (x == math.inf) | (potential.prox(x, 1.0) == x))
        for step in (1e-6, 1.0, 1e6):
            slope = potential.prox_derivative(x[:-2], step).apply(np.ones(6))
            assert np.all((slope >= 0) & (slope <= 1 / (1 + step * potential.constants.strong_monotonicity) * (1 + 1e-14)))
    assert np.isnan(potential.prox(np.array([np.nan]), 1.0))[0]
    assert np.isnan(potential.prox(np.array([np.nan]), 0.3))[0]


def test_the_value_of_softplus_is_the_dilogarithm() -> None:
    y = np.array([1e-300, 1e-9, 0.1, 0.69, 0.7, 1.0, 5.0])
    np.testing.assert_allclose(f.Softplus().entry_value(y), scipy.special.spence(-np.expm1(-y)), rtol=2e-14)
    far = np.array([40.0, 700.0])  # Li2(z) = z + z^2/4 + ...; SciPy's argument 1 - z has no digits left there
    np.testing.assert_allclose(f.Softplus().entry_value(far), np.exp(-far), rtol=1e-15)
    assert f.Softplus().entry_value(np.zeros(1))[0] == np.pi**2 / 6


@pytest.mark.parametrize("step", [1e-4, 0.2, 1.0, 3.0, 1e4])
def test_softmax_satisfies_its_optimality_system_for_every_step(step: float) -> None:
    """(1 - step) y + step log y - x is the same number in every entry, and y sums to 1."""
    x = np.random.default_rng(0).standard_normal((40, 7)) * 3
    y = f.Softmax(batch_ndim=1).prox(x, step)
    np.testing.assert_allclose(y.sum(axis=1), 1.0, rtol=1e-14)
    known = y > 1e-280
    multiplier = np.where(known, (1 - step) * y + step * np.log(np.where(known, y, 1.0)) - x, np.nan)
    spread = np.nanmax(multiplier, axis=1) - np.nanmin(multiplier, axis=1)
    assert np.max(spread) < 1e-10 * (1 + step)
    if step == 1.0:
        np.testing.assert_allclose(y, scipy.special.softmax(x, axis=1), rtol=1e-15)


def test_softmax_survives_huge_and_equal_logits() -> None:
    for step in (0.5, 1.0, 2.0):
        np.testing.assert_allclose(f.Softmax().prox(np.full(4, 1e9), step), 0.25)
        np.testing.assert_allclose(f.Softmax().prox(np.array([1e9, 0.0]), step), [1.0, 0.0], atol=1e-300)


def test_capsule_squash_is_the_group_form() -> None:
    x = np.random.default_rng(1).standard_normal((5, 3))
    size = np.linalg.norm(x, axis=1, keepdims=True)
    expected = 8 / (3 * np.sqrt(3)) * x * size / (1 + size**2)
    np.testing.assert_allclose(f.GroupPenalty(f.Squash(), axis=1).prox(x, 1.0), expected, atol=1e-15)


@pytest.mark.parametrize("name", ["GELU", "silu", "Swish", "mish", "SELU", "hard-swish", "group_sort"])
def test_what_is_no_prox_is_refused_with_the_reason_and_a_stand_in(name: str) -> None:
    with pytest.raises(errors.CapabilityError, match=r"the prox of no convex function, because .*; use .* instead"):
        f.refuse_activation(name)


def test_other_names_pass() -> None:
    f.refuse_activation("tanh")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: f.ELU(1.5), "slope exceeds 1"),
        (lambda: f.LeakyReLU(0.0), "use NonNegative"),
        (lambda: f.LeakyReLU(np.array([0.5, 1.5])), "above 1 it is no prox"),
        (lambda: f.Arctan(2.0, 1.0), "product <= 1"),
    ],
)
def test_steeper_activations_are_refused(make: Any, words: str) -> None:
    with pytest.raises(errors.DataError, match=words):
        make()


def test_slopes_of_activations_lie_in_the_unit_interval_and_match_the_claimed_strong_convexity() -> None:
    t = np.concatenate([np.linspace(-20, 20, 40001), [0.0]])
    for potential, _ in SIGMAS:
        if isinstance(potential, Activation):
            slope = potential.activation_slope(t)
            assert np.all((slope >= 0) & (slope <= 1 + 1e-15))
            np.testing.assert_allclose(np.max(slope), potential.steepest, rtol=1e-6)
            near = np.linspace(-6, 6, 25)
            np.testing.assert_allclose(potential.activation_inverse(potential.activation(near)), near, rtol=1e-9, atol=1e-15)


def test_an_equilibrium_layer_takes_any_of_them() -> None:
    torch = pytest.importorskip("torch")
    from monops_nn import MonDEQ, MonotoneLinear

    torch.manual_seed(0)
    for potential, sigma in ((f.Softplus(), torch.nn.functional.softplus), (f.ELU(), torch.nn.functional.elu)):
        layer = MonDEQ(MonotoneLinear(4).double(), potential, injection=torch.nn.Linear(3, 4).double(), tol=1e-9)
        x = torch.randn(5, 3, dtype=torch.float64)
        z = layer(x)
        assert float((z - sigma(layer.linear(z) + layer.injection(x))).detach().abs().max()) < 1e-8
    assert monops.Tanh is f.Tanh
