"""Instances of every public operator and linear map; a walking test fails when one is missing (functions: walk.py).

An entry builds the object through ``a(host) -> array`` and says where it lives: shape of x (or shapes of blocks).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import monops
from monops import functions, linear, operators

AsArray = Callable[[Any], Any]


class Instance(NamedTuple):
    """A public class, a builder, and the shape of x; ``exact`` when its claimed L and mu are attained."""

    cls: type
    build: Callable[[AsArray], Any]
    shape: Any
    exact: bool = True


def rng(seed: int) -> np.random.Generator:
    """Fixed generator."""
    return np.random.default_rng(seed)


A = rng(0).standard_normal((6, 4))
WIDE = rng(1).standard_normal((3, 5))
P = rng(2).standard_normal((4, 4))
P = P.T @ P + 0.2 * np.eye(4)
IMAGINARY = (1 - 0.3**2) ** 0.5
EXTREMAL = np.array([[0.3, -IMAGINARY], [IMAGINARY, 0.3]])  # 0.3-strongly monotone, 1-Lipschitz, attains every rate
ROTATION = np.array([[0.0, -1.0], [1.0, 0.0]])
f, o, m = functions, operators, linear

OPERATORS = (
    Instance(o.Affine, lambda a: o.Affine(a(EXTREMAL), a(np.ones(2))), (2,)),
    Instance(o.Affine, lambda a: o.Affine(a(ROTATION)), (2,)),
    Instance(o.Affine, lambda a: o.Affine(a(P)), (4,)),
    Instance(o.FixedPoint, lambda a: o.FixedPoint(lambda z, s: s * z, (a([0.7, -0.7, 0.2]),), lipschitz=0.7), (3,)),
    Instance(o.Skew, lambda a: o.Skew(a(WIDE)), ((5,), (3,))),
    Instance(o.Subdifferential, lambda a: o.Subdifferential(f.Huber(0.5)), (5,)),
    Instance(o.NormalCone, lambda a: o.NormalCone(f.Simplex()), (5,)),
    Instance(o.Saddle, lambda a: o.Saddle(f.SquaredL2(), f.SquaredL2(2.0), a(WIDE)), ((5,), (3,)), exact=False),
    Instance(
        o.BlockAffine,
        lambda a: o.BlockAffine(((a(P), None), (None, a(EXTREMAL))), (a(np.ones(4)), a(np.ones(2)))),
        ((4,), (2,)),
    ),
    Instance(o.BlockAffine, lambda a: o.BlockAffine(((a(EXTREMAL),),)), ((2,),)),
    Instance(
        o.MatrixFreeAffine,
        lambda a: o.MatrixFreeAffine(m.Convolution(a(np.array([0.4, 1.0, -0.1])), (6,)), a(np.ones(6))),
        (6,),
    ),
    Instance(o.MatrixFreeAffine, lambda a: o.MatrixFreeAffine(m.Convolution(a(np.array([0.5, 0.0, -0.5])), (5,))), (5,)),
    Instance(o.MatrixFreeAffine, lambda a: o.MatrixFreeAffine(m.Diagonal(a(np.arange(3.0))), None, 0.0), (3,)),
    Instance(
        o.PseudoGradient,
        lambda a: o.PseudoGradient(
            (lambda x: 2.0 * x[0] + x[1], lambda x: x[1] - x[0]), monops.Constants(1.0, lipschitz=2.4), ((3,), (3,))
        ),
        ((3,), (3,)),
    ),
    Instance(
        o.SmoothSaddle,
        lambda a: o.SmoothSaddle(
            lambda x, y: 0.3 * x + y, lambda x, y: x - 0.3 * y, monops.Constants(0.3, lipschitz=1.09**0.5), ((3,), (3,))
        ),
        ((3,), (3,)),
    ),
    Instance(o.ScaledOperator, lambda a: 1.5 * o.Affine(a(EXTREMAL)), (2,)),
    Instance(o.Shifted, lambda a: o.Shifted(o.Affine(a(EXTREMAL)), a(np.ones(2)), a(np.ones(2))), (2,)),
    Instance(o.Inverse, lambda a: o.Affine(a(EXTREMAL)).inverse(), (2,)),
    Instance(o.OperatorSum, lambda a: o.OperatorSum(o.Affine(a(EXTREMAL)), o.Affine(a(EXTREMAL))), (2,)),
    Instance(o.Yosida, lambda a: o.Yosida(o.Affine(a(EXTREMAL)), 0.7), (2,), exact=False),
    Instance(
        o.Custom,
        lambda a: o.Custom(lambda x: 2.0 * x, lambda x, step: x / (1.0 + 2.0 * step), monops.Constants(2.0, lipschitz=2.0)),
        (3,),
    ),
)


def _sparse(a: AsArray) -> Any:
    import scipy.sparse

    return m.SparseMatrix(scipy.sparse.csr_array(np.asarray(a(A))))


MAPS = (
    Instance(m.Matrix, lambda a: m.Matrix(a(A)), (4,)),
    Instance(m.Matrix, lambda a: m.Matrix(a(WIDE)), (5,)),
    Instance(m.SparseMatrix, _sparse, (4,)),
    Instance(m.Identity, lambda a: m.Identity((4,)), (4,)),
    Instance(m.Gradient, lambda a: m.Gradient((4, 3)), (4, 3)),
    Instance(m.Gradient, lambda a: m.Gradient((2, 3, 1), spacing=0.5), (2, 3, 1)),
    Instance(m.Convolution, lambda a: m.Convolution(a(np.array([[0.1, 0.2, 0.0], [0.3, 0.4, -0.1]])), (4, 5)), (4, 5)),
    Instance(m.Convolution, lambda a: m.Convolution(a(np.array([0.1, 0.5, 0.2])), (6,)), (6,)),
    Instance(m.Diagonal, lambda a: m.Diagonal(a(np.array([1.0, -3.0, 0.5]))), (3,)),
    Instance(m.Stack, lambda a: m.Stack((m.Identity((4,)), m.Matrix(a(A)))), (4,), exact=False),
    Instance(m.Composition, lambda a: m.Matrix(a(A)) @ m.Diagonal(a(np.array([1.0, 2.0, 3.0, 4.0]))), (4,), exact=False),
    Instance(m.ScaledMap, lambda a: -2.0 * m.Matrix(a(A)), (4,)),
    Instance(m.Adjoint, lambda a: m.Stack((m.Identity((4,)), m.Matrix(a(A)))).T, ((4,), (6,)), exact=False),
    Instance(m.BlockDiagonal, lambda a: m.BlockDiagonal((m.Matrix(a(A)), m.Identity((2,)))), ((4,), (2,))),
    Instance(m.Row, lambda a: m.Row((a(A), a(A[:, :2]))), ((4,), (2,))),
    Instance(m.Row, lambda a: m.Row((m.Identity((4,)), m.Diagonal(a(np.arange(1.0, 5.0))))), ((4,), (4,)), exact=False),
    Instance(m.Component, lambda a: m.Component(1, ((4,), (2,), (1, 2))), ((4,), (2,), (1, 2))),
    Instance(m.BroadcastMap, lambda a: m.BroadcastMap(a(np.arange(6.0).reshape(2, 3)), (3,)), (3,), exact=False),
    Instance(
        m.DiagonalPlusRankOne,
        lambda a: m.DiagonalPlusRankOne(a(np.array([1.0, 1.0, 0.0])), a(np.array([1.0, 1.0, 0.0])), -0.5, (-1,)),
        (3,),
    ),
    Instance(m.SelfAdjointMap, lambda a: m.SelfAdjointMap(lambda h: 0.5 * h, (3,)), (3,), exact=False),
    Instance(m.MatvecMap, lambda a: m.MatvecMap(lambda x: 2.0 * x, lambda y: 2.0 * y, (4,), (4,), 2.0), (4,)),
)


def point(shape: Any, a: AsArray, seed: int = 0, scale: float = 2.0, batch: tuple[int, ...] = ()) -> Any:
    """A random point of the shape (Blocks for a tuple of shapes), with leading batch axes."""
    if shape and isinstance(shape[0], tuple):
        return monops.Blocks([point(part, a, seed + 1 + index, scale, batch) for index, part in enumerate(shape)])
    return a(scale * rng(seed).standard_normal((*batch, *shape)))
