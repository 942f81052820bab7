"""Problems and terms with and without a record of derivatives: the same objects around other arrays."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

from monops import arrays, autodiff
from monops.algorithms import Algorithm
from monops.algorithms.shared.penalized_step import ByDiagonalization, ByInverse
from monops.arrays import Array, Blocks
from monops.constants import Constants, Known
from monops.differentiate.twins import BOUNDED, ThroughBounds, ThroughForward, through_correction
from monops.linear import LinearMap
from monops.problem import Inclusion, Summand, Term, named_arrays
from monops.theory import Guarantee

NUMBERS = (bool, int, float, str, Constants, Known, Guarantee)


def rebuilt(item: Any, replace: Callable[[Array], Array], known: dict[int, Any] | None = None) -> Any:
    """The same problem, summand, linear map or tuple of them, around the arrays ``replace(array)``; its caches are empty.

    Nothing is checked or computed again, because the numbers are the same; an object that stands in two places still does.
    """
    known = {} if known is None else known
    if id(item) not in known:
        if isinstance(item, Blocks) or arrays.is_array(item):
            known[id(item)] = arrays.tree_map(replace, item)
        elif isinstance(item, (Inclusion, Term, Summand, LinearMap)) and dataclasses.is_dataclass(item):
            fields = {name: rebuilt(value, replace, known) for name, value in _fields(item).items()}
            known[id(item)] = _with_fields(item, fields)
        elif isinstance(item, tuple):
            known[id(item)] = _like(item, [rebuilt(part, replace, known) for part in item])
        elif isinstance(item, dict):  # what a summand keeps from one call to the next
            known[id(item)] = {}
        else:
            return item
    return known[id(item)]


def holds_callable(item: Any) -> bool:
    """Whether a problem has functions among its data, which may hold arrays of their own."""
    if isinstance(item, (Inclusion, Term, Summand, LinearMap)) and dataclasses.is_dataclass(item):
        return any(holds_callable(value) for value in _fields(item).values())
    return any(map(holds_callable, item)) if isinstance(item, tuple) else callable(item)


def lend_numbers(still: Any, live: Any) -> None:
    """Give the constants and norms that were computed for ``still`` to ``live``, the same problem around recorded arrays."""
    if isinstance(still, tuple):
        for one, other in zip(still, live, strict=True):
            lend_numbers(one, other)
    elif isinstance(still, (Inclusion, Term, Summand, LinearMap)) and dataclasses.is_dataclass(still):
        fields = _fields(still)
        for name, value in fields.items():
            lend_numbers(value, getattr(live, name))
        vars(live).update({name: value for name, value in vars(still).items() if name not in fields and _is_number(value)})


def recorded_terms(method: Algorithm, live: Inclusion, terms: Any) -> Any:
    """The terms of a method around the recorded arrays of ``live``, with the step sizes and constants of ``terms``."""
    with warnings.catch_warnings():  # numbers read off recorded tensors are not used: those of ``terms`` are
        warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad")
        matched = method.match(live)
    return _paired(matched, terms)


def _paired(live: Any, still: Any) -> Any:
    """The operators of ``live`` with the numbers of ``still``."""
    if isinstance(live, NUMBERS):
        return still
    if isinstance(live, (Blocks, LinearMap)) or arrays.is_array(live):
        return live
    if isinstance(live, tuple):
        parts = [_paired(one, other) for one, other in zip(live, still, strict=True)]
        return _like(live, parts)
    if not dataclasses.is_dataclass(live):
        return live
    if isinstance(live, (ByInverse, ByDiagonalization)):
        return through_correction(live, still)
    if isinstance(live, (Term, Summand)) and _is_recorded(live):
        if live.has_forward and live.has_resolvent and live.constants.affine:
            return ThroughForward(live, still)
        if isinstance(live, BOUNDED):
            return ThroughBounds(live, still)
    fields = _fields(live)
    changes = {name: _paired(value, getattr(still, name)) for name, value in fields.items()}
    unchanged = all(changes[name] is value or isinstance(value, NUMBERS) for name, value in fields.items())
    return live if unchanged else _with_fields(live, changes)


def _is_recorded(operator: Term | Summand) -> bool:
    summand = operator.summand if isinstance(operator, Term) else operator
    return any(autodiff.tracks_gradient(array) for _, array in named_arrays(summand, ""))


def _fields(item: Any) -> dict[str, Any]:
    return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}


def _with_fields(item: Any, fields: dict[str, Any]) -> Any:
    """An object of the same class with these fields, and nothing computed from others."""
    copy = object.__new__(type(item))
    vars(copy).update(fields)
    return copy


def _like(item: tuple[Any, ...], parts: list[Any]) -> Any:
    return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)


def _is_number(value: Any) -> bool:
    return isinstance(value, NUMBERS) or (isinstance(value, tuple) and all(isinstance(part, NUMBERS) for part in value))
