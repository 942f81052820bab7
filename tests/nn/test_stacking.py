"""Networks and cascades of equilibria as one equilibrium layer: against the networks, and against the matrices."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import monops
from monops.arrays import Blocks
from monops.errors import CapabilityError, ConstantError, DataError, NotConvergedWarning, ShapeError
from monops_nn import CircularConvolution, LipschitzBounded, MonDEQ, MonotoneLinear, MultiTierConvolution, PaddedConvolution
from monops_nn.deq import DEQ
from monops_nn.stacking import AffineMap, StackedCell, StackedEquilibrium, stack_equilibria, stack_feedforward
from monops_nn.wellposed import wellposed

F64 = torch.float64


def batch_norm(kind: Any, channels: int) -> nn.Module:
    """Batch norm with statistics that are no identity."""
    layer = kind(channels)
    nn.init.uniform_(layer.running_mean, -1, 1)
    nn.init.uniform_(layer.running_var, 0.3, 3)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    return layer


class Clamp(nn.Module):
    """Hardsigmoid with the derivative 1/6: torch has that number in single precision in its backward pass."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(x / 6 + 0.5, 0, 1)


def dense_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(3, 6), nn.ReLU(), nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 5, bias=False)), nn.Linear(5, 4),
        nn.Sigmoid(), nn.Softplus(), nn.Linear(4, 2),
    )  # fmt: skip


def image_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), batch_norm(nn.BatchNorm2d, 4), nn.LeakyReLU(0.1),
        nn.Conv2d(4, 3, (1, 3), padding="same", bias=False), nn.Hardtanh(), nn.AvgPool2d(2), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(12, 5), batch_norm(nn.BatchNorm1d, 5), nn.ELU(), nn.Linear(5, 3), nn.Softmax(dim=-1),
    ).eval()  # fmt: skip


def signal_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(1, 3, 3, stride=2, dilation=2, padding=2), nn.Softsign(),
        nn.Conv1d(3, 2, 3, padding=1, padding_mode="reflect"),
        nn.Softshrink(0.1), nn.AdaptiveAvgPool1d(3), nn.Hardsigmoid(), nn.Flatten(), nn.ReLU6(inplace=True), nn.Linear(6, 2),
    )  # fmt: skip


def odd_net() -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Unflatten(1, (2, 3)), nn.Linear(3, 2), nn.Identity(), nn.Flatten(), nn.Linear(4, 3))


NETS: dict[str, tuple[Any, tuple[int, ...], int]] = {
    "one layer": (lambda: nn.Sequential(nn.Linear(3, 2), nn.ReLU()), (3,), 1),
    "only bends": (lambda: nn.Sequential(nn.Tanh(), nn.ReLU()), (3,), 2),
    "nothing": (lambda: nn.Sequential(), (3,), 1),
    "dense": (dense_net, (3,), 6),
    "images": (image_net, (2, 8, 8), 4),
    "signals": (signal_net, (1, 12), 5),
    "odd": (odd_net, (6,), 3),
}
KINDS = [(name, dtype) for name in NETS for dtype in (torch.float32, F64)]


def made(name: str, dtype: torch.dtype = F64, **layer: Any) -> tuple[nn.Sequential, StackedEquilibrium, Tensor]:
    torch.manual_seed(0)
    make, shape, _ = NETS[name]
    net = make().to(dtype)
    stacked = stack_feedforward(net, shape, **layer)
    if not list(net.parameters()):
        stacked = stacked.to(dtype)
    return net, stacked, torch.randn(4, *shape, dtype=dtype)


