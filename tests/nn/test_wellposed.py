"""The ladder of well-posedness: its witnesses, its sharpness, brute force, and counterexamples that are what they say."""

from __future__ import annotations

import itertools
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")

from torch import nn  # noqa: E402

from monops import errors, functions  # noqa: E402
from monops_nn import LipschitzBounded, MonotoneLinear, MultiTierConvolution, wellposed  # noqa: E402
from monops_nn.principal_minors import principal_minors  # noqa: E402

Array = np.ndarray[Any, np.dtype[np.float64]]


def minors(M: Array) -> dict[tuple[int, ...], float]:
    n = len(M)
    sets = [s for size in range(1, n + 1) for s in itertools.combinations(range(n), size)]
    return {s: float(np.linalg.det(M[np.ix_(s, s)])) for s in sets}


def equilibria(W: Array, c: Array) -> list[Array]:
    """All z = relu(W z + c), by trying every active set."""
    n, found = len(W), []
    for active in itertools.product((0.0, 1.0), repeat=n):
        D = np.diag(active)
        try:
            z = np.linalg.solve(np.eye(n) - D @ W, D @ c)
        except np.linalg.LinAlgError:
            continue
        if np.allclose(np.maximum(W @ z + c, 0.0), z, atol=1e-10) and not any(np.allclose(z, other) for other in found):
            found.append(z)
    return found


def circulant(c: float) -> Array:
    return np.array([[1.0, 0.0, c], [c, 1.0, 0.0], [0.0, c, 1.0]])


@pytest.mark.parametrize(
    ("M", "rung"),
    [
        (np.array([[1.0, -1.0], [1.0, 1.0]]), "monotone"),
        (np.array([[1.0, -3.0], [0.0, 1.0]]), "LBEN"),
        (circulant(2.5), "P-matrix"),
        (circulant(1.9), "monotone"),
    ],
)
def test_witnesses_between_the_rungs(M: Array, rung: str) -> None:
    found = wellposed(np.eye(len(M)) - M)
    assert (found.holds, found.rung) == (True, rung)
    assert found.margin > 0
    if rung == "LBEN":
        root = np.sqrt(found.certificate["metric"])
        scaled = root[:, None] * M / root
        assert np.linalg.eigvalsh(0.5 * (scaled + scaled.T))[0] >= found.margin


@pytest.mark.parametrize("seed", range(60))
def test_against_brute_force(seed: int) -> None:
    """Random matrices of three sizes: what is said of minors, of uniqueness, and the counterexamples."""
    generator = np.random.default_rng(seed)
    n = int(generator.integers(1, 5))
    M = np.eye(n) + generator.uniform(0.3, 1.5) * generator.standard_normal((n, n))
    W, found = np.eye(n) - M, wellposed(np.eye(n) - M)
    all_minors = minors(M)
    least = np.linalg.eigvalsh(0.5 * (M + M.T))[0]
    assert (found.rung == "monotone") == (least > 1e-12)
    assert found.holds == (min(all_minors.values()) > 0)
    if found.holds:
        for _ in range(20):
            assert len(equilibria(W, generator.standard_normal(n))) == 1
    else:
        assert all_minors[tuple(sorted(found.certificate["indices"]))] == pytest.approx(found.certificate["minor"], abs=1e-9)
        c, (z, y) = found.certificate["injection"], found.certificate["equilibria"]
        assert not np.allclose(z, y)
        for point in (z, y):
            np.testing.assert_allclose(np.maximum(W @ point + c, 0.0), point, atol=1e-9)


def exact_minors(M: list[list[Fraction]]) -> dict[tuple[int, ...], Fraction]:
    """All principal minors, by Laplace's expansion in fractions."""

    def determinant(rows: tuple[int, ...], columns: tuple[int, ...]) -> Fraction:
        if not rows:
            return Fraction(1)
        signed = (
            (-1) ** j * M[rows[0]][k] * determinant(rows[1:], columns[:j] + columns[j + 1 :]) for j, k in enumerate(columns)
        )
        return sum(signed, Fraction(0))

    n = len(M)
    sets = [s for size in range(1, n + 1) for s in itertools.combinations(range(n), size)]
    return {s: determinant(s, s) for s in sets}


@pytest.mark.parametrize("seed", range(150))
def test_minors_are_decided_exactly_where_they_vanish_and_where_they_are_tiny(seed: int) -> None:
    """Small integers (minors of exactly 0 abound), and the same moved by one unit of rounding."""
    generator = np.random.default_rng(seed)
    n = int(generator.integers(1, 5))
    M = generator.integers(-2, 3, (n, n)).astype(float) + np.diag(generator.integers(1, 3, n))
    W = np.eye(n) - M
    if seed % 3 == 1:
        W = np.nextafter(W, W + generator.choice([-1.0, 1.0], (n, n)))
    exact = exact_minors([[Fraction(int(i == j)) - Fraction(W[i, j]) for j in range(n)] for i in range(n)])
    found = principal_minors(1.0, W)
    assert found.positive is all(value > 0 for value in exact.values())
    if found.positive:
        quotients = [v / exact.get(s[:-1], Fraction(1)) for s, v in exact.items()]
        assert 0 < found.pivot <= float(min(quotients)) * (1 + 1e-9)
    else:
        assert exact[found.indices] <= 0


