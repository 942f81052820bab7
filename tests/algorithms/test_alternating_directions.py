"""ADMM and its forms against the textbook schemes, Douglas-Rachford on product spaces, and dense solves."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import monops
from monops import arrays
from monops.algorithms.shared import penalized_step
from monops.constants import Constants
from monops.errors import NotApplicableError, StepSizeError
from monops.solve import as_inclusion
from tests.algorithms.primal_dual_cases import DESIGN, STEPS, TARGET
from tests.algorithms.test_primal_dual import STRICT, TORCH, run

generator = np.random.default_rng(21)
POINT = generator.standard_normal(8)
FORM = DESIGN[:5].T @ DESIGN[:5]  # rank 5 of 8


# ---- the first step ---------------------------------------------------------------------------------


def dense(linear_map: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The matrix of a map, column by column."""
    rows = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return np.array([np.concatenate([np.ravel(leaf) for leaf in arrays.leaves(linear_map.apply(row))]) for row in rows]).T


FIRST_STEPS = {
    "gradient": (lambda: monops.SquaredL2(2.0).translate(POINT.reshape(2, 4)), monops.Gradient((2, 4), 0.5), "ByInverse"),
    "convolution": (
        lambda: monops.SquaredL2().translate(POINT),
        monops.Convolution(np.array([1.0, 2.0, -1.0]), (8,)),
        "ByInverse",
    ),
    "wide matrix": (lambda: 3.0 * monops.SquaredL2().tilt(POINT), monops.Matrix(DESIGN[:3]), "ByInverse"),
    "sparse": (lambda: monops.SquaredL2().add_quadratic(1.0), monops.SparseMatrix(scipy.sparse.csr_array(STEPS)), "ByInverse"),
    "identity in the stack": (
        lambda: monops.Linear(POINT),
        monops.Stack((monops.Identity((8,)), monops.Matrix(DESIGN[:3]))),
        "ByInverse",
    ),
    "quadratic": (lambda: monops.Quadratic(FORM, POINT), monops.Matrix(DESIGN[8:13]), "ByDiagonalization"),
    "least squares and gradient": (
        lambda: monops.LeastSquares(DESIGN[:5], TARGET[:5]),
        monops.Stack((monops.Gradient((8,)), monops.Matrix(DESIGN[5:9]))),
        "ByDiagonalization",
    ),
    "tall matrix alone": (lambda: monops.Zero(), monops.Matrix(DESIGN), "ByDiagonalization"),
}


@pytest.mark.parametrize("kind", FIRST_STEPS)
@pytest.mark.parametrize("step", [0.01, 1.0, 30.0])
def test_the_first_step_solves_its_linear_system(kind: str, step: float) -> None:
    """The gradient of f(x) + |Kx - v|^2/(2 step) vanishes: from the map as a matrix and the gradient of f."""
    build, K, path = FIRST_STEPS[kind]
    f, shape = build(), K.input_shape
    first = penalized_step.penalized_step(f, K, as_inclusion(f))
    assert type(first).__name__ == path
    x0 = generator.standard_normal(shape)
    v = arrays.tree_map(lambda leaf: generator.standard_normal(leaf.shape), K.apply(x0))
    x = first.solve(v, np.asarray(step), x0, K.apply(x0))
    matrix = dense(K, shape)
    misfit = matrix @ np.ravel(x) - np.concatenate([np.ravel(leaf) for leaf in arrays.leaves(v)])
    gradient = np.ravel(f.gradient(x)) + matrix.T @ misfit / step
    assert np.linalg.norm(gradient) <= 1e-9 * (1 + np.linalg.norm(misfit) / step)


def test_one_step_a_row_is_the_step_of_each_row() -> None:
    for kind, (build, K, _) in FIRST_STEPS.items():
        if kind == "sparse":  # one factor, one step
            continue
        f, shape = build(), K.input_shape
        first = penalized_step.penalized_step(f, K, as_inclusion(f))
        assert first.takes_many_steps
        x0 = generator.standard_normal((2, *shape))
        v = arrays.tree_map(lambda leaf: generator.standard_normal(leaf.shape), K.apply(x0))
        together = first.solve(v, np.array([0.2, 5.0]), x0, K.apply(x0))
        for row, step in enumerate((0.2, 5.0)):
            part = arrays.tree_map(lambda leaf, row=row: leaf[row], v)
            alone = first.solve(part, np.asarray(step), x0[row], K.apply(x0[row]))
            np.testing.assert_allclose(together[row], alone, atol=1e-10)