def random_like(z: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(100 * torch.randn_like(block) for block in z)


def close(a: Tensor, b: Tensor, factor: float = 1.0) -> bool:
    eps = 64 * factor * torch.finfo(b.dtype).eps
    return bool((a - b).abs().max() <= eps * (1 + float(b.detach().abs().max())))


# ---- Theorem 1 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "dtype"), KINDS)
def test_a_network_is_one_layer(name: str, dtype: torch.dtype) -> None:
    net, stacked, x = made(name, dtype)
    depth = NETS[name][2]
    assert stacked.depth == depth
    z = stacked(x)
    assert close(z[-1], net(x))
    assert z[-1].dtype == dtype
    for start in (None, random_like(z)):
        solution = stacked.solve(x, start)
        assert all(torch.equal(a, b) for a, b in zip(solution.z, z, strict=True))
        assert float(solution.residual.max()) == 0.0
        assert float(solution.error_bound.max()) == 0.0
        assert int(solution.iterations.max()) <= depth
    assert name in ("nothing", "only bends") or int(solution.iterations.max()) == depth  # and no earlier


@pytest.mark.parametrize("name", list(NETS))
def test_picard_on_the_cell_is_the_network_bit_by_bit(name: str) -> None:
    net, _, x = made(name, torch.float32)
    cell, y = StackedCell(net, NETS[name][1]), x.clone()
    start = Blocks(random_like(cell.initial_state(x)))
    problem = monops.FixedPoint(lambda z, x: Blocks(cell(z, x)), (x,))
    with torch.no_grad():
        result = monops.solve(problem, monops.Picard(), x0=start, batch_ndim=1, check_every=1)
    assert torch.equal(result.x[-1], net(x))
    assert torch.equal(x, y)
    assert float(result.residual.max()) == 0.0
    assert int(result.iterations.max()) <= NETS[name][2]


def test_what_is_no_prox_is_a_cell() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 2)).to(F64)
    x = torch.randn(3, 1, 6, 6, dtype=F64)
    layer = DEQ(StackedCell(net, (1, 6, 6)), algorithm=monops.Picard(), tol=1e-14)
    z = layer(x)
    assert torch.equal(z[-1], net(x))
    wanted = torch.autograd.grad(net(x).square().sum(), list(net.parameters()))
    found = torch.autograd.grad(z[-1].square().sum(), list(net.parameters()))
    assert all(close(a, b) for a, b in zip(found, wanted, strict=True))


EXACTLY = [(name, None) for name in ("one layer", "only bends", "dense", "images", "signals", "odd")]
SPLIT: list[Any] = [("dense", monops.ForwardBackwardForward()), ("signals", monops.ForwardBackward())]
REFLECTED: list[Any] = [(name, monops.PeacemanRachford()) for name in ("only bends", "dense", "images", "signals")]


@pytest.mark.parametrize(("name", "algorithm"), EXACTLY + SPLIT + REFLECTED)
def test_gradients_are_those_of_the_network(name: str, algorithm: Any) -> None:
    net, stacked, x = made(name, algorithm=algorithm, tol=1e-13, max_iter=100_000, monotonicity=0.9)
    x.requires_grad_()
    leaves = [x, *net.parameters()]
    assert [id(p) for p in stacked.parameters()] == [id(p) for p in net.parameters()]  # shared, and listed once
    weight = torch.randn_like(net(x))
    reference = nn.Sequential(*(Clamp() if isinstance(module, nn.Hardsigmoid) else module for module in net))
    wanted = torch.autograd.grad((weight * reference(x)).sum(), leaves)
    found = torch.autograd.grad((weight * stacked(x)[-1]).sum(), leaves)
    for a, b in zip(found, wanted, strict=True):
        assert close(a, b, 1.0 if algorithm is None else 1e4)


def test_gradients_against_finite_differences_of_both_orders() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2), nn.Sigmoid()).to(F64)
    stacked, x = stack_feedforward(net), torch.randn(2, 2, dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: stacked(x)[-1], (x,))
    assert torch.autograd.gradgradcheck(lambda x: stacked(x)[-1], (x,))
    images = nn.Sequential(
        nn.Conv2d(1, 2, 2, padding=1, padding_mode="circular"), nn.Tanh(), nn.Conv2d(2, 1, 2, stride=2), nn.AvgPool2d(2, 1),
        nn.BatchNorm2d(1), nn.Sigmoid(), nn.Flatten(),
    ).to(F64).eval()  # fmt: skip
    whole, pixels = stack_feedforward(images, (1, 5, 4)), torch.randn(2, 1, 5, 4, dtype=F64, requires_grad=True)
    assert close(whole(pixels)[-1], images(pixels))
    leaves = (pixels, *images.parameters())
    assert torch.autograd.gradcheck(lambda *_: whole(pixels)[-1], leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda *_: whole(pixels)[-1], leaves, fast_mode=True)

    def second(f: Any) -> list[Tensor]:
        (first,) = torch.autograd.grad(f(x).square().sum(), x, create_graph=True)
        return list(torch.autograd.grad(first.square().sum(), [x, *net.parameters()], allow_unused=True))

    for a, b in zip(second(lambda x: stacked(x)[-1]), second(net), strict=True):
        assert (a is None and b is None) or close(a, torch.zeros_like(a) if b is None else b)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # in torch's own jacfwd
