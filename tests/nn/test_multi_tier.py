"""Multi-tier convolutions against conv2d with zeros around every tier, dense solves, and the square that makes W monotone."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")
from torch.nn import functional  # noqa: E402

import monops  # noqa: E402
from monops import errors  # noqa: E402
from monops_nn import MonDEQ, MultiTierConvolution  # noqa: E402
from monops_nn.systems import tiers  # noqa: E402

CASES = [
    ((1, 2), 4, 3),
    ((2, 1), 5, 3),
    ((2, 1, 2), 7, 3),
    ((1, 2, 1), 8, 3),
    ((1, 1), 6, 5),
    ((1, 2), 3, 1),
    ((1, 2, 1), 5, 1),
    ((1, 1, 1, 1), 9, 3),
]
every_case = pytest.mark.parametrize(("channels", "size", "kernel"), CASES)


def make(channels: Any = (2, 1, 2), size: int = 7, kernel: int = 3, **kwargs: Any) -> MultiTierConvolution:
    torch.manual_seed(0)
    linear = MultiTierConvolution(channels, size, kernel, 0.3, dtype=torch.float64, **kwargs)
    with torch.no_grad():
        linear.free_gain.copy_(torch.linspace(-1, 2, len(channels)))
        linear.free_down_gain.copy_(torch.linspace(1, 3, len(channels) - 1))
        linear.skew_gain.copy_(torch.linspace(-2, 2, len(channels)))
    return linear


def states(linear: MultiTierConvolution, batch: int = 3, seed: int = 1) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, *shape, dtype=torch.float64, generator=generator) for shape in linear.shape)


def images(linear: MultiTierConvolution, z: Any) -> list[Any]:
    """A_ii z_i + A_{i,i-1} z_{i-1} on the plane that kernels reach, k // 2 pixels around tier i, by conv2d."""
    A, _, down = linear.kernels()
    reach = linear.kernel_size // 2
    found = [functional.conv2d(part, kernel, padding=2 * reach) for part, kernel in zip(z, A, strict=True)]
    for i, kernel in enumerate(down):
        found[i + 1] = _sum(found[i + 1], strided(z[i], kernel, reach))
    return found


def strided(z: Any, kernel: Any, reach: int) -> Any:
    """A_{i+1,i} z: every second pixel of a convolution of the image in a wide border of zeros."""
    far = 2 * reach + 2
    return functional.conv2d(functional.pad(z, (2 * reach, far, 2 * reach, far)), kernel, stride=2)


def _sum(a: Any, b: Any) -> Any:
    side = max(a.shape[-1], b.shape[-1])
    return sum(functional.pad(x, (0, side - x.shape[-1], 0, side - x.shape[-1])) for x in (a, b))


def reference(linear: MultiTierConvolution, z: Any) -> list[Any]:
    """W z by conv2d, and autograd for the transposes."""
    A, B, down = linear.kernels()
    reach, m, out = linear.kernel_size // 2, linear.monotonicity, []
    for i, part in enumerate(z):
        y = (
            (1 - m) * part
            + functional.conv2d(part, B[i], padding=reach)
            - functional.conv_transpose2d(part, B[i], padding=reach)
        )
        y = y - functional.conv_transpose2d(functional.conv2d(part, A[i], padding=2 * reach), A[i], padding=2 * reach)
        if i < len(down):
            x = part.clone().requires_grad_()
            y = y - torch.autograd.grad(0.5 * strided(x, down[i], reach).square().sum(), x)[0]
        if i:
            plane = part.shape[-1] + 2 * reach
            v = strided(z[i - 1], down[i - 1], reach)[:, :, :plane, :plane]
            v = functional.pad(v, (0, plane - v.shape[-1], 0, plane - v.shape[-1]))
            y = y - 2 * functional.conv_transpose2d(v, A[i], padding=2 * reach)
        out.append(y)
    return out


@every_case
def test_the_product_is_that_of_convolutions_with_zeros_around_every_tier(channels: Any, size: int, kernel: int) -> None:
    linear = make(channels, size, kernel)
    z = states(linear)
    for got, expected in zip(linear(z), reference(linear, z), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-11)


