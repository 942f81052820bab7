"""The step rule that adaPD and adaPD+ share (Latafat, Themelis, Stella and Patrinos 2023, Algorithms 2 and 3)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from monops import arrays
from monops.algorithms import adaptive
from monops.algorithms.shared.saddle_form import BlockResolvent
from monops.arrays import Array
from monops.constants import Constants
from monops.linear import LinearMap
from monops.theory import Guarantee, Missing

NU = 1.2  # above 1 + EPSILON
EPSILON = 1e-6


class Terms(NamedTuple):
    """f by its gradient, A by its prox, ``dual`` the subdifferential of the conjugate; sqrt of dual over primal step; |K|."""

    A: Any
    dual: BlockResolvent
    map: LinearMap
    f: Any
    step_size: float
    ratio: float
    norm: float
    batch_ndim: int
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


def guarantee(A: Constants, inverse_B: Constants, f: Constants, source: str) -> Guarantee | Missing:
    """All three subdifferentials, and the gradient of f locally Lipschitz: the steps find themselves."""
    for name, operator in (("A", A), ("B", inverse_B), ("C", f)):
        if not operator.cyclic:
            return Missing(
                f"{name} is not known to be the subdifferential of a convex function",
                "use CondatVu or ForwardBackwardForward, which need only monotone operators and constants",
            )
    return Guarantee(
        interval=(0, math.inf), best_step=1.0, formula="0 < step_size", rate="primal-dual gap O(1/k)", source=source
    )


def growth(step: Array, previous: Array) -> Array:
    """step sqrt(1 + step/previous): no step grows faster."""
    return step * arrays.namespace(step).sqrt(1.0 + step / previous)


def curvature(step: Array, dx: Array, dg: Array, batch_ndim: int) -> Array:
    """D = step l (step c - 1) with the local estimates l = <dg, dx>/|dx|^2 and c = |dg|^2/<dg, dx>; 0 where x did not move."""
    top = step * step * arrays.inner(dg, dg, batch_ndim) - step * arrays.inner(dg, dx, batch_ndim)
    return adaptive.ratio(top, arrays.inner(dx, dx, batch_ndim), 0.0)


def curvature_bound(step: Array, D: Array, coupling: Array, xi: Array) -> Array:
    """step sqrt((1 - 4 xi)/(2 (1 + eps)(D + sqrt(D^2 + coupling (1 - 4 xi))))), xi = (1 + eps)^2 coupling at the last step."""
    xp = arrays.namespace(step)
    room = xp.where(xi < 0.25, 1.0 - 4.0 * xi, xp.zeros_like(xi))
    inside = coupling * room
    root = xp.sqrt(D * D + inside)
    # for D < 0 the sum cancels: D + root = inside/(root - D)
    below = xp.where(D > 0, D + root, adaptive.ratio(inside, root - D, 0.0))
    return step * xp.sqrt(adaptive.ratio(room, 2.0 * (1.0 + EPSILON) * below, math.inf))
