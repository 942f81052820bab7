"""Who may play which role in a splitting method: what goes by its resolvent, and what by its forward value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, NamedTuple

from monops import constants
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.functions import Function, Zero
from monops.linear import Identity, LinearMap, Stack
from monops.operators import FixedPoint
from monops.problem import Inclusion, Term
from monops.theory import Missing


@dataclass(frozen=True, eq=False)
class ForwardSum:
    """The sum of several terms, evaluated forward."""

    terms: tuple[Term, ...]

    @cached_property
    def constants(self) -> Constants:
        """Constants of the sum."""
        return reduce(constants.add, [term.constants for term in self.terms])

    def forward(self, x: Array) -> Array:
        """The sum of the forward values."""
        total = self.terms[0].forward(x)
        for term in self.terms[1:]:
            total = total + term.forward(x)
        return total


class Roles(NamedTuple):
    """Terms sorted by what they can do: those that need their resolvent, and one forward operator (or None)."""

    resolvents: tuple[Any, ...]
    forward: Any | None


def alone(term: Term) -> Any:
    """The term itself, or its bare summand when it has no linear map (one Python call less an evaluation)."""
    return term.summand if term.map is None else term


def forward_operator(terms: tuple[Term, ...]) -> Any | None:
    """One operator for several forward terms."""
    if not terms:
        return None
    return alone(terms[0]) if len(terms) == 1 else ForwardSum(terms)


def sort_roles(problem: Inclusion, constant: str | None) -> Roles:
    """Forward: every term with a forward value and the known constant (cocoercivity or lipschitz); the rest: resolvents.

    With ``constant`` None nothing goes forward.
    """
    if constant is None:
        return Roles(tuple(alone(term) for term in problem.terms), None)

    def usable(term: Term) -> bool:
        value = getattr(term.constants, constant)
        return (term.has_forward and term.constants.monotone and value is not None and value > 0) or _is_constant(term)

    forward = tuple(term for term in problem.terms if usable(term))
    rest = tuple(alone(term) for term in problem.terms if not usable(term))
    return Roles(rest, forward_operator(forward))


def _is_constant(term: Term) -> bool:
    return term.has_forward and term.constants.lipschitz == 0


def zero(problem: Inclusion) -> Any:
    """The zero function, as the operator of an empty role."""
    return Zero(batch_ndim=problem.batch_ndim)


def require_resolvent(operator: Any, constant: str | None) -> Missing | None:
    """What keeps the operator from playing a resolvent role, or None; ``constant`` is what the forward role would need."""
    label = describe(operator)
    function = operator.summand if isinstance(operator, Term) else operator
    if isinstance(function, Function) and not function.is_convex:
        name = type(getattr(function, "function", function)).__name__
        return Missing(
            f"{name} in {label} is nonconvex, and the theorem needs convexity",
            "put a convex function in its place; its prox may be called in a loop of your own",
        )
    if isinstance(operator, Term) and operator.map is not None:
        return Missing(
            f"{label} contains a linear map, so that its resolvent is not closed-form"
            + ("" if operator.has_forward else ", and it has no forward value"),
            "use ChambollePock, ForwardBackwardForward or ProjectiveSplitting, which split off the map",
        )
    if not operator.has_resolvent and not operator.has_forward:
        return Missing(
            f"{label} has neither a forward value nor a resolvent", "give one of them, for example Custom(forward=...)"
        )
    if operator.has_forward and not operator.constants.monotone:
        return _not_monotone(operator, label)
    if not operator.has_resolvent and constant is None:
        return Missing(f"{label} has no closed-form resolvent", "use a method that takes it by its forward value")
    if constant is not None and not operator.has_resolvent:
        return Missing(
            f"{label} has no closed-form resolvent and its {constant} is {_known(operator.constants, constant)}",
            f"declare it, for example constants=Constants({constant}=...), or give a resolvent",
        )
    if not operator.constants.monotone:
        return _not_monotone(operator, label)
    return None


def _not_monotone(operator: Any, label: str) -> Missing:
    way_out = "declare constants=Constants(strong_monotonicity=0.0) if it is, or ask for the operator's own class"
    if isinstance(operator, FixedPoint):
        way_out = "declare lipschitz in FixedPoint if it is at most 1"
    return Missing(f"{label} is not known to be monotone", way_out)


def too_many_resolvents(operators: tuple[Any, ...], constant: str, way_out: str) -> Missing:
    """More terms need their resolvents than the method has; names what keeps the single-valued ones from going forward."""
    labels = []
    for operator in operators:
        reason = f", whose {constant} is {_known(operator.constants, constant)}" if operator.has_forward else ""
        labels.append(f"{describe(operator)}{reason}")
    return Missing(f"{len(operators)} terms need their resolvents: {' and '.join(labels)}", way_out)


def _known(known: Constants, name: str) -> str:
    value = getattr(known, name)
    return "unknown" if value is None else f"{float(value):g}"


def describe(operator: Any) -> str:
    """Short mathematics of an operator in a role."""
    if isinstance(operator, ForwardSum):
        return " + ".join(map(str, operator.terms))
    return str(operator) if isinstance(operator, Term) else operator.formula("x")


# ---- the primal-dual form: 0 in Ax + sum K_i* B_i K_i x + Cx  as an inclusion in (x, y) -------------


@dataclass(frozen=True, eq=False)
class DualProduct:
    """(y1, y2, ...) -> (B1^-1 y1, B2^-1 y2, ...) by resolvents: proxes of the conjugates, for functions."""

    operators: tuple[Any, ...]

    @cached_property
    def constants(self) -> Constants:
        """Constants of the product of the inverses."""
        return constants.product([constants.inverse(operator.constants) for operator in self.operators])

    @cached_property
    def _inverses(self) -> tuple[Any, ...]:
        return tuple(op.conjugate() if isinstance(op, Function) else op.inverse() for op in self.operators)

    def resolvent(self, y: Array, step: float) -> Array:
        """The resolvents of the inverses, block by block."""
        if len(self.operators) == 1:
            return self._inverses[0].resolvent(y, step)
        return Blocks([op.resolvent(b, step) for op, b in zip(self._inverses, y, strict=True)])


class PrimalDual(NamedTuple):
    """Roles of the primal-dual form: A and B^-1 by resolvents, K linear, C forward (or None)."""

    primal: Any
    dual: Any
    map: LinearMap
    forward: Any | None


def primal_dual_roles(problem: Inclusion, constant: str | None) -> PrimalDual | Missing:
    """Roles of 0 in Ax + sum K_i* B_i K_i x + Cx; a second A without a map takes the identity as its map."""
    simple = tuple(term for term in problem.terms if term.map is None)
    mapped = [(term.summand, term.map) for term in problem.terms if term.map is not None]
    primal: Any = zero(problem)
    forward: Any | None = None
    if simple:
        roles = sort_roles(Inclusion(simple, problem.batch_ndim), constant)
        resolvents = list(roles.resolvents)
        for operator in resolvents:
            missing = require_resolvent(operator, constant)
            if missing is not None:
                return missing
        forward = roles.forward
        if resolvents:
            primal = resolvents.pop(0)
        shape = problem.input_shape
        if not mapped and len(resolvents) < 2:
            return Missing("the problem contains no linear map", "use DouglasRachford or ForwardBackward")
        if resolvents and shape is None:
            return Missing("the shape of x is not known from the data", "write the second term as f @ Identity(shape)")
        for operator in resolvents:
            mapped.append((operator, Identity(shape)))
    for operator, _ in mapped:
        missing = require_resolvent(operator, constant)
        if missing is not None:
            return missing
    linear_map = mapped[0][1] if len(mapped) == 1 else Stack(tuple(K for _, K in mapped))
    return PrimalDual(primal, DualProduct(tuple(operator for operator, _ in mapped)), linear_map, forward)


@dataclass(frozen=True, eq=False)
class PrimalDualResolvent:
    """(x, y) -> (Ax, B^-1 y), by its resolvent."""

    roles: PrimalDual

    @cached_property
    def constants(self) -> Constants:
        """Constants of the product."""
        return constants.product([self.roles.primal.constants, self.roles.dual.constants])

    def resolvent(self, z: Array, step: float) -> Array:
        """Both resolvents."""
        return Blocks((self.roles.primal.resolvent(z[0], step), self.roles.dual.resolvent(z[1], step)))


@dataclass(frozen=True, eq=False)
class PrimalDualForward:
    """(x, y) -> (Cx + K*y, -Kx): monotone and Lipschitz."""

    roles: PrimalDual

    @cached_property
    def constants(self) -> Constants:
        """Lipschitz constant |K| + L_C; skew when there is no C."""
        norm = self.roles.map.norm
        skew = Constants(lipschitz=norm.value, affine=True, skew=True, why=norm.why)
        if self.roles.forward is None:
            return skew
        smooth = self.roles.forward.constants
        return constants.add(skew, constants.product([smooth, constants.ZERO]))

    def forward(self, z: Array) -> Array:
        """One application of K, one of K*, one forward value of C."""
        x, y = z
        primal = self.roles.map.adjoint(y)
        if self.roles.forward is not None:
            primal = primal + self.roles.forward.forward(x)
        return Blocks((primal, -self.roles.map.apply(x)))


# ---- two resolvents: Douglas-Rachford, Peaceman-Rachford ---------------------------------------------


class TwoResolvents(NamedTuple):
    """Roles of 0 in Ax + Bx with two resolvents; B is the one with a forward value, if either has one."""

    A: Any
    B: Any


def two_resolvents(problem: Inclusion) -> TwoResolvents | Missing:
    """Roles for methods that use both resolvents and nothing else."""
    operators = [alone(term) for term in problem.terms]
    for operator in operators:
        missing = require_resolvent(operator, None)
        if missing is not None:
            return missing
    if len(operators) == 1:
        return Missing("the problem has a single term", "use ProximalPoint, or write the problem as a sum of two terms")
    if len(operators) > 2:
        return Missing(
            f"the problem has {len(operators)} terms, two are allowed",
            "use MalitskyTam, ParallelDouglasRachford, or DavisYin where one is smooth",
        )
    A, B = operators
    return TwoResolvents(B, A) if A.has_forward and not B.has_forward else TwoResolvents(A, B)


def split_certificate(B: Any, x: Array, y: Array, a: Array, b: Array) -> Array:
    """The residual of a method that knows a in Ay (any further terms included) and b in Bx at points x and y.

    When B has a forward value, a + By is an element of the whole sum at y. Otherwise, at (y, b), the element
    (a + b, x - y) of the primal-dual operator (Ay + b, B^-1 b - y).
    """
    if B.has_forward:
        return a + B.forward(y)
    return Blocks((a + b, x - y))


def both_constants(A: Any, B: Any) -> Constants:
    """Constants of the operator that ``split_certificate`` belongs to."""
    if B.has_forward:
        return constants.add(A.constants, B.constants)
    return constants.product([A.constants, constants.inverse(B.constants)])
