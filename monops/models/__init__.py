"""Named problems, written as inclusions: data in, an `Inclusion` (or a term of one) out."""

from monops.models.complementarity import linear_complementarity, nonlinear_complementarity, variational_inequality
from monops.models.games import Player, QuadraticPlayer, cournot, game, matrix_game, traffic_equilibrium
from monops.models.programs import conic_program, linear_program, quadratic_program
from monops.models.saddle import convex_concave, minimax

__all__ = [
    "Player",
    "QuadraticPlayer",
    "conic_program",
    "convex_concave",
    "cournot",
    "game",
    "linear_complementarity",
    "linear_program",
    "matrix_game",
    "minimax",
    "nonlinear_complementarity",
    "quadratic_program",
    "traffic_equilibrium",
    "variational_inequality",
]
