"""Group norms with groups given as index lists: nested (a tree) with a closed-form prox, overlapping with a certified one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.constants import Known
from monops.errors import DataError, ShapeError
from monops.functions.feasibility import nonzero
from monops.functions.function import Function, check_step
from monops.functions.iterative import CertifiedProx, Iterative
from monops.functions.norms import Shrinkage
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import LinearMap, SelfAdjointMap

__all__ = ["OverlappingGroupL2", "TreeGroupL2"]


class Group(NamedTuple):
    """Indices along the last axis, and the weight of their norm."""

    indices: tuple[int, ...]
    weight: float


def as_groups(owner: str, groups: Any) -> tuple[Group, ...]:
    """Groups from pairs (indices, weight), checked."""
    found = []
    for number, (indices, weight) in enumerate(groups):
        unique = tuple(int(index) for index in indices)
        if not unique or min(unique) < 0 or len(set(unique)) != len(unique):
            raise DataError(f"{owner}: group {number} must list distinct indices >= 0, got {indices!r}")
        if not 0 <= weight < math.inf:
            raise DataError(f"{owner}: group {number} has weight {weight!r}; weights must be finite and at least 0")
        found.append(Group(unique, float(weight)))
    if not found:
        raise DataError(f"{owner} needs at least one group, a pair (indices, weight)")
    return tuple(found)


def masks_of(owner: str, groups: Sequence[Group], x: Array) -> list[Array]:
    """The 0-1 vector of each group, of the length of the last axis of x."""
    length = x.shape[-1] if x.ndim else 0
    highest = max(max(group.indices) for group in groups)
    if highest >= length:
        raise ShapeError(f"{owner}: index {highest} does not exist in the {length} entries of the last axis of x")
    masks = np.zeros((len(groups), length))
    for mask, group in zip(masks, groups, strict=True):
        mask[list(group.indices)] = 1.0
    return [arrays.from_numpy(mask, like=x) for mask in masks]


def last_norm(x: Array) -> Array:
    """Euclidean norm along the last axis, which is kept."""
    return arrays.namespace(x).linalg.vector_norm(x, axis=-1, keepdims=True)


def value_of(owner: str, groups: Sequence[Group], x: Array, batch_ndim: int) -> Array:
    """sum of weight |x_group|, for each row."""
    norms = [g.weight * last_norm(x * mask) for g, mask in zip(groups, masks_of(owner, groups, x), strict=True)]
    total = norms[0]
    for norm in norms[1:]:
        total = total + norm
    return arrays.row_sum(total, batch_ndim)


def lipschitz_of(groups: Sequence[Group]) -> Known:
    """sum of the weights: a bound of the norm of every subgradient (of one vector)."""
    return Known(sum(group.weight for group in groups), "computed: the sum of the weights")


@final
@dataclass(frozen=True, eq=False)
class TreeGroupL2(Function):
    """f(x) = sum of weight |x_group|_2 over groups along the last axis of which any two are nested or disjoint.

    Parameters
    ----------
    groups : sequence of (indices, weight)
        In any order; sorted so that inner groups come first.

    Notes
    -----
    prox: block soft-thresholding of every group, inner ones first. **Domain** everything. **Constants** mu = 0, not smooth; f
    of one vector is (sum of weights)-Lipschitz. **Cost** two passes a group. **Derivative** of the prox: the product of those of
    the groups, at the points they act on.

    References
    ----------
    Jenatton, Mairal, Obozinski and Bach (2011), Proximal methods for hierarchical sparse coding.

    Examples
    --------
    >>> import numpy as np
    >>> f = TreeGroupL2((((0, 1, 2), 1.0), ((0, 1), 2.5)))
    >>> np.round(f.prox(np.array([3.0, 4.0, 0.0]), 1.0), 12)
    array([0.9, 1.2, 0. ])
    """

    groups: Any

    def __post_init__(self) -> None:
        groups = as_groups("TreeGroupL2", self.groups)
        for first, a in enumerate(groups):
            for b in groups[first + 1 :]:
                common = set(a.indices) & set(b.indices)
                if common and common != set(a.indices) and common != set(b.indices):
                    raise DataError(
                        f"TreeGroupL2: groups {a.indices} and {b.indices} overlap without one containing the other: use "
                        "OverlappingGroupL2"
                    )
        object.__setattr__(self, "groups", tuple(sorted(groups, key=lambda group: len(group.indices))))

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        groups = (((0, 1, 2, 3, 4), 0.4), ((0, 1), 0.7), ((1,), 0.3), ((3, 4), 0.5))

        def reference(cp: Any, y: Any) -> Any:
            return sum(weight * cp.norm(y[list(indices)], 2) for indices, weight in groups)

        return (Sample(lambda a: cls(groups), (5,), reference),)

    @property
    def value_lipschitz(self) -> Known:
        return lipschitz_of(self.groups)

    def __call__(self, x: Array) -> Array:
        return value_of("TreeGroupL2", self.groups, x, self.batch_ndim)

    def _steps(self, x: Array, step: Any) -> tuple[Array, list[tuple[Array, Shrinkage]]]:
        """The prox, and each group's mask with its shrinkage on the way."""
        steps = []
        for group, mask in zip(self.groups, masks_of("TreeGroupL2", self.groups, x), strict=True):
            part = x * mask
            shrinkage = Shrinkage(part, last_norm(part), step * group.weight)
            x = x * (1.0 - mask) + part * shrinkage.factor
            steps.append((mask, shrinkage))
        return x, steps

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_step(step)
        return self.with_derivative(x, step, self._steps(arrays.detach(x), arrays.detach(step))[0])

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        _, steps = self._steps(x, step)
        maps = [(mask, shrinkage.derivative((-1,))) for mask, shrinkage in steps]

        def apply(h: Array) -> Array:
            for mask, jacobian in maps:
                h = h * (1.0 - mask) + jacobian.apply(h * mask)
            return h

        return SelfAdjointMap(apply, shape_of(x))

    def value_formula(self, x: str) -> str:
        return f"sum w |{x}_g|_2 over {len(self.groups)} nested groups"


