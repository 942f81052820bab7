"""The monotone equilibrium layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from monops.algorithms import Algorithm
from monops.algorithms.resolvents import PeacemanRachford
from monops.errors import BackendError, CapabilityError, DataError, ShapeError
from monops.functions import Function, NonNegative, Tanh
from monops.linear import Diagonal
from monops.result import Result
from monops_nn.equilibrium import Settings, attach_gradient, report, solve_forward, with_nan_rows
from monops_nn.operators import EquilibriumOperator, System
from monops_nn.parametrize import MonotoneLinear

ACTIVATIONS: dict[str, type[Function]] = {"relu": NonNegative, "tanh": Tanh}


class MonDEQ(nn.Module):
    """The layer x -> z with z = sigma(W z + U x + b), sigma = prox_f: the only zero of (I - W) z - (U x + b) + df(z).

    Parameters
    ----------
    linear : MonotoneLinear
        W, with sym(I - W) >= m I and m > 0: exactly one equilibrium for every input.
    activation : {"relu", "tanh"} or Function, default "relu"
        sigma, or a convex function f whose elementwise prox it is.
    injection : int or nn.Module
        The number of input features (makes ``nn.Linear``), or a module from (..., in) to (..., n): x -> U x + b.
    algorithm : Algorithm, optional
        Default ``PeacemanRachford()`` with its best proven step. ForwardBackward, DouglasRachford, ForwardBackwardForward
        and any other method of monops whose theorem covers the problem may stand here; all reach the same z.
    backward_algorithm : Algorithm, optional
        Default: ``algorithm``.
    tol : float, default 1e-4
        Residual of each row at which to stop: forward the norm of an element of (I - W) z - c + df(z), backward the same
        relative to the norm of the incoming gradient. At 1e-3 wrong signs of ReLU cost 2.5 % in the gradient, at 1e-4
        they are gone.
    max_iter : int, default 1000

    Raises
    ------
    DataError, CapabilityError
        Arguments that cannot be meant; an activation that is no elementwise prox.

    Warns
    -----
    NotConvergedWarning
        When a row has not converged; the text names the pass. Rows with NaN give NaN and leave the others exact.

    Notes
    -----
    Nothing is stored on the module in a forward pass. Inputs are (..., in), outputs (..., n), float32 or float64, kept.
    Gradients are first order, in training and evaluation mode alike. **Cost** forward: constants of I - W, one inverse,
    then one product batch x n x n a step; backward the same without the constants.

    References
    ----------
    Winston and Kolter (2020), Monotone operator equilibrium networks. Combettes and Pesquet (2020), Deep neural network
    structures solving variational inequalities.

    Examples
    --------
    >>> import torch
    >>> layer = MonDEQ(MonotoneLinear(4), injection=3)
    >>> x = torch.ones(2, 3)
    >>> z = layer(x)
    >>> bool((z - torch.relu(layer.linear(z) + layer.injection(x))).abs().max() < 1e-4)
    True
    """

    def __init__(
        self,
        linear: MonotoneLinear,
        activation: str | Function = "relu",
        *,
        injection: nn.Module | int,
        algorithm: Algorithm | None = None,
        backward_algorithm: Algorithm | None = None,
        tol: float = 1e-4,
        max_iter: int = 1000,
    ) -> None:
        super().__init__()
        if not isinstance(linear, MonotoneLinear):
            raise DataError(f"linear must be a MonotoneLinear(features), got {type(linear).__name__}: W must be monotone")
        for name, method in (("algorithm", algorithm), ("backward_algorithm", backward_algorithm)):
            if method is not None and not isinstance(method, Algorithm):
                raise DataError(f"{name} must be a method such as PeacemanRachford(), got {method!r}")
        if isinstance(tol, bool) or not isinstance(tol, (int, float)) or not 0 < tol < math.inf:
            raise DataError(f"tol={tol!r} must be a positive finite number: the residual of a row at which to stop")
        if isinstance(max_iter, bool) or not isinstance(max_iter, int) or max_iter < 1:
            raise DataError(f"max_iter={max_iter!r} must be a positive integer")
        self.linear = linear
        self.injection = _injection(injection, linear)
        self.activation = _activation(activation, linear)
        self.algorithm = PeacemanRachford() if algorithm is None else algorithm
        self.backward_algorithm = self.algorithm if backward_algorithm is None else backward_algorithm
        self.tol, self.max_iter = float(tol), max_iter

    def forward(self, x: Tensor, z0: Tensor | None = None) -> Tensor:
        """The equilibrium z, shape (..., n), for inputs x of shape (..., in); ``z0`` is an optional start of z's shape."""
        injected, W = self._inject(x), self.linear.weight()
        operator, start = self._operator(W, injected), self._start(z0, injected)
        result = solve_forward(operator, self.activation, self._settings(self.algorithm), start)
        report(result, "forward")
        z = with_nan_rows(result)
        if torch.is_grad_enabled() and (injected.requires_grad or W.requires_grad):
            preactivation = z @ W.mT + injected.reshape(-1, self.linear.features)
            backward = self._settings(self.backward_algorithm)
            z = attach_gradient(preactivation, z, operator, self.activation, backward)
        return z.reshape(injected.shape)

    @torch.no_grad()
    def solve(self, x: Tensor, z0: Tensor | None = None) -> Result:
        """The full monops Result for x, leading axes of x flattened to rows: status, residual and error bound of each row.

        Without gradient and without warning.
        """
        injected = self._inject(x)
        operator, start = self._operator(self.linear.weight(), injected), self._start(z0, injected)
        return solve_forward(operator, self.activation, self._settings(self.algorithm), start)

    @torch.no_grad()
    def lipschitz_bound(self) -> float:
        """A certified bound |U| / mu of |z(x) - z(y)| / |x - y|, mu = lambda_min(sym(I - W)); U is the injection's weight.

        Pabbaraju, Winston and Kolter (2021), Theorem 1; attained by scalar W = 1 - m, U = 1 on the active side of ReLU.
        Raises CapabilityError when the injection is no nn.Linear.
        """
        if not isinstance(self.injection, nn.Linear):
            raise CapabilityError(
                f"the Lipschitz constant of the injection {type(self.injection).__name__} is not known: use nn.Linear, or "
                "multiply your own constant by 1/operator().constants.strong_monotonicity"
            )
        norm = float(torch.linalg.svdvals(self.injection.weight)[0])
        return norm / float(self.linear.operator().constants.strong_monotonicity)

    def _settings(self, algorithm: Algorithm) -> Settings:
        return Settings(algorithm, self.tol, self.max_iter)

    def _inject(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor):
            raise BackendError(f"x must be a torch tensor, got {type(x).__name__}: convert it with torch.as_tensor")
        parameter = self.linear.A
        if x.dtype != parameter.dtype or x.device != parameter.device:
            raise BackendError(
                f"x is {x.dtype} on {x.device}, the layer {parameter.dtype} on {parameter.device}: convert one, x.to(...)"
            )
        width = self.injection.in_features if isinstance(self.injection, nn.Linear) else None
        if width is not None and (x.ndim == 0 or x.shape[-1] != width):
            raise ShapeError(f"x has shape {tuple(x.shape)}, but the injection needs (..., {width})")
        injected: Tensor = self.injection(x)
        if injected.ndim == 0 or injected.shape[-1] != self.linear.features:
            raise ShapeError(f"the injection gives shape {tuple(injected.shape)}, but needs (..., {self.linear.features})")
        return injected

    def _operator(self, W: Tensor, injected: Tensor) -> EquilibriumOperator:
        with torch.no_grad():
            identity = torch.eye(self.linear.features, device=W.device, dtype=W.dtype)
            return EquilibriumOperator(System(identity - W), injected.detach().reshape(-1, self.linear.features))

    def _start(self, z0: Tensor | None, injected: Tensor) -> Tensor | None:
        if z0 is None:
            return None
        if z0.shape != injected.shape:
            raise ShapeError(f"z0 has shape {tuple(z0.shape)}, but the equilibrium has {tuple(injected.shape)}")
        return z0.detach().reshape(-1, self.linear.features)

    def extra_repr(self) -> str:
        methods = f"algorithm={self.algorithm!r}"
        if self.backward_algorithm != self.algorithm:
            methods += f", backward_algorithm={self.backward_algorithm!r}"
        names = {kind: name for name, kind in ACTIVATIONS.items()}
        activation = names.get(type(self.activation), type(self.activation).__name__)
        return f"activation={activation}, {methods}, tol={self.tol:g}, max_iter={self.max_iter}"


