"""Derivatives of solutions: against finite differences of plain solves, closed forms, KKT systems and unrolled loops."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import monops
from monops import arrays, errors
from monops.differentiate import differentiable_solve
from monops.differentiate.adjoint import solve_adjoint
from monops.differentiate.recorded import lend_numbers, rebuilt, recorded_terms

torch = pytest.importorskip("torch")

D = torch.float64
H = 1e-5
rng = np.random.default_rng(0)


def t(host: Any) -> Any:
    return torch.tensor(np.asarray(host), dtype=D)


def normal(*shape: int) -> Any:
    return t(rng.standard_normal(shape))


def symmetric(P: Any) -> Any:
    return 0.5 * (P + P.mT)


N = 5
A, B, SQUARE = normal(8, N), normal(8), normal(N, N)
P, Q = SQUARE @ SQUARE.mT / N + 0.5 * torch.eye(N, dtype=D), 3.0 * normal(N)
ROWS, RIGHT = normal(2, N), 0.3 * normal(2)
SKEW = 0.5 * torch.eye(N, dtype=D) + SQUARE - SQUARE.mT
SIGNAL, DIFFERENCES = normal(6), t(np.diff(np.eye(6), axis=0))
GAME = normal(3, 4)
GAME_START = monops.Blocks((torch.full((4,), 0.25, dtype=D), torch.full((3,), 1 / 3, dtype=D)))


@dataclass(frozen=True)
class Case:
    """A problem as a function of the tensors to differentiate in, and methods to differentiate it by."""

    name: str
    build: Callable[..., Any]
    parameters: tuple[Any, ...]
    methods: tuple[Any, ...] = (None,)
    x0: Any = None
    batch_ndim: int = 0


def affine(M: Any, q: Any) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad")
        return monops.Affine(M, q)


def game(G: Any, strength: float = 0.5) -> Any:
    simplex = monops.Simplex().add_quadratic(strength)
    return monops.Saddle(simplex, simplex, G).terms()


CASES = (
    Case(
        "lasso",
        lambda A, b, w: monops.LeastSquares(A, b) + monops.L1Norm(w),
        (A, B, t(0.7)),
        (None, monops.ForwardBackward(), monops.DouglasRachford(), monops.AcceleratedForwardBackward(), monops.Anderson()),
    ),
    Case("weights", lambda A, w: monops.LeastSquares(A, B) + monops.L1Norm(w), (A, t([0.1, 0.5, 1.0, 0.3, 0.7]))),
    Case(
        "box quadratic",
        lambda P, q, lower, upper: monops.Quadratic(symmetric(P), q) + monops.Box(lower, upper),
        (P, Q, t(np.full(N, -0.5)), t(np.full(N, 0.5))),
        (None, monops.ForwardBackward(), monops.DouglasRachford(), monops.ForwardBackwardForward()),
    ),
    Case(
        "coinciding eigenvalues",  # where the derivative of an eigendecomposition is infinite
        lambda P, q: monops.Quadratic(symmetric(P), q) + monops.Box(-1.0, 1.0),
        (torch.eye(N, dtype=D), Q),
        (monops.DouglasRachford(), monops.PeacemanRachford()),
    ),
    Case(
        "coinciding eigenvalues in ADMM",
        lambda P, A, b: monops.Quadratic(symmetric(P), Q) + monops.Point(b) @ monops.Matrix(A),
        (torch.eye(N, dtype=D), ROWS, RIGHT),
        (monops.ADMM(),),
    ),
    Case(
        "the answer before z",  # Douglas-Rachford has x after one step, and z much later
        lambda A, b: monops.LeastSquares(A, b) + monops.L1Norm(),
        (torch.eye(N, dtype=D), Q),
        (monops.DouglasRachford(),),
    ),
    Case(
        "total variation",
        lambda s, w, K: monops.SquaredL2().translate(s) + monops.L1Norm(w) @ monops.Matrix(K),
        (SIGNAL, t(0.4), DIFFERENCES),
        (monops.ChambollePock(), monops.LinearizedADMM(), monops.ADMM()),
    ),
    Case("game", lambda G: monops.Inclusion(game(G)), (GAME,), (None, monops.ChambollePock()), GAME_START),
    Case(
        "variational inequality",
        lambda M, q: affine(M, q) + monops.NormalCone(monops.NonNegative()),
        (SKEW, Q),
        (None, monops.ForwardBackwardForward()),
    ),
    Case(
        "equations in the dual",
        lambda P, q, A, b: monops.Quadratic(symmetric(P), q) + monops.Point(b) @ monops.Matrix(A),
        (P, Q, ROWS, RIGHT),
        (monops.ChambollePock(), monops.ADMM()),
    ),
    Case(
        "equations and bounds in one box",
        lambda P, A, b, u: monops.quadratic_program(
            symmetric(P), Q, A, torch.cat([b, torch.full((2,), -9.0, dtype=D)]), torch.cat([b, u])
        ),
        (P, torch.cat([ROWS, t([[1.0, 0, 1.0, 0, 0], [0, 1.0, 0, 0, 0]])]), RIGHT, t([0.1, 9.0])),
        (monops.ChambollePock(), monops.ADMM()),
    ),
    Case(
        "three terms",
        lambda A, b, w, u: monops.LeastSquares(A, b) + monops.L1Norm(w) + monops.Box(-1.0, u),
        (A, B, t(0.3), t(0.2)),
        (monops.DavisYin(), monops.GeneralizedForwardBackward()),
    ),
    Case(
        "rows",
        lambda A, b, w: monops.LeastSquares(A, b) + monops.L1Norm(w),
        (A, normal(3, 8), t(0.3)),
        (monops.ForwardBackward(), monops.DouglasRachford()),
        torch.zeros(3, N, dtype=D),
        1,
    ),
    Case(
        "a projection with a derivative attached",
        lambda P, r: monops.Quadratic(symmetric(P), Q) + monops.L1Ball(r),
        (P, t(0.8)),
    ),
)
PAIRS = [(case, method) for case in CASES for method in case.methods]


def as_vector(x: Any) -> Any:
    return torch.cat([leaf.reshape(-1) for leaf in arrays.leaves(x)])


@pytest.mark.parametrize(("case", "method"), PAIRS, ids=[f"{case.name}-{method and method.name}" for case, method in PAIRS])
def test_implicit_derivative_is_the_finite_difference(case: Case, method: Any) -> None:
    common: dict[str, Any] = {"x0": case.x0, "batch_ndim": case.batch_ndim, "max_iter": 100_000}

    def plain(*parameters: Any) -> Any:
        return as_vector(monops.solve(case.build(*parameters), method, tol=1e-11, **common).x)

    live = [parameter.clone().requires_grad_() for parameter in case.parameters]
    result = differentiable_solve(case.build(*live), method, tol=1e-10, on_failure="raise", **common)
    x = as_vector(result.x)
    direction = t(np.random.default_rng(1).standard_normal(x.shape))
    gradients = torch.autograd.grad(x @ direction, live)
    generator = np.random.default_rng(2)
    for index, gradient in enumerate(gradients):
        for _ in range(2):
            move = t(generator.standard_normal(gradient.shape))
            ends = [list(case.parameters), list(case.parameters)]
            ends[0][index], ends[1][index] = case.parameters[index] + H * move, case.parameters[index] - H * move
            slope = float(direction @ (plain(*ends[0]) - plain(*ends[1]))) / (2 * H)
            assert float((gradient * move).sum()) == pytest.approx(slope, rel=1e-5, abs=2e-5)


def test_ridge_has_its_dense_derivative() -> None:
    live = [A.clone().requires_grad_(), B.clone().requires_grad_(), t(0.3).requires_grad_()]
    x = differentiable_solve(monops.LeastSquares(live[0], live[1]) + monops.SquaredL2(live[2]), tol=1e-12).x
    v = normal(N)
    in_A, in_b, in_weight = torch.autograd.grad(x @ v, live)
    H = A.mT @ A + 0.3 * torch.eye(N, dtype=D)
    x, u = torch.linalg.solve(H, A.mT @ B), torch.linalg.solve(H, v)
    assert torch.allclose(in_b, A @ u, atol=1e-9)
    assert torch.allclose(in_A, torch.outer(B - A @ x, u) - torch.outer(A @ u, x), atol=1e-9)
    assert float(in_weight) == pytest.approx(-float(u @ x), abs=1e-9)


@pytest.mark.parametrize("method", [monops.ForwardBackward(), monops.DouglasRachford()], ids=lambda method: method.name)
def test_equality_constrained_quadratic_has_the_derivative_of_its_kkt_system(method: Any) -> None:
    live = [parameter.clone().requires_grad_() for parameter in (P, Q, ROWS, RIGHT)]
    problem = monops.Quadratic(symmetric(live[0]), live[1]) + monops.AffineSet(live[2], live[3])
    v = normal(N)
    found = torch.autograd.grad(differentiable_solve(problem, method, tol=1e-11).x @ v, live)
    copies = [parameter.clone().requires_grad_() for parameter in (P, Q, ROWS, RIGHT)]
    zero = torch.zeros(2, 2, dtype=D)
    system = torch.cat([torch.cat([symmetric(copies[0]), copies[2].mT], 1), torch.cat([copies[2], zero], 1)])
    x = torch.linalg.solve(system, torch.cat([-copies[1], copies[3]]))[:N]
    for one, other in zip(found, torch.autograd.grad(x @ v, copies), strict=True):
        assert torch.allclose(one, other, atol=1e-8)


def test_the_multipliers_have_a_derivative_too() -> None:
    right = RIGHT.clone().requires_grad_()
    problem = monops.Quadratic(P, Q) + monops.Point(right) @ monops.Matrix(ROWS)
    result = differentiable_solve(problem, monops.ChambollePock(), tol=1e-11, max_iter=100_000)
    jacobian = torch.stack([torch.autograd.grad(entry, right, retain_graph=True)[0] for entry in result.dual])
    expected = -torch.linalg.inv(ROWS @ torch.linalg.solve(P, ROWS.mT))  # A x = b, P x + q + A'y = 0
    assert torch.allclose(jacobian, expected, atol=1e-7)


def test_rows_are_independent_and_equal_to_single_problems() -> None:
    right = normal(3, 8).requires_grad_()
    result = differentiable_solve(
        monops.LeastSquares(A, right) + monops.L1Norm(0.3),
        monops.ForwardBackward(),
        x0=torch.zeros(3, N, dtype=D),
        batch_ndim=1,
        tol=1e-11,
    )
    v = normal(N)
    (whole,) = torch.autograd.grad(result.x[1] @ v, right)
    single = right[1].detach().clone().requires_grad_()
    x = differentiable_solve(monops.LeastSquares(A, single) + monops.L1Norm(0.3), monops.ForwardBackward(), tol=1e-11).x
    assert not whole[[0, 2]].any()
    assert torch.allclose(whole[1], torch.autograd.grad(x @ v, single)[0], atol=1e-9)


@pytest.mark.parametrize(
    "method",
    [
        monops.ForwardBackward(),
        monops.DouglasRachford(),
        monops.AcceleratedForwardBackward(),
        monops.InertialForwardBackward(),
        monops.ForwardBackwardForward(),
    ],
    ids=lambda method: method.name,
)
def test_implicit_is_the_limit_of_unrolled(method: Any) -> None:
    def gradients(**settings: Any) -> Any:
        live = [A.clone().requires_grad_(), B.clone().requires_grad_(), t(0.7).requires_grad_()]
        result = differentiable_solve(monops.LeastSquares(live[0], live[1]) + monops.L1Norm(live[2]), method, **settings)
        return as_vector(monops.Blocks(torch.autograd.grad(result.x @ Q, live)))

    limit = gradients(tol=1e-11)
    errors_ = [float((gradients(mode="unrolled", unrolled_iterations=k) - limit).norm()) for k in (10, 400)]
    assert errors_[1] < 1e-7 < 1e-3 < errors_[0]


def test_unrolled_steps_have_the_derivative_of_these_steps() -> None:
    start, right = normal(N).requires_grad_(), B.clone().requires_grad_()
    method = monops.ForwardBackward(step_size=0.05)
    result = differentiable_solve(
        monops.LeastSquares(A, right) + monops.L1Norm(0.3), method, mode="unrolled", unrolled_iterations=3, x0=start
    )
    x, b = start.detach().clone().requires_grad_(), B.clone().requires_grad_()
    y = x
    for _ in range(3):
        y = y - 0.05 * A.mT @ (A @ y - b)
        y = y.sign() * (y.abs() - 0.015).clamp(min=0)
    assert torch.allclose(result.x, y)
    assert result.status is monops.Status.ITERATION_LIMIT
    assert result.iterations == 3
    expected = torch.autograd.grad(y @ Q, (x, b))
    for one, other in zip(torch.autograd.grad(result.x @ Q, (start, right)), expected, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


# ---- kinks ------------------------------------------------------------------------------------------

ONE = torch.eye(1, dtype=D)
KINKS = {
    # problem in theta, theta at the kink, the one-sided derivatives, and what the docstring says is returned
    "lasso": (lambda b: monops.LeastSquares(ONE, b) + monops.L1Norm(1.0), 1.0, (0.0, 1.0), 0.0),
    "positive": (lambda q: monops.Quadratic(ONE, q) + monops.NonNegative(), 0.0, (-1.0, 0.0), -1.0),
    "box": (lambda q: monops.Quadratic(ONE, q) + monops.Box(0.0, 1.0), -1.0, (-1.0, 0.0), -1.0),
    "bound": (lambda u: monops.Quadratic(ONE, t([-1.0])) + monops.Box(0.0, u), 1.0, (0.0, 1.0), 0.0),
}


@pytest.mark.parametrize("name", list(KINKS))
@pytest.mark.parametrize("method", [monops.ForwardBackward(step_size=1.0), None], ids=["ForwardBackward", "default"])
def test_at_a_kink_the_documented_element_lies_between_the_one_sided_derivatives(name: str, method: Any) -> None:
    build, at, (least, most), documented = KINKS[name]
    theta = t([at]).requires_grad_()
    derivative = float(torch.autograd.grad(differentiable_solve(build(theta), method).x.sum(), theta)[0])
    ends = [float(monops.solve(build(t([at + h])), method, tol=1e-12).x) for h in (-1e-3, 0.0, 1e-3)]
    slopes = sorted(((ends[1] - ends[0]) / 1e-3, (ends[2] - ends[1]) / 1e-3))
    assert slopes == pytest.approx([least, most], abs=1e-6)
    assert derivative == pytest.approx(documented, abs=1e-12)
    assert least <= documented <= most


@pytest.mark.parametrize("method", [monops.ForwardBackward(), monops.ChambollePock()], ids=lambda method: method.name)
def test_at_a_weight_of_zero_the_derivative_is_that_to_the_right(method: Any) -> None:
    weight = t(np.zeros(6)).requires_grad_()

    def problem(weight: Any) -> Any:
        smooth, norm = monops.SquaredL2().translate(SIGNAL), monops.L1Norm(weight)
        return smooth + (norm if isinstance(method, monops.ForwardBackward) else norm @ monops.Identity((6,)))

    x = differentiable_solve(problem(weight), method, tol=1e-10).x
    (found,) = torch.autograd.grad(x.sum(), weight)
    assert torch.allclose(found, -SIGNAL.sign(), atol=1e-8)  # x = soft-thresholding of the signal


# ---- the adjoint equation -----------------------------------------------------------------------------


def test_adjoint_equation_of_an_isometry_is_solved_where_its_iteration_does_not_converge() -> None:
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    v = np.array([1.0, 2.0])
    found = solve_adjoint(lambda w: turn.T @ w, v, 1e-12, 100, 0)
    assert np.allclose(found.w, np.linalg.solve(np.eye(2) - turn.T, v), atol=1e-12)
    assert found.products <= 4
    skew = solve_adjoint(
        lambda w: w - turn @ w, v, 1e-12, 100, 0
    )  # residuals do not fall at first: images are orthogonal to them
    assert np.allclose(skew.w, np.linalg.solve(turn, v), atol=1e-12)


def test_adjoint_equation_of_rows_and_restarts_is_the_dense_solve() -> None:
    generator = np.random.default_rng(3)
    matrices = np.stack([scale * np.linalg.qr(generator.standard_normal((80, 80)))[0] for scale in (0.999, 0.5, 0.0)])
    v = generator.standard_normal((3, 80)) * np.array([[1.0], [1e-9], [1e9]])
    found = solve_adjoint(lambda w: np.einsum("rij,rj->ri", matrices, w), v, 1e-11, 1000, 1)
    expected = np.linalg.solve(np.eye(80) - matrices, v[..., None])[..., 0]
    assert (found.relative <= 1e-11).all()
    assert np.allclose(found.w / np.linalg.norm(v, axis=1)[:, None], expected / np.linalg.norm(v, axis=1)[:, None], atol=1e-8)


def test_adjoint_equation_with_one_row_of_nan_solves_the_others() -> None:
    v = np.array([[1.0, 2.0], [np.nan, 1.0], [0.0, 0.0]])
    found = solve_adjoint(lambda w: 0.5 * w, v, 1e-12, 100, 1)
    assert np.allclose(found.w[[0, 2]], 2.0 * v[[0, 2]])


def test_a_solution_that_is_not_unique_is_named_in_the_backward_pass() -> None:
    right = t([1.0]).requires_grad_()
    problem = monops.LeastSquares(t([[1.0, 1.0]]), right) + monops.Box(-5.0, 5.0)
    result = differentiable_solve(problem, monops.ForwardBackward())
    (unique,) = torch.autograd.grad(result.x.sum(), right, retain_graph=True)  # the sum is determined, and its derivative 1
    assert float(unique) == pytest.approx(1.0)
    with pytest.warns(errors.NotConvergedWarning, match=r"I - dT/dz is singular.*not unique"):
        result.x[0].backward()
    strict = differentiable_solve(problem, monops.ForwardBackward(), on_failure="raise")
    with pytest.raises(errors.NotConvergedError, match="not unique"):
        strict.x[0].backward()


# ---- what a record costs, and keeps -------------------------------------------------------------------


def nodes(x: Any) -> int:
    seen, waiting = set(), [x.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
    return len(seen)


def test_the_record_does_not_grow_with_the_iterations() -> None:
    def solved(**settings: Any) -> Any:
        right = B.clone().requires_grad_()
        problem = monops.LeastSquares(A, right) + monops.L1Norm(0.3)
        return differentiable_solve(problem, monops.ForwardBackward(step_size=1e-3), max_iter=100_000, **settings)

    rough, fine = solved(tol=1e-2), solved(tol=1e-10)
    assert fine.iterations > 2 * rough.iterations
    assert nodes(fine.x) == nodes(rough.x)
    unrolled = [solved(mode="unrolled", unrolled_iterations=k) for k in (10, 20)]
    assert nodes(unrolled[1].x) > 1.5 * nodes(unrolled[0].x)


def test_the_numbers_are_those_of_solve_and_the_result_says_who_was_differentiated() -> None:
    right = B.clone().requires_grad_()
    problem = monops.LeastSquares(A, right) + monops.L1Norm(0.3)
    plain = monops.solve(monops.LeastSquares(A, B) + monops.L1Norm(0.3), monops.ForwardBackward(), tol=1e-9)
    result = differentiable_solve(problem, monops.ForwardBackward(), tol=1e-9)
    assert torch.equal(result.x.detach(), plain.x)
    assert result.residual == plain.residual
    handed = differentiable_solve(problem, monops.AdaptiveProximalGradient())
    assert "AdaptiveProximalGradient is no fixed-point map: its answer was handed to ForwardBackward" in handed.choice


def test_the_next_solve_may_start_from_the_last() -> None:
    right = B.clone().requires_grad_()
    problem = monops.LeastSquares(A, right) + monops.L1Norm(0.3)
    first = differentiable_solve(problem, monops.DouglasRachford())
    second = differentiable_solve(problem, warm_start=first)
    assert second.algorithm.name == "DouglasRachford"
    assert second.iterations < first.iterations
    one, other = (torch.autograd.grad(result.x.sum(), right)[0] for result in (first, second))
    assert torch.allclose(one, other, atol=1e-7)


def test_unrolled_rows_of_a_game_reach_the_implicit_derivative() -> None:
    def gradient(**settings: Any) -> Any:
        G = GAME.clone().requires_grad_()
        starts = monops.Blocks([torch.stack([block, block]) for block in GAME_START])
        result = differentiable_solve(monops.Inclusion(game(G)), monops.ChambollePock(), x0=starts, batch_ndim=1, **settings)
        assert result.row_status == (monops.Status.CONVERGED,) * 2
        return torch.autograd.grad(result.x[0][0] @ Q[:4] + result.x[1][1] @ Q[:3], G)[0]

    assert torch.allclose(gradient(mode="unrolled", unrolled_iterations=300), gradient(), atol=1e-6)


def test_caches_of_the_problem_are_neither_used_nor_filled() -> None:
    matrix, x0 = A.clone().requires_grad_(), torch.zeros(2, N, dtype=D)
    problem = monops.LeastSquares(matrix, B) + monops.SquaredL2(0.3)
    with torch.no_grad():
        problem.terms[0].summand.gradient(x0)  # keeps a transposed matrix that records nothing
    fresh = monops.LeastSquares(matrix, B) + monops.SquaredL2(0.3)
    first, second, third = (
        torch.autograd.grad(differentiable_solve(p, monops.ForwardBackward(), x0=x0, batch_ndim=1).x.sum(), matrix)[0]
        for p in (problem, problem, fresh)
    )
    assert torch.equal(first, third)
    assert torch.equal(second, third)
    assert third.norm() > 0.1


def test_constants_are_computed_once_and_without_a_record() -> None:
    problem = monops.LeastSquares(A.clone().requires_grad_(), B) + monops.L1Norm(0.3)
    live, still = rebuilt(problem, lambda array: array), rebuilt(problem, lambda array: array.detach())
    method = monops.ForwardBackward()
    terms = method.match(still)
    lend_numbers(still, live)
    assert vars(live.terms[0].summand)["constants"] is terms.B.constants
    assert vars(live.terms[0].summand.A)["norm"] is still.terms[0].summand.A.norm
    recorded = recorded_terms(method, live, terms)
    assert recorded.guarantee is terms.guarantee
    assert recorded.step_size == terms.step_size
    assert recorded.B.live.A.matrix.requires_grad


def test_tensors_held_by_callables_are_seen() -> None:
    M, q = SKEW.clone().requires_grad_(), Q.clone().requires_grad_()
    operator = monops.Custom(lambda x: M @ x + q, constants=monops.Constants(strong_monotonicity=0.5, lipschitz=10.0))
    problem = operator + monops.NormalCone(monops.NonNegative())
    x = differentiable_solve(problem, x0=torch.zeros(N, dtype=D), tol=1e-10).x
    found = torch.autograd.grad(x @ Q, (M, q))
    copies = [SKEW.clone().requires_grad_(), Q.clone().requires_grad_()]
    other = differentiable_solve(affine(*copies) + monops.NormalCone(monops.NonNegative()), tol=1e-10).x
    for one, two in zip(found, torch.autograd.grad(other @ Q, copies), strict=True):
        assert torch.allclose(one, two, atol=1e-7)


def test_single_precision_stays_and_is_as_exact_as_it_can_be() -> None:
    live = [A.float().requires_grad_(), B.float().requires_grad_(), torch.tensor(0.7, requires_grad=True)]
    x = differentiable_solve(monops.LeastSquares(live[0], live[1]) + monops.L1Norm(live[2])).x
    found = torch.autograd.grad(x.sum(), live)
    copies = [A.clone().requires_grad_(), B.clone().requires_grad_(), t(0.7).requires_grad_()]
    exact = differentiable_solve(monops.LeastSquares(copies[0], copies[1]) + monops.L1Norm(copies[2])).x
    assert x.dtype == torch.float32
    for one, other in zip(found, torch.autograd.grad(exact.sum(), copies), strict=True):
        assert one.dtype == torch.float32
        assert torch.allclose(one.double(), other, atol=1e-3)


def test_jax_gradients_are_the_finite_differences() -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    import jax

    jax.config.update("jax_enable_x64", True)
    matrix, right, weight = (jax.numpy.asarray(part.numpy()) for part in (A, B, t(0.7)))

    def loss(A: Any, b: Any, w: Any) -> Any:
        problem = monops.LeastSquares(A, b) + monops.L1Norm(w)
        return differentiable_solve(problem, monops.DouglasRachford(), tol=1e-10).x.sum()

    found = jax.grad(loss, argnums=(0, 1, 2))(matrix, right, weight)
    live = [A.clone().requires_grad_(), B.clone().requires_grad_(), t(0.7).requires_grad_()]
    x = differentiable_solve(monops.LeastSquares(live[0], live[1]) + monops.L1Norm(live[2]), tol=1e-10).x
    for one, other in zip(found, torch.autograd.grad(x.sum(), live), strict=True):
        assert np.allclose(np.asarray(one), other.numpy(), atol=1e-7)


# ---- refusals -----------------------------------------------------------------------------------------


def lasso(right: Any) -> Any:
    return monops.LeastSquares(torch.eye(1, dtype=D), right) + monops.L1Norm(1.0)


def test_solve_names_the_way_to_a_derivative() -> None:
    with pytest.raises(errors.BackendError, match=r"b requires gradients.*differentiable_solve.*detach\(\)"):
        monops.solve(lasso(t([3.0]).requires_grad_()))


def test_a_problem_that_asks_for_no_derivative_is_refused() -> None:
    with pytest.raises(
        errors.BackendError, match=r"no array of .* requires gradients \(arrays: Matrix.matrix, LeastSquares.b\)"
    ):
        differentiable_solve(lasso(t([3.0])))
    with pytest.raises(errors.BackendError, match="requires gradients"):
        differentiable_solve(monops.LeastSquares(np.eye(1), np.ones(1)) + monops.L1Norm())
    operator = monops.Custom(lambda x: x - 1.0, constants=monops.Constants(strong_monotonicity=1.0, lipschitz=1.0))
    with pytest.raises(errors.BackendError, match="the callables of the problem hold none, or cut it off"):
        differentiable_solve(operator + monops.NormalCone(monops.NonNegative()), x0=t([0.0]))


def test_nonconvex_functions_are_refused() -> None:
    problem = monops.LeastSquares(torch.eye(1, dtype=D), t([3.0]).requires_grad_()) + monops.L0Norm()
    with pytest.raises(errors.NotApplicableError, match=r"L0Norm .* is nonconvex"):
        differentiable_solve(problem)


def test_a_prox_without_a_derivative_in_a_recorded_array_is_refused() -> None:
    center = torch.zeros(3, dtype=D, requires_grad=True)
    both = monops.Intersection((monops.L2Ball(1.0, center=center), monops.Box(-0.9, 0.9)))
    with pytest.raises(errors.BackendError, match="center requires gradients, but the prox of Intersection has no derivative"):
        differentiable_solve(monops.SquaredL2().translate(t([2.0, 0.0, 0.0])) + both)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, from make_dual
def test_second_derivatives_and_forward_mode_are_refused() -> None:
    right = t([3.0]).requires_grad_()
    x = differentiable_solve(lasso(right)).x
    with pytest.raises(errors.CapabilityError, match="implicit derivatives are first derivatives"):
        torch.autograd.grad((x**2).sum(), right, create_graph=True)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(t([3.0]).requires_grad_(), t([1.0]))
        with pytest.raises(errors.CapabilityError, match="backward passes only"):
            differentiable_solve(lasso(dual))


def test_unrolling_refuses_chosen_steps_and_settings_of_solve() -> None:
    right = t([3.0]).requires_grad_()
    for method in (monops.AdaptiveProximalGradient(), monops.SemismoothNewton()):
        with pytest.raises(errors.CapabilityError, match="chooses its steps from the iterates"):
            differentiable_solve(lasso(right), method, mode="unrolled")
    with pytest.raises(errors.DataError, match="leave out callback, history"):
        differentiable_solve(lasso(right), mode="unrolled", callback=print, history=True)
    with pytest.raises(errors.DataError, match="unrolled_iterations belongs to mode='unrolled'"):
        differentiable_solve(lasso(right), unrolled_iterations=3)
    with pytest.raises(errors.DataError, match="mode='forward' must be"):
        differentiable_solve(lasso(right), mode="forward")  # type: ignore[arg-type]
    with pytest.raises(errors.DataError, match="adjoint_tol=2 must be between 0 and 1"):
        differentiable_solve(lasso(right), adjoint_tol=2)
