"""What primal-dual methods share: 0 in Ax + Cx + K*BKx as an inclusion in (x, y), its start, its constants, steps by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from monops import arrays
from monops import constants as calculus
from monops.algorithms import adaptive
from monops.algorithms.roles import forward_operator, primal_dual_roles
from monops.arrays import Array, Blocks
from monops.constants import ZERO, Constants
from monops.errors import DataError
from monops.functions import Function, SeparableSum
from monops.linear import LinearMap
from monops.operators import Skew
from monops.problem import Inclusion, Term
from monops.theory import Guarantee, Missing


@dataclass(frozen=True, eq=False)
class BlockResolvent:
    """(y1, y2, ...) -> (A1 y1, A2 y2, ...) by resolvents; y -> A1 y alone where there is one operator."""

    operators: tuple[Any, ...]

    @cached_property
    def constants(self) -> Constants:
        """Constants of the product."""
        return calculus.product([operator.constants for operator in self.operators])

    @property
    def takes_many_steps(self) -> bool:
        """Whether every resolvent takes one step for each entry."""
        return all(getattr(operator, "takes_many_steps", False) for operator in self.operators)

    def resolvent(self, y: Array, step: float) -> Array:
        """The resolvents, all with one step."""
        return self._blockwise(lambda operator, block, s: operator.resolvent(block, step), y, None)

    def resolvent_by_row(self, y: Array, step: Array) -> Array:
        """The resolvents with one step a row, which has been through `adaptive.shared`."""
        return self._blockwise(lambda operator, block, s: adaptive.resolvent(operator, block, step), y, None)

    def resolvent_by_block(self, y: Array, steps: Array) -> Array:
        """The resolvents with one step (a number or an array of the block's shape) for each block."""
        return self._blockwise(lambda operator, block, s: operator.resolvent(block, s), y, steps)

    def _blockwise(self, apply: Callable[[Any, Array, Any], Array], y: Array, steps: Any) -> Array:
        if len(self.operators) == 1:
            return apply(self.operators[0], y, steps)
        each = (None,) * len(self.operators) if steps is None else steps
        return Blocks([apply(*parts) for parts in zip(self.operators, y, each, strict=True)])


class SaddleForm(NamedTuple):
    """A and B^-1 by resolvents, K linear, C forward (or None); ``blocks`` when the answer is (x, y)."""

    A: Any
    dual: BlockResolvent
    map: LinearMap
    forward: Any | None
    blocks: bool

    @property
    def takes_many_steps(self) -> bool:
        """Whether the rows of a batch may have steps of their own."""
        return self.dual.takes_many_steps and bool(getattr(self.A, "takes_many_steps", False))


def saddle_form(problem: Inclusion, constant: str | None) -> SaddleForm | Missing:
    """The roles of an inclusion with linear maps, or of a Saddle; terms with the known ``constant`` go forward."""
    summands = [term.summand for term in problem.terms if term.map is None]
    if len(summands) == 2 and len(problem.terms) == 2:
        for simple, skew in (summands, summands[::-1]):
            if isinstance(skew, Skew) and isinstance(simple, SeparableSum) and len(simple.functions) == 2:
                if not simple.has_resolvent:
                    return Missing("a function of the saddle has no closed-form prox", "use ForwardBackwardForward")
                return SaddleForm(simple.functions[0], BlockResolvent(simple.functions[1:]), skew.map, None, True)
    roles = primal_dual_roles(problem, constant)
    if isinstance(roles, Missing):
        return roles
    inverses = tuple(op.conjugate() if isinstance(op, Function) else op.inverse() for op in roles.dual.operators)
    return SaddleForm(roles.primal, BlockResolvent(inverses), roles.map, roles.forward, False)


def all_by_resolvents(problem: Inclusion) -> SaddleForm | Missing:
    """The roles where every term goes by its resolvent, or what is missing."""
    form = saddle_form(problem, None)
    if isinstance(form, Missing):
        return form
    return missing_monotonicity(form) or form


def missing_monotonicity(form: SaddleForm) -> Missing | None:
    """Which of A, B and C is not known to be monotone, or None."""
    for name, operator in (("A", form.A), ("B", form.dual), ("C", form.forward)):
        if operator is not None and not operator.constants.monotone:
            return Missing(
                f"{name} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is"
            )
    return None


def whole_constants(form: SaddleForm, with_norm: bool = True) -> Constants:
    """Constants of (x, y) -> (Ax + Cx + K*y, B^-1 y - Kx)."""
    parts = calculus.product([form.A.constants, form.dual.constants])
    skew = Constants(affine=True, skew=True, why="computed: skew")
    if with_norm:
        norm = form.map.norm
        skew = Constants(lipschitz=norm.value, affine=True, skew=True, why=norm.why)
    total = calculus.add(parts, skew)
    if form.forward is None:
        return total
    return calculus.add(total, calculus.product([form.forward.constants, ZERO]))


def start(map_: LinearMap, blocks: bool, x0: Array) -> tuple[Array, Array]:
    """The first (x, y): the start itself for a Saddle, else y = 0."""
    if blocks:
        x, y = x0
        return x, y
    shape = map_.input_shape
    if isinstance(x0, Blocks) and not (shape and isinstance(shape[0], tuple)):
        raise DataError("x0 of a problem with linear maps is the primal point alone: pass one array")
    return x0, 0.0 * map_.apply(x0)


def positive(value: float | None, default: float, method: str, name: str) -> float:
    """A setting that may be any positive number, or its default."""
    free = Guarantee((0, float("inf")), default, f"0 < {name}", "", "any positive number is proven")
    return free.resolve(value, method, name)


def dual_step(step: float, norm: float) -> float:
    """The dual step with step * dual_step * |K|^2 = 1; 1 where K = 0."""
    return 1.0 if norm == 0 else 1.0 / (step * norm**2)


def probe(x: Array, batch_ndim: int) -> Array:
    """One random point of the shape of a row of x, the same for every batch."""
    generator = np.random.default_rng(0)
    return arrays.tree_map(lambda leaf: arrays.from_numpy(generator.standard_normal(leaf.shape[batch_ndim:]), leaf), x)


def row_norm(x: Array, batch_ndim: int, together: bool) -> Array:
    """|x| of each row, or of the whole batch in every row where the rows share their steps."""
    size = arrays.norm(x, batch_ndim)
    if not together or size.ndim == 0:
        return size
    return arrays.namespace(size).zeros_like(size) + arrays.norm(size)


def three_operators(problem: Inclusion, usable: Callable[[Term], bool], way_out: str) -> SaddleForm | Missing:
    """The roles with a forward operator: every usable term without a map, or with one and no resolvent, goes forward."""

    def goes_forward(term: Term) -> bool:
        return usable(term) and (term.map is None or not term.summand.has_resolvent)

    forward = tuple(term for term in problem.terms if goes_forward(term))
    rest = tuple(term for term in problem.terms if not goes_forward(term))
    if not forward:
        return Missing("no term can go by its forward value", way_out)
    if len(rest) < 3 and all(term.map is None for term in rest):
        return Missing("no term that needs its resolvent has a linear map", "use ForwardBackward or DavisYin")
    form = saddle_form(Inclusion(rest, problem.batch_ndim), None)
    if isinstance(form, Missing):
        return form
    form = form._replace(forward=forward_operator(forward))
    return missing_monotonicity(form) or form


def known_cocoercivity(term: Term) -> bool:
    """Whether a term is monotone, has a forward value and a known positive cocoercivity."""
    beta = term.constants.cocoercivity
    return bool(term.has_forward and term.constants.monotone and beta is not None and beta > 0)


def has_gradient(term: Term) -> bool:
    """Whether a term is a convex function with a gradient, its Lipschitz constant known or not."""
    return bool(term.has_forward and term.constants.monotone and term.constants.cyclic)
