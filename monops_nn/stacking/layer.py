"""Networks and cascades of equilibrium layers as one equilibrium layer (Theorems 1 and 2 of the talk)."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from monops.algorithms import Algorithm
from monops.errors import CapabilityError, ConstantError, DataError
from monops.functions import Function
from monops.functions.separable import Separable
from monops_nn.activations import function_of
from monops_nn.equilibrium import Gradient, Pass, full_precision
from monops_nn.mondeq import MonDEQ
from monops_nn.solution import Solution
from monops_nn.stacking.activation import blockwise
from monops_nn.stacking.affine import AffineMap, check_mode
from monops_nn.stacking.cell import group, input_shape_of
from monops_nn.stacking.chain import Chain, ChainInjection, Link
from monops_nn.stacking.substitution import ChainPicard
from monops_nn.stacking.system import LARGEST, ChainSystem, amplification

EXACT = 1e-300  # a tolerance that only the residual 0 meets


class DenseStack(NamedTuple):
    """z = sigma(W z + U x + b) with explicit matrices, and the diagonal of the metric."""

    W: Tensor
    U: Tensor
    b: Tensor
    metric: Tensor


@final
class StackedEquilibrium(MonDEQ):
    """One equilibrium layer z = sigma(W z + U x + b) on the states z = (z_1, ..., z_d) of several blocks in a row.

    Made by `stack_feedforward` and `stack_equilibria`. A call gives the tuple of all blocks: the last is the output of what was
    stacked. Everything else is as for `MonDEQ`: implicit gradients of any order, ``solve``, the choice of a method.

    Parameters
    ----------
    linear : Chain
    algorithm, backward_algorithm : Algorithm, optional
        Default: `ChainPicard` where no block has a W of its own, exact after d steps, whatever ``tol``; else the choice of
        `MonDEQ`. Splitting methods reach the same state, because I - W is strongly monotone in ``metric``;
        PeacemanRachford() then takes the step 1, with which it too ends after d steps where no block has a W of its own.
    tol, max_iter, gradient, fixed_steps
        As for `MonDEQ`.

    Raises
    ------
    CapabilityError
        An activation that couples the entries of a block whose own W has a metric.

    Notes
    -----
    **Cost** d products with the whole W for the result of one pass through d layers: a theorem about what one layer can
    represent, not a faster way to compute it.

    References
    ----------
    Bai, Kolter and Koltun (2019), Deep equilibrium models, Theorems 1 and 2. Revay, Wang and Manchester (2020), for metrics.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
    >>> layer = stack_feedforward(net)
    >>> x = torch.randn(5, 3)
    >>> bool((layer(x)[-1] - net(x)).abs().max() < 1e-6), layer.monotonicity
    (True, 0.5)
    """

    linear: Chain

    def __init__(
        self,
        linear: Chain,
        *,
        algorithm: Algorithm | None = None,
        backward_algorithm: Algorithm | None = None,
        tol: float = 1e-4,
        max_iter: int = 1000,
        gradient: Gradient = "implicit",
        fixed_steps: int | None = None,
    ) -> None:
        if not isinstance(linear, Chain):
            raise DataError(f"linear must be a Chain, got {type(linear).__name__}: use stack_feedforward or stack_equilibria")
        for link in linear.chain:
            scaled = link.linear is not None and link.linear.current_system().metric is not None
            if scaled and not isinstance(link.activation, Separable):
                raise CapabilityError(
                    f"{type(link.activation).__name__} couples the entries of a block, and need not be monotone in the metric "
                    f"of {type(link.linear).__name__}: use an activation that acts entry by entry"
                )
        super().__init__(
            linear,
            blockwise(linear.blocks),
            injection=ChainInjection(linear),
            algorithm=algorithm,
            backward_algorithm=backward_algorithm,
            tol=tol,
            max_iter=max_iter,
            gradient=gradient,
            fixed_steps=fixed_steps,
        )

    @property
    def depth(self) -> int:
        """The number d of blocks."""
        return len(self.linear.links)

    @property
    def is_feedforward(self) -> bool:
        """Whether no block has a W of its own."""
        return all(link.linear is None for link in self.linear.chain)

    def certified_system(self) -> ChainSystem:
        """W on the present parameters, with norms, metric and constants."""
        with torch.no_grad():
            return self.linear.system(self.linear.weights())

    @property
    def monotonicity(self) -> float:
        """The number m: sym(Psi (I - W)) >= m Psi."""
        return self.certified_system().monotonicity

    @property
    def metric(self) -> Tensor:
        """The s_i^2, shape (d,), float64: Psi is s_i^2 times the metric of block i alone (1 where it has none).

        Raises ConstantError where their condition number is beyond float64; the layer is solved all the same.
        """
        system = self.certified_system()
        if not system.log_condition < LARGEST:
            raise ConstantError(
                f"the metric has the condition number e^{system.log_condition:.0f}, beyond float64: the equilibrium is unique "
                "and found exactly, but the metric that shows it cannot be written down: scale the weights down, or stack less"
            )
        return system.block_weights

    def dense(self) -> DenseStack:
        """W (n, n), U (n, inputs), b (n,) and the diagonal of Psi (n,), for small networks.

        Raises CapabilityError where the input enters by something that is not known to be affine, ConstantError as ``metric``.
        """
        assert self.metric.numel()
        entry = self._entry()
        with torch.no_grad():
            system = self.certified_system()
            psi = system.metric
            assert psi is not None
            inputs = math.prod(entry.shape_in)
            like = self.linear.reference
            units = torch.eye(inputs, dtype=like.dtype, device=like.device)
            both = torch.cat((units, torch.zeros_like(units[:1]))).reshape(-1, *entry.shape_in)
            rows = self.linear.enter(tuple(block.to(system.like.dtype) for block in self.injection(both)))
            return DenseStack(system.dense(), (rows[:-1] - rows[-1]).mT, rows[-1], psi)

    def least_eigenvalue(self) -> float:
        """lambda_min of sym(Psi^(1/2) (I - W) Psi^(-1/2)), from the matrix: never below ``monotonicity``, up to rounding."""
        assert self.metric.numel()
        system = self.certified_system()
        psi = system.metric
        assert psi is not None
        free = slice(None) if system.mask is None else system.mask.bool()
        root = psi[free].sqrt()
        W = system.dense().to(torch.float64)[free][:, free]
        M = torch.eye(len(W), dtype=W.dtype, device=W.device) - root[:, None] * W / root
        return float(torch.linalg.eigvalsh(0.5 * (M + M.mT))[0])

    @torch.no_grad()
    def solve(self, x: Tensor, z0: Any = None) -> Solution:
        """As `MonDEQ.solve`; the error bound goes from block to block, and needs no metric of the whole."""
        solution = super().solve(x, z0)
        lead, rows = self._inject(x)
        with full_precision(rows.device):
            system = self.certified_system()
            z = self.linear.enter(
                tuple(block.reshape(-1, *s).to(rows.dtype) for block, s in zip(solution.z, self.linear.shape, strict=True))
            )
            ready = self._pass().ready(self.linear.weights())
            bounds = system.error_bounds(z - ready.sigma.resolvent(system.product(z) + rows, 1.0))
        return dataclasses.replace(solution, error_bound=torch.linalg.vector_norm(bounds, dim=-1).reshape(lead))

    @torch.no_grad()
    def lipschitz_bound(self) -> float:
        """A certified bound of |z_d(x) - z_d(y)|/|x - y| for the last block: the product of |A_i|/m_i."""
        entry = self._entry()
        system = self.certified_system()
        bound = entry.norm(entry.weights(self.linear.solving_dtype))
        for part, norm in zip(system.parts, (1.0, *system.norms), strict=True):
            bound *= norm * amplification(part)
        return bound

    def _entry(self) -> AffineMap:
        entry = self.linear.chain[0].injection
        if not isinstance(entry, AffineMap):
            raise CapabilityError(
                f"the injection {type(entry).__name__} of the first layer is not known to be affine: use nn.Linear, or a "
                "network with input_shape"
            )
        return entry

    def _pass(self) -> Pass:
        exact = self.algorithm is None and self.is_feedforward
        if exact and self.backward_algorithm is not None:
            raise DataError(
                f"backward_algorithm={self.backward_algorithm!r} needs an algorithm too, such as PeacemanRachford(): the exact "
                "iteration on a network is used for both passes or for none"
            )
        return dataclasses.replace(
            super()._pass(),
            build=self.linear.bare_system,
            algorithm=ChainPicard() if exact else self.algorithm,
            tol=EXACT if exact else self.tol,
            max_iter=max(self.max_iter, 2 * self.depth) if exact else self.max_iter,
        )

    def extra_repr(self) -> str:
        lines = super().extra_repr().partition(", ")[2]
        return f"depth={self.depth}, {lines}"


def stack_feedforward(
    net: nn.Sequential, input_shape: int | tuple[int, ...] | None = None, *, monotonicity: float = 0.5, **layer: Any
) -> StackedEquilibrium:
    """The network x -> sigma_d(A_d ... sigma_1(A_1 x + b_1) ... + b_d) as one equilibrium layer (Theorem 1 of the talk).

    Parameters
    ----------
    net : nn.Sequential
        Nested or not, of nn.Linear, nn.Conv1d, nn.Conv2d, average pooling, nn.Flatten, activations that are proxes, and in
        evaluation mode dropout and batch norm. Its parameters are shared: training the one trains the other.
    input_shape : int or tuple of int, optional
        Of one input, without the samples; not needed where the network begins with nn.Linear.
    monotonicity : float, default 0.5
        m, between 0 and 1: I - W is made monotone by so much in a metric with one weight a block.
    **layer
        Further settings of `StackedEquilibrium`.

    Returns
    -------
    StackedEquilibrium
        Its last block is the output of the network.

    Raises
    ------
    CapabilityError
        A module that is neither affine nor the prox of a convex function (max pooling, GELU, layer norm, LSTM...).
        `StackedCell` takes these for `DEQ`: Theorem 1 holds for them, but there is no certificate of monotonicity.
    DataError
        A net that is no nn.Sequential, or does not take inputs of this shape.

    Notes
    -----
    Any weights are well posed: W is block subdiagonal, and sym(Psi (I - W)) >= m Psi with Psi_i = s_i^2 as soon as
    |A_i| s_i/s_(i-1) cos(pi/(d + 1)) <= 1 - m (see `ChainSystem`). Without a metric this holds only for weights of norm
    (1 - m)/cos(pi/(d + 1)) at most.

    References
    ----------
    Bai, Kolter and Koltun (2019), Deep equilibrium models, Theorem 1. El Ghaoui et al. (2021), Implicit deep learning.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3), nn.Sigmoid())
    >>> layer = stack_feedforward(net, (1, 8, 8))
    >>> solution = layer.solve(torch.ones(2, 1, 8, 8))
    >>> int(solution.iterations.max()), float(solution.residual.max())
    (2, 0.0)
    """
    shape, links = input_shape_of(net, input_shape), []
    for affine, bend in group(net):
        part = AffineMap(affine, shape)
        shape = part.shape_out
        links.append(Link(part, None, _activation(bend, shape), shape))
    return StackedEquilibrium(Chain(links, monotonicity), **layer)


def stack_equilibria(first: MonDEQ, second: MonDEQ, *, monotonicity: float = 0.5, **layer: Any) -> StackedEquilibrium:
    """Two layers in cascade, z_2 = sigma_2(W_2 z_2 + U_2 z_1 + b_2), as one on (z_1, z_2) (Theorem 2 of the talk).

    Parameters
    ----------
    first, second : MonDEQ
        The injection of the second reads the state of the first, and is affine. Either may be a stack: the second then reads
        the last block, and the result is one chain. Parameters are shared.
    monotonicity : float, default 0.5
        The share of the smaller m that is left, between 0 and 1.
    **layer
        Further settings of `StackedEquilibrium`.

    Returns
    -------
    StackedEquilibrium
        A call gives (z_1, z_2).

    Raises
    ------
    CapabilityError
        An injection of the second layer that is not affine; a state of several tiers.
    DataError
        What is no MonDEQ, or does not fit.

    Notes
    -----
    With margins m_1, m_2 in the metrics Psi_1, Psi_2, k = |Psi_2^(1/2) U_2 Psi_1^(-1/2)| and s^2 Psi_2 in place of Psi_2, the
    stack has the margin of [[m_1, -s k/2], [-s k/2, m_2]] (NN-11), positive for s small: a unique equilibrium is inherited in
    this sense, monotonicity with s = 1 only for k < 2 sqrt(m_1 m_2).

    References
    ----------
    Bai, Kolter and Koltun (2019), Deep equilibrium models, Theorem 2.

    Examples
    --------
    >>> from monops_nn import MonotoneLinear
    >>> first = MonDEQ(MonotoneLinear(4), injection=3, tol=1e-6)
    >>> second = MonDEQ(MonotoneLinear(5), "tanh", injection=4, tol=1e-6)
    >>> both, x = stack_equilibria(first, second, tol=1e-6), torch.randn(2, 3)
    >>> bool((both(x)[1] - second(first(x))).abs().max() < 1e-4)
    True
    """
    ahead, behind = _links(first, None), _links(second, first)
    if isinstance(behind[0].injection, AffineMap) and behind[0].injection.shape_in != ahead[-1].shape:
        raise DataError(f"the second layer reads {behind[0].injection.shape_in}, but the first gives {ahead[-1].shape}")
    return StackedEquilibrium(Chain([*ahead, *behind], monotonicity), **layer)


def _links(layer: MonDEQ, before: MonDEQ | None) -> list[Link]:
    """The blocks of a layer; where another comes before, with its injection as an affine map."""
    if not isinstance(layer, MonDEQ):
        raise DataError(f"only MonDEQ layers and stacks of them can be stacked, got {type(layer).__name__}")
    if isinstance(layer, StackedEquilibrium):
        links = list(layer.linear.chain)
        if before is not None:
            layer._entry()
        return links
    shape = layer.linear.shape
    if isinstance(shape[0], tuple):
        raise CapabilityError(
            f"the state of {type(layer.linear).__name__} has several tiers: stack layers whose state is one tensor"
        )
    injection: nn.Module = layer.injection
    entrance = None if before is None else before.linear.shape
    if entrance is not None:
        injection = AffineMap([injection], entrance[-1] if isinstance(entrance[0], tuple) else entrance)
        if injection.shape_out != tuple(shape):
            raise DataError(f"the injection of the second layer gives {injection.shape_out}, but its state is {tuple(shape)}")
    elif isinstance(injection, nn.Linear):
        injection = AffineMap([injection], (injection.in_features,))
    return [Link(injection, layer.linear, layer.activation, tuple(shape))]


def _activation(module: nn.Module | None, shape: tuple[int, ...]) -> Function:
    """The convex function whose prox a module is; CapabilityError, with the way out, where there is none."""
    if module is None:
        return function_of("identity")
    name, way = type(module).__name__, "or give StackedCell(net) to DEQ, which has no certificate"
    if module._forward_hooks or module._forward_pre_hooks or not type(module).__module__.startswith("torch.nn.modules"):
        raise CapabilityError(
            f"{name} is no plain module of torch whose formula is known here: write the network with those, {way}"
        )
    check_mode(module)
    if isinstance(module, nn.Softplus) and (module.beta != 1 or module.threshold < 20):
        raise CapabilityError(
            f"softplus is stacked with beta = 1 and a threshold of at least 20 only: use nn.Softplus(), {way}"
        )
    if isinstance(module, nn.Softmax) and (len(shape) != 1 or module.dim not in (1, -1)):
        raise CapabilityError(
            f"softmax is stacked along the only axis of a vector: use nn.Softmax(dim=-1) after nn.Flatten, {way}"
        )
    try:
        return function_of(module)
    except DataError as error:
        reason = "" if "is unknown" in str(error) else f" ({error})"
        raise CapabilityError(
            f"{name} is not known as an affine map or as the prox of a convex function{reason}: use average pooling, "
            f"convolutions and activations of monops_nn.ACTIVATIONS, {way}"
        ) from None
    except CapabilityError as error:
        raise CapabilityError(f"{error}; {way.removeprefix('or ')}") from None
