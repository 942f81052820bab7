"""Is the equilibrium unique? The strongest of four sufficient conditions that holds, with its certificate, or a counterexample.

For z = sigma(W z + c) with sigma acting entry by entry, increasing and 1-Lipschitz, M = I - W:
sym M > 0 implies a diagonal Lambda > 0 with Lambda M + M'Lambda > 0, which implies that every principal minor of M is positive,
which implies exactly one equilibrium for every c; for ReLU the last is also necessary (Samelson, Thrall and Wesler 1958).
Slopes of at most S < 1 allow more: sym W < I/S suffices.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize

from monops import functions
from monops.errors import DataError, ShapeError
from monops.functions import Function
from monops_nn.activations import ACTIVATIONS
from monops_nn.parametrize.parametrization import Parametrization

__all__ = ["WellPosedness", "wellposed"]

Matrix = np.ndarray[Any, np.dtype[np.float64]]
MOST_MINORS = 18  # features: 2^n minors are looked at
STEPS, FARTHEST = 200, 100.0  # of the search for Lambda; half of the largest |log Lambda_i|


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
        By how much: the least eigenvalue, or the least principal minor; of the last condition that was tried where none holds.
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
            "P-matrix": f"well posed: every principal minor of I - W is at least {self.margin:.6g} > 0",
        }
        if self.rung in sentences:
            return sentences[self.rung]
        if self.holds is False:
            where = self.certificate.get("indices")
            return f"not well posed: the principal minor of I - W on the entries {where} is {self.margin:.6g} <= 0"
        return "not decided: no condition was shown to hold, and no counterexample was found"


def wellposed(W: Any, activation: str | Function = "relu") -> WellPosedness:
    """The strongest condition for a unique equilibrium that holds for W and the activation, with its certificate.

    Parameters
    ----------
    W : array (n, n), tensor, or Parametrization
    activation : str or Function, default "relu"
        A name of ``monops_nn.ACTIVATIONS``, or the function whose prox it is.

    Returns
    -------
    WellPosedness

    Raises
    ------
    ShapeError, DataError
        W not square, or not finite; an unknown activation.

    Notes
    -----
    **Conditions** in this order: sym(I - W) > 0; sym W < I/S with S < 1 the largest slope (softmax: 1/2); a diagonal metric,
    found by descent on the least eigenvalue and then verified; all principal minors, by Schur complements, up to 18 features.
    Eigenvalues carry a rounding margin on the safe side. The metric and the minors need an activation that acts entry by
    entry. **Cost** n^3, some hundred times that for the metric, 2^n n for the minors.

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
    matrix = _matrix(W)
    f, entrywise, slope = _activation(activation)
    M, n = np.eye(len(matrix)) - matrix, len(matrix)
    rounding = 8.0 * n * float(np.finfo(float).eps) * max(1.0, float(np.linalg.norm(M, 2)))
    least = float(np.linalg.eigvalsh(0.5 * (M + M.T))[0]) - rounding
    if least > 0:
        return WellPosedness(True, "monotone", least)
    margin = 1.0 / slope - float(np.linalg.eigvalsh(0.5 * (matrix + matrix.T))[-1]) - rounding
    if slope < 1 and margin > 0:
        return WellPosedness(True, "slope", margin)
    if not entrywise:
        return WellPosedness(None, "none", least)
    metric = _metric(M)
    if metric is not None:
        return WellPosedness(True, "LBEN", metric[1], {"metric": metric[0]})
    if n > MOST_MINORS:
        return WellPosedness(None, "none", least)
    minor, indices = _least_minor(M)
    if minor > rounding:
        return WellPosedness(True, "P-matrix", minor)
    if not isinstance(f, functions.NonNegative):
        return WellPosedness(None, "none", minor, {"minor": minor, "indices": indices})
    found = {"minor": minor, "indices": indices, **_two_equilibria(M, indices)}
    return WellPosedness(False if "equilibria" in found else None, "none", minor, found)


