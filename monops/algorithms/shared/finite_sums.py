"""Sums cut into parts that stochastic methods take one at a time: rows of f(Kx) for a separable f, or whole terms.

A part is f_j(K_j x). Rows are cut into contiguous slices of the matrix, which are views and not copies.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from monops import arrays
from monops import constants as calculus
from monops.algorithms.roles import alone, forward_operator, require_resolvent, zero
from monops.arrays import Array
from monops.constants import Constants
from monops.functions import LeastSquares, Scaling, SeparableSum, SquaredL2, Translation
from monops.functions.separable import Separable
from monops.linear import LinearMap, Matrix, SparseMatrix, Stack
from monops.problem import Inclusion, Term
from monops.theory import Missing

DEFAULT_PARTS = 32  # of the rows of one term: an inner step costs some ten small calls, however few rows it has


class Part(NamedTuple):
    """f_j and K_j (``map`` None: the identity), and the constants of the gradient of f_j(K_j x)."""

    function: Any
    map: LinearMap | None
    constants: Constants

    def apply(self, x: Array) -> Array:
        """K_j x."""
        return x if self.map is None else self.map.apply(x)

    def adjoint(self, y: Array) -> Array:
        """K_j* y."""
        return y if self.map is None else self.map.adjoint(y)


class FiniteSum(NamedTuple):
    """A sum of smooth parts, the same as one operator for certificates, and the term that goes by its resolvent."""

    parts: tuple[Part, ...]
    smooth: Any
    simple: Any


class Composite(NamedTuple):
    """f and K of a term f(Kx), least squares as a loss of Kx; ``map`` is None for f(x)."""

    function: Any
    map: LinearMap | None


def composite(term: Term) -> Composite:
    """The function and the map of a term."""
    summand: Any = term.summand
    factor = 1.0
    while isinstance(summand, Scaling):
        summand, factor = summand.function, factor * summand.factor
    if isinstance(summand, LeastSquares) and term.map is None:
        return Composite(SquaredL2(factor, batch_ndim=summand.batch_ndim).translate(summand.b), summand.A)
    return Composite(term.summand, term.map)


def pieces(function: Any, cuts: Sequence[slice], like: Any) -> list[Any] | None:
    """The function of x[cut] for every cut of a vector x, f(x) = sum of them; None where f does not come apart like that."""
    if isinstance(function, Translation):
        inner = pieces(function.function, cuts, like)
        shift = function.shift
        return None if inner is None else [part.translate(shift[..., cut]) for part, cut in zip(inner, cuts, strict=True)]
    if not isinstance(function, Separable) or any(data.ndim > 1 for _, data in function.named_arrays()):
        return None
    if not any(data.ndim == 1 for _, data in function.named_arrays()):
        return [function] * len(cuts)
    xp, device = arrays.namespace(like), arrays.device(like)
    return [function.restrict(xp.arange(cut.start, cut.stop, device=device)) for cut in cuts]


def slices(length: int, size: int) -> list[slice]:
    """Contiguous slices of about equal length, at most ``size``."""
    count = math.ceil(length / size)
    ends = [length * index // count for index in range(count + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)]


def rows(pair: Composite, minibatch: int | None) -> list[Composite] | None:
    """f(Kx) cut into slices of at most ``minibatch`` rows (default: some 32 slices), or None where it does not come apart."""
    function, K = pair
    if isinstance(K, Stack) and isinstance(function, SeparableSum):
        return [Composite(f, block) for f, block in zip(function.functions, K.maps, strict=True)]
    if not isinstance(K, (Matrix, SparseMatrix)):
        return None
    length = int(K.matrix.shape[0])
    cuts = slices(length, minibatch or math.ceil(length / DEFAULT_PARTS))
    functions = pieces(function, cuts, K.matrix if isinstance(K, Matrix) else K.matrix.data)
    if functions is None:
        return None
    return [Composite(f, type(K)(K.matrix[cut, :])) for f, cut in zip(functions, cuts, strict=True)]


def as_part(pair: Composite) -> Part:
    """The part with its constants."""
    function, K = pair
    known = function.constants
    return Part(function, K, known if K is None else calculus.congruence(known, K.norm, K.smallest_singular_value))


def check_minibatch(minibatch: int | None) -> Missing | None:
    """The reason why a number of rows is none, or None."""
    if minibatch is None or (isinstance(minibatch, int) and not isinstance(minibatch, bool) and minibatch >= 1):
        return None
    return Missing(f"minibatch={minibatch!r} is no number of rows", "give an integer >= 1, or None for the default")


def finite_sum(problem: Inclusion, minibatch: int | None) -> FiniteSum | Missing:
    """Smooth convex parts and at most one term that goes by its resolvent."""
    bad = check_minibatch(minibatch)
    if bad is not None:
        return bad
    cut: list[tuple[Term, list[Composite]]] = []
    whole: list[Term] = []
    simple: list[Any] = []
    for term in problem.terms:
        lipschitz = term.constants.lipschitz
        if not (term.has_forward and term.constants.cyclic and lipschitz is not None and lipschitz < math.inf):
            simple.append(alone(term))
            continue
        apart = rows(composite(term), minibatch)
        if apart is None:
            whole.append(term)
        else:
            cut.append((term, apart))
    if not simple and cut:  # one smooth term without rows may go by its resolvent, and then needs no place among the parts
        resolvable = [term for term in whole if term.has_resolvent]
        if resolvable:
            simple.append(alone(resolvable[0]))
            whole = [term for term in whole if term is not resolvable[0]]
    for operator in simple:
        missing = require_resolvent(operator, "lipschitz")
        if missing is not None:
            return missing
        if not operator.constants.cyclic:
            return Missing(f"{operator.formula('x')} is no convex function", "use ForwardBackwardForward or DouglasRachford")
    if len(simple) > 1:
        return Missing(
            f"{len(simple)} terms need their resolvents, one is allowed",
            "use StochasticPrimalDual, DavisYin or DouglasRachford",
        )
    parts = [as_part(pair) for _, apart in cut for pair in apart] + [as_part(composite(term)) for term in whole]
    if len(parts) < 2:
        return Missing(
            "the smooth terms do not come apart into a finite sum: rows of LeastSquares(A, b) or of f @ A with a separable f, "
            "or several smooth terms",
            "use AcceleratedForwardBackward",
        )
    smooth = forward_operator(tuple(term for term, _ in cut) + tuple(whole))
    return FiniteSum(tuple(parts), smooth, simple[0] if simple else zero(problem))


def largest_lipschitz(parts: Sequence[Part]) -> float:
    """L of every part of the mean (1/N) sum of N f_j: N times the largest Lipschitz constant of a gradient."""
    return len(parts) * float(max(part.constants.lipschitz for part in parts))


def least_strong_monotonicity(parts: Sequence[Part]) -> float:
    """mu that every N f_j has."""
    return len(parts) * float(min(part.constants.strong_monotonicity for part in parts))


def inner_slopes(parts: Sequence[Part], x: Array) -> list[Array]:
    """The gradients of all f_j at K_j x."""
    return [part.function.gradient(part.apply(x)) for part in parts]


def total_gradient(parts: Sequence[Part], slopes: Sequence[Array]) -> Array:
    """The sum of K_j* slopes_j."""
    total = parts[0].adjoint(slopes[0])
    for part, slope in zip(parts[1:], slopes[1:], strict=True):
        total = total + part.adjoint(slope)
    return total
