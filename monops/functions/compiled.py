"""Loops that numba compiles where it is installed; elsewhere the same source runs as Python."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import Any


@functools.cache
def has_compiler() -> bool:
    """Whether numba (the optional extra ``fast``) is installed; does not import it."""
    return importlib.util.find_spec("numba") is not None


class Compiled:
    """A function compiled at its first call, so that importing monops does not import numba (half a second).

    Parameters
    ----------
    function : callable
        On numbers and NumPy arrays, in the subset of Python that numba knows. Kept as ``python``: the reference of tests.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.python = function
        self._fast: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        if self._fast is None:
            self._fast = _compile(self.python) if has_compiler() else self.python
        return self._fast(*arguments)


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    import numba  # half a second: paid by the first call only

    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}  # no test for a zero divisor: it would stop SIMD
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep the machine code in
        return numba.njit(**options)(function)


def compiled(function: Callable[..., Any]) -> Compiled:
    """Decorator: numba.njit(cache=True) when numba is installed, else the plain function.

    Examples
    --------
    >>> @compiled
    ... def double(x):
    ...     return 2 * x
    >>> double.python(3)
    6
    """
    return Compiled(function)