def test_functional_transforms() -> None:
    for name in ("dense", "signals"):
        net, stacked, x = made(name)
        check_transforms(net if name == "dense" else nn.Sequential(*net[:5], Clamp(), *net[6:]), stacked, x)


def check_transforms(net: nn.Module, stacked: StackedEquilibrium, x: Tensor) -> None:
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        assert close(transform(lambda y: stacked(y)[-1].sum(0))(x), transform(lambda y: net(y).sum(0))(x))
    assert close(torch.func.vmap(lambda y: stacked(y[None])[-1][0])(x), net(x))


@pytest.mark.parametrize("name", ["dense", "signals", "images"])
def test_certified_methods_reach_the_same_state(name: str) -> None:
    net, stacked, x = made(name, tol=1e-11, max_iter=100_000, monotonicity=0.9)
    exact = stacked(x)
    methods: list[Any] = [monops.PeacemanRachford(), monops.DouglasRachford()]
    if name == "dense":
        methods += [monops.ForwardBackwardForward(), monops.PeacemanRachford(step_size=0.4)]
    elif name == "signals":
        methods += [monops.ForwardBackward()]
    for method in methods:
        stacked.algorithm = method
        solution = stacked.solve(x, random_like(exact))
        assert solution.status is monops.Status.CONVERGED
        for a, b, bound in zip(solution.z, exact, itertools.repeat(solution.error_bound), strict=False):
            assert bool(((a - b).flatten(1).norm(dim=1) <= bound + 1e-13).all())
        assert close(solution.z[-1], net(x), 1e4)
    stacked.algorithm, stacked.max_iter = monops.PeacemanRachford(), stacked.depth  # the step found is 1: it ends as well
    solution = stacked.solve(x, random_like(exact))
    assert solution.step_size == 1.0
    assert solution.status is monops.Status.CONVERGED


@pytest.mark.parametrize("name", list(NETS))
@pytest.mark.parametrize("m", [0.1, 0.5, 0.9])
def test_the_metric_certifies(name: str, m: float) -> None:
    _, stacked, x = made(name, monotonicity=m)
    assert stacked.monotonicity == pytest.approx(m)
    m = stacked.monotonicity  # rounded to the dtype of the parameters
    assert stacked.least_eigenvalue() >= m - 1e-12
    W, U, b, psi = stacked.dense()
    M = torch.eye(len(W), dtype=F64) - W
    scaled = torch.diag(psi) @ M + (torch.diag(psi) @ M).mT
    assert float(torch.linalg.eigvalsh(scaled)[0]) > 0
    assert len(stacked.metric) == stacked.depth
    assert float(psi.max()) == 1.0
    assert wellposed(stacked.linear).holds
    # the matrices are those of the layer
    z = torch.cat([block.flatten(1) for block in stacked(x)], dim=1)
    h = z @ W.mT + x.flatten(1) @ U.mT + b
    assert close(stacked.activation.batched(1).prox(h, 1.0), z)
    system = stacked.certified_system()
    known = system.exact_constants()
    assert known.strong_monotonicity >= m - 1e-12
    assert known.lipschitz <= system.lipschitz_bound() * (1 + 1e-12)


def test_norms_are_certified_and_near() -> None:
    torch.manual_seed(0)
    maps = [
        (nn.Linear(5, 7), (5,), 1.0), (nn.Linear(5, 7), (3, 5), 1.0),
        (nn.Conv2d(3, 4, 3, padding=1), (3, 8, 8), 1.05), (nn.Conv2d(2, 5, 3, stride=2, padding=1), (2, 9, 9), 1.05),
        (nn.Conv2d(4, 6, 5, stride=3, groups=2), (4, 12, 11), 1.2), (nn.Conv2d(3, 3, (1, 3), dilation=2), (3, 6, 10), 1.2),
        (nn.Conv1d(2, 3, 4, stride=4), (2, 16), 1.0), (nn.Conv1d(2, 3, 3, padding="same"), (2, 40), 1.05),
        (nn.Conv2d(1, 1, 1), (1, 4, 4), 1.0), (nn.Conv2d(2, 2, 4, stride=1, padding=3), (2, 4, 4), 1.3),
        (nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (2, 6, 6), 2.5),
        (nn.Conv1d(2, 2, 3, padding=2, padding_mode="replicate"), (2, 6), 2.5),
        (nn.AvgPool2d(2), (2, 6, 6), 1.0), (nn.AvgPool2d(3, 2, 1, count_include_pad=False), (3, 7, 7), 1.0),
        (nn.AvgPool1d(3, 1, ceil_mode=True), (1, 9), 1.0), (nn.AvgPool2d(4), (1, 40, 40), 1.0),
        (nn.AdaptiveAvgPool2d((2, 3)), (2, 5, 7), 1.0), (nn.AvgPool2d(4, 3), (1, 40, 40), 1.6),
        (batch_norm(nn.BatchNorm1d, 4).eval(), (4,), 1.0),
    ]  # fmt: skip
    for module, shape, slack in maps:
        A = AffineMap([module.to(F64)], shape)
        weights = A.weights(F64)
        with torch.no_grad():
            identity = torch.eye(math.prod(shape), dtype=F64).reshape(-1, *shape)
            matrix = (module(identity) - module(torch.zeros_like(identity))).flatten(1)
            assert close(A.linear(weights, identity).flatten(1), matrix)
            exact, bound = float(torch.linalg.matrix_norm(matrix, 2)), A.norm(weights)
        assert exact <= bound <= exact * slack * 1.02, module


