"""The layer of mean-field inference: probabilities of all nodes, given those of the observed ones."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from monops.algorithms import Algorithm
from monops.errors import BackendError, DataError, ShapeError
from monops_nn.boltzmann.clamped import ClampedSoftmax
from monops_nn.boltzmann.inference import Call, Inference, infer, infer_backward
from monops_nn.boltzmann.nodes import NodeSoftmax, split, spread_to_states
from monops_nn.boltzmann.parametrize import Couplings
from monops_nn.equilibrium import full_precision
from monops_nn.settings import restore_settings, settings_of
from monops_nn.solution import Solution
from monops_nn.solver import Solved

SUM = 1e-3  # by which observed probabilities may miss the sum 1


class MeanField(nn.Module):
    """The mean field q_i = softmax((Phi q + b)_i) of all nodes i that are not observed: unique, and found by a theorem.

    Parameters
    ----------
    linear : DenseBoltzmann or LayeredBoltzmann
        W, with I - W >= m I; Phi = s W.
    sharpness : float, default 1.0
        s in (0, 2]. Softmax has slopes of at most 1/2, so that couplings twice as strong still have one mean field.
    algorithm : Algorithm, optional
        Default: Peaceman-Rachford with step 1 (softmax itself) where the resolvent of Phi is cheap. ForwardBackward is the
        damped parallel update, q+ = prox_{a f}((1 - a) q + a (W q + b/s)).
    backward_algorithm : Algorithm, optional
        Default: ``algorithm``.
    tol : float, default 1e-4
        Relative residual |q - softmax(Phi q + b)| / |q| of each row at which to stop, and that of the derivative.
    max_iter : int, default 1000

    Raises
    ------
    DataError
        Arguments that cannot be meant.

    Warns
    -----
    NotConvergedWarning
        When a row has not converged; the text names the pass. Rows with NaN give NaN and leave the others exact.

    Notes
    -----
    The mean field minimises F(q) = sum q log q - q'Phi q/2 - b'q over products of distributions, up to a constant the
    Kullback-Leibler distance to p(x) ~ exp(x'Phi x/2 + b'x). F is strongly convex here, so that there is one stationary
    point. Gradients are exact in the parameters, the evidence and the observed probabilities, once. **Cost** as
    `monops_nn.MonDEQ`.

    References
    ----------
    Feng, Winston and Kolter (2023), Monotone deep Boltzmann machines, for s = 1; s <= 2 by Theorem NN-12 of `proofs`.

    Examples
    --------
    >>> import torch
    >>> from monops_nn.boltzmann import DenseBoltzmann
    >>> machine = MeanField(DenseBoltzmann((2, 2, 3)))
    >>> seen = torch.tensor([[0.0, 1.0, 0.5, 0.5, 0.2, 0.2, 0.6]])
    >>> q = machine(seen, torch.tensor([[True, False, False]]))
    >>> q[0, :2].tolist(), round(q[0, 2:4].sum().item(), 5)
    ([0.0, 1.0], 1.0)
    """

    SETTINGS: ClassVar[tuple[str, ...]] = ("tol", "max_iter")

    def __init__(
        self,
        linear: Couplings,
        *,
        sharpness: float = 1.0,
        algorithm: Algorithm | None = None,
        backward_algorithm: Algorithm | None = None,
        tol: float = 1e-4,
        max_iter: int = 1000,
    ) -> None:
        super().__init__()
        if not isinstance(linear, Couplings):
            raise DataError(f"linear must be DenseBoltzmann or LayeredBoltzmann, got {type(linear).__name__}")
        for name, method in (("algorithm", algorithm), ("backward_algorithm", backward_algorithm)):
            if method is not None and not isinstance(method, Algorithm):
                raise DataError(f"{name} must be a method such as PeacemanRachford(), got {method!r}")
        if isinstance(tol, bool) or not isinstance(tol, (int, float)) or not 0 < tol < math.inf:
            raise DataError(f"tol={tol!r} must be a positive finite number: the relative residual of a row at which to stop")
        if isinstance(max_iter, bool) or not isinstance(max_iter, int) or max_iter < 1:
            raise DataError(f"max_iter={max_iter!r} must be a positive integer")
        self.linear, self.softmax = linear, NodeSoftmax(linear.layout, float(sharpness)).batched(1)
        self.bias = nn.Parameter(torch.zeros_like(linear.reference[..., :1].flatten()[:1].expand(linear.shape[0])).clone())
        self.algorithm, self.backward_algorithm = algorithm, backward_algorithm
        self.tol, self.max_iter = float(tol), max_iter

    @property
    def sharpness(self) -> float:
        """The number s."""
        return self.softmax.sharpness

    @property
    def node_count(self) -> int:
        """How many nodes there are."""
        return sum(run.number for run in self.linear.layout)

    def couplings(self) -> Tensor:
        """Phi as a matrix, differentiable; for small machines."""
        return self.sharpness * self.linear.weight()

    def forward(
        self,
        observed: Tensor | None = None,
        mask: Tensor | None = None,
        evidence: Tensor | None = None,
        q0: Tensor | None = None,
    ) -> Tensor:
        """Probabilities q, shape (..., size).

        Parameters
        ----------
        observed : tensor (..., size), optional
            Probabilities of the observed nodes; what stands at other nodes is not read.
        mask : tensor of bool (..., nodes), optional
            True where a node is observed, row by row; default none is.
        evidence : tensor (..., size), optional
            Added to b.
        q0 : tensor (..., size), optional
            Where to start.
        """
        lead, c, sigma = self._enter(observed, mask, evidence)
        with full_precision(c.device):
            weights, start = self.linear.weights(), self._start(q0, lead, c)
            q = Inference.apply(c, sigma.fixed, sigma.free, start, self._call(), *weights)  # type: ignore[no-untyped-call]
        rows: Tensor = q
        return rows.reshape(*lead, -1).to(self.bias.dtype)

    @torch.no_grad()
    def solve(
        self,
        observed: Tensor | None = None,
        mask: Tensor | None = None,
        evidence: Tensor | None = None,
        q0: Tensor | None = None,
    ) -> Solution:
        """The mean field with status, residual, certified error bound and iterations of each row; no gradient, no warning."""
        lead, c, sigma = self._enter(observed, mask, evidence)
        call, weights = self._call(), self.linear.weights()
        solved = infer(call, c, sigma, self._start(q0, lead, c), weights)
        ready: Any = (call.ready(weights, len(c)).system, sigma, call.ready(weights, len(c)).forward, None)
        return Solution.of(solved.z.reshape(*lead, -1).to(self.bias.dtype), lead, solved, c, ready)

    @torch.no_grad()
    def solve_backward(self, gradient: Tensor, observed: Tensor | None = None, mask: Tensor | None = None) -> Solved:
        """The backward pass alone, for a gradient of q's shape: iterations, residual and status of each row; for reports."""
        _, c, sigma = self._enter(observed, mask, None)
        call, weights = self._call(), self.linear.weights()
        q = infer(call, c, sigma, None, weights).z
        return infer_backward(call, gradient.reshape(c.shape).to(c.dtype), q, sigma, weights)

    def _call(self) -> Call:
        return Call(self.linear, self.softmax, self.algorithm, self.backward_algorithm, self.tol, self.max_iter)

    def _enter(
        self, observed: Tensor | None, mask: Tensor | None, evidence: Tensor | None
    ) -> tuple[tuple[int, ...], Tensor, ClampedSoftmax]:
        """Leading axes, c = (b + evidence)/s in rows, and softmax with the observed nodes held."""
        if (observed is None) != (mask is None):
            raise DataError("observed and mask belong together: give the probabilities, and which nodes they are those of")
        size, dtype, leads = self.linear.shape[0], self.linear.solving_dtype, set()
        for name, tensor, last in (("observed", observed, size), ("mask", mask, self.node_count), ("evidence", evidence, size)):
            if tensor is None:
                continue
            if not isinstance(tensor, Tensor):
                raise BackendError(f"{name} must be a torch tensor, got {type(tensor).__name__}")
            if tensor.ndim == 0 or tensor.shape[-1] != last:
                raise ShapeError(f"{name} has shape {tuple(tensor.shape)}, but needs (..., {last})")
            leads.add(tuple(tensor.shape[:-1]))
        if len(leads) > 1:
            raise ShapeError(f"observed, mask and evidence have different leading axes: {sorted(leads)}")
        lead: tuple[int, ...] = leads.pop() if leads else ()
        count = math.prod(lead)
        c = (self.bias.to(dtype) / self.sharpness).expand(count, size)
        if evidence is not None:
            c = c + evidence.reshape(count, size).to(dtype) / self.sharpness
        if observed is None or mask is None:
            return lead, c, ClampedSoftmax(self.softmax, c.new_ones(count, size), c.new_zeros(count, size))
        if mask.dtype != torch.bool:
            raise DataError(f"mask must be of bool, True where a node is observed, got {mask.dtype}")
        seen = spread_to_states(mask.reshape(count, -1), self.linear.layout)
        fixed = torch.where(seen, observed.reshape(count, size).to(dtype), c.new_zeros(()))
        self._check(fixed.detach(), mask.reshape(count, -1))
        return lead, c, ClampedSoftmax(self.softmax, (~seen).to(dtype), fixed)

    def _check(self, fixed: Tensor, mask: Tensor) -> None:
        """DataError unless what is observed are probabilities; NaN passes, and gives rows of NaN."""
        sums = torch.cat([part.sum(dim=1) for part in split(fixed, self.linear.layout)], dim=-1)
        wrong = ((sums - 1.0).abs() > SUM) & mask
        if bool(wrong.any()) or bool((fixed < 0).any()):
            raise DataError("observed nodes need probabilities: numbers >= 0 with the sum 1 over the states of each node")

    def _start(self, q0: Tensor | None, lead: tuple[int, ...], c: Tensor) -> Tensor | None:
        if q0 is None:
            return None
        if tuple(q0.shape) != (*lead, c.shape[1]):
            raise ShapeError(f"q0 has shape {tuple(q0.shape)}, but needs {(*lead, c.shape[1])}")
        return q0.detach().reshape(c.shape).to(c.dtype)

    def get_extra_state(self) -> dict[str, Any]:
        """The settings of the solver, as numbers and strings that ``torch.load(weights_only=True)`` reads."""
        return settings_of(self)

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the settings of the solver from a state_dict."""
        restore_settings(self, state)

    def extra_repr(self) -> str:
        algorithm = "automatic" if self.algorithm is None else repr(self.algorithm)
        return f"sharpness={self.sharpness:g}, algorithm={algorithm}, tol={self.tol:g}, max_iter={self.max_iter}"
