"""Operators on blocks of variables that games and saddle problems make: pseudo-gradients and block matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import DataError, ShapeError
from monops.linear.blocks import split
from monops.operators.affine import Affine
from monops.operators.operator import Operator

UNKNOWN = Constants()


@final
@dataclass(frozen=True, eq=False)
class BlockAffine(Operator):
    """(x1, x2, ...) -> (sum_j M_1j x_j + q_1, sum_j M_2j x_j + q_2, ...) on Blocks: an affine operator in block form.

    Parameters
    ----------
    M : tuple of tuples of arrays (n_i, n_j)
        One tuple a block row; None stands for a block of zeros off the diagonal.
    q : tuple of arrays (n_i,), optional

    Raises
    ------
    ShapeError
        When the blocks do not fit together.
    ConstantError
        When the joined matrix is not monotone, naming the least eigenvalue of its symmetric part.

    Notes
    -----
    **Constants** and **resolvent** are those of `Affine` for the joined matrix: exact up to rounding. **Cost** n^3 once, n^2 an
    application, n the number of all entries.

    References
    ----------
    Rosen (1965), Existence and uniqueness of equilibrium points for concave n-person games.

    Examples
    --------
    >>> import numpy as np
    >>> A = BlockAffine(((2.0 * np.eye(1), np.ones((1, 1))), (-np.ones((1, 1)), np.eye(1))))
    >>> A.forward(Blocks((np.array([1.0]), np.array([3.0]))))
    Blocks(array([5.]), array([2.]))
    >>> round(A.constants.strong_monotonicity, 9)
    1.0
    """

    M: tuple[tuple[Array | None, ...], ...]
    q: tuple[Array, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "M", tuple(tuple(row) for row in self.M))
        object.__setattr__(self, "q", None if self.q is None else tuple(self.q))
        count = len(self.M)
        if not count or any(len(row) != count for row in self.M) or (self.q is not None and len(self.q) != count):
            raise ShapeError(f"BlockAffine: {count} block rows need {count} blocks each, and as many parts of q")
        if any(self.M[i][i] is None for i in range(count)):
            raise DataError("BlockAffine: the blocks on the diagonal fix the shapes: give zeros there, not None")
        sizes = self._sizes
        for i, row in enumerate(self.M):
            for j, block in enumerate(row):
                if block is not None and tuple(block.shape) != (sizes[i], sizes[j]):
                    raise ShapeError(f"BlockAffine: M[{i}][{j}] has shape {tuple(block.shape)}, not {(sizes[i], sizes[j])}")
        _ = self.joined  # refuses what is not monotone

    @property
    def _sizes(self) -> list[int]:
        return [int(self.M[i][i].shape[0]) for i in range(len(self.M))]  # type: ignore[union-attr]

    @cached_property
    def joined(self) -> Affine:
        """The operator on the blocks joined to one vector."""
        first, sizes = self.M[0][0], self._sizes
        xp = arrays.namespace(first)

        def whole(i: int, j: int) -> Array:
            block = self.M[i][j]
            if block is None:
                return xp.zeros((sizes[i], sizes[j]), dtype=first.dtype, device=arrays.device(first))  # type: ignore[union-attr]
            return block

        count = range(len(sizes))
        matrix = xp.concat([xp.concat([whole(i, j) for j in count], axis=1) for i in count], axis=0)
        return Affine(matrix, None if self.q is None else xp.concat(list(self.q), axis=-1))

    @cached_property
    def constants(self) -> Constants:
        return self.joined.constants

    @property
    def input_shape(self) -> Any:
        return tuple((size,) for size in self._sizes)

    def _join(self, x: Array) -> Array:
        if not isinstance(x, tuple) or len(x) != len(self.M):
            raise ShapeError(f"BlockAffine takes Blocks of {len(self.M)} arrays")
        return arrays.namespace(x[0]).concat(list(x), axis=-1)

    def forward(self, x: Array) -> Array:
        return split(self.joined.forward(self._join(x)), self._sizes)

    def resolvent(self, x: Array, step: float) -> Array:
        return split(self.joined.resolvent(self._join(x), step), self._sizes)

    def formula(self, x: str) -> str:
        return f"M{x}" if self.q is None else f"(M{x} + q)"


@final
@dataclass(frozen=True, eq=False)
class PseudoGradient(Operator):
    """(x1, ..., xn) -> (d_1 c_1(x), ..., d_n c_n(x)): the gradient of each player's cost in the player's own variables.

    Parameters
    ----------
    gradients : tuple of callables
        Blocks -> array: one a player, of all players' variables.
    declared : Constants
        What is known of the operator as a whole; tried on points when solving. Undeclared is unknown, and is refused by
        methods that need it.
    shapes : tuple of shapes, optional
        One a player.

    Notes
    -----
    Monotone where the game is (for one cost, c_2 = -c_1, where it is convex in x1 and concave in x2). **Constants** as
    declared. **Cost** one gradient a player.

    References
    ----------
    Rosen (1965), Existence and uniqueness of equilibrium points for concave n-person games.

    Examples
    --------
    >>> import numpy as np
    >>> A = PseudoGradient((lambda x: x[0] + x[1], lambda x: x[1] - x[0]), Constants(1.0, lipschitz=2.0**0.5))
    >>> A.forward(Blocks((np.array([1.0]), np.array([3.0]))))
    Blocks(array([4.]), array([2.]))
    """

    gradients: tuple[Callable[[Array], Array], ...]
    declared: Constants = UNKNOWN
    shapes: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "gradients", tuple(self.gradients))
        if not self.gradients:
            raise DataError("PseudoGradient needs the gradient of at least one player")
        if self.shapes is not None and len(self.shapes) != len(self.gradients):
            raise ShapeError(f"PseudoGradient: {len(self.gradients)} gradients, but {len(self.shapes)} shapes")

    @cached_property
    def constants(self) -> Constants:
        return self.declared

    @property
    def input_shape(self) -> Any:
        return self.shapes

    def forward(self, x: Array) -> Array:
        if not isinstance(x, tuple) or len(x) != len(self.gradients):
            raise ShapeError(f"PseudoGradient takes Blocks of {len(self.gradients)} arrays, one a player")
        return Blocks([gradient(x) for gradient in self.gradients])

    def formula(self, x: str) -> str:
        return "(" + ", ".join(f"d{index + 1} c{index + 1}({x})" for index in range(len(self.gradients))) + ")"


@final
@dataclass(frozen=True, eq=False)
class SmoothSaddle(Operator):
    """(x, y) -> (d_x Phi(x, y), -d_y Phi(x, y)) for a smooth Phi, convex in x and concave in y: the operator of a saddle.

    Parameters
    ----------
    gradient_x, gradient_y : callable
        (x, y) -> array: the partial gradients of Phi.
    declared : Constants
        What is known; tried on points when solving.
    shapes : pair of shapes, optional

    Notes
    -----
    Monotone on the whole space when Phi is convex-concave on the whole space: a Phi that is so only on the domains of x and y
    does not qualify. **Constants** as declared. **Cost** both gradients.

    References
    ----------
    Rockafellar (1970), Monotone operators associated with saddle-functions and minimax problems.

    Examples
    --------
    >>> import numpy as np
    >>> A = SmoothSaddle(lambda x, y: x + y, lambda x, y: x - y, Constants(1.0, lipschitz=2.0 ** 0.5))
    >>> A.forward(Blocks((np.array([1.0]), np.array([3.0]))))
    Blocks(array([4.]), array([2.]))
    """

    gradient_x: Callable[[Array, Array], Array]
    gradient_y: Callable[[Array, Array], Array]
    declared: Constants = UNKNOWN
    shapes: Any = None

    @cached_property
    def constants(self) -> Constants:
        return self.declared

    @property
    def input_shape(self) -> Any:
        return self.shapes

    def forward(self, x: Array) -> Array:
        if not isinstance(x, tuple) or len(x) != 2:
            raise ShapeError("SmoothSaddle takes Blocks((x, y))")
        return Blocks((self.gradient_x(*x), -self.gradient_y(*x)))

    def formula(self, x: str) -> str:
        return "(d_x Phi(x, y), -d_y Phi(x, y))"
