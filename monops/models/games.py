"""Equilibria: matrix games, games of several players, Cournot competition, traffic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError, ShapeError
from monops.functions import Box, Function, SeparableSum, Simplex, SquaredL2
from monops.linear import Row
from monops.operators import Affine, BlockAffine, PseudoGradient, Saddle
from monops.problem import Inclusion, Summand

UNKNOWN = Constants()


def matrix_game(G: Any) -> Inclusion:
    """The zero-sum game min over x, max over y of <Gx, y>, with mixed strategies x and y.

    Parameters
    ----------
    G : array (m, n), SciPy sparse matrix or linear map
        What the player of the n columns pays to the player of the m rows.

    Returns
    -------
    Inclusion
        0 in (N(x) + G*y, N(y) - Gx) on Blocks((x, y)), N the normal cones of the simplices; L = |G|.

    References
    ----------
    von Neumann (1928), Zur Theorie der Gesellschaftsspiele.

    Examples
    --------
    >>> import numpy as np, monops
    >>> x, y = monops.solve(matrix_game(np.array([[3.0, -1.0], [-2.0, 1.0]])), tol=1e-9).x
    >>> x.round(6), y.round(6)
    (array([0.285714, 0.714286]), array([0.428571, 0.571429]))
    """
    return Inclusion(Saddle(Simplex(), Simplex(), G).terms())


@final
@dataclass(frozen=True, eq=False)
class Player:
    """A player with a differentiable cost.

    Parameters
    ----------
    gradient : callable
        Blocks of all players' variables -> gradient of the player's cost in the player's own variables.
    strategies : Function
        A set (or a convex function of the player's own variables, added to the cost), by its prox.
    shape : tuple of int
        Shape of the player's variables.
    """

    gradient: Callable[[Array], Array]
    strategies: Function
    shape: tuple[int, ...]


@final
@dataclass(frozen=True, eq=False)
class QuadraticPlayer:
    """Player i with the cost 1/2 <x_i, P_ii x_i> + sum over j != i of <x_i, P_ij x_j> + <q, x_i>.

    Parameters
    ----------
    P : tuple of arrays (n_i, n_j), or None for zero
        The symmetric P_ii, and the couplings P_ij, in the order of the players.
    strategies : Function
        A set (or a convex function of the player's own variables, added to the cost), by its prox.
    q : array (n_i,), optional
        Zero when absent.
    """

    P: tuple[Array | None, ...]
    strategies: Function
    q: Array | None = None


def game(*players: Player | QuadraticPlayer, constants: Constants = UNKNOWN) -> Inclusion:
    """The Nash equilibria of a monotone game: no player gains by changing the player's own variables alone.

    Parameters
    ----------
    *players : QuadraticPlayer or Player
        All of one kind.
    constants : Constants
        Of the pseudo-gradient, for players with a general cost: tried on points when solving. For quadratic costs they are
        computed, from the eigenvalues of the matrix of all blocks.

    Returns
    -------
    Inclusion
        0 in (d_1 c_1(x), ..., d_n c_n(x)) + (N_1(x1), ..., N_n(xn)) on Blocks.

    Raises
    ------
    DataError
        When players of both kinds are mixed, or constants are declared for quadratic players.
    ConstantError
        When a quadratic game is not monotone, naming the least eigenvalue of the symmetric part.

    References
    ----------
    Rosen (1965), Existence and uniqueness of equilibrium points for concave n-person games.
    Facchinei and Kanzow (2010), Generalized Nash equilibrium problems.

    Examples
    --------
    Two firms with prices x1, x2, demands 4 - 2 x1 + x2 and 5 - 2 x2 + x1, and profits price times demand:

    >>> import numpy as np, monops
    >>> block = lambda value: np.array([[value]])
    >>> first = QuadraticPlayer((block(4.0), block(-1.0)), monops.NonNegative(), np.array([-4.0]))
    >>> second = QuadraticPlayer((block(-1.0), block(4.0)), monops.NonNegative(), np.array([-5.0]))
    >>> problem = game(first, second)
    >>> round(problem.constants.strong_monotonicity, 6)
    3.0
    >>> x1, x2 = monops.solve(problem).x
    >>> x1.round(5), x2.round(5)
    (array([1.4]), array([1.6]))
    """
    if not players:
        raise DataError("game needs at least one player")
    sets = SeparableSum(tuple(player.strategies for player in players))
    operator: Summand
    quadratic = [player for player in players if isinstance(player, QuadraticPlayer)]
    general = [player for player in players if isinstance(player, Player)]
    if len(general) == len(players):
        shapes = tuple(tuple(player.shape) for player in general)
        operator = PseudoGradient(tuple(player.gradient for player in general), constants, shapes)
    elif len(quadratic) == len(players):
        if constants != UNKNOWN:
            raise DataError("game: the constants of quadratic players are computed; they are declared for general costs only")
        operator = BlockAffine(tuple(tuple(player.P) for player in quadratic), _slopes(quadratic))
    else:
        raise DataError(
            "game takes players of one kind: write all of them as QuadraticPlayer, or all as Player with a gradient"
        )
    return operator + sets


def _slopes(players: list[QuadraticPlayer]) -> tuple[Array, ...] | None:
    if all(player.q is None for player in players):
        return None
    slopes = []
    for index, player in enumerate(players):
        own = player.P[index] if index < len(player.P) else None
        if own is None:
            raise ShapeError(f"game: player {index} needs a matrix P[{index}] of the player's own variables")
        slopes.append(0.0 * own[:, 0] if player.q is None else player.q)
    return tuple(slopes)


def cournot(intercept: Any, slope: Array, marginal_cost: Array, cost_growth: Any = 0.0, capacity: Any = math.inf) -> Inclusion:
    """Cournot competition: firm i makes x_i units, sells them at price_i(x) = intercept - sum_j slope_ij x_j, at the cost
    marginal_cost_i x_i + cost_growth_i/2 x_i^2, and chooses 0 <= x_i <= capacity_i for the largest profit.

    Parameters
    ----------
    intercept : number or array (n,)
    slope : array (n, n)
        How the price of firm i falls with the output of firm j; for one common product all entries are equal.
    marginal_cost : array (n,)
    cost_growth, capacity : number or array (n,)

    Returns
    -------
    Inclusion
        0 in Mx + q + N_{[0, capacity]}(x) with M = slope + diag(slope_ii + cost_growth_i), q = marginal_cost - intercept; the
        constants of M are computed.

    Raises
    ------
    ConstantError
        When M is not monotone, naming the least eigenvalue of its symmetric part.

    References
    ----------
    Cournot (1838), Recherches sur les principes mathematiques de la theorie des richesses.
    Facchinei and Pang (2003), section 1.4.3.

    Examples
    --------
    Three equal firms make (intercept - cost)/(slope (n + 1)) each:

    >>> import numpy as np, monops
    >>> monops.solve(cournot(10.0, np.full((3, 3), 1.0), np.full(3, 2.0))).x.round(5)
    array([2., 2., 2.])
    """
    xp = arrays.namespace(slope)
    if slope.ndim != 2 or slope.shape[0] != slope.shape[1] or tuple(marginal_cost.shape[-1:]) != (slope.shape[0],):
        raise ShapeError(
            f"cournot: slope has shape {tuple(slope.shape)} and marginal_cost {tuple(marginal_cost.shape)}: n firms need "
            "(n, n) and (n,)"
        )
    identity = xp.eye(slope.shape[0], dtype=slope.dtype, device=arrays.device(slope))
    growth = xp.sum(slope * identity, axis=0) + cost_growth
    return Affine(slope + identity * growth, marginal_cost - intercept) + Box(0.0, capacity)


def traffic_equilibrium(paths: Sequence[Any], demands: Sequence[float], free_flow: Array, congestion: Array) -> Inclusion:
    """Wardrop's equilibrium: between each origin and destination, all paths in use take the same time, and no path takes less.

    Parameters
    ----------
    paths : sequence of arrays (links, paths of the pair), SciPy sparse matrices or linear maps
        One for each origin-destination pair: which links (rows) a path (column) uses.
    demands : sequence of numbers
        Flow that the paths of each pair carry together.
    free_flow : array (links,)
        Time of each empty link.
    congestion : array (links,) or (links, links)
        How the time of a link grows with its own flow (a nonnegative array of one axis), or with the flows of all links (a
        matrix with positive semidefinite symmetric part): time = free_flow + congestion flow.

    Returns
    -------
    Inclusion
        In Blocks of the path flows x_k of each pair: 0 in (N(x1), N(x2), ...) + K* time(Kx), N the normal cones of the
        simplices scaled by the demands, Kx the link flows. With a congestion array of one axis it is the problem of
        Beckmann, McGuire and Winsten: minimise sum over links of free_flow v + congestion/2 v^2, v = Kx.

    Raises
    ------
    DataError, ShapeError
        When pairs and demands do not go together, or a demand is not positive.
    ConstantError
        When the congestion matrix is not monotone.

    Notes
    -----
    Path flows need not be unique; link flows are where congestion is strictly monotone.

    References
    ----------
    Wardrop (1952), Some theoretical aspects of road traffic research.
    Beckmann, McGuire and Winsten (1956), Studies in the economics of transportation.
    Smith (1979), The existence, uniqueness and stability of traffic equilibria.

    Examples
    --------
    Two roads that take 1 + v and 2 + v, for 3 cars:

    >>> import numpy as np, monops
    >>> problem = traffic_equilibrium([np.eye(2)], [3.0], np.array([1.0, 2.0]), np.ones(2))
    >>> monops.solve(problem, monops.ForwardBackward()).x[0].round(5)
    array([2., 1.])
    """
    if len(paths) != len(demands) or not paths:
        raise ShapeError(f"traffic_equilibrium: {len(paths)} pairs have {len(demands)} demands: give one for each")
    sets = SeparableSum(tuple(Simplex(float(demand)) for demand in demands))
    links = Row(tuple(paths))
    if links.output_shape != tuple(free_flow.shape[-1:]):
        raise ShapeError(f"traffic_equilibrium: paths use {links.output_shape} links, free_flow has {tuple(free_flow.shape)}")
    if congestion.ndim == 2:
        return sets + links.T @ Affine(congestion, free_flow) @ links
    return sets + SquaredL2(congestion).tilt(free_flow) @ links
