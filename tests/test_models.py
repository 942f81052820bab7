"""Models against their definitions; maps and operators on blocks, sparse and by transforms, against dense matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import monops
from monops import Blocks, Constants, arrays, errors, models
from monops.operators import Affine, BlockAffine, MatrixFreeAffine, PseudoGradient, SmoothSaddle
from tests.backends import BACKENDS
from tests.zoo.problem import box_equilibrium, simplex_projection

RNG = np.random.default_rng(0)
ROTATION = np.array([[0.0, 1.0], [-1.0, 0.0]])


def banded(n: int, diagonal: float = 2.0) -> Any:
    """A sparse matrix with the symmetric part diagonal times the identity."""
    return scipy.sparse.diags_array([diagonal * np.ones(n), -np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1, -1])


# ---- row and component -------------------------------------------------------------------------------
def test_a_sum_of_two_blocks_under_one_function() -> None:
    """min 0.3 |x1|_1 + i(|x2| <= 0.1) + 1/2 |A x1 + B x2 - b|^2, by the same problem in one vector."""
    A, B, b = RNG.standard_normal((6, 5)), RNG.standard_normal((6, 4)), RNG.standard_normal(6)
    blocks = monops.SeparableSum((0.3 * monops.L1Norm(), monops.Box(-0.1, 0.1)))
    x1, x2 = monops.solve(blocks + monops.SquaredL2().translate(b) @ monops.Row((A, B)), tol=1e-9, max_iter=50_000).x
    residual = A @ x1 + B @ x2 - b
    np.testing.assert_allclose(x2, np.clip(x2 - B.T @ residual, -0.1, 0.1), atol=1e-8)
    moved = x1 - A.T @ residual
    np.testing.assert_allclose(x1, np.sign(moved) * np.maximum(np.abs(moved) - 0.3, 0.0), atol=1e-8)


def test_a_row_is_the_adjoint_of_a_stack_and_sparse_rows_are_joined() -> None:
    A, B = scipy.sparse.random_array((3, 5), density=0.6, rng=RNG), scipy.sparse.random_array((3, 2), density=0.9, rng=RNG)
    K, dense = monops.Row((A, B)), np.hstack([A.toarray(), B.toarray()])
    y = RNG.standard_normal(3)
    np.testing.assert_allclose(np.concatenate(K.adjoint(y)), dense.T @ y)
    np.testing.assert_allclose(np.concatenate(K.T.apply(y)), dense.T @ y)
    assert isinstance(K.T, monops.Stack)
    np.testing.assert_allclose(K.norm.value, np.linalg.norm(dense, 2), rtol=1e-12)
    x = Blocks((RNG.standard_normal(5), RNG.standard_normal(2)))
    expected = np.linalg.solve(np.eye(7) + 0.7 * dense.T @ dense, np.concatenate(x))
    np.testing.assert_allclose(np.concatenate(K.regularized_inverse(x, 0.7)), expected, atol=1e-12)


def test_a_component_may_be_made_of_blocks() -> None:
    K = monops.Component(0, (((2,), (1,)), (3,)))
    inner = Blocks((np.ones((4, 2)), np.ones((4, 1))))
    back = K.adjoint(inner)
    assert back[1].shape == (4, 3)
    assert K.apply(back) is inner


@pytest.mark.parametrize(
    ("call", "exception", "words"),
    [
        (lambda: monops.Row(()), errors.DataError, "at least one"),
        (lambda: monops.Row((np.eye(2), np.eye(3))), errors.ShapeError, "are added"),
        (lambda: monops.Row((np.eye(2),)).apply(np.ones(2)), errors.ShapeError, "Blocks of 1"),
        (lambda: monops.Component(2, ((1,), (1,))), errors.DataError, "below 2"),
        (lambda: monops.Component(0, (3, 2)), errors.DataError, "one shape"),
        (lambda: BlockAffine(((np.eye(2), None),)), errors.ShapeError, "1 block rows"),
        (lambda: BlockAffine(((None,),)), errors.DataError, "diagonal"),
        (lambda: BlockAffine(((np.eye(2), np.eye(3)), (None, np.eye(3)))), errors.ShapeError, r"M\[0\]\[1\]"),
        (lambda: BlockAffine(((-np.eye(2),),)), errors.ConstantError, "not monotone"),
        (lambda: BlockAffine(((np.eye(2),),)).forward(np.ones(2)), errors.ShapeError, "Blocks of 1"),
        (lambda: PseudoGradient(()), errors.DataError, "at least one player"),
        (lambda: SmoothSaddle(lambda x, y: x, lambda x, y: y).forward(np.ones(2)), errors.ShapeError, "Blocks"),
        (lambda: MatrixFreeAffine(np.ones((2, 3))), errors.ShapeError, "square"),
        (lambda: MatrixFreeAffine(banded(3, -1.0)), errors.ConstantError, "not monotone"),
        (lambda: MatrixFreeAffine(banded(3), None, 2.5), errors.ConstantError, "2.5 is false"),
        (lambda: MatrixFreeAffine(banded(3), np.ones(2)), errors.ShapeError, "q has shape"),
        (lambda: MatrixFreeAffine(np.eye(2), None, -1.0), errors.DataError, "finite number >= 0"),
        (lambda: models.game(), errors.DataError, "at least one player"),
        (lambda: models.linear_complementarity(-np.eye(2), np.ones(2)), errors.ConstantError, "not monotone"),
        (lambda: models.linear_complementarity(np.eye(2), np.ones(2), 1.0), errors.DataError, "are computed"),
        (lambda: models.variational_inequality(lambda x: x, monops.L1Norm()), errors.DataError, "needs a set"),
        (lambda: models.variational_inequality(3.0, monops.Box(0.0, 1.0)), errors.DataError, "callable"),
        (
            lambda: models.variational_inequality(Affine(np.eye(2)), monops.Box(0.0, 1.0), Constants(1.0)),
            errors.DataError,
            "knows its constants",
        ),
        (lambda: models.cournot(1.0, np.ones((2, 3)), np.ones(2)), errors.ShapeError, r"\(n, n\)"),
        (lambda: models.traffic_equilibrium([np.eye(2)], [1.0, 2.0], np.ones(2), np.ones(2)), errors.ShapeError, "demands"),
        (lambda: models.traffic_equilibrium([np.eye(2)], [1.0], np.ones(3), np.ones(3)), errors.ShapeError, "links"),
        (lambda: models.minimax(np.eye(2), np.ones(3)), errors.ShapeError, "Ax has shape"),
        (lambda: models.minimax(np.eye(2), np.ones(2), 3.0), errors.DataError, "minimax: f must be a Function"),
        (lambda: models.convex_concave(1.0, lambda x, y: y), errors.DataError, "gradient_x"),
    ],
)
def test_what_does_not_fit_is_named(call: Any, exception: type[Exception], words: str) -> None:
    with pytest.raises(exception, match=words):
        call()


# ---- affine operators of maps ------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [5, 400])
def test_a_sparse_operator_has_the_constants_and_the_resolvent_of_its_matrix(n: int) -> None:
    """The symmetric part is 2 I: both the eigenvalue and Gershgorin's bound are exact."""
    A, dense = MatrixFreeAffine(banded(n), np.ones(n)), banded(n).toarray()
    assert abs(A.constants.strong_monotonicity - 2.0) < 1e-9
    assert A.constants.lipschitz >= np.linalg.norm(dense, 2) * (1 - 1e-12)
    x = RNG.standard_normal((2, n))
    expected = np.linalg.solve(np.eye(n) + 0.3 * dense, (x - 0.3).T).T
    np.testing.assert_allclose(A.resolvent(x, 0.3), expected, atol=1e-12)
    assert A.constants.reasons["strong_monotonicity"].startswith("computed: " + ("least" if n == 5 else "Gershgorin"))