# ---- ADMM -----------------------------------------------------------------------------------------------


def textbook(relaxation: float, step: float, count: int) -> list[np.ndarray]:
    """Scaled ADMM for 1/2 |x - POINT|^2 + |Kx|_1, K = STEPS, from x = 0, z = 0, u = 0 (Boyd et al. 2011, 3.1.1, 3.4.3)."""
    z, u, found = np.zeros(7), np.zeros(7), []
    for _ in range(count):
        x = np.linalg.solve(np.eye(8) + STEPS.T @ STEPS / step, POINT + STEPS.T @ (z - u) / step)
        w = relaxation * STEPS @ x + (1 - relaxation) * z
        z = np.sign(w + u) * np.maximum(np.abs(w + u) - step, 0)
        u = u + w - z
        found.append(x)
    return found


PROBLEM = monops.SquaredL2().translate(POINT) + monops.L1Norm() @ monops.Matrix(STEPS)


@pytest.mark.parametrize("relaxation", [0.7, 1.0, 1.8])
@pytest.mark.parametrize("name", ["ADMM", "AdaptiveADMM"])
def test_iterates_are_those_of_the_textbook(name: str, relaxation: float) -> None:
    settings: dict[str, Any] = {"max_changes": 0} if name == "AdaptiveADMM" else {}
    method = getattr(monops, name)(step_size=0.6, relaxation=relaxation, **settings)
    _, states = run(method, PROBLEM, np.zeros(8), 25)
    for state, x in zip(states[1:], textbook(relaxation, 0.6, 25), strict=True):
        np.testing.assert_allclose(state.x, x, atol=1e-11)


def test_admm_with_the_identity_is_douglas_rachford() -> None:
    """A nonquadratic f: x and z are the two resolvents, t is the governing point."""
    f, g = monops.Box(-0.5, 0.5), monops.L1Norm().translate(POINT)
    _, admm = run(monops.ADMM(0.7, 1.3), f + g @ monops.Identity((8,)), np.zeros(8), 20)
    _, other = run(monops.DouglasRachford(0.7, 1.3), f + g, np.zeros(8), 20)
    for mine, theirs in zip(admm, other, strict=True):
        np.testing.assert_allclose(mine.t, theirs.u, atol=1e-13)


def test_adaptive_penalty_changes_finitely_often_and_pays() -> None:
    """A penalty a million times off: the fixed one does not get there."""
    for first in (1e-6, 1e6):
        method = monops.AdaptiveADMM(step_size=first)
        terms, states = run(method, PROBLEM, np.zeros(8), 400)
        assert float(arrays.norm(method.certificate(terms, states[-1]))) < 1e-7
        steps = [float(state.step_size) for state in states]
        changes = [(a, b) for a, b in itertools.pairwise(steps) if a != b]
        assert 5 < len(changes) <= 50
        assert {round(max(a, b) / min(a, b), 9) for a, b in changes} == {2.0}
        fixed = monops.ADMM(step_size=first, relaxation=1.6)
        fixed_terms, fixed_states = run(fixed, PROBLEM, np.zeros(8), 400)
        assert float(arrays.norm(fixed.certificate(fixed_terms, fixed_states[-1]))) > 1e-3
    _, states = run(monops.AdaptiveADMM(step_size=1e6, max_changes=3), PROBLEM, np.zeros(8), 400)
    assert float(states[-1].step_size) == 1e6 / 8
    assert float(states[-1].changes_left) == 0


def test_the_adaptive_penalty_does_not_depend_on_units() -> None:
    found = []
    for c in (1.0, 1e4):
        problem = monops.SquaredL2().translate(c * POINT) + c * monops.L1Norm() @ monops.Matrix(STEPS)
        _, states = run(monops.AdaptiveADMM(), problem, c * np.ones(8), 60)
        found.append(states[-1].x / c)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-8)


