"""Group norms with groups given as index lists: nested (a tree) with a closed-form prox, overlapping with a certified one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.functions.arguments import check_prox
from monops.functions.feasibility import nonzero
from monops.functions.function import Function, Zero
from monops.functions.iterative import DEFAULT_TOLERANCE, CertifiedProx, Iterative
from monops.functions.norms.group_layers import Layer, LayerOn, as_groups, colours, nesting
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import LinearMap, SelfAdjointMap

__all__ = ["OverlappingGroupL2", "TreeGroupL2"]

DERIVATIVE_TOLERANCE = 1e-9
ALWAYS_CERTIFIED = 8  # sweeps; afterwards every fourth is certified
STALLED, PATIENCE = 0.9, 5  # certificates in a row that do not lower the gap by as much: the end of the digits
SOLVE_TOLERANCE = 1e-13


def value_of(layers: Sequence[LayerOn], x: Array, batch_ndim: int) -> Array:
    """sum of weight |x_group|, for each row."""
    xp = arrays.namespace(x)
    return arrays.row_sum(xp.concat([layer.weights * layer.sizes(x) for layer in layers], axis=-1), batch_ndim)


class Shrunk(NamedTuple):
    """What a layer of a tree did to the point x that came to it: factor x, u = x/|x|, and t/|x| of each group that moves."""

    layer: LayerOn
    factor: Array
    unit: Array
    ratio: Array

    def derivative(self, h: Array) -> Array:
        """factor h + t/|x| u <u, h> in each group."""
        return self.factor * h + self.unit * self.layer.spread(self.ratio * self.layer.sums(self.unit * h), 0.0)


@final
@dataclass(frozen=True, eq=False)
class TreeGroupL2(Function):
    """f(x) = sum of weight |x_group|_2 over groups along the last axis of which any two are nested or disjoint.

    Parameters
    ----------
    groups : sequence of (indices, weight)
        In any order; sorted so that inner groups come first. Disjoint groups of different lengths are a special case.

    Notes
    -----
    prox: block soft-thresholding of every group, inner ones first. **Domain** everything. **Constants** mu = 0, not smooth; f
    of one vector is (sum of weights)-Lipschitz. **Cost** linear in the lengths of all groups together; the groups of one depth
    are handled as whole arrays. **Derivative** of the prox: the product of those of the groups, at the points they act on.

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
        groups = sorted(as_groups("TreeGroupL2", self.groups), key=lambda group: len(group.indices))
        object.__setattr__(self, "groups", tuple(groups))
        assert self._layers  # refuses groups that are no tree

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        groups = (((0, 1, 2, 3, 4), 0.4), ((0, 1), 0.7), ((1,), 0.3), ((3, 4), 0.5))

        def reference(cp: Any, y: Any) -> Any:
            return sum(weight * cp.norm(y[list(indices)], 2) for indices, weight in groups)

        def separate(cp: Any, y: Any) -> Any:
            return cp.sum(0.9 * cp.norm(y[:, :3], 2, axis=1) + 0.2 * cp.norm(y[:, 4:], 2, axis=1))

        return (
            Sample(lambda a: cls(groups), (5,), reference),
            Sample(lambda a: cls((((0, 1, 2), 0.9), ((4, 5), 0.2))), (2, 6), separate),
        )

    @property
    def domain(self) -> Function:
        return Zero(batch_ndim=self.batch_ndim)

    @cached_property
    def _layers(self) -> list[Layer]:
        return [Layer("TreeGroupL2", part) for part in nesting("TreeGroupL2", self.groups)]

    def __call__(self, x: Array) -> Array:
        return value_of([layer.on(x) for layer in self._layers], x, self.batch_ndim)

    def _steps(self, x: Array, step: Any) -> tuple[Array, list[Shrunk]]:
        """The prox, and what each layer did on the way."""
        xp = arrays.namespace(x)
        steps = []
        for layer in (layer.on(x) for layer in self._layers):
            size, reach = layer.sizes(x), step * layer.weights
            moving = size > reach
            safe = xp.where(moving, size, xp.ones_like(size))
            ratio = xp.where(moving, reach / safe, xp.zeros_like(size))
            kept = xp.where(moving, 1.0 - ratio, xp.zeros_like(size))
            factor = layer.spread(xp.where(size == size, kept, size), 1.0)
            steps.append(Shrunk(layer, factor, x * layer.spread(1.0 / safe, 0.0), ratio))
            x = x * factor
        return x, steps

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.with_derivative(x, step, self._steps(autodiff.detach(x), autodiff.detach(step))[0])

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        _, steps = self._steps(x, step)

        def apply(h: Array) -> Array:
            for one in steps:
                h = one.derivative(h)
            return h

        return SelfAdjointMap(apply, shape_of(x))

    def value_formula(self, x: str) -> str:
        return f"sum w |{x}_g|_2 over {len(self.groups)} nested groups"