@every_case
def test_completing_the_square(channels: Any, size: int, kernel: int) -> None:
    linear = make(channels, size, kernel)
    z = states(linear)
    inner = sum(((part - W) * part).sum() for part, W in zip(z, linear(z), strict=True))
    square = 0.3 * sum(part.square().sum() for part in z) + sum(part.square().sum() for part in images(linear, z))
    torch.testing.assert_close(inner, square, rtol=1e-11, atol=1e-11)


@every_case
@pytest.mark.parametrize("step", [0.3, 2.0])
def test_resolvents_and_transposes_against_the_dense_matrix(channels: Any, size: int, kernel: int, step: float) -> None:
    system = make(channels, size, kernel).current_system()
    W = system.dense()
    x = torch.randn(4, system.size, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    identity = torch.eye(system.size, dtype=torch.float64)
    R = torch.linalg.inv((1 + step) * identity - step * W)
    torch.testing.assert_close(system.product_transposed(x), x @ W, rtol=0, atol=1e-10)
    torch.testing.assert_close(system.resolvent(x, step), x @ R.mT, rtol=0, atol=1e-10)
    torch.testing.assert_close(system.resolvent_transposed(x, step), x @ R, rtol=0, atol=1e-10)


@every_case
def test_constants_hold_on_all_rows_and_on_the_free_entries(channels: Any, size: int, kernel: int) -> None:
    system = make(channels, size, kernel).current_system()
    M = torch.eye(system.size, dtype=torch.float64) - system.dense()
    least, norm = float(torch.linalg.eigvalsh(0.5 * (M + M.mT))[0]), float(torch.linalg.matrix_norm(M, 2))
    assert least >= 0.3 - 1e-10
    assert norm <= system.lipschitz_bound()
    known = system.exact_constants()
    assert known.strong_monotonicity is not None
    assert known.lipschitz is not None
    assert known.strong_monotonicity <= least + 1e-9
    assert norm <= known.lipschitz * (1 + 1e-12)
    spread = system.spread()
    assert float(torch.linalg.matrix_norm(0.5 * (M + M.mT), 2)) <= spread.symmetric * (1 + 1e-9)
    assert float(torch.linalg.matrix_norm(0.5 * (M - M.mT), 2)) <= spread.skew * (1 + 1e-9)


@every_case
def test_cotangents_are_those_of_autograd(channels: Any, size: int, kernel: int) -> None:
    linear = make(channels, size, kernel)
    weights = tuple(weight.detach().requires_grad_() for weight in linear.weights())
    system = linear.system(weights)
    generator = torch.Generator().manual_seed(3)
    u, z = (torch.randn(3, system.size, dtype=torch.float64, generator=generator) for _ in range(2))
    expected = torch.autograd.grad((u * system.product(z)).sum(), weights)
    for got, right in zip(system.cotangents(u, z), expected, strict=True):
        torch.testing.assert_close(got, right, rtol=0, atol=1e-9)


def test_parts_of_a_batch_give_what_the_batch_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    linear = make()
    system = linear.current_system()
    u, z = torch.randn(2, 5, system.size, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    z[2] = torch.nan  # touches no other row

    def everything() -> list[Any]:
        rows = [system.product(z), system.product_transposed(z), system.resolvent(z, 0.7), system.resolvent_transposed(z, 0.7)]
        return [*rows, *system.cotangents(u[3:], z[3:])]

    whole = everything()
    assert all(bool(torch.isfinite(rows[[0, 1, 3, 4]]).all()) for rows in whole[:4])
    monkeypatch.setattr(tiers, "ENTRIES_AT_ONCE", 2 * system.size)
    for got, expected in zip(everything(), whole, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-11, equal_nan=True)


def test_a_batch_without_samples() -> None:
    layer = MonDEQ(make((1, 2), 5), injection=1)
    fine, coarse = layer(torch.zeros(0, 1, 5, 5, dtype=torch.float64))
    assert (fine.shape, coarse.shape) == ((0, 1, 5, 5), (0, 2, 2, 2))
    fine.sum().backward()
    assert all(bool((kernel.grad == 0).all()) for kernel in layer.linear.A)


@pytest.mark.parametrize("value", [-1e6, -3.0, 0.0, 1e3])
def test_monotone_for_every_value_of_the_parameters(value: float) -> None:
    """The published layer takes the root of a free gain: NaN below 0."""
    linear = make((2, 1), 4, learn_monotonicity=True)
    with torch.no_grad():
        linear.free_gain.fill_(value)
        linear.free_down_gain.fill_(value)
        linear.skew_gain.fill_(value)
        linear.A[0].zero_()
    W = linear.weight()
    W.square().sum().backward()
    assert all(bool(torch.isfinite(parameter.grad).all()) for parameter in linear.parameters() if parameter.grad is not None)
    W = W.detach()
    assert bool(torch.isfinite(W).all())
    M = torch.eye(len(W), dtype=torch.float64) - W
    assert float(torch.linalg.eigvalsh(0.5 * (M + M.mT))[0]) >= linear.certified_monotonicity - 1e-9 * max(1.0, abs(value))


def test_states_go_in_and_come_out() -> None:
    linear = make()
    z = states(linear)
    rows = linear.enter(z)
    assert rows.shape == (3, linear.current_system().size)
    for part, back in zip(z, linear.leave(rows), strict=True):
        torch.testing.assert_close(back, part, rtol=0, atol=0)
    assert bool((rows * (1 - linear.current_system().mask) == 0).all())
    first = linear.leave(linear.enter(z[0]))
    torch.testing.assert_close(first[0], z[0], rtol=0, atol=0)
    assert all(bool((part == 0).all()) for part in first[1:])


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("algorithm", [None, monops.ForwardBackwardForward()], ids=["automatic", "without inverse"])
def test_the_layer_solves_and_its_gradient_is_right(activation: str, algorithm: Any) -> None:
    linear = make((1, 2), 4)
    layer = MonDEQ(linear, activation, injection=1, algorithm=algorithm, tol=1e-11, max_iter=5000)
    x = torch.randn(2, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(4), requires_grad=True)
    z = layer(x)
    c = (layer.injection(x), torch.zeros_like(z[1]))
    for part, W, injected in zip(z, linear(z), c, strict=True):
        h = W + injected
        torch.testing.assert_close(part, torch.relu(h) if activation == "relu" else torch.tanh(h), rtol=0, atol=1e-9)
    names = [name for name, _ in layer.named_parameters()]
    values = [value.detach().clone().requires_grad_() for value in layer.parameters()]

    def run(x: Any, *parameters: Any) -> Any:
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *values), eps=1e-6, atol=1e-5, fast_mode=True)


