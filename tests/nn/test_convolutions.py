"""Convolutions: W from its definition, entry by entry; products, resolvents, gradients, constants; rings and zero padding."""

from __future__ import annotations

import math
from itertools import product as grid
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import monops
from monops.errors import CapabilityError, ConstantError, DataError, ShapeError
from monops_nn import MonDEQ
from monops_nn.parametrize import CircularConvolution, PaddedConvolution
from monops_nn.systems import CircularSystem, PaddedSystem, convolution_constants, fourier

FLOAT = torch.float64
KINDS = ("circular", "ring", "padded")
sizes = st.tuples(st.integers(1, 6), st.integers(1, 7))


def make(kind: str, channels: int, size: Any, kernel_size: int = 3, seed: int = 0, **kwargs: Any) -> Any:
    """A parametrisation with gains far from 1."""
    torch.manual_seed(seed)
    kwargs = {"dtype": FLOAT, "monotonicity": 0.6} | kwargs
    if kind == "circular":
        linear: Any = CircularConvolution(channels, size, kernel_size, **kwargs)
    else:
        linear = PaddedConvolution(channels, size, kernel_size, inverse="fft" if kind == "ring" else None, **kwargs)
    if linear.normalized:
        with torch.no_grad():
            linear.free_gain.fill_(3.0)
            linear.skew_gain.fill_(-2.0)
    return linear


def convolution(kernel: Any, h: int, w: int, border: int, around: bool) -> Any:
    """The matrix of a convolution by its definition: from (c, h, w) to pixels up to ``border`` outside, or around a torus."""
    K = np.asarray(kernel)
    out, channels, rows, columns = K.shape
    H, W = h + 2 * border, w + 2 * border
    matrix = np.zeros((out, H, W, channels, h, w))
    for x, y, i, j in grid(range(-border, h + border), range(-border, w + border), range(rows), range(columns)):
        s, t = x + i - rows // 2, y + j - columns // 2
        if around:
            s, t = s % h, t % w
        if 0 <= s < h and 0 <= t < w:
            matrix[:, x + border, y + border, :, s, t] += K[:, :, i, j]
    return matrix.reshape(out * H * W, channels * h * w)


