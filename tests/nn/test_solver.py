"""The row-wise solver of a pass: statuses, compaction, warm starts, steps found without trial passes, safeguards."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")

import monops  # noqa: E402
from monops import errors  # noqa: E402
from monops_nn import CircularConvolution, LayerNewton, MonDEQ, MonotoneLinear, PaddedConvolution  # noqa: E402
from monops_nn.automatic import choose  # noqa: E402
from monops_nn.operators import ActivationDerivative, ActivationOperator, EquilibriumOperator  # noqa: E402
from monops_nn.solver import LONGEST, Settings, _Rows, run  # noqa: E402
from monops_nn.systems import DenseSystem, Spread  # noqa: E402

RELU = ActivationOperator(monops.NonNegative().batched(1))


def random_system(n: int = 12, size: float = 2.0, seed: int = 0) -> DenseSystem:
    """A W with kappa of about 10."""
    generator = torch.Generator().manual_seed(seed)
    A, B = (size * torch.randn(n, n, dtype=torch.float64, generator=generator) / math.sqrt(n) for _ in range(2))
    return DenseSystem((-A.mT @ A + B - B.mT,), 1.0)


def injections(rows: int, n: int = 12, seed: int = 1) -> Any:
    return torch.randn(rows, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def miss(system: DenseSystem, c: Any, z: Any) -> Any:
    return torch.linalg.vector_norm(z - torch.relu(z @ system.weights[0].mT + c), dim=1)


METHODS = (
    monops.PeacemanRachford(),
    monops.DouglasRachford(),
    monops.ForwardBackwardForward(),
    monops.ForwardReflectedBackward(),
    monops.Anderson(monops.PeacemanRachford(0.4)),
    LayerNewton(),
)


@pytest.mark.parametrize("algorithm", METHODS, ids=lambda method: method.name)
def test_rows_of_different_difficulty_end_on_their_own(algorithm: Any) -> None:
    """Hard rows, an easy one that ends at once, and a NaN: every row is as it would be alone."""
    system, c = random_system(), injections(40)
    c[3] = -1.0 - c[3].abs() - (system.weights[0].abs().sum(1))  # z = 0
    c[7, 2] = torch.nan
    settings = Settings(choose(system, RELU, algorithm).algorithm, 1e-10, 5000)
    solved = run(EquilibriumOperator(system, c), RELU, settings, None)
    good = [row for row in range(40) if row != 7]
    assert [status.value for status in solved.row_status] == ["converged"] * 7 + ["non-finite"] + ["converged"] * 32
    assert bool(torch.isnan(solved.z[7]).all())
    assert bool((miss(system, c, solved.z)[good] <= 1.001e-10 * torch.linalg.vector_norm(solved.z, dim=1)[good]).all())
    alone = run(EquilibriumOperator(system, c[good]), RELU, settings, None)
    torch.testing.assert_close(solved.z[good], alone.z, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(solved.residual[good] <= 1e-10, True)


def test_rows_that_have_ended_are_put_aside_and_keep_their_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    system, c = random_system(size=3.0), injections(64)
    sizes: list[int] = []

    def counting(self: DenseSystem, z: Any) -> Any:
        sizes.append(len(z))
        return z @ self.weights[0].mT

    monkeypatch.setattr(DenseSystem, "product", counting)
    c[:60] = -100.0  # equilibrium 0, found at the first look
    solved = run(EquilibriumOperator(system, c), RELU, Settings(monops.ForwardBackwardForward(), 1e-9, 5000), None)
    assert sizes[0] == 64
    assert sizes[-1] <= 4
    assert int(solved.iterations[0]) < int(solved.iterations[-1])
    assert bool((solved.z[:60] == 0).all())
    assert bool((miss(system, c, solved.z) < 1e-8).all())


@pytest.mark.parametrize("algorithm", [monops.PeacemanRachford(), monops.DouglasRachford(), monops.ForwardBackwardForward()])
def test_a_warm_start_at_the_equilibrium_is_done_at_the_first_look(algorithm: Any) -> None:
    system, c = random_system(), injections(5)
    method = choose(system, RELU, algorithm).algorithm
    exact = run(EquilibriumOperator(system, c), RELU, Settings(LayerNewton(), 1e-13, 100), None).z
    settings = Settings(method, 1e-9, 1000, rate=0.05)
    cold, warm = (run(EquilibriumOperator(system, c), RELU, settings, start) for start in (None, exact))
    assert int(warm.iterations.max()) <= 8 < int(cold.iterations.max())
    torch.testing.assert_close(warm.z, exact, rtol=0, atol=1e-9)


def test_single_precision_that_cannot_reach_the_tolerance_is_called_stalled() -> None:
    layer = MonDEQ(MonotoneLinear(16), injection=3, tol=1e-12)
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    solution = layer.solve(x)
    assert {status.value for status in solution.row_status} <= {"stalled", "converged"}
    with pytest.warns(errors.NotConvergedWarning, match="rounding allows no smaller residual"):
        layer(x)
    assert int(solution.iterations.max()) < 1000


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [0.5, 2.0, 5.0])
def test_the_step_that_is_found_is_near_the_best_of_the_exact_norm(size: float, seed: int) -> None:
    """No trial passes: the norm of the Cayley operator at the step found, against its minimum over all steps."""
    system = random_system(size=size, seed=seed)
    M, identity = system.matrix, torch.eye(12, dtype=torch.float64)

    def norm(a: float) -> float:
        return float(torch.linalg.matrix_norm(torch.linalg.solve(identity + a * M, identity - a * M), 2))

    found = choose(system, RELU, None).algorithm
    assert isinstance(found, monops.PeacemanRachford)
    assert found.step_size is not None
    best = min(norm(a) for a in np.geomspace(1e-3, 3.0, 200))
    assert math.log(norm(found.step_size)) <= 0.75 * math.log(best)


@pytest.mark.parametrize(("least", "symmetric", "skew"), [(1.0, 1.0, 0.0), (1.0, 9.0, 0.0), (1.0, 1.0, 3.0), (0.1, 5.0, 40.0)])
def test_best_step_of_a_rectangle_against_a_fine_search(least: float, symmetric: float, skew: float) -> None:
    """For symmetric W it is 1/sqrt(m L), for a rotation 1/L (mondeq 2.3); in between, no step of a grid is better."""
    spread = Spread(least, symmetric, skew)
    grid = np.geomspace(1e-3, 1e2, 4001)
    t = np.array([complex(x, y) for x in np.linspace(least, symmetric, 21) for y in np.linspace(-skew, skew, 21)])
    worst = [np.abs((1 - a * t) / (1 + a * t)).max() for a in grid]
    assert spread.contraction(spread.best_step) <= min(worst) + 1e-6
    if skew == 0:
        assert math.isclose(spread.best_step, 1 / math.sqrt(least * symmetric))
    if least == symmetric and skew:
        assert math.isclose(spread.best_step, 1 / math.hypot(least, skew))


def test_found_steps_take_no_more_iterations_than_the_worst_case_step() -> None:
    system, c = random_system(size=3.0), injections(50)
    counts = {}
    for name, method in (("found", None), ("1/L", monops.PeacemanRachford(1.0 / system.lipschitz_bound()))):
        chosen = choose(system, RELU, method)
        settings = Settings(chosen.algorithm, 1e-6, 1000, chosen.rate, chosen.found)
        counts[name] = int(run(EquilibriumOperator(system, c), RELU, settings, None).iterations.max())
    assert counts["found"] <= counts["1/L"]


def test_newton_falls_back_to_a_proven_step_where_it_circles() -> None:
    """Active sets can circle; the safeguard's steps then converge. Random starts far away, a W with large norm."""
    for seed in range(20):
        system, c = random_system(n=6, size=6.0, seed=seed), injections(30, 6, seed)
        start = 50.0 * injections(30, 6, seed + 100)
        solved = run(EquilibriumOperator(system, c), RELU, Settings(LayerNewton(), 1e-12, 500), start)
        assert solved.status is monops.Status.CONVERGED
        assert bool((miss(system, c, solved.z) < 1e-9).all())


