"""Certificates of equilibrium networks: Lipschitz constants, radii, perturbed weights, generalisation; and attacks on them."""

from monops_nn.certificates.attack import Attack, attack
from monops_nn.certificates.generalisation import PACBayes, pac_bayes
from monops_nn.certificates.interval import IntervalBounds, interval_bounds, interval_radii
from monops_nn.certificates.lipschitz import LipschitzBounds, lipschitz_bounds
from monops_nn.certificates.network import convolution_norm
from monops_nn.certificates.observed import Observed, observed_lipschitz
from monops_nn.certificates.perturbation import Displacement, Quantised, displacement, parameter_displacement, quantise
from monops_nn.certificates.radius import METHODS, Radii, certified_radii
from monops_nn.certificates.robust import RobustClassifier
from monops_nn.certificates.table import Table, certified_table

__all__ = [
    "METHODS",
    "Attack",
    "Displacement",
    "IntervalBounds",
    "LipschitzBounds",
    "Observed",
    "PACBayes",
    "Quantised",
    "Radii",
    "RobustClassifier",
    "Table",
    "attack",
    "certified_radii",
    "certified_table",
    "convolution_norm",
    "displacement",
    "interval_bounds",
    "interval_radii",
    "lipschitz_bounds",
    "observed_lipschitz",
    "pac_bayes",
    "parameter_displacement",
    "quantise",
]
