"""Where the parameters of a statement come from: random floats for the programs, small fractions for the certificates."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from proofs.pep.gram import Number


class Numbers(Protocol):
    """Where parameters come from."""

    def between(self, low: float, high: float) -> Number:
        """A positive number in the interval."""

    def below_one(self) -> Number:
        """A number in (0, 1)."""

    def index(self, count: int) -> int:
        """0, ..., count - 1."""


@dataclass(frozen=True)
class Floats:
    """Random floats, uniform in the logarithm."""

    generator: np.random.Generator

    def between(self, low: float, high: float) -> float:
        return float(math.exp(self.generator.uniform(math.log(low), math.log(high))))

    def below_one(self) -> float:
        return float(self.generator.uniform(0.02, 0.98))

    def index(self, count: int) -> int:
        return int(self.generator.integers(count))


@dataclass(frozen=True)
class Fractions:
    """Small fractions, the same for the same seed."""

    generator: random.Random

    def between(self, low: float, high: float) -> Fraction:
        value = math.exp(self.generator.uniform(math.log(low), math.log(high)))
        return Fraction(value).limit_denominator(12) or Fraction(1, 12)

    def below_one(self) -> Fraction:
        return Fraction(self.generator.randint(1, 9), 10)

    def index(self, count: int) -> int:
        return self.generator.randrange(count)