@final
@dataclass(frozen=True, eq=False)
class OverlappingGroupL2(Iterative):
    """f(x) = sum of weight |x_group|_2 over groups along the last axis that may overlap in any way.

    Parameters
    ----------
    groups : sequence of (indices, weight)
    tolerance : float, optional
        As in Iterative.

    Notes
    -----
    prox: p = x - sum of u_g with u_g on group g, |u_g| <= step weight_g, found by exact block ascent on the dual (each u_g in
    turn is the projection of what the others leave); the duality gap sum (weight_g |p_g| - <p_g, u_g>/step) certifies it.
    **Domain** everything. **Constants** mu = 0, not smooth; f of one vector is (sum of weights)-Lipschitz. **Cost** two passes
    a group and sweep. **Derivative** of the prox: the linearised optimality system on the entries outside the groups that
    vanish, one n x n system a vector; 0 on the others.

    References
    ----------
    Jenatton, Mairal, Obozinski and Bach (2011), Proximal methods for hierarchical sparse coding, for the block ascent.

    Examples
    --------
    >>> import numpy as np
    >>> f = OverlappingGroupL2((((0, 1), 1.0), ((1, 2), 1.0)), tolerance=1e-10)
    >>> np.round(f.prox(np.array([3.0, 0.0, 0.5]), 1.0), 6)
    array([2., 0., 0.])
    """

    groups: Any
    max_iter: int = field(default=20_000, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", as_groups("OverlappingGroupL2", self.groups))

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        groups = (((0, 1, 2), 0.6), ((2, 3), 0.5), ((0, 3, 4), 0.4))

        def reference(cp: Any, y: Any) -> Any:
            return sum(weight * cp.norm(y[list(indices)], 2) for indices, weight in groups)

        return (Sample(lambda a: cls(groups, tolerance=1e-9), (5,), reference, accuracy=1e-7),)

    @cached_property
    def _total(self) -> float:
        return sum(group.weight for group in self.groups)

    @property
    def value_lipschitz(self) -> Known:
        return lipschitz_of(self.groups)

    def __call__(self, x: Array) -> Array:
        return value_of("OverlappingGroupL2", self.groups, x, self.batch_ndim)

    def _sweeps(self, x: Array, step: Any, tolerance: float | None) -> tuple[Array, Array, bool, int]:
        xp = arrays.namespace(x)
        masks = masks_of("OverlappingGroupL2", self.groups, x)
        duals = [xp.zeros_like(x) for _ in masks]
        p, allowed, iterations = x, self.target_error(x, tolerance), 0
        while True:
            iterations += 1
            excess = []
            for number, (group, mask) in enumerate(zip(self.groups, masks, strict=True)):
                left = (p + duals[number]) * mask
                size, reach = last_norm(left), step * group.weight
                duals[number], p = left * xp.where(size <= reach, xp.ones_like(size), reach / nonzero(size)), p + duals[number]
                p = p - duals[number]
            for group, mask, dual in zip(self.groups, masks, duals, strict=True):
                part = p * mask
                excess.append(step * group.weight * last_norm(part) - xp.sum(part * dual, axis=-1, keepdims=True))
            total = excess[0]
            for part in excess[1:]:
                total = total + part
            gap = arrays.clip(arrays.row_sum(total, self.batch_ndim), 0.0, None) / step
            error = xp.sqrt(2.0 * step * gap)
            ended = (error <= allowed) | ~(error < math.inf)
            if arrays.holds_everywhere(ended) or iterations >= self.max_iter:
                return p, gap, bool(xp.all(error <= allowed)), iterations

    def prox_certified(self, x: Array, step: float = 1.0, tolerance: float | None = None) -> CertifiedProx:
        point, gap, converged, iterations = self._sweeps(x, step, tolerance)
        error = arrays.namespace(gap).sqrt(2.0 * step * gap)
        return CertifiedProx(point, gap, error, iterations, converged)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        xp = arrays.namespace(x)
        p = self.prox_certified(x, step).point
        length = x.shape[-1]
        floor = 1e-6 * (1.0 + last_norm(x))
        free, matrix = xp.ones_like(x), xp.eye(length, dtype=x.dtype, device=arrays.device(x)) + 0.0 * p[..., None]
        for group, mask in zip(self.groups, masks_of("OverlappingGroupL2", self.groups, x), strict=True):
            part = p * mask
            size = last_norm(part)
            alive = size > floor
            free = xp.where(alive, free, free * (1.0 - mask))
            unit = part / nonzero(size)
            bend = xp.where(alive, step * group.weight / nonzero(size), xp.zeros_like(size))[..., None]
            identity = xp.eye(length, dtype=x.dtype, device=arrays.device(x)) * mask
            matrix = matrix + bend * (identity - unit[..., :, None] * unit[..., None, :])
        both = free[..., :, None] * free[..., None, :]
        held = xp.eye(length, dtype=x.dtype, device=arrays.device(x)) * (1.0 - free)[..., None, :]
        matrix = both * matrix + held

        def apply(h: Array) -> Array:
            return free * xp.linalg.solve(matrix, (free * h)[..., None])[..., 0]

        return SelfAdjointMap(apply, shape_of(x))

    def value_formula(self, x: str) -> str:
        return f"sum w |{x}_g|_2 over {len(self.groups)} groups"
