"""Exceptions and warnings. Every message names the cause and the way out."""

from __future__ import annotations


class MonopsError(Exception):
    """Base of everything this library raises on purpose."""


class DataError(MonopsError, ValueError):
    """Data that no method can work with: NaN, infinity, a negative weight, an empty set."""


class ShapeError(MonopsError, ValueError):
    """Arrays or linear maps whose shapes do not fit together."""


class BackendError(MonopsError, TypeError):
    """Arrays of different libraries, dtypes or devices in one problem."""


class ConstantError(MonopsError, ValueError):
    """A declared constant that two points show to be false."""


class CapabilityError(MonopsError, TypeError):
    """Something was asked of an object that has no closed form for it."""


class NotApplicableError(MonopsError, TypeError):
    """A method whose theorem does not cover the problem."""


class StepSizeError(MonopsError, ValueError):
    """A step size outside the interval for which convergence is proven."""


class NotConvergedError(MonopsError, RuntimeError):
    """Raised by ``Result.require`` when the solve did not converge."""


class NotConvergedWarning(UserWarning):
    """The solve ended without reaching its tolerance; the Result says why."""


class EstimatedConstantWarning(UserWarning):
    """A constant was estimated, not proven; the guarantee holds only if the estimate does."""


class InexactProxWarning(UserWarning):
    """An iterative prox ended at its iteration limit; the warning states the certified error that it reached."""