def _injection(injection: nn.Module | int, linear: MonotoneLinear) -> nn.Module:
    if isinstance(injection, nn.Module):
        return injection
    if isinstance(injection, bool) or not isinstance(injection, int) or injection < 1:
        raise DataError(f"injection={injection!r} must be a positive number of input features, or an nn.Module")
    return nn.Linear(injection, linear.features, device=linear.A.device, dtype=linear.A.dtype)


def _activation(activation: str | Function, linear: MonotoneLinear) -> Function:
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise DataError(
                f"activation={activation!r} is unknown: choose {' or '.join(map(repr, ACTIVATIONS))}, or give a "
                "monops.functions object whose prox it is. GELU, SiLU and Mish are no prox (their slope leaves [0, 1]), so "
                "that the equilibrium need not be unique; leaky or shifted variants with slope in [0, 1] are"
            )
        return ACTIVATIONS[activation]()
    if not isinstance(activation, Function):
        raise DataError(f"activation must be a name or a monops Function, got {type(activation).__name__}")
    if not activation.is_convex:
        raise CapabilityError(
            f"{type(activation).__name__} is nonconvex, so that the equilibrium need not be unique: use a convex function"
        )
    probe = torch.zeros(1, linear.features, dtype=linear.A.dtype, device=linear.A.device)
    slope = activation.batched(1).prox_derivative(probe, 1.0)  # refuses where it is not closed-form
    if not activation.has_prox or not isinstance(slope, Diagonal):
        raise CapabilityError(f"{type(activation).__name__} is not elementwise: the backward pass needs a diagonal derivative")
    return activation
