"""The rank of a matrix as a penalty and as a constraint: not convex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from monops.errors import DataError
from monops.functions.function import Function
from monops.functions.nonconvex.nonconvex import L0Norm, check_positive
from monops.functions.nonconvex.nonconvex_sets import L0Ball
from monops.functions.sample import Sample
from monops.functions.spectral.spectral import scaled_text
from monops.functions.spectral.spectrum import OfSingularValues

__all__ = ["Rank", "RankBall"]


@final
@dataclass(frozen=True, eq=False)
class Rank(OfSingularValues):
    """f(X) = weight times the rank of X, not convex; the convex relative is `NuclearNorm`.

    Parameters
    ----------
    weight : float, default 1
        Above 0.

    Notes
    -----
    prox: U diag(sigma_i where sigma_i > sqrt(2 step weight), else 0) V*, X = U diag(sigma) V*: hard thresholding. In the value,
    singular values up to max(m, n) epsilon sigma_max count as 0. **Domain** everything. **Constants** none: not convex, not
    even weakly. **Cost** one singular value decomposition. **Derivative** of the prox: that of `SpectralFunction`, with 1 on
    the diagonal where sigma_i is kept, else 0; it grows without bound where sigma_i just above and sigma_j just below the
    threshold meet.

    References
    ----------
    Eckart and Young (1936), The approximation of one matrix by another of lower rank; Lewis (1995).

    Examples
    --------
    >>> import numpy as np
    >>> Rank(0.5).prox(np.diag([3.0, 0.9])).round(12) + 0.0
    array([[3., 0.],
           [0., 0.]])
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_positive("Rank", weight=self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.4), (3, 4)), Sample(lambda a: cls(3.0), (2, 3, 2)))

    @property
    def vector(self) -> Function:
        return L0Norm(self.weight)

    def value_formula(self, x: str) -> str:
        return scaled_text(self.weight, f"rank({x})")


@final
@dataclass(frozen=True, eq=False)
class RankBall(OfSingularValues):
    """Indicator of {X : rank X <= rank}, not convex.

    Parameters
    ----------
    rank : int
        At least 0.

    Notes
    -----
    prox: U diag(sigma_1, ..., sigma_rank, 0, ...) V*, the truncated singular value decomposition: a nearest matrix of that
    rank, the only one unless sigma_rank = sigma_(rank + 1). Off by rounding counts as inside. **Domain** the set. **Constants**
    none: not convex. **Cost** one singular value decomposition. **Derivative** of the prox: that of `SpectralFunction`; it
    grows like sigma_rank/(sigma_rank - sigma_(rank + 1)), and at that tie, where there is none, the limit for separate values
    is replaced by a mean of the derivatives on the diagonal.

    References
    ----------
    Eckart and Young (1936), The approximation of one matrix by another of lower rank.

    Examples
    --------
    >>> import numpy as np
    >>> RankBall(1).prox(np.array([[0.0, 3.0], [0.5, 0.0]])).round(12) + 0.0
    array([[0., 3.],
           [0., 0.]])
    """

    rank: int

    def __post_init__(self) -> None:
        if isinstance(self.rank, bool) or not isinstance(self.rank, int) or self.rank < 0:
            raise DataError(f"RankBall: rank={self.rank!r} must be an integer >= 0, the largest rank allowed")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(2), (3, 4)), Sample(lambda a: cls(0), (3, 2)), Sample(lambda a: cls(1), (2, 3, 2)))

    @property
    def vector(self) -> Function:
        return L0Ball(self.rank)

    def value_formula(self, x: str) -> str:
        return f"i(rank({x}) <= {self.rank})"
