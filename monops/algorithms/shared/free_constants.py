"""Constants of a sum that cost next to nothing: those of functions without data of their own, and of small matrices."""

from __future__ import annotations

import math
from functools import reduce

from monops import constants
from monops.constants import Constants
from monops.linear import SparseMatrix
from monops.problem import Inclusion, Term

CHEAP = 1e7  # multiplications of a decomposition that may be spent on constants that only serve the error bound


def free_constants(problem: Inclusion) -> Constants:
    """Constants of the sum, with nothing but monotonicity claimed of the terms whose constants are expensive."""
    return reduce(constants.add, [_of(term) for term in problem.terms])


def _of(term: Term) -> Constants:
    matrices = [data for _, data in Inclusion((term,)).named_arrays() if data.ndim == 2]
    matrices += [part.matrix for part in (term.map, getattr(term.summand, "A", None)) if isinstance(part, SparseMatrix)]
    expensive = any(math.prod(data.shape) * min(data.shape) > CHEAP for data in matrices)
    return Constants(0.0, why="rule: a monotone term") if expensive else term.constants
