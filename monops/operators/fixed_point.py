"""The residual z - f(z) of a map f, whose zeros are the fixed points of f."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import DataError, ShapeError
from monops.operators.operator import Operator

IN_PLACE = "FixedPoint: the map changes the point that it is given: let it compute a new one"


@final
@dataclass(frozen=True, eq=False)
class FixedPoint(Operator):
    """z -> z - f(z, *inputs): its zeros are the fixed points z = f(z, *inputs).

    Parameters
    ----------
    map : callable
        f, from a point (array or Blocks) and the inputs to a point of the same shape.
    inputs : tuple of arrays, default ()
        What else f reads. With ``solve(batch_ndim=1)`` their first axis is that of the rows: they are put aside with them.
    lipschitz : float, optional
        A Lipschitz constant q of f in its first argument. With q <= 1 there are theorems; with q < 1 the fixed point is unique.

    Raises
    ------
    DataError
        When f cannot be called, or q is negative or not finite.
    ShapeError
        In a solve, when f changes the shape of a point.

    Notes
    -----
    **Constants** with q <= 1: mu = 1 - q, beta = 1/(1 + q) and L = 1 + q: the numbers 1 - w with |w| <= q lie in the disk of
    the numbers s with Re s >= beta |s|^2 (Ryu, Hannah and Yin 2021). With q > 1 only L is known, and without q nothing:
    ``solve`` then refuses to choose, and the methods for any map (Picard, Anderson(Picard()), Broyden, NewtonKrylov) have to be
    asked for by name. A q that two points show to be false is refused. **Cost** one value of f.

    References
    ----------
    Banach (1922). Ryu, Hannah and Yin (2021), Scaled relative graphs.

    Examples
    --------
    >>> import numpy as np, monops
    >>> A = FixedPoint(lambda z: 0.5 * np.cos(z), lipschitz=0.5)
    >>> result = monops.solve(A, x0=np.zeros(1), tol=1e-12)
    >>> np.round(result.x, 6), result.error_bound < 1e-11
    (array([0.450184]), True)
    >>> np.round(monops.solve(FixedPoint(np.cos), monops.Anderson(monops.Picard()), x0=np.zeros(1)).x, 6)
    array([0.739085])
    """

    map: Callable[..., Array]
    inputs: tuple[Array, ...] = ()
    lipschitz: float | None = None

    def __post_init__(self) -> None:
        if not callable(self.map):
            raise DataError(f"FixedPoint: the map must be callable, got {type(self.map).__name__}")
        if not isinstance(self.inputs, tuple):
            raise DataError(f"FixedPoint: inputs must be a tuple of arrays, got {type(self.inputs).__name__}")
        q = self.lipschitz
        if q is not None and (isinstance(q, bool) or not 0 <= q < math.inf):
            raise DataError(f"FixedPoint: lipschitz={q!r} must be a finite number >= 0, or None where it is not known")

    @cached_property
    def constants(self) -> Constants:
        q = self.lipschitz
        if q is None:
            return Constants()
        if q > 1:
            return Constants(lipschitz=1 + q, why="given: 1 + the Lipschitz constant of the map")
        return Constants(1 - q, 1 / (1 + q), 1 + q, why="given: by the Lipschitz constant of the map")

    def violated_by(self, distance2: float, inner: float, image2: float, rounding: float) -> str | None:
        """q itself: |f(x) - f(y)|^2 = |x - y|^2 - 2 <Ax - Ay, x - y> + |Ax - Ay|^2."""
        q, square = self.lipschitz, distance2 - 2 * inner + image2
        if q is None or square <= q * q * distance2 + rounding * max(distance2, image2, q * q * distance2):
            return None
        seen = math.sqrt(square / distance2)
        return f"lipschitz={q:.6g} of the map is false: two points have |f(x) - f(y)| = {seen:.6g} |x - y|"

    def named_arrays(self, name: str = "") -> Iterator[tuple[str, Array]]:
        return iter(())  # the map is free to take inputs of any type

    def take_rows(self, positions: Any) -> FixedPoint:
        """The same operator for some of the rows."""

        def take(leaf: Any) -> Any:
            if not arrays.is_array(leaf) or leaf.ndim == 0:
                return leaf
            xp = arrays.namespace(leaf)
            return xp.take(leaf, arrays.from_numpy(positions, leaf, xp.int64), axis=0)

        return replace(self, inputs=tuple(arrays.tree_map(take, part) for part in self.inputs))

    def forward(self, x: Array) -> Array:
        return x - self.image(x)

    def image(self, x: Array) -> Array:
        """f(x)."""
        kept = [_version(leaf) for leaf in arrays.leaves(x)]
        try:
            image = self.map(arrays.tree_map(_read_only, x), *self.inputs)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            raise DataError(IN_PLACE) from error
        if kept != [_version(leaf) for leaf in arrays.leaves(x)]:
            raise DataError(IN_PLACE)
        if isinstance(x, Blocks) and type(image) is tuple:
            image = Blocks(image)
        before, after = ([tuple(leaf.shape) for leaf in arrays.leaves(point)] for point in (x, image))
        if before != after:
            shapes = " to ".join(str(found[0] if len(found) == 1 else found) for found in (before, after))
            raise ShapeError(f"FixedPoint: the map takes a point of shape {shapes}: both must be the same")
        return image

    def formula(self, x: str) -> str:
        return f"{x} - f({x})"


def _version(leaf: Array) -> int | None:
    """How often a tensor of torch was changed in place; None where that is not counted."""
    if getattr(leaf, "is_inference", None) is None or leaf.is_inference():
        return None
    return int(leaf._version)


def _read_only(leaf: Array) -> Array:
    """An array of NumPy as a view that refuses changes in place."""
    if type(leaf) is not np.ndarray:
        return leaf
    view = leaf.view()
    view.flags.writeable = False
    return view