@pytest.mark.parametrize("scale", [1e-10, 1e-3, 1.0, 1e6])
def test_the_verdict_does_not_depend_on_the_scale(scale: float) -> None:
    blocks = np.kron(np.eye(4), circulant(2.5))
    for M, holds in ((circulant(2.5), True), (blocks, True), (circulant(-2.5), False)):
        found = wellposed(np.eye(len(M)) - scale * M)
        assert found.holds is holds
        if holds:
            assert found.rung == "P-matrix"
        else:
            c, points = found.certificate["injection"], found.certificate["equilibria"]
            for z in points:  # solutions of the complementarity problem z >= 0, M z - c >= 0, <z, M z - c> = 0
                assert np.abs(np.minimum(z, scale * M @ z - c)).max() <= 1e-5 * scale


def test_one_unit_of_rounding_is_seen() -> None:
    for w, holds in ((1.0 - 2.0**-53, True), (1.0, False), (1.0 + 2.0**-52, False)):
        assert wellposed(np.array([[w]])).holds is holds


def test_slopes_help_the_metric_and_the_minors_too() -> None:
    chain = np.array([[2.0, 30.0], [0.0, 2.0]])  # 4 I - W is triangular with 2 on its diagonal
    assert wellposed(chain, "sigmoid").rung == "LBEN"
    assert wellposed(4.0 * np.eye(3) - circulant(2.5), "sigmoid").rung == "P-matrix"
    assert wellposed(chain, "tanh").holds is None


def test_eighteen_features_are_decided_and_more_are_left() -> None:
    assert wellposed(np.eye(18) - np.kron(np.eye(6), circulant(2.5))).rung == "P-matrix"
    found = wellposed(np.eye(21) - np.kron(np.eye(7), circulant(2.5)))
    assert (found.holds, found.rung) == (None, "none")


def test_parametrisations_are_looked_at_in_their_metric_and_without_a_border(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    bounded = LipschitzBounded(2, 4, 2, 0.5, dtype=torch.float64)
    with torch.no_grad():
        for parameter in bounded.parameters():
            parameter.normal_(std=3.0)
    found = wellposed(bounded, "tanh")
    assert found.rung == "LBEN"
    assert found.margin >= bounded.certified_monotonicity - 1e-9
    monkeypatch.setattr(sys.modules["monops_nn.wellposed"], "MOST_SEARCHED", 0)  # as for many features: no search
    assert wellposed(bounded, "tanh").rung == "LBEN"
    tiers = MultiTierConvolution((1, 1), 4, dtype=torch.float64)
    free = tiers.current_system().mask.bool()
    W = tiers.weight().detach()[free][:, free]
    assert W.shape == (4 * 4 + 2 * 2, 4 * 4 + 2 * 2)
    assert wellposed(tiers).margin == pytest.approx(1.0 - float(torch.linalg.eigvalsh(0.5 * (W + W.mT))[-1]), abs=1e-9)


def test_activations_are_those_of_the_layer() -> None:
    W = np.array([[2.0]])
    for same in ("ReLU", nn.ReLU(), functions.NonNegative()):
        assert wellposed(W, same).holds is False
    for wrong in ("gelu", nn.SiLU(), functions.L0Norm()):
        with pytest.raises(errors.CapabilityError):
            wellposed(np.zeros((1, 1)), wrong)


def test_a_singular_matrix_has_a_counterexample() -> None:
    found = wellposed(np.array([[1.0]]))  # z = relu(z + c): every z >= 0 for c = 0
    assert found.holds is False
    assert "principal minor of I - W on the entries (0,) is 0 <= 0" in str(found)


@pytest.mark.parametrize(
    ("activation", "below", "above"),
    [("sigmoid", 3.9, 4.1), ("centered_sigmoid", 3.9, 4.1), ("softmax", 1.9, 2.1)],
)
def test_slopes_below_one_allow_more_and_the_limit_is_sharp(activation: str, below: float, above: float) -> None:
    n = 2 if activation == "softmax" else 1
    for w, rung in ((below, "slope"), (above, "none")):
        found = wellposed(w * np.eye(n), activation)
        assert found.rung == rung
        assert found.holds is (True if rung == "slope" else None)
    if activation == "sigmoid":  # above the limit there are three solutions of z = sigmoid(w z - w/2)
        grid = np.linspace(0.0, 1.0, 200_001)
        for w, count in ((below, 1), (above, 3)):
            sign = np.sign(grid + 1e-9 - 1.0 / (1.0 + np.exp(-w * (grid + 1e-9 - 0.5))))
            assert int((np.diff(sign) != 0).sum()) == count


def test_relu_needs_the_minors_and_other_activations_are_left_undecided() -> None:
    W = np.array([[2.0]])
    assert wellposed(W, "relu").holds is False
    assert wellposed(W, "tanh").holds is None
    assert "not decided" in str(wellposed(W, "tanh"))


def test_large_matrices_are_decided_by_eigenvalues_or_not_at_all() -> None:
    n = 40
    chain = np.diag(np.full(n - 1, 3.0), -1)  # a deep network: strictly triangular
    assert wellposed(chain).rung == "LBEN"
    assert wellposed(2.0 * np.eye(n)).holds is None


def test_a_parametrisation_is_monotone_by_its_promise() -> None:
    linear = MonotoneLinear(6, 0.3, dtype=torch.float64)
    found = wellposed(linear, "tanh")
    assert found.rung == "monotone"
    assert found.margin >= 0.3 - 1e-9
    assert "strongly monotone" in str(found)


@pytest.mark.parametrize(
    ("call", "exception", "words"),
    [
        (lambda: wellposed(np.ones((2, 3))), errors.ShapeError, r"needs \(n, n\)"),
        (lambda: wellposed(np.array([[np.nan]])), errors.DataError, "NaN"),
        (lambda: wellposed(np.eye(2), "rleu"), errors.DataError, "'rleu' is unknown"),
    ],
)
def test_what_cannot_be_asked(call: Any, exception: Any, words: str) -> None:
    with pytest.raises(exception, match=words):
        call()
