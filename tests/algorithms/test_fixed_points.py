"""Fixed points of any map: theorems where a Lipschitz constant is declared, honest methods where none is."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import monops
from monops import Anderson, Blocks, Broyden, FixedPoint, NewtonKrylov, Picard, Status
from monops.algorithms.fixed_points.broyden import _good
from monops.algorithms.fixed_points.picard import guarantee
from monops.algorithms.shared.gmres_rows import gmres_rows
from monops.errors import ConstantError, DataError, NotApplicableError, StepSizeError
from monops.solve import as_inclusion
from monops.theory import Guarantee, Missing

METHODS: tuple[monops.Algorithm, ...] = (
    Picard(),
    Anderson(Picard()),
    Anderson(Picard(), type=1),
    Broyden(),
    Broyden(type=2),
    NewtonKrylov(),
)
QUASI_NEWTON = METHODS[1:]
every_method = pytest.mark.parametrize("method", METHODS, ids=repr)
quasi_newton = pytest.mark.parametrize("method", QUASI_NEWTON, ids=repr)
TURN = np.array([[0.0, -1.0], [1.0, 0.0]])


def draw(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def solve(map: Callable[..., Any], method: monops.Algorithm | None, x0: Any, **settings: Any) -> monops.Result:
    """``monops.solve`` that checks after each step and does not warn."""
    operator = FixedPoint(map, settings.pop("inputs", ()), settings.pop("lipschitz", None))
    return monops.solve(operator, method, x0=x0, **{"check_every": 1, "on_failure": "ignore", "tol": 1e-9} | settings)


def terms_of(method: Any, map: Callable[..., Any], batch_ndim: int = 0) -> Any:
    return method.match(as_inclusion(FixedPoint(map)).batched(batch_ndim))


# ---- what is declared: Banach, Krasnosel'skii and Mann ------------------------------------------------------


@pytest.mark.parametrize("q", [Fraction(0), Fraction(1, 3), Fraction(9, 10)])
def test_the_factor_is_exact_and_reaches_one_at_the_end_of_the_interval(q: Fraction) -> None:
    proven = guarantee(q)
    assert isinstance(proven, Guarantee)
    assert proven.squared_contraction is not None
    assert proven.interval == (0, 2 / (1 + q))
    assert proven.squared_contraction(proven.interval[1]) == 1
    assert proven.squared_contraction(proven.best_step) == q**2
    for a in (Fraction(1, 2), Fraction(11, 10)):
        claimed = proven.squared_contraction(a)
        attained = max((1 - a + a * q) ** 2, (1 - a - a * q) ** 2)  # f(z) = qz and f(z) = -qz
        assert claimed == attained if a <= 1 or q > 0 else claimed >= attained


@pytest.mark.parametrize("a", [0.4, 1.0, 1.1])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_iterates_shrink_by_the_factor_of_their_instance(a: float, sign: float) -> None:
    q = 0.7
    method = Picard(relaxation=a)
    terms = method.match(as_inclusion(FixedPoint(lambda z: sign * q * z, lipschitz=q)))
    state = method.step(terms, method.init(terms, np.ones(3)))
    measured, claimed = float(np.linalg.norm(state.z)) / 3**0.5, terms.guarantee.factor(a)
    assert measured == pytest.approx(abs(1 - a + a * sign * q), abs=1e-15)
    assert measured <= claimed + 1e-15
    if (sign > 0) == (a <= 1):
        assert measured == pytest.approx(claimed, abs=1e-15)


@pytest.mark.parametrize("q", [0.3, 1.0])
def test_averagedness_of_relaxed_steps_holds_and_is_attained(q: float) -> None:
    method = Picard(relaxation=0.6)
    least = np.inf
    for angle in np.linspace(0.0, np.pi, 13):
        matrix = q * (np.cos(angle) * np.eye(2) + np.sin(angle) * TURN)
        terms = method.match(as_inclusion(FixedPoint(lambda z, matrix=matrix: matrix @ z, lipschitz=q)))
        a = method.averagedness(terms)
        assert a == pytest.approx(0.6 * (1 + q) / 2)
        z = draw(0, 2)
        Tz = method.step(terms, method.at(terms, z)).z
        slack = z @ z - Tz @ Tz - (1 - a) / a * ((z - Tz) @ (z - Tz))
        assert slack >= -1e-12
        least = min(least, slack)
    assert least == pytest.approx(0.0, abs=1e-12)  # at the angle pi


def test_a_nonexpansive_map_needs_relaxation_below_one() -> None:
    with pytest.raises(StepSizeError, match=r"outside the proven interval \(0, 1\)"):
        solve(lambda z: TURN @ z, Picard(relaxation=1.0), np.ones(2), lipschitz=1.0)
    result = solve(lambda z: TURN @ z, Picard(), np.ones(2), lipschitz=1.0)
    assert result.success
    assert result.step == 0.5
    assert np.abs(result.x).max() < 1e-8
    assert isinstance(guarantee(1.5), Missing)


def test_solve_chooses_by_what_is_declared() -> None:
    result = solve(lambda z: 0.9 * np.cos(z), None, np.zeros(3), lipschitz=0.9)
    assert isinstance(result.algorithm, Picard)
    assert result.notes == ()
    assert result.error_bound == pytest.approx(result.residual / 0.1)
    for declared, words in ((None, "nothing is declared of the map"), (2.0, "lipschitz=2 > 1")):
        with pytest.raises(NotApplicableError, match=f"{words}.*Declare lipschitz.*Broyden") as refusal:
            solve(np.cos, None, np.zeros(3), lipschitz=declared)
        assert len(str(refusal.value)) < 250
    with pytest.raises(NotApplicableError, match="not z = f"):
        monops.solve(monops.L1Norm(), Broyden(), x0=np.ones(2))


def test_explain_shows_what_is_proven_and_picks_nothing_where_nothing_is() -> None:
    known = monops.explain(FixedPoint(np.cos, lipschitz=0.9))
    assert known.applicable()[0] == "Picard"
    assert "Picard * " in str(known)
    assert "linear (factor 0.9)" in str(known)
    unknown = str(monops.explain(FixedPoint(np.cos)))
    assert "solve picks none of these" in unknown
    assert "* least predicted effort" not in unknown
    assert "* least predicted effort" in str(known)
    assert "declare lipschitz in FixedPoint" in " ".join(unknown.split())


@pytest.mark.parametrize(
    "map", [lambda z: 2.0 * z, lambda z: -0.6 * z, lambda z: 0.6 * (TURN @ z), lambda z: 0.8 * np.sin(z)], ids="abcd"
)
def test_a_false_lipschitz_constant_is_named(map: Callable[[Any], Any]) -> None:
    with pytest.raises(ConstantError, match=r"lipschitz=0.5 of the map is false: two points have \|f\(x\) - f\(y\)\|"):
        solve(map, Picard(), np.full(2, 0.1), lipschitz=0.5)


@pytest.mark.parametrize("angle", [0.0, 1.0, 1.6, np.pi])
def test_true_lipschitz_constants_on_the_border_pass(angle: float) -> None:
    matrix = 0.5 * (np.cos(angle) * np.eye(2) + np.sin(angle) * TURN)
    assert solve(lambda z: matrix @ z + 1.0, None, np.zeros(2), lipschitz=0.5).success


# ---- repelling fixed points, no fixed points -------------------------------------------------------------------


def test_a_repelling_fixed_point() -> None:
    lost = solve(lambda z: 2.0 * z + 1.0, Picard(), np.zeros(2))
    assert lost.status is Status.DIVERGED
    assert "another method finds it" in lost.message
    for method in QUASI_NEWTON:
        result = solve(lambda z: 2.0 * z + 1.0, method, np.zeros(2))
        assert result.success, method
        np.testing.assert_allclose(result.x, -1.0, atol=1e-8)
        assert any("no theorem" in note for note in result.notes)


@every_method
def test_no_fixed_point_is_never_claimed(method: monops.Algorithm) -> None:
    for map in (lambda z: z + 1.0, lambda z: np.where(z > 0, -1.0, 1.0)):
        result = solve(map, method, np.full(2, 0.5), max_iter=300)
        assert not result.success
        assert np.isfinite(result.x).all()


@every_method
def test_each_method_finds_the_fixed_point_of_a_layer(method: monops.Algorithm) -> None:
    W, b = draw(0, 30, 30), draw(1, 30)
    W *= 0.9 / np.linalg.norm(W, 2)
    for activation in (np.tanh, lambda z: np.maximum(z, 0.0)):
        result = solve(lambda z, act=activation: act(W @ z + b), method, np.zeros(30))
        assert result.success
        assert np.abs(result.x - activation(W @ result.x + b)).max() <= 1e-9


# ---- Anderson ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("n", [3, 8])
def test_anderson_ends_on_affine_maps_as_gmres_does(n: int, kind: int) -> None:
    A, b = draw(n, n, n) / n**0.5, draw(1, n)
    result = solve(lambda z: A @ z + b, Anderson(Picard(), memory=n, type=kind, safeguard=False), np.zeros(n), tol=1e-7)
    assert result.success
    assert result.iterations <= n + 3
    np.testing.assert_allclose(result.x, np.linalg.solve(np.eye(n) - A, b), atol=1e-5)


@quasi_newton
def test_counts_do_not_depend_on_the_scale(method: monops.Algorithm) -> None:
    W, b = draw(2, 20, 20) / 20**0.5, draw(3, 20)

    def count(scale: float) -> int:
        result = solve(lambda z: scale * np.tanh(1.2 * W @ (z / scale) + b), method, np.zeros(20), tol=1e-7 * scale)
        assert result.success
        return int(result.iterations)

    counts = [count(scale) for scale in (1.0, 1e4, 2.0**-30)]
    assert max(counts) - min(counts) <= 1
    assert counts[0] == counts[2]  # powers of two: bit for bit


def test_anderson_without_a_method_wraps_picard_and_evaluates_once_a_step() -> None:
    calls = []

    def map(z: Any) -> Any:
        calls.append(1)
        return np.cos(z)

    result = solve(map, Anderson(), np.zeros(2), max_iter=5, tol=0.0)
    assert type(result.state.inner).__module__.endswith("picard")
    assert len(calls) <= 5 + 2 + 1  # steps, two at the start, one look at the shape
    with pytest.raises(NotApplicableError):
        solve(np.cos, Anderson(Broyden()), np.zeros(2))
    with pytest.raises(NotApplicableError, match="not known to be an averaged map"):
        solve(np.cos, monops.Halpern(Picard()), np.zeros(2))


# ---- Broyden -----------------------------------------------------------------------------------------------------


def dense_broyden(map: Callable[[Any], Any], z: np.ndarray, steps: int, kind: int) -> list[np.ndarray]:
    """Points of Broyden's method with matrices: type 1 updates the Jacobian, as in the paper, type 2 its inverse."""
    B, H, points = np.eye(z.size), np.eye(z.size), [z]
    g = z - map(z)
    for _ in range(steps):
        s = -np.linalg.solve(B, g) if kind == 1 else -H @ g
        z = z + s
        g_new = z - map(z)
        y, g = g_new - g, g_new
        if kind == 1:
            B = B + np.outer(y - B @ s, s) / (s @ s)
        else:
            H = H + np.outer(s - H @ y, y) / (y @ y)
        points.append(z)
    return points


