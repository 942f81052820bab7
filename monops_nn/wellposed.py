"""Is the equilibrium unique? The strongest of four sufficient conditions that holds, with its certificate, or a counterexample.

For z = sigma(W z + c) with sigma acting entry by entry, increasing and 1-Lipschitz, M = I - W:
sym M > 0 implies a diagonal Lambda > 0 with Lambda M + M'Lambda > 0, which implies that every principal minor of M is positive,
which implies exactly one equilibrium for every c; for ReLU the last is also necessary (Samelson, Thrall and Wesler 1958).
Slopes of at most S < 1 allow more: I/S - W may stand for M. Why positive minors suffice: det(I - W D) is affine in each slope
D_ii in [0, S] and positive at the vertices, so that h - W sigma(h) is a Lipschitz map whose derivatives have bounded inverses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize
from torch import nn

from monops import functions
from monops.errors import DataError, ShapeError
from monops.functions import Function
from monops.functions.separable import Separable
from monops_nn.activations import function_of
from monops_nn.parametrize.parametrization import Parametrization
from monops_nn.principal_minors import principal_minors

__all__ = ["WellPosedness", "wellposed"]

Matrix = np.ndarray[Any, np.dtype[np.float64]]
STEPS, FARTHEST = 200, 100.0  # of the search for Lambda; half of the largest |log Lambda_i|
MOST_SEARCHED = 400  # features: beyond, Lambda is not searched for, only what a parametrisation declares is tried, and powers


@dataclass(frozen=True)
class WellPosedness:
    """Whether z = sigma(W z + c) has exactly one solution for every c, and why.

    Attributes
    ----------
    holds : bool or None
        True with a certificate, False with a counterexample (ReLU only), None when it is not decided.
    rung : str
        "monotone", "slope", "LBEN", "P-matrix" or "none": the first of these conditions that holds.
    margin : float
        By how much: the least eigenvalue; or, with "P-matrix", the least quotient det M[a + k]/det M[a] with all entries of a
        below k. Where none holds: the minor that is not positive, or the eigenvalue of the first condition.
    certificate : dict
        "metric" (the diagonal of Lambda), "minor" and "indices" (a principal minor that is not positive), "injection" and
        "equilibria" (two solutions for one c), as far as there are any.
    """

    holds: bool | None
    rung: str
    margin: float
    certificate: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        sentences = {
            "monotone": f"well posed: I - W is strongly monotone, lambda_min(sym(I - W)) >= {self.margin:.6g}",
            "slope": f"well posed: the slopes of the activation leave sym W a margin of {self.margin:.6g}",
            "LBEN": f"well posed: I - W is strongly monotone in a diagonal metric, by {self.margin:.6g}",
            "P-matrix": f"well posed: all principal minors of I - W are positive, with quotients of at least {self.margin:.6g}",
        }
        if self.rung in sentences:
            return sentences[self.rung]
        if self.holds is False:
            where = self.certificate.get("indices")
            return f"not well posed: the principal minor of I - W on the entries {where} is {self.margin:.6g} <= 0"
        return "not decided: no condition was shown to hold, and no counterexample was found"


def wellposed(W: Any, activation: str | Function | nn.Module = "relu") -> WellPosedness:
    """The strongest condition for a unique equilibrium that holds for W and the activation, with its certificate.

    Parameters
    ----------
    W : array (n, n), tensor, or Parametrization
        A parametrisation is looked at on the entries of a state, without a border.
    activation : str, Function or nn.Module, default "relu"
        As for `MonDEQ`.

    Returns
    -------
    WellPosedness

    Raises
    ------
    ShapeError, DataError
        W not square, or not finite; an unknown activation.
    CapabilityError
        An activation that is the prox of no convex function.

    Notes
    -----
    **Conditions** in this order: sym(I - W) > 0; sym W < I/S with S < 1 the largest slope (softmax: 1/2); a diagonal metric,
    for I/S - W, found by descent on the least eigenvalue (up to 400 features) and then verified; all principal minors of
    I/S - W, by Schur complements, up to 18 features. Eigenvalues carry a rounding margin on the safe side, minors a bound of
    their rounding errors, and up to 12 features they are decided in fractions where that is not enough. The metric and the
    minors need an activation that acts entry by entry. **Cost** n^3, some hundred times that for the metric, 2^n for minors.

    References
    ----------
    Winston and Kolter (2020); Revay, Wang and Manchester (2020); Samelson, Thrall and Wesler (1958); Tsatsomeros and Li (2000)
    for the recursion; Combettes and Pesquet (2020) for slopes.

    Examples
    --------
    >>> import numpy as np
    >>> print(wellposed(np.array([[0.0, 3.0], [0.0, 0.0]])).rung)  # not monotone, but in a metric
    LBEN
    >>> wellposed(np.array([[2.0]])).holds  # z = relu(2 z + c) has two solutions for c = -1
    False
    >>> wellposed(np.array([[3.9]]), "sigmoid").rung
    'slope'
    """
    matrix, start = _matrix(W)
    f, entrywise, reciprocal = _activation(activation)
    n = len(matrix)
    M = np.eye(n) - matrix
    rounding = 8.0 * n * float(np.finfo(float).eps) * max(1.0, float(np.linalg.norm(M, 2)))
    least = float(np.linalg.eigvalsh(0.5 * (M + M.T))[0]) - rounding
    if least > 0:
        return WellPosedness(True, "monotone", least)
    if least + reciprocal - 1.0 > 0:
        return WellPosedness(True, "slope", least + reciprocal - 1.0)
    if not entrywise:
        return WellPosedness(None, "none", least)
    shifted = reciprocal * np.eye(n) - matrix
    metric = _metric(shifted, start)
    if metric is not None:
        return WellPosedness(True, "LBEN", metric[1], {"metric": metric[0]})
    minors = principal_minors(reciprocal, matrix)
    if minors.positive:
        return WellPosedness(True, "P-matrix", minors.pivot)
    if minors.positive is None:
        return WellPosedness(None, "none", least)
    block = shifted[np.ix_(minors.indices, minors.indices)]
    minor = min(0.0, float(np.linalg.det(block)))
    found = {"minor": minor, "indices": minors.indices}
    if not isinstance(f, functions.NonNegative):
        return WellPosedness(None, "none", minor, found)
    return WellPosedness(False, "none", minor, {**found, **_two_equilibria(M, minors.indices)})


def _matrix(W: Any) -> tuple[Matrix, Matrix | None]:
    """W on the entries that are free, and the metric of a parametrisation that has one."""
    metric = None
    if isinstance(W, Parametrization):
        system = W.current_system()
        metric = None if system.metric is None else system.metric.detach().cpu().numpy().astype(float)
        free = slice(None) if system.mask is None else system.mask.bool()
        W = system.dense()[free][:, free]
    if hasattr(W, "detach"):
        W = W.detach().cpu().numpy()
    matrix = np.asarray(W, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ShapeError(f"W has shape {matrix.shape}, but needs (n, n)")
    if not np.isfinite(matrix).all():
        raise DataError("W contains NaN or infinity")
    return matrix, metric


def _activation(activation: Any) -> tuple[Function, bool, float]:
    """The function, whether it acts entry by entry, and 1/S, S the largest slope of its prox."""
    f = function_of(activation)
    known = f.constants
    mu = (
        known.strong_monotonicity
    )  # the prox of a mu-strongly convex function is 1/(1 + mu)-Lipschitz, and cocoercive by 1 + mu
    proven = mu is not None and "strong_monotonicity" not in known.estimated
    return f, isinstance(f, Separable), 1.0 + float(mu) if proven else 1.0


def _metric(M: Matrix, start: Matrix | None) -> tuple[Matrix, float] | None:
    """A diagonal Lambda, largest entry 1, and the verified least eigenvalue of sym(Lambda^(1/2) M Lambda^(-1/2)), positive."""

    def value(x: Matrix) -> tuple[float, Matrix]:
        root = np.exp(np.clip(0.5 * x, -FARTHEST, FARTHEST))
        scaled = root[:, None] * M / root
        eigenvalues, vectors = np.linalg.eigh(0.5 * (scaled + scaled.T))
        v = vectors[:, 0]
        return -float(eigenvalues[0]), -0.5 * (v * (scaled @ v) - v * (scaled.T @ v))

    order = np.arange(len(M)) - 0.5 * (len(M) - 1)
    starts = [] if start is None else [np.log(start)]
    starts += [slope * order for slope in (0.0, -2.0, 2.0)]  # layers that feed each other need weights that fall, or rise
    for first in starts:
        searched = len(M) <= MOST_SEARCHED
        last = minimize(value, first, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x if searched else first
        for candidate in (last, first):
            weights = np.exp(np.clip(candidate - candidate.max(), -4.0 * FARTHEST, 0.0))
            scaled = np.sqrt(weights)[:, None] * M / np.sqrt(weights)
            rounding = 8.0 * len(M) * float(np.finfo(float).eps) * float(np.linalg.norm(scaled, 2))
            least = float(np.linalg.eigvalsh(0.5 * (scaled + scaled.T))[0]) - rounding
            if least > 0:
                return weights, least
    return None


def _two_equilibria(M: Matrix, indices: tuple[int, ...]) -> dict[str, Any]:
    """Two z with z = relu((I - M) z + c) for one c, shown to be solutions; nothing where rounding is in the way.

    The block of M on entries where its determinant is not positive has an eigenvalue t <= 0. Its eigenvector x, 0 elsewhere,
    has x_i (M x)_i <= 0 for every i, and max(x, 0) and max(-x, 0) both solve the problem for c = M max(x, 0) - max(M x, 0)
    (Fiedler and Ptak 1962; Cottle, Pang and Stone 1992, Theorem 3.3.7).
    """
    entries = list(indices)
    values, vectors = np.linalg.eig(M[np.ix_(entries, entries)])
    real = np.where(values.imag == 0, values.real, np.inf)
    x = np.zeros(len(M))
    x[entries] = vectors[:, int(np.argmin(real))].real
    z, y = np.maximum(x, 0.0), np.maximum(-x, 0.0)
    c = M @ z - np.maximum(M @ x, 0.0)
    tolerance = 1e-12 * float(np.linalg.norm(M))
    if all(float(np.abs(np.minimum(v, M @ v - c)).max()) <= tolerance for v in (z, y)):
        return {"injection": c, "equilibria": (z, y)}
    return {}