# ---- linearised -----------------------------------------------------------------------------------------


def test_linearized_admm_is_the_textbook_scheme_and_chambolle_pock_on_the_dual() -> None:
    t, s = 0.2, 1.1
    _, states = run(monops.LinearizedADMM(t, s), PROBLEM, POINT, 25)
    # x+ = prox_t f(x - t s K'(Kx - z + u)), z+ = prox_{g/s}(Kx+ + u), u+ = u + Kx+ - z+ (Parikh and Boyd 2014, 4.4.2),
    # from the z and u after y1 = prox_{s g*}(s K x0)
    x = POINT
    z = np.sign(STEPS @ x) * np.maximum(np.abs(STEPS @ x) - 1 / s, 0)
    u = STEPS @ x - z
    for state in states[1:]:
        back = x - t * s * STEPS.T @ (STEPS @ x - z + u)
        x = (back + t * POINT) / (1 + t)
        np.testing.assert_allclose(state.x, x, atol=1e-12)
        np.testing.assert_allclose(state.y, s * u, atol=1e-12)
        w = STEPS @ x + u
        z = np.sign(w) * np.maximum(np.abs(w) - 1 / s, 0)
        u = w - z
    swapped = monops.Saddle(monops.LInfBall(1.0), monops.SquaredL2().translate(POINT), monops.Matrix(-STEPS.T))
    start = arrays.Blocks((np.zeros(7), POINT))
    _, mirrored = run(monops.ChambollePock(s, t), swapped, start, 25)
    for mine, theirs in zip(states, mirrored, strict=True):
        np.testing.assert_allclose(mine.x, theirs.y, atol=1e-12)
        np.testing.assert_allclose(mine.y, theirs.x, atol=1e-12)
    _, plain = run(monops.ChambollePock(t, s), PROBLEM, POINT, 2)
    assert np.abs(plain[2].x - states[2].x).max() > 1e-3  # on one and the same problem the two differ


# ---- consensus and sharing --------------------------------------------------------------------------------

TERMS = (monops.L1Norm(), monops.Box(-0.3, 0.4), monops.SquaredL2(2.0).translate(POINT))


def test_consensus_is_douglas_rachford_on_the_product_space_and_the_textbook_scheme() -> None:
    problem = TERMS[0] + TERMS[1] + TERMS[2]
    _, states = run(monops.ConsensusADMM(0.7, 1.4), problem, POINT, 20)
    equal = monops.Custom(resolvent=lambda t, step: arrays.Blocks([(t[0] + t[1] + t[2]) / 3.0] * 3), constants=Constants(0.0))
    _, other = run(
        monops.DouglasRachford(0.7, 1.4),
        monops.Subdifferential(monops.SeparableSum(TERMS)) + equal,
        arrays.Blocks([POINT] * 3),
        20,
    )
    for mine, theirs in zip(states, other, strict=True):
        np.testing.assert_allclose(np.stack(mine.t), np.stack(theirs.u), atol=1e-12)
    # Boyd et al. (2011), 7.1: x_i = prox(z - u_i), z = mean of x_i + u_i, u_i += x_i - z
    _, plain = run(monops.ConsensusADMM(0.7), problem, POINT, 20)
    z, u = POINT, np.zeros((3, 8))
    for state in plain[1:]:
        x = np.stack([term.prox(z - u[index], 0.7) for index, term in enumerate(TERMS)])
        np.testing.assert_allclose(np.stack(state.copies), x, atol=1e-12)
        z = np.mean(x + u, axis=0)
        u = u + x - z