def test_gershgorin_leaves_unknown_what_it_cannot_show() -> None:
    """I + c c* is monotone, but a row of |c c*| is larger than its diagonal; then mu is what is given."""
    n, c = 400, scipy.sparse.csr_array(np.where(np.arange(400) < 5, 1.0, 0.0)[:, None])
    spiked = scipy.sparse.eye_array(n) + c @ c.T
    assert MatrixFreeAffine(spiked).constants.strong_monotonicity is None
    assert not MatrixFreeAffine(spiked).constants.cyclic
    given = MatrixFreeAffine(spiked, None, 0.5).constants
    assert given.cyclic
    assert (given.strong_monotonicity, given.reasons["strong_monotonicity"]) == (0.5, "given")
    skew = MatrixFreeAffine(scipy.sparse.diags_array([np.ones(n - 1), -np.ones(n - 1)], offsets=[1, -1]))
    assert skew.constants.skew
    assert skew.constants.strong_monotonicity == 0.0


def test_a_convolution_has_exact_constants() -> None:
    kernel = np.array([0.4, 1.0, -0.1])
    A = MatrixFreeAffine(monops.Convolution(kernel, (6,)))
    dense = np.array([A.forward(unit) for unit in np.eye(6)]).T
    exact = Affine(dense).constants
    assert abs(A.constants.strong_monotonicity - exact.strong_monotonicity) < 1e-12
    assert abs(A.constants.cocoercivity - exact.cocoercivity) < 1e-9
    assert abs(A.constants.lipschitz - exact.lipschitz) < 1e-12
    singular = MatrixFreeAffine(monops.Convolution(np.array([0.0, 1.0, -1.0]), (6,)))  # x_i - x_(i-1): beta = 1/2, mu = 0
    assert abs(singular.constants.cocoercivity - 0.5) < 1e-9
    assert singular.constants.strong_monotonicity < 1e-12


