"""The DEQ layer: fixed points of any cell, exact gradients of any order, statuses, and what peers get wrong."""

from __future__ import annotations

import copy
import io
import math
import warnings
from typing import Any

import pytest

pytest.importorskip("torch", reason="monops_nn needs torch")
import torch
from torch import Tensor, nn

import monops
from monops import Anderson, Broyden, NewtonKrylov, Picard, Status
from monops.errors import BackendError, CapabilityError, DataError, NotConvergedError, NotConvergedWarning, ShapeError
from monops_nn import DEQ
from monops_nn.deq import VariationalDropout, fixed_point_correction, jacobian_penalty, spectral_radius

METHODS = [
    Picard(),
    Picard(0.7),
    Anderson(Picard(), memory=5),
    Anderson(Picard(0.5), memory=5, type=1),
    Broyden(),
    NewtonKrylov(),
]


class Cell(nn.Module):
    """tanh(R z + U x + b); R scaled so that Picard's iteration converges."""

    def __init__(self, size: int = 5, scale: float = 0.7) -> None:
        super().__init__()
        self.recurrent, self.input = nn.Linear(size, size, dtype=torch.float64), nn.Linear(3, size, dtype=torch.float64)
        with torch.no_grad():
            self.recurrent.weight.mul_(scale / torch.linalg.matrix_norm(self.recurrent.weight, 2))

    def initial_state(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x), self.recurrent.in_features)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return torch.tanh(self.recurrent(z) + self.input(x))


