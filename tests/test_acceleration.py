"""Accelerations: their theorems along the iterates, instances on which plain Anderson fails, rows, resuming."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import monops
from monops import arrays
from monops.acceleration.memory import combine, empty, push
from monops.errors import DataError, NotApplicableError, StepSizeError
from monops.solve import as_inclusion
from tests.problems import CASES
from tests.test_algorithms import applicable, host

Wrap = Callable[..., monops.Algorithm]
WRAPS: dict[str, Wrap] = {
    "Halpern": monops.Halpern,
    "Halpern without restart": lambda method: monops.Halpern(method, restart=0.0),
    "Inertial": monops.Inertial,
    "Anderson II": monops.Anderson,
    "Anderson I": lambda method: monops.Anderson(method, type=1),
    "SuperMann": monops.SuperMann,
}
BASES = ("ForwardBackward", "DouglasRachford", "ChambollePock", "DavisYin", "ProximalPoint")
PAIRS = [(case, name) for case in CASES for name in BASES if name in applicable(case)]


def map_of(operator: Callable[[np.ndarray], np.ndarray], a: float) -> monops.Algorithm:
    """A method whose map is the given a-averaged one, for the iterations on the bare map."""

    class Map(monops.Algorithm):
        cost, evaluations, typical_iterations, is_map = "1", 1.0, 1.0, True

        def match(self, problem: Any) -> Any:
            return monops.ProximalPoint().match(problem)

        def init(self, terms: Any, x0: Any) -> Any:
            return (x0, x0)

        def step(self, terms: Any, state: Any) -> Any:
            return (operator(state[0]), state[0])

        def solution(self, terms: Any, state: Any) -> Any:
            return monops.Solution(state[0])

        def certificate(self, terms: Any, state: Any) -> Any:
            return state[1] - state[0]

        def averagedness(self, terms: Any) -> float:
            return a

    return Map()


def residuals(method: monops.Algorithm, z0: np.ndarray, steps: int, T: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """|z_k - T z_k| along the iteration, k = 0 ... steps."""
    terms = method.match(as_inclusion(monops.Zero()))
    state = method.init(terms, z0)
    found = []
    for _ in range(steps + 1):
        found.append(float(np.linalg.norm(state.z - T(state.z))))
        state = method.step(terms, state)
    return np.array(found)


def rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize(("case", "name"), PAIRS, ids=[f"{case.name}-{name}" for case, name in PAIRS])
@pytest.mark.parametrize(
    "wrap", [WRAPS[name] for name in WRAPS if name != "Halpern without restart"], ids=lambda wrap: str(wrap)[:30]
)
def test_every_acceleration_of_every_map_solves_the_problem(case: Any, name: str, wrap: Wrap) -> None:
    method = wrap(getattr(monops, name)())
    if method.method.averagedness(method.method.match(as_inclusion(case.build(np.asarray)))) is None:  # type: ignore[attr-defined]
        with pytest.raises(NotApplicableError, match="averaged"):
            monops.solve(case.build(np.asarray), method, x0=case.start(np.asarray))
        return
    result = monops.solve(case.build(np.asarray), method, x0=case.start(np.asarray), tol=1e-8, max_iter=50_000, check_every=50)
    assert result.success
    assert case.error(result.x) <= 1e-6


def test_halpern_attains_its_bound_on_minus_the_identity() -> None:
    """N = -I from z0: |z_k - N z_k| = 2 |z0|/(k + 1) exactly (Lieder 2021)."""
    found = residuals(monops.Halpern(map_of(lambda z: -z, 1.0), restart=0.0), np.array([1.0]), 30, lambda z: -z)
    bound = 2.0 / (np.arange(31) + 1.0)
    np.testing.assert_allclose(found[::2], bound[::2], rtol=1e-12)
    assert np.all(found <= bound * (1 + 1e-12))


@pytest.mark.parametrize("angle", [0.05, 0.3, 1.0, 2.0, np.pi])
def test_halpern_stays_below_its_bound_on_rotations(angle: float) -> None:
    R = rotation(angle)
    found = residuals(monops.Halpern(map_of(lambda z: R @ z, 1.0), restart=0.0), np.array([1.0, 0.0]), 200, lambda z: R @ z)
    assert np.all(found <= 2.0 / (np.arange(201) + 1.0) * (1 + 1e-12))


def test_restarted_halpern_is_linear_on_a_rotation_where_halpern_is_not() -> None:
    R = rotation(0.5)
    slow = residuals(monops.Halpern(map_of(lambda z: R @ z, 1.0), restart=0.0), np.ones(2), 400, lambda z: R @ z)
    fast = residuals(monops.Halpern(map_of(lambda z: R @ z, 1.0)), np.ones(2), 400, lambda z: R @ z)
    assert slow[-1] > 1e-4
    assert fast[-1] < 1e-12


def folded(z: np.ndarray) -> np.ndarray:
    """z -> (z + Q|z| + c)/2 for an orthogonal Q: averaged, with a fixed point."""
    return 0.5 * (z + np.array([[-1.0, -1.0], [-1.0, 1.0]]) @ np.abs(z) / 2**0.5 + np.array([0.0, 2.0]))


def test_plain_anderson_stands_still_on_an_averaged_map_and_the_safeguard_saves_it() -> None:
    """Type II with memory 2 stays at |z - Tz| = sin(pi/8) for ever on a piecewise linear map of the plane."""
    z0 = np.array([3.0, -2.0])
    plain = monops.Anderson(map_of(folded, 0.5), memory=2, regularisation=1e-14, safeguard=False)
    assert residuals(plain, z0, 500, folded)[-1] == pytest.approx(np.sin(np.pi / 8), rel=1e-6)
    assert residuals(monops.Anderson(map_of(folded, 0.5), memory=2), z0, 60, folded)[-1] < 1e-12


def test_anderson_of_full_memory_is_gmres_on_a_linear_map() -> None:
    """Walker and Ni (2011): x_{k+1} of Anderson is T applied to the k-th GMRES iterate; here by a dense least-squares solve."""
    generator = np.random.default_rng(1)
    M = generator.standard_normal((6, 6))
    M = 0.8 * M / np.linalg.norm(M, 2)
    b, z0 = generator.standard_normal(6), generator.standard_normal(6)

    def T(z: np.ndarray) -> np.ndarray:
        return M @ z + b

    method = monops.Anderson(map_of(T, 0.9), memory=6, regularisation=0.0, safeguard=False)
    terms = method.match(as_inclusion(monops.Zero()))
    state = method.init(terms, z0)
    iterates = [state.z]
    for _ in range(5):
        state = method.step(terms, state)
        iterates.append(state.z)
    r0 = z0 - T(z0)
    for k in (1, 2, 3, 4):
        krylov = np.stack([np.linalg.matrix_power(np.eye(6) - M, j) @ r0 for j in range(k)], axis=1)
        coefficients = np.linalg.lstsq((np.eye(6) - M) @ krylov, r0, rcond=None)[0]
        gmres = z0 - krylov @ coefficients
        np.testing.assert_allclose(iterates[k + 1], T(gmres), atol=1e-7)


@pytest.mark.parametrize("wrap", [WRAPS["Anderson II"], WRAPS["Anderson I"], WRAPS["SuperMann"]])
def test_safeguarded_accelerations_converge_on_hard_maps(wrap: Wrap) -> None:
    """Compositions of reflections, projections and rotations, some without a regular fixed point: |z - Tz| tends to 0."""
    generator = np.random.default_rng(2)
    for trial in range(12):
        n = int(generator.integers(2, 6))
        Q = np.linalg.qr(generator.standard_normal((n, n)))[0]
        v = generator.standard_normal(n)
        v /= np.linalg.norm(v)
        kind = trial % 3

        def T(z: np.ndarray, Q: np.ndarray = Q, v: np.ndarray = v, kind: int = kind) -> np.ndarray:
            if kind == 0:
                return 0.5 * (z + Q @ np.abs(z))
            if kind == 1:
                return 0.5 * (z + np.clip(Q @ z, -1.0, 1.0))
            w = z - v * max(v @ z, 0.0)
            return 0.5 * (z + Q @ (np.maximum(w, 0.0) - 0.5 * np.minimum(w, 0.0)))

        start = 10.0 * generator.standard_normal(n)
        found = residuals(wrap(map_of(T, 0.5)), start, 800, T)
        assert np.min(found[-5:]) <= 1e-2 * max(found[0], 1.0), (trial, kind, found[-1])


def test_supermann_never_moves_away_by_a_projection() -> None:
    """The half-space contains every fixed point: |z+ - z*| <= |z - z*| for steps of the third kind."""
    R = rotation(1.0)
    method = monops.SuperMann(map_of(lambda z: 0.5 * (z + R @ z), 0.5), memory=1, regularisation=1e6)  # directions of no use
    terms = method.match(as_inclusion(monops.Zero()))
    state = method.init(terms, np.array([3.0, 4.0]))
    for _ in range(60):
        new = method.step(terms, state)
        assert np.linalg.norm(new.z) <= np.linalg.norm(state.z) * (1 + 1e-12)
        state = new
    assert np.linalg.norm(state.z) < 1e-2


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_rows_are_accelerated_on_their_own(wrap: Wrap) -> None:
    generator = np.random.default_rng(3)
    S = generator.standard_normal((6, 6))
    M = 0.5 * np.eye(6) + S - S.T
    q = generator.standard_normal((4, 6)) * np.array([[1e-3], [1.0], [10.0], [0.1]])
    settings: dict[str, Any] = {"tol": 1e-5, "max_iter": 20_000}
    method = wrap(monops.DouglasRachford())
    if isinstance(method, monops.Halpern) and not method.restart:
        settings = {"tol": 1e-1, "max_iter": 2000, "on_failure": "ignore"}
    together = monops.solve(monops.Affine(M, q) + monops.NonNegative(), method, x0=np.zeros((4, 6)), batch_ndim=1, **settings)
    for row in range(4):
        alone = monops.solve(monops.Affine(M, q[row]) + monops.NonNegative(), method, x0=np.zeros(6), **settings)
        assert abs(int(alone.iterations) - int(together.iterations[row])) <= 0.2 * alone.iterations + 10
        np.testing.assert_allclose(alone.x, together.x[row], atol=1e-4)


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_accelerations_run_on_every_backend(wrap: Wrap, backend: Any) -> None:
    case = CASES[0]

    def run(asarray: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            method = wrap(monops.DouglasRachford())
            return monops.solve(case.build(asarray), method, x0=case.start(asarray), tol=0.0, max_iter=8, check_every=4)

    result, reference = run(lambda values: backend.asarray(values, "float64")), run(np.asarray)
    np.testing.assert_allclose(host(result.x), reference.x, atol=1e-7)
    single = run(lambda values: backend.asarray(values, "float32"))
    assert single.x.dtype == case.start(lambda values: backend.asarray(values, "float32")).dtype


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_accelerated_runs_resume_with_identical_iterates(wrap: Wrap, tmp_path: Path) -> None:
    problem, method = CASES[0].build(np.asarray), wrap(monops.ForwardBackward())
    settings: dict[str, Any] = {"tol": 0.0, "on_failure": "ignore"}
    whole = monops.solve(problem, method, max_iter=23, **settings)
    monops.solve(problem, method, max_iter=11, save_to=tmp_path / "a.npz", **settings)
    resumed = monops.solve(problem, method, max_iter=23, resume_from=tmp_path / "a.npz", **settings)
    np.testing.assert_array_equal(whole.x, resumed.x)


def test_an_acceleration_finds_its_method_and_refuses_what_is_no_averaged_map() -> None:
    problem = CASES[0].build(np.asarray)
    chosen = monops.solve(problem, monops.Anderson())
    assert chosen.success
    with pytest.raises(NotApplicableError, match=r"AcceleratedForwardBackward is not known to be an averaged map.*wrap"):
        monops.solve(problem, monops.Anderson(monops.AcceleratedForwardBackward()))
    with pytest.raises(StepSizeError, match="averaged map may be relaxed"):
        monops.solve(problem, monops.Inertial(monops.DouglasRachford(), relaxation=2.5))
    with pytest.raises(DataError, match="memory"):
        monops.Anderson(memory=0)
    with pytest.raises(DataError, match="type"):
        monops.Anderson(type=3)
    with pytest.raises(DataError, match="restart"):
        monops.Halpern(restart=1.0)


def test_anderson_reaches_the_solution_in_far_fewer_steps() -> None:
    problem = CASES[2].build(np.asarray)
    plain = monops.solve(problem, monops.ForwardBackward(), tol=1e-9)
    fast = monops.solve(problem, monops.Anderson(monops.ForwardBackward()), tol=1e-9)
    assert fast.iterations < 0.25 * plain.iterations
    assert float(arrays.norm(fast.x - plain.x)) < 1e-7


@pytest.mark.parametrize("kind", [1, 2])
def test_dependent_differences_in_single_precision_still_extrapolate(kind: int) -> None:
    z = np.zeros(2, dtype=np.float32)
    pair = np.array([1.0, 0.0], dtype=np.float32), np.array([0.5, 0.0], dtype=np.float32)
    memory = empty(z, 2, 0, kind)
    for _ in range(2):
        memory = push(memory, *pair, 0)
    moved = combine(memory, z, pair[1], 1e-10, 0)
    np.testing.assert_allclose(moved, [-0.5, 0.0], atol=1e-3)  # both pairs say so: -g dz/dg + g


def test_a_singular_small_system_gives_the_plain_step() -> None:
    z = np.zeros(2)
    memory = empty(z, 2, 0)
    for _ in range(2):
        memory = push(memory, np.array([1.0, 0.0]), np.array([0.5, 0.0]), 0)
    np.testing.assert_array_equal(combine(memory, z + 3.0, np.array([0.5, 0.0]), 0.0, 0), z + 3.0)
