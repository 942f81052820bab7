"""The abstract closed convex function f: value, prox, gradient, conjugate, derivative of the prox; and its wrappers."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Self, final

import numpy as np

from monops import arrays, autodiff, constants
from monops.arrays import Array
from monops.constants import Constants, Known
from monops.errors import BackendError, CapabilityError, DataError
from monops.functions.arguments import check_direction, check_prox
from monops.functions.sample import Sample
from monops.linear import Diagonal, LinearMap, as_linear_map
from monops.problem import Inclusion, Summand, Term


@functools.cache
def _complex_samples(cls: type[Function]) -> bool:
    """Whether a class shows, by a sample, that it takes complex points."""
    return any(sample.is_complex for sample in cls.samples())


@functools.cache
def _field_names(cls: type) -> tuple[str, ...]:
    return tuple(entry.name for entry in dataclasses.fields(cls))


def _cut(value: Any) -> Any:
    """Data, functions and linear maps without what torch or JAX records in them; the same object when that is nothing."""
    if isinstance(value, Function):
        return value.detached()
    if isinstance(value, tuple) and not isinstance(value, arrays.Blocks):
        parts = tuple(_cut(part) for part in value)
        return value if all(new is old for new, old in zip(parts, value, strict=True)) else parts
    if isinstance(value, LinearMap) and dataclasses.is_dataclass(value):
        changes = {name: _cut(getattr(value, name)) for name in _field_names(type(value))}
        changes = {name: new for name, new in changes.items() if new is not getattr(value, name)}
        return dataclasses.replace(value, **changes) if changes else value
    return autodiff.detach(value) if arrays.is_array(value) or isinstance(value, arrays.Blocks) else value


class ProxCotangents(NamedTuple):
    """What `Function.prox_vjp` returns: the gradients with respect to x, to the step, and to each parameter by name."""

    x: Array
    step: Array
    parameters: dict[str, Array]


@dataclass(frozen=True, eq=False)
class Function(Summand):
    """A closed, convex, proper function f; in an inclusion it stands for its subdifferential.

    A subclass implements what is closed-form: ``__call__`` (value), ``prox``, ``gradient``, ``conjugate``,
    ``prox_derivative`` and ``prox_parameter_derivatives``, ``constants`` (mu: strong convexity, L: Lipschitz constant of the
    gradient), ``value_lipschitz``, ``domain``, and ``samples`` (instances that tests, docs and benchmarks walk over).

    Parameters
    ----------
    batch_ndim : int
        Number of leading axes that index independent rows: the value has one entry a row and a prox that couples
        entries couples them within a row only. ``solve`` sets it from its own ``batch_ndim``.
    """

    batch_ndim: int = field(default=0, kw_only=True)

    @cached_property
    def constants(self) -> Constants:
        return Constants(cyclic=True)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        """Instances, extremal ones first, on which tests, documentation and benchmarks exercise the class."""
        return ()

    @property
    def is_convex(self) -> bool:
        """Whether f is convex; methods refuse a nonconvex function by its name."""
        return True

    @property
    def takes_complex(self) -> bool:
        """Whether x may be complex; the value stays real."""
        return _complex_samples(type(self))

    @property
    def takes_many_steps(self) -> bool:
        """Whether ``step`` may be an array, one for each entry."""
        return False

    @property
    def value_lipschitz(self) -> Known | None:
        """A number G with |f(x) - f(y)| <= G |x - y| on the domain, with provenance; None where none is finite or known."""
        return None

    @property
    def domain(self) -> Function | None:
        """Indicator of the closure of {x : f(x) < infinity}; `Zero` where f is finite everywhere, None where unknown."""
        if self.is_indicator:
            return self
        return Zero(batch_ndim=self.batch_ndim) if self.has_gradient or self.value_lipschitz is not None else None

    @property
    def has_value(self) -> bool:
        """Whether the value is closed-form."""
        return type(self).__call__ is not Function.__call__

    @property
    def is_indicator(self) -> bool:
        """Whether f is the indicator of a set, so that its subdifferential is a normal cone."""
        return False

    @property
    def has_prox(self) -> bool:
        """Whether the prox is closed-form."""
        return type(self).prox is not Function.prox

    @property
    def has_gradient(self) -> bool:
        """Whether f is differentiable everywhere and its gradient closed-form."""
        return type(self).gradient is not Function.gradient

    def __call__(self, x: Array) -> Array:
        """f(x), one value a row (shape: the batch shape); ``inf`` outside the domain."""
        raise CapabilityError(f"{type(self).__name__} has no closed-form value")

    def prox(self, x: Array, step: float = 1.0) -> Array:
        """argmin_y f(y) + |y - x|^2 / (2 step); same shape, dtype and device as x; step > 0."""
        raise CapabilityError(
            f"the prox of {type(self).__name__} is not closed-form: "
            + ("use its gradient" if self.has_gradient else "split the function, for example with ChambollePock")
        )

    def gradient(self, x: Array) -> Array:
        """The gradient of f at x."""
        raise CapabilityError(f"{type(self).__name__} is not differentiable everywhere: use its prox")

    def conjugate(self) -> Function:
        """The convex conjugate f*(y) = sup_x <x, y> - f(x)."""
        from monops.functions.calculus.duality import Conjugate  # wrappers are functions: imported where they are made

        return Conjugate(self, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        """An element of the generalised (Clarke) Jacobian of the prox at x, as a structured linear map."""
        raise CapabilityError(f"the derivative of the prox of {type(self).__name__} is not closed-form")

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        """For each differentiable data field, by name, the derivative of the prox at x with respect to it.

        The map takes a perturbation of the field (its shape, ``()`` for a number) to the perturbation of the prox.
        """
        return {}

    def prox_jvp(
        self,
        x: Array,
        step: float = 1.0,
        *,
        dx: Array | None = None,
        dstep: Any = None,
        dparameters: Mapping[str, Any] | None = None,
    ) -> Array:
        """Directional derivative of the prox when x, the step and parameters move by the given amounts together.

        J dx - J u dstep + sum of D_name dparameters[name], with J = ``prox_derivative``, u = (x - prox(x))/step, and D =
        ``prox_parameter_derivatives``. The second term is the resolvent identity prox_a(x) = prox_b(b/a x + (1 - b/a)
        prox_a(x)), differentiated at a = b (Bauschke and Combettes 2017, Prop. 23.31).
        """
        if dx is not None:
            check_direction("dx", dx, x)
        jacobian = self.prox_derivative(x, step)
        total = 0.0 * x if dx is None else jacobian.apply(dx)
        if dstep is not None:
            total = total - jacobian.apply((x - self.prox(x, step)) / step) * dstep
        if dparameters:
            maps = self.prox_parameter_derivatives(x, step)
            for name, change in dparameters.items():
                if name not in maps:
                    raise CapabilityError(
                        f"the prox of {self.value_formula('x')} has no derivative in {name!r}; there is one in: "
                        f"{', '.join(maps) or 'no parameter'}"
                    )
                total = total + maps[name].apply(change)
        return total

    def prox_vjp(self, x: Array, cotangent: Array, step: float = 1.0) -> ProxCotangents:
        """Gradients of <cotangent, prox(x, step)> with respect to x, to the step and to every parameter: the adjoint of
        ``prox_jvp``.
        """
        check_direction("cotangent", cotangent, x)
        back = self.prox_derivative(x, step).adjoint(cotangent)
        in_step = -arrays.inner((x - self.prox(x, step)) / step, back)
        maps = self.prox_parameter_derivatives(x, step)
        return ProxCotangents(back, in_step, {name: part.adjoint(cotangent) for name, part in maps.items()})

    def with_derivative(self, x: Array, step: Any, point: Array) -> Array:
        """``point`` = prox(x, step), found without a record of derivatives, with the derivative of the prox attached to it.

        For proxes that come from loops, sorts or the host: what torch and JAX see is the exact derivative in x, in the step
        and in the data fields that have one, and not the way to the point.
        """
        if type(x) is np.ndarray and isinstance(step, (int, float)):
            return point
        still = self.detached()
        if still is self and not autodiff.tracks_gradient(x, step):
            return point
        x0, step0, point = autodiff.detach(x), autodiff.detach(step), autodiff.detach(point)
        jacobian = still.prox_derivative(x0, step0)
        sources = []
        if autodiff.tracks_gradient(x):
            sources.append(autodiff.Source(x, jacobian.apply, jacobian.adjoint))
        if autodiff.tracks_gradient(step):
            moved = jacobian.apply((x0 - point) / (-step0))
            sources.append(autodiff.Source(step, lambda t: moved * t, lambda h: arrays.inner(moved, h)))
        covered = set()
        if still is not self:
            for name, part in still.prox_parameter_derivatives(x0, step0).items():
                value = functools.reduce(getattr, name.split("."), self)
                if autodiff.tracks_gradient(value):
                    covered.add(id(value))
                    sources.append(autodiff.Source(value, part.apply, part.adjoint))
            for name, value in self.named_arrays():
                if autodiff.tracks_gradient(value) and id(value) not in covered:
                    raise BackendError(
                        f"{name} requires gradients, but the prox of {type(self).__name__} has no derivative in it: pass "
                        f"{name}.detach(), or it would be lost without a word"
                    )
        return autodiff.attach(point, sources) if sources else point

    def detached(self) -> Self:
        """The same function with all its data cut off from the record of derivatives; itself when nothing is recorded."""
        changes = {}
        for name in _field_names(type(self)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, (int, float, str, np.ndarray)):
                cut = _cut(value)
                if cut is not value:
                    changes[name] = cut
        return dataclasses.replace(self, **changes) if changes else self

    def value_formula(self, x: str) -> str:
        """The value as mathematics, for example ``|x|_1``."""
        return f"{type(self).__name__}({x})"

    def translate(self, shift: Array) -> Function:
        """x -> f(x - shift)."""
        from monops.functions.calculus.shifting import Translation

        return Translation(self, shift, batch_ndim=self.batch_ndim)

    def tilt(self, slope: Array) -> Function:
        """x -> f(x) + <slope, x>."""
        from monops.functions.calculus.shifting import Tilt

        return Tilt(self, slope, batch_ndim=self.batch_ndim)

    def add_quadratic(self, weight: float) -> Function:
        """x -> f(x) + weight/2 |x|^2."""
        from monops.functions.calculus.shifting import QuadraticPerturbation

        return QuadraticPerturbation(self, weight, batch_ndim=self.batch_ndim)

    def scale_argument(self, factor: float) -> Function:
        """x -> f(factor x)."""
        from monops.functions.calculus.scaling import ArgumentScaling

        return ArgumentScaling(self, factor, batch_ndim=self.batch_ndim)

    def envelope(self, parameter: float) -> Function:
        """The Moreau envelope x -> min_y f(y) + |y - x|^2/(2 parameter)."""
        from monops.functions.calculus.duality import MoreauEnvelope

        return MoreauEnvelope(self, parameter, batch_ndim=self.batch_ndim)

    def precompose(self, linear_map: Any) -> Function:
        """x -> f(Kx) with a closed-form prox, for K K* = nu I, or diagonal K and separable f; refused otherwise."""
        from monops.functions.calculus.composition import precompose

        return precompose(self, linear_map)

    # ---- the function as an operator: its subdifferential -----------------------------------------
    @property
    def has_forward(self) -> bool:
        return self.has_gradient

    @property
    def has_resolvent(self) -> bool:
        return self.has_prox

    def forward(self, x: Array) -> Array:
        return self.gradient(x)

    def resolvent(self, x: Array, step: float) -> Array:
        return self.prox(x, step)

    def formula(self, x: str) -> str:
        text = self.value_formula("x")
        return f"d({text})" if x == "x" else f"d({text})({x})"

    # ---- algebra -----------------------------------------------------------------------------------
    def __mul__(self, factor: Any) -> Function:
        if getattr(factor, "ndim", 0) > 0:
            raise DataError(
                f"an array times {type(self).__name__} is ambiguous: weights of single entries go into the function, for "
                "example L1Norm(weights)"
            )
        factor = float(factor)
        if not factor >= 0 or factor == math.inf:
            raise DataError(f"{factor:g} * {type(self).__name__} is not convex: the factor must be finite and at least 0")
        from monops.functions.calculus.scaling import Scaling

        return Scaling(self, factor, batch_ndim=self.batch_ndim)

    __rmul__ = __mul__

    def __matmul__(self, linear_map: Any) -> Inclusion:
        return Inclusion((Term(self, as_linear_map(linear_map)),))

    def __neg__(self) -> Function:
        raise DataError(f"-{type(self).__name__} is not convex")

    def __sub__(self, other: Any) -> Function:
        raise DataError(
            f"{type(self).__name__} minus another term is not convex in general: put the data into the function instead, for "
            "example LeastSquares(A, b), Quadratic(P, q) or f.translate(a)"
        )


@final
@dataclass(frozen=True, eq=False)
class Zero(Function):
    """f = 0; its prox is the identity.

    Notes
    -----
    prox: x. **Domain** everything. **Constants** mu = L = 0. **Cost** none. **Derivative** of the prox: the identity.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> Zero().prox(np.array([8.0]))
    array([8.])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,), lambda cp, y: 0.0),)

    @property
    def takes_complex(self) -> bool:
        return True

    @property
    def takes_many_steps(self) -> bool:
        return True

    @cached_property
    def constants(self) -> Constants:
        return constants.ZERO

    @property
    def value_lipschitz(self) -> Known:
        return Known(0.0, "computed: the zero function")

    def __call__(self, x: Array) -> Array:
        return 0.0 * arrays.norm(x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return x

    def gradient(self, x: Array) -> Array:
        return 0.0 * x

    def conjugate(self) -> Function:
        from monops.functions.sets.sets import Box  # sets are functions: the one import that cannot stand above

        return Box(0.0, 0.0, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return Diagonal(arrays.namespace(x).ones_like(x))

    def value_formula(self, x: str) -> str:
        return "0"