class Pair(nn.Module):
    """Two coupled tensors of different shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 6, dtype=torch.float64), nn.Linear(6, 4, dtype=torch.float64)

    def initial_state(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.new_zeros(len(x), 4), x.new_zeros(len(x), 2, 3)

    def forward(self, z: tuple[Tensor, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = z
        return torch.tanh(0.5 * self.b(second.flatten(1)) + x), torch.sigmoid(self.a(first)).reshape(-1, 2, 3)


def cell(seed: int = 0, **settings: Any) -> Cell:
    torch.manual_seed(seed)
    return Cell(**settings)


def inputs(count: int = 4, size: int = 3, seed: int = 1) -> Tensor:
    return torch.randn(count, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def newton(made: Cell, x: Tensor) -> Tensor:
    """The fixed point by dense Newton steps, one sample at a time."""
    rows = []
    for row in x:
        z = torch.zeros(made.recurrent.in_features, dtype=torch.float64)
        for _ in range(50):
            J = torch.func.jacrev(lambda at, row=row: made(at, row))(z)
            z = z - torch.linalg.solve(torch.eye(len(z), dtype=z.dtype) - J, z - made(z, row))
        rows.append(z.detach())
    return torch.stack(rows)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_every_method_finds_the_fixed_point_and_the_gradient(method: Any) -> None:
    made, x = cell(), inputs()
    layer = DEQ(made, algorithm=method, tol=1e-11, max_iter=400)
    leaf = x.clone().requires_grad_()
    z = layer(leaf)
    expected = newton(made, x)
    torch.testing.assert_close(z, expected, rtol=0, atol=1e-9)
    g = torch.linspace(-1, 2, z.numel(), dtype=torch.float64).reshape(z.shape)
    z.backward(g)
    found = {name: p.grad.clone() for name, p in made.named_parameters()}
    found["x"] = leaf.grad.clone()
    # by the definition: a dense solve with I - J for each sample, then ordinary derivatives of the cell
    made.zero_grad()
    leaf.grad = None
    rows = []
    for row, z_row, g_row in zip(x, expected, g, strict=True):
        J = torch.func.jacrev(lambda at, row=row: made(at, row))(z_row)
        rows.append(torch.linalg.solve((torch.eye(len(z_row), dtype=J.dtype) - J).mT, g_row))
    made(expected, leaf).backward(torch.stack(rows).detach())
    for name, p in (*made.named_parameters(), ("x", leaf)):
        torch.testing.assert_close(found[name], p.grad, rtol=0, atol=1e-8, msg=name)


def test_second_derivatives() -> None:
    layer = DEQ(cell(size=3), tol=1e-12, max_iter=100)
    x = inputs(2).requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(layer, (x,))
    names = [name for name, _ in layer.named_parameters()]
    weights = tuple(p.detach().clone().requires_grad_() for p in layer.parameters())

    def of_weights(*given: Tensor) -> Any:
        return torch.func.functional_call(layer, dict(zip(names, given, strict=True)), (x.detach(),))

    assert torch.autograd.gradcheck(of_weights, weights, fast_mode=True)
    assert torch.autograd.gradgradcheck(of_weights, weights, fast_mode=True)


def test_states_of_several_tensors() -> None:
    torch.manual_seed(0)
    layer, x = DEQ(Pair(), tol=1e-11, max_iter=100), inputs(3, 4).requires_grad_()
    z = layer(x)
    assert [tuple(part.shape) for part in z] == [(3, 4), (3, 2, 3)]
    for part, image in zip(z, layer.cell(z, x), strict=True):
        torch.testing.assert_close(part, image, rtol=0, atol=1e-10)
    assert torch.autograd.gradcheck(layer, (x,), fast_mode=True)
    assert torch.autograd.gradgradcheck(layer, (x,), fast_mode=True)
    assert layer.solve(x).z[1].shape == (3, 2, 3)


def test_phantom_one_step_and_unrolled_gradients_are_what_they_say() -> None:
    made, x = cell(), inputs()
    star = newton(made, x)

    def gradient_of(z: Any) -> Tensor:
        made.zero_grad()
        z.square().sum().backward()
        return made.recurrent.weight.grad.clone()

    one = gradient_of(DEQ(made, tol=1e-12, max_iter=100, gradient="one_step")(x))
    torch.testing.assert_close(one, gradient_of(made(star, x)), rtol=1e-7, atol=0)
    phantom = gradient_of(DEQ(made, tol=1e-12, max_iter=100, gradient="phantom", phantom_steps=3, phantom_relaxation=0.4)(x))
    z = star
    for _ in range(3):
        z = 0.6 * z + 0.4 * made(z, x)
    torch.testing.assert_close(phantom, gradient_of(z), rtol=1e-7, atol=0)
    exact = gradient_of(DEQ(made, tol=1e-12, max_iter=100)(x))
    many = gradient_of(DEQ(made, tol=1e-12, max_iter=100, gradient="phantom", phantom_steps=100, phantom_relaxation=1.0)(x))
    torch.testing.assert_close(many, exact, rtol=1e-7, atol=0)
    assert float((one - exact).norm() / exact.norm()) > 1e-3
    unrolled = gradient_of(DEQ(made, algorithm=Picard(), max_iter=4, gradient="unrolled")(x))
    z = torch.zeros_like(star)
    for _ in range(4):
        z = made(z, x)
    torch.testing.assert_close(unrolled, gradient_of(z), rtol=1e-12, atol=0)


def test_memory_of_the_graph_does_not_grow_with_the_iterations() -> None:
    x = inputs(64)

    def saved(**settings: Any) -> int:
        total = 0

        def pack(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        layer = DEQ(cell(scale=0.95), algorithm=Picard(), on_failure="ignore", tol=1e-14, **settings)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            layer(x)
        return total

    assert saved(max_iter=5) == saved(max_iter=80)
    assert saved(max_iter=80, gradient="unrolled") > 8 * saved(max_iter=5, gradient="unrolled")


def test_each_sample_has_its_status_and_nan_stays_in_its_row() -> None:
    layer, x = DEQ(cell(), tol=1e-10, max_iter=100), inputs()
    clean = layer.solve(x)
    assert clean.status is Status.CONVERGED
    assert float(clean.residual.max()) <= 1e-10
    broken = x.clone()
    broken[2, 1] = math.nan
    solution = layer.solve(broken)
    assert [status is Status.NON_FINITE for status in solution.row_status] == [False, False, True, False]
    assert bool(solution.z[2].isnan().any())
    others = [0, 1, 3]
    torch.testing.assert_close(solution.z[others], clean.z[others], rtol=0, atol=1e-9)
    assert bool(solution.residual[2].isnan())


class Expanding(nn.Module):
    """f(z) = 2 z + x has the fixed point -x, from which Picard's iteration runs away."""

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return 2.0 * z + x


