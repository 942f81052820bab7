"""Newton systems of sparse columns by products: the systems, their way out, and whole solutions against the inclusion."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse

import monops
from monops.algorithms.shared import piecewise_newton, working_sets
from monops.algorithms.shared.piecewise_newton import SparseGram, conjugate_gradients, solve_reduced


def columns(rows: int, count: int, density: float, seed: int = 0) -> sparse.csc_array:
    return sparse.csc_array(sparse.random_array((rows, count), density=density, rng=np.random.default_rng(seed)))


def test_products_diagonal_blocks_and_matrix_are_those_of_the_definition() -> None:
    C, w = columns(40, 30, 0.1), np.random.default_rng(1).random(40)
    H = C.toarray().T @ np.diag(w) @ C.toarray()
    gram, index = SparseGram(C, w), np.array([3, 4, 29, 0])
    v = np.random.default_rng(2).standard_normal(30)
    np.testing.assert_allclose(gram @ v, H @ v, atol=1e-13)
    np.testing.assert_allclose(gram.diagonal(), np.diagonal(H), atol=1e-13)
    np.testing.assert_allclose(gram.dense(), H, atol=1e-13)
    np.testing.assert_allclose(gram.restrict(index).dense(), H[np.ix_(index, index)], atol=1e-13)


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_reduced_systems_are_solved_on_the_free_entries(ridge: float) -> None:
    C, rng = columns(300, 120, 0.02), np.random.default_rng(3)
    w, right, free = 0.1 + rng.random(300), rng.standard_normal(120), rng.random(120) < 0.7
    free &= np.diff(C.indptr) > 0
    shift = np.full(120, ridge)
    d = solve_reduced(SparseGram(C, w), shift, right, free)
    H = C.toarray().T @ np.diag(w) @ C.toarray() + np.diag(shift)
    assert np.all(d[~free] == 0.0)
    assert np.linalg.norm((H @ d - right)[free]) <= 2e-4 * np.linalg.norm(right[free])


def test_systems_that_products_cannot_solve_are_factorised(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = sparse.csc_array(sparse.eye_array(200) - sparse.eye_array(200, k=1))  # condition 1e4: n steps of the gradients
    gram, right = SparseGram(chain, np.ones(200)), np.ones(200)
    monkeypatch.setattr(piecewise_newton, "MOST_PRODUCTS", 20)
    everything, zero = np.ones(200, dtype=bool), np.zeros(200)
    assert conjugate_gradients(gram, zero, right, everything) is None
    d = solve_reduced(gram, zero, right, everything)
    np.testing.assert_allclose(chain.toarray().T @ (chain.toarray() @ d), right, atol=1e-7)
    empty = SparseGram(sparse.csc_array((200, 200)), np.ones(200))
    assert conjugate_gradients(empty, zero, right, everything) is None  # a zero diagonal is no preconditioner


@pytest.mark.parametrize("grouped", [False, True])
def test_sparse_logistic_solutions_with_large_working_sets_meet_the_inclusion(
    grouped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    m, n, size = 400, 1200, 4
    A, rng = columns(m, n, 0.004, 5), np.random.default_rng(6)
    labels = np.where(rng.standard_normal(m) > 0, 1.0, -1.0)
    weight = 0.15 * float(np.max(np.abs(A.T @ labels))) / 2
    made: list[int] = []
    whole = SparseGram.__init__

    def counted(self: SparseGram, C: object, weights: np.ndarray) -> None:
        made.append(C.shape[1])  # type: ignore[attr-defined]
        whole(self, C, weights)

    monkeypatch.setattr(SparseGram, "__init__", counted)
    groups = [(tuple(range(i, i + size)), weight) for i in range(0, n, size)]
    penalty = monops.TreeGroupL2(groups) if grouped else weight * monops.L1Norm()
    result = monops.solve(monops.LogisticLoss(labels) @ sparse.csr_array(A) + penalty, monops.WorkingSetNewton(), tol=1e-8)
    x = result.x
    assert result.success
    assert max(made) > working_sets.DIRECT
    slope = -(A.T @ (-labels / (1.0 + np.exp(labels * (A @ x)))))
    if grouped:
        x, slope = x.reshape(-1, size), slope.reshape(-1, size)
        length = np.linalg.norm(x, axis=1)
        moving = length > 0
        assert np.any(moving)
        np.testing.assert_allclose(slope[moving], weight * x[moving] / length[moving, None], atol=1e-7)
        assert np.all(np.linalg.norm(slope, axis=1) <= weight + 1e-7)
    else:
        assert np.count_nonzero(x) > 50
        np.testing.assert_allclose(slope[x != 0], weight * np.sign(x[x != 0]), atol=1e-7)
        assert np.all(np.abs(slope) <= weight + 1e-7)
