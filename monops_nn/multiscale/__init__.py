"""Multiscale equilibria: several resolutions of an image solved jointly, with and without monotonicity."""

from monops_nn.multiscale.cell import MultiscaleCell
from monops_nn.multiscale.networks import (
    MultiscaleClassifier,
    MultiscaleSegmenter,
    TierInjection,
    count_parameters,
    matched_residual,
    monotone_multiscale,
    multiscale,
    residual,
)
from monops_nn.multiscale.residual import ResidualNetwork
from monops_nn.multiscale.shapes import CLASSES, Shapes, generate_shapes, mean_intersection_over_union

__all__ = [
    "CLASSES",
    "MultiscaleCell",
    "MultiscaleClassifier",
    "MultiscaleSegmenter",
    "ResidualNetwork",
    "Shapes",
    "TierInjection",
    "count_parameters",
    "generate_shapes",
    "matched_residual",
    "mean_intersection_over_union",
    "monotone_multiscale",
    "multiscale",
    "residual",
]