def test_a_pass_that_does_not_converge_is_named() -> None:
    x = inputs()
    with pytest.warns(NotConvergedWarning, match="equilibrium forward pass of Expanding"):
        DEQ(Expanding(), algorithm=Picard(), max_iter=10)(x)
    with pytest.raises(NotConvergedError, match="forward pass"):
        DEQ(Expanding(), algorithm=Picard(), max_iter=10, on_failure="raise")(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DEQ(Expanding(), algorithm=Picard(), max_iter=10, on_failure="ignore")(x)
    solution = DEQ(Expanding(), algorithm=Picard(), max_iter=100).solve(x)
    assert set(solution.row_status) == {Status.DIVERGED}
    for method in (Anderson(Picard()), Broyden(), NewtonKrylov()):
        torch.testing.assert_close(DEQ(Expanding(), algorithm=method, tol=1e-9)(x), -x, rtol=0, atol=1e-7)
    leaf = x.clone().requires_grad_()
    layer = DEQ(Expanding(), algorithm=Broyden(), backward_algorithm=Picard(), tol=1e-9, backward_max_iter=5)
    z = layer(leaf)
    with pytest.warns(NotConvergedWarning, match="equilibrium backward pass of Expanding"):
        z.sum().backward()


def test_gradients_in_evaluation_mode_and_for_parameters_alone() -> None:
    layer = DEQ(cell()).eval()
    x = inputs().requires_grad_()
    assert layer(x).requires_grad
    assert layer(x.detach()).requires_grad
    with torch.no_grad():
        assert not layer(x).requires_grad


def test_backward_iterations_do_not_depend_on_the_scale_of_the_loss() -> None:
    x, seen = inputs(), []

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = cell()
            self.initial_state = self.inner.initial_state

        def forward(self, z: Tensor, x: Tensor) -> Tensor:
            value = self.inner(z, x)
            if value.requires_grad:
                value.register_hook(lambda _: seen.append(1))
            return value

    counts = []
    for scale in (1e-6, 1.0, 1e6):
        layer = DEQ(Counting(), tol=1e-8)
        z = layer(x.clone().requires_grad_())
        seen.clear()
        with torch.no_grad():
            g = scale * torch.ones_like(z)
        z.backward(g)
        counts.append(len(seen))
    assert counts[0] == counts[1] == counts[2] > 1


def test_a_start_changes_the_iterations_and_not_the_gradient() -> None:
    made, x = cell(), inputs()
    layer = DEQ(made, tol=1e-11, max_iter=100)
    first = layer.solve(x)
    again = layer.solve(x, z0=first.z)
    assert int(again.iterations.max()) < int(first.iterations.max())
    gradients = []
    for start in (None, first.z, torch.ones_like(first.z)):
        made.zero_grad()
        layer(x, z0=start).sum().backward()
        gradients.append(made.input.weight.grad.clone())
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0], rtol=0, atol=1e-8)


def test_the_backward_pass_has_its_own_tolerance_and_limit() -> None:
    made, x, gradients = cell(), inputs(), []
    for tol in (1e-11, 0.3):
        made.zero_grad()
        layer = DEQ(made, tol=1e-11, backward_tol=tol, max_iter=100)
        z = layer(x)
        z.square().sum().backward()
        gradients.append(made.recurrent.weight.grad.clone())
        torch.testing.assert_close(z.detach(), newton(made, x), rtol=0, atol=1e-9)
    assert 1e-4 < float((gradients[1] - gradients[0]).norm() / gradients[0].norm()) < 0.5
    z = DEQ(made, tol=1e-11, max_iter=100, backward_max_iter=2)(x)
    with pytest.warns(NotConvergedWarning, match="backward pass"):
        z.sum().backward()