def test_the_norm_of_a_convolution_between_two_points_of_the_grid() -> None:
    """|K(theta)| has its maximum where cos(theta) = b/4, half-way between points of the grid: the bound must cover it."""
    filter_ = nn.Conv1d(1, 1, 3, bias=False).to(F64)
    with torch.no_grad():
        filter_.weight.copy_(torch.tensor([[[1.0, 4 * math.cos(7 * math.pi / 16), -0.5]]]))
    A = AffineMap([filter_], (1, 400))
    with torch.no_grad():
        matrix = filter_(torch.eye(400, dtype=F64)[:, None])[:, 0]
    exact = float(torch.linalg.matrix_norm(matrix, 2))
    assert exact <= A.norm(A.weights(F64)) <= 1.03 * exact


@pytest.mark.parametrize("name", ["dense", "images", "signals"])
def test_error_bounds_hold_anywhere(name: str) -> None:
    _, stacked, x = made(name)
    with torch.no_grad():
        exact = stacked(x)
        rows, system = stacked._inject(x)[1], stacked.certified_system()
        sigma = stacked._pass().ready(stacked.linear.weights()).sigma
        start = stacked.linear.enter(exact).clone()
        start[:, : stacked.linear.sizes[0]] += 1.0  # a wrong first block, to which the others fit as well as they can
        for steps in range(stacked.depth):
            miss = start - sigma.resolvent(system.product(start) + rows, 1.0)
            bounds = system.error_bounds(miss)
            blocks = stacked.linear.leave(start)
            for i, (block, true) in enumerate(zip(blocks, exact, strict=True)):
                assert bool(((block - true).flatten(1).norm(dim=1) <= bounds[:, i] * (1 + 1e-12) + 1e-13).all()), steps
            following = sigma.resolvent(system.product(start) + rows, 1.0)
            n = stacked.linear.sizes[0]
            start = torch.cat((start[:, :n], following[:, n:]), dim=1)


def test_extreme_weights() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)).to(
        F64
    )
    with torch.no_grad():
        net[2].weight.copy_(1e3 * torch.eye(3))
        net[4].weight.zero_()
    stacked, x = stack_feedforward(net), torch.randn(3, 2, dtype=F64)
    assert close(stacked(x)[-1], net(x))
    assert stacked.least_eigenvalue() >= 0.5
    s = stacked.metric.sqrt()
    assert float(s[1]) == pytest.approx(0.5 / math.cos(math.pi / 5) / 1e3)  # |A_2| s_2/s_1 cos(pi/(d + 1)) = 1 - m
    assert float(s[2]) == 1.0  # nothing comes through: the metric recovers
    wide = stack_feedforward(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)).to(F64))
    with torch.no_grad():
        wide.linear.chain[1].injection.steps[0].weight.mul_(1e150)
    x = torch.randn(3, 2, dtype=F64)
    assert wide.solve(x).status is monops.Status.CONVERGED
    assert wide.least_eigenvalue() >= 0.5 - 1e-9


