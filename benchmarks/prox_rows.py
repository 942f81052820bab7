"""The rows of ``./run bench prox``: one function each, with the call of every peer that has the same one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import monops
from monops import functions as f

Work = Callable[[], Any]
Peers = dict[str, tuple[str, Callable[[Any], Work]]]
Made = tuple[Work, Peers, int, Callable[[Any], float] | None]


class Row(NamedTuple):
    """A named comparison; ``make(n, generator)`` gives our call, the peers' (module, builder), the number of entries, and the
    objective that the answers minimise (None where they are to be the same).
    """

    name: str
    make: Callable[[int, np.random.Generator], Made]
    sizes: tuple[int, ...] = ()
    agreement: float = 1e-6


STEP = 0.7


def entrywise(function: f.Function, proxop: Callable[[Any], Any] | None, pyproximal: Callable[[Any], Any] | None = None) -> Any:
    """A function of a vector; peers are given as makers of their object, or of (object, whether prox takes a step)."""

    def make(n: int, generator: np.random.Generator) -> Made:
        x = 2.0 * generator.standard_normal(n)
        peers: Peers = {}
        if proxop is not None:
            peers["proxop"] = ("proxop", lambda module: _proxop_call(proxop(module), x))
        if pyproximal is not None:
            peers["pyproximal"] = ("pyproximal", lambda module: _pyproximal_call(pyproximal(module), x))

        def objective(p: Any) -> float:
            distance = np.asarray(p) - x
            return float(function(np.asarray(p))) + float(distance @ distance) / (2 * STEP)

        return lambda: function.prox(x, STEP), peers, n, objective

    return make


def _proxop_call(peer: Any, x: np.ndarray) -> Work:
    import inspect

    if "gamma" in inspect.signature(peer.prox).parameters:
        return lambda: peer.prox(x, STEP)
    return lambda: peer.prox(x)


def _pyproximal_call(peer: Any, x: np.ndarray) -> Work:
    flat = x.ravel()
    return lambda: peer.prox(flat, STEP)


def _simplex(n: int, generator: np.random.Generator) -> Made:
    x = generator.standard_normal(n)
    peers: Peers = {
        "proxop": ("proxop", lambda module: _proxop_call(module.Simplex(1.0), x)),
        "pyproximal": (
            "pyproximal",
            lambda module: _pyproximal_call(module.Simplex(n, 1.0, maxiter=1000, ftol=1e-12, xtol=1e-12), x),
        ),
    }
    return lambda: f.Simplex(1.0).prox(x), peers, n, None


def _l1_ball(n: int, generator: np.random.Generator) -> Made:
    x, radius = generator.standard_normal(n), 0.1 * n
    peers: Peers = {
        "proxop": ("proxop", lambda module: _proxop_call(module.L1Ball(radius), x)),
        "pyproximal": ("pyproximal", lambda module: _pyproximal_call(module.L1Ball(n, radius, maxiter=1000, xtol=1e-12), x)),
    }
    return lambda: f.L1Ball(radius).prox(x), peers, n, None


def _isotonic(n: int, generator: np.random.Generator) -> Made:
    x = np.linspace(0.0, 3.0, n) + generator.standard_normal(n)
    peers: Peers = {
        "proxop": ("proxop", lambda module: _proxop_call(module.MonotoneCone(), x)),
        "SciPy isotonic*": ("scipy.optimize", lambda module: lambda: module.isotonic_regression(x).x),
        "scikit-learn isotonic*": ("sklearn.isotonic", lambda module: lambda: module.isotonic_regression(x)),
    }
    return lambda: f.MonotoneCone().prox(x), peers, n, None


def _group(n: int, generator: np.random.Generator) -> Made:
    x = generator.standard_normal((5, n // 5))
    peers: Peers = {
        "proxop": ("proxop", lambda module: lambda: module.L21columns().prox(x, STEP)),
        "pyproximal": (
            "pyproximal",
            lambda module: (lambda peer: lambda: peer.prox(x.ravel(), STEP).reshape(x.shape))(module.L21(5)),
        ),
    }
    return lambda: f.GroupL2(axis=0).prox(x, STEP), peers, x.size, None


def _hyperplane(n: int, generator: np.random.Generator) -> Made:
    x, a = generator.standard_normal(n), generator.standard_normal(n)
    peers: Peers = {"proxop": ("proxop", lambda module: _proxop_call(module.Hyperplane(a, 0.5), x))}
    ours = f.Hyperplane(a, 0.5)
    return lambda: ours.prox(x), peers, n, None


def _half_space(n: int, generator: np.random.Generator) -> Made:
    x, a = generator.standard_normal(n), generator.standard_normal(n)
    x = x + a
    peers: Peers = {"pyproximal": ("pyproximal", lambda module: _pyproximal_call(module.HalfSpace(a, 0.5), x))}
    ours = f.HalfSpace(a, 0.5)
    return lambda: ours.prox(x), peers, n, None


def pairs(function: f.Function, name: str, tilt: float = 0.0) -> Any:
    """A divergence of two vectors."""

    def make(n: int, generator: np.random.Generator) -> Made:
        x, y = 2.0 * generator.standard_normal(n) + 1.0, 2.0 * generator.standard_normal(n) + 1.0
        ours = (x - STEP * tilt, y + STEP * tilt)  # a peer's f may differ by a linear term: f + tilt (x - y)
        peers: Peers = {
            "proxop": ("proxop", lambda module: (lambda peer: lambda: peer.prox(x, y, STEP))(getattr(module, name)()))
        }
        point = monops.Blocks(ours)

        def objective(p: Any) -> float:
            a, b = np.asarray(p[0]), np.asarray(p[1])
            value = float(function(monops.Blocks((a, b)))) + tilt * float(np.sum(a - b))
            return value + float(np.sum((a - x) ** 2 + (b - y) ** 2)) / (2 * STEP)

        return lambda: function.prox(point, STEP), peers, 2 * n, objective

    return make


def _nuclear(shape: tuple[int, int]) -> Any:
    def make(n: int, generator: np.random.Generator) -> Made:
        x = generator.standard_normal((shape[0], 20)) @ generator.standard_normal((20, shape[1]))
        x = x + generator.standard_normal(shape)
        weight = 0.5 * float(np.linalg.norm(x, 2)) * 0.5
        peers: Peers = {
            "proxop": ("proxop", lambda module: lambda: module.NuclearNorm().prox(x, weight)),
            "pyproximal": (
                "pyproximal",
                lambda module: (lambda peer: lambda: peer.prox(x.ravel(), weight).reshape(shape))(module.Nuclear(shape)),
            ),
            "SciPy svd, by hand*": ("scipy.linalg", lambda module: lambda: _by_hand(module, x, weight)),
        }
        return lambda: f.NuclearNorm().prox(x, weight), peers, x.size, None

    return make


def _by_hand(linalg: Any, x: np.ndarray, weight: float) -> np.ndarray:
    U, s, Vh = linalg.svd(x, full_matrices=False)
    return (U * np.maximum(s - weight, 0.0)) @ Vh


def _log_det(n: int, generator: np.random.Generator) -> Made:
    x = generator.standard_normal((200, 200))
    x = x + x.T
    peers: Peers = {"proxop": ("proxop", lambda module: lambda: module.LogDet().prox(x, STEP))}
    ours = f.LogDeterminant()

    def objective(p: Any) -> float:
        return float(ours((p + p.T) / 2)) + float(np.sum((p - x) ** 2)) / (2 * STEP)

    return lambda: ours.prox(x, STEP), peers, x.size, objective


def _variation_1d(n: int, generator: np.random.Generator) -> Made:
    x = np.cumsum(generator.standard_normal(n)) / 10 + generator.standard_normal(n)
    peers: Peers = {
        "prox_tv*": ("prox_tv", lambda module: lambda: module.tv1_1d(x, 2.0)),
        "pyproximal, 200 its": ("pyproximal", lambda module: _tv_call(module, x, 2.0, 200)),
    }
    return lambda: f.TotalVariation1D(2.0).prox(x, 1.0), peers, n, None


def _tv_call(module: Any, x: np.ndarray, weight: float, iterations: int) -> Work:
    peer = module.TV(x.shape, sigma=weight, niter=iterations, rtol=0.0)
    return lambda: peer.prox(x.ravel(), 1.0).reshape(x.shape)


def _variation_2d(n: int, generator: np.random.Generator) -> Made:
    """A photograph (scikit-image's camera, else blocks) with noise; every method to about 1e-3 of the minimiser."""
    try:
        from skimage import data

        clean = data.camera() / 255.0
    except ImportError:
        clean = np.kron(generator.random((8, 8)), np.ones((64, 64)))
    x = clean + 0.1 * generator.standard_normal(clean.shape)
    weight = 0.1
    ours = f.TotalVariation(weight, tolerance=1e-3)
    peers: Peers = {
        "scikit-image, 400 its": (
            "skimage.restoration",
            lambda module: lambda: module.denoise_tv_chambolle(x, weight, eps=0.0, max_num_iter=400),
        ),
        "pyproximal, 200 its": ("pyproximal", lambda module: _tv_call(module, x, weight, 200)),
        "prox_tv, anisotropic*": ("prox_tv", lambda module: lambda: module.tv1_2d(x, weight)),
    }
    return lambda: ours.prox(x, 1.0), peers, x.size, None


def _cvxpy_simplex(n: int, generator: np.random.Generator) -> Made:
    x = generator.standard_normal(n)

    def build(cp: Any) -> Work:
        y = cp.Variable(n)
        problem = cp.Problem(cp.Minimize(cp.sum_squares(y - x)), [y >= 0, cp.sum(y) == 1])

        def work() -> Any:
            problem.solve(solver=cp.CLARABEL)
            return y.value

        return work

    return lambda: f.Simplex(1.0).prox(x), {"cvxpy with Clarabel*": ("cvxpy", build)}, n, None


ROWS = (
    Row("L1Norm", entrywise(f.L1Norm(), lambda p: p.AbsValue(), lambda p: p.L1(1.0))),
    Row("SquaredL2", entrywise(f.SquaredL2(1.0), lambda p: p.Square(), lambda p: p.L2(sigma=1.0))),
    Row("L2Norm", entrywise(f.L2Norm(), lambda p: p.L2Norm(), lambda p: p.Euclidean(1.0))),
    Row("LInfNorm", entrywise(f.LInfNorm(), lambda p: p.Linf())),
    Row("Max", entrywise(f.Max(), lambda p: p.Max())),
    Row("Box", entrywise(f.Box(-0.5, 1.0), lambda p: p.BoxConstraint(-0.5, 1.0), lambda p: p.Box(-0.5, 1.0))),
    Row("L2Ball", entrywise(f.L2Ball(5.0), lambda p: p.L2Ball(5.0), lambda p: p.EuclideanBall(0.0, 5.0))),
    Row("Simplex", _simplex),
    Row("Simplex beside cvxpy", _cvxpy_simplex, (1_000, 10_000), 1e-4),
    Row("L1Ball", _l1_ball),
    Row("Hyperplane", _hyperplane),
    Row("HalfSpace", _half_space),
    Row("MonotoneCone", _isotonic),
    Row("GroupL2", _group),
    Row("Huber", entrywise(f.Huber(0.6), lambda p: p.Huber(0.6))),
    Row("Hinge", entrywise(f.Hinge(), lambda p: p.HingeLoss())),
    Row("Vapnik", entrywise(f.Vapnik(0.5), lambda p: p.Vapnik(0.5))),
    Row("LogisticLoss", lambda n, g: _logistic(n, g)),
    Row("Fair", entrywise(f.Fair(1.0), lambda p: p.FairPotential(1.0))),
    Row("PseudoHuber", entrywise(f.PseudoHuber(1.0), lambda p: p.Hyperbolic(1.0))),
    Row("LogBarrier", entrywise(f.LogBarrier(), lambda p: p.Log())),
    Row("NegativeEntropy", entrywise(f.NegativeEntropy(), lambda p: p.Entropy())),
    Row("FermiDirac", entrywise(f.FermiDirac(), lambda p: p.FermiDiracEntropy())),
    Row("Exponential", entrywise(f.Exponential(), lambda p: p.Exp())),
    Row("InversePower", entrywise(f.InversePower(), lambda p: p.Inverse())),
    Row("Power 3", entrywise(3.0 * f.Power(3.0), lambda p: p.Power(3))),
    Row("KullbackLeiblerDivergence", pairs(f.KullbackLeiblerDivergence(), "Kullback", 1.0)),
    Row("JeffreysDivergence", pairs(f.JeffreysDivergence(), "Jeffrey")),
    Row("HellingerDivergence", pairs(f.HellingerDivergence(), "Hellinger")),
    Row("ChiSquareDivergence", pairs(f.ChiSquareDivergence(), "ChiSquare")),
    Row("Tanh", entrywise(f.Tanh(), None)),
    Row("L0Norm", entrywise(f.L0Norm(), lambda p: p.L0Norm(), lambda p: p.L0(1.0))),
    Row("SCAD", entrywise(f.SCAD(0.5, 3.7), lambda p: p.SCAD(0.5, 3.7), lambda p: p.SCAD(0.5, 3.7))),
    Row("MCP", entrywise(f.MCP(0.5, 3.0), lambda p: p.MCP(0.5, 3.0))),
    Row("LogPenalty", entrywise(f.LogPenalty(1.0, 0.5), lambda p: p.LogSum(0.5))),
    Row("GemanPenalty", entrywise(f.GemanPenalty(1.0, 1.3), None, lambda p: p.Geman(1.0, 1.3))),
    Row("NuclearNorm 512x512", _nuclear((512, 512)), (1,)),
    Row("NuclearNorm 2000x100", _nuclear((2000, 100)), (1,)),
    Row("LogDeterminant 200x200", _log_det, (1,)),
    Row("TotalVariation1D", _variation_1d, (1_000, 100_000), 1.0),
    Row("TotalVariation 512x512", _variation_2d, (1,), 1.0),
)


def _logistic(n: int, generator: np.random.Generator) -> Made:
    x = 2.0 * generator.standard_normal(n)
    function = f.LogisticLoss(-np.ones(n))
    peers: Peers = {"proxop": ("proxop", lambda module: _proxop_call(module.LogisticLoss(), x))}
    return lambda: function.prox(x, STEP), peers, n, None
