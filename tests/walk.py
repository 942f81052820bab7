"""The public functions with their samples, found by walking the package: nothing can be forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from monops import arrays, functions
from monops.functions import Function
from monops.functions.sample import Sample
from tests.strategies import point

CLASSES = tuple(
    sorted(
        (
            value
            for value in vars(functions).values()
            if isinstance(value, type) and issubclass(value, Function) and value.__name__ in functions.__all__
        ),
        key=lambda cls: cls.__name__,
    )
)


class Case(NamedTuple):
    """One sample of one class."""

    cls: type
    sample: Sample

    @property
    def f(self) -> Function:
        """The instance on NumPy."""
        return self.sample.build(host)

    def x(self, seed: int = 0, scale: float | None = None, batch: tuple[int, ...] = ()) -> Any:
        """A random point."""
        return point(self.sample.shape, host, seed, self.sample.scale if scale is None else scale, batch)

    def close(self, a: Any, b: Any, factor: float = 1.0, size: float = 1.0) -> None:
        """Assert |a - b| <= accuracy (1 + |a|), leaf by leaf."""
        tolerance = factor * self.sample.accuracy
        for got, wanted in zip(arrays.leaves(a), arrays.leaves(b), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * max(size, 1.0))


def host(values: Any) -> np.ndarray:
    """A NumPy array; lists become float64."""
    array = np.array(values)
    return array if array.dtype.kind in "fc" else array.astype(float)


CASES = tuple(Case(cls, sample) for cls in CLASSES if cls is not Function for sample in cls.samples())
IDS = [f"{case.cls.__name__}-{sum(other.cls is case.cls for other in CASES[:index])}" for index, case in enumerate(CASES)]
every_case = pytest.mark.parametrize("case", CASES, ids=IDS)


def every(predicate: Callable[[Case], bool]) -> Any:
    """Parametrisation by the cases for which the predicate holds; a case that cannot be built stays in, and fails there."""

    def chosen(case: Case) -> bool:
        try:
            return predicate(case)
        except Exception:  # whatever is wrong with it, the tests of that case must say so
            return True

    kept = [(case, name) for case, name in zip(CASES, IDS, strict=True) if chosen(case)]
    return pytest.mark.parametrize("case", [case for case, _ in kept], ids=[name for _, name in kept])


every_convex_case = every(lambda case: case.f.is_convex)
every_complex_case = every(lambda case: case.sample.is_complex)


def inner(x: Any, y: Any) -> float:
    """<x, y> as a float."""
    return float(arrays.inner(x, y))


def size(x: Any) -> float:
    """|x| as a float."""
    return inner(x, x) ** 0.5