@pytest.mark.parametrize(
    ("linear", "injection", "sample"),
    [
        (lambda: MonotoneLinear(4), 3, (3,)),
        (lambda: PaddedConvolution(2, (3, 4)), 1, (1, 3, 4)),
        (lambda: PaddedConvolution(2, (3, 4), inverse=None), 1, (1, 3, 4)),
        (lambda: CircularConvolution(2, 4), 1, (1, 4, 4)),
    ],
)
def test_an_empty_batch_is_an_empty_answer(linear: Any, injection: int, sample: tuple[int, ...]) -> None:
    layer = MonDEQ(linear(), injection=injection)
    x = torch.zeros(0, *sample, requires_grad=True)
    z = layer(x)
    z.sum().backward()
    assert z.shape == (0, *layer.linear.shape)
    assert x.grad is not None
    assert layer.solve(x.detach()).z.shape == (0, *layer.linear.shape)


@pytest.mark.parametrize(
    ("features", "rows", "size", "expected"),
    [
        (87, 128, 1.0, monops.PeacemanRachford),
        (400, 1, 1.0, monops.ForwardBackwardForward),  # one row is not worth an inverse
        (12, 1000, 5.0, monops.PeacemanRachford),
        (12, 1, 0.0, monops.ForwardBackward),  # W = 0: one step
    ],
)
def test_the_method_is_chosen_by_the_work_of_both_passes(features: int, rows: int, size: float, expected: Any) -> None:
    chosen = choose(random_system(features, size), RELU, None, rows, 1e-2).algorithm
    assert isinstance(chosen, expected)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch in blocks of three rows, a NaN row and a warm start among them, forward and backward."""
    torch.manual_seed(0)
    layer = MonDEQ(MonotoneLinear(5, dtype=torch.float64), "tanh", injection=3, tol=1e-12)
    x = torch.randn(10, 3, dtype=torch.float64)
    x[4] = torch.nan
    found = {}
    for block in (2**21, 15):
        monkeypatch.setattr("monops_nn.solver.BLOCK", block)
        xs = x.clone().requires_grad_()
        with pytest.warns(errors.NotConvergedWarning, match="1 of 10 rows: non-finite"):
            z = layer(xs, torch.ones(10, 5, dtype=torch.float64))
        with pytest.warns(errors.NotConvergedWarning, match="backward"):
            z.square().sum().backward()
        found[block] = z.detach(), xs.grad
    for whole, parts in zip(found[2**21], found[15], strict=True):
        torch.testing.assert_close(whole, parts, rtol=0, atol=1e-10, equal_nan=True)


def test_weights_that_are_not_finite_are_named() -> None:
    layer = MonDEQ(MonotoneLinear(5), injection=3)
    with torch.no_grad():
        layer.linear.A[0, 0] = torch.nan
    with pytest.raises(errors.ConstantError, match="the weight W contains NaN or infinity: lower the learning rate"):
        layer(torch.zeros(2, 3))


def test_steps_follow_the_operator_where_the_declared_m_is_far_below_it() -> None:
    """I - W = 3.2 with a declared m of 1e-9: a step from the declared number would take thousands of iterations."""
    W = torch.full((1, 1), -2.2, dtype=torch.float64)
    system = DenseSystem((W,), 1e-9)
    step = choose(system, RELU, None).algorithm.step_size  # type: ignore[attr-defined]
    assert 0.1 < step < 1.0
    solved = run(
        EquilibriumOperator(system, torch.ones(3, 1, dtype=torch.float64)),
        RELU,
        Settings(monops.PeacemanRachford(step), 1e-9, 50),
        None,
    )
    assert solved.status is monops.Status.CONVERGED


def test_the_backward_pass_alone_is_the_one_of_the_gradient() -> None:
    torch.manual_seed(0)
    layer = MonDEQ(MonotoneLinear(5, dtype=torch.float64), "tanh", injection=3, tol=1e-11)
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    z = layer(x)
    g = torch.randn(z.shape, dtype=torch.float64)
    z.backward(g)
    backward = layer.solve_backward(x.detach(), g)
    assert backward.status is monops.Status.CONVERGED
    u = backward.z.reshape(2, 4, 5)
    torch.testing.assert_close(u @ layer.injection.weight, x.grad, rtol=0, atol=1e-8)
    with pytest.raises(errors.ShapeError, match="gradient has the leading axes"):
        layer.solve_backward(x.detach(), g[0])


def test_a_first_residual_of_one_does_not_send_the_next_look_far_away() -> None:
    """A first step may leave a relative residual of 1, from which a rate of 0.99 was learned, and 32 steps in one go."""
    rows = _Rows(1, Settings(monops.ForwardBackwardForward(), 0.1, 1000))
    one = np.ones(1)
    rows.update(1, one, one)
    looks = []
    while rows.at < 100:
        looks.append(rows.steps())
        rows.update(looks[-1], one, one)
    assert looks[:4] == [2, 3, 6, 12]
    assert max(looks) == LONGEST


def test_a_residual_that_rises_once_does_not_set_the_rate() -> None:
    rows = _Rows(1, Settings(monops.ForwardBackwardForward(), 1e-6, 1000))
    rows.update(10, np.array([0.1]), np.array([1.0]))
    rate = rows.rate
    assert rate == pytest.approx(0.1**0.1)
    rows.update(1, np.array([0.15]), np.array([1.0]))
    assert (rows.rate, rows.worst) == (rate, 0.15)


def test_steps_that_move_leave_no_factors_behind() -> None:
    g, J = torch.ones(2, 3), torch.full((2, 3), 0.5)
    bend = ActivationDerivative(g, J)
    for k in range(1, 40):
        bend.resolvent(g, 1.0 / k)
    assert len(bend._kept) <= 2
    torch.testing.assert_close(bend.resolvent(g, 0.5), J * (g + 0.5 * g) / (J + 0.5 * (1 - J)))
