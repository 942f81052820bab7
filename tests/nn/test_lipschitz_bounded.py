"""Lipschitz-bounded networks: the matrix inequality, the bound sampled, differentiated and attained, and what U and C share."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import monops
from monops import errors
from monops_nn import LipschitzBounded, LipschitzBoundedNetwork, MonDEQ

F64 = torch.float64


def drawn(seed: int, scale: float = 1.0, metric: float = 1.0, gamma: float = 0.7, **keywords: Any) -> LipschitzBoundedNetwork:
    """A float64 network of 3 inputs, 6 features, 2 outputs, its parameters normal times a scale."""
    torch.manual_seed(seed)
    network = LipschitzBoundedNetwork(3, 6, 2, gamma, monotonicity=0.05, dtype=F64, max_iter=50_000, tol=1e-10, **keywords)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=scale)
        network.layer.linear.log_metric.normal_(std=metric)
    return network


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 999),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 30.0, -1e3]),
    metric=st.sampled_from([0.0, 1.0, 100.0]),
    gamma=st.sampled_from([1e-3, 1.0, 50.0]),
)
def test_the_matrix_inequality_holds_for_every_value_of_the_parameters(
    seed: int, scale: float, metric: float, gamma: float
) -> None:
    """2 Psi - Psi W - W'Psi >= (C'C + Psi U U'Psi)/gamma, scaled from both sides by Psi^(-1/2)."""
    linear = drawn(seed, abs(scale), metric, gamma).layer.linear
    assert isinstance(linear, LipschitzBounded)
    with torch.no_grad():
        root = linear.metric.sqrt()
        W = root[:, None] * linear.weight() / root
        C, U = linear.C / root, root[:, None] * linear.U
        left = 2.0 * torch.eye(6, dtype=F64) - W - W.mT
        gap = torch.linalg.eigvalsh(left - (C.mT @ C + U @ U.mT) / gamma)[0]
        assert float(gap) >= 2 * 0.05 - 1e-12 * float(torch.linalg.matrix_norm(left, 2))


@pytest.mark.parametrize("activation", ["relu", "tanh", "leaky_relu", "soft_threshold"])
@pytest.mark.parametrize("seed", range(3))
def test_outputs_and_gradients_stay_below_gamma(activation: str, seed: int) -> None:
    network = drawn(seed, 1.5, activation=activation)
    x = torch.randn(40, 3, dtype=F64)
    for size in (1e-3, 1.0, 30.0):
        y = x + size * torch.randn_like(x)
        ratio = (network(x) - network(y)).detach().norm(dim=1) / (x - y).norm(dim=1)
        assert float(ratio.max()) <= 0.7 + 1e-5
    point = x[:1].clone().requires_grad_()
    rows = [torch.autograd.grad(network(point)[0, k], point)[0][0] for k in range(2)]
    assert float(torch.linalg.matrix_norm(torch.stack(rows), 2)) <= 0.7 + 1e-6


def test_the_bound_is_attained() -> None:
    """One unit, C = psi U, V = 0: I - W = m + psi U^2/gamma, and the slope C U/(I - W) tends to gamma as m tends to 0."""
    method = monops.PeacemanRachford(step_size=0.2)
    network = LipschitzBoundedNetwork(1, 1, 1, 0.7, monotonicity=1e-8, dtype=F64, tol=1e-13, algorithm=method)
    linear = network.layer.linear
    assert isinstance(linear, LipschitzBounded)
    with torch.no_grad():
        linear.log_metric.fill_(math.log(2.0))
        linear.V.zero_()
        linear.U.fill_(1.5)
        linear.C.copy_(linear.metric * linear.U)
    x = torch.tensor([[1.0], [2.0]], dtype=F64)
    y = network(x).detach()
    assert float(y[1] - y[0]) == pytest.approx(0.7, rel=1e-7)
    assert float(y[1] - y[0]) <= 0.7


def test_a_larger_readout_breaks_the_bound() -> None:
    """The bound is that of the C of the parametrisation, not of any other: the test above has teeth."""
    network = drawn(0, 1.5)
    linear = network.layer.linear
    assert isinstance(linear, LipschitzBounded)
    with torch.no_grad():
        linear.V.zero_()
    x = torch.randn(200, 3, dtype=F64)
    y = x + 1e-3 * torch.randn_like(x)
    z = (network.layer(x) - network.layer(y)).detach()
    C = 100.0 * linear.C.detach()
    assert float(((z @ C.mT).norm(dim=1) / (x - y).norm(dim=1)).max()) > 0.7


def test_u_and_c_are_parameters_of_one_module_and_copies_share_their_own() -> None:
    network = drawn(1)
    names = [name for name, _ in network.named_parameters()]
    assert len(names) == len(set(names)) == len({id(p) for p in network.parameters()})
    other = copy.deepcopy(network)
    x = torch.randn(4, 3, dtype=F64)
    assert torch.equal(other(x), network(x))
    with torch.no_grad():
        network.layer.linear.U.zero_()
    assert not torch.equal(other(x), network(x))
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(x), network(x))
    other(x).sum().backward()
    assert all(parameter.grad is not None for parameter in other.parameters())


def test_what_the_metric_does_not_cover_is_refused() -> None:
    linear = LipschitzBounded(3, 4, 2, 1.0, dtype=F64)
    with pytest.raises(errors.CapabilityError, match="entry by entry"):
        MonDEQ(linear, "softmax", injection=3)(torch.ones(1, 3, dtype=F64))
    with pytest.raises(errors.DataError, match="inputs=3"):
        MonDEQ(linear, injection=4)
    for gamma in (0.0, -1.0, math.inf, True):
        with pytest.raises(errors.DataError, match="gamma"):
            LipschitzBounded(3, 4, 2, gamma)


@pytest.mark.parametrize("transposed", [False, True])
def test_the_error_bound_in_a_metric_holds_and_is_not_loose(transposed: bool) -> None:
    """|d| <= (k + 1/k)/2 |r|/m, k^2 = max Psi/min Psi, for M d = r: the Kantorovich inequality, attained with a skew part."""
    m, k = 0.3, 5.0
    t = (k - 1.0 / k) / (k + 1.0 / k)
    y, n = torch.tensor([1.0, 1.0], dtype=F64) / math.sqrt(2), torch.tensor([1.0, -1.0], dtype=F64) / math.sqrt(2)
    scaled = m * (torch.eye(2, dtype=F64) + t * (torch.outer(n, y) - torch.outer(y, n)))
    root = torch.tensor([k, 1.0], dtype=F64)
    M = scaled * root / root[:, None]
    if transposed:
        M, root = M.mT, 1.0 / root
    assert float(torch.linalg.eigvalsh(root[:, None] * M / root + (root[:, None] * M / root).mT)[0]) / 2 == pytest.approx(m)
    worst = 1.0 / float(torch.linalg.svdvals(M)[-1])
    assert worst <= (k + 1.0 / k) / 2 / m * (1 + 1e-9)
    assert worst == pytest.approx((k + 1.0 / k) / 2 / m, rel=1e-9)


def test_the_bound_of_the_state_is_known_although_the_injection_is_shared() -> None:
    torch.manual_seed(0)
    network = LipschitzBoundedNetwork(2, 5, 1, gamma=1.0, tol=1e-6)
    x, y = torch.randn(200, 2), torch.randn(200, 2)
    ratio = (network.layer(x) - network.layer(y)).norm(dim=1) / (x - y).norm(dim=1)
    assert float(ratio.max().detach()) <= network.layer.lipschitz_bound() * (1 + 1e-4)