class Swept(NamedTuple):
    """A candidate for the prox, its duality gap (times the step, one entry a row), and which groups of each layer live."""

    point: Array
    gap: Array
    living: list[Array]


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
    prox: p = x - sum of u_g with u_g on group g, |u_g| <= step weight_g, by exact block ascent on the dual: each u_g in turn
    is the projection of what the others leave, disjoint groups at once, with Nesterov's inertia, given up where the dual falls.
    Entries of groups whose u_g is inside its ball are set
    to 0; |p - q|^2/2 + sum_g (step weight_g |p_g| - <p_g, u_g>) with q = x - sum of u_g, step times the duality gap, certifies
    p. **Domain** everything. **Constants** mu = 0, not smooth; f of one vector is (sum of weights)-Lipschitz. **Cost** a sweep
    is linear in the lengths of all groups together; 10 to 100 sweeps as a rule, thousands where long chains of overlapping
    groups vanish together. **Derivative** of the prox: 0 on the groups
    that vanish; on the other entries the solution d of d + step sum_g weight_g/|p_g| (d_g - v_g <v_g, d_g>) = h, v_g =
    p_g/|p_g|, over the other groups, by conjugate gradients to 1e-13. Taken at a prox of tolerance 1e-9 at most.

    References
    ----------
    Jenatton, Mairal, Obozinski and Bach (2011), Proximal methods for hierarchical sparse coding, for the block ascent.

    Examples
    --------
    >>> import numpy as np
    >>> f = OverlappingGroupL2((((0, 1), 1.0), ((1, 2), 1.0)), tolerance=1e-10)
    >>> f.prox(np.array([3.0, 0.0, 0.5]), 1.0)
    array([2., 0., 0.])
    """

    size_floor: ClassVar[float] = 0.0

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

    @property
    def domain(self) -> Function:
        return Zero(batch_ndim=self.batch_ndim)

    @cached_property
    def _layers(self) -> list[Layer]:
        return [Layer("OverlappingGroupL2", part) for part in colours(self.groups)]

    def __call__(self, x: Array) -> Array:
        return value_of([layer.on(x) for layer in self._layers], x, self.batch_ndim)

    def prox_certified(self, x: Array, step: float = 1.0, tolerance: float | None = None) -> CertifiedProx:
        best, iterations = self._sweep([layer.on(x) for layer in self._layers], x, step, tolerance)
        xp = arrays.namespace(x)
        error = xp.sqrt(2.0 * best.gap)
        converged = bool(xp.all(error <= self.target_error(x, tolerance)))
        return CertifiedProx(best.point, best.gap / step, error, iterations, converged)

    def _sweep(self, layers: Sequence[LayerOn], x: Array, step: Any, tolerance: float | None) -> tuple[Swept, int]:
        """Sweeps until the certified error is what was asked for, or all that the digits give if that is enough."""
        xp = arrays.namespace(x)
        chosen = tolerance if tolerance is not None else self.tolerance
        relative = max(DEFAULT_TOLERANCE if chosen is None else chosen, arrays.epsilon(x))
        aim, enough = relative * arrays.norm(x, self.batch_ndim), self.target_error(x, tolerance)
        reaches = [step * layer.weights for layer in layers]
        duals = before = [xp.zeros_like(x) for _ in layers]
        lowest, inertia = math.inf + 0.0 * enough, 0.0 * enough + 1.0
        best, iterations, idle = None, 0, 0
        with np.errstate(invalid="ignore", over="ignore"):
            while True:
                iterations += 1
                following = 0.5 * (1.0 + xp.sqrt(1.0 + 4.0 * inertia * inertia))
                ahead = (inertia - 1.0) / following
                starts = [dual + arrays.scale_rows(ahead, dual - old) for dual, old in zip(duals, before, strict=True)]
                found, living = _project(layers, reaches, starts, x)
                q = x - sum(found[1:], found[0])
                objective = arrays.row_sum(q * q, self.batch_ndim)
                turn = sum(
                    arrays.row_sum((a - b) * (b - c), self.batch_ndim) for a, b, c in zip(starts, found, duals, strict=True)
                )
                failed = (objective > lowest) & (ahead > 0)  # the dual fell: back to the last point, without inertia
                restart = failed | (turn > 0)
                if not arrays.holds_everywhere(~failed):
                    found = [arrays.select_rows(failed, dual, new) for dual, new in zip(duals, found, strict=True)]
                    q = x - sum(found[1:], found[0])
                before = [arrays.select_rows(restart, new, dual) for dual, new in zip(duals, found, strict=True)]
                duals = found
                lowest = xp.where(failed, lowest, objective)
                inertia = xp.where(restart, xp.ones_like(inertia), following)
                if iterations > ALWAYS_CERTIFIED and iterations % 4 and iterations < self.max_iter:
                    continue
                swept = self._certified(layers, reaches, duals, living, q)
                idle = idle + 1 if best is not None and arrays.holds_everywhere(~(swept.gap < STALLED * best.gap)) else 0
                best = swept if best is None else _better(best, swept)
                error = xp.sqrt(2.0 * best.gap)
                ended = (error <= aim) | ~(error < math.inf)
                if idle >= PATIENCE:
                    ended = ended | (error <= enough)
                if arrays.holds_everywhere(ended) or iterations >= self.max_iter:
                    return best, iterations

    def _certified(
        self, layers: Sequence[LayerOn], reaches: list[Array], duals: list[Array], living: list[Array], q: Array
    ) -> Swept:
        """The better of q and of q set to 0 on the groups that vanish, row by row, with its gap."""
        xp = arrays.namespace(q)

        def gap(p: Array) -> Array:
            total = 0.5 * arrays.row_sum((p - q) * (p - q), self.batch_ndim)
            for layer, reach, dual in zip(layers, reaches, duals, strict=True):
                total = total + arrays.row_sum(reach * layer.sizes(p) - layer.sums(p * dual), self.batch_ndim)
            return arrays.clip(total, 0.0, None)

        sparse = q * _free(layers, living)
        first, second = gap(sparse), gap(q)
        better = ~(second < first)
        return Swept(arrays.select_rows(better, sparse, q), xp.where(better, first, second), living)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        xp = arrays.namespace(x)
        still = autodiff.detach(x)
        layers = [layer.on(still) for layer in self._layers]
        relative = DERIVATIVE_TOLERANCE if self.tolerance is None else min(self.tolerance, DERIVATIVE_TOLERANCE)
        solved, _ = self._sweep(layers, still, autodiff.detach(step), relative)
        free = _free(layers, solved.living)
        p = solved.point * free
        diagonal, bends = xp.ones_like(p), []
        for layer, living in zip(layers, solved.living, strict=True):
            size = layer.sizes(p)
            unit = p * layer.spread(1.0 / nonzero(size), 0.0)
            reach = autodiff.detach(step) * layer.weights
            bend = layer.spread(xp.where(living & (size > 0), reach / nonzero(size), xp.zeros_like(size)), 0.0)
            bends.append((layer, bend, unit))
            diagonal = diagonal + bend * (1.0 - unit * unit)

        def optimality(d: Array) -> Array:
            total = d
            for layer, bend, unit in bends:
                total = total + bend * (d - unit * layer.spread(layer.sums(unit * d), 0.0))
            return free * total

        return SelfAdjointMap(lambda h: conjugate_gradients(optimality, diagonal, free * h), shape_of(x))

    def value_formula(self, x: str) -> str:
        return f"sum w |{x}_g|_2 over {len(self.groups)} groups"


def _project(layers: Sequence[LayerOn], reaches: list[Array], starts: list[Array], x: Array) -> tuple[list[Array], list[Array]]:
    """One sweep: each u_g in turn is the projection of what the others leave; and which groups live."""
    xp = arrays.namespace(x)
    q, found, living = x - sum(starts[1:], starts[0]), [], []
    for layer, reach, start in zip(layers, reaches, starts, strict=True):
        left = q + start
        size = layer.sizes(left)
        inside = size <= reach
        living.append(~inside | (reach == 0))
        found.append(left * layer.spread(xp.where(inside, xp.ones_like(size), reach / nonzero(size)), 0.0))
        q = left - found[-1]
    return found, living


def _better(a: Swept, b: Swept) -> Swept:
    """Row by row the one with the smaller gap."""
    rows = a.gap < b.gap
    living = [arrays.select_rows(rows, first, second) for first, second in zip(a.living, b.living, strict=True)]
    gap = arrays.namespace(a.gap).where(rows, a.gap, b.gap)
    return Swept(arrays.select_rows(rows, a.point, b.point), gap, living)


def _free(layers: Sequence[LayerOn], living: Sequence[Array]) -> Array:
    """1 on the entries that no vanishing group holds, else 0."""
    parts = [
        layer.spread(arrays.namespace(alive).astype(alive, layer.weights.dtype), 1.0)
        for layer, alive in zip(layers, living, strict=True)
    ]
    product = parts[0]
    for part in parts[1:]:
        product = product * part
    return product


def conjugate_gradients(matrix: Callable[[Array], Array], diagonal: Array, b: Array) -> Array:
    """matrix^-1 b along the last axis, for a positive definite matrix, preconditioned with its diagonal."""
    xp = arrays.namespace(b)

    def inner(a: Array, c: Array) -> Array:
        return xp.sum(a * c, axis=-1, keepdims=True)

    d, residual = xp.zeros_like(b), b
    direction = z = residual / diagonal
    size = inner(residual, z)
    limit = max(SOLVE_TOLERANCE, arrays.epsilon(b)) ** 2 * size
    for _ in range(2 * b.shape[-1] + 20):
        if arrays.holds_everywhere(~(size > limit)):
            break
        moved = matrix(direction)
        length = size / nonzero(inner(direction, moved))
        d, residual = d + length * direction, residual - length * moved
        z = residual / diagonal
        following = inner(residual, z)
        direction = z + (following / nonzero(size)) * direction
        size = following
    return d
