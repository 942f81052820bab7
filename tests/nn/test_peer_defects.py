"""Defects measured in other equilibrium libraries, one test each; the figures in the docstrings are theirs."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import weakref
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")

import monops  # noqa: E402
from monops import errors  # noqa: E402
from monops_nn import MonDEQ, MonotoneLinear  # noqa: E402
from monops_nn.equilibrium import Equilibrium  # noqa: E402
from monops_nn.parametrize.circular_convolution import CircularConvolution  # noqa: E402
from monops_nn.parametrize.multi_tier import MultiTierConvolution  # noqa: E402
from monops_nn.parametrize.padded_convolution import PaddedConvolution  # noqa: E402
from tests.nn.layers import inputs, layer, sigma  # noqa: E402

STEPS = (1.0, 0.5, 0.25, 0.125)


def relative(a: Any, b: Any) -> float:
    """|a - b| / |b|."""
    return float((a - b).detach().norm() / b.detach().norm())


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "softplus"])
def test_the_equilibrium_is_the_fixed_point_for_every_step(activation: str, step: float) -> None:
    """With sigma in place of prox_{step f} tanh converges to points that miss z = sigma(W z + c) by 5 to 18 %."""
    for algorithm in (monops.PeacemanRachford(step), monops.DouglasRachford(step)):
        module, x = layer(activation, algorithm, tol=1e-9), inputs()
        z = module(x)
        assert relative(sigma(module, module.linear(z) + module.injection(x)), z) < 2e-9


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_never_pass_for_convergence(value: float) -> None:
    """A rule on |z+ - z| alone ended an overflow after 72 iterations, without a word."""
    module = layer()
    with torch.no_grad():
        module.injection.weight[0, 0] = value
    with pytest.warns(errors.NotConvergedWarning, match="4 of 4 rows: non-finite"):
        z = module(inputs())
    assert not bool(torch.isfinite(z).any())


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


def test_copies_while_a_graph_is_alive() -> None:
    """A factor kept on the module with its graph makes deepcopy fail after a training forward (averages of weights need it)."""
    module, x = layer(), inputs()
    z = module(x)
    twin = copy.deepcopy(module)
    torch.testing.assert_close(twin(x), z, rtol=0, atol=0)


def test_a_pass_leaves_nothing_on_the_module_and_is_freed() -> None:
    module, x = layer(), inputs()
    before = {name: set(vars(part)) for name, part in module.named_modules()}
    z = module(x)
    node = z.grad_fn
    while node.name() != f"{Equilibrium.__name__}Backward":
        node = node.next_functions[0][0]
    kept = weakref.ref(node.pass_.kept[0].system)
    assert not any(weight.requires_grad for weight in kept().weights)
    z.sum().backward()
    assert before == {name: set(vars(part)) for name, part in module.named_modules()}
    del z, node
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("free", [-8.0, -1.0, 3.0])
@pytest.mark.parametrize(
    "make",
    [
        lambda: PaddedConvolution(2, 4, monotonicity=0.4, dtype=torch.float64),
        lambda: CircularConvolution(2, 4, monotonicity=0.4, dtype=torch.float64),
        lambda: MultiTierConvolution((2, 2), 4, monotonicity=0.4, dtype=torch.float64),
    ],
    ids=["padded", "circular", "tiers"],
)
def test_no_value_of_a_gain_costs_the_monotonicity(make: Any, free: float) -> None:
    """A free factor of A'A brought lambda_min(sym(I - W)) from 1 to -1.87 at -3; its square root gave NaN."""
    torch.manual_seed(0)
    linear = make()
    with torch.no_grad():
        for name, gain in linear.named_parameters():
            if "gain" in name:
                gain.fill_(free)
        W = linear.weight()
    least = torch.linalg.eigvalsh(torch.eye(W.shape[0], dtype=torch.float64) - 0.5 * (W + W.mT))[0]
    assert float(least) >= 0.4 - 1e-12


@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-4, 1e-5])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_error_of_the_gradient_follows_the_tolerance(activation: str, tol: float) -> None:
    """Rules on |z+ - z| left 3.5 to 12 % at 1e-2 and 2.5 to 3.2 % at 1e-3; here against a dense solve at the exact point."""
    exact = layer(activation, n=30, tol=1e-13)
    rough = layer(activation, n=30, tol=tol)
    x, g = inputs(64), torch.randn(64, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        W, c = exact.linear.weight(), exact.injection(x)
        h = (exact(x) @ W.mT + c).requires_grad_()
    slope = torch.autograd.grad(sigma(exact, h).sum(), h)[0]
    matrices = torch.eye(30, dtype=torch.float64) - W.mT * slope[:, None, :]
    expected = slope * torch.linalg.solve(matrices, g[..., None])[..., 0]
    leaf = x.clone().requires_grad_()
    rough(leaf).backward(g)
    assert relative(leaf.grad, expected @ exact.injection.weight) < 2.0 * tol


def test_half_precision_parameters_and_autocast() -> None:
    """An inverse in bfloat16 is not implemented anywhere: solve in float32."""
    torch.manual_seed(0)
    plain = MonDEQ(MonotoneLinear(6), injection=3)
    low = copy.deepcopy(plain).to(torch.bfloat16)
    x = torch.randn(5, 3)
    z = low(x.to(torch.bfloat16))
    z.float().sum().backward()
    assert z.dtype == torch.bfloat16
    assert all(parameter.grad.isfinite().all() for parameter in low.parameters())
    assert relative(z.float(), plain(x)) < 0.05
    with torch.autocast("cpu", torch.bfloat16):
        mixed = plain(x)
        mixed.sum().backward()
    assert relative(mixed.float(), plain(x)) < 0.05
    assert all(parameter.grad.dtype == torch.float32 for parameter in plain.parameters())


@pytest.mark.parametrize(
    "algorithm", [None, monops.Anderson(monops.PeacemanRachford()), monops.ForwardBackwardForward()], ids=repr
)
def test_the_scale_of_the_loss_changes_no_iteration(algorithm: Any) -> None:
    """An absolute ridge made the backward pass take 40, 10 or 9 iterations for losses 1, 100 and 10 000 times as large."""
    gradients = []
    for scale in (1.0, 2.0**14, 2.0**-14):
        module = layer(algorithm=algorithm, tol=1e-6)
        (scale * module(inputs()).square().sum()).backward()
        gradients.append(module.linear.A.grad / scale)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)  # a power of two: equal to the last bit
    torch.testing.assert_close(gradients[0], gradients[2], rtol=0, atol=0)


def test_gradients_in_evaluation_mode_and_none_without_grad() -> None:
    module, x = layer().eval(), inputs().requires_grad_()
    module(x).sum().backward()
    assert x.grad is not None
    with torch.no_grad():
        assert module(x).grad_fn is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: layer(stop_mode="rel"),
        lambda: layer(algoritm=None),
        lambda: MonotoneLinear(3, monotonocity=1.0),
        lambda: monops.PeacemanRachford(alpha=0.5),
    ],
)
def test_misspelt_keywords_are_refused(call: Any) -> None:
    """Swallowed keywords run with the default and no word."""
    with pytest.raises(TypeError, match="unexpected keyword"):
        call()
