"""The report of an examination: one line a law, and a counterexample that can be pasted where a law fails."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from monops import arrays
from monops.arrays import Blocks
from monops.errors import ConstantError, MonopsError

WIDTHS = (50, 9, 11, 11, 100)
SMALL = 1000  # entries of a point up to which it is printed exactly


@dataclass(frozen=True)
class Counterexample:
    """Points at which left <= right is false.

    ``repr`` is a piece of Python: with ``item`` the object that was checked, paste it and see both sides.

    Attributes
    ----------
    points : dict
        Arrays and steps by name.
    constants : dict
        The claimed numbers.
    let, left_code, right_code : str
        The law in code.
    left, right : float
        Both sides as found; NaN when the object raised ``error``.
    subject : str
        Code for the object, where it is a part of what was checked.
    """

    points: dict[str, Any]
    constants: dict[str, float]
    let: tuple[str, ...]
    left_code: str
    right_code: str
    left: float
    right: float
    imports: tuple[str, ...] = ()
    subject: str = "item"
    error: str = ""

    def __repr__(self) -> str:
        lines = ["import numpy as np"]
        values = [_literal(value) for value in self.points.values()]
        for library in ("torch", "array_api_strict", "cupy", "jax"):
            if any(f"{library}." in value for value in values):
                lines.append(f"import {library}")
        if any("Blocks" in value for value in values):
            lines.append("from monops import Blocks")
        if self.imports:
            lines.append(f"from monops.doctor.tools import {', '.join(self.imports)}")
        if self.subject != "item":
            lines.append(f"item = {self.subject}")
        lines += [f"{name} = {value!r}" for name, value in self.constants.items()]
        lines += [f"{name} = {value}" for name, value in zip(self.points, values, strict=True)]
        lines += self.let
        lines.append(f"left, right = {self.left_code}, {self.right_code}")
        lines.append(
            f"# raises {self.error}" if self.error else f"# claimed: left <= right; found: {self.left!r} > {self.right!r}"
        )
        lines.append("left, right")
        return "\n".join(lines)


def _literal(value: Any) -> str:
    """Python for a point: exact where it is small."""
    if isinstance(value, Blocks):
        return f"Blocks(({', '.join(map(_literal, value))},))"
    if not arrays.is_array(value):
        return repr(value)
    library = arrays.library(value)
    text = _numpy_literal(arrays.to_numpy(value))
    if library in ("torch", "array_api_strict", "cupy"):
        return f"{library}.asarray({text})"
    return f"jax.numpy.asarray({text})" if library in ("jax", "jaxlib") else text


def _numpy_literal(host: np.ndarray[Any, Any]) -> str:
    dtype = "" if host.dtype == np.float64 else f", dtype=np.{host.dtype.name}"
    if host.size > SMALL:
        return f"...  # {host.size} numbers of shape {host.shape}: in .points"
    numbers = repr(host.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
    return f"np.array({numbers}{dtype})"


@dataclass(frozen=True)
class Check:
    """One law held against an object.

    Attributes
    ----------
    name : str
    result : {"passed", "failed", "skipped"}
    worst : float or None
        Largest excess of the left side over the right, relative to the law's scale; at most ``tolerance`` when passed.
    tolerance : float or None
    theorem : str
        Why it should hold.
    reason : str
        Why it was skipped, or what failed.
    counterexample : Counterexample or None
    is_claim : bool
        Whether a violation shows a declared constant to be false.
    """

    name: str
    result: Literal["passed", "failed", "skipped"]
    worst: float | None = None
    tolerance: float | None = None
    theorem: str = ""
    reason: str = ""
    counterexample: Counterexample | None = None
    is_claim: bool = False


@dataclass(frozen=True)
class Report:
    """All checks of one object; prints as a table with the counterexamples below it."""

    title: str
    checks: tuple[Check, ...] = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether checks were made, and none failed."""
        return not self.failures and any(check.result == "passed" for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The failed checks."""
        return self._of("failed")

    @property
    def skipped(self) -> tuple[Check, ...]:
        """The checks that do not apply, each with its reason."""
        return self._of("skipped")

    def _of(self, result: str) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.result == result)

    def __getitem__(self, name: str) -> Check:
        """The check of that name."""
        found = [check for check in self.checks if check.name == name]
        if not found:
            raise KeyError(f"no check is named {name!r}: {', '.join(check.name for check in self.checks)}")
        return found[0]

    def require(self) -> Report:
        """The report itself; ConstantError when a declared constant is false, MonopsError when another check failed."""
        if self.ok:
            return self
        kind = ConstantError if all(check.is_claim for check in self.failures) else MonopsError
        raise kind("\n".join([f"{self.title}: {', '.join(check.name for check in self.failures)} failed", *self._findings()]))

    def _findings(self) -> list[str]:
        lines = []
        for check in self.failures:
            lines += ["", f"{check.name} ({check.theorem})" + (f": {check.reason}" if check.reason else "")]
            if check.counterexample is not None:
                lines.append(textwrap.indent(repr(check.counterexample), "    "))
        return lines

    def __str__(self) -> str:
        passed = len(self._of("passed"))
        counts = f"{passed} passed, {len(self.failures)} failed, {len(self.skipped)} skipped"
        lines = [f"{self.title}: {counts}", "", _row("check", "result", "worst", "tolerance", "theorem, or why skipped")]
        lines.append(_row(*("-" * (width - 1) for width in WIDTHS)))
        for check in self.checks:
            worst = "" if check.worst is None else f"{check.worst:.2g}"
            tolerance = "" if check.tolerance is None else f"{check.tolerance:.2g}"
            result = check.result.upper() if check.result == "failed" else check.result
            remark = check.reason if check.result == "skipped" else check.theorem
            lines.append(_row(check.name, result, worst, tolerance, textwrap.shorten(remark, 100, placeholder=" ...")))
        return "\n".join(lines + self._findings())

    __repr__ = __str__


def _row(*cells: str) -> str:
    return "".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()
