"""The deep equilibrium layer of any cell."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, cast, final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from monops import FixedPoint, Status, solve
from monops.acceleration import Anderson
from monops.algorithms import Algorithm
from monops.algorithms.fixed_points import Picard
from monops.arrays import leaves
from monops.errors import CapabilityError, DataError, NotApplicableError, NotConvergedError, NotConvergedWarning, ShapeError
from monops.problem import Inclusion
from monops.result import Check, Result
from monops.stopping import RelativeToPointBelow
from monops_nn.deq.cells import names_of, prepare
from monops_nn.deq.gradients import Attach, CellMap, Leaves, without_cache
from monops_nn.deq.solution import EquilibriumSolution, answer, message, relative
from monops_nn.deq.states import State, as_point, as_state, leaves_of
from monops_nn.settings import restore_settings, settings_of

Gradient = Literal["implicit", "phantom", "one_step", "unrolled"]
GRADIENTS = ("implicit", "phantom", "one_step", "unrolled")


@final
class DEQ(nn.Module):
    """The layer x -> z with z = f(z, x) for any cell f: a network of infinite depth with the memory of one cell.

    Parameters
    ----------
    cell : nn.Module
        f: ``cell(z, *inputs)`` gives a state of the shape of z, a tensor or a tuple of tensors whose first axis is that of the
        samples. A method ``cell.initial_state(*inputs)`` gives the start; default: zeros like the first input.
    algorithm : Algorithm, default Anderson(Picard(), memory=5)
        Any method of monops for fixed points: Picard(relaxation), Anderson(Picard(relaxation), memory, type, regularisation),
        Broyden(memory), NewtonKrylov().
    backward_algorithm : Algorithm, optional
        For the linear fixed point of the backward pass. Default: ``algorithm``.
    tol : float, default 1e-4
        A sample has converged when |z - f(z, x)| <= tol |z|.
    backward_tol : float, optional
        The same for u = J' u + g. Default: ``tol``.
    max_iter, backward_max_iter : int, default 50
        The second defaults to the first.
    gradient : {"implicit", "phantom", "one_step", "unrolled"}, default "implicit"
        "implicit" is the exact derivative of the fixed point, of any order, whatever the forward pass did. "phantom": that of
        ``phantom_steps`` relaxed steps from it; "one_step": that of f at it. Both cost no backward solve, and are no exact
        derivatives. "unrolled": that of ``max_iter`` recorded steps of ``algorithm`` from the start, with their memory.
    phantom_steps : int, default 5
    phantom_relaxation : float, default 0.5
    on_failure : {"warn", "raise", "ignore"}, default "warn"
        What to do when a sample of a pass has not converged.

    Raises
    ------
    DataError
        Arguments that cannot be meant; dropout that draws anew at every evaluation; a cell that reads tensors with gradients
        that are neither its parameters nor its inputs, which would get none.
    ShapeError, BackendError
        A cell that does not give back the shape of its state.

    Warns
    -----
    NotConvergedWarning
        When a sample has not converged; the text names the pass. A sample with NaN gives NaN and leaves the others alone, as
        long as the cell does not mix samples.

    Notes ----- Nothing is known of a general cell: neither that a fixed point exists, nor that there is one only. `MonDEQ`
    guarantees both. The cell must be the same function during a solve: use layer or group norm instead of batch norm (which
    mixes the samples), and `VariationalDropout` instead of dropout. Weight and spectral norm are computed once a solve. Nothing
    is stored on the module in a forward pass. **Memory** that of one evaluation of f, and of the solver's own (2 memory states
    for Anderson and Broyden), whatever the number of iterations. **Cost** forward iterations x f; backward iterations x one
    vector-Jacobian product.

    References
    ----------
    Bai, Kolter and Koltun (2019), Deep equilibrium models. Geng, Zhang, Bai, Wang and Lin (2021), On training implicit models
    (phantom gradients). Fung et al. (2022), JFB (one step).

    Examples
    --------
    >>> class Cell(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.recurrent, self.input = nn.Linear(8, 8), nn.Linear(3, 8)
    ...     def initial_state(self, x):
    ...         return x.new_zeros(len(x), 8)
    ...     def forward(self, z, x):
    ...         return torch.tanh(self.recurrent(z) + self.input(x))
    >>> _ = torch.manual_seed(0)
    >>> layer, x = DEQ(Cell()), torch.randn(4, 3)
    >>> z = layer(x)
    >>> bool((z - layer.cell(z, x)).abs().max() < 1e-3)
    True
    >>> z.sum().backward()
    """

    SETTINGS: ClassVar[tuple[str, ...]] = (
        "tol", "backward_tol", "max_iter", "backward_max_iter", "gradient", "phantom_steps", "phantom_relaxation", "on_failure"
    )  # fmt: skip

    def __init__(
        self,
        cell: nn.Module,
        *,
        algorithm: Algorithm | None = None,
        backward_algorithm: Algorithm | None = None,
        tol: float = 1e-4,
        backward_tol: float | None = None,
        max_iter: int = 50,
        backward_max_iter: int | None = None,
        gradient: Gradient = "implicit",
        phantom_steps: int = 5,
        phantom_relaxation: float = 0.5,
        on_failure: Literal["warn", "raise", "ignore"] = "warn",
    ) -> None:
        super().__init__()
        if not isinstance(cell, nn.Module):
            raise DataError(f"cell must be an nn.Module with forward(z, *inputs), got {type(cell).__name__}")
        self.cell = cell
        self.algorithm = Anderson(Picard(), memory=5) if algorithm is None else algorithm
        self.backward_algorithm = self.algorithm if backward_algorithm is None else backward_algorithm
        self.tol, self.backward_tol = tol, tol if backward_tol is None else backward_tol
        self.max_iter, self.backward_max_iter = max_iter, max_iter if backward_max_iter is None else backward_max_iter
        self.gradient, self.phantom_steps, self.phantom_relaxation = gradient, phantom_steps, phantom_relaxation
        self.on_failure = on_failure
        self._check()

    def _check(self) -> None:
        for name in ("algorithm", "backward_algorithm"):
            method = getattr(self, name)
            if not isinstance(method, Algorithm):
                raise DataError(f"{name} must be a method such as Anderson(Picard()), got {method!r}")
            try:
                method.match(Inclusion(FixedPoint(lambda z: z).terms()))
            except NotApplicableError as error:
                raise DataError(
                    f"{name}={method.name} is no method for the fixed points of any map: use Anderson(Picard()), Picard(), "
                    "Broyden() or NewtonKrylov()"
                ) from error
        for name in ("tol", "backward_tol"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
                raise DataError(f"{name}={value!r} must be a positive finite number: |z - f(z)| <= {name} |z| ends a solve")
        for name in ("max_iter", "backward_max_iter", "phantom_steps"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise DataError(f"{name}={value!r} must be an integer >= 1")
        if self.gradient not in GRADIENTS:
            raise DataError(f"gradient={self.gradient!r} must be one of {', '.join(map(repr, GRADIENTS))}")
        if not 0 < self.phantom_relaxation <= 1:
            raise DataError(f"phantom_relaxation={self.phantom_relaxation!r} must be in (0, 1]")
        if self.on_failure not in ("warn", "raise", "ignore"):
            raise DataError(f"on_failure={self.on_failure!r} must be 'warn', 'raise' or 'ignore'")

    def forward(self, *inputs: Tensor, z0: State | None = None) -> State:
        """The fixed point for these inputs, with its gradient; ``z0`` is an optional start of its shape."""
        start, several = self._start(inputs, z0)
        map_ = self._map(inputs, several)
        if self.gradient == "unrolled":
            return as_state(self._unrolled(map_, inputs, start), several)
        result = self._solve(map_, inputs, start)
        self._report(result, "forward")
        return as_state(self._attached(map_, inputs, answer(result)), several)

    @torch.no_grad()
    def solve(self, *inputs: Tensor, z0: State | None = None) -> EquilibriumSolution:
        """The fixed point with the truth about it: status, residual and iterations of each sample; no gradient, no warning."""
        start, several = self._start(inputs, z0)
        result = self._solve(self._map(inputs, several), inputs, start)
        parts = answer(result)
        like = parts[0]
        return EquilibriumSolution(
            as_state(parts, several),
            result.status,
            result.row_status,
            torch.as_tensor(relative(result), dtype=like.dtype, device=like.device),
            torch.as_tensor(result.iterations, device=like.device),
            result.algorithm,
            message(result, self.tol),
        )

    def trajectory(self, *inputs: Tensor, at: Sequence[int], z0: State | None = None) -> tuple[State, tuple[State, ...]]:
        """The fixed point, and f at the iterates of the given numbers (those that were reached), each with its gradient.

        The gradient of a state on the way is that of one application of f; see `fixed_point_correction`.
        """
        numbers = set(at) if isinstance(at, (tuple, list, set, range)) else set()
        if not numbers or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in numbers):
            raise DataError(f"at={at!r} must hold the numbers of iterations, integers >= 1")
        if self.gradient == "unrolled":
            raise CapabilityError(
                "a trajectory needs gradient='implicit', 'phantom' or 'one_step': unrolled steps are recorded"
            )
        start, several = self._start(inputs, z0)
        map_, seen = self._map(inputs, several), []

        def keep(check: Check) -> None:
            if check.iteration in numbers:
                seen.append(tuple(leaves(check.x)))

        result = self._solve(map_, inputs, start, keep)
        self._report(result, "forward")
        z = self._attached(map_, inputs, answer(result))
        others = (*inputs, *self._weights())
        return as_state(z, several), tuple(as_state(map_.evaluate(point, others), several) for point in seen)

    def _start(self, inputs: tuple[Tensor, ...], z0: State | None) -> tuple[Leaves, bool]:
        if not inputs:
            raise DataError("a DEQ needs at least one input: layer(x)")
        if torch._C._functorch.peek_interpreter_stack() is not None:
            raise CapabilityError(
                "torch.func does not go through a DEQ: use torch.autograd, or a MonDEQ, which it goes through"
            )
        leaves_of(inputs, "the inputs")
        initial, recorded = getattr(self.cell, "initial_state", None), self.gradient == "unrolled" and torch.is_grad_enabled()
        with torch.set_grad_enabled(recorded):
            state = initial(*inputs) if initial is not None else torch.zeros_like(inputs[0])
        start = leaves_of(state, "cell.initial_state(...)")
        if not all(part.is_floating_point() for part in start):
            raise DataError(
                f"a state must be of floating point, got {start[0].dtype}: give the cell a method initial_state(*inputs); "
                "without one the start is zeros like the first input"
            )
        several = isinstance(state, (tuple, list))
        if z0 is not None:
            given = leaves_of(z0, "z0")
            shapes = [[tuple(part.shape) for part in parts] for parts in (given, start)]
            if shapes[0] != shapes[1]:
                raise ShapeError(f"z0 has shape {shapes[0]}, but a state of this cell and these inputs has {shapes[1]}")
            given = given if recorded else tuple(part.detach() for part in given)
            start = tuple(part.to(old.dtype) for part, old in zip(given, start, strict=True))
        return start, several

    def _weights(self) -> Leaves:
        return tuple(self.cell.parameters())

    def _map(self, inputs: tuple[Tensor, ...], several: bool) -> CellMap:
        """The cell as it is for this call; new masks of dropout in training mode."""
        prepare(self.cell)
        device = inputs[0].device.type
        mixed = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        names = names_of(self.cell)
        modes = tuple((module, module.training) for module in self.cell.modules())
        buffers = dict(self.cell.named_buffers())
        return CellMap(self._backward_solve, self.cell, names, modes, buffers, {}, len(inputs), several, (device, mixed))

    @torch.no_grad()
    def _solve(
        self, map_: CellMap, inputs: tuple[Tensor, ...], start: Leaves, callback: Callable[[Check], None] | None = None
    ) -> Result:
        def image(z: Any, *x: Tensor) -> Any:
            return as_point(map_.apply(tuple(leaves(z)), x))

        problem = FixedPoint(image, tuple(x.detach() for x in inputs))
        try:
            with without_cache() if parametrize._cache_enabled else parametrize.cached():
                return self._run(problem, self.algorithm, start, True, callback)
        except ShapeError as error:
            if hasattr(self.cell, "initial_state"):
                raise
            hint = "the start was zeros like the first input; for another state give the cell a method initial_state(*inputs)"
            raise ShapeError(f"{error}; {hint}") from error

    def _run(
        self,
        problem: FixedPoint,
        algorithm: Algorithm,
        start: Leaves,
        forward: bool,
        callback: Callable[[Check], None] | None = None,
    ) -> Result:
        tol, limit = (self.tol, self.max_iter) if forward else (self.backward_tol, self.backward_max_iter)
        return solve(
            problem,
            algorithm,
            x0=as_point(start),
            batch_ndim=1,
            check_every=1,
            stop=RelativeToPointBelow(tol),
            max_iter=limit,
            callback=callback,
            on_failure="ignore",
        )

    def _backward_solve(self, pull: Callable[..., Any], start: Leaves) -> Leaves:
        result = self._run(FixedPoint(pull), self.backward_algorithm, start, False)
        self._report(result, "backward")
        return answer(result)

    def _attached(self, map_: CellMap, inputs: tuple[Tensor, ...], z: Leaves) -> Leaves:
        """The solution z with the gradient that was asked for."""
        others = (*inputs, *self._weights())
        if not torch.is_grad_enabled() or not any(part.requires_grad for part in others):
            return z
        if self.gradient == "implicit":
            map_.versions.update({name: buffer._version for name, buffer in map_.buffers.items()})
            return cast(Leaves, Attach.apply(map_, len(z), *z, *others))  # type: ignore[no-untyped-call]
        steps, a = (1, 1.0) if self.gradient == "one_step" else (self.phantom_steps, self.phantom_relaxation)
        for _ in range(steps):
            image = map_.evaluate(z, others)
            z = tuple(torch.lerp(old, new, a) for old, new in zip(z, image, strict=True))
        return z

    def _unrolled(self, map_: CellMap, inputs: tuple[Tensor, ...], start: Leaves) -> Leaves:
        """``max_iter`` recorded steps."""
        parameters = self._weights()

        def image(z: Any, *x: Tensor) -> Any:
            return as_point(map_.evaluate(tuple(leaves(z)), (*x, *parameters)))

        problem = Inclusion(FixedPoint(image, inputs).terms()).batched(1)
        terms = self.algorithm.match(problem)
        state = self.algorithm.init(terms, as_point(start))
        for _ in range(self.max_iter):
            state = self.algorithm.step(terms, state)
        return tuple(leaves(self.algorithm.solution(terms, state).x))

    def _report(self, result: Result, which: str) -> None:
        if result.status is Status.CONVERGED or self.on_failure == "ignore":
            return
        tol = self.tol if which == "forward" else self.backward_tol
        text = f"equilibrium {which} pass of {type(self.cell).__name__}: {message(result, tol)}"
        if self.on_failure == "raise":
            raise NotConvergedError(text)
        warnings.warn(text, NotConvergedWarning, stacklevel=5)

    def get_extra_state(self) -> dict[str, Any]:
        """The settings of the solver, for state_dict."""
        return settings_of(self)

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Settings from a state_dict."""
        restore_settings(self, state)

    def extra_repr(self) -> str:
        return f"algorithm={self.algorithm.name}, tol={self.tol:g}, max_iter={self.max_iter}, gradient={self.gradient!r}"