def test_the_metric_has_the_least_condition_number() -> None:
    """Of all block weights with the same certificate: against a linear programme."""
    from scipy.optimize import linprog

    torch.manual_seed(3)
    net = nn.Sequential(*(nn.Linear(2, 2) for _ in range(7))).to(F64)
    with torch.no_grad():
        for layer, size in zip(net, (1, 5, 0.01, 30, 0.2, 0.1, 8), strict=True):
            layer.weight.mul_(size / torch.linalg.matrix_norm(layer.weight, 2))
    system = stack_feedforward(net).certified_system()
    room = [math.log(0.5 / math.cos(math.pi / 8)) - gain for gain in system.log_gains]
    # variables: log s_1..log s_7, top, bottom; minimise top - bottom
    d = 7
    rows, limits = [], []
    for i, allowed in enumerate(room):
        row = [0.0] * (d + 2)
        row[i], row[i + 1] = -1.0, 1.0
        rows.append(row)
        limits.append(allowed)
    for i in range(d):
        above, below = [0.0] * (d + 2), [0.0] * (d + 2)
        above[i], above[d] = 1.0, -1.0
        below[i], below[d + 1] = -1.0, 1.0
        rows += [above, below]
        limits += [0.0, 0.0]
    best = linprog([0.0] * d + [1.0, -1.0], A_ub=rows, b_ub=limits, bounds=[(None, None)] * (d + 2)).fun
    assert system.log_condition == pytest.approx(2 * best)


def test_a_metric_beyond_floating_point_is_named_and_the_layer_works() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.Tanh()) for _ in range(120))).to(F64)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(60.0)
    stacked, x = stack_feedforward(net), torch.randn(3, 2, dtype=F64)
    solution = stacked.solve(x)
    assert close(solution.z[-1], net(x))
    assert int(solution.iterations.max()) <= 120
    for ask in (lambda: stacked.metric, stacked.dense, stacked.least_eigenvalue):
        with pytest.raises(ConstantError, match=r"condition number e\^\d+, beyond float64"):
            ask()


def test_plain_monotonicity_fails_where_the_metric_certifies() -> None:
    net = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)).to(F64)
    with torch.no_grad():
        net[2].weight.fill_(3.0)
    stacked = stack_feedforward(net)
    W = stacked.dense().W
    assert float(torch.linalg.eigvalsh(torch.eye(2, dtype=F64) - 0.5 * (W + W.mT))[0]) == pytest.approx(-0.5)
    assert wellposed(stacked.linear).rung == "LBEN"
    assert stacked.least_eigenvalue() >= 0.5 - 1e-12


def test_lipschitz_bound_covers_the_network() -> None:
    net, stacked, _ = made("images")
    bound = stacked.lipschitz_bound()
    x = torch.randn(50, 2, 8, 8, dtype=F64)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda y: net(y[None])[0]))(x).flatten(2)
    assert float(torch.linalg.matrix_norm(jacobian.detach(), 2).max()) <= bound
    affine = stack_feedforward(nn.Sequential(nn.Linear(3, 2)).to(F64))
    assert affine.lipschitz_bound() == pytest.approx(float(torch.linalg.matrix_norm(affine.dense().U, 2)))


REFUSED: list[tuple[nn.Module, str]] = [
    (nn.MaxPool2d(2), "MaxPool2d is not known as an affine map"),
    (nn.GELU(), "gelu is the prox of no convex function.*StackedCell"),
    (nn.SiLU(), "StackedCell"),
    (nn.LSTM(4, 4), "LSTM is not known"),
    (nn.LayerNorm(4), "LayerNorm is not known"),
    (nn.PReLU(), "PReLU is not known"),
    (nn.LeakyReLU(2.0), "LeakyReLU.*StackedCell"),
    (nn.Softplus(beta=2.0), "beta = 1"),
    (nn.Softmax(dim=0), "along the only axis"),
    (nn.Dropout(0.5), "dropout in training mode"),
    (nn.BatchNorm1d(4), "statistics of the batch"),
    (nn.BatchNorm1d(4, track_running_stats=False).eval(), "statistics of the batch"),
    (MonotoneLinear(4), "no plain module of torch"),
]


@pytest.mark.parametrize(("module", "sentence"), REFUSED)
def test_refusals(module: nn.Module, sentence: str) -> None:
    with pytest.raises(CapabilityError, match=sentence):
        stack_feedforward(nn.Sequential(nn.Linear(4, 4), module, nn.Linear(4, 2)))


