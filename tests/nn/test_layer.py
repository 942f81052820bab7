"""Equilibrium layers: gradients, uniqueness, bounds, training, what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")
from torch import nn  # noqa: E402

import monops  # noqa: E402
from monops import errors  # noqa: E402
from monops_nn import ActivationDerivative, DenseSystem, MonDEQ, MonotoneLinear  # noqa: E402
from tests.nn.layers import ALGORITHMS, inputs, layer, sigma  # noqa: E402

every_activation = pytest.mark.parametrize("activation", ["relu", "tanh"])


@every_activation
def test_equilibrium_is_unique_over_starts_and_algorithms(activation: str) -> None:
    x = inputs()
    reference = layer(activation, ALGORITHMS[0])(x)
    for seed, algorithm in enumerate(ALGORITHMS):
        start = 10 * torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        assert float((layer(activation, algorithm)(x, start) - reference).detach().abs().max()) < 1e-9


@every_activation
def test_gradient_is_the_dense_implicit_gradient(activation: str) -> None:
    module, x = layer(activation), inputs().requires_grad_()
    z = module(x)
    g = torch.linspace(-1, 1, z.numel(), dtype=torch.float64).reshape(z.shape)
    z.backward(g)
    W = module.linear.weight().detach()
    h = (z @ W.mT + module.injection(x)).detach().requires_grad_()
    J = torch.autograd.grad(sigma(module, h).sum(), h)[0]
    for row in range(4):
        system = torch.eye(5, dtype=torch.float64) - J[row][:, None] * W
        u = J[row] * torch.linalg.solve(system.mT, g[row])
        expected = module.injection.weight.mT @ u
        torch.testing.assert_close(x.grad[row], expected, rtol=1e-9, atol=1e-10)


def test_float32_is_kept_and_leading_axes_too() -> None:
    module = MonDEQ(MonotoneLinear(4), injection=3)
    z = module(torch.ones(2, 5, 3))
    assert z.dtype == torch.float32
    assert z.shape == (2, 5, 4)


def test_data_that_require_gradients_are_refused_by_the_core() -> None:
    A = torch.eye(3, requires_grad=True)
    with pytest.raises(errors.BackendError, match=r"requires gradients.*detach\(\).*monops_nn"):
        monops.solve(monops.LeastSquares(A, torch.ones(3)) + monops.L1Norm())


def test_training_lowers_the_loss_without_warnings() -> None:
    torch.manual_seed(0)
    module, readout = MonDEQ(MonotoneLinear(16), "tanh", injection=2), nn.Linear(16, 2)
    x = torch.randn(128, 2)
    labels = (x[:, 0] * x[:, 1] > 0).long()
    optimiser = torch.optim.Adam([*module.parameters(), *readout.parameters()], lr=0.02)
    losses = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(60):
            loss = nn.functional.cross_entropy(readout(module(x)), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_backward_resolvent_against_a_dense_solve() -> None:
    J = torch.tensor([[0.0, 1.0, 0.25, 1.0, 0.0]], dtype=torch.float64)
    g, x = inputs(1, 5), inputs(1, 5, seed=3)
    got = ActivationDerivative(g, J).resolvent(x, 0.7)
    inside = J[0] > 0
    D = 1 / J[0][inside] - 1
    expected = torch.linalg.solve(torch.eye(3, dtype=torch.float64) + 0.7 * torch.diag(D), (x + 0.7 * g)[0][inside])
    torch.testing.assert_close(got[0][inside], expected)
    assert bool((got[0][~inside] == 0).all())


def test_lipschitz_bound_holds_and_is_attained() -> None:
    module = layer()
    x, y = inputs(200), inputs(200, seed=9)
    ratio = torch.linalg.vector_norm(module(x) - module(y), dim=1) / torch.linalg.vector_norm(x - y, dim=1)
    assert float(ratio.detach().max()) <= module.lipschitz_bound()
    m = 0.25
    scalar = MonDEQ(MonotoneLinear(1, monotonicity=m, dtype=torch.float64), injection=1, tol=1e-12)
    with torch.no_grad():
        scalar.linear.A.zero_()
        scalar.injection.weight.fill_(1.0)
        scalar.injection.bias.zero_()
    points = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    z = scalar(points)
    assert abs(float((z[1] - z[0]).detach() / 2) - 1 / m) < 1e-9
    assert abs(scalar.lipschitz_bound() - 1 / m) < 1e-9


def test_error_bound_of_the_result_contains_the_truth() -> None:
    module, x = layer("tanh", tol=1e-3), inputs()
    rough, exact = module.solve(x), layer("tanh", tol=1e-13).solve(x)
    distance = torch.linalg.vector_norm(rough.z - exact.z, dim=1)
    assert bool((distance <= rough.error_bound).all())
    assert rough.row_status == (monops.Status.CONVERGED,) * 4


@pytest.mark.parametrize("m", [0.05, 0.7])
def test_the_error_bound_is_attained_by_the_scalar_identity(m: float) -> None:
    """Extremal: z = (1 - m) z + c, where a residual e is an error e/m exactly."""
    linear = MonotoneLinear(1, monotonicity=m, dtype=torch.float64)
    rough = MonDEQ(linear, "identity", injection=1, algorithm=monops.DouglasRachford(0.5), tol=1e-2)
    with torch.no_grad():
        linear.A.zero_()
    x = torch.tensor([[1.0], [-3.0]], dtype=torch.float64)
    solution = rough.solve(x)
    distance = (solution.z - rough.injection(x).detach() / m).abs()[:, 0]
    assert bool((distance > 1e-4 * solution.z.abs()[:, 0]).all())
    torch.testing.assert_close(solution.error_bound, distance, rtol=1e-9, atol=0)


@pytest.mark.parametrize("mu", [0.1, 0.6])
def test_system_constants_are_attained_on_the_extremal_rotation(mu: float) -> None:
    imaginary = (1 - mu**2) ** 0.5
    M = torch.tensor([[mu, -imaginary], [imaginary, mu]], dtype=torch.float64)
    known = DenseSystem((torch.eye(2, dtype=torch.float64) - M,), mu).exact_constants()
    np.testing.assert_allclose([known.strong_monotonicity, known.lipschitz, known.cocoercivity], [mu, 1.0, mu], atol=1e-12)


def test_parametrisation_covers_exactly_the_monotone_matrices() -> None:
    torch.manual_seed(3)
    linear = MonotoneLinear(4, monotonicity=0.3, dtype=torch.float64)
    W = linear.sample()
    assert linear.contains(W)
    linear.assign(W)
    torch.testing.assert_close(linear.weight(), W, rtol=0, atol=1e-12)
    with pytest.raises(errors.ConstantError, match=r"lambda_min\(sym\(I - W\)\)"):
        linear.assign(W + torch.eye(4, dtype=torch.float64))
    assert not linear.contains(W + torch.eye(4, dtype=torch.float64))


@pytest.mark.parametrize(
    ("call", "exception", "words"),
    [
        (lambda: layer("gelu"), errors.CapabilityError, "gelu is the prox of no convex function.*use Softplus"),
        (lambda: layer(tolerance=1e-3), TypeError, "tolerance"),
        (lambda: MonDEQ(nn.Linear(3, 3), injection=3), errors.DataError, "MonotoneLinear"),
        (lambda: MonDEQ(MonotoneLinear(3), injection=0), errors.DataError, "injection=0"),
        (lambda: MonDEQ(MonotoneLinear(3), monops.L0Norm(), injection=3), errors.CapabilityError, "L0Norm is nonconvex"),
        (lambda: MonDEQ(MonotoneLinear(3), injection=3, algorithm="fb"), errors.DataError, "PeacemanRachford"),
        (lambda: MonDEQ(MonotoneLinear(3), injection=3, tol=-1.0), errors.DataError, "tol=-1"),
        (lambda: MonotoneLinear(0), errors.DataError, "features=0"),
        (lambda: MonotoneLinear(3, monotonicity=0.0), errors.DataError, "monotonicity=0.0"),
        (lambda: MonotoneLinear(3, dtype=torch.int64), errors.DataError, "int64"),
        (lambda: layer()(torch.ones(2, 3)), errors.BackendError, "float32"),
        (lambda: layer()(inputs(2, 4)), errors.ShapeError, r"\(2, 4\).*3"),
        (lambda: layer()(np.ones((2, 3))), errors.BackendError, "as_tensor"),
        (lambda: layer()(inputs(2), inputs(2)), errors.ShapeError, r"z0 has shape \(2, 3\), but needs \(\.\.\., 5\)"),
        (lambda: layer(algorithm=monops.PeacemanRachford(-1.0))(inputs()), errors.StepSizeError, "step_size=-1 is outside"),
        (lambda: layer(algorithm=monops.ForwardBackward(step_size=50.0))(inputs()), errors.StepSizeError, "proven interval"),
        (lambda: DenseSystem((2.0 * torch.eye(2),), 1.0).exact_constants(), errors.ConstantError, "not strongly monotone"),
    ],
)
def test_bad_arguments_get_a_sentence(call: Any, exception: type[Exception], words: str) -> None:
    with pytest.raises(exception, match=words):
        call()
