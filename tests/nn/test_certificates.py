"""Lipschitz certificates: attained where theory says so, never below what was seen, sharper near an input."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")
from torch import Tensor, nn  # noqa: E402

from monops import errors  # noqa: E402
from monops_nn import CircularConvolution, LipschitzBoundedNetwork, MonDEQ, MonotoneLinear, PaddedConvolution, Skew  # noqa: E402
from monops_nn.certificates import (  # noqa: E402
    certified_radii,
    convolution_norm,
    lipschitz_bounds,
    observed_lipschitz,
    quantise,
)
from monops_nn.certificates.lipschitz import loop_of, multiplier_bounds  # noqa: E402
from monops_nn.certificates.local import preactivation_bounds, secant_slopes  # noqa: E402
from monops_nn.certificates.multipliers import Loop, bound_of, proves  # noqa: E402
from monops_nn.certificates.network import network_of  # noqa: E402
from monops_nn.models import Classifier, multi_tier, single_convolution  # noqa: E402
from tests.nn.certified import double, draw, layer_with, random_model, ratios  # noqa: E402

SMOOTH = ("relu", "leaky_relu", "tanh", "sigmoid", "hardtanh", "softplus", "soft_threshold", "identity")


# ---- Lipschitz constants --------------------------------------------------------------------------


def test_the_crude_bound_is_attained_by_a_scalar() -> None:
    m = 0.25
    layer = layer_with(torch.tensor([[1.0 - m]], dtype=double), torch.ones(1, 1, dtype=double))
    bounds = lipschitz_bounds(layer, steps=20)
    assert bounds.state == pytest.approx(1.0 / m, rel=1e-9)
    assert bounds.outputs == pytest.approx(1.0 / m, rel=1e-8)
    assert bounds.outputs >= 1.0 / m
    z = layer(torch.tensor([[1.0], [2.0]], dtype=double)).detach()
    assert float(z[1] - z[0]) == pytest.approx(1.0 / m, rel=1e-8)


def test_multipliers_are_exact_for_diagonal_networks() -> None:
    """Independent units: each attains c_i u_i/(1 - w_i); together |(c_i u_i/(1 - w_i))_i| for one output of one input each."""
    w, u, c = torch.tensor([0.5, -3.0, -1.0], dtype=double), torch.tensor([1.0, 2.0, -0.5], dtype=double), draw(3)
    layer = layer_with(torch.diag(w), torch.diag(u))
    head = nn.Linear(3, 2, dtype=double)
    with torch.no_grad():
        head.weight.copy_(torch.stack((c, -c)))
    exact = 2.0 * float((c * u / (1.0 - w)).norm())
    bounds = lipschitz_bounds(nn.Sequential(layer, head))
    assert exact <= float(bounds.pairs[0, 1]) <= exact * (1.0 + 2e-3)
    assert float(bounds.pairs_crude[0, 1]) > 1.5 * exact


@pytest.mark.parametrize("activation", SMOOTH)
def test_bounds_lie_between_what_is_seen_and_the_crude_ones(activation: str) -> None:
    model = random_model(activation)
    bounds = lipschitz_bounds(model, steps=20)
    identity = torch.eye(3, dtype=double)
    assert bounds.outputs <= bounds.outputs_crude
    assert bool((bounds.pairs <= bounds.pairs_crude).all())
    assert float(ratios(model, identity).max()) <= bounds.outputs
    seen = observed_lipschitz(model, draw(50, 4, scale=2.0), steps=3)
    assert seen.mean <= seen.value <= bounds.outputs
    for first, second in ((0, 1), (0, 2), (1, 2)):
        rows = (identity[first] - identity[second])[None]
        assert float(ratios(model, rows).max()) <= float(bounds.pairs[first, second])
        assert observed_lipschitz(model, draw(20, 4), rows=rows, steps=2).value <= float(bounds.pairs[first, second])


def test_linear_networks_are_bounded_by_their_norm_almost_exactly() -> None:
    """The identity has slopes in [1, 1]: the bound is the norm of C (I - W)^-1 U."""
    model = random_model("identity")
    parts = network_of(model)
    exact = float(torch.linalg.matrix_norm(parts.readout @ torch.linalg.solve(torch.eye(6) - parts.dense.W, parts.dense.U), 2))
    assert exact * (1 - 1e-12) <= lipschitz_bounds(model, steps=5).outputs <= exact * (1.0 + 1e-4)


def test_slopes_below_one_are_used() -> None:
    """The sigmoid has slopes of at most 1/4: scalar w, 1/4/(1 - w/4) for the unit, not 1/(1 - w)."""
    layer = layer_with(torch.tensor([[0.5]], dtype=double), torch.ones(1, 1, dtype=double), "sigmoid")
    assert lipschitz_bounds(layer, steps=60).outputs == pytest.approx(0.25 / (1.0 - 0.125), rel=1e-4)


def test_the_jacobian_is_that_of_autograd() -> None:
    model = random_model("tanh")
    x = draw(3, 4)
    J = torch.autograd.functional.jacobian(lambda at: model(at[None])[0], x[0])
    assert observed_lipschitz(model, x[:1], steps=0).value == pytest.approx(float(torch.linalg.matrix_norm(J, 2)), rel=1e-6)


def test_the_start_is_never_worse_than_crude_and_improvement_helps() -> None:
    model = random_model(n=10, seed=3)
    start, better = lipschitz_bounds(model, steps=0), lipschitz_bounds(model, steps=40)
    assert start.outputs <= start.outputs_crude
    assert better.outputs < 0.999 * start.outputs
    assert bool((better.pairs <= start.pairs * (1.0 + 1e-9)).all())


def test_a_proof_needs_a_true_bound() -> None:
    """A gamma a billionth below lambda_max has no proof, one a millionth above has; a broken matrix has none."""
    parts = network_of(random_model())
    loop = Loop.of(parts.dense.W, parts.dense.U, parts.readout[None])
    multipliers = torch.ones(1, 6, dtype=double)
    gamma = bound_of(loop, multipliers)
    N = 2 * torch.eye(6) - parts.dense.W - parts.dense.W.mT
    G = parts.readout.mT @ parts.readout + parts.dense.U @ parts.dense.U.mT
    assert float(gamma) == pytest.approx(float(torch.linalg.eigvals(torch.linalg.solve(N, G)).real.max()), rel=1e-10)
    assert not bool(proves(loop, multipliers, gamma * (1.0 - 1e-9)))
    assert bool(proves(loop, multipliers, gamma * (1.0 + 1e-6)))
    assert not bool(proves(loop, multipliers, gamma * torch.nan))
    assert math.isinf(float(bound_of(loop, -multipliers)))
    assert not bool(proves(loop, -multipliers, gamma))


def test_a_direct_path_is_counted() -> None:
    """|W_i z + U_i x|: bounds of preactivations hold, with V = e_i."""
    model = random_model(seed=5)
    parts = network_of(model)
    moves = preactivation_bounds(parts, parts.dense)
    x, y = draw(300, 4, seed=1, scale=2.0), draw(300, 4, seed=2, scale=2.0)
    h = [model[0](at) @ parts.dense.W.mT + at @ parts.dense.U.mT for at in (x, y)]
    assert bool(((h[0] - h[1]).abs() <= moves * (x - y).norm(dim=1, keepdim=True)).all())
    assert bool((moves >= parts.dense.U.norm(dim=1) * 0.0).all())


def test_metric_layers() -> None:
    """gamma by construction is found again, and no bound is below what is seen."""
    torch.manual_seed(0)
    model = LipschitzBoundedNetwork(4, 6, 3, 0.7, dtype=double, tol=1e-11)
    with torch.no_grad():
        model.layer.linear.log_metric.copy_(draw(6))
    bounds = lipschitz_bounds(model, steps=40)
    assert float(ratios(model, torch.eye(3, dtype=double)).max()) <= bounds.outputs <= 0.7 * 1.01
    assert bounds.outputs <= bounds.outputs_crude
    radii = certified_radii(model, draw(4, 4), method="local", bounds=bounds)
    assert bool((radii.radius >= certified_radii(model, draw(4, 4), method="pairs").radius).all())
    with pytest.raises(errors.CapabilityError, match=r"LipschitzBounded has a metric"):
        quantise(model.layer, 8)


def test_other_dense_parametrisations() -> None:
    layer = MonDEQ(Skew(5, 1.0, dtype=double), injection=3, tol=1e-10)
    assert observed_lipschitz(layer, draw(20, 3), steps=1).value <= lipschitz_bounds(layer, steps=20).outputs


def test_coupled_activations_have_the_crude_bounds() -> None:
    layer = MonDEQ(MonotoneLinear(4, dtype=double), "softmax", injection=3, tol=1e-10)
    model = nn.Sequential(layer, nn.Linear(4, 2, dtype=double))
    bounds = lipschitz_bounds(model)
    assert bounds.multipliers is None
    assert bounds.outputs == bounds.outputs_crude
    assert bool((certified_radii(model, draw(3, 3), method="pairs").radius >= 0).all())
    with pytest.raises(errors.CapabilityError, match=r"entry by entry, not MonotoneLinear with softmax: the bounds"):
        certified_radii(model, draw(3, 3), method="multipliers")


def padded_matrix(convolution: nn.Conv2d, size: tuple[int, int]) -> Any:
    eye = torch.eye(convolution.in_channels * size[0] * size[1]).reshape(-1, convolution.in_channels, *size)
    return nn.functional.conv2d(eye, convolution.weight.detach(), padding=convolution.padding).flatten(1)


def test_norms_of_convolutions() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(2, 3, 3, padding=1)
    exact = float(torch.linalg.matrix_norm(padded_matrix(convolution, (6, 5)), 2))
    assert exact <= convolution_norm(convolution, (6, 5)) <= 1.2 * exact
    circular = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")
    eye = torch.eye(2 * 30).reshape(-1, 2, 6, 5)
    with torch.no_grad():
        matrix = (circular(eye) - circular(0 * eye)).flatten(1)
    assert convolution_norm(circular, (6, 5)) == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=1e-5)
    single = nn.Conv2d(1, 1, 3, padding=1)
    column = torch.tensor([[0.0, -0.5, 0.0], [0.0, 1.0, 0.0], [0.0, -0.5, 0.0]])
    for kernel in (column, column.mT):  # one pixel sees the centre only, although the entries sum to 0
        with torch.no_grad():
            single.weight.copy_(kernel[None, None])
        assert convolution_norm(single, (1, 1)) >= 1.0
    with pytest.raises(errors.CapabilityError, match="stride 1"):
        convolution_norm(nn.Conv2d(2, 3, 3, stride=2), (6, 6))


@pytest.mark.parametrize("kind", ["padded", "circular"])
def test_multipliers_a_channel_are_those_of_the_dense_operator(kind: str) -> None:
    """gamma is that of the matrices of the circular operator, and an upper bound for those of its sections."""
    torch.manual_seed(1)
    make = CircularConvolution if kind == "circular" else PaddedConvolution
    linear = make(3, (5, 4), monotonicity=2.0, dtype=double)
    model = Classifier(MonDEQ(linear, "sigmoid", injection=1), 2, "flat", (1, 5, 4))
    frequencies = network_of(model).frequencies
    multipliers = draw(3).exp()
    gammas = frequencies.all_gammas(multipliers)
    with torch.no_grad():
        W = linear(torch.eye(60, dtype=double).reshape(-1, 3, 5, 4)).flatten(1).mT
        pixels = torch.eye(20, dtype=double).reshape(-1, 1, 5, 4)
        U = (model.layer.injection(pixels) - model.layer.injection(0 * pixels)).flatten(1).mT
    L = multipliers.repeat_interleave(20)
    N = 8.0 * torch.diag(L) - L[:, None] * W - (L[:, None] * W).mT  # slopes of at most 1/4
    S = torch.eye(60, dtype=double) + (L[:, None] * U) @ (L[:, None] * U).mT
    exact = float(torch.linalg.eigvals(torch.linalg.solve(N, S)).real.max())
    largest = float(gammas.max())
    assert exact <= largest * (1.0 + 1e-12)
    if kind == "circular":
        assert exact == pytest.approx(largest, rel=1e-9)
    assert frequencies.proves(multipliers, largest * (1.0 + 1e-6))
    assert not frequencies.proves(multipliers, largest * (1.0 - 1e-6))
    logarithms = multipliers.log().requires_grad_()
    assert torch.autograd.gradcheck(lambda at: frequencies.gammas(at.exp(), slice(0, 3)), logarithms)


@pytest.mark.parametrize("kind", ["padded", "plain", "circular"])
def test_every_single_convolution_is_bounded_above_what_is_seen(kind: str) -> None:
    torch.manual_seed(0)
    if kind == "circular":
        linear: Any = CircularConvolution(3, 6, dtype=double)
    else:
        linear = PaddedConvolution(3, 6, dtype=double, inverse="fft" if kind == "padded" else None)
    model = Classifier(MonDEQ(linear, injection=1, tol=1e-9, max_iter=20_000), 3, "flat", (1, 6, 6))
    bounds = lipschitz_bounds(model)
    assert bounds.sharpened
    x = draw(40, 1, 6, 6)
    y = x + 0.2 * draw(40, 1, 6, 6, seed=1)
    with torch.no_grad():
        seen = (model(x) - model(y)).norm(dim=1) / (x - y).flatten(1).norm(dim=1)
    assert float(seen.max()) <= bounds.outputs < bounds.outputs_crude


@pytest.mark.parametrize("make", [lambda: single_convolution((1, 8, 8), 3, 4, 2.0), lambda: multi_tier((1, 8, 8), (2, 3), 4)])
def test_convolutions_have_crude_bounds_with_their_readout_counted_exactly(make: Any) -> None:
    torch.manual_seed(0)
    model = make()
    model.layer.tol = 1e-5
    bounds = lipschitz_bounds(model)
    x = torch.randn(30, 1, 8, 8)
    y = x + torch.randn(30, 1, 8, 8) * 0.3
    with torch.no_grad():
        moved = model(x) - model(y)
    length = (x - y).flatten(1).norm(dim=1)
    assert float((moved.norm(dim=1) / length).max()) <= bounds.outputs
    assert bool(((moved[:, 0] - moved[:, 1]).abs() / length <= float(bounds.pairs[0, 1])).all())
    weight = model.scores.weight.detach()
    shrunk = 0.25 if model.readout == "pooled" else 1.0  # the mean of 16 entries has norm 1/4
    assert bounds.outputs <= 1.0001 * shrunk * float(torch.linalg.matrix_norm(weight, 2)) * bounds.state
    radii = certified_radii(model, x, method="pairs", bounds=bounds)
    assert bool((radii.radius >= 0).all() and (radii.radius > 0).any())
    if model.readout == "pooled":  # multipliers a channel
        assert bounds.outputs < 0.95 * bounds.outputs_crude
        assert bool((certified_radii(model, x, bounds=bounds).radius >= radii.radius).all())
    else:
        assert not bounds.sharpened
    with pytest.raises(errors.CapabilityError, match="dense layer"):
        certified_radii(model, x, method="local")


# ---- local certificates ---------------------------------------------------------------------------


@pytest.mark.parametrize("activation", SMOOTH)
def test_secants_within_reach_lie_in_the_sector(activation: str) -> None:
    model = random_model(activation)
    network = network_of(model)
    h, reach = draw(40, 6, scale=2.0), draw(40, 6, seed=1).abs() + 0.01
    low, high = secant_slopes(network, h, reach)
    assert bool((low <= high + 1e-12).all())
    sigma = model[0].activation
    for t in torch.linspace(-1.0, 1.0, 20, dtype=double):
        slope = (sigma.prox(h + t * reach, 1.0) - sigma.prox(h, 1.0)) / (t * reach)
        assert bool((low <= slope + 1e-9).all())
        assert bool((slope <= high + 1e-9).all())


def test_sectors_of_single_slopes_give_the_exact_norm() -> None:
    """Where no unit can switch the bound is |C (I - J W)^-1 J U|."""
    network = network_of(random_model(seed=2))
    dense = network.dense
    J = torch.tensor([[1.0, 0, 1, 1, 0, 1]], dtype=double)
    loop = Loop.of(dense.W, dense.U, network.readout[None]).narrowed(J, J)
    exact = network.readout @ torch.linalg.solve(torch.eye(6) - J[0][:, None] * dense.W, J[0][:, None] * dense.U)
    assert float(bound_of(loop, torch.ones(1, 6, dtype=double))) == pytest.approx(
        float(torch.linalg.matrix_norm(exact, 2)), rel=1e-4
    )


def test_narrower_sectors_prove_no_less() -> None:
    """With the multipliers of [0, 1] scaled by the width over the spread, as the local radius does."""
    network = network_of(random_model(seed=4))
    dense = network.dense
    bounds, multipliers = multiplier_bounds(network, dense, network.readout[None], torch.tensor([1e9], dtype=double), 30)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        ends = torch.rand(2, 1, 6, dtype=double, generator=generator).sort(dim=0).values
        low, high = ends[0], ends[1]
        loop = loop_of(dense, network.readout[None]).narrowed(low, high)
        scaled = multipliers * (high - low) / ((1 - low) * high + low * (1 - high))
        assert float(bound_of(loop, scaled)) <= float(bounds) * (1 + 1e-6)
        J = low + (high - low) * torch.rand(1, 6, dtype=double, generator=generator)
        inner = torch.linalg.solve(torch.eye(6) - J[0][:, None] * dense.W, J[0][:, None] * dense.U)
        assert float(torch.linalg.matrix_norm(network.readout @ inner, 2)) <= float(bound_of(loop, scaled))


def test_what_only_looks_affine_is_refused() -> None:
    class Cubed(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x**3)

    def model(injection: Any, readout: nn.Module) -> nn.Module:
        return nn.Sequential(MonDEQ(MonotoneLinear(4, 1.0, dtype=torch.float64), injection=injection), readout)

    plain = nn.Linear(4, 3, dtype=torch.float64)
    for broken in (model(Cubed(3, 4, dtype=torch.float64), plain), model(3, Cubed(4, 3, dtype=torch.float64))):
        with pytest.raises(errors.CapabilityError, match="is not known to be affine"):
            lipschitz_bounds(broken, steps=0)
    with pytest.raises(errors.CapabilityError, match="the Lipschitz constant of the injection Cubed is not known"):
        model(Cubed(3, 4, dtype=torch.float64), plain)[0].lipschitz_bound()
    hooked = model(3, plain)
    hooked[0].injection.register_forward_hook(lambda module, inputs, output: 50 * output)
    with pytest.raises(errors.CapabilityError, match="Linear has a forward hook"):
        lipschitz_bounds(hooked, steps=0)
    lost = model(3, nn.Linear(4, 3, dtype=torch.float64))
    lost[1].weight.data[0, 0] = math.nan
    with pytest.raises(errors.DataError, match="NaN or infinity"):
        lipschitz_bounds(lost, steps=0)