class Dropped(nn.Module):
    """A cell with dropout of either kind."""

    def __init__(self, dropout: nn.Module) -> None:
        super().__init__()
        self.inner, self.dropout = cell(), dropout
        self.initial_state = self.inner.initial_state

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return self.inner(self.dropout(z), x)


def test_dropout_keeps_its_mask_during_a_solve_and_its_backward_pass() -> None:
    x = inputs().requires_grad_()
    with pytest.raises(DataError, match=r"cell\.dropout is dropout that draws anew .*VariationalDropout\(0\.5\)"):
        DEQ(Dropped(nn.Dropout(0.5)))(x)
    DEQ(Dropped(nn.Dropout(0.5))).eval()(x)
    layer = DEQ(Dropped(VariationalDropout(0.5)), tol=1e-11, max_iter=100)

    def masked(at: Tensor) -> Any:
        torch.manual_seed(7)
        z = layer(at)
        layer(at.detach())  # another mask, drawn between the forward and the backward pass
        return z

    assert torch.autograd.gradcheck(masked, (x,), fast_mode=True)
    torch.manual_seed(0)
    assert not torch.allclose(layer(x), layer(x))
    layer.eval()
    torch.testing.assert_close(layer(x), layer(x), rtol=0, atol=0)


def test_tensors_that_the_cell_does_not_own_are_refused() -> None:
    outside = torch.ones(3, dtype=torch.float64, requires_grad=True)

    class Reads(nn.Module):
        def forward(self, z: Tensor, x: Tensor) -> Tensor:
            return 0.5 * z + x * outside

    layer = DEQ(Reads())
    z = layer(inputs().requires_grad_())
    with pytest.raises(DataError, match="tensors with gradients that are neither its parameters nor its inputs"):
        z.sum().backward()


def test_normalised_weights_are_computed_once_a_solve() -> None:
    made = cell()
    calls = 0

    class Halved(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            return 0.5 * weight

    nn.utils.parametrize.register_parametrization(made.recurrent, "weight", Halved())
    layer, x = DEQ(made, tol=1e-11, max_iter=100), inputs().requires_grad_()
    with torch.no_grad():
        calls = 0
        layer(x)
        assert calls == 1
    assert torch.autograd.gradcheck(layer, (x,), fast_mode=True)
    layer(x).sum().backward()
    assert made.recurrent.parametrizations.weight.original.grad is not None


def test_copies_settings_and_autocast() -> None:
    layer, x = DEQ(cell(), algorithm=Broyden(memory=7), tol=1e-9, gradient="phantom", max_iter=33), inputs()
    layer(x).sum().backward()
    torch.testing.assert_close(copy.deepcopy(layer)(x), layer(x), rtol=0, atol=0)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = DEQ(cell(seed=5))
    other.load_state_dict(torch.load(file, weights_only=True))
    assert (other.algorithm, other.tol, other.gradient, other.max_iter) == (Broyden(memory=7), 1e-9, "phantom", 33)
    torch.testing.assert_close(other(x), layer(x), rtol=0, atol=0)
    single = DEQ(cell().float(), tol=1e-2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = single(x.float())
        assert z.dtype == torch.float32
        z.sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in single.parameters())


def test_penalty_and_spectral_radius_against_the_dense_derivative() -> None:
    made, x = cell(), inputs(2)
    z = newton(made, x)
    dense = torch.stack(
        [torch.func.jacrev(lambda at, row=row: made(at, row))(z_row) for row, z_row in zip(x, z, strict=True)]
    ).detach()
    estimate = jacobian_penalty(made, z, x, samples=4000, generator=torch.Generator().manual_seed(0))
    assert estimate.item() == pytest.approx(float(dense.square().sum() / z.numel()), rel=0.05)
    estimate.backward()
    assert float(made.recurrent.weight.grad.norm()) > 0
    radii = spectral_radius(made, z, x, iterations=400, generator=torch.Generator().manual_seed(0))
    expected = torch.linalg.eigvals(dense).abs().amax(1)
    torch.testing.assert_close(radii, expected, rtol=0.02, atol=0)
    with pytest.raises(DataError, match="samples=0"):
        jacobian_penalty(made, z, x, samples=0)
    with pytest.raises(DataError, match="iterations=1"):
        spectral_radius(made, z, x, iterations=1)


def test_states_on_the_way_carry_the_gradient_of_one_step() -> None:
    made, x = cell(), inputs()
    layer = DEQ(made, algorithm=Picard(), tol=1e-10, max_iter=200)
    z, states = layer.trajectory(x, at=(1, 3, 10_000))
    assert len(states) == 2
    path = [torch.zeros_like(z)]
    for _ in range(4):
        path.append(made(path[-1], x).detach())
    torch.testing.assert_close(states[0], made(path[1], x))
    torch.testing.assert_close(states[1], made(path[3], x))
    torch.testing.assert_close(z, layer(x), rtol=0, atol=0)
    total = fixed_point_correction(states, lambda state: state.square().sum(), decay=0.5)
    expected = 0.25 * states[0].square().sum() + 0.5 * states[1].square().sum()
    torch.testing.assert_close(total, expected)
    (z.sum() + total).backward()
    assert made.input.weight.grad is not None
    with pytest.raises(DataError, match="at="):
        layer.trajectory(x, at=(0,))
    with pytest.raises(DataError, match="decay"):
        fixed_point_correction(states, lambda state: state.sum(), decay=0.0)
    with pytest.raises(CapabilityError, match="unrolled"):
        DEQ(made, gradient="unrolled").trajectory(x, at=(1,))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tol": 0.0}, "tol=0.0"),
        ({"backward_tol": math.nan}, "backward_tol=nan"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"phantom_steps": True}, "phantom_steps=True"),
        ({"gradient": "exact"}, "gradient='exact' must be one of 'implicit'"),
        ({"phantom_relaxation": 1.5}, "phantom_relaxation"),
        ({"on_failure": "pass"}, "on_failure"),
        ({"algorithm": "anderson"}, "algorithm must be a method"),
        ({"algorithm": monops.DouglasRachford()}, "algorithm=DouglasRachford is no method for the fixed points of any map"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, Any], words: str) -> None:
    with pytest.raises((DataError, monops.errors.NotApplicableError)) as caught:
        DEQ(cell(), **settings)
    assert words in str(caught.value)


