"""The theorem on sums of many operators: Douglas-Rachford splitting on the diagonal of the product space, AL-21."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

import monops
from monops.algorithms.resolvents import parallel_douglas_rachford
from monops.arrays import Blocks
from monops.constants import Constants
from monops.theory import Guarantee
from proofs.algorithms.instances import MONOTONE
from proofs.algorithms.linear_iterations import flat, image, step_matrix
from proofs.generators import strongly_monotone_lipschitz
from proofs.ratios import farthest, safe_ratio
from proofs.theorem import Counterexample, Mutant, Theorem

TINY = 1e-300  # any difference counts where nothing is rounded


def diagonal(scale: float = 1.0) -> Any:
    """The normal cone of the diagonal: its resolvent puts the mean into every block (times ``scale``)."""

    def project(z: Any, step: float) -> Any:
        mean = scale * (reduce(lambda a, b: a + b, z) / float(len(z)))
        return Blocks([mean] * len(z))

    return monops.Custom(resolvent=project, constants=MONOTONE)


def dyadic_function(generator: np.random.Generator) -> Any:
    """A function whose prox at step 1 is exact on small multiples of powers of 2."""
    slope = generator.integers(-8, 9, 2) / 4
    functions = (monops.Box(-0.5, 1.0), monops.NonNegative(), monops.L1Norm(), monops.Linear(slope), monops.SquaredL2())
    return functions[int(generator.integers(5))]


def difference(functions: list[Any], start: np.ndarray, relaxation: float, scale: float = 1.0) -> float:
    """Sum over five steps of the distance between the method for n terms and that for two on the product space."""
    many = monops.ParallelDouglasRachford(step_size=1.0, relaxation=relaxation)
    two = monops.DouglasRachford(step_size=1.0, relaxation=relaxation)
    first = many.match(sum(functions[1:], functions[0]))
    product = monops.SeparableSum(first.operators)
    second = two.match(product + diagonal(scale))
    z = u = Blocks([start] * len(functions))
    total = 0.0
    for _ in range(5):
        z, u = image(many, first, z), image(two, second, u)
        total += float(np.linalg.norm(flat(z - u)))
    return total


def residual_at_solution(
    matrices: list[np.ndarray], shifts: list[np.ndarray], step: float, factors: tuple[float, ...]
) -> float:
    """|Tz - z| at z_i = p - step A_i p for the zero p of the sum, over rounding; ``factors`` multiply single steps."""
    p = np.linalg.solve(sum(matrices[1:], matrices[0]), -sum(shifts[1:], shifts[0]))
    operators = [monops.Affine(M, q) for M, q in zip(matrices, shifts, strict=True)]
    method = monops.ParallelDouglasRachford(step_size=step)
    terms = method.match(operators[0] + operators[1] + operators[2])
    scaled = tuple(rescaled(A, factor) for A, factor in zip(terms.operators, factors, strict=True))
    z = Blocks([p - step * A.forward(p) for A in terms.operators])
    moved = image(method, terms._replace(operators=scaled), z)
    return float(np.linalg.norm(flat(moved - z))) / (1e-12 * (1 + float(np.linalg.norm(flat(z)))))


def rescaled(A: Any, factor: float) -> Any:
    """The operator with its resolvent taken at ``factor`` times the step."""
    return monops.Custom(resolvent=lambda x, step: A.resolvent(x, factor * step), constants=A.constants)


def squared_norm(operators: list[Any], relaxation: float, step: float) -> float:
    """|T|^2 for linear operators in the plane."""
    method = monops.ParallelDouglasRachford(step_size=step, relaxation=relaxation)
    terms = method.match(sum(operators[1:], operators[0]))
    return float(np.linalg.norm(step_matrix(method, terms, np.zeros(2)), 2)) ** 2


def factor_ratio(operators: list[Any], relaxation: float, step: float, held: Constants | None = None) -> float:
    """|T|^2 over the declared square, that for ``held`` in place of the true constants where it is given."""
    known = [A.constants if held is None else held for A in operators]
    proven = parallel_douglas_rachford.guarantee(known, relaxation)
    assert isinstance(proven, Guarantee)
    assert proven.squared_contraction is not None
    return safe_ratio(squared_norm(operators, relaxation, step), float(proven.squared_contraction(step)))


def al21_sample(generator: np.random.Generator) -> float:
    """Equality of the two iterations on dyadic data, the fixed point of a zero, and the declared factor."""
    count = int(generator.choice([2, 4]))
    functions = [dyadic_function(generator) for _ in range(count - 1)] + [monops.Box(-1.0, 2.0)]
    start = generator.integers(-16, 17, 2) / 4
    worst = difference(functions, start, float(generator.choice([0.5, 1.0, 1.5]))) / TINY
    blocks = [plane_member(generator) for _ in range(3)]
    shifts = list(generator.standard_normal((3, 2)))
    step = 10 ** float(generator.uniform(-1, 1))
    worst = max(worst, residual_at_solution(blocks, shifts, step, (1.0, 1.0, 1.0)))
    relaxation = float(generator.uniform(0.2, 1.9))
    return max(worst, factor_ratio([monops.Affine(M) for M in blocks], relaxation, step))


def plane_member(generator: np.random.Generator) -> np.ndarray:
    """A 2 x 2 matrix, strongly monotone and Lipschitz, often extremal."""
    M, _, _ = strongly_monotone_lipschitz(generator)
    M = M[:2, :2]
    return M + max(0.0, 0.01 - float(np.linalg.eigvalsh((M + M.T) / 2)[0])) * np.eye(2)


def equal_terms(mu: float, relaxation: float, step: float, held: Constants | None = None) -> float:
    """Three times mu I."""
    return factor_ratio([monops.Affine(mu * np.eye(2))] * 3, relaxation, step, held)


def al21_extremal() -> float:
    """Three times I/2 at step 1, relaxation 1 and 3/2: the lesser ratio; attained on the diagonal."""
    return farthest(*(equal_terms(0.5, relaxation, 1.0) for relaxation in (1.0, 1.5)))


def unequal_steps() -> float:
    """x and x - 3 and 0 with twice the step for the second: the zero 3/2 of the sum is no fixed point."""
    one = np.eye(1)
    return residual_at_solution([one, one, 0 * one], [np.zeros(1), -3 * np.ones(1), np.zeros(1)], 1.0, (1.0, 2.0, 1.0))


def doubled_diagonal() -> float:
    """The two iterations with twice the mean in place of the mean."""
    functions = [monops.Linear(np.array([0.5, -1.0])), monops.Box(-1.0, 2.0)]
    return difference(functions, np.array([1.0, 2.0]), 1.0, scale=2.0) / TINY


STRONG = Constants(0.5, lipschitz=0.5, why="held against them")

AL21 = Theorem(
    "AL-21",
    "n operators on the diagonal of the product space",
    "The iteration p = (z_1 + ... + z_n)/n, z_i+ = z_i + t (J_aA_i(2p - z_i) - p) is Douglas-Rachford for A_1 x ... x A_n and "
    "the normal cone of the diagonal, iterate by iterate; p is a zero of the sum if and only if z_i = p - a u_i, u_i in A_i p "
    "with sum 0, is a fixed point; for mu-strongly monotone L-Lipschitz A_i it contracts by 1 - t/2 + (t/2) rho, rho that of "
    "the Cayley operator",
    "Spingarn (1983); Pierra (1984); the factor: Giselsson (2017), Theorem on Douglas-Rachford, in the product space",
    ("all resolvents have the same step", "each A_i is mu-strongly monotone", "each A_i is L-Lipschitz"),
    (
        "ParallelDouglasRachford.step",
        "DouglasRachford.step",
        "SeparableSum.prox",
        "algorithms.resolvents.parallel_douglas_rachford.guarantee",
        "Affine.resolvent",
        "L1Norm",
        "Box",
        "NonNegative",
    ),
    al21_sample,
    al21_extremal,
    (
        Counterexample(
            "all resolvents have the same step", "x, x - 3 and 0, twice the step for the second: a weighted zero", unequal_steps
        ),
        Counterexample(
            "each A_i is mu-strongly monotone",
            "three times 0, held against mu = L = 1/2",
            lambda: equal_terms(0.0, 1.0, 1.0, STRONG),
        ),
        Counterexample(
            "each A_i is L-Lipschitz",
            "three times 500 I, held against mu = L = 1/2, relaxation 3/2",
            lambda: equal_terms(500.0, 1.5, 1.0, STRONG),
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: al21_extremal() / 0.999),
        Mutant(
            "1 - t + t rho for 1 - t/2 + (t/2) rho, t = 1, rho = 1/3",
            lambda: squared_norm([monops.Affine(0.5 * np.eye(2))] * 3, 1.0, 1.0) / (1 / 3) ** 2,
        ),
        Mutant("twice the mean for the projection on the diagonal", doubled_diagonal),
    ),
    note="The equality of the iterates is exact: dyadic data, proxes of step 1, 2 or 4 terms leave no rounding. The factor is "
    "attained by A_i = mu I with a mu <= 1; for rotations the product with the reflection in the diagonal turns away from it.",
)

THEOREMS = (AL21,)