def test_refusals_of_shapes_and_kinds() -> None:
    with pytest.raises(DataError, match=r"must be an nn\.Sequential, got Linear"):
        stack_feedforward(nn.Linear(2, 2))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="input_shape is needed"):
        stack_feedforward(nn.Sequential(nn.Conv2d(1, 2, 3)))
    with pytest.raises(DataError, match="positive integers"):
        stack_feedforward(nn.Sequential(nn.Conv2d(1, 2, 3)), (1, 0, 4))
    with pytest.raises(DataError, match=r"does not take states of shape \(3,\)"):
        stack_feedforward(nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 2)))
    with pytest.raises(DataError, match="flattens the axis of the samples"):
        stack_feedforward(nn.Sequential(nn.Linear(2, 3), nn.Flatten(0)))
    with pytest.raises(DataError, match="between 0 and 1"):
        stack_feedforward(nn.Sequential(nn.Linear(2, 3)), monotonicity=1.0)
    hooked = nn.Linear(3, 3)
    hooked.register_forward_hook(lambda *_: None)
    with pytest.raises(CapabilityError, match="no plain module"):
        stack_feedforward(nn.Sequential(nn.Linear(2, 3), hooked))
    stacked = stack_feedforward(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Dropout(0.5).eval(), nn.Linear(3, 1)))
    with pytest.raises(ShapeError, match=r"reads \(\.\.\., 2\)"):
        stacked(torch.zeros(4, 3))
    with pytest.raises(CapabilityError, match="dropout in training mode"):
        stacked.train()(torch.zeros(4, 2))
    stacked.eval().backward_algorithm = monops.PeacemanRachford()
    with pytest.raises(DataError, match="needs an algorithm too"):
        stacked(torch.zeros(4, 2))
    with pytest.raises(DataError, match="stack_feedforward or stack_equilibria"):
        StackedEquilibrium(MonotoneLinear(3))  # type: ignore[arg-type]


def test_rows_with_nan_touch_no_other() -> None:
    net, stacked, x = made("images")
    x[1, 0, 2, 2] = math.nan
    with pytest.warns(NotConvergedWarning, match="1 of 4 rows"):
        z = stacked(x)[-1]
    good = [0, 2, 3]
    assert bool(z[1].isnan().all())
    assert close(z[good], net(x)[good])


def test_copies_and_states(tmp_path: Any) -> None:
    net, stacked, x = made("images", tol=1e-7)
    twin = copy.deepcopy(stacked)
    with torch.no_grad():
        for p in twin.parameters():
            p.add_(0.1)
    assert close(stacked(x)[-1], net(x))
    assert not close(twin(x)[-1], net(x))
    own = nn.Sequential(*(step for link in twin.linear.chain for step in link.injection.steps))
    assert {id(p) for p in own.parameters()} == {id(p) for p in twin.parameters()}  # U x + b and W z + b read the same copy
    torch.save(stacked.state_dict(), tmp_path / "state")
    twin.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert torch.equal(twin(x)[-1], stacked(x)[-1])
    several = x.reshape(2, 2, *x.shape[1:])
    assert torch.equal(stacked(several)[-1].reshape(4, -1), stacked(x)[-1])
    assert stacked(x[:0])[-1].shape == (0, 3)
    assert stacked(x[0])[-1].shape == (3,)


def test_training_the_layer_trains_the_network() -> None:
    net, stacked, x = made("dense")
    reference = copy.deepcopy(net)
    target = torch.randn_like(net(x))
    for module, run in ((stacked, lambda: stacked(x)[-1]), (reference, lambda: reference(x))):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            (run() - target).square().sum().backward()
            optimizer.step()
    assert all(close(a, b, 10) for a, b in zip(net.parameters(), reference.parameters(), strict=True))


def test_half_precision_parameters() -> None:
    net, stacked, x = made("dense", torch.bfloat16)
    z = stacked(x)[-1]
    assert z.dtype == torch.bfloat16
    assert bool((z - net(x)).abs().max() < 0.05)


# ---- Theorem 2 -------------------------------------------------------------------------------------


def equilibrium(kind: str, activation: str, features: int, inputs: int, **layer: Any) -> MonDEQ:
    if kind == "lipschitz":
        linear: Any = LipschitzBounded(inputs, features, 2, gamma=2.0, dtype=F64)
        nn.init.normal_(linear.log_metric)
    else:
        linear = MonotoneLinear(features, monotonicity=0.4, learn_monotonicity=kind == "learned", dtype=F64)
    return MonDEQ(linear, activation, injection=inputs, tol=1e-13, max_iter=100_000, **layer)


CASCADES = [
    ("monotone", "relu", "monotone", "tanh"),
    ("lipschitz", "tanh", "learned", "sigmoid"),
    ("learned", "softmax", "lipschitz", "relu"),
    ("monotone", "identity", "monotone", "softmax"),
]