def test_a_map_without_computed_constants_takes_what_is_given() -> None:
    K = monops.MatvecMap(lambda x: ROTATION @ x, lambda y: ROTATION.T @ y, (2,), (2,), 1.0)
    assert MatrixFreeAffine(K).constants.strong_monotonicity is None
    assert MatrixFreeAffine(K, None, 0.0).constants.monotone
    with pytest.raises(errors.CapabilityError, match="ForwardBackwardForward"):
        MatrixFreeAffine(K, None, 0.0).resolvent(np.ones(2), 1.0)
    lie = monops.MatvecMap(lambda x: -x, lambda y: -y, (2,), (2,), 1.0)
    with pytest.raises(errors.ConstantError, match="false"):
        monops.solve(models.linear_complementarity(lie, np.ones(2), 0.0))


def test_sparse_and_dense_complementarity_agree() -> None:
    n, q = 40, RNG.standard_normal(40)
    sparse = monops.solve(models.linear_complementarity(banded(n), q), tol=1e-9).x
    dense = monops.solve(models.linear_complementarity(banded(n).toarray(), q), tol=1e-9).x
    np.testing.assert_allclose(sparse, dense, atol=1e-8)
    assert np.abs(np.minimum(sparse, banded(n) @ sparse + q)).max() < 1e-8


# ---- equilibria -------------------------------------------------------------------------------------------------
def test_no_player_of_a_quadratic_game_gains_alone() -> None:
    """Each player's part minimises the player's own cost over a grid of deviations; and general players give the same."""
    rows = [[np.array([[2.0]]), np.array([[1.0]])], [np.array([[-1.5]]), np.array([[1.0]])]]
    slopes = [np.array([-1.0]), np.array([0.2])]
    quadratic = [models.QuadraticPlayer(tuple(rows[i]), monops.Box(-1.0, 1.0), slopes[i]) for i in range(2)]
    x = monops.solve(models.game(*quadratic), tol=1e-10).x
    grid = np.linspace(-1.0, 1.0, 2001)
    for i in range(2):
        cost = 0.5 * rows[i][i][0, 0] * grid**2 + (rows[i][1 - i][0, 0] * x[1 - i][0] + slopes[i][0]) * grid
        assert abs(grid[np.argmin(cost)] - x[i][0]) <= 1e-3
    general = [
        models.Player(lambda z, i=i: rows[i][0] @ z[0] + rows[i][1] @ z[1] + slopes[i], monops.Box(-1.0, 1.0), (1,))
        for i in range(2)
    ]
    known = models.game(*quadratic).terms[0].constants
    declared = Constants(known.strong_monotonicity, lipschitz=known.lipschitz)
    other = monops.solve(models.game(*general, constants=declared), tol=1e-10).x
    np.testing.assert_allclose(np.concatenate(other), np.concatenate(x), atol=1e-8)
    assert models.game(*general).terms[0].constants.lipschitz is None
    with pytest.raises(errors.DataError, match="one kind"):
        models.game(quadratic[0], general[1])
    with pytest.raises(errors.DataError, match="are computed"):
        models.game(*quadratic, constants=declared)


