"""What torch and JAX record: whether they do, how to cut data off, and how to attach exact derivatives to computed numbers.

Neither library is imported: their arrays are only met when the caller has imported them.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from monops import arrays
from monops.arrays import Array, Blocks


def tracks_gradient(*values: Any) -> bool:
    """Whether torch or JAX is recording derivatives with respect to one of the arrays (JAX's jit alone records none)."""
    jax = sys.modules.get("jax")
    for value in values:
        if type(value) is np.ndarray:
            continue
        for leaf in arrays.leaves(value):
            if getattr(leaf, "requires_grad", False):
                return True
            if jax is not None and _is_recorded_by_jax(jax, leaf):
                return True
    return False


def _is_recorded_by_jax(jax: Any, leaf: Any) -> bool:
    """Whether cutting a tracer off leaves plain numbers; what jit traces is a tracer on either side."""
    return isinstance(leaf, jax.core.Tracer) and not isinstance(jax.lax.stop_gradient(leaf), jax.core.Tracer)


def detach(value: Any) -> Any:
    """The same numbers, cut off from the record of derivatives; anything but a recorded array is handed through."""
    if not tracks_gradient(value):
        return value
    jax = sys.modules.get("jax")

    def cut(leaf: Array) -> Array:
        if hasattr(leaf, "detach"):
            return leaf.detach()
        return leaf if jax is None else jax.lax.stop_gradient(leaf)

    return arrays.tree_map(cut, value)


def solve_through(solve: Callable[[Array], Array], apply: Callable[[Array], Array], right: Array) -> Array:
    """x with A x = right, where ``solve`` is A^-1 without a record of derivatives and ``apply`` is A with one.

    Each refinement x + A^-1 (right - A x) multiplies the part of a perturbation of A that x has missed by that perturbation:
    after two, first and second derivatives are exact. Eigenvectors, whose derivatives do not exist where eigenvalues meet, are
    never differentiated.
    """
    x = solve(right)
    for _ in range(2):
        x = x + solve(right - apply(x))
    return x


class Source(NamedTuple):
    """An input of a map with its derivative: ``adjoint`` takes a change of the output back to one of the input."""

    value: Array
    apply: Callable[[Array], Array]
    adjoint: Callable[[Array], Array]


def attach(point: Array, sources: Sequence[Source]) -> Array:
    """``point``, with the given linear maps recorded as its derivatives in the sources (torch: both modes; JAX: reverse)."""
    structure, flat = point, arrays.leaves(point)
    inputs = [leaf for source in sources for leaf in arrays.leaves(source.value)]

    def pulled(changes: Sequence[Array]) -> list[Array]:
        back = _rebuild(structure, list(changes))
        return [leaf for source in sources for leaf in arrays.leaves(source.adjoint(back))]

    if "torch" in sys.modules and array_api_compat.is_torch_array(flat[0]):

        def pushed(tangents: Sequence[Array | None]) -> list[Array]:
            remaining, total = list(tangents), [0.0 * leaf for leaf in flat]
            for source in sources:
                flat_value = arrays.leaves(source.value)
                parts = [remaining.pop(0) for _ in flat_value]
                known = [0.0 * leaf if part is None else part for leaf, part in zip(flat_value, parts, strict=True)]
                moved = arrays.leaves(source.apply(_rebuild(source.value, known)))
                total = [a + b for a, b in zip(total, moved, strict=True)]
            return total

        return _rebuild(structure, list(_torch_attachment().apply(pulled, pushed, flat, *inputs)))
    jax = sys.modules["jax"]
    attached = jax.custom_vjp(lambda *_: tuple(flat))
    attached.defvjp(lambda *_: (tuple(flat), None), lambda _, changes: tuple(pulled(changes)))
    return _rebuild(structure, list(attached(*inputs)))


def _rebuild(structure: Array, flat: list[Array]) -> Array:
    """A point of the given structure from its leaves, which are used up."""
    if isinstance(structure, Blocks):
        return Blocks([_rebuild(block, flat) for block in structure])
    return flat.pop(0)


@functools.cache
def _torch_attachment() -> Any:
    torch = sys.modules["torch"]

    class Attachment(torch.autograd.Function):  # type: ignore[name-defined]
        """Constant outputs with given linear maps as derivatives."""

        @staticmethod
        def forward(ctx: Any, pulled: Any, pushed: Any, flat: Any, *inputs: Any) -> Any:
            ctx.pulled, ctx.pushed, ctx.shapes = pulled, pushed, [leaf.shape for leaf in inputs]
            return tuple(leaf.clone() for leaf in flat)

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator] # a second one would be 0, silently
        def backward(ctx: Any, *changes: Any) -> Any:
            back = ctx.pulled(changes)
            return (None, None, None, *(leaf.reshape(shape) for leaf, shape in zip(back, ctx.shapes, strict=True)))

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            return tuple(ctx.pushed(tangents[3:]))

    return Attachment