@pytest.mark.parametrize(("one", "f", "two", "g"), CASCADES)
@pytest.mark.parametrize("algorithm", [None, monops.DouglasRachford()])
def test_a_cascade_is_one_layer(one: str, f: str, two: str, g: str, algorithm: Any) -> None:
    torch.manual_seed(0)
    first, second = equilibrium(one, f, 5, 3), equilibrium(two, g, 4, 5)
    with torch.no_grad():
        next(second.injection.parameters()).mul_(10.0)
    both = stack_equilibria(first, second, tol=1e-13, max_iter=100_000, algorithm=algorithm)
    x = torch.randn(4, 3, dtype=F64, requires_grad=True)
    z = both(x)
    turn = first(x)
    cascade = second(turn)
    assert torch.allclose(z[0], turn, rtol=0, atol=1e-11)
    assert torch.allclose(z[1], cascade, rtol=0, atol=1e-11)
    leaves = [x, *first.parameters(), *second.parameters()]
    assert {id(p) for p in both.parameters()} == {id(p) for p in leaves[1:]}
    weight = torch.randn_like(cascade)
    wanted = torch.autograd.grad((weight * cascade).sum(), leaves, allow_unused=True)
    found = torch.autograd.grad((weight * z[1]).sum(), leaves, allow_unused=True)
    for a, b in zip(found, wanted, strict=True):
        assert (b is None and (a is None or not a.any())) or torch.allclose(a, b, rtol=1e-9, atol=1e-9)
    assert both.monotonicity == pytest.approx(0.5 * min(layer.linear.certified_monotonicity for layer in (first, second)))
    assert both.least_eigenvalue() >= both.monotonicity - 1e-12
    assert wellposed(both.linear).holds
    system, U = both.certified_system(), second.injection.weight.detach()
    psi = [part.system.metric if part.system.metric is not None else torch.ones(part.size, dtype=F64) for part in system.parts]
    gain = torch.linalg.matrix_norm(psi[1].sqrt()[:, None] * U / psi[0].sqrt(), 2)
    assert math.log(gain) <= system.log_gains[0] + 1e-12
    solution = both.solve(x)
    assert bool((solution.z[1] - cascade).norm(dim=1).le(solution.error_bound + 1e-11).all())
    loose = stack_equilibria(first, second, tol=1e-2, algorithm=algorithm).solve(x)
    errors = torch.cat([(a - b).flatten(1) for a, b in zip(loose.z, z, strict=True)], dim=1).norm(dim=1)
    assert bool((errors <= loose.error_bound).all())
    assert float(loose.error_bound.max()) > 0


@pytest.mark.parametrize("coupling", [1.9, 2.1, 50.0])
def test_plain_monotonicity_is_not_inherited(coupling: float) -> None:
    """W_1 = W_2 = 0: the stack is monotone in the usual metric exactly for |U_2| < 2, in its own always."""
    layers = []
    for _ in range(2):
        linear = MonotoneLinear(2, monotonicity=1.0, dtype=F64)
        nn.init.zeros_(linear.A)
        nn.init.zeros_(linear.B)
        layers.append(MonDEQ(linear, injection=2, tol=1e-13))
    with torch.no_grad():
        layers[1].injection.weight.copy_(coupling * torch.eye(2))
    both = stack_equilibria(*layers, tol=1e-13)
    W = both.dense().W
    least = float(torch.linalg.eigvalsh(torch.eye(4, dtype=F64) - 0.5 * (W + W.mT))[0])
    assert least == pytest.approx(1 - coupling / 2)
    assert (least > 0) is (coupling < 2)
    assert both.least_eigenvalue() >= 0.5 - 1e-12
    x = torch.randn(3, 2, dtype=F64)
    assert torch.allclose(both(x)[1], layers[1](layers[0](x)), atol=1e-11)


def test_a_stack_of_stacks_is_one_chain() -> None:
    torch.manual_seed(0)
    layers = [equilibrium("monotone", f, n, k) for f, n, k in (("relu", 4, 3), ("tanh", 5, 4), ("relu", 2, 5))]
    left = stack_equilibria(stack_equilibria(layers[0], layers[1]), layers[2], tol=1e-13)
    right = stack_equilibria(layers[0], stack_equilibria(layers[1], layers[2]), tol=1e-13)
    x = torch.randn(3, 3, dtype=F64)
    cascade = layers[2](layers[1](layers[0](x)))
    for stacked in (left, right):
        assert stacked.depth == 3
        assert torch.allclose(stacked(x)[-1], cascade, atol=1e-11)
        assert stacked.least_eigenvalue() >= stacked.monotonicity - 1e-12
    assert left.monotonicity == right.monotonicity