def test_consensus_certificate_and_answer() -> None:
    method = monops.ConsensusADMM()
    problem = as_inclusion(TERMS[0] + TERMS[1] + TERMS[2])
    terms, states = run(method, problem, np.ones(8), 9)
    x, duals = method.solution(terms, states[-1])
    total, *apart = method.certificate(terms, states[-1])
    for term, y, gap in zip(TERMS[:2], duals, apart, strict=True):  # y in A_i(x + gap)
        np.testing.assert_allclose(term.prox(x + gap + y, 1.0), x + gap, atol=1e-12)
    np.testing.assert_allclose(total - duals[0] - duals[1], TERMS[2].gradient(x), atol=1e-12)
    assert float(arrays.norm(method.certificate(terms, states[-1]))) > 1e-6
    result = monops.solve(problem, method, tol=1e-10)
    gradient = lambda x: 2.0 * (x - POINT)  # noqa: E731
    shrunk = result.x - gradient(result.x)
    expected = np.clip(np.sign(shrunk) * np.maximum(np.abs(shrunk) - 1.0, 0), -0.3, 0.4)
    np.testing.assert_allclose(result.x, expected, atol=1e-8)


def row(count: int) -> Any:
    return monops.Row((monops.Identity((8,)),) * count)


def test_sharing_is_douglas_rachford_on_the_product_space_and_the_textbook_scheme() -> None:
    shared = monops.L2Norm().translate(POINT)
    separable = monops.SeparableSum(TERMS)
    start = arrays.Blocks([POINT, 0.0 * POINT, -POINT])
    problem = separable + shared @ row(3)

    def resolvent(t: Any, step: float) -> Any:
        """Brute force: the prox of g(x1 + x2 + x3) by its optimality condition, t_i - step y, y in dg at the sum."""
        total = t[0] + t[1] + t[2]
        moved = (shared.prox(total, 3.0 * step) - total) / 3.0
        return arrays.Blocks([block + moved for block in t])

    B = monops.Custom(resolvent=resolvent, constants=Constants(0.0))
    _, states = run(monops.SharingADMM(0.6, 1.2), problem, start, 20)
    _, other = run(monops.DouglasRachford(0.6, 1.2), monops.Subdifferential(separable) + B, start, 20)
    for mine, theirs in zip(states, other, strict=True):
        np.testing.assert_allclose(np.stack(mine.t), np.stack(theirs.u), atol=1e-12)
    # Boyd et al. (2011), 7.3: x_i = prox(x_i - mean + z - u), z = prox of the sum's function, u += mean - z
    _, plain = run(monops.SharingADMM(0.6), problem, start, 20)
    first = plain[1]
    x, mean = np.stack(first.x), np.mean(np.stack(first.x), axis=0)
    u = (sum(start) - first.total) / 3.0
    for state in plain[2:]:
        z = shared.prox(3.0 * (mean + u), 3.0 * 0.6) / 3.0
        u = u + mean - z
        x = np.stack([term.prox(x[index] - mean + z - u, 0.6) for index, term in enumerate(TERMS)])
        mean = np.mean(x, axis=0)
        np.testing.assert_allclose(np.stack(state.x), x, atol=1e-11)


def test_sharing_certificate_and_answer() -> None:
    method = monops.SharingADMM()
    problem = as_inclusion(monops.SeparableSum(TERMS) + monops.Point(POINT) @ row(3))
    terms, states = run(method, problem, arrays.Blocks([np.ones(8)] * 3), 9)
    x, y = method.solution(terms, states[-1])
    in_x, in_y = method.certificate(terms, states[-1])
    for term, block, part in zip(TERMS, x, in_x, strict=True):  # part - y in A_i x_i
        np.testing.assert_allclose(term.prox(block + part - y, 1.0), block, atol=1e-12)
    np.testing.assert_allclose(in_y + sum(x), POINT, atol=1e-12)
    result = monops.solve(problem, method, tol=1e-9)
    assert result.success
    np.testing.assert_allclose(sum(result.x), POINT, atol=1e-8)
    other = monops.solve(problem, monops.ChambollePock(), tol=1e-9, max_iter=50_000)
    np.testing.assert_allclose(np.stack(result.x), np.stack(other.x), atol=1e-6)


