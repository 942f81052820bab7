"""The two summands of a pass as monops operators: z -> (I - W) z - c, and the activation or its derivative."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from monops.constants import Constants
from monops.errors import CapabilityError, ShapeError
from monops.functions import Function
from monops.functions.separable import Separable
from monops.linear import Diagonal, LinearMap
from monops.operators import Operator
from monops_nn.kernels import kernel_of
from monops_nn.systems.system import System

KEPT = 2  # steps whose factors are kept: methods with moving steps would pile up one pair of states a step


@final
@dataclass(frozen=True, eq=False)
class EquilibriumOperator(Operator):
    """z -> (I - W) z - c for every row (``adjoint=True``: (I - W') z - c); resolvent (I + a (I - W))^-1 (z + a c).

    Parameters
    ----------
    system : System
        W; its constants hold for W' too.
    injection : tensor (batch, size) or None
        c, one row a sample; ``None`` is 0. Rows may contain NaN: they touch no other row.
    adjoint : bool, default False
        Take the transpose of I - W, for the backward pass.
    exact : bool, default False
        Whether ``constants`` are the exact ones, instead of m by construction and a cheap bound of L.

    Raises
    ------
    ShapeError
        When c does not end in ``size``.

    Notes
    -----
    **Constants** of the System. **Cost** one product for a value, one resolvent of the System for a resolvent.

    References
    ----------
    Winston and Kolter (2020), Theorems 1 and 3.

    Examples
    --------
    >>> import torch
    >>> from monops_nn.systems import DenseSystem
    >>> A = EquilibriumOperator(DenseSystem((-torch.eye(2),), 2.0), torch.ones(1, 2))
    >>> A.forward(torch.ones(1, 2)), A.resolvent(torch.ones(1, 2), 1.0)
    (tensor([[1., 1.]]), tensor([[0.6667, 0.6667]]))
    """

    system: System
    injection: Tensor | None = None
    adjoint: bool = False
    exact: bool = False
    _latest: list[Tensor] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        n = self.system.size
        if self.injection is not None and (self.injection.ndim == 0 or self.injection.shape[-1] != n):
            raise ShapeError(f"the injection has shape {tuple(self.injection.shape)}, but W has {n} features")

    @cached_property
    def constants(self) -> Constants:
        return self.system.exact_constants() if self.exact else self.system.constants

    @property
    def input_shape(self) -> Any:
        return (self.system.size,)

    @property
    def has_resolvent(self) -> bool:
        return self.system.has_resolvent

    def rows(self, index: Tensor) -> EquilibriumOperator:
        """The same operator for some of the rows."""
        return self if self.injection is None else replace(self, injection=self.injection[index], _latest=[])

    def multiply(self, z: Tensor) -> Tensor:
        """W z (or W' z); the latest product is kept, for the residual and the derivative of the activation ask for the same."""
        if not self._latest or self._latest[0] is not z:
            value = self.system.product_transposed(z) if self.adjoint else self.system.product(z)
            self._latest[:] = [z, value]
        return self._latest[1]

    def preactivation(self, z: Tensor) -> Tensor:
        """W z + c (or W' z + c)."""
        return self.multiply(z) if self.injection is None else self.multiply(z) + self.injection

    def forward(self, x: Tensor) -> Tensor:
        return x - self.preactivation(x)

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        if self.injection is not None:
            x = torch.add(x, self.injection, alpha=step)
        return self.system.resolvent_transposed(x, step) if self.adjoint else self.system.resolvent(x, step)

    def formula(self, x: str) -> str:
        offset = "" if self.injection is None else " - c"
        return f"(I - W{chr(39) if self.adjoint else ''}) {x}{offset}"


@final
@dataclass(frozen=True, eq=False)
class ActivationOperator(Operator):
    """The subdifferential of f with prox_f = sigma, and z = 0 where the mask is 0, on rows of a solver.

    Parameters
    ----------
    activation : Function
        f, with one batch axis.
    mask : tensor (size,) or None
        0 where the state is held at 0.
    shape : tuple or None
        The natural shape of a state, where data of f broadcast against that.

    Notes
    -----
    **Resolvent** mask * prox_{step f}(x), exact for every step. **Constants** mu of f. **Cost** of the prox.

    References
    ----------
    Combettes and Pesquet (2020), Deep neural network structures solving variational inequalities.

    Examples
    --------
    >>> import torch
    >>> from monops.functions import NonNegative
    >>> ActivationOperator(NonNegative().batched(1), torch.tensor([0.0, 1.0])).resolvent(torch.tensor([[1.0, 2.0]]), 1.0)
    tensor([[0., 2.]])
    """

    activation: Function
    mask: Tensor | None = None
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.mask is not None and not isinstance(self.activation, Separable):
            raise CapabilityError(
                f"{type(self.activation).__name__} couples the entries of a state, some of which this W holds at 0: use an "
                "activation that acts entry by entry, or a parametrisation without border"
            )

    @cached_property
    def constants(self) -> Constants:
        known = self.activation.constants
        return Constants(known.strong_monotonicity, cyclic=True, why="rule: the constant of f")

    @property
    def has_forward(self) -> bool:
        return False

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        kernel = kernel_of(self.activation)
        if kernel is not None and (kernel.every_step or step == 1.0):
            value = kernel.value(x)
            return value if self.mask is None else value.mul_(self.mask)  # a kernel gives a tensor of its own
        natural = x if self.shape is None else x.reshape(x.shape[0], *self.shape)
        value = self.activation.prox(natural, step).reshape(x.shape)
        return value if self.mask is None else value * self.mask

    def derivative(self, h: Tensor, step: float) -> LinearMap:
        """J, the derivative of mask * prox_{step f} at h."""
        kernel = kernel_of(self.activation)
        if kernel is not None and (kernel.every_step or step == 1.0):
            slope = kernel.slope(h)
        else:
            natural = h if self.shape is None else h.reshape(h.shape[0], *self.shape)
            jacobian = self.activation.prox_derivative(natural, step)
            if not isinstance(jacobian, Diagonal):
                return jacobian
            slope = jacobian.diagonal.reshape(h.shape)
        return Diagonal(slope if self.mask is None else slope * self.mask)

    def derivative_apply(self, h: Tensor, p: Tensor) -> Tensor:
        """J(h) p with the derivative J of mask * sigma, in plain torch code where sigma is: differentiable in h and p."""
        jacobian = self.derivative(h, 1.0)
        if isinstance(jacobian, Diagonal):
            return jacobian.diagonal * p
        value: Tensor = jacobian.apply(p)
        return value if self.mask is None else value * self.mask

    def rows(self, index: Tensor) -> ActivationOperator:
        """The same operator for some of the rows."""
        return self

    def formula(self, x: str) -> str:
        return f"df({x})"


@dataclass(frozen=True, eq=False)
class Derivative(Operator):
    """What the derivatives of activations share: u -> (J^-1 - I) u - g with J between 0 and I, g in rows (batch, size)."""

    gradient: Tensor

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, cyclic=True, affine=True, why="computed: the spectrum of J lies in [0, 1]")

    @property
    def input_shape(self) -> Any:
        return (int(self.gradient.shape[-1]),)

    @property
    def has_forward(self) -> bool:
        return False

    def formula(self, x: str) -> str:
        return f"(1/J - 1) {x} - g"


@final
@dataclass(frozen=True, eq=False)
class ActivationDerivative(Derivative):
    """u -> (J^-1 - I) u - g, J the derivative of the activation, 0 <= J <= I; where J = 0 the domain is u = 0.

    Parameters
    ----------
    gradient : tensor (batch, size)
        g.
    slope : tensor (batch, size)
        The diagonal of J, for activations that act entry by entry.

    Notes
    -----
    **Resolvent** u = J (x + a g)/(J + a (1 - J)): no mask, no infinity. **Constants** the subdifferential of a convex
    quadratic, mu = 0. **Cost** elementwise.

    References
    ----------
    Winston and Kolter (2020), Theorem 3; the resolvent follows from (I + a D) u = x + a g.

    Examples
    --------
    >>> import torch
    >>> D = ActivationDerivative(torch.ones(1, 3), torch.tensor([[0.0, 1.0, 0.5]]))
    >>> D.resolvent(torch.ones(1, 3), 1.0)
    tensor([[0., 2., 1.]])
    """

    slope: Tensor
    _kept: dict[float, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        found = self._kept.get(step)
        if found is None:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            factor = self.slope / (step + (1.0 - step) * self.slope)
            found = self._kept[step] = (factor, step * factor * self.gradient)
        return torch.addcmul(found[1], found[0], x)

    def rows(self, index: Tensor) -> ActivationDerivative:
        """The same operator for some of the rows."""
        return ActivationDerivative(self.gradient[index], self.slope[index])


@final
@dataclass(frozen=True, eq=False)
class CoupledDerivative(Derivative):
    """As `ActivationDerivative` for an activation that couples entries: the resolvent is the derivative of its prox.

    Parameters
    ----------
    gradient : tensor (batch, size)
        g.
    activation : ActivationOperator
    z, preactivation : tensors (batch, size)
        The equilibrium and h = W z + c.

    Notes
    -----
    **Resolvent** with step a: (derivative of prox_{a f} at z + a (h - z)) applied to x + a g, because z = prox_f(h) makes
    h - z a subgradient of f at z, and there prox_{a f}(z + a (h - z)) = z. **Cost** of that derivative.

    References
    ----------
    Winston and Kolter (2020), Theorem 3; Bauschke and Combettes (2017), Proposition 23.7.

    Examples
    --------
    >>> import torch
    >>> from monops.functions import Softmax
    >>> sigma = ActivationOperator(Softmax().batched(1))
    >>> h = torch.zeros(1, 2)
    >>> D = CoupledDerivative(torch.tensor([[1.0, 0.0]]), sigma, torch.softmax(h, 1), h)
    >>> D.resolvent(torch.zeros(1, 2), 1.0)
    tensor([[ 0.2500, -0.2500]])
    """

    activation: ActivationOperator
    z: Tensor
    preactivation: Tensor
    _kept: dict[float, LinearMap] = field(default_factory=dict, repr=False)

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        found = self._kept.get(step)
        if found is None:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            at = self.z + step * (self.preactivation - self.z)
            found = self._kept[step] = self.activation.derivative(at, step)
        value: Tensor = found.apply(torch.add(x, self.gradient, alpha=step))
        return value if self.activation.mask is None else value * self.activation.mask

    def rows(self, index: Tensor) -> CoupledDerivative:
        """The same operator for some of the rows."""
        return CoupledDerivative(self.gradient[index], self.activation.rows(index), self.z[index], self.preactivation[index])