def test_networks_and_equilibria_in_one_chain() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU()).to(F64)
    image = MonDEQ(CircularConvolution(3, 4, dtype=F64), injection=2, tol=1e-13)
    padded = MonDEQ(PaddedConvolution(2, 4, dtype=F64), "tanh", injection=3, tol=1e-13)
    head = nn.Sequential(nn.Flatten(), nn.Linear(32, 3), nn.Tanh()).to(F64)
    parts = [stack_feedforward(net, (1, 4, 4)), image, padded, stack_feedforward(head, (2, 4, 4))]
    chain: Any = parts[0]
    for part in parts[1:]:
        chain = stack_equilibria(chain, part, tol=1e-13, max_iter=10_000)
    x = torch.randn(2, 1, 4, 4, dtype=F64, requires_grad=True)
    wanted = head(padded(image(net(x))))
    found = chain(x)
    assert chain.depth == 4
    assert torch.allclose(found[-1], wanted, atol=1e-11)
    parameters = list(chain.parameters())
    first = torch.autograd.grad(wanted.sum(), [x, *parameters], retain_graph=True)
    second = torch.autograd.grad(found[-1].sum(), [x, *parameters])
    assert all(torch.allclose(a, b, rtol=1e-8, atol=1e-9) for a, b in zip(first, second, strict=True))
    assert chain.least_eigenvalue() >= chain.monotonicity - 1e-12
    check_system(chain)
    twin = copy.deepcopy(chain)
    assert torch.equal(twin(x)[-1], chain(x)[-1])


def check_system(stacked: StackedEquilibrium) -> None:
    """Products, resolvents and their transposes against the matrix."""
    system = stacked.certified_system()
    W, identity = system.dense(), torch.eye(system.size, dtype=F64)
    z = torch.randn(3, system.size, dtype=F64)
    assert close(system.product(z), z @ W.mT)
    assert close(system.product_transposed(z), z @ W)
    for step in (0.3, 1.0, 2.5):
        M = (1 + step) * identity - step * W
        assert close(system.resolvent(z, step), torch.linalg.solve(M, z.mT).mT, 10)
        assert close(system.resolvent_transposed(z, step), torch.linalg.solve(M.mT, z.mT).mT, 10)


@pytest.mark.parametrize("name", list(NETS))
def test_the_system_is_its_matrix(name: str) -> None:
    check_system(made(name)[1])


def test_refusals_of_cascades() -> None:
    layer = MonDEQ(MonotoneLinear(3), injection=2)
    with pytest.raises(DataError, match="only MonDEQ layers"):
        stack_equilibria(nn.Linear(2, 2), layer)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"does not take states of shape \(3,\)"):
        stack_equilibria(layer, layer)
    bent = MonDEQ(MonotoneLinear(3), injection=nn.Sequential(nn.Linear(3, 3), nn.ReLU()))
    with pytest.raises(CapabilityError, match="not one of the affine maps"):
        stack_equilibria(layer, bent)
    tiers = MonDEQ(MultiTierConvolution((1, 2), 4), injection=1)
    with pytest.raises(CapabilityError, match="several tiers"):
        stack_equilibria(tiers, layer)
    with pytest.raises(DataError, match="reads"):
        stack_equilibria(layer, stack_feedforward(nn.Sequential(nn.Linear(4, 2))))
    coupled = MonDEQ(LipschitzBounded(3, 4, 2, gamma=1.0), "softmax", injection=3)
    with pytest.raises(CapabilityError, match="couples the entries"):
        stack_equilibria(layer, coupled)
    entered = stack_equilibria(
        MonDEQ(MonotoneLinear(3), injection=nn.Sequential(nn.Linear(2, 3), nn.ReLU())), MonDEQ(MonotoneLinear(2), injection=3)
    )
    with pytest.raises(CapabilityError, match="not known to be affine"):
        entered.dense()


def test_a_small_output_is_exact_too() -> None:
    """The residual of the whole state says nothing of a last block that is 1e-9 times as large as the others."""
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).to(F64)
    with torch.no_grad():
        net[2].weight.mul_(1e-9)
        net[2].bias.zero_()
    x = torch.randn(4, 2, dtype=F64)
    torch.testing.assert_close(stack_feedforward(net)(x)[-1], net(x), rtol=1e-13, atol=0)
