"""Activations by name: each the prox of a convex function of monops, exact for every step; what is no prox is refused.

A function of one variable is the prox of a convex function exactly when it is increasing and 1-Lipschitz (Moreau 1965;
Combettes and Pesquet 2020, Deep neural network structures solving variational inequalities).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from monops import functions
from monops.errors import CapabilityError, DataError, ShapeError
from monops.functions import Function
from monops.functions.activations.softmax_activation import NOT_A_PROX, refuse_activation
from monops_nn.parametrize.parametrization import Parametrization

__all__ = ["ACTIVATIONS", "activation_of", "name_of"]

ACTIVATIONS: Mapping[str, Callable[[], Function]] = MappingProxyType(
    {
        "identity": functions.Zero,
        "relu": functions.NonNegative,
        "leaky_relu": functions.LeakyReLU,
        "relu6": lambda: functions.Box(0.0, 6.0),
        "hardtanh": lambda: functions.Box(-1.0, 1.0),
        "hardsigmoid": functions.HardSigmoid,
        "tanh": functions.Tanh,
        "sigmoid": functions.Sigmoid,
        "centered_sigmoid": functions.CenteredSigmoid,
        "softplus": functions.Softplus,
        "elu": functions.ELU,
        "arctan": functions.Arctan,
        "softsign": functions.Softsign,
        "inverse_square_root": functions.InverseSquareRoot,
        "inverse_square_root_linear": functions.InverseSquareRootLinear,
        "bent_identity": functions.BentIdentity,
        "signed_logarithm": functions.SignedLogarithm,
        "arcsinh": functions.Arcsinh,
        "soft_threshold": functions.L1Norm,
        "softmax": functions.Softmax,
        "sparsemax": functions.Simplex,
    }
)
MODULES: Mapping[type[nn.Module], str] = MappingProxyType(
    {
        nn.Identity: "identity",
        nn.ReLU: "relu",
        nn.ReLU6: "relu6",
        nn.Hardsigmoid: "hardsigmoid",
        nn.Tanh: "tanh",
        nn.Sigmoid: "sigmoid",
        nn.Softsign: "softsign",
    }
)


def activation_of(activation: Any, linear: Parametrization) -> Function:
    """The convex function whose prox is meant, checked on a state of zeros.

    Parameters
    ----------
    activation : str, Function or nn.Module
        A name of `ACTIVATIONS` (case, spaces, hyphens and underscores do not matter), a convex function, or one of torch's
        activations, with its settings.
    linear : Parametrization
        W, which fixes the shape of a state.

    Raises
    ------
    DataError
        An unknown name.
    CapabilityError
        What is no prox of a convex function (GELU, SiLU, Mish, SELU, ...), with the reason and a stand-in; a function whose
        prox has no closed-form derivative.
    """
    function = function_of(activation)
    _probe(function, linear)
    return function


def function_of(activation: Any) -> Function:
    """The convex function whose prox is meant; refuses as ``activation_of`` does, without looking at a state."""
    if isinstance(activation, nn.Module):
        activation = _from_module(activation)
    if isinstance(activation, str):
        activation = _from_name(activation)
    if not isinstance(activation, Function):
        raise DataError(f"activation must be a name or a monops Function, got {type(activation).__name__}")
    if not activation.is_convex:
        raise CapabilityError(
            f"{type(activation).__name__} is nonconvex, so that the equilibrium need not be unique: use a convex function"
        )
    if not activation.has_prox:
        raise CapabilityError(f"{type(activation).__name__} has no prox: the layer needs sigma = prox_f")
    return activation


def _probe(activation: Function, linear: Parametrization) -> None:
    """One prox and its derivative on zeros: data that do not fit and missing derivatives show here, not in training."""
    reference = linear.reference
    rows = linear.enter(
        torch.zeros(1, *linear.shape, device=reference.device, dtype=linear.solving_dtype)
        if not isinstance(linear.shape[0], tuple)
        else tuple(torch.zeros(1, *part, device=reference.device, dtype=linear.solving_dtype) for part in linear.shape)
    )
    natural = rows if linear.rows_shape is None else rows.reshape(1, *linear.rows_shape)
    value = activation.batched(1).prox(natural, 1.0)
    if tuple(value.shape) != tuple(natural.shape):
        raise ShapeError(f"{type(activation).__name__} maps states of shape {tuple(natural.shape)} to {tuple(value.shape)}")
    activation.batched(1).prox_derivative(natural, 1.0)  # refuses where it is not closed-form


def _key(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _from_name(name: str) -> Function:
    refuse_activation(name)
    for known, make in ACTIVATIONS.items():
        if _key(known) == _key(name):
            return make()
    raise DataError(
        f"activation={name!r} is unknown: choose one of {', '.join(ACTIVATIONS)}, or give a monops.functions object whose prox "
        f"it is. {', '.join(sorted(NOT_A_PROX))} are no prox, so that the equilibrium need not be unique"
    )


def _from_module(module: nn.Module) -> Function:
    if type(module) in MODULES:
        return _from_name(MODULES[type(module)])
    if isinstance(module, nn.Hardtanh):
        return functions.Box(float(module.min_val), float(module.max_val))
    if isinstance(module, nn.LeakyReLU):
        return functions.LeakyReLU(float(module.negative_slope))
    if isinstance(module, nn.ELU):
        return functions.ELU(float(module.alpha))
    if isinstance(module, nn.Softshrink):
        return functions.L1Norm(float(module.lambd))
    if isinstance(module, nn.Softplus) and module.beta != 1:
        raise CapabilityError(
            f"Softplus(beta={module.beta:g}) is not among the ones here: use beta=1, and scale U, b and the state by beta"
        )
    if isinstance(module, nn.Softmax) and module.dim not in (-1, None):
        raise CapabilityError(f"Softmax(dim={module.dim}) is not among the activations here: a state is one row, dim=-1")
    return _from_name(type(module).__name__)


def name_of(activation: Function) -> str:
    """The name in `ACTIVATIONS`, or how the function prints."""
    for name, make in ACTIVATIONS.items():
        if repr(make()) == repr(activation):
            return name
    return repr(activation)