def test_averaged_maps_on_product_spaces() -> None:
    for method, problem, start in (
        (monops.ConsensusADMM(0.7, 1.4), TERMS[0] + TERMS[1] + TERMS[2], POINT),
        (monops.SharingADMM(0.7, 1.4), monops.SeparableSum(TERMS) + monops.Point(POINT) @ row(3), arrays.Blocks([POINT] * 3)),
    ):
        terms, states = run(method, problem, start, 3)
        z = method.governing(terms, states[2])
        again = method.governing(terms, method.step(terms, method.at(terms, z)))
        assert float(arrays.norm(again - states[3].t)) < 1e-12
        a = method.averagedness(terms)
        assert a == 0.7
        for _ in range(10):
            u, v = (arrays.tree_map(lambda leaf: 3 * generator.standard_normal(leaf.shape), z) for _ in range(2))
            Tu, Tv = (method.governing(terms, method.step(terms, method.at(terms, w))) for w in (u, v))
            moved = (u - Tu) - (v - Tv)
            left = float(arrays.inner(Tu - Tv, Tu - Tv)) + (1 - a) / a * float(arrays.inner(moved, moved))
            assert left <= float(arrays.inner(u - v, u - v)) * (1 + 1e-12)


# ---- refusals, rows, libraries ------------------------------------------------------------------------


def test_refusals_name_the_hypothesis_and_the_way_out() -> None:
    K = monops.Matrix(STEPS)
    refused = [
        (monops.ADMM(), monops.L1Norm() + monops.Box(0.0, 1.0), "no linear map; use DouglasRachford"),
        (
            monops.ADMM(),
            monops.Quadratic(FORM) + monops.L1Norm() @ monops.Matrix(np.zeros((1, 8)) + DESIGN[:1]),
            "common kernel",
        ),
        (
            monops.ADMM(),
            monops.SquaredL2(np.arange(1.0, 1201.0)) + monops.L1Norm() @ monops.Gradient((1200,)),
            "1200 variables.*ChambollePock",
        ),
        (monops.AdaptiveADMM(), monops.L1Norm() + monops.Box(0.0, 1.0), "no linear map"),
        (monops.ConsensusADMM(), monops.L1Norm() + monops.L1Norm() @ K, "linear map"),
        (monops.ConsensusADMM(), monops.L1Norm(), "single term"),
        (monops.SharingADMM(), monops.L1Norm() + monops.L1Norm() @ K, "no separable sum.*Row"),
    ]
    for method, problem, sentence in refused:
        with pytest.raises(NotApplicableError, match=sentence):
            method.match(as_inclusion(problem))
    for method in (monops.ADMM(relaxation=2.0), monops.AdaptiveADMM(relaxation=0.0), monops.ADMM(step_size=-1.0)):
        with pytest.raises(StepSizeError, match="outside"):
            method.match(as_inclusion(PROBLEM))


def test_rows_and_libraries_of_consensus_and_sharing() -> None:
    rows = np.stack([POINT, 100.0 * POINT])
    three = (monops.L1Norm(), monops.Box(-0.3, 0.4), monops.SquaredL2(2.0))
    cases = (
        (monops.ConsensusADMM(), lambda: three[0] + three[1] + three[2], lambda a, p: a(p)),
        (
            monops.SharingADMM(),
            lambda: monops.SeparableSum(three) + monops.L1Norm() @ row(3),
            lambda a, p: arrays.Blocks([a(p)] * 3),
        ),
    )
    for method, build, start in cases:
        _, together = run(method, build(), start(np.asarray, rows), 12, batch_ndim=1)
        _, alone = run(method, build(), start(np.asarray, rows[1]), 12)
        np.testing.assert_allclose(arrays.leaves(together[-1].t)[0][1], arrays.leaves(alone[-1].t)[0], atol=1e-10)
        for backend in (STRICT, TORCH):
            _, other = run(method, build(), start(backend.asarray, rows[1]), 12)
            np.testing.assert_allclose(
                backend.to_numpy(arrays.leaves(other[-1].t)[0]), arrays.leaves(alone[-1].t)[0], atol=1e-12
            )
            _, single = run(method, build(), start(lambda p, b=backend: b.asarray(p, "float32"), rows[1]), 12)
            assert all("float32" in str(leaf.dtype) for part in single[-1] for leaf in arrays.leaves(part))