def _matrix(W: Any) -> Matrix:
    if isinstance(W, Parametrization):
        W = W.current_system().dense()
    if hasattr(W, "detach"):
        W = W.detach().cpu().numpy()
    matrix = np.asarray(W, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ShapeError(f"W has shape {matrix.shape}, but needs (n, n)")
    if not np.isfinite(matrix).all():
        raise DataError("W contains NaN or infinity")
    return matrix


def _activation(activation: str | Function) -> tuple[Function, bool, float]:
    """The function, whether it acts entry by entry, and the largest slope of its prox."""
    from monops.functions.separable import Separable

    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise DataError(f"activation={activation!r} is unknown: choose one of {', '.join(ACTIVATIONS)}")
        activation = ACTIVATIONS[activation]()
    if not isinstance(activation, Function):
        raise DataError(f"activation must be a name or a monops Function, got {type(activation).__name__}")
    mu = activation.constants.strong_monotonicity  # the prox of a mu-strongly convex function is 1/(1 + mu)-Lipschitz
    slope = 1.0 if mu is None or "strong_monotonicity" in activation.constants.estimated else 1.0 / (1.0 + float(mu))
    return activation, isinstance(activation, Separable), slope


def _metric(M: Matrix) -> tuple[Matrix, float] | None:
    """A diagonal Lambda, largest entry 1, and the verified least eigenvalue of sym(Lambda^(1/2) M Lambda^(-1/2)), positive."""

    def value(x: Matrix) -> tuple[float, Matrix]:
        root = np.exp(np.clip(0.5 * x, -FARTHEST, FARTHEST))
        scaled = root[:, None] * M / root
        eigenvalues, vectors = np.linalg.eigh(0.5 * (scaled + scaled.T))
        v = vectors[:, 0]
        return -float(eigenvalues[0]), -0.5 * (v * (scaled @ v) - v * (scaled.T @ v))

    order = np.arange(len(M)) - 0.5 * (len(M) - 1)
    for slope in (0.0, -2.0, 2.0):  # layers that feed each other in order need weights that fall (or rise) along it
        x = minimize(value, slope * order, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
        for candidate in (x, slope * order):
            weights = np.exp(np.clip(candidate - candidate.max(), -4.0 * FARTHEST, 0.0))
            scaled = np.sqrt(weights)[:, None] * M / np.sqrt(weights)
            rounding = 8.0 * len(M) * float(np.finfo(float).eps) * float(np.linalg.norm(scaled, 2))
            least = float(np.linalg.eigvalsh(0.5 * (scaled + scaled.T))[0]) - rounding
            if least > 0:
                return weights, least
    return None


def _least_minor(M: Matrix) -> tuple[float, tuple[int, ...]]:
    """The least principal minor and its entries; the first that is not positive ends the search."""
    worst: tuple[float, tuple[int, ...]] = (np.inf, ())
    stack: list[tuple[Matrix, tuple[int, ...], tuple[int, ...], float]] = [(M, tuple(range(len(M))), (), 1.0)]
    while stack:
        block, rest, chosen, determinant = stack.pop()
        pivot, index = float(block[0, 0]), rest[0]
        minor = determinant * pivot
        if minor < worst[0]:
            worst = (minor, (*chosen, index))
        if minor <= 0:
            break
        if len(rest) > 1:
            schur = block[1:, 1:] - np.outer(block[1:, 0], block[0, 1:]) / pivot
            stack += [(block[1:, 1:], rest[1:], chosen, determinant), (schur, rest[1:], (*chosen, index), minor)]
    return worst


def _two_equilibria(M: Matrix, indices: tuple[int, ...]) -> dict[str, Any]:
    """Two z with z = relu((I - M) z + c) for one c, shown to be solutions; nothing where rounding is in the way.

    On a smallest set of entries with a minor that is not positive, adding d = -det/(minor without i) to the diagonal entry i
    makes the block singular; its null vector x has (M x)_j = 0 there but at i, where it is -d x_i. So x_j (M x)_j <= 0
    everywhere (Fiedler and Ptak 1962), and z = max(x, 0), y = max(-x, 0) both solve the problem for c = M z where z > 0, M y
    where y > 0, and the smaller of the two elsewhere.
    """
    entries = next(
        list(chosen)
        for size in range(1, len(indices) + 1)
        for chosen in itertools.combinations(indices, size)
        if size == len(indices) or np.linalg.det(M[np.ix_(chosen, chosen)]) <= 0
    )
    block = M[np.ix_(entries, entries)].copy()
    rest = float(np.linalg.det(block[1:, 1:])) if len(entries) > 1 else 1.0
    block[0, 0] -= float(np.linalg.det(block)) / rest
    x = np.zeros(len(M))
    x[entries] = np.linalg.svd(block)[2][-1]
    z, y = np.maximum(x, 0.0), np.maximum(-x, 0.0)
    c = np.where(z > 0, M @ z, np.where(y > 0, M @ y, np.minimum(M @ z, M @ y)))
    if all(np.allclose(np.maximum(v - M @ v + c, 0.0), v, rtol=0, atol=1e-9) for v in (z, y)):
        return {"injection": c, "equilibria": (z, y)}
    return {}
