"""What makes a LinearMap a linear map: the adjoint, linearity, and the bounds of its singular values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from monops import arrays
from monops.doctor.arithmetic_laws import Evaluation, arithmetic_laws
from monops.doctor.law import Law, Skip
from monops.doctor.points import Supply
from monops.doctor.tools import jacobian, unflat
from monops.errors import CapabilityError
from monops.linear import LinearMap


def linear_laws(item: LinearMap, supply: Supply) -> Iterator[Law | Skip]:
    """Every law of a linear map."""
    tight = 1e-10 if supply.is_double else 1e-4
    output = Supply(item.output_shape, supply.like, supply.count, supply.seed + 1, supply.rows)
    pairs = [{"x": x, "y": y} for x, y in zip(supply.randoms, output.randoms, strict=True)]
    pairs += [{"x": x, "y": y} for x in supply.coordinates for y in output.coordinates]
    yield Law(
        "shape of Kx and of K*y",
        "they lie in the spaces that input_shape and output_shape name",
        let=(f"expected = {item.output_shape!r}, {item.input_shape!r}",),
        left="float((shape_of(item.apply(x)), shape_of(item.adjoint(y))) != expected)",
        trials=pairs[:1],
    )
    yield Law(
        "adjoint",
        "definition: <Kx, y> = <x, K*y>",
        let=("Kx, Ky = item.apply(x), item.adjoint(y)",),
        left="abs(inner(Kx, y) - inner(x, Ky))",
        scale="norm(Kx) * norm(y) + norm(x) * norm(Ky)",
        trials=pairs,
        tolerance=tight,
    )
    yield Law(
        "linear",
        "definition: K(2x - 3y) = 2Kx - 3Ky",
        let=("Kx, Ky = item.apply(x), item.apply(y)",),
        left="norm(item.apply(2.0 * x - 3.0 * y) - (2.0 * Kx - 3.0 * Ky))",
        scale="norm(Kx) + norm(Ky)",
        trials=[{"x": x, "y": y} for x, y in supply.pairs],
        tolerance=tight,
    )
    yield from _norm_laws(item, supply)
    if item.has_regularized_inverse:
        yield Law(
            "regularised inverse",
            "definition: r + step K*Kr = x",
            let=("r = item.regularized_inverse(x, step)",),
            left="norm(r + step * item.adjoint(item.apply(r)) - x)",
            scale="norm(x) + step * norm(item.adjoint(item.apply(r)))",
            trials=[{"x": x, "step": step} for x in supply.randoms for step in (0.1, 1.0, 10.0)],
            tolerance=100 * tight,
        )
    else:
        yield Skip("regularised inverse", "", "it has no closed form")
    forward = Evaluation("Kx", "item.apply(x)", "item.apply(rows)", same_shape=False)
    yield from arithmetic_laws(item, supply, forward)
    backward = Evaluation("K*y", "item.adjoint(x)", "item.adjoint(rows)", same_shape=False)
    yield from arithmetic_laws(item, output, backward)


def _norm_laws(item: LinearMap, supply: Supply) -> Iterator[Law | Skip]:
    trials = [{"x": x} for x in [*_singular_directions(item, supply), *supply.coordinates, *supply.randoms]]
    try:
        known = item.norm
    except CapabilityError as error:
        yield Skip("norm", "", str(error))
    else:
        yield Law(
            "norm",
            f"claimed: |Kx| <= |K| |x|, |K| {known.why}",
            let=("Kx = item.apply(x)",),
            left="norm(Kx)",
            right="bound * norm(x)",
            scale="bound * norm(x) + norm(Kx)",
            trials=trials,
            tolerance=1e-7 if supply.is_double else 1e-4,
            constants={"bound": float(known.value)},
            claim=True,
        )
    known = item.smallest_singular_value
    yield Law(
        "smallest singular value",
        f"claimed: |Kx| >= sigma |x|, sigma {known.why}",
        let=("Kx = item.apply(x)",),
        left="sigma * norm(x)",
        right="norm(Kx)",
        scale="norm(x) * (sigma + bound)",
        trials=trials,
        tolerance=1e-7 if supply.is_double else 1e-4,
        constants={"sigma": float(known.value), "bound": max(float(known.value), 1.0)},
        claim=True,
    )


def _singular_directions(item: LinearMap, supply: Supply) -> list[Any]:
    """Extreme right singular vectors: exact for small maps, by power iteration on K*K else."""
    matrix = jacobian(item.apply, supply.zero, 1.0)
    if matrix is not None and matrix.size:
        right = np.linalg.svd(matrix)[2]
        return [unflat(right[0], supply.zero), unflat(right[-1], supply.zero)]
    x = supply.point(0)
    for _ in range(30):
        x = item.adjoint(item.apply(x))
        size = float(arrays.norm(x))
        if not 0 < size < np.inf:
            return []
        x = x / size
    return [x]
