"""Closed convex functions, and nonconvex ones marked so: value, prox, gradient, conjugate, derivatives, constants.

One folder a family: ``norms``, ``losses`` (least squares, hinge, logistic, Poisson, robust ones), ``entropies`` (with barriers
and powers), ``divergences`` (with perspectives), ``activations``, ``sets``, ``cones``, ``epigraphs``, ``spectral`` (of singular
values and eigenvalues), ``variation`` (total variation of signals, images, trees and graphs), ``nonconvex``, and ``calculus``
(conjugates, envelopes, compositions, sums).

Each module lists its public names in ``__all__``; they are gathered here, so that a new function touches one file.
"""

import sys

from monops.functions.activations.activations import *  # noqa: F403
from monops.functions.activations.rectifiers import *  # noqa: F403
from monops.functions.activations.saturations import *  # noqa: F403
from monops.functions.activations.softmax_activation import *  # noqa: F403
from monops.functions.activations.unbounded import *  # noqa: F403
from monops.functions.calculus.averages import *  # noqa: F403
from monops.functions.calculus.blocks import *  # noqa: F403
from monops.functions.calculus.combination import *  # noqa: F403
from monops.functions.calculus.composition import *  # noqa: F403
from monops.functions.calculus.distances import *  # noqa: F403
from monops.functions.calculus.duality import *  # noqa: F403
from monops.functions.calculus.scaling import *  # noqa: F403
from monops.functions.calculus.shifting import *  # noqa: F403
from monops.functions.cones.cones import *  # noqa: F403
from monops.functions.cones.curved_cones import *  # noqa: F403
from monops.functions.cones.dual_cones import *  # noqa: F403
from monops.functions.cones.power_cones import *  # noqa: F403
from monops.functions.divergences.divergences import *  # noqa: F403
from monops.functions.divergences.perspectives import *  # noqa: F403
from monops.functions.divergences.power_divergences import *  # noqa: F403
from monops.functions.divergences.radial_perspectives import *  # noqa: F403
from monops.functions.entropies.barriers import *  # noqa: F403
from monops.functions.entropies.bounded_entropies import *  # noqa: F403
from monops.functions.entropies.entropies import *  # noqa: F403
from monops.functions.entropies.growth_barriers import *  # noqa: F403
from monops.functions.entropies.powers import *  # noqa: F403
from monops.functions.entropies.softmax import *  # noqa: F403
from monops.functions.epigraphs.entry_epigraphs import *  # noqa: F403
from monops.functions.epigraphs.epigraphs import *  # noqa: F403
from monops.functions.epigraphs.norm_epigraphs import *  # noqa: F403
from monops.functions.function import Function as Function
from monops.functions.function import Zero as Zero
from monops.functions.losses.elastic_box import *  # noqa: F403
from monops.functions.losses.hinge import *  # noqa: F403
from monops.functions.losses.likelihoods import *  # noqa: F403
from monops.functions.losses.quadratic_forms import *  # noqa: F403
from monops.functions.losses.quadratics import *  # noqa: F403
from monops.functions.losses.residuals import *  # noqa: F403
from monops.functions.losses.robust import *  # noqa: F403
from monops.functions.losses.smooth_absolute import *  # noqa: F403
from monops.functions.nonconvex.nonconvex import *  # noqa: F403
from monops.functions.nonconvex.nonconvex_groups import *  # noqa: F403
from monops.functions.nonconvex.nonconvex_sets import *  # noqa: F403
from monops.functions.nonconvex.penalties import *  # noqa: F403
from monops.functions.norms.capped_simplex import *  # noqa: F403
from monops.functions.norms.group_huber import *  # noqa: F403
from monops.functions.norms.groups import *  # noqa: F403
from monops.functions.norms.nested_groups import *  # noqa: F403
from monops.functions.norms.norm_powers import *  # noqa: F403
from monops.functions.norms.norms import *  # noqa: F403
from monops.functions.norms.order import *  # noqa: F403
from monops.functions.norms.sorted_norms import *  # noqa: F403
from monops.functions.norms.squares import *  # noqa: F403
from monops.functions.sets.affine_sets import *  # noqa: F403
from monops.functions.sets.balls import *  # noqa: F403
from monops.functions.sets.box_sections import *  # noqa: F403
from monops.functions.sets.intersections import *  # noqa: F403
from monops.functions.sets.monotone import *  # noqa: F403
from monops.functions.sets.polyhedra import *  # noqa: F403
from monops.functions.sets.polyhedron import *  # noqa: F403
from monops.functions.sets.sets import *  # noqa: F403
from monops.functions.sets.simplices import *  # noqa: F403
from monops.functions.sets.structured import *  # noqa: F403
from monops.functions.sets.transport import *  # noqa: F403
from monops.functions.spectral.eigenvalue_sums import *  # noqa: F403
from monops.functions.spectral.eigenvalues import *  # noqa: F403
from monops.functions.spectral.ranks import *  # noqa: F403
from monops.functions.spectral.schatten import *  # noqa: F403
from monops.functions.spectral.spectral import *  # noqa: F403
from monops.functions.variation.graphs import *  # noqa: F403
from monops.functions.variation.grids import *  # noqa: F403
from monops.functions.variation.trees import *  # noqa: F403
from monops.functions.variation.variation import *  # noqa: F403

_modules = [module for name, module in sys.modules.items() if name.startswith(f"{__name__}.")]
# Written through globals(): type checkers do not follow a computed __all__, and then take all names above as public.
globals()["__all__"] = sorted({"Function", "Zero"}.union(*(getattr(module, "__all__", ()) for module in _modules)))
