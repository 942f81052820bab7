"""The affine operator of an equilibrium layer, z -> (I - W) z - c for every row, and what is computed once of I - W."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from monops.constants import Constants
from monops.errors import ConstantError, ShapeError
from monops.operators import Operator


@final
@dataclass(frozen=True, eq=False)
class System:
    """The matrix M = I - W of one forward pass, its exact constants and its resolvent matrices.

    One object serves the forward and the backward solve and is then forgotten; the module never holds it.

    Parameters
    ----------
    matrix : tensor (n, n), float32 or float64, detached
        M = I - W.

    Raises
    ------
    ShapeError
        When the matrix is not square.
    ConstantError
        When it is not strongly monotone (or not finite), naming the least eigenvalue of its symmetric part.

    Notes
    -----
    **Constants**, exact up to a rounding margin on the safe side: mu = lambda_min(sym M), L = |M|_2,
    beta = lambda_min(sym M^-1). They are the same for M' (M' has the same symmetric part, norm and sym of the inverse).
    **Cost** one inverse and three symmetric eigenvalue problems, n^3; then one inverse for each step size.

    References
    ----------
    Winston and Kolter (2020), Monotone operator equilibrium networks. Bauschke and Combettes (2017), Example 20.15.

    Examples
    --------
    >>> import torch
    >>> known = System(torch.tensor([[1.0, -1.0], [1.0, 1.0]], dtype=torch.float64)).constants
    >>> round(known.strong_monotonicity, 9), round(known.cocoercivity, 9)
    (1.0, 0.5)
    """

    matrix: Tensor
    _inverses: dict[float, Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or self.matrix.shape[0] != self.matrix.shape[1]:
            raise ShapeError(f"System: I - W must be a square matrix, got shape {tuple(self.matrix.shape)}")

    @cached_property
    def constants(self) -> Constants:
        """Mu, beta and L of z -> M z and of z -> M' z."""
        M = self.matrix
        if not bool(torch.isfinite(M).all()):
            raise ConstantError("the weight W contains NaN or infinity: lower the learning rate, or clip the gradient")
        inverse, info = torch.linalg.inv_ex(M)
        if int(info) != 0 or not bool(torch.isfinite(inverse).all()):
            raise ConstantError(
                "I - W is singular, so that the equilibrium is not unique: use MonotoneLinear with monotonicity > 0"
            )
        stacked = torch.stack((0.5 * (M + M.mT), 0.5 * (inverse + inverse.mT), M.mT @ M))
        values = torch.linalg.eigvalsh(stacked)[:, [0, -1]].tolist()
        (least, _), (cocoercivity, inverse_top), (_, gram_top) = values
        rounding = 4.0 * M.shape[0] * torch.finfo(M.dtype).eps
        lipschitz = math.sqrt(max(gram_top, 0.0))
        mu = least - rounding * lipschitz
        if mu <= 0:
            raise ConstantError(
                f"I - W is not strongly monotone: lambda_min of its symmetric part is {least:.6g}, so that the equilibrium "
                f"need not exist or be unique; subtract at least {-mu:.3g} times the identity from W, or use MonotoneLinear"
            )
        beta = max(cocoercivity - rounding * abs(inverse_top), mu / lipschitz**2)
        return Constants(
            min(mu, lipschitz),
            min(beta, 1.0 / lipschitz),
            lipschitz,
            affine=True,
            why={
                "strong_monotonicity": "computed: least eigenvalue of the symmetric part of I - W",
                "cocoercivity": "computed: least eigenvalue of the symmetric part of (I - W)^-1",
                "lipschitz": "computed: largest singular value of I - W",
            },
        )

    def resolvent_matrix(self, step: float) -> Tensor:
        """(I + step M)^-1, kept for each step size of this pass."""
        found = self._inverses.get(step)
        if found is None:
            identity = torch.eye(self.matrix.shape[0], dtype=self.matrix.dtype, device=self.matrix.device)
            found = torch.linalg.inv(identity + step * self.matrix)
            self._inverses[step] = found
        return found


@final
@dataclass(frozen=True, eq=False)
class EquilibriumOperator(Operator):
    """z -> (I - W) z - c for every row (``adjoint=True``: (I - W') z - c); resolvent (I + a (I - W))^-1 (z + a c).

    Parameters
    ----------
    system : System
        I - W with its constants.
    injection : tensor (batch, n) or None
        c, one row a sample; ``None`` is 0. Rows may contain NaN: they touch no other row.
    adjoint : bool, default False
        Take the transpose of I - W, for the backward pass.

    Raises
    ------
    ShapeError
        When c does not end in n.

    Notes
    -----
    **Constants** of the System. **Cost** one product batch x n x n for a value, the same for a resolvent after one inverse.

    References
    ----------
    Winston and Kolter (2020), Theorems 1 and 3.

    Examples
    --------
    >>> import torch
    >>> A = EquilibriumOperator(System(2.0 * torch.eye(2)), torch.ones(1, 2))
    >>> A.forward(torch.ones(1, 2)), A.resolvent(torch.ones(1, 2), 1.0)
    (tensor([[1., 1.]]), tensor([[0.6667, 0.6667]]))
    """

    system: System
    injection: Tensor | None = None
    adjoint: bool = False

    def __post_init__(self) -> None:
        n = self.system.matrix.shape[0]
        if self.injection is not None and (self.injection.ndim == 0 or self.injection.shape[-1] != n):
            raise ShapeError(f"the injection has shape {tuple(self.injection.shape)}, but W has {n} features")

    @cached_property
    def constants(self) -> Constants:
        return self.system.constants

    @property
    def input_shape(self) -> Any:
        return (int(self.system.matrix.shape[0]),)

    def transposed(self, gradient: Tensor | None = None) -> EquilibriumOperator:
        """The map u -> (I - W') u - gradient on the same System: the affine operator of the backward pass."""
        return EquilibriumOperator(self.system, gradient, not self.adjoint)

    def forward(self, x: Tensor) -> Tensor:
        value = x @ (self.system.matrix if self.adjoint else self.system.matrix.mT)
        return value if self.injection is None else value - self.injection

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        inverse = self.system.resolvent_matrix(step)
        if self.injection is not None:
            x = torch.add(x, self.injection, alpha=step)
        return x @ (inverse if self.adjoint else inverse.mT)

    def formula(self, x: str) -> str:
        offset = "" if self.injection is None else " - c"
        return f"(I - W{chr(39) if self.adjoint else ''}) {x}{offset}"
