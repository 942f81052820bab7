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
    rectifiers,
    residuals,
    robust,
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
from monops.functions.function import Function, Zero
from monops.functions.graphs import *  # noqa: F403
from monops.functions.grids import *  # noqa: F403
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
from monops.functions.rectifiers import *  # noqa: F403
from monops.functions.residuals import *  # noqa: F403
from monops.functions.robust import *  # noqa: F403
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

__all__ = ["Function", "Zero"]
__all__ += activations.__all__
__all__ += affine_sets.__all__
__all__ += averages.__all__
__all__ += balls.__all__
__all__ += barriers.__all__
__all__ += blocks.__all__
__all__ += bounded_entropies.__all__
__all__ += box_sections.__all__
__all__ += composition.__all__
__all__ += cones.__all__
__all__ += curved_cones.__all__
__all__ += combination.__all__
__all__ += distances.__all__
__all__ += divergences.__all__
__all__ += dual_cones.__all__
__all__ += duality.__all__
__all__ += eigenvalue_sums.__all__
__all__ += eigenvalues.__all__
__all__ += elastic_box.__all__
__all__ += entropies.__all__
__all__ += entry_epigraphs.__all__
__all__ += epigraphs.__all__
__all__ += graphs.__all__
__all__ += grids.__all__
__all__ += groups.__all__
__all__ += growth_barriers.__all__
__all__ += hinge.__all__
__all__ += intersections.__all__
__all__ += likelihoods.__all__
__all__ += monotone.__all__
__all__ += nested_groups.__all__
__all__ += nonconvex.__all__
__all__ += nonconvex_groups.__all__
__all__ += nonconvex_sets.__all__
__all__ += norm_epigraphs.__all__
__all__ += norms.__all__
__all__ += order.__all__
__all__ += penalties.__all__
__all__ += perspectives.__all__
__all__ += polyhedra.__all__
__all__ += polyhedron.__all__
__all__ += power_cones.__all__
__all__ += power_divergences.__all__
__all__ += powers.__all__
__all__ += quadratics.__all__
__all__ += rectifiers.__all__
__all__ += radial_perspectives.__all__
__all__ += residuals.__all__
__all__ += robust.__all__
__all__ += scaling.__all__
__all__ += schatten.__all__
__all__ += sets.__all__
__all__ += shifting.__all__
__all__ += simplices.__all__
__all__ += smooth_absolute.__all__
__all__ += softmax.__all__
__all__ += softmax_activation.__all__
__all__ += sorted_norms.__all__
__all__ += spectral.__all__
__all__ += squares.__all__
__all__ += structured.__all__
__all__ += transport.__all__
__all__ += trees.__all__
__all__ += variation.__all__
