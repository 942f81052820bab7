"""Closed convex functions, and nonconvex ones marked so: value, prox, gradient, conjugate, derivatives, constants.

Each family module lists its classes in ``__all__``; they are gathered here, so that a new function touches one file.
"""

from monops.functions import (
    activations,
    affine_sets,
    averages,
    balls,
    barriers,
    blocks,
    bounded_entropies,
    box_sections,
    capped_simplex,
    combination,
    composition,
    cones,
    curved_cones,
    distances,
    divergences,
    dual_cones,
    duality,
    eigenvalue_sums,
    eigenvalues,
    elastic_box,
    entropies,
    entry_epigraphs,
    epigraphs,
    graphs,
    grids,
    group_huber,
    groups,
    growth_barriers,
    hinge,
    intersections,
    likelihoods,
    monotone,
    nested_groups,
    nonconvex,
    nonconvex_groups,
    nonconvex_sets,
    norm_epigraphs,
    norm_powers,
    norms,
    order,
    penalties,
    perspectives,
    polyhedra,
    polyhedron,
    power_cones,
    power_divergences,
    powers,
    quadratics,
    radial_perspectives,
    ranks,
    rectifiers,
    residuals,
    robust,
    saturations,
    scaling,
    schatten,
    sets,
    shifting,
    simplices,
    smooth_absolute,
    softmax,
    softmax_activation,
    sorted_norms,
    spectral,
    squares,
    structured,
    transport,
    trees,
    variation,
)
from monops.functions.activations import *  # noqa: F403
from monops.functions.affine_sets import *  # noqa: F403
from monops.functions.averages import *  # noqa: F403
from monops.functions.balls import *  # noqa: F403
from monops.functions.barriers import *  # noqa: F403
from monops.functions.blocks import *  # noqa: F403
from monops.functions.bounded_entropies import *  # noqa: F403
from monops.functions.box_sections import *  # noqa: F403
from monops.functions.capped_simplex import *  # noqa: F403
from monops.functions.combination import *  # noqa: F403
from monops.functions.composition import *  # noqa: F403
from monops.functions.cones import *  # noqa: F403
from monops.functions.curved_cones import *  # noqa: F403
from monops.functions.distances import *  # noqa: F403
from monops.functions.divergences import *  # noqa: F403
from monops.functions.dual_cones import *  # noqa: F403
from monops.functions.duality import *  # noqa: F403
from monops.functions.eigenvalue_sums import *  # noqa: F403
from monops.functions.eigenvalues import *  # noqa: F403
from monops.functions.elastic_box import *  # noqa: F403
from monops.functions.entropies import *  # noqa: F403
from monops.functions.entry_epigraphs import *  # noqa: F403
from monops.functions.epigraphs import *  # noqa: F403
from monops.functions.function import Function as Function
from monops.functions.function import Zero as Zero
from monops.functions.graphs import *  # noqa: F403
from monops.functions.grids import *  # noqa: F403
from monops.functions.group_huber import *  # noqa: F403
from monops.functions.groups import *  # noqa: F403
from monops.functions.growth_barriers import *  # noqa: F403
from monops.functions.hinge import *  # noqa: F403
from monops.functions.intersections import *  # noqa: F403
from monops.functions.likelihoods import *  # noqa: F403
from monops.functions.monotone import *  # noqa: F403
from monops.functions.nested_groups import *  # noqa: F403
from monops.functions.nonconvex import *  # noqa: F403
from monops.functions.nonconvex_groups import *  # noqa: F403
from monops.functions.nonconvex_sets import *  # noqa: F403
from monops.functions.norm_epigraphs import *  # noqa: F403
from monops.functions.norm_powers import *  # noqa: F403
from monops.functions.norms import *  # noqa: F403
from monops.functions.order import *  # noqa: F403
from monops.functions.penalties import *  # noqa: F403
from monops.functions.perspectives import *  # noqa: F403
from monops.functions.polyhedra import *  # noqa: F403
from monops.functions.polyhedron import *  # noqa: F403
from monops.functions.power_cones import *  # noqa: F403
from monops.functions.power_divergences import *  # noqa: F403
from monops.functions.powers import *  # noqa: F403
from monops.functions.quadratics import *  # noqa: F403
from monops.functions.radial_perspectives import *  # noqa: F403
from monops.functions.ranks import *  # noqa: F403
from monops.functions.rectifiers import *  # noqa: F403
from monops.functions.residuals import *  # noqa: F403
from monops.functions.robust import *  # noqa: F403
from monops.functions.saturations import *  # noqa: F403
from monops.functions.scaling import *  # noqa: F403
from monops.functions.schatten import *  # noqa: F403
from monops.functions.sets import *  # noqa: F403
from monops.functions.shifting import *  # noqa: F403
from monops.functions.simplices import *  # noqa: F403
from monops.functions.smooth_absolute import *  # noqa: F403
from monops.functions.softmax import *  # noqa: F403
from monops.functions.softmax_activation import *  # noqa: F403
from monops.functions.sorted_norms import *  # noqa: F403
from monops.functions.spectral import *  # noqa: F403
from monops.functions.squares import *  # noqa: F403
from monops.functions.structured import *  # noqa: F403
from monops.functions.transport import *  # noqa: F403
from monops.functions.trees import *  # noqa: F403
from monops.functions.variation import *  # noqa: F403

FAMILIES = (
    activations,
    affine_sets,
    averages,
    balls,
    barriers,
    blocks,
    bounded_entropies,
    box_sections,
    capped_simplex,
    composition,
    cones,
    curved_cones,
    combination,
    distances,
    divergences,
    dual_cones,
    duality,
    eigenvalue_sums,
    eigenvalues,
    elastic_box,
    entropies,
    entry_epigraphs,
    epigraphs,
    graphs,
    grids,
    group_huber,
    groups,
    growth_barriers,
    hinge,
    intersections,
    likelihoods,
    monotone,
    nested_groups,
    nonconvex,
    nonconvex_groups,
    nonconvex_sets,
    norm_epigraphs,
    norm_powers,
    norms,
    order,
    penalties,
    perspectives,
    polyhedra,
    polyhedron,
    power_cones,
    power_divergences,
    powers,
    quadratics,
    rectifiers,
    radial_perspectives,
    ranks,
    residuals,
    robust,
    saturations,
    scaling,
    schatten,
    sets,
    shifting,
    simplices,
    smooth_absolute,
    softmax,
    softmax_activation,
    sorted_norms,
    spectral,
    squares,
    structured,
    transport,
    trees,
    variation,
)
globals()["__all__"] = sorted({"Function", "Zero"}.union(*(family.__all__ for family in FAMILIES)))
