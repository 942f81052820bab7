"""The rows of ``./run bench solve``: a problem, its checker, and the peers that solve it.

A row makes its data at a size; ``shrink`` divides the dimensions (1: as published; tests use a large one). ``problem()`` builds
ours, inside the timing. A peer gets the data in the layout it likes best, prepared outside of the timing; its call takes a
tolerance and returns the answer in our variables, and the number of iterations where it tells.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.solve_rows.case import Case
from benchmarks.solve_rows.imaging import completion, correlation, deblurring, denoising
from benchmarks.solve_rows.linear_programs import basis_pursuit, linear_program, matrix_game
from benchmarks.solve_rows.quadratic_programs import batch, box_program, portfolio, support_vectors
from benchmarks.solve_rows.regression import elastic_net, group_lasso, lasso_tall, lasso_wide, logistic, nnls

__all__ = ["ROWS", "Case"]

ROWS: dict[str, Callable[[int], Case]] = {
    "lasso-wide": lasso_wide,
    "lasso-tall": lasso_tall,
    "elastic-net": elastic_net,
    "logistic": logistic,
    "group-lasso": group_lasso,
    "nnls": nnls,
    "box-qp": box_program,
    "portfolio": portfolio,
    "basis-pursuit": basis_pursuit,
    "matrix-game": matrix_game,
    "tv-denoising": denoising,
    "tv-deblurring": deblurring,
    "svm-dual": support_vectors,
    "qp-batch": batch,
    "sparse-lp": linear_program,
    "correlation": correlation,
    "completion": completion,
}