def weight(linear: Any, kind: str) -> Any:
    """W of the parametrisation on (c, h, w) by its definition."""
    parameters = {name: value.detach().numpy() for name, value in linear.named_parameters()}
    (h, w), k = linear.resolution, linear.kernel_size
    A, B = parameters["A"], parameters["B"]
    around = kind == "circular"
    wide = convolution(A, h, w, 0 if around else k // 2, around)
    skew = convolution(B, h, w, 0, around)
    g = gain = 1.0
    if linear.normalized:
        g = math.log1p(math.exp(parameters["free_gain"])) / max(np.sum(A * A), 1e-300)
        gain = parameters["skew_gain"] / max(np.linalg.norm(B), 1e-300)
    m = float(linear.monotonicity.detach())
    return (1.0 - m) * np.eye(skew.shape[0]) - g * wide.T @ wide + gain * (skew - skew.T)


def rows(system: Any, count: int = 3, seed: int = 1) -> Any:
    return torch.randn(count, system.size, dtype=FLOAT, generator=torch.Generator().manual_seed(seed))


def assert_close(found: Any, expected: Any, tolerance: float = 1e-11) -> None:
    expected = torch.as_tensor(expected)
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= tolerance * max(1.0, float(expected.abs().max()))


@given(st.sampled_from(KINDS), st.integers(1, 3), sizes, st.sampled_from((1, 3, 5)), st.booleans(), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_w_is_that_of_the_definition(kind: str, c: int, size: Any, k: int, normalized: bool, seed: int) -> None:
    if kind == "circular":
        size = (max(size[0], k), max(size[1], k))
    linear = make(kind, c, size, k, seed, normalized=normalized)
    W = weight(linear, kind)
    states = torch.randn(2, c, *size, dtype=FLOAT, generator=torch.Generator().manual_seed(seed))
    assert_close(linear(states).detach().reshape(2, -1), states.reshape(2, -1).numpy() @ W.T)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("c", "size"), [(1, (1, 2)), (2, (5, 4)), (3, (3, 3)), (2, (4, 17)), (14, (3, 2)), (1, (17, 1))])
def test_products_resolvents_and_gradients_agree_with_the_matrix(kind: str, c: int, size: Any) -> None:
    system = make(kind, c, size, 1 if kind == "circular" and min(size) < 3 else 3).current_system()
    z, u, W, step = rows(system), rows(system, seed=2), system.dense().numpy(), 0.7
    assert_close(system.product(z).detach(), z.numpy() @ W.T)
    assert_close(system.product_transposed(u).detach(), u.numpy() @ W)
    (expected,) = torch.autograd.grad((u * system.product(z)).sum(), system.weights)
    assert_close(system.cotangents(u, z)[0].detach(), expected)
    with torch.no_grad():
        assert_close(system.product(z), z.numpy() @ W.T)  # what is kept without gradients serves none
    (again,) = torch.autograd.grad((u * system.product(z)).sum(), system.weights)
    assert_close(again, expected)
    if not system.has_resolvent:
        with pytest.raises(CapabilityError, match="ForwardBackwardForward"):
            system.resolvent(z, step)
        return
    matrix = (1.0 + step) * np.eye(system.size) - step * W
    assert_close(system.resolvent(z, step), np.linalg.solve(matrix, z.numpy().T).T)
    assert_close(system.resolvent_transposed(z, step), np.linalg.solve(matrix.T, z.numpy().T).T)
    assert_close(system.resolvent(z, 2.0), np.linalg.solve(3.0 * np.eye(system.size) - 2.0 * W, z.numpy().T).T)


@pytest.mark.parametrize("size", [(2, 3), (5, 4), (17, 6)])
@pytest.mark.parametrize("taps", [(1, 1), (3, 5), (7, 3)])
def test_kernels_beyond_the_torus_wrap_around(size: Any, taps: Any) -> None:
    kernel = torch.randn(2, 2, *taps, dtype=FLOAT, generator=torch.Generator().manual_seed(0))
    system = CircularSystem((kernel,), 1.0, size)
    assert_close(system.dense(), convolution(kernel, *size, 0, True))


@pytest.mark.parametrize("size", [(6, 7), (8, 5)])
def test_a_symbol_is_that_of_torch_circular_padding(size: Any) -> None:
    kernel = torch.randn(3, 2, 3, 5, dtype=FLOAT, generator=torch.Generator().manual_seed(0))
    z = torch.randn(4, 2, *size, dtype=FLOAT, generator=torch.Generator().manual_seed(1))
    expected = torch.nn.functional.conv2d(torch.nn.functional.pad(z, (2, 2, 1, 1), mode="circular"), kernel)
    assert_close(fourier.convolve(fourier.symbol(kernel, size), z), expected)


@pytest.mark.parametrize("size", [(1, 1), (4, 6), (5, 3), (17, 34), (2, 19)])
def test_spectra_are_those_of_torch_and_weighted_inner_products(size: Any) -> None:
    z, u = (torch.randn(2, 3, *size, dtype=FLOAT, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    expected = torch.fft.rfftn(z, dim=(2, 3)).flatten(2).permute(2, 1, 0)
    found = fourier.spectrum(z)
    assert_close(torch.view_as_real(found), torch.view_as_real(expected))
    assert_close(fourier.image(found.contiguous(), size), z)
    inner = (fourier.spectrum_weights(size, found) * (found.conj() * fourier.spectrum(u)).real).sum()
    assert_close(inner, (z * u).sum())


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    system = make("circular", 3, (4, 5)).current_system()
    z, u = rows(system, 7), rows(system, 7, seed=2)
    whole = (system.product(z), system.resolvent(z, 0.5), *system.cotangents(u, z))
    monkeypatch.setattr(fourier, "ENTRIES_AT_ONCE", 2 * system.size + 1)
    system = CircularSystem(system.weights, 1.0, system.torus)
    for found, expected in zip((system.product(z), system.resolvent(z, 0.5), *system.cotangents(u, z)), whole, strict=True):
        assert_close(found.detach(), expected.detach())


@pytest.mark.parametrize("n", [1, 12, 13, 29, 81])
@pytest.mark.parametrize("size", [0.0, 0.3, 4.0, 100.0, 1e4])
def test_inverses_lose_no_more_digits_than_pivoting_does(n: int, size: float) -> None:
    """Skew parts up to 14 000, with single precision: without pivoting all digits would be lost."""
    generator = torch.Generator().manual_seed(n)
    G = torch.randn(4, n, n, dtype=torch.complex128, generator=generator)
    M = torch.eye(n) + size * (G - G.mH) + 0.1 * G @ G.mH / n
    found, pivoted = fourier.inverse(M.to(torch.complex64)), torch.linalg.inv(M.to(torch.complex64))
    exact = torch.linalg.inv(M)
    scale = float(exact.abs().max())
    assert float((found - exact).abs().max()) <= 30.0 * float((pivoted - exact).abs().max()) + 1e-5 * scale
    assert_close(torch.view_as_real(fourier.inverse(M)), torch.view_as_real(exact), 1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalized", [True, False])
def test_derivatives_in_the_parameters(kind: str, normalized: bool) -> None:
    linear = make(kind, 2, (3, 3), learn_monotonicity=True, normalized=normalized)
    names, values = zip(*linear.named_parameters(), strict=True)
    assert "free_monotonicity" in names
    z = rows(linear.current_system(), 2)

    def moved(*parameters: Any) -> Any:
        state = torch.func.functional_call(
            _Product(linear), {f"linear.{n}": p for n, p in zip(names, parameters, strict=True)}, z
        )
        return state.sin().sum()

    assert torch.autograd.gradcheck(moved, values)
    assert torch.autograd.gradgradcheck(moved, values)


class _Product(torch.nn.Module):
    def __init__(self, linear: Any) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, z: Any) -> Any:
        return self.linear.current_system().product(z)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("free_gain", "skew_gain", "scale"), [(1e3, -1e3, 1.0), (-1e3, 1e3, 1e150), (3.0, 0.0, 0.0), (-800.0, -1.0, 1e-200)]
)
def test_no_parameter_value_costs_monotonicity(kind: str, free_gain: float, skew_gain: float, scale: float) -> None:
    linear = make(kind, 2, (4, 3))
    with torch.no_grad():
        linear.A.mul_(scale)
        linear.B.mul_(scale)
        linear.free_gain.fill_(free_gain)
        linear.skew_gain.fill_(skew_gain)
    W = linear.current_system().dense().numpy()
    assert np.isfinite(W).all()
    least = np.linalg.eigvalsh(np.eye(len(W)) - 0.5 * (W + W.T))[0]
    assert least >= 0.6 - 1e-14 * max(1.0, np.abs(W).max()) * len(W)
    linear.kernel().square().sum().backward()
    assert all(bool(torch.isfinite(parameter.grad).all()) for parameter in linear.parameters())


@given(st.integers(1, 3), st.tuples(st.integers(3, 6), st.integers(3, 6)), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_constants_are_those_of_the_matrix(c: int, size: Any, seed: int) -> None:
    system = make("circular", c, size, seed=seed).current_system()
    M = np.eye(system.size) - system.dense().numpy()
    known = system.exact_constants()
    least, inverse = np.linalg.eigvalsh(0.5 * (M + M.T))[0], np.linalg.inv(M)
    top = np.linalg.norm(M, 2)
    assert known.strong_monotonicity == pytest.approx(least, rel=1e-10)
    assert known.strong_monotonicity <= least
    assert known.lipschitz == pytest.approx(top, rel=1e-10)
    assert known.cocoercivity == pytest.approx(np.linalg.eigvalsh(0.5 * (inverse + inverse.T))[0], rel=1e-9)
    assert top <= system.lipschitz_bound() <= 1.6 * top
    spread = system.spread()
    assert spread.symmetric == pytest.approx(np.linalg.eigvalsh(0.5 * (M + M.T))[-1], rel=0.25)
    assert spread.skew == pytest.approx(np.abs(np.linalg.eigvals(0.5 * (M - M.T))).max(), rel=0.25)


def test_blocks_of_frequencies_change_no_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    system = make("circular", 2, (4, 6)).current_system()
    known, bound = system.exact_constants(), system.lipschitz_bound()
    monkeypatch.setattr(convolution_constants, "CHUNK", 5)
    monkeypatch.setattr(convolution_constants, "CACHE", 5)
    again = system.exact_constants()
    assert again.strong_monotonicity == pytest.approx(known.strong_monotonicity, rel=1e-12)
    assert again.cocoercivity == pytest.approx(known.cocoercivity, rel=1e-12)
    assert again.lipschitz == pytest.approx(known.lipschitz, rel=1e-12)
    assert system.lipschitz_bound() == pytest.approx(bound, rel=1e-12)


def test_the_bound_on_a_coarse_grid_holds_where_the_symbol_peaks_between_its_points() -> None:
    """W = -10 v with v = cos(2 s + pi/8) cos(2 t + pi/8): 10 at s = t = -pi/16, at most 8.54 at multiples of pi/8."""
    angle = torch.tensor(math.pi / 4.0, dtype=FLOAT)
    turn = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos())).reshape(2, 2)
    kernel = torch.zeros(2, 2, 5, 5, dtype=FLOAT)
    kernel[:, :, 4, 4], kernel[:, :, 0, 0] = -2.5 * turn, -2.5 * turn.T
    kernel[:, :, 0, 4] = kernel[:, :, 4, 0] = -2.5 * torch.eye(2)
    system = CircularSystem((kernel,), 1.0, (32, 32))
    largest = torch.linalg.matrix_norm(torch.eye(2) - fourier.symbol(kernel, (32, 32)), 2).max()
    assert float(largest) == pytest.approx(11.0)
    assert 11.0 <= system.lipschitz_bound() <= 11.0 * 1.17 * 2.0**0.125


@pytest.mark.parametrize("kind", ["ring", "padded"])
def test_constants_of_the_torus_bound_those_of_its_sections(kind: str) -> None:
    linear = make(kind, 2, (4, 5))
    M, known = np.eye(40) - weight(linear, kind), linear.current_system().exact_constants()
    assert 0.6 - 1e-12 <= known.strong_monotonicity <= np.linalg.eigvalsh(0.5 * (M + M.T))[0]
    assert np.linalg.norm(M, 2) <= known.lipschitz <= linear.current_system().lipschitz_bound()
    assert known.lipschitz <= 1.5 * np.linalg.norm(M, 2)


def test_the_torus_of_a_section_holds_the_kernel() -> None:
    """One pixel, A = (1, -1): I - W is m + 2, but on a torus of one pixel A would be 0."""
    linear = make("padded", 1, 1, normalized=False)
    with torch.no_grad():
        linear.A.zero_()[0, 0, 1] = torch.tensor([1.0, -1.0, 0.0])
    system = linear.current_system()
    assert float(1.0 - system.dense()) == pytest.approx(2.6)
    assert min(system.exact_constants().lipschitz, system.lipschitz_bound()) >= 2.6


def test_broken_kernels_are_named() -> None:
    with pytest.raises(ConstantError, match="NaN or infinity"):
        CircularSystem((torch.full((1, 1, 1, 1), math.nan),), 1.0, (2, 2)).exact_constants()
    with pytest.raises(ConstantError, match="singular"):
        CircularSystem((torch.ones(1, 1, 1, 1),), 1.0, (2, 2)).exact_constants()
    with pytest.raises(ConstantError, match="not strongly monotone"):
        CircularSystem((torch.full((1, 1, 1, 1), 3.0),), 1.0, (2, 2)).exact_constants()


@pytest.mark.parametrize("k", [3, 5])
def test_the_ring_is_as_wide_as_needed_and_no_wider(k: int) -> None:
    linear = make("ring", 1, (3, 4), k, normalized=False)
    kernel, r = linear.kernel().detach(), k // 2
    assert linear.ring == r
    expected = weight(linear, "ring")
    for width in (r, r - 1):
        torus = (3 + 2 * width, 4 + 2 * width)
        inside = torch.nn.functional.pad(torch.ones(3, 4), (width,) * 4).flatten().bool().numpy()
        found = CircularSystem((kernel,), 1.0, torus).dense().numpy()[np.ix_(inside, inside)]
        assert np.allclose(found, expected, atol=1e-12) == (width == r)
    mask = linear.current_system().mask.reshape(3 + 2 * r, 4 + 2 * r)
    assert float(mask.sum()) == float(mask[r:-r, r:-r].sum()) == 12.0


def test_ring_and_inverse_free_layers_have_the_same_equilibrium_and_gradient() -> None:
    ring, padded = make("ring", 3, (5, 4)), make("padded", 3, (5, 4))
    injection = ring.default_injection(2)
    x = torch.randn(4, 2, 5, 4, dtype=FLOAT, generator=torch.Generator().manual_seed(3))
    found = []
    for linear in (ring, padded):
        layer = MonDEQ(linear, "relu", injection=injection, tol=1e-11, max_iter=20_000)
        injection.zero_grad()
        z = layer(x)
        assert_close(z.detach(), torch.relu(linear(z) + injection(x)).detach(), 1e-9)
        z.square().sum().backward()
        found.append((z.detach(), linear.A.grad, linear.B.grad, linear.free_gain.grad, injection.weight.grad.clone()))
    for one, other in zip(*found, strict=True):
        assert_close(one, other, 1e-8)
    assert float(found[0][1].abs().max()) > 1e-3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch._dynamo itself
def test_forward_mode_and_compiled_steps_agree_with_the_rest() -> None:
    linear = make("circular", 2, (3, 17))
    layer = MonDEQ(linear, "tanh", injection=3, tol=1e-11)
    x = torch.randn(2, 3, 3, 17, dtype=FLOAT, generator=torch.Generator().manual_seed(3))
    parameters = dict(layer.named_parameters())
    name = "linear.skew_gain"

    def total(gain: Any) -> Any:
        return torch.func.functional_call(layer, {**parameters, name: gain}, (x,)).sum()

    (backward,) = torch.autograd.grad(layer(x).sum(), parameters[name])
    assert_close(torch.func.jacfwd(total)(parameters[name].detach()).detach(), backward, 1e-8)
    steps = MonDEQ(linear, "tanh", injection=layer.injection, algorithm=monops.PeacemanRachford(step_size=1.0), fixed_steps=4)
    assert_close(torch.compile(steps, fullgraph=True, backend="eager")(x).detach(), steps(x).detach())


def test_a_circular_layer_commutes_with_shifts_and_keeps_rows_apart() -> None:
    linear = make("circular", 2, (4, 6))
    layer = MonDEQ(linear, "tanh", injection=3, tol=1e-12)
    x = torch.randn(3, 3, 4, 6, dtype=FLOAT, generator=torch.Generator().manual_seed(3))
    z = layer(x).detach()
    assert z.shape == (3, 2, 4, 6)
    assert_close(layer(x.roll((1, 2), (2, 3))).detach(), z.roll((1, 2), (2, 3)), 1e-9)
    broken = linear.enter(x[:, :2].clone())
    broken[1, 5] = math.nan
    assert_close(linear.current_system().product(broken)[[0, 2]].detach(), linear(x[[0, 2], :2]).detach().flatten(1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lower_precision_is_solved_in_single(kind: str, dtype: Any) -> None:
    linear = make(kind, 2, (4, 4), dtype=dtype)
    layer = MonDEQ(linear, injection=1, tol=1e-4)
    system = linear.current_system()
    assert system.weights[0].dtype == torch.float32
    assert system.product(torch.ones(1, system.size)).dtype == torch.float32
    z = layer(torch.ones(2, 1, 4, 4, dtype=dtype))
    z.float().square().sum().backward()
    assert z.dtype == linear.A.grad.dtype == dtype
    assert bool(torch.isfinite(linear.A.grad).all())


def test_a_learned_m_is_what_the_system_declares() -> None:
    linear = make("circular", 1, 3, learn_monotonicity=True, monotonicity=0.3)
    assert linear.certified_monotonicity == pytest.approx(0.3)
    with torch.no_grad():
        linear.free_monotonicity.fill_(-20.0)
    system = linear.current_system()
    assert system.monotonicity == pytest.approx(math.log1p(math.exp(-20.0)))
    assert 1.0 - np.linalg.eigvalsh(weight(linear, "circular") / 2 + weight(linear, "circular").T / 2)[-1] > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0, 4), "channels=0 must be a positive integer"),
        ((2, (4, 0)), "size=0 must be a positive integer"),
        ((2, (4, 4, 4)), "one positive integer or two"),
        ((2, 4, 2), "kernel_size=2 must be odd.*use 3"),
        ((2, 4, 3, -1.0), "monotonicity"),
        ((2, (2, 9), 3), r"kernel_size=3 exceeds the torus \(2, 9\).*PaddedConvolution"),
    ],
)
def test_refusals(arguments: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        CircularConvolution(*arguments)


def test_refusals_of_keywords_and_systems() -> None:
    with pytest.raises(DataError, match="inverse='dct' must be \"fft\" or None"):
        PaddedConvolution(2, 4, inverse="dct")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="normalized=1 must be True or False"):
        PaddedConvolution(2, 4, normalized=1)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="odd, odd"):
        CircularSystem((torch.ones(1, 1, 2, 1),), 1.0, (2, 2))
    with pytest.raises(ShapeError, match="odd, odd"):
        PaddedSystem((torch.ones(1, 2, 1, 1),), 1.0, (2, 2))
    with pytest.raises(ShapeError, match="leaves nothing"):
        CircularSystem((torch.ones(1, 1, 1, 1),), 1.0, (4, 2), 1)
    with pytest.raises(ShapeError, match="must be positive"):
        PaddedSystem((torch.ones(1, 1, 1, 1),), 1.0, (0, 2))
    with pytest.raises(ShapeError, match="a state has"):
        CircularConvolution(2, 4)(torch.ones(1, 2, 4, 5))
