"""Derivatives of the layer: every activation, method, mode and order against finite differences."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")

import monops  # noqa: E402
from monops import errors  # noqa: E402
from monops_nn import ACTIVATIONS, LayerNewton, MonDEQ, MonotoneLinear  # noqa: E402

PIECEWISE = {"relu", "relu6", "hardtanh", "hardsigmoid", "leaky_relu", "identity", "soft_threshold", "sparsemax"}
METHODS = (
    monops.ForwardBackward(),
    monops.PeacemanRachford(),
    monops.PeacemanRachford(0.3),
    monops.DouglasRachford(),
    monops.ForwardBackwardForward(),
    monops.ForwardReflectedBackward(),
    monops.Anderson(monops.PeacemanRachford()),
    monops.Anderson(monops.ForwardBackward(), type=1),
    LayerNewton(),
)


def layer(activation: Any = "tanh", algorithm: Any = None, n: int = 4, **kwargs: Any) -> MonDEQ:
    """A small float64 layer whose |W| is larger than 1."""
    torch.manual_seed(0)
    linear = MonotoneLinear(n, 0.7, dtype=torch.float64)
    with torch.no_grad():
        linear.A.mul_(2.0)
        linear.B.mul_(2.0)
    return MonDEQ(linear, activation, injection=3, algorithm=algorithm, tol=1e-12, max_iter=20_000, **kwargs)


def inputs(rows: int = 3) -> Any:
    return torch.randn(rows, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def as_function(module: MonDEQ) -> tuple[Any, list[Any]]:
    """The layer as a function of x and its parameters."""
    names = [name for name, _ in module.named_parameters()]
    values = [value.detach().clone().requires_grad_() for value in module.parameters()]

    def run(x: Any, *parameters: Any) -> Any:
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x,))

    return run, values


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_first_and_second_derivatives_of_every_activation(activation: str) -> None:
    run, values = as_function(layer(activation, n=3))
    x = inputs(2).requires_grad_()
    assert torch.autograd.gradcheck(run, (x, *values), eps=1e-6, atol=1e-6)
    if activation not in PIECEWISE:
        assert torch.autograd.gradgradcheck(run, (x, *values), eps=1e-6, atol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "tanh", "softmax"])
@pytest.mark.parametrize("algorithm", METHODS, ids=lambda method: method.name)
def test_first_derivatives_with_every_method(algorithm: Any, activation: str) -> None:
    if activation == "softmax" and isinstance(algorithm, LayerNewton):
        pytest.skip("LayerNewton acts entry by entry")
    module = layer(activation, algorithm, n=2)
    with torch.no_grad():
        module.linear.A.mul_(0.3)  # kappa near 1: forward-backward takes kappa^2 steps
        module.linear.B.mul_(0.3)
    module.tol = 1e-10
    run, values = as_function(module)
    assert torch.autograd.gradcheck(run, (inputs(1).requires_grad_(), *values), eps=1e-5, atol=1e-6)


def test_a_coupled_activation_without_second_derivative_says_so() -> None:
    module, x = layer("sparsemax"), inputs().requires_grad_()
    (first,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
    with pytest.raises(errors.CapabilityError, match="second derivative of Simplex"):
        first.sum().backward()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch about itself
@pytest.mark.parametrize("activation", ["tanh", "relu", "softmax"])
def test_forward_mode_and_functional_transforms(activation: str) -> None:
    module, x = layer(activation), inputs()
    direction = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(2))
    finite = (module(x + 1e-6 * direction) - module(x - 1e-6 * direction)) / 2e-6
    torch.testing.assert_close(torch.func.jvp(module, (x,), (direction,))[1], finite, rtol=0, atol=1e-8)
    A = module.linear.A.detach()
    moved = torch.randn(A.shape, dtype=A.dtype, generator=torch.Generator().manual_seed(3))

    def of_A(A: Any) -> Any:
        return torch.func.functional_call(module, {**dict(module.named_parameters()), "linear.A": A}, (x,))

    finite = (of_A(A + 1e-6 * moved) - of_A(A - 1e-6 * moved)) / 2e-6
    torch.testing.assert_close(torch.func.jvp(of_A, (A,), (moved,))[1], finite, rtol=0, atol=1e-8)
    jacobian = torch.func.jacrev(module)(x[0])
    torch.testing.assert_close(jacobian, torch.func.jacfwd(module)(x[0]), rtol=0, atol=1e-10)

    def energy(x: Any) -> Any:
        return module(x).square().sum()

    if activation != "relu":
        expected = torch.autograd.functional.hessian(energy, x[0])
        torch.testing.assert_close(torch.func.hessian(energy)(x[0]), expected, rtol=0, atol=1e-10)


def test_gradients_of_each_sample_by_vmap() -> None:
    module, x = layer(), inputs()
    parameters = dict(module.named_parameters())

    def loss(parameters: Any, x: Any) -> Any:
        return torch.func.functional_call(module, parameters, (x,)).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    for row in range(len(x)):
        module.zero_grad()
        loss(parameters, x[row]).backward()
        for name, value in module.named_parameters():
            torch.testing.assert_close(each[name][row], value.grad, rtol=0, atol=1e-11)


def test_an_ensemble_of_weights_by_vmap() -> None:
    modules = [layer() for _ in range(3)]
    with torch.no_grad():
        for k, module in enumerate(modules):
            module.linear.B.mul_(1.0 + k)
    stacked, _ = torch.func.stack_module_state(modules)  # type: ignore[arg-type]
    x = inputs()

    def run(parameters: Any) -> Any:
        return torch.func.functional_call(modules[0], parameters, (x,))

    together = torch.func.vmap(run)(stacked)
    for k, module in enumerate(modules):
        torch.testing.assert_close(together[k], module(x), rtol=0, atol=1e-11)


def test_cheap_gradients_are_what_they_say() -> None:
    """One step: the derivative of one application of the cell; Neumann: that of eight, which is near where |W| is small."""
    torch.manual_seed(0)
    exact = MonDEQ(MonotoneLinear(4, 1.0, dtype=torch.float64), "tanh", injection=3, tol=1e-12)
    with torch.no_grad():
        exact.linear.A.mul_(0.5)
        exact.linear.B.mul_(0.5)
    x = inputs()
    grads = {}
    for gradient in ("implicit", "one_step", "neumann"):
        exact.gradient = gradient
        xs = x.clone().requires_grad_()
        exact(xs).square().sum().backward()
        grads[gradient] = xs.grad
    z = exact(x).detach()
    xs = x.clone().requires_grad_()
    torch.tanh(exact.linear(z) + exact.injection(xs)).mul(2 * z).sum().backward()
    torch.testing.assert_close(grads["one_step"], xs.grad, rtol=0, atol=1e-10)
    near, far = ((grads[kind] - grads["implicit"]).abs().max() for kind in ("neumann", "one_step"))
    assert float(near) < 0.05 * float(far)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_fixed_steps_compile_as_one_graph(activation: str) -> None:
    module = layer(activation, monops.PeacemanRachford(1.0), fixed_steps=60)
    x = inputs()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    z = compiled(x)
    z.square().sum().backward()
    gradient = module.linear.A.grad.clone()
    exact = layer(activation, monops.PeacemanRachford(1.0))
    expected = exact(x)
    expected.square().sum().backward()
    torch.testing.assert_close(z, expected, rtol=0, atol=1e-7)
    torch.testing.assert_close(gradient, exact.linear.A.grad, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("activation", "algorithm", "exception", "words"),
    [
        ("relu", None, errors.DataError, "reads nothing from the device"),
        ("relu", monops.ForwardBackward(), errors.DataError, "reads nothing from the device"),
        ("tanh", monops.PeacemanRachford(0.5), errors.CapabilityError, "step size 1"),
        ("softmax", monops.PeacemanRachford(1.0), errors.CapabilityError, "fixed_steps needs the activation"),
    ],
)
def test_what_cannot_run_for_fixed_steps_is_refused(activation: str, algorithm: Any, exception: Any, words: str) -> None:
    with pytest.raises(exception, match=words):
        layer(activation, algorithm, fixed_steps=3)
