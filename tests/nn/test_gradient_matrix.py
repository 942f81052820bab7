"""gradcheck of the layer in float64: every parametrisation, every family of activations, every method that applies."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")

import monops  # noqa: E402
from monops_nn import LayerNewton, LipschitzBounded, MonDEQ, parametrize  # noqa: E402

F64 = torch.float64
PARAMETRISATIONS: dict[str, Any] = {
    "dense": lambda: parametrize.MonotoneLinear(3, 0.5, dtype=F64),
    "dense, m learned": lambda: parametrize.MonotoneLinear(3, 0.5, learn_monotonicity=True, dtype=F64),
    "triangular": lambda: parametrize.Triangular(3, 0.5, dtype=F64),
    "skew": lambda: parametrize.Skew(3, 0.5, dtype=F64),
    "low rank": lambda: parametrize.LowRank(4, 1, 0.5, dtype=F64),
    "Lipschitz-bounded": lambda: LipschitzBounded(2, 3, 2, 1.0, 0.5, dtype=F64),
    "graph": lambda: parametrize.Graph(torch.ones(2, 2) - torch.eye(2), 2, 0.5, dtype=F64),
    "circular": lambda: parametrize.CircularConvolution(2, (3, 4), 3, 0.5, dtype=F64),
    "padded": lambda: parametrize.PaddedConvolution(1, (3, 2), 3, 0.5, learn_monotonicity=True, dtype=F64),
    "padded, no inverse": lambda: parametrize.PaddedConvolution(1, (3, 2), 3, 0.5, inverse=None, dtype=F64),
    "multi-tier": lambda: parametrize.MultiTierConvolution((1, 2), 3, 3, 0.5, dtype=F64),
}
ACTIVATIONS = {"projection": "relu", "piecewise linear": "leaky_relu", "saturating": "tanh", "unbounded": "softplus"}
METHODS: dict[str, Any] = {
    "forward-backward": monops.ForwardBackward(),
    "Peaceman-Rachford": monops.PeacemanRachford(0.7),
    "Douglas-Rachford": monops.DouglasRachford(),
    "forward-backward-forward": monops.ForwardBackwardForward(),
    "forward-reflected-backward": monops.ForwardReflectedBackward(),
    "Anderson": monops.Anderson(monops.PeacemanRachford(1.0)),
    "Newton": LayerNewton(),
}
DENSE = {"dense", "dense, m learned", "triangular", "skew", "Lipschitz-bounded"}


def applies(parametrisation: str, method: str) -> bool:
    if method == "Newton":
        return parametrisation in DENSE
    return parametrisation != "padded, no inverse" or method not in {"Peaceman-Rachford", "Douglas-Rachford", "Anderson"}


def made(parametrisation: str, activation: str, algorithm: Any, tol: float) -> tuple[MonDEQ, Any]:
    """A layer with fixed parameters, and an input."""
    torch.manual_seed(0)
    linear = PARAMETRISATIONS[parametrisation]()
    convolution = linear.input_ndim == 3
    layer = MonDEQ(linear, activation, injection=1 if convolution else 2, algorithm=algorithm, tol=tol, max_iter=5000)
    shape = (linear.shape[0][1:] if isinstance(linear.shape[0], tuple) else linear.shape[1:]) if convolution else ()
    sample = (1, *shape) if convolution else (*linear.shape[:-1], 2)
    return layer, torch.randn(1, *sample, dtype=F64).requires_grad_()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_gradients_against_finite_differences(parametrisation: str, activation: str) -> None:
    """Along random directions of the input and all parameters together, with the method that is chosen for the layer."""
    layer, x = made(parametrisation, ACTIVATIONS[activation], None, 1e-10)
    names = [name for name, _ in layer.named_parameters()]
    values = [value.detach().clone().requires_grad_() for value in layer.parameters()]

    def run(x: Any, *parameters: Any) -> Any:
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *values), eps=1e-5, atol=1e-5, fast_mode=True)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_every_method_has_the_same_gradient(parametrisation: str, activation: str, method: str) -> None:
    """As the one that the test above compares with finite differences."""
    layer, x = made(parametrisation, activation, METHODS[method], 1e-7)
    if not applies(parametrisation, method):
        with pytest.raises(monops.errors.NotApplicableError):
            layer(x)
        return
    found = torch.autograd.grad(_square(layer(x)), [x, *layer.parameters()])
    reference, same = made(parametrisation, activation, None, 1e-9)
    expected = torch.autograd.grad(_square(reference(same)), [same, *reference.parameters()])
    for got, right in zip(found, expected, strict=True):
        torch.testing.assert_close(got, right, rtol=0, atol=1e-4)


def _square(z: Any) -> Any:
    return sum(part.square().sum() for part in z) if isinstance(z, tuple) else z.square().sum()
