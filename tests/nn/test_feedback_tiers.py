"""Tiers with feedback against conv2d with zeros around every tier, dense eigenvalues, autograd, and tiers without feedback."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")
from torch.nn import functional  # noqa: E402

import monops  # noqa: E402
from monops import errors  # noqa: E402
from monops_nn import MonDEQ, MultiTierConvolution  # noqa: E402
from monops_nn.multiscale import TierInjection, monotone_multiscale  # noqa: E402
from monops_nn.parametrize.feedback_tiers import FeedbackTiers  # noqa: E402
from monops_nn.systems.feedback_tiers import conv_norm  # noqa: E402

CASES: list[tuple[Any, Any, int]] = [
    ((1, 2), 4, 3),
    ((2, 1), 5, 3),
    ((2, 1, 2), (7, 5), 3),
    ((1, 1), 6, 5),
    ((2, 1, 2), 5, 1),
    ((1, 2, 1, 1), 9, 3),
]
every_case = pytest.mark.parametrize(("channels", "size", "kernel"), CASES)


def make(channels: Any = (2, 1, 2), size: Any = 7, kernel: int = 3, **kwargs: Any) -> FeedbackTiers:
    torch.manual_seed(0)
    linear = FeedbackTiers(channels, size, kernel, 0.3, dtype=torch.float64, **kwargs)
    with torch.no_grad():
        for gain in (linear.free_gain, linear.free_down_gain, linear.skew_gain, linear.skew_down_gain):
            gain.copy_(torch.linspace(-1.5, 2, len(gain)))
    return linear


def states(linear: FeedbackTiers, batch: int = 3, seed: int = 1) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, *shape, dtype=torch.float64, generator=generator) for shape in linear.shape)


def scaled(kernel: Any, factor: Any) -> Any:
    return factor * kernel / kernel.norm()


def quadratic(linear: FeedbackTiers, z: Any) -> Any:
    """|A z|^2 by conv2d: A_ii z_i + A_{i,i-1} z_{i-1}."""
    total, k = torch.zeros((), dtype=torch.float64), linear.kernel_size // 2
    for i, part in enumerate(z):
        y = functional.conv2d(part, scaled(linear.A[i], functional.softplus(linear.free_gain[i]).sqrt()), padding=k)
        if i:
            kernel = scaled(linear.down[i - 1], functional.softplus(linear.free_down_gain[i - 1]).sqrt())
            y = y + functional.conv2d(z[i - 1], kernel, stride=2, padding=k)
        total = total + y.square().sum()
    return total


def bilinear(linear: FeedbackTiers, u: Any, z: Any) -> Any:
    """<u, B z> by conv2d: blocks B_ii, and B_ji from every tier to every coarser one."""
    total, count = torch.zeros((), dtype=torch.float64), len(z)
    for i in range(count):
        kernel = scaled(linear.B[i], linear.skew_gain[i])
        total = total + (u[i] * functional.conv2d(z[i], kernel, padding=kernel.shape[-1] // 2)).sum()
    pairs = [(i, i + 1) for i in range(count - 1)] + [(i, j) for i in range(count) for j in range(i + 2, count)]
    for n, (i, j) in enumerate(pairs):
        kernel = scaled(linear.skew_down[n], linear.skew_down_gain[n])
        assert kernel.shape[-1] == linear.kernel_size + 2 ** (j - i) - 2
        total = total + (u[j] * functional.conv2d(z[i], kernel, stride=2 ** (j - i), padding=kernel.shape[-1] // 2)).sum()
    return total


@every_case
def test_product_is_the_definition(channels: Any, size: Any, kernel: int) -> None:
    """<u, W z> = (1 - m) <u, z> - <A u, A z> + <u, B z> - <B u, z>, with the cross term by polarisation."""
    linear = make(channels, size, kernel)
    u, z = states(linear, seed=1), states(linear, seed=2)
    inner = sum((a * b).sum() for a, b in zip(u, z, strict=True))
    both, apart = (tuple(a + s * b for a, b in zip(u, z, strict=True)) for s in (1, -1))
    gram = 0.25 * (quadratic(linear, both) - quadratic(linear, apart))
    expected = 0.7 * inner - gram + bilinear(linear, u, z) - bilinear(linear, z, u)
    found = sum((a * b).sum() for a, b in zip(u, linear(z), strict=True))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-10)


@every_case
def test_transposes_cotangents_and_constants(channels: Any, size: Any, kernel: int) -> None:
    linear = make(channels, size, kernel)
    weights = tuple(weight.detach().requires_grad_() for weight in linear.weights())
    system = linear.system(weights)
    eye = torch.eye(system.size, dtype=torch.float64)
    W = system.product(eye).mT.detach()
    torch.testing.assert_close(system.product_transposed(eye).mT.detach(), W.mT, rtol=0, atol=1e-14)
    u, z = torch.randn(2, 3, system.size, dtype=torch.float64)
    for found, expected in zip(
        system.cotangents(u, z), torch.autograd.grad((u * system.product(z)).sum(), weights), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    M = eye - W
    assert float(torch.linalg.eigvalsh(0.5 * (M + M.mT))[0]) >= 0.3 - 1e-12
    norm = float(torch.linalg.matrix_norm(M, 2))
    assert norm <= system.lipschitz_bound()
    exact = system.exact_constants()
    assert exact.strong_monotonicity >= 0.3 - 1e-10
    assert norm <= exact.lipschitz <= norm * (1 + 1e-6)
    assert all(not cotangent.any() for cotangent in system.cotangents(u[:0], z[:0]))


def test_feedback_reaches_the_finer_tiers() -> None:
    """A coarse tier alone moves every finer one, which tiers without feedback cannot."""
    linear = make((2, 2, 2), 8)
    z = tuple(part[:1] * (n == 2) for n, part in enumerate(states(linear)))
    assert all(bool((part.abs() > 1e-3).any()) for part in linear(z))
    other = MultiTierConvolution((2, 2, 2), 8, dtype=torch.float64)
    assert all(bool((part.abs() < 1e-12).all()) for part in other(z)[:-1])


def test_monotonicity_is_attained_where_A_is_zero() -> None:
    """Then the symmetric part of I - W is m I exactly."""
    linear = make()
    with torch.no_grad():
        for kernel in (*linear.A, *linear.down):
            kernel.zero_()
    W = linear.weight().detach()
    symmetric = torch.eye(len(W), dtype=torch.float64) - 0.5 * (W + W.mT)
    torch.testing.assert_close(symmetric, 0.3 * torch.eye(len(W), dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize("zero", ["A", "B"])
def test_lipschitz_bound_counts_each_part(zero: str) -> None:
    """With one part 0 the norm is m + |A|^2 or about |B - B'|, above m; the bound is at most twice too large."""
    linear = make((4, 4), 12)
    with torch.no_grad():
        for kernel in (*linear.A, *linear.down) if zero == "A" else (*linear.B, *linear.skew_down):
            kernel.zero_()
    W = linear.weight().detach()
    norm = float(torch.linalg.matrix_norm(torch.eye(len(W), dtype=torch.float64) - W, 2))
    assert 0.3 + 0.1 < norm <= linear.current_system().lipschitz_bound() <= 2.0 * norm