def test_players_without_slopes_have_none() -> None:
    free = models.QuadraticPlayer((np.eye(2), None), monops.Box(-1.0, 1.0))
    tilted = models.QuadraticPlayer((None, np.eye(1)), monops.Box(-1.0, 1.0), np.array([-0.5]))
    x = monops.solve(models.game(free, tilted)).x
    np.testing.assert_allclose(np.concatenate(x), [0.0, 0.0, 0.5], atol=1e-6)
    assert models.game(free, models.QuadraticPlayer((None, np.eye(1)), monops.Zero())).terms[0].summand.q is None


def test_a_wrong_declaration_of_a_game_is_found() -> None:
    anti = models.Player(lambda z: -z[0], monops.Box(-1.0, 1.0), (2,))
    problem = models.game(anti, constants=Constants(0.0, lipschitz=1.0))
    with pytest.raises(errors.ConstantError, match="strong_monotonicity"):
        monops.solve(problem, x0=Blocks((np.ones(2),)))


def test_cournot_with_cross_prices_is_the_equilibrium_of_profits() -> None:
    slope = np.array([[1.0, 0.3], [0.6, 0.8]])
    x = monops.solve(models.cournot(np.array([4.0, 3.0]), slope, np.array([0.5, 1.0]), 0.2, 1.5), tol=1e-10).x
    outputs = np.linspace(0.0, 1.5, 3001)
    for i in range(2):
        price = [4.0, 3.0][i] - slope[i, 1 - i] * x[1 - i] - slope[i, i] * outputs
        profit = price * outputs - [0.5, 1.0][i] * outputs - 0.1 * outputs**2
        assert abs(outputs[np.argmax(profit)] - x[i]) <= 1e-3


def test_traffic_with_links_that_disturb_each_other() -> None:
    """An asymmetric congestion matrix is no minimisation; the used paths still take the same, least time."""
    congestion = np.array([[1.0, 0.8, 0.0], [-0.2, 1.0, 0.0], [0.0, 0.0, 0.5]])
    empty = np.array([1.0, 1.5, 1.2])
    problem = models.traffic_equilibrium([np.eye(3)], [2.0], empty, congestion)
    assert problem.input_shape == ((3,),)
    (x,) = monops.solve(problem, tol=1e-9).x
    np.testing.assert_allclose(x, simplex_projection(x - (empty + congestion @ x), 2.0), atol=1e-8)
    with pytest.raises(errors.ConstantError, match="not monotone"):
        models.traffic_equilibrium([np.eye(3)], [2.0], empty, congestion - 2.0 * np.eye(3))


def test_sparse_paths_are_paths() -> None:
    dense = models.traffic_equilibrium([np.eye(2)], [3.0], np.array([1.0, 2.0]), np.ones(2))
    sparse = models.traffic_equilibrium([scipy.sparse.eye_array(2)], [3.0], np.array([1.0, 2.0]), np.ones(2))
    for problem in (dense, sparse):
        np.testing.assert_allclose(monops.solve(problem, monops.ForwardBackward()).x[0], [2.0, 1.0], atol=1e-5)