@pytest.mark.parametrize("kind", [1, 2])
def test_broyden_is_the_dense_method_from_its_first_update_on(kind: int) -> None:
    W, b = draw(4, 12, 12) / 12**0.5, draw(5, 12)

    def map(z: Any) -> Any:
        return np.tanh(W @ z + b)

    method = Broyden(memory=20, type=kind)
    terms = terms_of(method, map)
    state = method.init(terms, np.zeros(12))
    for reference in dense_broyden(map, np.zeros(12), 9, kind)[1:]:
        state = method.step(terms, state)
        np.testing.assert_allclose(state.z, reference, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(state.g, state.z - map(state.z), atol=1e-14)


@pytest.mark.parametrize("kind", [1, 2])
def test_the_last_update_satisfies_the_secant_equation_also_after_beginning_anew(kind: int) -> None:
    W, b = draw(6, 15, 15) / 15**0.5, draw(7, 15)
    method = Broyden(memory=3, type=kind)
    terms = terms_of(method, lambda z: np.tanh(W @ z + b))
    state = method.init(terms, np.zeros(15))
    used = []
    for _ in range(8):
        before, state = state, method.step(terms, state)
        used.append(state.pairs)
        s, y = state.z - before.z, state.g - before.g
        Hy = y + sum(u * (v @ y) for u, v in zip(state.left[: state.pairs], state.right[: state.pairs], strict=True))
        np.testing.assert_allclose(Hy, s, atol=1e-12)
    assert used == [1, 2, 3, 1, 2, 3, 1, 2]


def test_the_first_step_is_the_picard_step_with_the_relaxation() -> None:
    method = Broyden(relaxation=0.3)
    terms = terms_of(method, np.cos)
    state = method.step(terms, method.init(terms, np.full(2, 0.2)))
    np.testing.assert_allclose(state.z, 0.2 + 0.3 * (np.cos(0.2) - 0.2))
    assert solve(np.cos, method, np.zeros(2)).success


def test_memory_does_not_grow_with_the_iterations() -> None:
    W = draw(8, 20, 20)

    def peak(steps: int) -> int:
        tracemalloc.start()
        result = solve(lambda z: np.tanh(3.0 * W @ z + 1.0), Broyden(memory=4), np.zeros((20, 500)), max_iter=steps, tol=0.0)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert result.iterations == steps
        return size

    assert peak(80) < 1.3 * peak(20)


@pytest.mark.parametrize("kind", [1, 2])
def test_zero_denominators_and_wild_maps_make_no_nan(kind: int) -> None:
    """y = 0 (a shift), s'y = 0 (a quarter turn of the residual), jumps, overflow beyond the first step, a domain."""
    maps = (
        lambda z: z + 1.0,
        lambda z: z - TURN @ z,
        lambda z: np.sign(np.sin(50.0 * z)),
        lambda z: z - np.exp(40.0 * np.abs(z)) + 1e3,
        lambda z: 3.0 + np.sqrt(2.0 - 3.0 * z),
    )
    for map in maps:
        for dtype in (np.float64, np.float32):
            result = solve(map, Broyden(memory=3, type=kind), np.full(2, 0.3, dtype=dtype), max_iter=200)
            assert result.status is not Status.NON_FINITE
            assert np.isfinite(result.x).all()
            assert np.isfinite(result.residual)
            assert all(np.isfinite(vector).all() for vector in (*result.state.left, *result.state.right))


def test_updates_that_would_be_singular_are_damped() -> None:
    """det B shrinks by 100 at most, and the damped secant equation holds."""
    s = np.array([1.0, 0.0])
    for y, determinant in (((0.0, 1.0), 0.01), ((-1e-3, 1.0), -0.01), ((0.5, 1.0), 0.5), ((0.0, 0.0), 0.01)):
        u, v = _good(s, np.array(y), s, 0)
        assert 1.0 / np.linalg.det(np.eye(2) + np.outer(u, v)) == pytest.approx(determinant)
    u, v = _good(0.0 * s, s, 0.0 * s, 0)
    assert not np.outer(u, v).any()


def test_a_direction_that_overflows_becomes_the_picard_step() -> None:
    method = Broyden()
    terms = terms_of(method, np.tanh)
    state = method.init(terms, np.full(2, 0.2))
    huge = (np.full(2, 1e200),) * method.memory
    with np.errstate(all="ignore"):
        after = method.step(terms, state._replace(left=huge, right=huge, pairs=1))
    np.testing.assert_array_equal(after.direction, -after.g)
    assert np.isfinite(after.z).all()


def test_residuals_stay_below_the_promised_multiple_of_the_first() -> None:
    for seed in range(6):
        W, b = 3.0 * draw(seed, 40, 40) / 40**0.5, draw(seed + 1, 40)
        first = float(np.linalg.norm(np.tanh(b)))
        result = solve(lambda z, W=W, b=b: np.tanh(W @ z + b), Broyden(), np.zeros(40), max_iter=150, history=True)
        assert max(residual for _, residual in result.history) <= 3.7 * first


def test_a_warm_start_keeps_the_pairs() -> None:
    W, b = draw(9, 30, 30), draw(10, 30)
    W *= 0.97 / np.abs(np.linalg.eigvals(W)).max()
    problem, nearby = (FixedPoint(lambda z, shift=shift: np.tanh(W @ z + b + shift)) for shift in (0.0, 1e-3))
    first = monops.solve(problem, Broyden(memory=40), x0=np.zeros(30))
    warm = monops.solve(nearby, Broyden(memory=40), warm_start=first, check_every=1)
    cold = monops.solve(nearby, Broyden(memory=40), x0=first.x, check_every=1)
    assert warm.iterations < 0.8 * cold.iterations
    np.testing.assert_allclose(warm.x, cold.x, atol=1e-4)
    assert monops.solve(nearby, Broyden(memory=10), warm_start=first).success


# ---- Newton-Krylov ---------------------------------------------------------------------------------------------------


def test_gmres_solves_each_row_to_its_own_tolerance() -> None:
    A, b = draw(11, 5, 9, 9) + 6.0 * np.eye(9), draw(12, 5, 9)
    b[3] = 0.0
    tolerance = np.array([1e-12, 1e-2, 1e-6, 1e-12, 1e-1])
    x = gmres_rows(lambda v: np.einsum("bij,bj->bi", A, v), b, tolerance, 9, 1)
    left = np.linalg.norm(b - np.einsum("bij,bj->bi", A, x), axis=1)
    assert (left <= np.maximum(tolerance, 1e-12)).all()
    assert left[4] > 1e-8  # no more work than asked for
    assert not x[3].any()


def test_gmres_is_optimal_in_its_space_and_survives_singular_systems() -> None:
    A, b = draw(13, 8, 8), draw(14, 8)
    x = gmres_rows(lambda v: A @ v, b, np.asarray(0.0), 4, 0)
    space = np.stack([np.linalg.matrix_power(A, k) @ b for k in range(4)], axis=1)
    best = np.linalg.norm(b - A @ space @ np.linalg.lstsq(A @ space, b, rcond=None)[0])
    assert np.linalg.norm(b - A @ x) == pytest.approx(best, rel=1e-6)
    for singular in (np.zeros((8, 8)), np.diag([1.0, 1, 0, 0, 0, 0, 0, 0])):
        x = gmres_rows(lambda v, M=singular: M @ v, b, np.asarray(1e-9), 8, 0)
        assert np.isfinite(x).all()


def test_one_newton_step_solves_an_affine_map() -> None:
    A, b = 2.0 * draw(15, 25, 25), draw(16, 25)  # no contraction at all
    result = solve(lambda z: A @ z + b, NewtonKrylov(relative=1e-10), np.zeros(25), tol=1e-5)
    assert result.iterations == 1
    np.testing.assert_allclose(result.x, np.linalg.solve(np.eye(25) - A, b), rtol=1e-5)
    starts = draw(17, 6, 25)
    rows = solve(lambda z: z @ A.T + b, NewtonKrylov(relative=1e-10), starts, batch_ndim=1, tol=1e-5)
    assert (rows.iterations == 1).all()


def test_newton_converges_fast_near_and_shortens_its_steps_far_away() -> None:
    result = solve(lambda z: z - 10.0 * np.arctan(z), NewtonKrylov(), np.array([8.0]), history=True)  # full steps diverge
    assert result.success
    residuals = [residual for _, residual in result.history]
    assert all(now <= before for before, now in itertools.pairwise(residuals))
    assert solve(np.cos, NewtonKrylov(), np.zeros(1), tol=1e-13).iterations <= 6
    W, b = draw(18, 20, 20), draw(19, 20)
    W *= 0.95 / np.linalg.norm(W, 2)
    kinks = solve(lambda z: np.maximum(W @ z + b, 0.0), NewtonKrylov(relative=1e-6), np.zeros(20))
    assert kinks.success
    assert kinks.iterations <= 8  # semismooth: it ends once the active set is found


# ---- rows ------------------------------------------------------------------------------------------------------------

ROWS, SIZE = 16, 12
WEIGHT = 0.55 * draw(20, SIZE, SIZE) / SIZE**0.5
BIAS, SLOPE = draw(21, ROWS, SIZE), np.linspace(0.1, 1.4, ROWS)


class Layer:
    """tanh(slope (W z + bias)), row by row, which notes how many rows it was asked for."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, z: Any, bias: Any, slope: Any, nothing: Any = None) -> Any:
        self.rows.append(int(z.shape[0]))
        return np.tanh(slope[:, None] * (z @ WEIGHT.T) + bias)


@every_method
def test_rows_are_those_of_single_problems_and_are_put_aside(method: monops.Algorithm) -> None:
    """Inputs of one and two axes, and one that is no array at all."""
    layer = Layer()
    together = solve(layer, method, np.zeros((ROWS, SIZE)), inputs=(BIAS, SLOPE, None), batch_ndim=1)
    for row in range(ROWS):
        one = slice(row, row + 1)
        alone = solve(Layer(), method, np.zeros((1, SIZE)), inputs=(BIAS[one], SLOPE[one]), batch_ndim=1)
        assert alone.iterations[0] == together.iterations[row]
        np.testing.assert_allclose(alone.x[0], together.x[row], atol=1e-9)
    assert together.success
    if not isinstance(method, NewtonKrylov):  # which ends nearly all rows in the same step
        assert min(layer.rows) <= ROWS // 2
        assert sum(layer.rows) < 0.8 * ROWS * len(layer.rows)


@every_method
def test_newton_puts_rows_aside_too_and_closures_over_the_batch_are_noticed(method: monops.Algorithm) -> None:
    layer = Layer()
    slope = np.where(np.arange(ROWS) < 12, 0.0, 1.3)  # twelve rows are constant maps
    expected = solve(layer, method, np.zeros((ROWS, SIZE)), inputs=(BIAS, slope), batch_ndim=1)
    assert 4 in layer.rows
    closed = solve(lambda z: Layer()(z, BIAS, slope), method, np.zeros((ROWS, SIZE)), batch_ndim=1)
    assert closed.success
    np.testing.assert_array_equal(closed.iterations, expected.iterations)
    np.testing.assert_allclose(closed.x, expected.x, atol=1e-9)


def test_a_closure_of_one_row_and_a_square_weight_among_the_inputs_do_not_mislead() -> None:
    bias = BIAS[:2]
    slope = np.array([0.0, 1.0])
    result = solve(lambda z: np.tanh(slope[:, None] * (z @ WEIGHT.T) + bias), Broyden(), np.zeros((2, SIZE)), batch_ndim=1)
    np.testing.assert_allclose(result.x, np.tanh(slope[:, None] * (result.x @ WEIGHT.T) + bias), atol=1e-8)
    slopes = np.where(np.arange(SIZE) < 8, 0.0, 1.3)  # as many rows as the shared weight has
    shared = solve(
        lambda z, weight, slope, bias: np.tanh(slope[:, None] * (z @ weight.T) + bias),
        Broyden(),
        np.zeros((SIZE, SIZE)),
        inputs=(WEIGHT, slopes, BIAS[:SIZE]),
        batch_ndim=1,
    )
    assert shared.success
    np.testing.assert_allclose(shared.x, np.tanh(slopes[:, None] * (shared.x @ WEIGHT.T) + BIAS[:SIZE]), atol=1e-8)


@every_method
def test_broken_rows_are_alone(method: monops.Algorithm) -> None:
    broken = BIAS.copy()
    broken[3, 2] = np.nan
    others = np.arange(ROWS) != 3
    expected = solve(Layer(), method, np.zeros((ROWS, SIZE)), inputs=(BIAS, SLOPE), batch_ndim=1)
    found = solve(Layer(), method, np.zeros((ROWS, SIZE)), inputs=(broken, SLOPE), batch_ndim=1)
    assert found.row_status[3] is Status.NON_FINITE
    assert sum(status is Status.CONVERGED for status in found.row_status) == ROWS - 1
    np.testing.assert_array_equal(found.iterations[others], expected.iterations[others])
    np.testing.assert_allclose(found.x[others], expected.x[others], atol=1e-9)


@every_method
def test_blocks_of_torch_tensors_in_single_precision(method: monops.Algorithm) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    weight, bias, slope = (torch.tensor(values, dtype=torch.float32) for values in (WEIGHT, BIAS, SLOPE))
    rows = []

    def map(z: Any, bias: Any, slope: Any) -> Any:
        rows.append(len(z[0]))
        image = torch.tanh(slope[:, None] * (torch.cat([part.flatten(1) for part in z], 1) @ weight.T) + bias)
        return Blocks((image[:, :5], image[:, 5:, None]))

    start = Blocks((torch.zeros(ROWS, 5), torch.zeros(ROWS, SIZE - 5, 1)))
    rule = monops.stopping.RelativeToPointBelow(1e-4)
    result = solve(map, method, start, inputs=(bias, slope), batch_ndim=1, stop=rule, tol=None)
    assert result.success
    assert all(part.dtype == torch.float32 for part in result.x)
    x = np.concatenate([part.flatten(1).numpy() for part in result.x], axis=1).astype(float)
    residual = np.linalg.norm(x - np.tanh(SLOPE[:, None] * (x @ WEIGHT.T) + BIAS), axis=1)
    assert (residual <= 1.1e-4 * np.linalg.norm(x, axis=1)).all()
    if not isinstance(method, NewtonKrylov):
        assert min(rows) <= ROWS // 2  # rounding that a method magnifies does not keep the rows together


def test_several_batch_axes() -> None:
    expected = solve(Layer(), Broyden(), np.zeros((ROWS, SIZE)), inputs=(BIAS, SLOPE), batch_ndim=1)
    result = solve(
        lambda z: Layer()(z.reshape(ROWS, SIZE), BIAS, SLOPE).reshape(4, 4, SIZE),
        Broyden(),
        np.zeros((4, 4, SIZE)),
        batch_ndim=2,
    )
    np.testing.assert_array_equal(result.iterations.ravel(), expected.iterations)


# ---- the driver --------------------------------------------------------------------------------------------------------


@every_method
def test_a_resumed_run_is_the_uninterrupted_one(method: monops.Algorithm, tmp_path: Path) -> None:
    W, b = draw(22, 20, 20) / 20**0.5, draw(23, 20)
    file = tmp_path / "state.npz"

    def map(z: Any) -> Any:
        return np.tanh(1.5 * W @ z + b)

    whole = solve(map, method, np.zeros(20), tol=0.0, max_iter=12)
    solve(map, method, np.zeros(20), tol=0.0, max_iter=5, save_to=file)
    resumed = solve(map, method, np.zeros(20), tol=0.0, max_iter=12, resume_from=file)
    np.testing.assert_array_equal(resumed.x, whole.x)


def test_the_rule_relative_to_the_point() -> None:
    for scale in (1e-6, 1.0, 1e6):
        result = solve(
            lambda z, scale=scale: scale * np.cos(z / scale),
            Picard(),
            np.zeros(2),
            stop=monops.stopping.RelativeToPointBelow(1e-3),
            tol=None,
        )
        assert result.success
        assert result.residual <= 1e-3 * np.linalg.norm(result.x)
        assert result.iterations == 18
    with pytest.raises(DataError, match="finite number >= 0"):
        monops.stopping.RelativeToPointBelow(-1.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Picard(relaxation=0.0),
        lambda: Picard(relaxation=float("nan")),
        lambda: Broyden(memory=0),
        lambda: Broyden(memory=2.5),  # type: ignore[arg-type]
        lambda: Broyden(type=3),
        lambda: Broyden(relaxation=float("inf")),
        lambda: NewtonKrylov(krylov=0),
        lambda: NewtonKrylov(relative=1.0),
        lambda: FixedPoint(3),  # type: ignore[arg-type]
        lambda: FixedPoint(np.cos, inputs=[1.0]),  # type: ignore[arg-type]
        lambda: FixedPoint(np.cos, lipschitz=-1.0),
        lambda: FixedPoint(np.cos, lipschitz=True),
    ],
)
def test_settings_that_mean_nothing_are_named(make: Callable[[], Any]) -> None:
    with pytest.raises(DataError, match=r"(Picard|Broyden|NewtonKrylov|FixedPoint): "):
        make()


def test_a_map_that_changes_the_shape_is_named() -> None:
    for method in METHODS:
        with pytest.raises(monops.errors.ShapeError, match=r"the map takes a point of shape \(3,\) to \(3, 3\)"):
            solve(lambda z: z[:, None] + z, method, np.zeros(3))


def test_maps_that_work_in_place_are_refused() -> None:
    def halve(z: Any) -> Any:
        z *= 0.5
        z += 1.0
        return z

    for method in (Picard(), Anderson(Picard()), Broyden(), NewtonKrylov()):
        with pytest.raises(DataError, match="the map changes the point that it is given"):
            monops.solve(FixedPoint(halve), method, x0=np.zeros(2))