def test_without_feedback_it_is_the_multi_tier_convolution() -> None:
    """For kernels of one pixel, B_{i+1,i} = -A_{i+1,i+1}' A_{i+1,i} has one too: W_{i,i+1} = 0, W_{i+1,i} = -2 A'A."""
    linear = FeedbackTiers((2, 3, 2), 8, 1, 0.4, dtype=torch.float64)
    other = MultiTierConvolution((2, 3, 2), 8, 1, 0.4, dtype=torch.float64)
    with torch.no_grad():
        for name in ("A", "B", "down"):
            for mine, theirs in zip(getattr(linear, name), getattr(other, name), strict=True):
                mine.copy_(theirs)
        A, _, down = other.kernels()
        for i, kernel in enumerate(down):
            linear.skew_down[i].zero_()
            product = -(A[i + 1][:, :, 0, 0].mT @ kernel[:, :, 0, 0])
            linear.skew_down[i][:, :, 0, 0] = product
            linear.skew_down_gain[i] = product.norm()
        linear.skew_down_gain[-1] = 0.0
    z = states(linear)
    for mine, theirs in zip(linear(z), other(z), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_norms_of_strided_convolutions(stride: int) -> None:
    """The bound is above the norm on an image, and near it on a large one."""
    torch.manual_seed(stride)
    extent = {1: 3, 2: 3, 4: 5}[stride]
    kernel = torch.randn(3, 2, extent, extent, dtype=torch.float64)
    image = torch.eye(2 * 16 * 16, dtype=torch.float64).reshape(-1, 2, 16, 16)
    matrix = functional.conv2d(image, kernel, stride=stride, padding=extent // 2).flatten(1)
    norm = float(torch.linalg.matrix_norm(matrix, 2))
    assert norm <= conv_norm(kernel, stride) <= 1.2 * norm


METHODS = [None, monops.ForwardBackwardForwardLineSearch()]


@pytest.mark.parametrize("algorithm", METHODS, ids=repr)
def test_equilibrium_and_gradients(algorithm: Any) -> None:
    torch.manual_seed(2)
    linear = FeedbackTiers((1, 2), 2, 3, 1.5, learn_monotonicity=True, dtype=torch.float64)
    injection = TierInjection(1, (1, 2)).double()
    layer = MonDEQ(linear, injection=injection, algorithm=algorithm, tol=1e-9, max_iter=5000)
    x = torch.randn(2, 1, 2, 2, dtype=torch.float64)
    with torch.no_grad():
        for part, Wz, c in zip(layer(x), linear(layer(x)), injection(x), strict=True):
            torch.testing.assert_close(part, torch.relu(Wz + c), rtol=0, atol=1e-8)
    names = ["A.0", "down.0", "B.1", "skew_down.0", "free_gain", "free_monotonicity"]
    values = dict(layer.linear.named_parameters())

    def function(x: Any, *parameters: Any) -> Any:
        given = {f"linear.{name}": value for name, value in zip(names, parameters, strict=True)}
        return torch.cat([part.flatten() for part in torch.func.functional_call(layer, given, (x,))])

    inputs = (x.requires_grad_(), *(values[name].detach().clone().requires_grad_() for name in names))
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True, atol=1e-4)


def test_the_solver_needs_no_inverse_and_says_so() -> None:
    layer = MonDEQ(make((1, 2), 4), injection=1)
    solution = layer.solve(torch.ones(2, 1, 4, 4, dtype=torch.float64))
    assert solution.algorithm.name in ("ForwardBackward", "ForwardBackwardForward")
    system = layer.linear.current_system()
    assert not system.has_resolvent
    with pytest.raises(errors.CapabilityError, match="ForwardBackwardForward"):
        system.resolvent(torch.zeros(1, system.size), 1.0)


def test_segmentation_head_and_rows_that_are_not_finite() -> None:
    torch.manual_seed(0)
    network = monotone_multiscale((1, 6, 6), 3, channels=(2, 3), segment=True)
    x = torch.randn(3, 1, 6, 6)
    assert network(x).shape == (3, 3, 6, 6)
    clean = network(x)[[0, 2]]
    x[1, 0, 0, 0] = torch.nan
    with pytest.warns(errors.NotConvergedWarning):
        broken = network(x)
    assert bool(broken[1].isnan().any())
    torch.testing.assert_close(broken[[0, 2]], clean, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (((2,), 4), "two tiers"),
        ((3, 4), "two tiers"),
        (((1, 2), (4, 4, 4)), "one positive integer or two"),
        (((1, 2), 0), "positive integer"),
        (((1, 2), 4, 2), "odd"),
        (((1, 0), 4), "positive integer"),
    ],
)
def test_refusals(arguments: Any, text: str) -> None:
    with pytest.raises(errors.DataError, match=text):
        FeedbackTiers(*arguments)


def test_shapes_are_checked_and_kept() -> None:
    linear = make((2, 1), 5)
    z = states(linear)
    lead = tuple(part.reshape(3, 1, *part.shape[1:]).float() for part in z)
    assert [part.shape for part in linear(lead)] == [part.shape for part in lead]
    assert all(part.dtype == torch.float32 for part in linear(lead))
    with pytest.raises(errors.ShapeError, match="the tiers of z"):
        linear(z[:1])
    assert linear.shape == ((2, 5, 5), (1, 3, 3))
    assert "size=(5, 5)" in repr(linear)
