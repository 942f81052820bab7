"""Lipschitz-bounded equilibrium networks: W, U and the readout C belong together, and any values of them keep the bound."""

from __future__ import annotations

import math
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from monops.errors import DataError
from monops.functions import Function
from monops_nn.mondeq import MonDEQ
from monops_nn.parametrize.arguments import lower_triangle, positive_integer
from monops_nn.parametrize.parametrization import Parametrization
from monops_nn.systems.dense import DenseSystem

MOST = 8.0  # of |log Psi|, so that no value of the parameter overflows


@final
class LipschitzBounded(Parametrization):
    """W = (1 - m) I - Psi^-1 ((C'C + Psi U U' Psi)/gamma + V'V + S - S')/2, Psi a positive diagonal, U and C of any value.

    Then 2 Psi - Psi W - W'Psi = 2 m Psi + V'V + (C'C + Psi U U' Psi)/gamma: I - W is strongly monotone in the metric Psi, and
    |C z(x) - C z(y)| <= gamma |x - y| for every activation with slopes in [0, 1].

    Parameters
    ----------
    inputs, features, outputs : int
        Of U (features, inputs), of the state, and of C (outputs, features).
    gamma : float
        The bound, positive.
    monotonicity : float, default 0.1
        m > 0, in the metric.
    learn_monotonicity : bool, default False
        Whether m is a parameter, softplus of a free number.
    device, dtype : optional
        As in torch.

    Raises
    ------
    DataError
        When a size is no positive integer, or gamma or m is not positive and finite.

    Notes
    -----
    **Why** for two inputs J = diag of slopes gives <dz, Psi (dh - dz)> >= 0 with dh = W dz + U dx, so that dz'(2 Psi - Psi W -
    W'Psi) dz/2 <= <U'Psi dz, dx> <= |U'Psi dz|^2/(2 gamma) + gamma |dx|^2/2. **Parameters** U, C, V, the entries of S below the
    diagonal, and x with log Psi = 8 tanh(x/8).
    **Cost** of W: n^2 (n + inputs + outputs). ``network`` joins it with U and C.

    References
    ----------
    Revay, Wang and Manchester (2020), Lipschitz bounded equilibrium networks, Theorem 2.

    Examples
    --------
    >>> import torch
    >>> linear = LipschitzBounded(3, 8, 2, gamma=0.5)
    >>> M = torch.eye(8) - linear.weight()
    >>> bool(torch.linalg.eigvalsh(linear.metric[:, None] * M + (linear.metric[:, None] * M).mT)[0] > 0)
    True
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        outputs: int,
        gamma: float,
        monotonicity: float = 0.1,
        learn_monotonicity: bool = False,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(monotonicity, learn_monotonicity, device=device, dtype=dtype)
        self.inputs = positive_integer("inputs", inputs, "the number of input features")
        n = self.features = positive_integer("features", features, "the number of hidden units")
        self.outputs = positive_integer("outputs", outputs, "the number of outputs")
        if isinstance(gamma, bool) or not isinstance(gamma, (int, float)) or not 0 < gamma < math.inf:
            raise DataError(f"gamma={gamma!r} must be a positive finite number: the Lipschitz bound from inputs to outputs")
        self.gamma, self.shape = float(gamma), (n,)

        def parameter(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(*shape, device=device, dtype=dtype))

        self.U, self.C, self.V = parameter(n, inputs), parameter(outputs, n), parameter(n, n)
        self.S, self.log_metric = parameter(n * (n - 1) // 2), parameter(n)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all anew; Psi is the identity, and U and C have norms of about sqrt(gamma)."""
        scale = math.sqrt(self.gamma)
        nn.init.normal_(self.U, std=scale / math.sqrt(self.features + self.inputs))
        nn.init.normal_(self.C, std=scale / math.sqrt(self.features + self.outputs))
        nn.init.normal_(self.V, std=0.5 / math.sqrt(self.features))
        nn.init.normal_(self.S, std=0.5 / math.sqrt(self.features))
        nn.init.zeros_(self.log_metric)

    @property
    def metric(self) -> Tensor:
        """The diagonal of Psi, shape (features,)."""
        return (MOST * torch.tanh(self.log_metric.to(self.solving_dtype) / MOST)).exp()

    def weights(self) -> tuple[Tensor, ...]:
        dtype, psi = self.solving_dtype, self.metric
        U, C, V = self.U.to(dtype), self.C.to(dtype), self.V.to(dtype)
        S = lower_triangle(self.S.to(dtype), self.features, -1)
        PsiU = psi[:, None] * U
        inside = (C.mT @ C + PsiU @ PsiU.mT) / self.gamma + V.mT @ V + S - S.mT
        identity = torch.eye(self.features, device=psi.device, dtype=dtype)
        return ((1.0 - self.monotonicity.to(dtype)) * identity - inside / (2.0 * psi[:, None]),)

    def system(self, weights: tuple[Tensor, ...]) -> DenseSystem:
        return DenseSystem(weights, self.certified_monotonicity, self.metric.detach())

    def weight(self) -> Tensor:
        """W, shape (n, n), differentiable in the parameters."""
        return self.weights()[0]

    def default_injection(self, channels: int) -> nn.Module:
        if channels != self.inputs:
            raise DataError(f"injection={channels} must be inputs={self.inputs}: U is part of this W")
        return SharedInjection(self)

    def extra_repr(self) -> str:
        sizes = f"inputs={self.inputs}, features={self.features}, outputs={self.outputs}"
        return f"{sizes}, gamma={self.gamma:g}, monotonicity={self.certified_monotonicity:g}"


