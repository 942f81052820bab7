"""What every parametrisation of W shares: an nn.Module whose parameters may take any value."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from monops.errors import DataError, ShapeError
from monops_nn.operators import EquilibriumOperator
from monops_nn.systems.system import System

SMALLEST = 100.0  # units of rounding that m must have
SINGLE_PRECISION = (torch.float32, torch.bfloat16, torch.float16)


class Parametrization(nn.Module, ABC):
    """W as a function of free parameters, with sym(I - W) >= m I for every value they take.

    A subclass gives ``shape``, the shape of one state as users see it; ``weights()``, the tensors W is made of; and
    ``system(weights)``. Where the solver's rows are not the flattened state (a border, several tiers), it gives ``enter`` and
    ``leave``. m is a buffer, or with ``learn_monotonicity`` the least m that rounding allows plus softplus of a free number.
    """

    shape: tuple[Any, ...]
    fixed_monotonicity: Tensor

    def __init__(
        self,
        monotonicity: float,
        learn_monotonicity: bool = False,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if isinstance(monotonicity, bool) or not isinstance(monotonicity, (int, float)) or not 0 < monotonicity < math.inf:
            raise DataError(f"monotonicity={monotonicity!r} must be a positive finite number: m in sym(I - W) >= m I")
        if not isinstance(learn_monotonicity, bool):
            raise DataError(f"learn_monotonicity={learn_monotonicity!r} must be True or False")
        dtype = torch.get_default_dtype() if dtype is None else dtype
        if dtype not in (*SINGLE_PRECISION, torch.float64):
            raise DataError(f"dtype={dtype} is not supported: use float32, float64, bfloat16 or float16")
        self.least_monotonicity = SMALLEST * torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps
        if monotonicity <= self.least_monotonicity:
            raise DataError(
                f"monotonicity={monotonicity!r} is lost in the rounding of I - W: take more than "
                f"{self.least_monotonicity:.1e}, or float64"
            )
        self.learn_monotonicity = learn_monotonicity
        if learn_monotonicity:
            start = self._free_monotonicity_of(float(monotonicity))
            self.free_monotonicity = nn.Parameter(torch.tensor(start, device=device, dtype=dtype))
        else:
            self.register_buffer("fixed_monotonicity", torch.tensor(float(monotonicity), device=device, dtype=dtype))

    @property
    def monotonicity(self) -> Tensor:
        """The number m, a tensor without axes; differentiable where it is learned."""
        if self.learn_monotonicity:
            return self.least_monotonicity + functional.softplus(self.free_monotonicity)
        return self.fixed_monotonicity

    def _free_monotonicity_of(self, m: float) -> float:
        """The free number for which ``monotonicity`` is m."""
        above = m - self.least_monotonicity
        return above + math.log(-math.expm1(-above))

    @property
    def rows_shape(self) -> tuple[int, ...] | None:
        """The natural shape of a row of the solver, against which data of an activation broadcast; None where there is none."""
        return self.shape

    @property
    def certified_monotonicity(self) -> float:
        """The number m that the system declares, as a Python float."""
        if torch.compiler.is_compiling():  # nothing may be read from the device, and fixed steps do not ask for m
            return math.nan
        return float(self.monotonicity.detach())

    @property
    def reference(self) -> Tensor:
        """A parameter, whose dtype and device are those of the module."""
        return next(self.parameters())

    @property
    def solving_dtype(self) -> torch.dtype:
        """float64 for float64 parameters, else float32: transforms, inverses and residuals need it."""
        return torch.float64 if self.reference.dtype == torch.float64 else torch.float32

    @abstractmethod
    def weights(self) -> tuple[Tensor, ...]:
        """The tensors W is made of, differentiable in the parameters, in ``solving_dtype`` (or its complex partner)."""

    @abstractmethod
    def system(self, weights: tuple[Tensor, ...]) -> System:
        """W on these weights, for one pass."""

    def current_system(self) -> System:
        """W on the present parameters."""
        return self.system(self.weights())

    def enter(self, state: Any) -> Tensor:
        """Rows (batch, size) of the solver from a state (batch, *shape)."""
        rows: Tensor = state.flatten(1)
        return rows

    def leave(self, rows: Tensor) -> Any:
        """The state (batch, *shape) from rows of the solver."""
        return rows.reshape(rows.shape[0], *self.shape)

    def default_injection(self, channels: int) -> nn.Module:
        """The affine map from inputs with so many features (or channels) to a state."""
        features = int(self.shape[0])
        return nn.Linear(channels, features, device=self.reference.device, dtype=self.reference.dtype)

    @property
    def input_ndim(self) -> int:
        """Axes of one input of ``default_injection``."""
        return len(self.shape)

    def forward(self, z: Any) -> Any:
        """W z for states z of shape (..., *shape)."""
        axes = len(self.shape)
        if tuple(z.shape[z.ndim - axes :]) != tuple(self.shape):
            raise ShapeError(f"z has shape {tuple(z.shape)}, but a state has (..., {', '.join(map(str, self.shape))})")
        rows = self.enter(z.reshape(-1, *self.shape).to(self.solving_dtype))
        return self.leave(self.current_system().product(rows)).reshape(z.shape).to(z.dtype)

    def weight(self) -> Tensor:
        """W as a matrix (size, size) on the rows of the solver, differentiable; for small systems."""
        system = self.current_system()
        return system.product(torch.eye(system.size, dtype=self.solving_dtype, device=self.reference.device)).mT

    @torch.no_grad()
    def operator(self, injection: Tensor | None = None) -> EquilibriumOperator:
        """The operator z -> (I - W) z - c on rows, with its exact constants; c is (batch, size)."""
        return EquilibriumOperator(self.current_system(), None if injection is None else injection.detach(), exact=True)
