"""What every parametrisation promises, for every value of its parameters: monotone, constants, resolvents, cotangents."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import monops_nn
from monops import errors
from monops_nn import MonDEQ
from monops_nn.parametrize import Parametrization

RING = torch.roll(torch.eye(4), 1, 0) + torch.roll(torch.eye(4), -1, 0)  # bipartite: the normalised adjacency attains -1 and 1
LONELY = torch.tensor([[0.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])  # weights, a loop, a node without neighbours

Build = Callable[..., Parametrization]
CASES: dict[str, Build] = {
    "MonotoneLinear": lambda **k: monops_nn.MonotoneLinear(5, **k),
    "Triangular": lambda **k: monops_nn.Triangular(5, **k),
    "Skew": lambda **k: monops_nn.Skew(5, **k),
    "LowRank": lambda **k: monops_nn.LowRank(8, 2, **k),
    "LowRank full": lambda **k: monops_nn.LowRank(3, 3, **k),
    "LipschitzBounded": lambda **k: monops_nn.LipschitzBounded(3, 5, 2, 0.7, **k),
    "Graph": lambda **k: monops_nn.Graph(RING, 2, **k),
    "Graph lonely": lambda **k: monops_nn.Graph(LONELY, 2, **k),
    "Graph sparse": lambda **k: monops_nn.Graph(RING.to_sparse(), 2, resolvent=False, **k),
    "CircularConvolution": lambda **k: monops_nn.CircularConvolution(2, (3, 4), **k),
    "CircularConvolution free": lambda **k: monops_nn.CircularConvolution(2, 3, normalized=False, **k),
    "PaddedConvolution": lambda **k: monops_nn.PaddedConvolution(2, 3, **k),
    "PaddedConvolution direct": lambda **k: monops_nn.PaddedConvolution(2, (3, 2), inverse=None, **k),
    "MultiTierConvolution": lambda **k: monops_nn.MultiTierConvolution((2, 1), 4, **k),
}
every = pytest.mark.parametrize("name", CASES)
TOLERANCE = 1e-9


def built(name: str, seed: int = 0, **keywords: Any) -> Parametrization:
    """One with m = 0.6, in float64 unless said otherwise, with normal parameters."""
    torch.manual_seed(seed)
    module = CASES[name](**{"monotonicity": 0.6, "dtype": torch.float64, **keywords})
    with torch.no_grad():
        for parameter in free_parameters(module):
            parameter.normal_()
    return module


def free_parameters(module: Parametrization) -> list[nn.Parameter]:
    """All but the free number of m."""
    return [parameter for key, parameter in module.named_parameters() if key != "free_monotonicity"]


def metric_matrix(module: Parametrization) -> Tensor:
    """M = I - W as a matrix, or Psi^(1/2) M Psi^(-1/2), from products with unit vectors."""
    system = module.current_system()
    M = torch.eye(system.size, dtype=torch.float64) - system.dense().double()
    if system.metric is None:
        return M
    root = system.metric.detach().double().sqrt()
    return root[:, None] * M / root


def least(M: Tensor) -> float:
    """lambda_min of the symmetric part."""
    return float(torch.linalg.eigvalsh(0.5 * (M + M.mT))[0])


def rows(module: Parametrization, count: int = 3, seed: int = 5) -> Tensor:
    """Random rows of the solver."""
    size = module.current_system().size
    return torch.randn(count, size, dtype=module.solving_dtype, generator=torch.Generator().manual_seed(seed))


def test_every_parametrisation_of_the_package_is_tested() -> None:
    public = {
        name
        for name, kind in vars(monops_nn).items()
        if isinstance(kind, type) and issubclass(kind, Parametrization) and kind is not Parametrization
    }
    assert public == {case.split()[0] for case in CASES} | {"FeedbackTiers"}  # which has a file of tests of its own


@every
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 99), data=st.data())
def test_the_promise_for_drawn_parameters(name: str, seed: int, data: st.DataObject) -> None:
    module = built(name, seed, learn_monotonicity=data.draw(st.booleans()))
    with torch.no_grad():
        for parameter in free_parameters(module):
            parameter.mul_(data.draw(st.sampled_from([0.0, 1e-3, 0.1, 1.0, -1.0, 10.0, -30.0])))
    M = metric_matrix(module)
    assert least(M) >= module.certified_monotonicity - 1e-11 * float(torch.linalg.matrix_norm(M, 2))


@every
@pytest.mark.parametrize("value", [0.0, 1e4, -1e4, 300.0, -300.0])
def test_the_promise_at_the_extremes(name: str, value: float) -> None:
    """Huge, zero and negative, all equal: kernels and factors of rank one, gains of both signs; the answer stays a number."""
    module = built(name)
    with torch.no_grad():
        for parameter in free_parameters(module):
            parameter.fill_(value)
    M = metric_matrix(module)
    assert bool(torch.isfinite(M).all())
    assert least(M) >= 0.6 - 1e-11 * float(torch.linalg.matrix_norm(M, 2))


@every
@pytest.mark.parametrize("free", [-5.0, 0.3, 4.0, 300.0])
def test_a_learned_monotonicity_keeps_the_promise_and_has_a_gradient(name: str, free: float) -> None:
    module = built(name, learn_monotonicity=True)
    with torch.no_grad():
        module.free_monotonicity.fill_(free)
    m = module.certified_monotonicity
    M = metric_matrix(module)
    assert m > 0
    assert least(M) >= m - 1e-11 * float(torch.linalg.matrix_norm(M, 2))
    (module.weight() * torch.arange(1.0, M.shape[0] + 1)).sum().backward()
    assert module.free_monotonicity.grad is not None
    assert free > 100 or abs(float(module.free_monotonicity.grad)) > 0


@every
def test_the_starting_monotonicity_is_the_one_asked_for(name: str) -> None:
    assert abs(built(name, learn_monotonicity=True).certified_monotonicity - 0.6) < 1e-12
    for wrong in (0.0, -1.0, float("nan"), float("inf"), True):
        with pytest.raises(errors.DataError, match="monotonicity"):
            CASES[name](monotonicity=wrong)


BOUNDS_ONLY = {"PaddedConvolution direct", "Graph sparse"}  # constants over the torus, or over all possible spectra


@every
@pytest.mark.parametrize("seed", range(4))
def test_constants_are_the_dense_eigenvalues_on_the_safe_side(name: str, seed: int) -> None:
    module = built(name, seed)
    known, M = module.current_system().exact_constants(), metric_matrix(module)
    mu, L = least(M), float(torch.linalg.matrix_norm(M, 2))
    beta = least(torch.linalg.inv(M))
    assert known.strong_monotonicity <= mu + 1e-12 * L
    assert known.lipschitz >= L * (1 - 1e-12)
    assert known.cocoercivity <= beta * (1 + 1e-12)
    if name not in BOUNDS_ONLY and name != "MultiTierConvolution":
        assert known.strong_monotonicity == pytest.approx(mu, rel=1e-10, abs=1e-10 * L)
        assert known.lipschitz == pytest.approx(L, rel=1e-10)
        assert known.cocoercivity == pytest.approx(beta, rel=1e-8)
    assert module.current_system().lipschitz_bound() >= L * (1 - 1e-12)
    assert module.current_system().constants.strong_monotonicity <= mu + 1e-12 * L


@every
@pytest.mark.parametrize("step", [0.05, 1.0, 20.0])
def test_resolvents_solve_the_dense_system(name: str, step: float) -> None:
    module = built(name)
    system, x = module.current_system(), rows(module)
    if not system.has_resolvent:
        with pytest.raises(errors.CapabilityError, match=r"ForwardBackwardForward|resolvent=True"):
            system.resolvent(x, step)
        return
    M = torch.eye(system.size, dtype=torch.float64) - system.dense()
    matrix = torch.eye(system.size, dtype=torch.float64) + step * M
    assert torch.allclose(system.resolvent(x, step), torch.linalg.solve(matrix, x.mT).mT, atol=TOLERANCE)
    assert torch.allclose(system.resolvent_transposed(x, step), torch.linalg.solve(matrix.mT, x.mT).mT, atol=TOLERANCE)


@every
def test_the_transposed_product_is_the_adjoint(name: str) -> None:
    system = (module := built(name)).current_system()
    z, u = rows(module, seed=1), rows(module, seed=2)
    left, right = (u * system.product(z)).sum().detach(), (system.product_transposed(u) * z).sum().detach()
    assert float((left - right).abs()) <= TOLERANCE * float((system.product(z).norm() * u.norm()).detach())
    assert torch.allclose(system.product(z), z @ module.weight().mT, atol=TOLERANCE)


@every
def test_cotangents_are_the_gradient_of_the_product(name: str) -> None:
    module = built(name, learn_monotonicity=True)
    z, u = rows(module, seed=1), rows(module, seed=2)
    weights = tuple(weight.detach().requires_grad_() for weight in module.weights())
    system = module.system(weights)
    expected = torch.autograd.grad((u * system.product(z)).sum(), weights)
    for found, wanted, weight in zip(system.cotangents(u, z), expected, weights, strict=True):
        assert found.shape == weight.shape
        assert torch.allclose(found, wanted, atol=TOLERANCE, rtol=1e-9)


@every
def test_rows_never_mix(name: str) -> None:
    system = (module := built(name)).current_system()
    x = rows(module)
    broken = x.clone()
    broken[1] = torch.nan
    maps = [system.product, system.product_transposed]
    if system.has_resolvent:
        maps += [lambda v: system.resolvent(v, 0.5), lambda v: system.resolvent_transposed(v, 0.5)]
    for apply in maps:
        clean, dirty = apply(x), apply(broken)
        assert torch.allclose(clean[[0, 2]], dirty[[0, 2]], atol=TOLERANCE)
        assert bool(dirty[1].isnan().all() if system.mask is None else dirty[1].isnan().any())


@every
def test_states_come_back_from_the_solver_and_held_entries_are_zero(name: str) -> None:
    module = built(name)
    tiers = isinstance(module.shape[0], tuple)
    shapes = module.shape if tiers else (module.shape,)
    states = tuple(torch.randn(3, *shape, dtype=torch.float64) for shape in shapes)
    inside = module.enter(states if tiers else states[0])
    system = module.current_system()
    assert inside.shape == (3, system.size)
    if system.mask is not None:
        assert torch.equal(inside * system.mask, inside)
        assert int(system.mask.sum()) == sum(state[0].numel() for state in states)
    back = module.leave(inside)
    for state, found in zip(states, back if tiers else (back,), strict=True):
        assert torch.equal(state, found)


@every
def test_copies_pickles_and_state_dicts_give_the_same_weight(name: str) -> None:
    module = built(name)
    stored = io.BytesIO()
    torch.save(module, stored)
    stored.seek(0)
    other = built(name, seed=9)
    other.load_state_dict(module.state_dict())
    for same in (copy.deepcopy(module), torch.load(stored, weights_only=False), other):
        assert torch.equal(same.weight(), module.weight())


@every
@pytest.mark.parametrize("cast", [False, True], ids=["built", "cast"])
def test_half_precision_parameters_are_solved_in_single(name: str, cast: bool) -> None:
    """Data that are no parameters (the graph) must not lose digits when the module is cast."""
    module = built(name, dtype=torch.float32 if cast else torch.bfloat16).to(torch.bfloat16)
    assert all(parameter.dtype == torch.bfloat16 for parameter in module.parameters())
    exact = copy.deepcopy(module).double()
    assert module.certified_monotonicity == pytest.approx(exact.certified_monotonicity)
    system, x = module.current_system(), rows(module)
    assert system.product(x).dtype == torch.float32
    assert torch.allclose(system.product(x).double(), x.double() @ exact.weight().mT, atol=1e-4, rtol=1e-4)
    if system.has_resolvent:
        matrix = 2.0 * torch.eye(system.size, dtype=torch.float64) - exact.weight()
        assert torch.allclose(system.resolvent(x, 1.0).double(), torch.linalg.solve(matrix, x.double().mT).mT, atol=1e-5)


@every
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_layers_reach_the_fixed_point(name: str, activation: str) -> None:
    module = built(name)
    layer = MonDEQ(module, activation, injection=3, tol=1e-10, max_iter=50_000).double()
    axes = (2,) if module.input_ndim == 1 else module.shape[:1] if module.input_ndim == 2 else ()
    first = module.shape[0] if isinstance(module.shape[0], tuple) else module.shape
    x = torch.randn(2, *({1: (3,), 2: (*axes, 3), 3: (3, *first[1:])}[module.input_ndim]), dtype=torch.float64)
    z, c = layer(x), layer.injection(x)
    tiers = z if isinstance(z, tuple) else (z,)
    products = module(z) if isinstance(z, tuple) else (module(z),)
    for index, (state, product) in enumerate(zip(tiers, products, strict=True)):
        h = product + (c if index == 0 else 0.0)
        assert torch.allclose(state, getattr(torch, activation)(h), atol=1e-7)


@pytest.mark.parametrize("kind", [monops_nn.MonotoneLinear, monops_nn.Triangular])
@pytest.mark.parametrize("rank", [0, 1, 4])
def test_every_weight_of_the_set_can_be_assigned(kind: Any, rank: int) -> None:
    """No loss of generality, on the boundary of the set too: (1 - m) I - sym W of any rank."""
    torch.manual_seed(rank)
    linear = kind(4, 0.3, dtype=torch.float64)
    F, S = torch.randn(rank, 4, dtype=torch.float64), torch.randn(4, 4, dtype=torch.float64)
    W = 0.7 * torch.eye(4, dtype=torch.float64) - F.mT @ F + S - S.mT
    assert linear.contains(W)
    linear.assign(W)
    assert torch.allclose(linear.weight(), W, atol=1e-12)
    assert linear.contains(linear.sample(torch.Generator().manual_seed(1)))
    outside = W + 1e-6 * torch.eye(4, dtype=torch.float64)
    if rank < 4:
        assert not linear.contains(outside)
        with pytest.raises(errors.ConstantError, match="outside the set"):
            linear.assign(outside)
    with pytest.raises(errors.ShapeError, match=r"needs \(4, 4\)"):
        linear.contains(torch.eye(3, dtype=torch.float64))
    with pytest.raises(errors.DataError, match="NaN"):
        linear.assign(W * torch.nan)


def test_triangular_factors_halve_the_parameters() -> None:
    counts = {kind: sum(p.numel() for p in kind(7).parameters()) for kind in (monops_nn.MonotoneLinear, monops_nn.Triangular)}
    assert counts == {monops_nn.MonotoneLinear: 98, monops_nn.Triangular: 49}


@pytest.mark.parametrize(
    ("adjacency", "exception", "words"),
    [
        (torch.ones(2, 3), errors.ShapeError, "nodes, nodes"),
        (torch.tensor([[0.0, 1.0], [0.0, 0.0]]), errors.DataError, "symmetric"),
        (torch.tensor([[0.0, -1.0], [-1.0, 0.0]]), errors.DataError, "nonnegative"),
        (torch.tensor([[0.0, torch.nan], [torch.nan, 0.0]]), errors.DataError, "symmetric and nonnegative"),
        (RING.to_sparse(), errors.DataError, "resolvent=False"),
    ],
)
def test_graphs_that_cannot_be_meant(adjacency: Tensor, exception: Any, words: str) -> None:
    with pytest.raises(exception, match=words):
        monops_nn.Graph(adjacency, 2)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
@pytest.mark.parametrize("sparse", [Tensor.to_sparse, Tensor.to_sparse_csr], ids=["coo", "csr"])
def test_a_sparse_graph_is_the_dense_one(sparse: Any) -> None:
    dense = built("Graph lonely")
    other = monops_nn.Graph(sparse(LONELY), 2, 0.6, resolvent=False, dtype=torch.float64)
    with torch.no_grad():
        for mine, theirs in zip(free_parameters(other), free_parameters(dense), strict=True):
            mine.copy_(theirs)
    assert torch.allclose(other.weight(), dense.weight(), atol=1e-14)


@every
def test_a_learned_m_never_vanishes(name: str) -> None:
    """Softplus of -1e4 is 0 in every precision: what rounding can hold is added."""
    for dtype in (torch.float32, torch.float64):
        module = built(name, learn_monotonicity=True, dtype=dtype)
        with torch.no_grad():
            module.free_monotonicity.fill_(-1e4)
        assert module.certified_monotonicity >= 50 * torch.finfo(dtype).eps
