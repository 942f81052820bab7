"""Maps between several blocks of variables: a row of maps, whose images are added, and the choice of one block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, final

import scipy.sparse

from monops import arrays
from monops.arrays import Array, Blocks
from monops.constants import Known
from monops.errors import CapabilityError, DataError, ShapeError
from monops.linear.dense import Matrix
from monops.linear.interop import as_linear_map
from monops.linear.linear_map import LinearMap
from monops.linear.sparse import SparseMatrix
from monops.linear.stack import Stack


@final
@dataclass(frozen=True, eq=False)
class Row(LinearMap):
    """(x1, x2, ...) -> K1 x1 + K2 x2 + ... on Blocks: the block row [K1 K2 ...], the adjoint of a `Stack`.

    Parameters
    ----------
    maps : tuple of linear maps, arrays or SciPy sparse matrices
        All with the same output shape.

    Raises
    ------
    DataError
        Without any map.
    ShapeError
        When the maps give outputs of different shapes.

    Notes
    -----
    **Norm**: of matrices, all dense or all sparse, that of the joined matrix; else |K|^2 <= |K1|^2 + |K2|^2 + ...
    **Regularised inverse**: of such matrices, by the joined one. **Cost** the sum of the costs of the maps.

    Examples
    --------
    >>> import numpy as np
    >>> Row((np.array([[1.0, 2.0]]), np.array([[3.0]]))).apply(Blocks((np.array([1.0, 1.0]), np.array([2.0]))))
    array([9.])
    """

    maps: tuple[LinearMap, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "maps", tuple(as_linear_map(part) for part in self.maps))
        if not self.maps:
            raise DataError("Row needs at least one linear map")
        if len({part.output_shape for part in self.maps}) > 1:
            found = [part.output_shape for part in self.maps]
            raise ShapeError(f"Row: the images of the maps are added, but they have the shapes {found}")

    @property
    def input_shape(self) -> Any:
        return tuple(part.input_shape for part in self.maps)

    @property
    def output_shape(self) -> Any:
        return self.maps[0].output_shape

    def apply(self, x: Array) -> Array:
        if not isinstance(x, tuple) or len(x) != len(self.maps):
            raise ShapeError(f"a Row of {len(self.maps)} maps takes Blocks of {len(self.maps)} arrays")
        parts = [part.apply(block) for part, block in zip(self.maps, x, strict=True)]
        return reduce(lambda a, b: a + b, parts)

    def adjoint(self, y: Array) -> Array:
        return Blocks([part.adjoint(y) for part in self.maps])

    @property
    def T(self) -> LinearMap:
        return Stack(tuple(part.T for part in self.maps))

    @cached_property
    def joined(self) -> Matrix | SparseMatrix | None:
        """The matrix [K1 K2 ...] where all maps are dense matrices or all are sparse ones, else None."""
        dense = [part.matrix for part in self.maps if isinstance(part, Matrix)]
        if len(dense) == len(self.maps):
            return Matrix(arrays.namespace(dense[0]).concat(dense, axis=1))
        sparse = [part.matrix for part in self.maps if isinstance(part, SparseMatrix)]
        return SparseMatrix(scipy.sparse.hstack(sparse, format="csr")) if len(sparse) == len(self.maps) else None

    @cached_property
    def norm(self) -> Known:
        if self.joined is not None:
            return self.joined.norm
        norms = [part.norm for part in self.maps]
        kind = "estimated" if any(known.estimated for known in norms) else "rule"
        return Known(sum(known.value**2 for known in norms) ** 0.5, f"{kind}: root of the sum of squared norms")

    @cached_property
    def smallest_singular_value(self) -> Known:
        if self.joined is not None:
            return self.joined.smallest_singular_value
        return Known(0.0, "computed: trivial lower bound 0")

    @property
    def has_regularized_inverse(self) -> bool:
        return self.joined is not None

    def regularized_inverse(self, y: Array, step: float) -> Array:
        if self.joined is None:
            raise CapabilityError(
                "a Row has (I + step K*K)^-1 for matrices, all dense or all sparse: use a method that needs only Kx and K*y, "
                "such as ForwardBackward or ChambollePock"
            )
        point = arrays.namespace(y[0]).concat(list(y), axis=-1)
        return split(self.joined.regularized_inverse(point, step), [block.shape[-1] for block in y])


def split(x: Array, sizes: list[int]) -> Blocks:
    """Blocks of the given lengths along the last axis."""
    blocks, start = [], 0
    for size in sizes:
        blocks.append(x[..., start : start + size])
        start += size
    return Blocks(blocks)


@final
@dataclass(frozen=True, eq=False)
class Component(LinearMap):
    """(x1, x2, ...) -> x[index] on Blocks of the given shapes: lets a term of an inclusion see one block only.

    Parameters
    ----------
    index : int
    shapes : tuple of shapes
        One shape for each block; a block that consists of blocks itself has a tuple of shapes.

    Raises
    ------
    DataError
        When there is no block of this index.

    Notes
    -----
    **Norm** 1. **Regularised inverse** closed-form. **Cost** none; the adjoint makes the zeros of the other blocks.

    Examples
    --------
    >>> import numpy as np
    >>> Component(1, ((2,), (1,))).adjoint(np.array([3.0]))
    Blocks(array([0., 0.]), array([3.]))
    """

    index: int
    shapes: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shapes", tuple(self.shapes))
        if not self.shapes or not all(isinstance(shape, tuple) for shape in self.shapes):
            raise DataError(f"Component: shapes={self.shapes} must hold one shape (a tuple) for each block")
        if not 0 <= self.index < len(self.shapes):
            raise DataError(
                f"Component: index={self.index} must be at least 0 and below {len(self.shapes)}, the number of blocks"
            )

    @property
    def input_shape(self) -> Any:
        return self.shapes

    @property
    def output_shape(self) -> Any:
        return self.shapes[self.index]

    def apply(self, x: Array) -> Array:
        if not isinstance(x, tuple) or len(x) != len(self.shapes):
            raise ShapeError(f"Component takes Blocks of {len(self.shapes)} arrays, of shapes {self.shapes}")
        return x[self.index]

    def adjoint(self, y: Array) -> Array:
        leaf, shape = y, self.output_shape
        while shape and isinstance(shape[0], tuple):
            leaf, shape = leaf[0], shape[0]
        rows = tuple(leaf.shape[: leaf.ndim - len(shape)])
        return Blocks([y if place == self.index else _zeros(leaf, part, rows) for place, part in enumerate(self.shapes)])

    @cached_property
    def norm(self) -> Known:
        return Known(1.0, "computed: the choice of a block")

    @cached_property
    def smallest_singular_value(self) -> Known:
        return Known(float(len(self.shapes) == 1), "computed: the choice of a block")

    def regularized_inverse(self, y: Array, step: float) -> Array:
        return Blocks([block / (1.0 + step) if place == self.index else block for place, block in enumerate(y)])


def _zeros(like: Array, shape: Any, rows: tuple[int, ...]) -> Array:
    if shape and isinstance(shape[0], tuple):
        return Blocks([_zeros(like, part, rows) for part in shape])
    return arrays.namespace(like).zeros((*rows, *shape), dtype=like.dtype, device=arrays.device(like))