def test_minimax_has_the_value_of_the_problem_in_x_alone() -> None:
    A, b = RNG.standard_normal((5, 3)), RNG.standard_normal(5)
    x, y = monops.solve(models.minimax(A, b, monops.L2Ball(1.0)), tol=1e-9, max_iter=50_000).x
    upper, lower = np.max(A @ x + b), b @ y - np.linalg.norm(A.T @ y)
    assert abs(upper - lower) < 1e-7
    alone = monops.solve(monops.L2Ball(1.0) + monops.Max().translate(-b) @ A, x0=np.zeros(3), tol=1e-8, max_iter=50_000).x
    assert abs(np.max(A @ alone + b) - upper) < 1e-6


def test_a_saddle_without_functions_is_one_term_and_unknown_constants_are_refused() -> None:
    problem = models.convex_concave(lambda x, y: x + y, lambda x, y: x - y, shapes=((2,), (2,)))
    assert len(problem.terms) == 1
    with pytest.raises(errors.NotApplicableError, match="lipschitz"):
        monops.solve(problem, monops.ForwardBackwardForward())
    known = models.convex_concave(
        lambda x, y: x + y, lambda x, y: x - y, lipschitz=2.0**0.5, strong_monotonicity=1.0, shapes=((2,), (2,))
    )
    result = monops.solve(known, x0=Blocks((np.ones(2), -np.ones(2))))
    assert arrays.norm(result.x) < 1e-5
    lie = models.convex_concave(lambda x, y: -x, lambda x, y: y, lipschitz=2.0, shapes=((2,), (2,)))
    with pytest.raises(errors.ConstantError, match="strong_monotonicity=0 is false"):
        monops.solve(lie)


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b.name in ("torch", "strict")], ids=lambda b: b.name)
def test_models_on_other_libraries_and_in_single_precision(backend: Any) -> None:
    if backend.missing:
        pytest.skip(backend.missing)

    def build(a: Any) -> tuple[monops.Inclusion, ...]:
        player = models.QuadraticPlayer((a(2.0 * np.eye(2)), None), monops.Box(-1.0, 1.0), a(np.ones(2)))
        other = models.QuadraticPlayer((a(np.ones((1, 2))), a(np.eye(1))), monops.Box(-1.0, 1.0))
        return (
            models.linear_complementarity(a(2.0 * np.eye(2) + ROTATION), a(np.array([-1.0, 1.0]))),
            models.game(player, other),
            models.cournot(2.0, a(np.eye(2) + 0.1), a(np.ones(2)), 0.5, 1.0),
            models.traffic_equilibrium([a(np.eye(2)), a(np.ones((2, 1)))], [1.0, 2.0], a(np.ones(2)), a(np.ones(2))),
            models.minimax(a(np.eye(2)), a(np.ones(2)), monops.Box(-1.0, 1.0)),
            models.variational_inequality(MatrixFreeAffine(monops.Convolution(a([1.0, 2.0, 0.0]), (4,))), monops.Box(1.0, 2.0)),
        )

    settings: dict[str, Any] = {"max_iter": 10, "on_failure": "ignore"}
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):

        def make(values: Any, dtype: str = dtype) -> Any:
            return backend.asarray(values, dtype)

        for found, wanted in zip(build(make), build(lambda values: np.array(values, dtype=float)), strict=True):
            expected = monops.solve(wanted, monops.ForwardBackwardForward(step_size=0.1), **settings).x
            result = monops.solve(found, monops.ForwardBackwardForward(step_size=0.1), **settings).x
            for got, like in zip(arrays.leaves(result), arrays.leaves(expected), strict=True):
                assert str(got.dtype).endswith(dtype)
                np.testing.assert_allclose(backend.to_numpy(got), like, atol=tolerance)


def test_the_reference_by_active_sets_is_right() -> None:
    M, q = np.array([[2.0, 1.0], [-1.0, 1.0]]), np.array([-4.0, 3.0])
    np.testing.assert_allclose(box_equilibrium(M, q, np.zeros(2), np.full(2, np.inf)), [2.0, 0.0])
