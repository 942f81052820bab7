"""Functions of the singular values of a matrix: the nuclear and the spectral norm, their balls, and any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import scipy.linalg

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.arguments import check_prox
from monops.functions.feasibility import check_radius
from monops.functions.function import Function
from monops.functions.norms.norms import L1Norm, L2Norm, LInfNorm
from monops.functions.sample import Sample
from monops.functions.sets.balls import L1Ball, LInfBall
from monops.functions.spectral.invariance import check_symmetric
from monops.functions.spectral.spectrum import OfSingularValues, adjoint, check_matrix
from monops.functions.weights import check_weight, weighted

__all__ = [
    "NuclearBall",
    "NuclearNorm",
    "SpectralBall",
    "SpectralFunction",
    "SpectralNorm",
]

GRAM_RATIO = 450.0  # largest |X|_F/threshold for which squaring X costs a few 1e-13 |X| in the prox at most


@final
@dataclass(frozen=True, eq=False)
class SpectralFunction(OfSingularValues):
    """f(X) = g(sigma(X)), g a function of the vector of the min(m, n) singular values of X (m, n).

    Parameters
    ----------
    function : Function
        g; must not depend on the order and the signs of its arguments (norms, `Huber`, `L1Ball`, Box(-r, r), ...), which is
        tried out at two vectors. Its data are numbers: singular values have no labels, only ranks (`WeightedNuclearNorm`).

    Notes
    -----
    prox: U diag(prox_g(sigma)) V* with the decomposition X = U diag(sigma) V*, real or complex. X may have axes in front: each
    matrix has a value of its own, and f is their sum. **Domain** the matrices with sigma in that of g; off by rounding counts
    as inside. **Constants** mu and L of g. **Cost** one singular value decomposition, 6 m n min(m, n) flops or more, and the
    prox of g. **Derivative** of the prox: on S = (A + A*)/2 and T = (A - A*)/2 with A = U* H V, the divided differences (p_i -
    p_j)/(sigma_i - sigma_j) and (p_i + p_j)/(sigma_i + sigma_j), their limits J_ii - J_ij at ties and J_ii at 0, J = the
    derivative of prox_g on the diagonal of S, and p_i/sigma_i towards the rows or columns that X is longer by; at kinks the
    element of the Clarke Jacobian that J gives. g may be nonconvex (`L0Norm`, `SCAD`): so is f then, with a prox of the same
    form, and in its value singular values up to max(m, n) epsilon sigma_max count as 0.

    References
    ----------
    Lewis (1995), The convex analysis of unitarily invariant matrix functions; Daniilidis, Drusvyatskiy and Lewis (2014),
    Orthogonal invariance and identifiability.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import Huber
    >>> SpectralFunction(Huber(1.0)).prox(np.array([[4.0, 0.0], [0.0, 1.0]])).round(12)
    array([[3. , 0. ],
           [0. , 0.5]])
    """

    function: Function

    def __post_init__(self) -> None:
        check_symmetric("SpectralFunction", self.function, signs=True)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.losses.robust import Huber
        from monops.functions.norms.squares import SquaredL2
        from monops.functions.sets.sets import Box

        return (
            Sample(lambda a: cls(SquaredL2(2.0)), (2, 3), lambda cp, y: cp.sum_squares(y), is_complex=True),
            Sample(lambda a: cls(Huber(0.5)), (4, 2), is_complex=True),
            Sample(lambda a: cls(Box(-0.8, 0.8)), (2, 3), lambda cp, y: [cp.sigma_max(y) <= 0.8]),
            Sample(lambda a: cls(L2Norm(0.7)), (3, 2), lambda cp, y: 0.7 * cp.norm(y, "fro")),
        )

    @property
    def vector(self) -> Function:
        return self.function


@final
@dataclass(frozen=True, eq=False)
class NuclearNorm(OfSingularValues):
    """f(X) = weight sum_i sigma_i(X), the nuclear (trace) norm: the convex stand-in for the rank.

    Parameters
    ----------
    weight : float, default 1
        At least 0.

    Notes
    -----
    prox: U diag(max(sigma - step weight, 0)) V*. **Domain** everything. **Constants** mu = 0, not smooth. **Cost** one singular
    value decomposition. On NumPy in float64, for a single matrix, less: if one side is twice the other, only the triangular
    factor is decomposed (1.5 times faster); if |X|_F <= 450 step weight, the smaller of X*X and XX* (2 times faster at 512 x
    512, 5 times at 2000 x 100), which loses half the digits of small singular values, but few of those above the threshold: the
    error of the prox grows like epsilon |X| |X|/(step weight), a few 1e-13 |X| at most. **Derivative** of the prox: that of
    `SpectralFunction`; 0 at the kink sigma = step weight.

    References
    ----------
    Fazel (2002), Matrix rank minimization with applications; Cai, Candes and Shen (2010), Singular value thresholding.

    Examples
    --------
    >>> import numpy as np
    >>> NuclearNorm().prox(np.array([[0.0, 3.0], [0.5, 0.0]])).round(12) + 0.0
    array([[0., 2.],
           [0., 0.]])
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_number("NuclearNorm", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(1.3), (3, 4), lambda cp, y: 1.3 * cp.normNuc(y), is_complex=True),
            Sample(lambda a: cls(a(0.4)), (4, 2), lambda cp, y: 0.4 * cp.normNuc(y), is_complex=True),
            Sample(lambda a: cls(0.5), (2, 3, 2), lambda cp, y: 0.5 * sum(cp.normNuc(y[i, :, :]) for i in range(2))),
        )

    @property
    def vector(self) -> Function:
        return L1Norm(self.weight)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        check_matrix("NuclearNorm", x)
        threshold = step * self.weight
        quick = _thresholded(x, float(threshold)) if _is_plain(x) and isinstance(threshold, (int, float)) else None
        return super().prox(x, step) if quick is None else quick

    def conjugate(self) -> Function:
        return SpectralBall(self.weight, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return scaled_text(self.weight, f"|{x}|_*")


def _is_plain(x: Array) -> bool:
    return isinstance(x, np.ndarray) and x.ndim == 2 and x.dtype.char in "dD"


def _thresholded(x: np.ndarray, threshold: float) -> np.ndarray | None:
    """Singular value thresholding, where it pays without left singular vectors; None for matrices that have to be scaled first.

    With right singular vectors q the images X q are sigma u, so that small sigma lose no digits that the result has: what an
    error of q mixes in is multiplied by 1 - threshold/sigma < 1.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        size = float(np.linalg.norm(x))
    if not 1e-100 < size < 1e100:
        return None
    is_tall = x.shape[0] >= x.shape[1]
    tall = x if is_tall else adjoint(x)
    if size <= GRAM_RATIO * threshold:
        values, vectors = np.linalg.eigh(adjoint(tall) @ tall)
        kept = vectors[:, int(np.searchsorted(values, threshold * threshold)) :]
    elif tall.shape[0] >= 2 * tall.shape[1]:
        _, values, vectors = np.linalg.svd(np.linalg.qr(tall, mode="r"))
        kept = adjoint(vectors[values > threshold])
    else:
        left, values, right = scipy.linalg.svd(x, full_matrices=False, check_finite=False)
        return (left * np.maximum(values - threshold, 0.0)) @ right
    images = tall @ kept
    sigma = np.linalg.norm(images, axis=0)
    images *= np.maximum(1.0 - threshold / np.where(sigma > 0, sigma, 1.0), 0.0)
    return images @ adjoint(kept) if is_tall else kept @ adjoint(images)


def check_number(owner: str, weight: Any, name: str = "weight") -> None:
    """Raise DataError unless a weight is one number, finite and at least 0."""
    if arrays.is_array(weight) and weight.ndim > 0:
        raise DataError(
            f"{owner}: {name} is an array, but singular values have no labels: use a number, or WeightedNuclearNorm"
        )
    check_weight(owner, weight)


def scaled_text(weight: Any, formula: str) -> str:
    return weighted(float(weight), formula)


@final
@dataclass(frozen=True, eq=False)
class NuclearBall(OfSingularValues):
    """Indicator of {X : sum_i sigma_i(X) <= radius}, the ball of the nuclear norm.

    Parameters
    ----------
    radius : float, default 1
        At least 0.

    Notes
    -----
    prox: U diag(P(sigma)) V*, P the projection on the l1 ball. **Domain** the ball. **Constants** mu = 0; no gradient. **Cost**
    one singular value decomposition. **Derivative** of the prox: that of `SpectralFunction`, with that of `L1Ball` on the
    diagonal; the identity inside and on the sphere.

    References
    ----------
    Lewis (1995); Duchi, Shalev-Shwartz, Singer and Chandra (2008) for the l1 ball.

    Examples
    --------
    >>> import numpy as np
    >>> NuclearBall(2.0).prox(np.diag([3.0, 2.0])).round(12)
    array([[1.5, 0. ],
           [0. , 0.5]])
    """

    radius: Any = 1.0

    def __post_init__(self) -> None:
        check_radius("NuclearBall", "radius", self.radius)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(1.5), (3, 4), lambda cp, y: [cp.normNuc(y) <= 1.5], is_complex=True),
            Sample(lambda a: cls(a(0.8)), (4, 2), lambda cp, y: [cp.normNuc(y) <= 0.8]),
            Sample(lambda a: cls(40.0), (2, 2), lambda cp, y: [cp.normNuc(y) <= 40.0]),
        )

    @property
    def vector(self) -> Function:
        return L1Ball(self.radius)

    def conjugate(self) -> Function:
        return SpectralNorm(self.radius, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i(|{x}|_* <= {float(self.radius):g})"


@final
@dataclass(frozen=True, eq=False)
class SpectralNorm(OfSingularValues):
    """f(X) = weight sigma_max(X), the operator norm.

    Parameters
    ----------
    weight : float, default 1
        At least 0.

    Notes
    -----
    prox: U diag(min(sigma, t)) V* with sum max(sigma_i - t, 0) = step weight, or 0. **Domain** everything. **Constants** mu =
    0, not smooth. **Cost** one singular value decomposition. **Derivative** of the prox: that of `SpectralFunction`, with that
    of `LInfNorm` on the diagonal.

    References
    ----------
    Lewis (1995), The convex analysis of unitarily invariant matrix functions.

    Examples
    --------
    >>> import numpy as np
    >>> SpectralNorm().prox(np.diag([3.0, 2.0, 0.5]), 2.0).diagonal().round(12)
    array([1.5, 1.5, 0.5])
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_number("SpectralNorm", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(1.3), (3, 4), lambda cp, y: 1.3 * cp.sigma_max(y), is_complex=True),
            Sample(lambda a: cls(a(0.1)), (4, 2), lambda cp, y: 0.1 * cp.sigma_max(y)),
        )

    @property
    def vector(self) -> Function:
        return LInfNorm(self.weight)

    def conjugate(self) -> Function:
        return NuclearBall(self.weight, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return scaled_text(self.weight, f"sigma_max({x})")


@final
@dataclass(frozen=True, eq=False)
class SpectralBall(OfSingularValues):
    """Indicator of {X : sigma_max(X) <= radius}: the linear maps that are radius-Lipschitz.

    Parameters
    ----------
    radius : float, default 1
        At least 0.

    Notes
    -----
    prox: U diag(min(sigma, radius)) V*. **Domain** the ball. **Constants** mu = 0; no gradient. **Cost** one singular value
    decomposition. **Derivative** of the prox: that of `SpectralFunction`; 0 on the diagonal at the kink sigma = radius.

    References
    ----------
    Lewis (1995), The convex analysis of unitarily invariant matrix functions.

    Examples
    --------
    >>> import numpy as np
    >>> SpectralBall(2.0).prox(np.diag([3.0, 1.0])).round(12)
    array([[2., 0.],
           [0., 1.]])
    """

    radius: Any = 1.0

    def __post_init__(self) -> None:
        check_radius("SpectralBall", "radius", self.radius)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.8), (3, 4), lambda cp, y: [cp.sigma_max(y) <= 0.8], is_complex=True),
            Sample(lambda a: cls(a(1.9)), (3, 2), lambda cp, y: [cp.sigma_max(y) <= 1.9]),
        )

    @property
    def vector(self) -> Function:
        return LInfBall(self.radius)

    def conjugate(self) -> Function:
        return NuclearNorm(self.radius, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i(sigma_max({x}) <= {float(self.radius):g})"
