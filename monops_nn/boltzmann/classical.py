"""Mean-field inference as it is usually done, undamped and node by node, for comparison; free energy; exact marginals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

import monops
from monops.errors import DataError, ShapeError
from monops.result import Result
from monops.stopping import RelativeToPointBelow
from monops_nn.boltzmann.nodes import Nodes, NodeSoftmax, join, split, spread_to_states

MOST = 2**20  # configurations that are enumerated


def parallel_mean_field(
    Phi: Tensor,
    bias: Tensor,
    layout: Sequence[Nodes],
    observed: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    q0: Tensor | None = None,
    relaxation: float = 1.0,
    tol: float = 1e-6,
    max_iter: int = 1000,
) -> Result:
    """All nodes at once: q+ = (1 - a) q + a softmax(Phi q + b), by `monops.Picard`; undamped it may go round in a circle.

    Parameters
    ----------
    Phi : tensor (n, n)
        Any couplings; nothing is asked of them, and nothing is proven.
    bias : tensor (n,)
        b.
    layout : sequence of Nodes
        ``nodes_of((2, 2, 3))``, or ``linear.layout`` of a parametrisation.
    observed, mask : tensors (batch, n) and (batch, nodes), optional
        As `MeanField` takes them.
    q0 : tensor (batch, n), optional
        Where to start; default uniform in every node.
    relaxation : float, default 1.0
        a.
    tol : float, default 1e-6
        |q - softmax(Phi q + b)| <= tol |q| in each row.
    max_iter : int, default 1000

    Returns
    -------
    Result
        Of `monops.solve`, with the status of every row; no exception where one has not converged.

    Examples
    --------
    >>> import torch
    >>> from monops_nn.boltzmann import nodes_of
    >>> Phi, layout = ferromagnet(4, -0.9), nodes_of((2, 2, 2, 2))  # four nodes that repel each other
    >>> q0 = torch.tensor([[0.6, 0.4] * 4])
    >>> print(parallel_mean_field(Phi, torch.zeros(8), layout, q0=q0).status)
    iteration limit
    >>> print(parallel_mean_field(Phi, torch.zeros(8), layout, q0=q0, relaxation=0.5).status)
    converged
    """
    softmax, (free, fixed, start) = NodeSoftmax(tuple(layout)).batched(1), _rows(Phi, bias, layout, observed, mask, q0)

    def update(q: Tensor, free: Tensor, fixed: Tensor) -> Tensor:
        return torch.addcmul(fixed, free, softmax.prox(q @ Phi.mT + bias, 1.0))

    operator = monops.FixedPoint(update, (free, fixed))
    return _solve(operator, monops.Picard(relaxation), start, tol, max_iter)


def sequential_mean_field(
    Phi: Tensor,
    bias: Tensor,
    layout: Sequence[Nodes],
    observed: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    q0: Tensor | None = None,
    tol: float = 1e-6,
    max_iter: int = 1000,
) -> Result:
    """Node by node: q_i = softmax((Phi q + b)_i) with the newest q, a step a sweep; every update lowers the free energy.

    Arguments and result are those of `parallel_mean_field`. For couplings with several mean fields it depends on the start
    which one is found.

    Notes
    -----
    **Cost** of a sweep: as many small products as there are nodes, one after the other.

    References
    ----------
    Wainwright and Jordan (2008), Graphical models, exponential families, and variational inference, section 5.3.

    Examples
    --------
    >>> import torch
    >>> from monops_nn.boltzmann import nodes_of
    >>> Phi, layout = ferromagnet(2, 3.0), nodes_of((2, 2))  # above the critical coupling 2
    >>> q0 = torch.tensor([[0.5, 0.5, 0.6, 0.4], [0.5, 0.5, 0.4, 0.6]])
    >>> sequential_mean_field(Phi, torch.zeros(4), layout, q0=q0).x[:, 0]
    tensor([0.9293, 0.0707])
    """
    free, fixed, start = _rows(Phi, bias, layout, observed, mask, q0)
    nodes = node_entries(layout)

    def sweep(q: Tensor, free: Tensor, fixed: Tensor) -> Tensor:
        q = q.clone()
        for entries in nodes:
            value = torch.softmax(q @ Phi[entries].mT + bias[entries], dim=1)
            q[:, entries] = torch.addcmul(fixed[:, entries], free[:, entries], value)
        return q

    return _solve(monops.FixedPoint(sweep, (free, fixed)), monops.Picard(), start, tol, max_iter)


def free_energy(Phi: Tensor, bias: Tensor, layout: Sequence[Nodes], q: Tensor) -> Tensor:
    """F(q) = sum q log q - q'Phi q/2 - b'q of every row: an upper bound of -log Z, for symmetric Phi.

    Examples
    --------
    >>> import torch
    >>> from monops_nn.boltzmann import nodes_of
    >>> free_energy(torch.zeros(2, 2), torch.zeros(2), nodes_of((2,)), torch.tensor([0.5, 0.5]))
    tensor(-0.6931)
    """
    return torch.special.xlogy(q, q).sum(dim=-1) - 0.5 * (q * (q @ Phi)).sum(dim=-1) - q @ bias


def exact_marginals(Phi: Tensor, bias: Tensor, layout: Sequence[Nodes]) -> tuple[Tensor, Tensor]:
    """The marginals (n,) of p(x) ~ exp(x'Phi x/2 + b'x), and log Z, by a sum over all configurations.

    Raises DataError where there are more than 2^20 of them.

    Examples
    --------
    >>> import torch
    >>> from monops_nn.boltzmann import nodes_of
    >>> exact_marginals(torch.zeros(2, 2), torch.tensor([0.0, 0.0]), nodes_of((2,)))
    (tensor([0.5000, 0.5000]), tensor(0.6931))
    """
    nodes = node_entries(layout)
    count = math.prod(len(entries) for entries in nodes)
    if count > MOST:
        raise DataError(f"{count} configurations are too many to enumerate: take a machine with at most {MOST}")
    chosen = torch.cartesian_prod(*(torch.as_tensor(entries) for entries in nodes)).reshape(count, -1)
    x = torch.zeros(count, len(bias), dtype=bias.dtype).scatter_(1, chosen, 1.0)
    score = 0.5 * (x * (x @ Phi)).sum(dim=1) + x @ bias
    return torch.softmax(score, dim=0) @ x, torch.logsumexp(score, dim=0)


def ferromagnet(nodes: int, coupling: float) -> Tensor:
    """Phi of nodes with two states each, all pairs coupled: ``coupling`` where two are in the same state (they repel below 0).

    Its largest eigenvalue is coupling (nodes - 1) for attraction, -coupling for repulsion.

    Examples
    --------
    >>> ferromagnet(2, 0.5)[0]
    tensor([0.0000, 0.0000, 0.5000, 0.0000])
    """
    return coupling * torch.kron(1.0 - torch.eye(nodes), torch.eye(2))


def node_entries(layout: Sequence[Nodes]) -> list[list[int]]:
    """The entries of every node in a row."""
    found, begin = [], 0
    for run in layout:
        for i in range(run.number):
            first, stride = (i * run.states, 1) if run.adjacent else (i, run.number)
            found.append([begin + first + state * stride for state in range(run.states)])
        begin += run.size
    return found


def _rows(
    Phi: Tensor, bias: Tensor, layout: Sequence[Nodes], observed: Tensor | None, mask: Tensor | None, q0: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Free entries, what is fixed in the others, and the start."""
    size = sum(run.size for run in layout)
    if tuple(Phi.shape) != (size, size) or tuple(bias.shape) != (size,):
        raise ShapeError(f"Phi and b have shapes {tuple(Phi.shape)} and {tuple(bias.shape)}, but the nodes have {size} states")
    if (observed is None) != (mask is None):
        raise DataError("observed and mask belong together: give the probabilities, and which nodes they are those of")
    count = 1 if observed is None and q0 is None else len(q0 if q0 is not None else observed)  # type: ignore[arg-type]
    free, fixed = bias.new_ones(count, size), bias.new_zeros(count, size)
    if observed is not None and mask is not None:
        seen = spread_to_states(mask, tuple(layout))
        free, fixed = (~seen).to(bias.dtype), torch.where(seen, observed, bias.new_zeros(()))
    start = join([torch.full_like(part, 1.0 / part.shape[1]) for part in split(free, tuple(layout))], tuple(layout))
    return free, fixed, torch.addcmul(fixed, free, start if q0 is None else q0.to(bias.dtype))


def _solve(operator: monops.FixedPoint, algorithm: monops.Picard, start: Tensor, tol: float, max_iter: int) -> Result:
    return monops.solve(
        operator,
        algorithm,
        x0=start,
        batch_ndim=1,
        check_every=1,
        stop=RelativeToPointBelow(tol),
        max_iter=max_iter,
        on_failure="ignore",
    )
