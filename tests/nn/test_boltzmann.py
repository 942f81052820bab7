"""Monotone deep Boltzmann machines: couplings, mean fields, derivatives, masks, and what goes wrong without them."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

import monops
from monops.errors import CapabilityError, DataError, NotConvergedWarning, ShapeError
from monops.functions import Softmax
from monops.result import Status
from monops_nn.boltzmann import (
    BoltzmannMachine,
    Couplings,
    DenseBoltzmann,
    Factor,
    FactorSystem,
    Layer,
    LayeredBoltzmann,
    MeanField,
    Nodes,
    NodeSoftmax,
    exact_marginals,
    ferromagnet,
    free_energy,
    node_entries,
    nodes_of,
    parallel_mean_field,
    sequential_mean_field,
)
from monops_nn.datasets import Images
from monops_nn.training import Options
from monops_nn.training.targets import task_of

DOUBLE = torch.float64
LAYERS = (Layer(2, 4, 4), Layer(3, 2, 2, groups=2), Layer(5))
CONVOLVED = (Factor((0, 1), 4, kernel_size=3), Factor((1, 2), 6), Factor((0,), 3, kernel_size=3))
METHODS = (
    monops.PeacemanRachford(step_size=1.0),
    monops.DouglasRachford(step_size=1.0),
    monops.ForwardBackward(),
    monops.ForwardBackwardForward(),
    monops.Anderson(monops.PeacemanRachford(step_size=1.0)),
)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dense(m: float = 0.2, states: tuple[int, ...] = (2, 2, 3, 4, 2)) -> DenseBoltzmann:
    torch.manual_seed(1)
    linear = DenseBoltzmann(states, m, dtype=DOUBLE)
    with torch.no_grad():
        linear.A.mul_(3.0)
    return linear


def layered(factors: tuple[Factor, ...] = CONVOLVED, m: float = 0.2, loud: float = 3.0) -> LayeredBoltzmann:
    torch.manual_seed(2)
    linear = LayeredBoltzmann(LAYERS, factors, m, dtype=DOUBLE)
    with torch.no_grad():
        for kernel in linear.kernels:
            kernel.mul_(loud)
    return linear


def machine(linear: Couplings, **settings: Any) -> MeanField:
    field = MeanField(linear, **{"tol": 1e-11, "max_iter": 20000, **settings})
    with torch.no_grad():
        field.bias.normal_(generator=random(3))
    return field


def observations(field: MeanField, rows: int = 3) -> tuple[Tensor, Tensor]:
    """Random distributions, and a mask of its own for every row: all free, a part observed, all observed."""
    observed = field.softmax.prox(torch.randn(rows, field.linear.shape[0], generator=random(4), dtype=DOUBLE), 1.0)
    mask = torch.rand(rows, field.node_count, generator=random(5)) < 0.5
    mask[0], mask[-1] = False, True
    return observed, mask


def defect(field: MeanField, q: Tensor, observed: Tensor, mask: Tensor) -> float:
    """The definition: |q_i - softmax((Phi q + b)_i)| in free nodes, |q_i - observed| in the others."""
    h, worst = q @ field.couplings().detach() + field.bias.detach(), 0.0
    for i, entries in enumerate(node_entries(field.linear.layout)):
        wanted = torch.where(mask[:, i, None], observed[:, entries], torch.softmax(h[:, entries], dim=1))
        worst = max(worst, float((q[:, entries] - wanted).abs().max()))
    return worst


# ---- softmax as a prox ----


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("step", [0.05, 0.3, 1.0, 1.7])
def test_prox_of_every_step_satisfies_its_optimality_conditions(sharpness: float, step: float) -> None:
    layout = (*nodes_of((2, 2, 3)), Nodes(4, 3, adjacent=False))
    f = NodeSoftmax(layout, sharpness).batched(1)
    x = torch.randn(6, 19, generator=random(), dtype=DOUBLE)
    q = f.prox(x, step)
    for entries in node_entries(layout):
        y = q[:, entries]
        level = (1.0 - step) * y + step / sharpness * y.log() - x[:, entries]
        assert float((level - level.mean(dim=1, keepdim=True)).abs().max()) < 1e-9
        assert torch.allclose(y.sum(dim=1), torch.ones(6, dtype=DOUBLE), atol=1e-12)


def test_prox_is_that_of_softmax_of_monops_and_its_derivative_that_of_finite_differences() -> None:
    layout = (Nodes(2, 3), Nodes(2, 2, adjacent=False))
    x, v = (torch.randn(4, 10, generator=random(seed), dtype=DOUBLE) for seed in (1, 2))
    for step in (0.2, 1.0, 1.9):
        f = NodeSoftmax(layout).batched(1)
        assert torch.allclose(f.prox(x, step)[:, :3], Softmax().batched(1).prox(x[:, :3], step), atol=1e-11)
        for sharpness in (0.7, 2.0):
            f = NodeSoftmax(layout, sharpness).batched(1)
            moved = (f.prox(x + 1e-5 * v, step) - f.prox(x - 1e-5 * v, step)) / 2e-5
            assert torch.allclose(f.prox_derivative(x, step).apply(v), moved, atol=1e-8)


def test_what_is_no_prox_is_refused() -> None:
    with pytest.raises(DataError, match="slope"):
        NodeSoftmax((Nodes(1, 2),), 2.1)
    with pytest.raises(DataError, match="less than 2"):
        NodeSoftmax((Nodes(1, 2),), 2.0).batched(1).prox(torch.zeros(1, 2), 2.0)


# ---- couplings ----


@pytest.mark.parametrize("linear", [dense(), layered(), layered((Factor((0, 1, 2), 7),)), layered(loud=0.1)])
def test_couplings_are_symmetric_without_diagonal_blocks_and_monotone(linear: Couplings) -> None:
    W = linear.weight().detach()
    assert torch.equal(W, W.mT) or float((W - W.mT).abs().max()) < 1e-14
    for entries in node_entries(linear.layout):
        assert float(W[entries][:, entries].abs().max()) < 1e-14
    values = 1.0 - torch.linalg.eigvalsh(W)
    system = linear.current_system()
    known = system.exact_constants()
    assert float(values.min()) >= 0.2 - 1e-12
    assert known.strong_monotonicity == pytest.approx(float(values.min()), rel=1e-9)
    assert known.lipschitz == pytest.approx(float(values.max()), rel=1e-9)
    assert float(values.max()) <= system.lipschitz_bound() <= 6.0 * float(values.max())
    assert system.constants.cocoercivity <= 1.0 / float(values.max()) + 1e-12


def test_monotonicity_is_attained() -> None:
    """Two nodes with opposite columns: Phi has the eigenvalue 1 - m."""
    linear = DenseBoltzmann((2, 2), 0.3, dtype=DOUBLE)
    with torch.no_grad():
        linear.A.zero_()
        linear.A[0] = torch.tensor([3.0, -3.0, -3.0, 3.0])
    assert 1.0 - float(torch.linalg.eigvalsh(linear.weight().detach())[-1]) == pytest.approx(0.3, abs=1e-12)
    tied = LayeredBoltzmann((Layer(2, 3, 3), Layer(2, 3, 3)), (Factor((0, 1), 2, kernel_size=1),), 0.3, dtype=DOUBLE)
    with torch.no_grad():
        tied.kernels[1].copy_(-tied.kernels[0].mul_(9.0))
    assert 1.0 - float(torch.linalg.eigvalsh(tied.weight().detach())[-1]) == pytest.approx(0.3, abs=1e-12)


def test_every_admissible_matrix_of_couplings_can_be_assigned_and_others_are_refused() -> None:
    linear = DenseBoltzmann((2,) * 4, 0.1, dtype=DOUBLE)
    Phi = ferromagnet(4, -0.9).double()
    linear.assign(Phi)
    assert torch.allclose(linear.weight(), Phi, atol=1e-12)
    with pytest.raises(DataError, match="least eigenvalue is -2"):
        linear.assign(ferromagnet(4, 1.0))
    with pytest.raises(DataError, match="bias"):
        linear.assign(0.1 * torch.eye(8))
    with pytest.raises(DataError, match="symmetric"):
        linear.assign(torch.triu(Phi))


@pytest.mark.parametrize("factors", [CONVOLVED, (Factor((0, 1, 2), 7),), (Factor((0, 1), 2), Factor((1, 2), 3))])
def test_products_resolvents_and_cotangents_are_those_of_the_matrix(factors: tuple[Factor, ...]) -> None:
    linear = layered(factors)
    system, W = linear.current_system(), linear.weight().detach()
    assert isinstance(system, FactorSystem)
    z, u = (torch.randn(3, system.size, generator=random(seed), dtype=DOUBLE) for seed in (1, 2))
    assert torch.allclose(system.product(z), z @ W, atol=1e-12)
    if system.has_resolvent:
        for step in (0.4, 1.0):
            inverse = torch.linalg.inv((1.0 + step) * torch.eye(system.size, dtype=DOUBLE) - step * W)
            assert torch.allclose(system.resolvent(z, step), z @ inverse, atol=1e-11)
    else:
        with pytest.raises(CapabilityError, match="ForwardBackwardForward"):
            system.resolvent(z, 1.0)
    weights = linear.weights()
    with_u = system.cotangents(u, z)
    wanted = torch.autograd.grad((u * (z @ linear.weight())).sum(), list(linear.parameters()))
    got = torch.autograd.grad(weights, list(linear.parameters()), with_u)
    assert max(float((a - b).abs().max()) for a, b in zip(got, wanted, strict=True)) < 1e-10
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(got, wanted, strict=True))


def test_arguments_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(DataError, match="less than 1"):
        DenseBoltzmann((2, 2), 1.0)
    with pytest.raises(DataError, match="at least two states"):
        DenseBoltzmann((2, 1))
    with pytest.raises(DataError, match="in no factor"):
        LayeredBoltzmann(LAYERS, (Factor((0, 1), 3),))
    with pytest.raises(DataError, match="odd"):
        LayeredBoltzmann(LAYERS, (Factor((0, 1, 2), 3, kernel_size=2),))
    with pytest.raises(DataError, match="whole multiple"):
        LayeredBoltzmann((Layer(2, 5, 5), Layer(2, 2, 2)), (Factor((0, 1), 3, kernel_size=3),))
    with pytest.raises(DataError, match="numbers from 0 to 2"):
        LayeredBoltzmann(LAYERS, (Factor((0, 3), 3),))


# ---- mean fields ----


@pytest.mark.parametrize(
    ("linear", "sharpness", "methods"),
    [
        (dense(), 1.0, METHODS),
        (dense(), 2.0, METHODS[:2]),
        (layered((Factor((0, 1, 2), 12),)), 2.0, METHODS[:2]),
        (layered(loud=1.0), 1.0, METHODS[2:3]),
    ],
)
def test_all_methods_find_the_mean_field_of_the_definition(
    linear: Couplings, sharpness: float, methods: tuple[Any, ...]
) -> None:
    for method in methods:
        field = machine(linear, sharpness=sharpness, algorithm=method, tol=1e-8)
        observed, mask = observations(field)
        solution = field.solve(observed, mask)
        assert solution.status is Status.CONVERGED, str(solution)
        assert defect(field, solution.z, observed, mask) < 1e-7
        assert torch.equal(solution.z[-1], observed[-1])  # all observed
    assert torch.allclose(field.solve().z, solution.z[0], atol=1e-6)  # none observed, and no batch


def test_the_mean_field_does_not_depend_on_the_start_and_the_error_bound_holds() -> None:
    field = machine(dense(), sharpness=2.0)
    observed, mask = observations(field)
    exact = field.solve(observed, mask).z
    for seed in range(4):
        q0 = field.softmax.prox(10.0 * torch.randn(exact.shape, generator=random(seed), dtype=DOUBLE), 1.0)
        assert torch.allclose(field.solve(observed, mask, q0=q0).z, exact, atol=1e-9)
    field.tol = 1e-2
    rough = field.solve(observed, mask)
    assert bool(((rough.z - exact).norm(dim=1) <= rough.error_bound + 1e-9).all())


def test_observed_nodes_act_as_a_bias_on_the_smaller_machine_of_the_others() -> None:
    field = machine(dense())
    observed, mask = observations(field)
    q, Phi = field.solve(observed, mask).z[1], field.couplings().detach()
    nodes = node_entries(field.linear.layout)
    free = [e for i, entries in enumerate(nodes) if not mask[1, i] for e in entries]
    seen = [e for i, entries in enumerate(nodes) if mask[1, i] for e in entries]
    bias = field.bias.detach()[free] + Phi[free][:, seen] @ observed[1, seen]
    layout = nodes_of(tuple(len(entries) for i, entries in enumerate(nodes) if not mask[1, i]))
    found = sequential_mean_field(Phi[free][:, free], bias, layout, tol=1e-12)
    assert torch.allclose(found.x[0], q[free], atol=1e-9)


def test_the_free_energy_is_stationary_and_least_at_the_mean_field() -> None:
    field = machine(dense(), sharpness=1.5)
    layout, Phi, bias = field.linear.layout, field.couplings().detach(), field.bias.detach()
    q = field.solve().z.requires_grad_()
    (slope,) = torch.autograd.grad(free_energy(Phi, bias, layout, q), q)
    for entries in node_entries(layout):
        assert float((slope[entries] - slope[entries].mean()).abs().max()) < 1e-8
    others = field.softmax.prox(torch.randn(50, len(bias), generator=random(), dtype=DOUBLE), 1.0)
    least, log_z = free_energy(Phi, bias, layout, q.detach()), exact_marginals(Phi, bias, layout)[1]
    assert bool((free_energy(Phi, bias, layout, others) > least).all())
    assert float(-least) <= float(log_z)


def test_marginals_by_enumeration_are_reached_to_second_order_in_the_couplings() -> None:
    linear = dense()
    field = machine(linear)
    Phi, errors = field.couplings().detach(), []
    for weak in (0.0, 0.02, 0.04):
        linear.assign(weak * Phi)
        exact = exact_marginals(weak * Phi, field.bias.detach(), linear.layout)[0]
        errors.append(float((field.solve().z - exact).norm()))
    assert errors[0] < 1e-9
    assert 3.5 < errors[2] / errors[1] < 4.5


# ---- derivatives ----


@pytest.mark.parametrize("linear", [dense(0.3, (2, 3, 2)), layered((Factor((0, 1, 2), 5),)), layered(loud=1.0)])
def test_gradients_with_masks(linear: Couplings) -> None:
    method = None if linear.current_system().has_resolvent else monops.Anderson(monops.ForwardBackward())
    field = machine(linear, sharpness=1.5, tol=1e-11, algorithm=method)
    observed, mask = observations(field)
    evidence = torch.randn(observed.shape, generator=random(7), dtype=DOUBLE)
    parameters = {name: p.detach() for name, p in field.named_parameters()}
    names, v = list(parameters), torch.randn(observed.shape, generator=random(8), dtype=DOUBLE)
    tangent = [1e-5 * torch.randn(p.shape, generator=random(9), dtype=DOUBLE) for p in parameters.values()]
    towards = field.softmax.prox(torch.randn(observed.shape, generator=random(10), dtype=DOUBLE), 1.0) - observed

    def value(t: float) -> Tensor:
        moved = {n: parameters[n] + t * d for n, d in zip(names, tangent, strict=True)}
        given = (observed + t * 1e-5 * towards, mask, evidence + t * 1e-5 * v)
        return (torch.func.functional_call(field, moved, given) * v).sum()

    seen, outside = observed.clone().requires_grad_(), evidence.clone().requires_grad_()
    (field(seen, mask, outside) * v).sum().backward()
    assert seen.grad is not None
    assert outside.grad is not None
    slopes = [(p.grad * d).sum() for p, d in zip(field.parameters(), tangent, strict=True) if p.grad is not None]
    slope = sum(slopes) + 1e-5 * ((seen.grad * towards).sum() + (outside.grad * v).sum())
    with torch.no_grad():
        difference = (value(1.0) - value(-1.0)) / 2.0
    assert float(slope) == pytest.approx(float(difference), rel=2e-6, abs=1e-12)


def test_gradcheck_on_a_tiny_machine() -> None:
    linear = dense(0.3, (2, 3))
    field = machine(linear, tol=1e-13)
    observed = torch.tensor([[0.2, 0.8, 0.1, 0.3, 0.6]] * 3, dtype=DOUBLE)
    mask = torch.tensor([[False, False], [True, False], [True, True]])

    def call(A: Tensor, b: Tensor) -> Tensor:
        return torch.func.functional_call(field, {"linear.A": A, "bias": b}, (observed, mask))

    inputs = (linear.A.detach().clone().requires_grad_(), field.bias.detach().clone().requires_grad_())
    assert torch.autograd.gradcheck(call, inputs, atol=1e-7)


# ---- truth about failures ----


def test_rows_with_nan_are_nan_and_leave_the_others_exact() -> None:
    field = machine(dense())
    observed, mask = observations(field)
    clean = field.solve(observed, mask).z
    broken = observed.clone()
    seen = torch.tensor(node_entries(field.linear.layout)[int(mask[1].nonzero()[0])])
    broken[1, seen] = math.nan
    broken[0] = math.nan  # nothing of it is observed, so that nothing of it is read
    with pytest.warns(NotConvergedWarning, match="1 of 3 rows"):
        q = field(broken, mask)
    assert bool(q[1].isnan().all())
    assert torch.allclose(q[[0, 2]], clean[[0, 2]], atol=1e-9)


def test_limits_are_reported() -> None:
    linear = dense()
    field = machine(linear, max_iter=1, tol=1e-12)
    with pytest.warns(NotConvergedWarning, match="forward pass"):
        field()
    assert field.solve().status is Status.ITERATION_LIMIT
    with torch.no_grad():
        linear.A[0, 0] = math.nan
    with pytest.raises(monops.errors.ConstantError, match="NaN"):
        field()


def test_inputs_that_do_not_fit_are_refused() -> None:
    field = machine(dense())
    observed, mask = observations(field)
    with pytest.raises(DataError, match="belong together"):
        field(observed)
    with pytest.raises(ShapeError, match=r"mask has shape \(3, 4\)"):
        field(observed, mask[:, :4])
    with pytest.raises(ShapeError, match="leading axes"):
        field(observed, mask[:2])
    with pytest.raises(DataError, match="sum 1"):
        field(2.0 * observed, mask)
    with pytest.raises(DataError, match="bool"):
        field(observed, mask.double())
    with pytest.raises(DataError, match="DenseBoltzmann or LayeredBoltzmann"):
        MeanField(torch.nn.Linear(2, 2))  # type: ignore[arg-type]


def test_leading_axes_and_state_dict() -> None:
    field = machine(dense(), algorithm=monops.ForwardBackward(), tol=1e-6)
    observed, mask = observations(field, 6)
    q = field(observed.reshape(2, 3, -1), mask.reshape(2, 3, -1))
    assert torch.allclose(q.reshape(6, -1), field(observed, mask), atol=1e-5)
    other = MeanField(dense())
    other.load_state_dict(field.state_dict())
    assert (other.algorithm, other.tol) == (field.algorithm, field.tol)
    assert torch.equal(other(observed, mask), field(observed, mask))


# ---- without a theorem ----


def test_undamped_parallel_updates_go_round_where_the_splitting_methods_converge() -> None:
    Phi, bias, layout = ferromagnet(4, -0.9).double(), torch.zeros(8, dtype=DOUBLE), nodes_of((2,) * 4)
    q0 = torch.tensor([[0.6, 0.4] * 4], dtype=DOUBLE)
    result = parallel_mean_field(Phi, bias, layout, q0=q0)
    assert result.status is Status.ITERATION_LIMIT
    once = parallel_mean_field(Phi, bias, layout, q0=result.x, max_iter=1).x
    twice = parallel_mean_field(Phi, bias, layout, q0=once, max_iter=1).x
    assert torch.allclose(twice, result.x, atol=1e-9)  # a circle of two
    assert float((once - result.x).abs().max()) > 0.3
    linear = DenseBoltzmann((2,) * 4, 0.1, dtype=DOUBLE)
    linear.assign(Phi)
    for method in METHODS:
        solution = MeanField(linear, algorithm=method, tol=1e-9).solve(q0=q0[0])
        assert solution.status is Status.CONVERGED
        assert torch.allclose(solution.z, torch.full((8,), 0.5, dtype=DOUBLE), atol=1e-7)
    assert sequential_mean_field(Phi, bias, layout, q0=q0, tol=1e-9).status is Status.CONVERGED


def test_above_the_critical_coupling_node_by_node_finds_what_is_near_the_start() -> None:
    layout, bias = nodes_of((2, 2)), torch.zeros(4, dtype=DOUBLE)
    q0 = torch.tensor([[0.5, 0.5, 0.6, 0.4], [0.5, 0.5, 0.4, 0.6]], dtype=DOUBLE)
    above = sequential_mean_field(ferromagnet(2, 3.0).double(), bias, layout, q0=q0, tol=1e-12).x
    d = float(above[0, 0] - above[0, 1])
    assert d == pytest.approx(math.tanh(1.5 * d), abs=1e-9)
    assert d > 0.8
    assert torch.allclose(above[1], 1.0 - above[0])
    below = sequential_mean_field(ferromagnet(2, 1.9).double(), bias, layout, q0=q0, tol=1e-12, max_iter=5000).x
    assert torch.allclose(below, torch.full_like(below, 0.5), atol=1e-6)


def test_couplings_between_one_and_two_have_one_mean_field_with_sharpness_two() -> None:
    linear = DenseBoltzmann((2, 2), 0.05, dtype=DOUBLE)
    linear.assign(ferromagnet(2, 0.95))
    field = MeanField(linear, sharpness=2.0, tol=1e-10)
    assert float(torch.linalg.eigvalsh(field.couplings().detach())[-1]) == pytest.approx(1.9)
    q0 = torch.tensor([[0.99, 0.01] * 2, [0.01, 0.99] * 2], dtype=DOUBLE)
    q = field.solve(evidence=torch.zeros_like(q0), q0=q0).z
    assert torch.allclose(q, torch.full_like(q, 0.5), atol=1e-8)


def test_enumeration_has_a_limit() -> None:
    with pytest.raises(DataError, match="too many"):
        exact_marginals(torch.zeros(50, 50), torch.zeros(50), nodes_of((2,) * 25))


# ---- images ----


def stripes(count: int, size: int = 6) -> tuple[Tensor, Tensor]:
    """Images of noisy stripes, across (label 0) or along (label 1)."""
    generator = random(11)
    labels, phase = torch.arange(count) % 2, torch.randint(0, 2, (count,), generator=generator)
    line = ((torch.arange(size)[None] + phase[:, None]) % 2).float()
    images = torch.where(labels[:, None, None] == 0, line[:, :, None], line[:, None, :]).expand(count, size, size)
    return (0.1 + 0.8 * images + 0.1 * torch.rand(count, size, size, generator=generator)).clamp(0, 1), labels


@pytest.mark.parametrize("levels", [2, 4])
def test_grey_levels_are_read_back_exactly(levels: int) -> None:
    made = BoltzmannMachine((6, 6), classes=2, levels=levels, hidden=(2, 2), features=5)
    images = stripes(5)[0]
    assert torch.allclose(made.decode(made.encode(images)), images, atol=1e-6)
    assert torch.allclose(made.encode(images).sum(dim=1), torch.ones_like(images), atol=1e-6)


def test_a_machine_completes_and_classifies_and_takes_known_labels() -> None:
    torch.manual_seed(0)
    images, labels = stripes(64)
    made = BoltzmannMachine((6, 6), classes=2, hidden=(6, 2), features=40, tol=1e-3)
    made.start_from(images, labels)
    known = torch.rand(images.shape, generator=random(12)) < 0.5
    optimizer, before = torch.optim.Adam(made.parameters(), lr=2e-2), math.inf
    for step in range(15):
        loss, _, _ = made.loss(images, labels, known)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        before = float(loss.detach()) if step == 0 else before
    assert float(loss.detach()) < 0.9 * before
    found = made.complete(images, known)
    missing = ~known
    constant = (images - images.mean(dim=0)).abs()[missing].mean()
    assert float((found.images - images).abs()[missing].mean()) < 0.6 * float(constant)
    assert float((found.classes.argmax(dim=1) == labels).float().mean()) > 0.9
    assert torch.equal(found.images[known], images[known])
    told = made.complete(images, torch.zeros_like(known), torch.where(labels == 1, 1, -1))
    assert torch.equal(told.classes[labels == 1], torch.tensor([[0.0, 1.0]]).expand(32, 2))


def test_a_local_factor_is_solved_without_a_resolvent() -> None:
    made = BoltzmannMachine((6, 6), classes=2, hidden=(3, 2), features=8, local_features=2, tol=1e-4)
    assert not made.field.linear.current_system().has_resolvent
    images, labels = stripes(4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.loss(images, labels, torch.ones_like(images) < 0)[0].backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in made.parameters())


def test_images_that_do_not_fit_are_refused() -> None:
    made = BoltzmannMachine((6, 6), classes=2, hidden=(3, 2), features=8)
    images = stripes(2)[0]
    with pytest.raises(DataError, match="divide bytes by 255"):
        made.complete(255.0 * images, images > -1)
    with pytest.raises(DataError, match="of bool"):
        made.complete(images, images)
    with pytest.raises(ShapeError, match=r"\(batch, 6, 6\)"):
        made.complete(images[:, :5], images[:, :5] > -1)


def test_the_training_task() -> None:
    images, labels = stripes(24)
    data = (255 * images[:, None]).to(torch.uint8)
    torch.manual_seed(0)
    given = Images(data, labels, data, labels, (0.5,), (0.5,), "stripes")
    settings = ("features=40", "hidden=(4, 2)", "missing=(0.2, 0.4)")
    task = task_of(Options(model="boltzmann", settings=settings, batch_size=8, tolerance=1e-3), given)
    assert task.steps_an_epoch == 3
    assert task.model.field.linear.certified_monotonicity == pytest.approx(0.05)  # type: ignore[union-attr]
    first, again = (task.batch(1, random(1), random(0)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert 0.1 < float((~first[2]).float().mean()) < 0.5
    loss, noted = task.loss(first)
    loss.backward()  # type: ignore[no-untyped-call]
    assert set(noted) == {"accuracy", "completion", "naming"}
    measured = task.evaluate()
    assert 0.0 <= measured[task.headline] <= 1.0
    assert 0.0 < measured["completion_error"] < 0.5
    assert task.look()["residual"] <= 1e-3
    with pytest.raises(DataError, match="missing"):
        task_of(Options(model="boltzmann", settings=("missing=(0.5, 1.0)",), batch_size=8), given)