class SharedInjection(nn.Module):
    """x -> U x + b with the U of a `LipschitzBounded`; b is its own."""

    is_affine: ClassVar[bool] = True  # with ``weight`` as its matrix

    def __init__(self, linear: LipschitzBounded) -> None:
        super().__init__()
        self.__dict__["linear"] = linear  # not a submodule: its parameters are listed once
        self.bias = nn.Parameter(torch.zeros(linear.features, device=linear.U.device, dtype=linear.U.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """U x + b for inputs (..., inputs)."""
        return functional.linear(x, self.weight, self.bias)

    @property
    def weight(self) -> Tensor:
        """U, shape (features, inputs)."""
        U: Tensor = self.__dict__["linear"].U
        return U


@final
class LipschitzBoundedNetwork(nn.Module):
    """x -> C z(x) + b with z = sigma(W z + U x + c), gamma-Lipschitz for every value of the parameters.

    Parameters
    ----------
    inputs, features, outputs : int
    gamma : float
        The bound.
    activation : str or Function, default "relu"
        One that acts entry by entry.
    monotonicity : float, default 0.1
        m of `LipschitzBounded`.
    device, dtype : optional
        As in torch.
    **layer
        Keywords of `MonDEQ`.

    Examples
    --------
    >>> import torch
    >>> network = LipschitzBoundedNetwork(3, 8, 2, gamma=0.5, tol=1e-6)
    >>> x, y = torch.randn(64, 3), torch.randn(64, 3)
    >>> ratio = (network(x) - network(y)).norm(dim=1) / (x - y).norm(dim=1)
    >>> bool(ratio.max() <= 0.5001)
    True
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        outputs: int,
        gamma: float,
        activation: str | Function = "relu",
        monotonicity: float = 0.1,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **layer: Any,
    ) -> None:
        super().__init__()
        linear = LipschitzBounded(inputs, features, outputs, gamma, monotonicity, device=device, dtype=dtype)
        self.layer = MonDEQ(linear, activation, injection=inputs, **layer)
        self.bias = nn.Parameter(torch.zeros(outputs, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (..., outputs) for inputs (..., inputs)."""
        linear = self.layer.linear
        assert isinstance(linear, LipschitzBounded)
        return functional.linear(self.layer(x), linear.C, self.bias)
