"""Terms whose forward value is affine, x -> Hx + q with a matrix H at hand, and the functions that Newton steps pair them
with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from monops import arrays
from monops.arrays import Array
from monops.functions import LeastSquares, Quadratic
from monops.functions.function import Function
from monops.functions.separable import Separable
from monops.linear import Matrix
from monops.operators import Affine
from monops.problem import Term
from monops.theory import Missing


@dataclass(frozen=True, eq=False)
class AffineForward:
    """F(x) = Hx + q of a quadratic function, least squares, or a monotone affine operator; rows of x in front."""

    operator: Any

    @property
    def symmetric(self) -> bool:
        """Whether F is a gradient."""
        return not isinstance(self.operator, Affine)

    @cached_property
    def matrix(self) -> Array:
        """H."""
        if isinstance(self.operator, LeastSquares):
            A = self.operator.A.matrix
            return arrays.namespace(A).matrix_transpose(A) @ A
        return self.operator.P if self.symmetric else self.operator.M

    @cached_property
    def offset(self) -> Array | None:
        """q."""
        if isinstance(self.operator, LeastSquares):
            return -self.operator.A.adjoint(self.operator.b)
        return self.operator.q

    def product(self, x: Array) -> Array:
        """H times each row."""
        if isinstance(self.operator, LeastSquares):
            return self.operator.A.adjoint(self.operator.A.apply(x))
        return x @ (self.matrix if self.symmetric else arrays.namespace(x).matrix_transpose(self.matrix))

    def forward(self, x: Array) -> Array:
        """Hx + q."""
        return self.product(x) if self.offset is None else self.product(x) + self.offset

    def value(self, x: Array, Fx: Array, batch_ndim: int) -> Array:
        """1/2 <x, Hx> + <q, x>, from F(x)."""
        return 0.5 * arrays.row_sum(x * (Fx if self.offset is None else Fx + self.offset), batch_ndim)

    def at_rows(self, rows: Any) -> AffineForward:
        """The same map for some rows of a batch (NumPy)."""
        offset = None if self.offset is None else self.offset[rows] if self.offset.ndim > 1 else self.offset
        chosen = AffineForward(self.operator)
        chosen.__dict__.update({"matrix": self.matrix, "offset": offset})
        return chosen


def is_affine(term: Term) -> bool:
    """Whether a term is a real quadratic function, dense least squares, or an affine operator."""
    function = term.summand
    if term.map is not None or not isinstance(function, (Quadratic, LeastSquares, Affine)):
        return False
    if isinstance(function, LeastSquares) and not isinstance(function.A, Matrix):
        return False
    if isinstance(function, LeastSquares):
        data = function.A.matrix
    else:
        data = function.P if isinstance(function, Quadratic) else function.M
    return not arrays.namespace(data).isdtype(data.dtype, "complex floating")


def unusable_function(term: Term, batch_ndim: int) -> Missing | None:
    """What keeps a term from being g, or None."""
    function, text = term.summand, str(term)
    way_out = "use ForwardBackwardForward or AcceleratedForwardBackward"
    if term.map is not None:
        return Missing(f"{text} contains a linear map, so that its prox is not closed-form", "use ChambollePock")
    if not isinstance(function, Function) or not function.has_prox:
        return Missing(f"{text} is not a function with a closed-form prox", way_out)
    if not function.is_convex:
        name = type(getattr(function, "function", function)).__name__
        return Missing(f"{name} in {text} is nonconvex, and the theorem needs convexity", "put a convex function in its place")
    if not isinstance(function, Separable):
        if batch_ndim:
            return Missing(f"{text} couples entries, and Newton systems of batch rows are for separable functions", way_out)
        inner = getattr(function, "function", function)
        if Function.prox_derivative in (type(function).prox_derivative, getattr(type(inner), "prox_derivative", None)):
            return Missing(f"the derivative of the prox of {text} is not known", way_out)
    return None
