"""Derivatives of every prox in x, in the step and in the parameters: finite differences, adjoints, kinks, torch autograd."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import monops
from monops import arrays, errors
from monops.functions import Function
from monops.functions.separable import Separable
from tests.walk import Case, every, every_case, every_convex_case, host, inner, size


def derivative_or_skip(f: Function, x: Any, step: float) -> Any:
    """The derivative; a class without one must not have a prox either."""
    if not f.has_prox:
        pytest.skip("no prox")
    return f.prox_derivative(x, step)


def difference(move: Any, h: float) -> Any:
    """Central difference of move(t) at t = 0, by Richardson extrapolation of two step lengths."""
    coarse = (move(2 * h) - move(-2 * h)) / (4 * h)
    fine = (move(h) - move(-h)) / (2 * h)
    return (4 * fine - coarse) / 3 if size(fine - coarse) < 1e-3 * (1 + size(fine)) else fine


@every_case
def test_derivative_in_x_is_the_finite_difference(case: Case) -> None:
    f = case.f
    h = max(1e-6, case.sample.accuracy**0.5)
    for seed, step in ((0, 0.4), (1, 1.0), (2, 2.5)):
        x, direction = case.x(seed), case.x(5, scale=1.0)
        jacobian = derivative_or_skip(f, x, step)
        numeric = difference(lambda t, x=x, d=direction, s=step: f.prox(x + t * d, s), h)
        case.close(jacobian.apply(direction), numeric, 0.0 if case.sample.accuracy == 0 else 1e5, size(numeric))


@every_convex_case
def test_derivative_is_self_adjoint_with_spectrum_in_the_proven_interval(case: Case) -> None:
    """A prox is the gradient of a convex function and 1/(1 + step mu)-Lipschitz; at a kink, too (Clarke)."""
    f, step = case.f, 0.8
    mu = f.constants.strong_monotonicity or 0.0
    for x in (case.x(3), 0.0 * case.x(3), f.prox(case.x(4), 1.0)):
        jacobian = derivative_or_skip(f, x, step)
        for seed in range(3):
            a, b = case.x(seed + 10, 1.0), case.x(seed + 20, 1.0)
            Ja, Jb = jacobian.apply(a), jacobian.apply(b)
            assert np.isfinite(size(Ja))
            assert abs(inner(Ja, b) - inner(a, Jb)) <= (1e-9 + 100 * case.sample.accuracy) * size(a) * size(b)
            assert -1e-9 * size(a) ** 2 <= inner(Ja, a) + 100 * case.sample.accuracy
            assert inner(Ja, a) <= size(a) ** 2 / (1 + step * mu) * (1 + 1e-9) + 100 * case.sample.accuracy


@every(lambda case: case.f.is_convex and isinstance(case.f, Separable))
def test_one_sided_differences_enclose_the_derivative_at_kinks(case: Case) -> None:
    """At x = y + step v with v an end of dphi(y), y a corner of phi: the prox has a kink there."""
    f, step = case.f, 0.7
    assert isinstance(f, Separable)
    points = f.prox(case.x(0, 3.0), step)
    with np.errstate(all="ignore"):
        lower, upper = f.entry_subdifferential(points)
    for end in (lower, upper):
        x = np.where(np.isfinite(end) & (upper > lower), points + step * end, points)
        h = 1e-7 * (1 + np.abs(x))
        right, left = (f.prox(x + h, step) - f.prox(x, step)) / h, (f.prox(x, step) - f.prox(x - h, step)) / h
        slope = f.prox_derivative(x, step).apply(np.ones_like(x))
        assert np.all(slope >= np.minimum(left, right) - 1e-5)
        assert np.all(slope <= np.maximum(left, right) + 1e-5)


@every_case
def test_derivative_in_the_step_is_the_finite_difference(case: Case) -> None:
    f, x, step = case.f, case.x(0), 0.9
    derivative_or_skip(f, x, step)
    numeric = difference(lambda t: f.prox(x, step + t), max(1e-6, case.sample.accuracy**0.5))
    case.close(f.prox_jvp(x, step, dstep=1.0), numeric, 1e5, size(numeric))


@every_case
def test_derivatives_in_the_parameters_are_finite_differences(case: Case) -> None:
    f, x, step = case.f, case.x(1), 0.9
    derivative_or_skip(f, x, step)
    h = max(1e-6, case.sample.accuracy**0.5)
    for name, part in f.prox_parameter_derivatives(x, step).items():
        if "." in name:
            continue  # of a wrapped function: tested there, and through the wrapper below
        value = getattr(f, name)
        change = host(np.random.default_rng(8).uniform(0.5, 1.5, np.shape(value))) if np.shape(value) else 1.0

        def move(t: float, name: str = name, value: Any = value, change: Any = change) -> Any:
            return dataclasses.replace(f, **{name: value + t * change}).prox(x, step)

        numeric = difference(move, h)
        case.close(part.apply(change), numeric, 1e5, size(numeric))


@every_case
def test_vjp_is_the_adjoint_of_jvp(case: Case) -> None:
    f, x, step = case.f, case.x(2), 0.6
    derivative_or_skip(f, x, step)
    g, dx = case.x(30, 1.0), case.x(31, 1.0)
    cotangents = f.prox_vjp(x, g, step)
    slack = (1e-9 + 100 * case.sample.accuracy) * (1 + size(x)) * size(g)
    assert abs(inner(cotangents.x, dx) - inner(g, f.prox_jvp(x, step, dx=dx))) < slack * size(dx)
    assert abs(float(cotangents.step) - inner(g, f.prox_jvp(x, step, dstep=1.0))) < slack
    for name, gradient in cotangents.parameters.items():
        change = host(np.random.default_rng(3).standard_normal(np.shape(gradient)))
        there = inner(g, f.prox_jvp(x, step, dparameters={name: change}))
        assert abs(float(np.sum(gradient * change)) - there) < slack * (1 + float(np.sum(change**2)) ** 0.5)


@every_case
def test_torch_autograd_through_the_prox_gives_the_same(case: Case) -> None:
    torch = pytest.importorskip("torch")

    def a(values: Any) -> Any:
        return torch.tensor(host(values))

    f = case.sample.build(a)
    names = case.f.prox_parameter_derivatives(case.x(0), 0.9)
    recorded = {name: getattr(f, name) for name in names if isinstance(getattr(f, name, None), torch.Tensor)}
    f = dataclasses.replace(f, **{name: value.clone().requires_grad_() for name, value in recorded.items()})
    x = arrays.tree_map(lambda values: a(values).requires_grad_(), case.x(0))
    step = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    derivative_or_skip(case.f, case.x(0), 0.9)
    g = case.x(9, 1.0)
    output = f.prox(x, step)
    total = sum(
        (leaf * torch.tensor(weight)).sum() for leaf, weight in zip(arrays.leaves(output), arrays.leaves(g), strict=True)
    )
    total.backward()
    expected = case.f.prox_vjp(case.x(0), g, 0.9)
    for leaf, wanted in zip(arrays.leaves(x), arrays.leaves(expected.x), strict=True):
        got = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy()
        case.close(got, wanted, 1e4)
    case.close(np.array(0.0 if step.grad is None else float(step.grad)), np.array(float(expected.step)), 1e4, size(g))
    for name, wanted in expected.parameters.items():
        value = getattr(f, name, None)
        if isinstance(value, torch.Tensor):
            got = np.zeros(value.shape) if value.grad is None else value.grad.numpy()
            case.close(got, arrays.to_numpy(wanted), 1e4, size(g))


def test_unknown_parameter_names_are_refused_by_name() -> None:
    from monops.functions import L1Norm

    with pytest.raises(errors.CapabilityError, match="there is one in: weight"):
        L1Norm().prox_jvp(np.ones(2), 1.0, dparameters={"wieght": 1.0})


@pytest.mark.parametrize("shape", [(3, 3), (2, 3), (3, 2)])
def test_derivatives_in_a_matrix_with_equal_eigenvalues_are_exact_twice(shape: tuple[int, int]) -> None:
    """Eigenvectors have no derivative there; torch's own gave NaN."""
    torch = pytest.importorskip("torch")
    x = torch.linspace(1.0, 2.0, shape[1], dtype=torch.float64)
    A = torch.eye(*shape, dtype=torch.float64).requires_grad_()

    def least_squares(A: Any) -> Any:
        return monops.LeastSquares(A, torch.ones(shape[0], dtype=torch.float64)).prox(x, 0.7)

    def quadratic(A: Any) -> Any:
        return monops.Quadratic(A.T @ A, x).prox(x, 0.7)

    for prox in (least_squares, quadratic):
        assert torch.autograd.gradcheck(prox, (A,))
        assert torch.autograd.gradgradcheck(prox, (A,))
