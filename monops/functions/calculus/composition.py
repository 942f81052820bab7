"""Functions composed with linear maps in the cases where the prox stays closed-form: tight frames and diagonal maps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays, autodiff, constants
from monops.arrays import Array
from monops.constants import Constants, Known
from monops.errors import CapabilityError, DataError
from monops.functions.arguments import check_prox
from monops.functions.function import Function, Zero
from monops.functions.sample import Sample
from monops.functions.separable import Separable, shape_of
from monops.functions.wrapper import Wrapper, renamed, scaled_known
from monops.linear import Diagonal, LinearMap, Matrix, ScaledMap, SelfAdjointMap, as_linear_map
from monops.problem import named_arrays

__all__ = ["DiagonalComposition", "InfimalPostcomposition", "TightFrameComposition", "precompose"]

SPLIT = "use f @ K and a method that splits off the map, such as ChambollePock"


def frame_constant(linear_map: LinearMap) -> float | None:
    """The number nu with K K* = nu I, from four random probes (exact for the diagonal of small maps), or None."""
    generator = np.random.default_rng(0)
    like = next((autodiff.detach(data) for _, data in named_arrays(linear_map, "") if arrays.is_floating(data)), np.empty(0))
    if any(isinstance(size, tuple) for size in linear_map.output_shape):
        return None
    ratios = []
    for _ in range(4):
        probe = arrays.from_numpy(generator.standard_normal(linear_map.output_shape), like)
        image = autodiff.detach(linear_map.apply(linear_map.adjoint(probe)))
        nu = float(arrays.inner(image, probe)) / float(arrays.inner(probe, probe))
        if not float(arrays.norm(image - nu * probe)) <= 1e3 * arrays.epsilon(probe) * (abs(nu) + 1.0) * float(
            arrays.norm(probe)
        ):
            return None
        ratios.append(nu)
    slack = 1e3 * arrays.epsilon(like) * max(ratios)
    return ratios[0] if ratios[0] > 0 and max(ratios) - min(ratios) <= slack else None


def precompose(function: Function, linear_map: Any) -> Function:
    """x -> f(Kx) as a Function with a closed-form prox, or a refusal that names a method able to split it.

    Raises
    ------
    CapabilityError
        When K K* is not a multiple of the identity, and K is not diagonal with a separable f.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm
    >>> rotation = np.array([[0.6, 0.8], [-0.8, 0.6]])
    >>> np.round(precompose(L1Norm(), rotation).prox(np.array([3.0, 4.0]), 1.0), 12)
    array([2.4, 3.2])
    """
    K = as_linear_map(linear_map)
    if isinstance(K, Diagonal) and isinstance(function, Separable):
        return DiagonalComposition(function, K.diagonal, batch_ndim=function.batch_ndim)
    nu = frame_constant(K)
    if nu is None:
        raise CapabilityError(
            f"the prox of {type(function).__name__} composed with a {type(K).__name__} is not closed-form, because K K* is not "
            f"a multiple of the identity: {SPLIT}"
        )
    return TightFrameComposition(function, K, nu, batch_ndim=function.batch_ndim)


@final
@dataclass(frozen=True, eq=False)
class TightFrameComposition(Wrapper):
    """x -> f(Kx) with K K* = nu I: rows of an orthogonal matrix, orthonormal wavelets, a unitary transform, repetition.

    Parameters
    ----------
    function : Function
    map : LinearMap or matrix
    nu : float, optional
        Default: found and checked on random vectors; a map that is no tight frame is refused.

    Notes
    -----
    prox: x + K* (prox_{(step nu) f}(Kx) - Kx)/nu. **Domain** of f, pulled back. **Constants** mu is nu mu_f for square K,
    else 0; L = nu L_f. **Cost** one product with K, one with K*, one prox of f. **Derivative** of the prox: I + K* (J - I)
    K/nu.

    References
    ----------
    Combettes and Pesquet (2007), A Douglas-Rachford splitting approach to nonsmooth convex variational signal recovery.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import NonNegative
    >>> mean = np.full((1, 2), 0.5)
    >>> TightFrameComposition(NonNegative(), mean).prox(np.array([1.0, -3.0]))
    array([ 2., -2.])
    """

    map: Any
    nu: Any = None

    def __post_init__(self) -> None:
        K = as_linear_map(self.map)
        object.__setattr__(self, "map", K)
        if self.nu is None:
            found = frame_constant(K)
            if found is None:
                raise DataError(f"TightFrameComposition: K K* is not a multiple of the identity: {SPLIT}")
            object.__setattr__(self, "nu", found)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.norms import L1Norm
        from monops.functions.norms.squares import SquaredL2

        square = np.array([[0.6, 0.8, 0.0], [-0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
        return (
            Sample(lambda a: cls(SquaredL2(2.0), Matrix(a(2.0 * square))), (3,)),
            Sample(lambda a: cls(L1Norm(0.5), Matrix(a(square[:2]))), (3,)),
        )

    @property
    def input_shape(self) -> Any:
        return self.map.input_shape

    @property
    def is_indicator(self) -> bool:
        return self.function.is_indicator

    @property
    def _is_square(self) -> bool:
        return int(np.prod(self.map.input_shape)) == int(np.prod(self.map.output_shape))

    @cached_property
    def constants(self) -> Constants:
        norm = Known(float(self.nu) ** 0.5, "computed: K K* = nu I")
        smallest = norm if self._is_square else Known(0.0, "computed: fewer rows than columns")
        return constants.congruence(self.function.constants, norm, smallest)

    @property
    def value_lipschitz(self) -> Known | None:
        return scaled_known(self.function.value_lipschitz, float(self.nu) ** 0.5, "composed with a tight frame")

    @property
    def domain(self) -> Function | None:
        inner = self.function.domain
        if inner is None or isinstance(inner, Zero):
            return inner
        return TightFrameComposition(inner, self.map, self.nu, batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        return self.function(self.map.apply(x))

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        image = self.map.apply(x)
        return x + self.map.adjoint(self.function.prox(image, step * self.nu) - image) / self.nu

    def gradient(self, x: Array) -> Array:
        return self.map.adjoint(self.function.gradient(self.map.apply(x)))

    def conjugate(self) -> Function:
        if self._is_square:
            inner = self.function.conjugate().scale_argument(1.0 / float(self.nu))
            return TightFrameComposition(inner, self.map, self.nu, batch_ndim=self.batch_ndim)
        return InfimalPostcomposition(self.function.conjugate(), self.map.T, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        K, nu = self.map, self.nu
        jacobian = self.function.prox_derivative(K.apply(x), step * nu)

        def apply(h: Array) -> Array:
            image = K.apply(h)
            return h + K.adjoint(jacobian.apply(image) - image) / nu

        return SelfAdjointMap(apply, shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        inner = self.function.prox_parameter_derivatives(self.map.apply(x), step * self.nu)
        return renamed(inner, ScaledMap(self.map.T, 1.0 / float(self.nu))) if self.batch_ndim == 0 else {}

    def value_formula(self, x: str) -> str:
        return self.function.value_formula(f"K{x}")


@final
@dataclass(frozen=True, eq=False)
class DiagonalComposition(Wrapper):
    """x -> f(d_1 x_1, d_2 x_2, ...) for a separable f: each entry has its own step; made by ``f.precompose(Diagonal(d))``.

    Parameters
    ----------
    function : Separable
    scales : array d that broadcasts against x
        Entries may be 0: f(0) is a constant there.

    Notes
    -----
    prox: prox_{(step d_i^2) phi}(d_i x_i)/d_i; x_i where d_i = 0. **Domain** of f, entry by entry divided by d. **Constants**
    min d^2 mu, max d^2 L. **Cost** that of f. **Derivative** of the prox: that of phi at d_i x_i with step d_i^2.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm
    >>> DiagonalComposition(L1Norm(), np.array([1.0, 2.0])).prox(np.array([3.0, 3.0]))
    array([2., 1.])
    """

    scales: Array

    def __post_init__(self) -> None:
        if not isinstance(self.function, Separable):
            raise DataError(f"DiagonalComposition: {type(self.function).__name__} is not separable: {SPLIT}")
        arrays.check_floating("DiagonalComposition.scales", self.scales)
        arrays.check_finite("DiagonalComposition.scales", self.scales)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.norms import L1Norm

        return (Sample(lambda a: cls(L1Norm(0.5), a([1.0, -2.0, 0.0])), (3,)),)

    @property
    def _extremes(self) -> tuple[float, float]:
        xp = arrays.namespace(self.scales)
        magnitude = xp.abs(self.scales)
        return float(xp.min(magnitude)), float(xp.max(magnitude))

    @cached_property
    def constants(self) -> Constants:
        least, most = self._extremes
        return constants.congruence(
            self.function.constants, Known(most, "computed: largest entry"), Known(least, "computed: smallest entry")
        )

    @property
    def value_lipschitz(self) -> Known | None:
        return scaled_known(self.function.value_lipschitz, self._extremes[1], "largest entry of the diagonal")

    @property
    def domain(self) -> Function | None:
        inner = self.function.domain
        if inner is None or isinstance(inner, Zero):
            return inner
        return DiagonalComposition(inner, self.scales, batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        return self.function(self.scales * x)

    def _parts(self, x: Array, step: Any) -> tuple[Array, Array, Array]:
        """(d or 1, d x, step d^2 or step): zeros of d are replaced, and their entries handed through afterwards."""
        xp = arrays.namespace(x)
        safe = xp.where(self.scales == 0, xp.ones_like(self.scales), self.scales)
        return safe, safe * x, step * safe * safe

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        safe, image, inner_step = self._parts(x, step)
        return arrays.namespace(x).where(self.scales == 0, x, self.function.prox(image, inner_step) / safe)

    def gradient(self, x: Array) -> Array:
        return self.scales * self.function.gradient(self.scales * x)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        _, image, inner_step = self._parts(x, step)
        slope = self.function.prox_derivative(image, inner_step).diagonal  # type: ignore[attr-defined]
        xp = arrays.namespace(x)
        return Diagonal(xp.where(self.scales == 0, xp.ones_like(x), slope))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        safe, image, inner_step = self._parts(x, step)
        inner = self.function.prox_parameter_derivatives(image, inner_step)
        moving = arrays.namespace(x).where(self.scales == 0, 0.0 * x, 1.0 / (safe + 0.0 * x))
        return renamed(inner, Diagonal(moving))

    def value_formula(self, x: str) -> str:
        return self.function.value_formula(f"D{x}")


@final
@dataclass(frozen=True, eq=False)
class InfimalPostcomposition(Wrapper):
    """y -> inf {f(x) : Lx = y}, for L with L* L = nu I; the conjugate of f* composed with L*.

    Parameters
    ----------
    function : Function
    map : LinearMap or matrix
        L with L* L = nu I: then x is unique, and the value is f(L* y/nu) on the range of L, infinity off it.
    nu : float, optional
        Default: found and checked; other maps are refused.

    Notes
    -----
    prox: L prox_{(step/nu) f}(L* x/nu). **Domain** the image of that of f. **Constants** mu = mu_f/nu. **Cost** one product
    with L, one with L*, one prox of f. **Derivative** of the prox: L J L*/nu.

    References
    ----------
    Bauschke and Combettes (2017), chapter 12, for infimal postcomposition; the prox is that of the tight-frame rule by Moreau.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm
    >>> InfimalPostcomposition(L1Norm(), np.array([[1.0], [1.0]])).prox(np.array([3.0, 5.0]))
    array([3.5, 3.5])
    """

    map: Any
    nu: Any = None

    def __post_init__(self) -> None:
        L = as_linear_map(self.map)
        object.__setattr__(self, "map", L)
        if self.nu is None:
            found = frame_constant(L.T)
            if found is None:
                raise DataError(
                    "InfimalPostcomposition: L* L is not a multiple of the identity, so that neither value nor prox is "
                    f"closed-form: write the problem with f*(L* y) instead; {SPLIT}"
                )
            object.__setattr__(self, "nu", found)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.norms import L1Norm

        tall = np.array([[0.6, -0.8], [0.8, 0.6], [0.0, 0.0]])
        return (Sample(lambda a: cls(L1Norm(0.5), Matrix(a(2.0 * tall))), (3,)),)

    @property
    def input_shape(self) -> Any:
        return self.map.output_shape

    @property
    def has_gradient(self) -> bool:
        return False

    @cached_property
    def constants(self) -> Constants:
        mu = self.function.constants.strong_monotonicity
        if mu is None:
            return Constants()
        return Constants(mu / float(self.nu), cyclic=True, why="rule: infimal postcomposition, mu/nu")

    @property
    def domain(self) -> Function | None:
        inner = self.function.domain
        return None if inner is None else InfimalPostcomposition(inner, self.map, self.nu, batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        source = self.map.adjoint(x) / self.nu
        off = arrays.namespace(x).abs(x - self.map.apply(source))
        return self.function(source) + arrays.indicator(off, x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.map.apply(self.function.prox(self.map.adjoint(x) / self.nu, step / self.nu))

    def conjugate(self) -> Function:
        return TightFrameComposition(self.function.conjugate(), self.map.T, self.nu, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        L, nu = self.map, self.nu
        jacobian = self.function.prox_derivative(L.adjoint(x) / nu, step / nu)
        return SelfAdjointMap(lambda h: L.apply(jacobian.apply(L.adjoint(h))) / nu, shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        inner = self.function.prox_parameter_derivatives(self.map.adjoint(x) / self.nu, step / self.nu)
        return renamed(inner, self.map) if self.batch_ndim == 0 else {}

    def value_formula(self, x: str) -> str:
        return f"inf({self.function.value_formula('z')} : Lz = {x})"
