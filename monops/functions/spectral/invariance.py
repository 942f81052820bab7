"""Whether a function of a vector may be one of singular values or eigenvalues, which have neither places nor signs."""

from __future__ import annotations

from typing import Any

import numpy as np

from monops import arrays, autodiff
from monops.errors import DataError, MonopsError
from monops.functions.function import Function

ALLOWED_CHANGE = 1e-4  # relative: float32, and proxes that are iterated to a tolerance


def check_symmetric(owner: str, function: Any, signs: bool) -> None:
    """Raise DataError for a function that visibly depends on the order of its arguments (or, for ``signs``, on their signs).

    Tried out at two vectors, which have the length of the data of the function where there are arrays among them.
    """
    if not isinstance(function, Function):
        raise DataError(f"{owner}: function={function!r} must be a Function of the vector of values, for example L1Norm()")
    for name, array in function.named_arrays():
        host = arrays.to_numpy(autodiff.detach(array)) if array.ndim else np.zeros(1)
        if host.size and np.ptp(host) > 0 and not name.startswith("SortedL1"):
            raise DataError(
                f"{owner}: {name} has different entries, but singular values and eigenvalues have no places of their own: give "
                "numbers, not arrays, as data; for weights by rank use WeightedNuclearNorm"
            )
    if not function.has_prox:
        return
    data = [array for _, array in function.named_arrays()]
    like = autodiff.detach(data[0]) if data else np.empty(0)
    n = max([array.shape[-1] for array in data if array.ndim and array.shape[-1] > 1], default=4)
    row = function.batched(0)
    orders = np.roll(np.arange(n), 1), np.array([1, 0, *range(2, n)])  # a shift and a swap make every order
    flips = (-1.0) ** np.arange(n)

    def moved(x: np.ndarray) -> np.ndarray:
        return arrays.to_numpy(autodiff.detach(row.prox(arrays.from_numpy(x, like=like), 0.7)))

    by_order, by_sign = 0.0, 0.0
    for scale in (2.3, 100.0):
        probe = scale * np.cos(1.7 * np.arange(n) + 0.4)
        try:
            with np.errstate(all="ignore"):
                here, mirrored = moved(probe), moved(flips * probe)
                changed = [float(np.max(np.abs(here[..., order] - moved(probe[order])))) for order in orders]
        except (MonopsError, TypeError, ValueError):
            return  # it takes other shapes only, or numbers that cannot be read yet (jit)
        size = 1.0 + float(np.max(np.abs(here)))
        by_order = max(by_order, max(changed) / size)
        by_sign = max(by_sign, float(np.max(np.abs(flips * here - mirrored))) / size)
    if by_order > ALLOWED_CHANGE:
        raise DataError(
            f"{owner}: {type(function).__name__} depends on the order of its arguments, but singular values and eigenvalues "
            "have no places of their own: give it numbers, not arrays, as data; for weights by rank use WeightedNuclearNorm"
        )
    if signs and by_sign > ALLOWED_CHANGE:
        raise DataError(
            f"{owner}: {type(function).__name__} depends on the signs of its arguments, and such a function of singular values "
            "need not be convex: use its symmetric extension, for example Box(-r, r) for Box(0, r), or EigenvalueFunction"
        )
