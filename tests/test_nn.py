"""Equilibrium layers: gradients, uniqueness, rows, state; each defect measured in other libraries is a test here."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")
from torch import nn  # noqa: E402

import monops  # noqa: E402
from monops import errors  # noqa: E402
from monops_nn import ActivationDerivative, DenseSystem, MonDEQ, MonotoneLinear  # noqa: E402

ALGORITHMS = (
    monops.ForwardBackward(),
    monops.PeacemanRachford(),
    monops.PeacemanRachford(step_size=0.3),
    monops.DouglasRachford(),
    monops.ForwardBackwardForward(),
)
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS, ids=repr)
every_activation = pytest.mark.parametrize("activation", ["relu", "tanh"])


def layer(
    activation: str = "relu",
    algorithm: Any = None,
    n: int = 5,
    inputs: int = 3,
    tol: float = 1e-12,
    seed: int = 0,
    **kwargs: Any,
) -> MonDEQ:
    """A small float64 layer with a sizeable W."""
    torch.manual_seed(seed)
    linear = MonotoneLinear(n, monotonicity=0.7, dtype=torch.float64)
    with torch.no_grad():
        linear.A.mul_(2.0)
        linear.B.mul_(2.0)
    return MonDEQ(linear, activation, injection=inputs, algorithm=algorithm, tol=tol, max_iter=20_000, **kwargs)


def inputs(rows: int = 4, features: int = 3, seed: int = 1) -> Any:
    """Random float64 inputs."""
    return torch.randn(rows, features, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sigma(module: MonDEQ, h: Any) -> Any:
    """The activation."""
    return module.activation.prox(h, 1.0)


@every_algorithm
@every_activation
def test_gradcheck_in_all_parameters_and_the_input(activation: str, algorithm: Any) -> None:
    module = layer(activation, algorithm, n=3, inputs=2)
    names = [name for name, _ in module.named_parameters()]
    values = [value.detach().clone().requires_grad_() for value in module.parameters()]
    x = inputs(2, 2).requires_grad_()

    def run(x: Any, *parameters: Any) -> Any:
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *values), eps=1e-6, atol=1e-6)


@every_algorithm
@every_activation
def test_the_equilibrium_is_the_fixed_point_for_every_step(activation: str, algorithm: Any) -> None:
    """Libraries that use sigma for prox_{step f} converge to another point for tanh."""
    module, x = layer(activation, algorithm, tol=1e-11), inputs()
    z = module(x)
    miss = z - sigma(module, module.linear(z) + module.injection(x))
    assert float(miss.detach().abs().max()) < 1e-10


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


def test_loss_scale_only_scales_the_gradient() -> None:
    grads = []
    for scale in (1.0, 1e4):
        module = layer(tol=1e-6)
        (scale * module(inputs()).square().sum()).backward()
        grads.append(module.linear.A.grad / scale)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-12, atol=0)


def test_a_row_with_nan_leaves_the_others_alone() -> None:
    module, x = layer(tol=1e-8), inputs(6)
    x[2, 1] = torch.nan
    with pytest.warns(errors.NotConvergedWarning, match="forward pass: 1 of 6 rows: non-finite"):
        z = module(x)
    assert bool(torch.isnan(z[2]).all())
    good = [0, 1, 3, 4, 5]
    torch.testing.assert_close(z[good], module(x[good]), rtol=0, atol=1e-13)


def test_iteration_limits_name_the_pass() -> None:
    module = layer(tol=1e-12)
    module.max_iter = 2
    with pytest.warns(errors.NotConvergedWarning, match="forward pass.*iteration limit"):
        z = module(inputs())
    with pytest.warns(errors.NotConvergedWarning, match="backward pass.*iteration limit"):
        z.sum().backward()


def test_weights_changed_between_forward_and_backward_do_not_matter() -> None:
    """Libraries that keep the factor on the module get a gradient that is off by 200 %."""
    expected, module = layer(), layer()
    expected(inputs()).sum().backward()
    z = module(inputs())
    saved = module.linear.A.data
    module.linear.A.data = 3.0 * saved  # a new tensor: torch's own guard against in-place changes does not see it
    module(inputs())
    module.linear.A.data = saved
    z.sum().backward()
    torch.testing.assert_close(module.injection.weight.grad, expected.injection.weight.grad, rtol=1e-12, atol=1e-14)


def test_copies_after_a_training_step() -> None:
    module, x = layer("tanh"), inputs()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    module(x).sum().backward()
    optimiser.step()
    reference = module(x)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        torch.testing.assert_close(twin(x), reference, rtol=0, atol=0)
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    stream.seek(0)
    fresh = layer("tanh", seed=5)
    fresh.load_state_dict(torch.load(stream))
    torch.testing.assert_close(fresh(x), reference, rtol=0, atol=0)


def test_gradients_in_evaluation_mode_and_none_without_grad() -> None:
    module, x = layer().eval(), inputs().requires_grad_()
    module(x).sum().backward()
    assert x.grad is not None
    with torch.no_grad():
        assert module(x).grad_fn is None


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
    got = ActivationDerivative(J, g).resolvent(x, 0.7)
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
        (lambda: layer(algorithm=monops.ForwardBackward(step_size=50.0))(inputs()), errors.StepSizeError, "proven interval"),
        (lambda: DenseSystem((2.0 * torch.eye(2),), 1.0).exact_constants(), errors.ConstantError, "not strongly monotone"),
    ],
)
def test_bad_arguments_get_a_sentence(call: Any, exception: type[Exception], words: str) -> None:
    with pytest.raises(exception, match=words):
        call()