def test_states_and_inputs_that_do_not_fit() -> None:
    layer, x = DEQ(cell()), inputs()
    with pytest.raises(DataError, match="at least one input"):
        layer()
    with pytest.raises(DataError, match=r"cell must be an nn\.Module"):
        DEQ(torch.tanh)  # type: ignore[arg-type]
    with pytest.raises(
        ShapeError, match=r"z0 has shape \[\(4, 7\)\], but a state of this cell and these inputs has \[\(4, 5\)\]"
    ):
        layer(x, z0=torch.zeros(4, 7, dtype=torch.float64))
    with pytest.raises(ShapeError, match="samples"):
        layer(x, x[:2])
    with pytest.raises(BackendError, match="must be a tensor"):
        layer(x.numpy())

    class Grows(nn.Module):
        def forward(self, z: Tensor, x: Tensor) -> Tensor:
            return torch.cat((z, x), dim=1)

    with pytest.raises(ShapeError, match=r"takes a state of shape \(4, 3\) to \(4, 6\)"):
        DEQ(Grows())(x)


class Shared(nn.Module):
    """One linear map under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 3, dtype=torch.float64)
        self.b = self.a

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return torch.tanh(0.3 * self.a(z) + 0.2 * self.b(x))


def test_a_module_under_two_names_keeps_its_parameters() -> None:
    torch.manual_seed(0)
    layer, x = DEQ(Shared(), tol=1e-11, max_iter=100), inputs()
    names = [name for name, _ in layer.named_parameters()]
    for _ in range(3):
        layer.zero_grad()
        layer(x).sum().backward()
        assert all(p.grad is not None for p in layer.parameters())
    assert isinstance(layer.cell.a.weight, nn.Parameter)
    assert names == [name for name, _ in layer.named_parameters()]
    assert torch.autograd.gradcheck(layer, (x.clone().requires_grad_(),), fast_mode=True)


def test_gradients_inside_the_cache_of_parametrised_weights() -> None:
    made, x, found = cell(), inputs(), []
    nn.utils.parametrizations.weight_norm(made.recurrent)
    layer = DEQ(made, tol=1e-11, max_iter=100)
    for cached in (False, True):
        layer.zero_grad()
        with nn.utils.parametrize.cached() if cached else torch.enable_grad():
            layer(x).sum().backward()
        found.append([p.grad.clone() for p in layer.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)
        assert float(one.norm()) > 0


def test_modes_and_buffers_are_those_of_the_forward_pass() -> None:
    torch.manual_seed(0)
    layer, x = DEQ(Dropped(VariationalDropout(0.5)), tol=1e-11, max_iter=100), inputs().requires_grad_()

    def gradient(switch: bool) -> Tensor:
        torch.manual_seed(3)
        layer.train()
        z = layer(x)
        layer.train(not switch)
        return torch.autograd.grad(z.sum(), x)[0]

    torch.testing.assert_close(gradient(True), gradient(False), rtol=0, atol=1e-12)

    class Buffered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", torch.tensor(0.3, dtype=torch.float64))

        def forward(self, z: Tensor, x: Tensor) -> Tensor:
            return torch.tanh(self.scale * z + x)

    other = DEQ(Buffered())
    z = other(x)
    other.cell.scale.fill_(-0.9)
    with pytest.raises(DataError, match=r"cell\.scale was changed in place"):
        z.sum().backward()


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_the_size_of_the_gradient_does_not_matter(scale: float) -> None:
    layer, x = DEQ(cell().float(), tol=1e-6), inputs().float().requires_grad_()
    (exact,) = torch.autograd.grad(layer(x).sum(), x)
    (found,) = torch.autograd.grad(layer(x).sum() * scale, x)
    torch.testing.assert_close(found / scale, exact, rtol=1e-4, atol=1e-5)


def test_cells_that_change_their_state_in_place_are_refused() -> None:
    class InPlace(nn.Module):
        def forward(self, z: Tensor, x: Tensor) -> Tensor:
            return z.mul_(0.5).add_(x)

    with pytest.raises(DataError, match="changes the point that it is given"):
        DEQ(InPlace()).solve(inputs())


def test_dependent_differences_in_single_precision() -> None:
    class Half(nn.Module):
        def forward(self, z: Tensor, x: Tensor) -> Tensor:
            return 0.5 * torch.relu(z) + x

    for seed in range(20):
        x = inputs(8, 2, seed).float()
        for method in (Anderson(Picard(), memory=5), Anderson(Picard(), memory=5, type=1)):
            z = DEQ(Half(), algorithm=method)(x)
            torch.testing.assert_close(z, torch.where(x > 0, 2 * x, x), rtol=1e-2, atol=1e-3)


def test_checkpoints_starts_and_what_is_not_supported() -> None:
    made, x = cell(), inputs().requires_grad_()
    layer = DEQ(made, tol=1e-10, max_iter=100)
    (plain,) = torch.autograd.grad(layer(x).sum(), x)
    (again,) = torch.autograd.grad(torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False).sum(), x)
    torch.testing.assert_close(again, plain, rtol=0, atol=1e-12)
    start = torch.ones(4, 5, dtype=torch.float64, requires_grad=True)
    unrolled = DEQ(made, algorithm=Picard(), max_iter=2, gradient="unrolled")
    assert torch.autograd.gradcheck(lambda at: unrolled(x.detach(), z0=at), (start,), fast_mode=True)
    with pytest.raises(CapabilityError, match=r"torch\.func does not go through a DEQ"):
        torch.func.grad(lambda at: layer(at).sum())(x.detach())
    with pytest.raises(DataError, match=r"torch\.int64: give the cell a method initial_state"):
        DEQ(Expanding())(torch.ones(2, 3, dtype=torch.int64))
    with pytest.raises(DataError, match="at=3"):
        layer.trajectory(x, at=3)  # type: ignore[arg-type]
