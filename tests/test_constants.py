"""Each rule of the calculus against the definition, on matrices that attain it; exact where fractions reach."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import monops
from monops import constants
from monops.constants import Constants, Known
from monops.errors import ConstantError
from monops.operators import Affine

UNIT = st.floats(0.05, 0.95)
SCALE = st.floats(0.1, 10.0)


def block(mu: float, lipschitz: float = 1.0) -> np.ndarray:
    """mu + i sqrt(L^2 - mu^2): attains mu, L and beta = mu/L^2 at every pair of points."""
    imaginary = math.sqrt(lipschitz**2 - mu**2)
    return np.array([[mu, -imaginary], [imaginary, mu]])


def measured(M: np.ndarray) -> tuple[float, float, float]:
    """mu, beta, L of a matrix by dense linear algebra (beta for invertible M)."""
    symmetric = 0.5 * (M + M.T)
    inverse = np.linalg.inv(M)
    return (
        float(np.linalg.eigvalsh(symmetric)[0]),
        float(np.linalg.eigvalsh(0.5 * (inverse + inverse.T))[0]),
        float(np.linalg.norm(M, 2)),
    )


def known(mu: float, lipschitz: float) -> Constants:
    """Constants of the block, beta included."""
    return Constants(mu, mu / lipschitz**2, lipschitz)


def assert_bounds(claimed: Constants, M: np.ndarray, attained: bool) -> None:
    """The claim holds on M; and with ``attained`` every number of it is exact."""
    mu, beta, lipschitz = measured(M)
    assert claimed.strong_monotonicity <= mu + 1e-9
    assert claimed.cocoercivity <= beta * (1 + 1e-9) + 1e-9
    assert claimed.lipschitz >= lipschitz - 1e-9
    if attained:
        np.testing.assert_allclose(
            [claimed.strong_monotonicity, claimed.cocoercivity, claimed.lipschitz], [mu, beta, lipschitz], rtol=1e-7
        )


@given(mu=UNIT, lipschitz=SCALE, factor=SCALE)
def test_scale_is_exact(mu: float, lipschitz: float, factor: float) -> None:
    mu = mu * lipschitz
    claimed = constants.scale(known(mu, lipschitz), factor)
    assert_bounds(claimed, factor * block(mu, lipschitz), attained=True)


@given(mu=UNIT, other=UNIT)
def test_sum_holds_and_is_attained_on_equal_blocks(mu: float, other: float) -> None:
    claimed = constants.add(known(mu, 1.0), known(other, 1.0))
    assert_bounds(claimed, block(mu) + block(other), attained=mu == other)
    assert_bounds(constants.add(known(mu, 1.0), known(mu, 1.0)), 2 * block(mu), attained=True)


@given(mu=UNIT, other=UNIT)
def test_sum_with_opposite_rotation_holds(mu: float, other: float) -> None:
    assert_bounds(constants.add(known(mu, 1.0), known(other, 1.0)), block(mu) + block(other).T, attained=False)


@given(mu=UNIT, lipschitz=SCALE)
def test_inverse_exchanges_strong_monotonicity_and_cocoercivity(mu: float, lipschitz: float) -> None:
    mu = mu * lipschitz
    claimed = constants.inverse(known(mu, lipschitz))
    inverse = np.linalg.inv(block(mu, lipschitz))
    expected = measured(inverse)
    np.testing.assert_allclose([claimed.strong_monotonicity, claimed.cocoercivity], expected[:2], rtol=1e-7)
    assert claimed.lipschitz >= expected[2] - 1e-12  # 1/mu, a bound; the block has 1/L


@given(mu=UNIT, sigma=st.floats(0.2, 1.0), norm=st.floats(1.0, 4.0))
def test_congruence_holds_and_is_attained_on_multiples_of_the_identity(mu: float, sigma: float, norm: float) -> None:
    K = np.diag([sigma, norm])
    claimed = constants.congruence(known(mu, 1.0), Known(norm, "computed"), Known(sigma, "computed"))
    assert_bounds(claimed, K.T @ block(mu) @ K, attained=False)
    exact = constants.congruence(known(mu, 1.0), Known(norm, "computed"), Known(norm, "computed"))
    assert_bounds(exact, norm**2 * block(mu), attained=True)


@given(mu=UNIT, other=UNIT, lipschitz=st.floats(1.0, 5.0))
def test_product_is_the_worst_of_its_parts(mu: float, other: float, lipschitz: float) -> None:
    claimed = constants.product([known(mu, 1.0), known(other, lipschitz)])
    M = np.zeros((4, 4))
    M[:2, :2], M[2:, 2:] = block(mu), block(other, lipschitz)
    assert_bounds(claimed, M, attained=True)


@given(mu=UNIT, step=SCALE)
def test_resolvent_is_cocoercive_as_claimed(mu: float, step: float) -> None:
    claimed = constants.resolvent(known(mu, 1.0), step)
    assert_bounds(claimed, np.linalg.inv(np.eye(2) + step * block(mu)), attained=False)
    multiple = constants.resolvent(Constants(mu, lipschitz=mu, cyclic=True), step)
    assert_bounds(multiple, np.eye(2) / (1 + step * mu), attained=True)


@given(mu=UNIT, step=SCALE)
def test_yosida_approximation(mu: float, step: float) -> None:
    claimed = constants.yosida(known(mu, 1.0), step)
    M = np.linalg.inv(step * np.eye(2) + np.linalg.inv(block(mu)))
    assert_bounds(claimed, M, attained=False)
    np.testing.assert_allclose(claimed.cocoercivity, measured(M)[1], rtol=1e-7)  # beta + step is attained


@given(mu=UNIT)
def test_what_is_filled_in_is_attained(mu: float) -> None:
    """beta = mu/L^2 on the rotation block, 1/L for a subdifferential on the identity."""
    np.testing.assert_allclose(Constants(mu, lipschitz=1.0).cocoercivity, measured(block(mu))[1], rtol=1e-9)
    assert Constants(0.0, lipschitz=mu, cyclic=True).cocoercivity == 1 / mu
    assert Constants(cocoercivity=mu).lipschitz == 1 / mu


def test_fractions_stay_fractions() -> None:
    a = Constants(Fraction(1, 3), lipschitz=Fraction(2))
    assert a.cocoercivity == Fraction(1, 12)
    assert constants.scale(a, Fraction(3)).strong_monotonicity == 1
    assert constants.add(a, a).cocoercivity == Fraction(1, 24)


def test_unknown_stays_unknown_and_zero_operator_is_neutral() -> None:
    nothing = Constants()
    assert not nothing.monotone
    assert constants.add(nothing, known(0.5, 1.0)).strong_monotonicity is None
    assert constants.inverse(nothing).cocoercivity is None
    total = constants.add(known(0.5, 1.0), constants.ZERO)
    assert (total.strong_monotonicity, total.cocoercivity, total.lipschitz) == (0.5, 0.5, 1.0)


def test_provenance_follows_the_numbers() -> None:
    given_, guess = Constants(0.5, lipschitz=1.0), Constants(0.5, lipschitz=1.0, why="estimated: ten samples")
    assert given_.reasons["lipschitz"] == "given"
    assert given_.reasons["cocoercivity"].startswith("rule")
    assert set(guess.estimated) == {"strong_monotonicity", "cocoercivity", "lipschitz"}
    for derived in (constants.add(given_, guess), constants.scale(guess, 2.0), constants.inverse(guess)):
        assert derived.estimated


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Constants(2.0, lipschitz=1.0), "exceeds lipschitz"),
        (lambda: Constants(lipschitz=-1.0), "lipschitz=-1.0 is impossible"),
        (lambda: Constants(strong_monotonicity=math.nan), "nan is impossible"),
    ],
)
def test_contradictions_are_refused(build: object, words: str) -> None:
    with pytest.raises(ConstantError, match=words):
        build()  # type: ignore[operator]


@pytest.mark.parametrize("name", ["strong_monotonicity", "cocoercivity", "lipschitz"])
def test_one_pair_of_points_refutes_a_claim_that_is_one_percent_off(name: str) -> None:
    M, exact = block(0.5), known(0.5, 1.0)
    x = np.array([1.0, 2.0])
    image = M @ x
    pair = (float(x @ x), float(image @ x), float(image @ image))
    assert exact.violated_by(*pair) is None
    factor = 0.99 if name == "lipschitz" else 1.01
    values = {key: getattr(exact, key) for key in constants.NAMES}
    if name == "strong_monotonicity":
        values["cocoercivity"] = None
    values[name] *= factor
    if name == "cocoercivity":
        values["lipschitz"] = None
    wrong = Constants(**values)
    found = wrong.violated_by(*pair)
    assert found is not None
    assert "is false" in found


def test_affine_constants_agree_with_the_rules() -> None:
    """The operator computes its own constants; the rule predicts those of its sum with another."""
    predicted = constants.add(Affine(block(0.3)).constants, Affine(block(0.6)).constants)
    actual = Affine(block(0.3) + block(0.6)).constants
    assert predicted.strong_monotonicity <= actual.strong_monotonicity + 1e-12
    assert predicted.lipschitz >= actual.lipschitz - 1e-12


def test_a_cocoercivity_of_zero_gives_way_to_the_one_that_follows() -> None:
    """The slack of a computed beta may exceed it; mu/L^2 holds all the same, and nothing is divided by 0."""
    assert Constants(0.5, 0.0, 1.0).cocoercivity == 0.5
    M = np.array([[1e-7, -1.0, 0.0], [1.0, 1e-7, 0.0], [0.0, 0.0, 1e-7]])
    problem = monops.Affine(M) + monops.NonNegative()
    assert "DouglasRachford" in str(monops.explain(problem))
