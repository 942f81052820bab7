"""The monotone equilibrium layer."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from monops.algorithms import Algorithm
from monops.errors import BackendError, CapabilityError, DataError, ShapeError
from monops.functions import Function
from monops_nn.activations import activation_of, name_of
from monops_nn.equilibrium import Equilibrium, Gradient, Pass, full_precision, solve_forward, solve_linear
from monops_nn.fixed import FixedSteps, Plan, check_algorithm
from monops_nn.parametrize.parametrization import Parametrization
from monops_nn.settings import restore_settings, settings_of
from monops_nn.solution import Solution
from monops_nn.solver import Solved

GRADIENTS = ("implicit", "one_step", "neumann")


class MonDEQ(nn.Module):
    """The layer x -> z with z = sigma(W z + U x + b), sigma = prox_f: the only zero of (I - W) z - (U x + b) + df(z).

    Parameters
    ----------
    linear : Parametrization
        W, with sym(I - W) >= m I and m > 0: exactly one equilibrium for every input.
    activation : str or Function, default "relu"
        sigma by name (``monops_nn.ACTIVATIONS``), or a convex function f whose prox it is. Exact for every step.
    injection : int or nn.Module
        The number of input features or channels (makes ``nn.Linear``, or ``nn.Conv2d`` for convolutions), or a module from
        inputs to states: x -> U x + b.
    algorithm : Algorithm, optional
        Default: chosen from W by cost, Peaceman-Rachford with a step found from W where its resolvent is cheap.
        ForwardBackward, DouglasRachford, ForwardBackwardForward, ForwardReflectedBackward, Anderson(PeacemanRachford()) and
        any other method of monops whose theorem covers the problem may stand here; all reach the same z.
    backward_algorithm : Algorithm, optional
        Default: ``algorithm``.
    tol : float, default 1e-4
        Relative residual of each row at which to stop: forward |z - sigma(W z + U x + b)| <= tol |z|, backward the same for the
        linear equation of the derivative. At 1e-3 wrong signs of ReLU cost 2.5 % in the gradient, at 1e-4 they are gone.
    max_iter : int, default 1000
    gradient : {"implicit", "one_step", "neumann"}, default "implicit"
        "implicit" is the exact derivative of the equilibrium. The other two are approximations of it, for speed:
        "one_step" that of one application of sigma(W z + U x + b), "neumann" that of the last eight; the sum need not converge
        where |W| > 1.
    fixed_steps : int, optional
        Take exactly so many steps forward and backward, from 0, and look at no residual: ``torch.compile(layer,
        fullgraph=True)`` then works. The algorithm must be PeacemanRachford or DouglasRachford with a step size
        (``solve(x).step_size`` is a good one). Nothing tells whether z is an equilibrium; ``solve`` does.

    Raises
    ------
    DataError, CapabilityError
        Arguments that cannot be meant; an activation that is the prox of no convex function.

    Warns
    -----
    NotConvergedWarning
        When a row has not converged; the text names the pass. Rows with NaN give NaN and leave the others exact.

    Notes
    -----
    Nothing is stored on the module in a forward pass. Inputs are (..., *input), outputs (..., *linear.shape); leading axes are
    samples. Parameters in bfloat16 or float16 and autocast are allowed: transforms, inverses and residuals are then in float32.
    Gradients of any order where the activation is smooth, in training and evaluation mode alike; ``torch.func.grad``, ``vmap``
    and ``jacrev`` work. The state of the module holds the settings of the solver. **Cost** forward: one factorisation and one
    product or resolvent a step; backward the same without the factorisation.

    References
    ----------
    Winston and Kolter (2020), Monotone operator equilibrium networks. Combettes and Pesquet (2020), Deep neural network
    structures solving variational inequalities.

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MonotoneLinear
    >>> layer = MonDEQ(MonotoneLinear(4), injection=3)
    >>> x = torch.ones(2, 3)
    >>> z = layer(x)
    >>> bool((z - torch.relu(layer.linear(z) + layer.injection(x))).abs().max() < 1e-4)
    True
    """

    SETTINGS: ClassVar[tuple[str, ...]] = ("tol", "max_iter", "gradient", "fixed_steps")

    def __init__(
        self,
        linear: Parametrization,
        activation: str | Function = "relu",
        *,
        injection: nn.Module | int,
        algorithm: Algorithm | None = None,
        backward_algorithm: Algorithm | None = None,
        tol: float = 1e-4,
        max_iter: int = 1000,
        gradient: Gradient = "implicit",
        fixed_steps: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(linear, Parametrization):
            raise DataError(
                f"linear must be a parametrisation of W such as MonotoneLinear(features), got {type(linear).__name__}"
            )
        for name, method in (("algorithm", algorithm), ("backward_algorithm", backward_algorithm)):
            if method is not None and not isinstance(method, Algorithm):
                raise DataError(f"{name} must be a method such as PeacemanRachford(), got {method!r}")
        if isinstance(tol, bool) or not isinstance(tol, (int, float)) or not 0 < tol < math.inf:
            raise DataError(f"tol={tol!r} must be a positive finite number: the relative residual of a row at which to stop")
        _check_count("max_iter", max_iter)
        if gradient not in GRADIENTS:
            raise DataError(f"gradient={gradient!r} must be one of {', '.join(map(repr, GRADIENTS))}")
        self.linear = linear
        self.injection = _injection(injection, linear)
        self.activation = activation_of(activation, linear)
        self.algorithm, self.backward_algorithm = algorithm, backward_algorithm
        self.tol, self.max_iter, self.gradient, self.fixed_steps = float(tol), max_iter, gradient, fixed_steps
        if fixed_steps is not None:
            _check_count("fixed_steps", fixed_steps)
            check_algorithm(algorithm, self.activation)

    def forward(self, x: Tensor, z0: Any = None) -> Any:
        """The equilibrium z, shape (..., *linear.shape), for inputs x; ``z0`` is an optional start of z's shape."""
        lead, rows = self._inject(x)
        with full_precision(rows.device):
            start, weights = self._start(z0, lead, rows), self.linear.weights()
            if self.fixed_steps is None:
                z = Equilibrium.apply(rows, start, self._pass(), *weights)  # type: ignore[no-untyped-call]
            else:
                z = FixedSteps.apply(rows, self._plan(), *weights)  # type: ignore[no-untyped-call]
            return self._leave(z, lead)

    @torch.no_grad()
    def solve(self, x: Tensor, z0: Any = None) -> Solution:
        """The equilibrium with the truth about it: status, residual, certified error bound and iterations of each sample.

        Without gradient and without warning.
        """
        lead, rows = self._inject(x)
        with full_precision(rows.device):
            pass_, weights = self._pass(), self.linear.weights()
            solved = solve_forward(pass_, rows, self._start(z0, lead, rows), weights)
            return Solution.of(self._leave(solved.z, lead), lead, solved, rows, pass_.ready(weights))

    @torch.no_grad()
    def solve_backward(self, x: Tensor, gradient: Any) -> Solved:
        """The backward pass alone, for a gradient of z's shape: iterations, residual and status of each sample; for reports.

        Without warning. ``z`` of the answer is the gradient in c = U x + b, as rows of the solver.
        """
        lead, rows = self._inject(x)
        with full_precision(rows.device):
            pass_, weights = self._pass(), self.linear.weights()
            z = solve_forward(pass_, rows, None, weights).z
            h = pass_.ready(weights).system.product(z) + rows
            g = self._start(gradient, lead, rows, "gradient")
            assert g is not None
            return solve_linear(pass_, g, z, h, weights, True)[1]

    @torch.no_grad()
    def lipschitz_bound(self) -> float:
        """A certified bound |U| / m of |z(x) - z(y)| / |x - y|, m = lambda_min(sym(I - W)); U is the injection's weight.

        Pabbaraju, Winston and Kolter (2021), Theorem 1; attained by scalar W = 1 - m, U = 1 on the active side of ReLU. With a
        metric Psi, |Psi^(1/2) U| / (m min Psi^(1/2)). Raises CapabilityError when the injection has no matrix U as its weight.
        """
        injection = self.injection
        hooked = bool(injection._forward_hooks or injection._forward_pre_hooks)
        plain = type(injection) is nn.Linear or getattr(injection, "is_affine", False)
        matrix = getattr(injection, "weight", None)
        if hooked or not plain or not isinstance(matrix, Tensor) or matrix.ndim != 2:
            raise CapabilityError(
                f"the Lipschitz constant of the injection {type(self.injection).__name__} is not known: use nn.Linear, or "
                "multiply your own constant by 1/linear.current_system().monotonicity"
            )
        system = self.linear.current_system()
        U, smallest = matrix.to(self.linear.solving_dtype), 1.0
        if system.metric is not None:
            U, smallest = system.metric.sqrt()[:, None] * U, float(system.metric.min().sqrt())
        norm = float(torch.linalg.svdvals(U)[0])
        return norm / (float(system.exact_constants().strong_monotonicity) * smallest)

    def _pass(self) -> Pass:
        """The settings of one call."""
        return Pass(
            self.linear.system,
            self.activation.batched(1),
            self.linear.rows_shape,
            self.algorithm,
            self.backward_algorithm,
            self.tol,
            self.max_iter,
            self.gradient,
        )

    def _plan(self) -> Plan:
        assert self.fixed_steps is not None
        check_algorithm(self.algorithm, self.activation)
        return Plan(self.linear.system, self.activation.batched(1), self.linear.rows_shape, self.algorithm, self.fixed_steps)

    def _inject(self, x: Tensor) -> tuple[tuple[int, ...], Tensor]:
        """Leading axes, and rows of the solver with c = U x + b."""
        if not isinstance(x, Tensor):
            raise BackendError(f"x must be a torch tensor, got {type(x).__name__}: convert it with torch.as_tensor")
        parameter = self.linear.reference
        mixed = torch.is_autocast_enabled(x.device.type)
        if (x.dtype != parameter.dtype and not mixed) or x.device != parameter.device:
            raise BackendError(
                f"x is {x.dtype} on {x.device}, the layer {parameter.dtype} on {parameter.device}: convert one, x.to(...)"
            )
        state = self._apply_injection(x)
        lead = self._lead(state, "what the injection gives")
        axes = len(lead)
        if isinstance(state, Tensor):
            flat: Any = state.reshape(-1, *state.shape[axes:])
        else:
            flat = tuple(part.reshape(-1, *part.shape[axes:]) for part in state)
        with full_precision(x.device):
            return lead, self.linear.enter(_cast(flat, self.linear.solving_dtype))

    def _apply_injection(self, x: Tensor) -> Any:
        injection = self.injection
        if isinstance(injection, nn.Linear) and (x.ndim == 0 or x.shape[-1] != injection.in_features):
            raise ShapeError(f"x has shape {tuple(x.shape)}, but the injection needs (..., {injection.in_features})")
        if isinstance(injection, nn.Conv2d):
            if x.ndim < 3 or x.shape[-3] != injection.in_channels:
                channels = injection.in_channels
                raise ShapeError(f"x has shape {tuple(x.shape)}, but the injection needs (..., {channels}, height, width)")
            state = injection(x if x.ndim == 4 else x.reshape(-1, *x.shape[-3:]))
            return state.reshape(*x.shape[:-3], *state.shape[1:])
        return injection(x)

    def _lead(self, state: Any, name: str) -> tuple[int, ...]:
        """The leading axes of a state; ShapeError, with its name, unless the others are those of the parametrisation."""
        shape = self.linear.shape
        if isinstance(state, Tensor):
            expected = shape[0] if isinstance(shape[0], tuple) else shape
            parts = [(state, expected)]
        else:
            parts = list(zip(state, shape, strict=False))
            if not isinstance(shape[0], tuple) or len(state) != len(shape):
                raise ShapeError(f"{name} has {len(state)} tensors, but a state has the shape {shape}")
        leads = set()
        for part, expected in parts:
            axes = part.ndim - len(expected)
            if axes < 0 or tuple(part.shape[axes:]) != tuple(expected):
                needs = ", ".join(map(str, expected))
                raise ShapeError(f"{name} has shape {tuple(part.shape)}, but needs (..., {needs})")
            leads.add(tuple(part.shape[:axes]))
        if len(leads) > 1:
            raise ShapeError(f"the tensors of {name} have different leading axes: {sorted(leads)}")
        return leads.pop()

    def _leave(self, rows: Tensor, lead: tuple[int, ...]) -> Any:
        dtype = self.linear.reference.dtype
        state = self.linear.leave(rows)
        if isinstance(state, Tensor):
            return state.reshape(*lead, *state.shape[1:]).to(dtype)
        return tuple(part.reshape(*lead, *part.shape[1:]).to(dtype) for part in state)

    def _start(self, z0: Any, lead: tuple[int, ...], rows: Tensor, name: str = "z0") -> Tensor | None:
        if z0 is None:
            return None
        found = self._lead(z0, name)
        if found != lead:
            raise ShapeError(f"{name} has the leading axes {found}, but x has {lead}")
        axes = len(lead)
        parts = z0.detach() if isinstance(z0, Tensor) else tuple(part.detach() for part in z0)
        flat: Any = (
            parts.reshape(-1, *parts.shape[axes:])
            if isinstance(parts, Tensor)
            else tuple(part.reshape(-1, *part.shape[axes:]) for part in parts)
        )
        return self.linear.enter(_cast(flat, rows.dtype))

    def get_extra_state(self) -> dict[str, Any]:
        """The settings of the solver, as numbers and strings that ``torch.load(weights_only=True)`` reads."""
        return settings_of(self)

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the settings of the solver from a state_dict."""
        restore_settings(self, state)

    def extra_repr(self) -> str:
        algorithm = "automatic" if self.algorithm is None else repr(self.algorithm)
        parts = [f"activation={name_of(self.activation)}", f"algorithm={algorithm}"]
        if self.backward_algorithm is not None:
            parts.append(f"backward_algorithm={self.backward_algorithm!r}")
        parts += [f"tol={self.tol:g}", f"max_iter={self.max_iter}"]
        if self.gradient != "implicit":
            parts.append(f"gradient={self.gradient!r}")
        if self.fixed_steps is not None:
            parts.append(f"fixed_steps={self.fixed_steps}")
        return ", ".join(parts)


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise DataError(f"{name}={value!r} must be a positive integer")


def _cast(state: Any, dtype: torch.dtype) -> Any:
    return state.to(dtype) if isinstance(state, Tensor) else tuple(part.to(dtype) for part in state)


def _injection(injection: nn.Module | int, linear: Parametrization) -> nn.Module:
    if isinstance(injection, nn.Module):
        return injection
    if isinstance(injection, bool) or not isinstance(injection, int) or injection < 1:
        raise DataError(f"injection={injection!r} must be a positive number of input features or channels, or an nn.Module")
    return linear.default_injection(injection)
