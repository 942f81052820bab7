"""Language models whose hidden states are the equilibrium of a transformer cell, beside their explicit twins."""

from monops_nn.language.cell import TransformerCell
from monops_nn.language.generation import Generated, generate
from monops_nn.language.models import (
    EquilibriumLanguageModel,
    LanguageModel,
    Unrolled,
    WeightTiedLanguageModel,
    parameters_of,
)

__all__ = [
    "EquilibriumLanguageModel",
    "Generated",
    "LanguageModel",
    "TransformerCell",
    "Unrolled",
    "WeightTiedLanguageModel",
    "generate",
    "parameters_of",
]
