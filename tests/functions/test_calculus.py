"""The calculus beyond what the walk sees: which class a rule gives, what is refused and in which words, tolerances, roots."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import monops
from monops import Blocks, errors
from monops import functions as f
from monops.functions.iterative import Iterative
from monops.functions.roots import increasing_root
from monops.linear import Convolution, Diagonal, MatvecMap

X = np.array([1.5, -0.3, 2.0, -4.0])
SHIFT = np.array([1.0, 0.0, -1.0, 2.0])


@pytest.mark.parametrize("step", [0.2, 1.0, 7.0])
@pytest.mark.parametrize(
    ("changed", "pieces"),
    [
        (lambda g: g.translate(SHIFT), lambda p, x, s: SHIFT + p(x - SHIFT, s)),
        (lambda g: g.tilt(SHIFT), lambda p, x, s: p(x - s * SHIFT, s)),
        (lambda g: g.scale_argument(-2.0), lambda p, x, s: p(-2.0 * x, 4.0 * s) / -2.0),
        (lambda g: g.add_quadratic(0.5), lambda p, x, s: p(x / (1 + 0.5 * s), s / (1 + 0.5 * s))),
        (lambda g: 3.0 * g, lambda p, x, s: p(x, 3.0 * s)),
    ],
)
def test_rules_hold_for_a_function_without_closed_conjugate_value(changed: Any, pieces: Any, step: float) -> None:
    g = f.L1PlusL2(0.5, 0.7)
    np.testing.assert_allclose(changed(g).prox(X, step), pieces(g.prox, X, step), atol=1e-13)


def test_conjugates_of_the_calculus_are_the_calculus_of_conjugates() -> None:
    g = f.L1Norm(0.8)
    assert isinstance(g.translate(SHIFT).conjugate(), f.Tilt)
    assert isinstance(g.tilt(SHIFT).conjugate(), f.Translation)
    assert isinstance(g.add_quadratic(2.0).conjugate(), f.MoreauEnvelope)
    assert isinstance(g.envelope(2.0).conjugate(), f.QuadraticPerturbation)
    assert isinstance(f.SeparableSum((g, g)).conjugate(), f.SeparableSum)
    assert isinstance(f.TightFrameComposition(g, np.array([[0.6, 0.8, 0.0, 0.0]])).conjugate(), f.InfimalPostcomposition)


def test_envelope_is_the_infimum_over_a_grid() -> None:
    g, grid = f.MoreauEnvelope(f.L1Norm(0.8), 0.6), np.linspace(-6, 6, 200_001)
    for x in X:
        least = np.min(0.8 * np.abs(grid) + (grid - x) ** 2 / 1.2)
        np.testing.assert_allclose(float(g(np.array([x]))), least, atol=1e-8)


def test_infimal_postcomposition_is_the_infimum() -> None:
    """L isometric up to scale: {x : Lx = y} is one point, and nothing off the range."""
    L = np.array([[1.0, -1.0], [1.0, 1.0], [0.0, 0.0]])
    g = f.InfimalPostcomposition(f.L1Norm(), L)
    z = np.array([2.0, -3.0])
    np.testing.assert_allclose(float(g(L @ z)), 5.0)
    assert float(g(L @ z + np.array([0.0, 0.0, 1.0]))) == np.inf


def test_precompose_takes_rotations_diagonals_and_rows_and_refuses_the_rest_naming_a_method() -> None:
    rotation = np.array([[0.6, 0.8], [-0.8, 0.6]])
    assert isinstance(f.L1Norm().precompose(rotation), f.TightFrameComposition)
    assert isinstance(f.L1Norm().precompose(Diagonal(np.array([1.0, 2.0]))), f.DiagonalComposition)
    with pytest.raises(errors.CapabilityError, match=r"not a multiple of the identity: use f @ K and .* ChambollePock"):
        f.L1Norm().precompose(np.array([[1.0, 2.0], [0.0, 1.0]]))
    with pytest.raises(errors.CapabilityError, match="ChambollePock"):
        f.LInfNorm().precompose(Diagonal(np.array([1.0, 2.0])))
    with pytest.raises(errors.DataError, match="not separable"):
        f.DiagonalComposition(f.LInfNorm(), np.ones(2))
    with pytest.raises(errors.DataError, match="neither value nor prox"):
        f.InfimalPostcomposition(f.L1Norm(), np.array([[1.0, 2.0], [0.0, 1.0]]))


def test_a_scaled_frame_with_nearly_equal_rows_is_refused() -> None:
    """K K* off by 1e-6 from nu I is no tight frame: the prox would be wrong by as much."""
    with pytest.raises(errors.CapabilityError):
        f.L1Norm().precompose(np.array([[1.0, 0.0], [0.0, 1.000001]]))


def test_a_unitary_convolution_is_a_tight_frame() -> None:
    shift = Convolution(np.array([0.0, 1.0, 0.0]), (6,))
    g = f.L1Norm(0.5).precompose(shift)
    x = np.arange(6.0) - 2.0
    np.testing.assert_allclose(g.prox(x, 1.0), f.L1Norm(0.5).prox(x, 1.0), atol=1e-13)


@pytest.mark.parametrize(
    ("parts", "cls"),
    [
        ((f.L1Norm(), f.Box(0.0, 1.0)), f.OnBox),
        ((f.L1Norm(), f.L2Norm(0.5)), f.L1PlusL2),
        ((f.L1Norm(), f.GroupL2(0.5)), f.SparseGroup),
        ((f.L1Norm(), f.TotalVariation1D(0.5)), f.FusedLasso),
        ((f.Huber(0.5), f.NonNegative()), f.OnBox),
        ((f.L2Ball(2.0), f.NonNegative()), f.RadialSum),
        ((f.L1Norm(), f.SquaredL2(2.0)), f.QuadraticPerturbation),
        ((f.Box(-1.0, 1.0), f.Box(0.0, 3.0)), f.Box),
        ((f.L1Norm(), f.L1Norm(2.0)), f.L1Norm),
    ],
)
def test_combine_finds_the_closed_form_and_it_is_the_prox_of_the_sum(parts: Any, cls: type) -> None:
    """Checked by the subgradient inequality of the sum, at random points of its domain."""
    together, x = f.combine(*parts), np.array([[1.5, -0.3], [2.0, -4.0]])
    assert isinstance(together, cls)
    p = together.prox(x, 0.7)

    def total(y: np.ndarray) -> float:
        return sum(float(part(y)) for part in parts)

    assert np.isfinite(total(p))
    for seed in range(200):
        y = p + 10.0 ** -(seed % 4) * np.random.default_rng(seed).standard_normal(p.shape)
        assert total(y) >= total(p) + float(np.sum((x - p) * (y - p))) / 0.7 - 1e-10


def test_factors_in_front_are_as_good_as_weights() -> None:
    x = np.array([1.5, -0.3, 2.0, -4.0])
    for scaled, plain in (
        (f.combine(0.5 * f.L1Norm(), f.Box(0.0, 1.0)), f.combine(f.L1Norm(0.5), f.Box(0.0, 1.0))),
        (f.combine(0.5 * f.L1Norm(), 2.0 * f.L2Norm()), f.L1PlusL2(0.5, 2.0)),
        (f.combine(0.5 * f.L1Norm(), 0.1 * f.TotalVariation1D()), f.FusedLasso(0.1, 0.5)),
        (f.OnBox(0.5 * f.Huber(0.3), 0.0, 1.0), f.OnBox(f.Huber(0.3, 0.5), 0.0, 1.0)),
        ((0.5 * f.L1Norm()).precompose(Diagonal(np.array([1.0, 2.0, 0.5, -1.0]))), None),
    ):
        expected = (f.L1Norm(0.5).precompose(Diagonal(np.array([1.0, 2.0, 0.5, -1.0]))) if plain is None else plain).prox(
            x, 0.7
        )
        np.testing.assert_allclose(scaled.prox(x, 0.7), expected, atol=1e-14)


@pytest.mark.parametrize("arguments", [([f.L1Norm()],), (f.L1Norm(), 3.0), (f.L1Norm() + f.Box(0.0, 1.0),), ()])
def test_combine_says_what_it_takes(arguments: Any) -> None:
    with pytest.raises(errors.DataError, match="combine takes Functions"):
        f.combine(*arguments)


def test_a_sum_sends_to_combine_and_a_nonconvex_function_to_no_method() -> None:
    with pytest.raises(errors.CapabilityError, match="call combine"):
        (f.L1Norm() + f.Box(0.0, 1.0)).prox(X)
    with pytest.raises(errors.CapabilityError, match="nonconvex"):
        f.combine(f.L1Norm(), f.MCP())


def test_a_quadratic_that_outweighs_weak_convexity_makes_a_convex_function() -> None:
    g = f.MCP(0.5, 3.0).add_quadratic(2.0)
    assert g.is_convex
    assert not f.MCP(0.5, 3.0).add_quadratic(0.1).is_convex
    result = monops.solve(monops.LeastSquares(np.eye(3), np.array([3.0, 0.1, -2.0])) + g, tol=1e-10)
    grid = np.linspace(-3, 3, 600_001)
    for target, x in zip((3.0, 0.1, -2.0), result.x, strict=True):
        objective = f.MCP(0.5, 3.0).entry_value(grid) + grid**2 + (grid - target) ** 2 / 2
        assert abs(grid[np.argmin(objective)] - x) < 2e-5


def test_second_derivatives_through_a_solved_prox_are_refused() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(f.Tanh().prox(x, 0.4).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_combine_refuses_what_is_not_closed_form_naming_methods() -> None:
    with pytest.raises(errors.CapabilityError, match=r"no closed form .*sum x = 1.*DouglasRachford.*DavisYin.*ChambollePock"):
        f.combine(f.LInfNorm(), f.Simplex())


NONCONVEX = [
    f.L0Norm(),
    f.SCAD(),
    f.MCP(),
    f.LqPenalty(),
    f.CappedL1(),
    f.CauchyPenalty(),
    f.L0Ball(1),
    f.Sphere(),
    f.BinarySet(),
]


@pytest.mark.parametrize("penalty", NONCONVEX, ids=lambda penalty: type(penalty).__name__)
def test_methods_refuse_a_nonconvex_function_by_its_name(penalty: f.Function) -> None:
    name = type(penalty).__name__
    problem = monops.LeastSquares(np.eye(3), np.ones(3)) + penalty
    with pytest.raises(errors.NotApplicableError, match=f"{name} in .* is nonconvex: every method"):
        monops.solve(problem)
    with pytest.raises(errors.NotApplicableError, match="is nonconvex"):
        monops.solve(monops.LeastSquares(np.eye(3), np.ones(3)) + 2.0 * penalty)
    assert "nonconvex" in str(monops.explain(problem))
    with pytest.raises(errors.CapabilityError, match="nonconvex"):
        penalty.conjugate()
    with pytest.raises(errors.DataError, match="nonconvex"):
        monops.operators.Subdifferential(penalty)
    if penalty.is_indicator:
        with pytest.raises(errors.DataError, match="nonconvex"):
            monops.operators.NormalCone(penalty)


def test_an_iterative_prox_takes_its_tolerance_from_the_solve_that_calls_it() -> None:
    seen: list[float | None] = []

    class Spy(Iterative):
        def prox_certified(self, x: Any, step: float = 1.0, tolerance: float | None = None) -> Any:
            seen.append(self.tolerance)
            zero = np.zeros(())
            from monops.functions.iterative import CertifiedProx

            return CertifiedProx(x / (1 + step), zero, zero, 1, True)

    monops.solve(monops.LeastSquares(np.eye(2), np.ones(2)) + Spy(), tol=1e-5, on_failure="ignore")
    assert seen == pytest.approx([1e-6] * len(seen))
    seen.clear()
    monops.solve(monops.LeastSquares(np.eye(2), np.ones(2)) + 0.5 * Spy(tolerance=1e-3), tol=1e-5, on_failure="ignore")
    assert set(seen) == {1e-3}  # its own stays


def test_an_iterative_prox_that_ends_early_says_how_far_it_came() -> None:
    A = np.diag(np.linspace(1.0, 30.0, 40))
    g = f.MatrixFreeLeastSquares(A, np.ones(40), max_iter=2)
    x = np.arange(40.0)
    with pytest.warns(errors.InexactProxWarning, match=r"MatrixFreeLeastSquares ended after max_iter=2 .* certified error of"):
        p = g.prox(x)
    exact = f.LeastSquares(A, np.ones(40)).prox(x)
    certified = g.prox_certified(x)
    assert not certified.converged
    assert np.linalg.norm(p - exact) <= float(certified.error_bound) * (1 + 1e-12)


def test_certified_errors_hold_and_are_not_idle() -> None:
    A = np.vander(np.linspace(0, 1, 12), 6)
    exact, x = f.LeastSquares(A, np.ones(12)), np.arange(6.0)
    free = MatvecMap(lambda h: h @ A.T, lambda y: y @ A, (6,), (12,), 4.0)
    for tolerance in (1e-2, 1e-5, 1e-9):
        found = f.MatrixFreeLeastSquares(free, np.ones(12)).prox_certified(x, 2.0, tolerance)
        error = np.linalg.norm(found.point - exact.prox(x, 2.0))
        assert found.converged
        assert error <= float(found.error_bound) <= tolerance * (1 + np.linalg.norm(x))


def test_least_squares_without_a_factorisation_names_the_way_out() -> None:
    free = MatvecMap(lambda h: h, lambda y: y, (2,), (2,), 1.0)
    with pytest.raises(errors.CapabilityError, match="gradient"):
        f.LeastSquares(free, np.ones(2)).prox(np.ones(2))


def test_proximal_average_lies_between_its_functions_and_is_self_dual() -> None:
    g = f.ProximalAverage((f.SquaredL2(1.0), f.L1Norm()), parameter=2.0)
    x = np.array([3.0, -0.5])
    np.testing.assert_allclose(g.prox(x, 2.0), 0.5 * (x / 3.0 + np.sign(x) * np.maximum(np.abs(x) - 2.0, 0.0)))
    np.testing.assert_allclose(x - 2.0 * g.conjugate().prox(x / 2.0, 0.5), g.prox(x, 2.0), atol=1e-12)
    with pytest.raises(errors.DataError, match="sum to 1"):
        f.ProximalAverage((f.L1Norm(), f.L1Norm()), (0.5, 0.6))


def test_separable_functions_are_restricted_and_measure_subgradients() -> None:
    g = f.L1Norm(np.array([0.5, 1.0, 2.0, 4.0]))
    index = np.array([1, 3])
    np.testing.assert_allclose(g.restrict(index).prox(X[index], 0.3), g.prox(X, 0.3)[index])
    np.testing.assert_allclose(
        g.distance_to_subdifferential(np.array([0.0, 0.0, 1.0, -1.0]), np.array([0.7, 0.7, 2.0, 0.0])), [0.2, 0, 0, 4]
    )


def test_blocks_keep_their_derivative_blocks() -> None:
    g = f.SeparableSum((f.L1Norm(), f.SquaredL2(1.0)))
    x = Blocks((np.array([3.0, 0.1]), np.array([2.0])))
    moved = g.prox_jvp(x, 1.0, dx=Blocks((np.ones(2), np.ones(1))), dstep=1.0)
    np.testing.assert_allclose(moved[0], [0.0, 0.0])
    np.testing.assert_allclose(moved[1], [0.5 - 0.5])


@pytest.mark.parametrize("scale", [1e-200, 1e-5, 1.0, 1e5, 1e200])
def test_roots_are_exact_at_every_scale(scale: float) -> None:
    x = scale * np.array([1.0, 2.0, 1e-3])
    with np.errstate(all="ignore"):
        found = increasing_root(lambda t: (t + np.arctan(t) - x, 1.0 + 1.0 / (1.0 + t * t)), 0.0 * x, x, 0.5 * x)
        residual = found + np.arctan(found) - x
    assert np.max(np.abs(residual) / x) < 4e-16


def test_roots_survive_a_slope_that_is_wrong_infinite_or_nan() -> None:
    x = np.array([0.1, 0.5, 0.9])
    for slope in (0.0, np.inf, np.nan, 1e-3):
        found = increasing_root(lambda t, slope=slope: (t**3 - x, 0.0 * t + slope), 0.0 * x, 0.0 * x + 1.0, 0.0 * x + 0.5)
        np.testing.assert_allclose(found, np.cbrt(x), rtol=1e-12)


def test_a_root_at_an_end_of_the_bracket_is_found() -> None:
    x = np.array([0.0, 1.0])
    found = increasing_root(lambda t: (t - x, np.ones_like(t)), np.zeros(2), np.ones(2), np.full(2, 0.3))
    np.testing.assert_allclose(found, x, atol=1e-300)


def test_a_gradient_that_would_be_lost_is_refused_and_one_in_a_wrapped_function_is_kept() -> None:
    torch = pytest.importorskip("torch")
    center = torch.tensor([0.5, 0.0], dtype=torch.float64, requires_grad=True)
    both = f.Intersection((f.L2Ball(1.0, center), f.Box(0.0, 2.0)))
    with pytest.raises(errors.BackendError, match="center requires gradients, but the prox of Intersection has no derivative"):
        both.prox(torch.tensor([3.0, 1.0], dtype=torch.float64))
    rows = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    with pytest.raises(errors.BackendError, match="requires gradients"):
        f.TransportPolytope(rows, torch.tensor([1.5, 1.5], dtype=torch.float64)).prox(torch.ones((2, 2), dtype=torch.float64))
    weight = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([3.0, -1.0], dtype=torch.float64)
    f.MoreauEnvelope(f.L1Norm(weight), 0.7).prox(x, 1.2).sum().backward()
    expected = f.MoreauEnvelope(f.L1Norm(weight.detach().numpy()), 0.7).prox_vjp(x.numpy(), np.ones(2), 1.2)
    np.testing.assert_allclose(weight.grad.numpy(), expected.parameters["function.weight"], atol=1e-13)


def test_nothing_is_recorded_without_a_gradient() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor([1.0, -2.0], dtype=torch.float64)
    p = f.LogisticLoss(torch.ones(2, dtype=torch.float64)).prox(x, 0.5)
    assert not p.requires_grad


def test_forward_mode_through_a_solved_prox() -> None:
    torch = pytest.importorskip("torch")
    g, x = f.Tanh(), torch.tensor([0.3, -2.0], dtype=torch.float64)
    tangent = torch.tensor([1.0, 0.5], dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, moved = torch.func.jvp(lambda point: g.prox(point, 0.4), (x,), (tangent,))
    np.testing.assert_allclose(moved.numpy(), g.prox_jvp(x.numpy(), 0.4, dx=tangent.numpy()), atol=1e-12)


def test_jax_gradients_through_solved_proxes_are_exact() -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    x = jax.numpy.asarray([0.3, -2.0, 1.0])
    for g in (f.Tanh(), f.MonotoneCone()):
        gradient = jax.grad(lambda point, g=g: (g.prox(point, 0.4) * jax.numpy.asarray([1.0, 2.0, 3.0])).sum())(x)
        expected = g.prox_vjp(np.asarray(x), np.array([1.0, 2.0, 3.0]), 0.4).x
        np.testing.assert_allclose(np.asarray(gradient), expected, atol=1e-12)
    slope = jax.grad(lambda step: f.Tanh().prox(x, step).sum())(0.4)
    np.testing.assert_allclose(float(slope), float(f.Tanh().prox_vjp(np.asarray(x), np.ones(3), 0.4).step), atol=1e-12)
