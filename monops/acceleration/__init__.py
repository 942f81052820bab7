"""Accelerations of fixed-point maps: each wraps a method whose step is a map z+ = Tz, and keeps a convergence theorem."""

from monops.acceleration.anderson import Anderson
from monops.acceleration.halpern import Halpern
from monops.acceleration.inertial import Inertial
from monops.acceleration.supermann import SuperMann

__all__ = ["Anderson", "Halpern", "Inertial", "SuperMann"]