def test_half_precision_parameters_and_a_warm_start() -> None:
    torch.manual_seed(0)
    layer = MonDEQ(MultiTierConvolution((2, 3), 6), injection=1, tol=1e-5)
    x = torch.randn(4, 1, 6, 6)
    z = layer(x)
    assert int(layer.solve(x, z).iterations.max()) <= int(layer.solve(x).iterations.max())
    rough = layer.to(torch.bfloat16)(x.to(torch.bfloat16))
    assert {part.dtype for part in rough} == {torch.bfloat16}
    assert all(float((a.float() - b).abs().max().detach()) < 0.05 for a, b in zip(rough, z, strict=True))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: MultiTierConvolution((3,), 8), "at least two tiers"),
        (lambda: MultiTierConvolution((3, 3), 1), "leaves nothing for tier 2"),
        (lambda: MultiTierConvolution((3, 0), 8), "the maps of each tier"),
        (lambda: MultiTierConvolution((3, 3), 8, 4), "use 5"),
    ],
)
def test_sizes_that_cannot_be_are_refused(call: Any, words: str) -> None:
    with pytest.raises(errors.DataError, match=words):
        call()


def test_any_leading_axes_pass_through_the_product() -> None:
    linear = make()
    state = tuple(torch.randn(2, 3, *shape, dtype=torch.float64) for shape in linear.shape)
    images = linear(state)
    for row in range(2):
        for image, alone in zip(images, linear(tuple(part[row] for part in state)), strict=True):
            assert torch.allclose(image[row], alone, atol=1e-14)


def test_states_of_another_shape_are_refused() -> None:
    with pytest.raises(errors.ShapeError, match="the tiers of z have shapes"):
        make()((torch.zeros(1, 2, 7, 7),))
