"""What certificates read of a model: its layer, its readout as a matrix, the norm of its injection, its activation's slopes."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from monops import functions
from monops.errors import CapabilityError, DataError
from monops.functions import Function
from monops.functions.separable import Separable
from monops_nn.activations import name_of
from monops_nn.certificates.channels import Frequencies
from monops_nn.certificates.robust import RobustClassifier
from monops_nn.models import Classifier
from monops_nn.mondeq import MonDEQ
from monops_nn.parametrize.lipschitz_bounded import LipschitzBounded, LipschitzBoundedNetwork, SharedInjection
from monops_nn.systems.fourier import symbol

TOLERANCE = 1e-10  # of equilibria in float64
CONVEX = (
    functions.NonNegative,
    functions.LeakyReLU,
    functions.ELU,
    functions.Softplus,
    functions.BentIdentity,
    functions.InverseSquareRootLinear,
)
CENTRED = (
    functions.HardSigmoid,
    functions.Tanh,
    functions.Sigmoid,
    functions.CenteredSigmoid,
    functions.Arctan,
    functions.Softsign,
    functions.InverseSquareRoot,
    functions.SignedLogarithm,
    functions.Arcsinh,
)


@dataclass(frozen=True, eq=False)
class DenseParts:
    """W (n, n), U (n, inputs), b (n,), the metric (n,) and the activation's slopes, in float64."""

    W: Tensor
    U: Tensor
    b: Tensor
    metric: Tensor
    slopes: tuple[float, float]
    peak: Tensor | None


@dataclass(frozen=True, eq=False)
class Network:
    """x -> C z + d with z = sigma(W z + U x + b), as certificates need it.

    Attributes
    ----------
    layer : MonDEQ
        Of dense models a copy in float64 that solves to 1e-10; of others the model's own.
    readout : tensor (outputs, size)
        C on the flattened state (of several tiers the last).
    offset : tensor (outputs,)
    readout_scale : tensor (size,)
        Psi^(-1/2), by which a length in the state is measured; ones without a metric.
    injection_norm : float
        A bound of |Psi^(1/2) U|.
    monotonicity : float
        Lambda_min(sym(I - W)) in the metric, rounded to the safe side.
    dense : DenseParts or None
        None for convolutions, and for activations that couple entries.
    frequencies : Frequencies or None
        Of a single convolution, for which multipliers a channel are known.
    """

    layer: MonDEQ
    readout: Tensor
    offset: Tensor
    readout_scale: Tensor
    injection_norm: float
    monotonicity: float
    dense: DenseParts | None
    frequencies: Frequencies | None = None

    def parts(self, what: str) -> DenseParts:
        """The matrices of a dense layer; CapabilityError, naming what needs them, for others."""
        if self.dense is None:
            activation = name_of(self.layer.activation)
            raise CapabilityError(
                f"{what} needs a dense layer whose activation acts entry by entry, not {type(self.layer.linear).__name__} with "
                f"{activation}: the bounds |C| |U|/m and |c_k - c_j| |U|/m hold for every layer"
            )
        return self.dense

    @torch.no_grad()
    def evaluate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (batch, outputs) in float64, and bounds (batch,) of |z - z*| by strong monotonicity."""
        reference = self.layer.linear.reference
        given = x.flatten(1) if self.layer.linear.input_ndim == 1 else x
        solution = self.layer.solve(given.to(reference.dtype))
        state = solution.z if isinstance(solution.z, Tensor) else solution.z[-1]
        return state.flatten(1).double() @ self.readout.mT + self.offset, solution.error_bound.double()


def network_of(model: nn.Module | Network) -> Network:
    """The parts of a `Classifier`, `LipschitzBoundedNetwork`, ``nn.Sequential(MonDEQ, nn.Linear)`` or a `MonDEQ` alone (C = I).

    Raises
    ------
    CapabilityError
        Other models, and injections whose norm is not known.
    """
    if isinstance(model, Network):
        return model
    if isinstance(model, RobustClassifier):
        model = model.network
    layer = _layer_of(model)
    _refuse_unknown(model, layer)
    if isinstance(getattr(layer.injection, "weight", None), Tensor) and layer.injection.weight.ndim == 2:
        return _dense(copy.deepcopy(model).double().eval())
    if not isinstance(model, Classifier):
        raise CapabilityError(f"certificates of {type(layer.linear).__name__} need its readout: give the Classifier")
    return _convolution(model, layer)


def _refuse_unknown(model: nn.Module, layer: MonDEQ) -> None:
    """CapabilityError for hooks, and for injections and readouts that are not known to be the affine maps they look like."""
    for module in model.modules():
        if module._forward_hooks or module._forward_pre_hooks:
            raise CapabilityError(f"{type(module).__name__} has a forward hook, of which no certificate knows: remove it")
    readout = model[1] if isinstance(model, nn.Sequential) else model.scores if isinstance(model, Classifier) else None
    injection = layer.injection
    parts: list[nn.Module] = [injection]
    allowed: tuple[type[nn.Module], ...] = (nn.Linear, nn.Conv2d, SharedInjection)
    if type(injection) is nn.Sequential:
        parts, allowed = list(injection), (nn.Conv2d, nn.ZeroPad2d, nn.Identity)
    for part in parts:
        if type(part) not in allowed:
            raise CapabilityError(
                f"the injection {type(part).__name__} is not known to be affine with its weight as matrix: use nn.Linear or "
                "nn.Conv2d, for which certificates hold"
            )
    if readout is not None and type(readout) is not nn.Linear:
        raise CapabilityError(f"the readout {type(readout).__name__} is not known to be affine: use nn.Linear")
    if not all(bool(torch.isfinite(value).all()) for value in model.parameters()):
        raise DataError("the model contains NaN or infinity: no certificate can hold for it")


def _layer_of(model: nn.Module) -> MonDEQ:
    layer: object = model
    if isinstance(model, (Classifier, LipschitzBoundedNetwork)):
        layer = model.layer
    elif isinstance(model, nn.Sequential) and len(model) == 2 and isinstance(model[1], nn.Linear):
        layer = model[0]
    if not isinstance(layer, MonDEQ):
        raise CapabilityError(
            f"certificates read a Classifier, a LipschitzBoundedNetwork, nn.Sequential(MonDEQ, nn.Linear) or a MonDEQ, not "
            f"{type(model).__name__}"
        )
    return layer


def _readout_of(model: nn.Module, layer: MonDEQ) -> tuple[Tensor, Tensor]:
    """C and d, exact: a linear map is read off its own matrix, or off its derivative at 0."""
    if isinstance(model, LipschitzBoundedNetwork):
        linear = layer.linear
        assert isinstance(linear, LipschitzBounded)
        return linear.C.detach(), model.bias.detach()
    shape = layer.linear.shape[-1] if isinstance(layer.linear.shape[0], tuple) else layer.linear.shape
    zero = torch.zeros(1, *shape, dtype=layer.linear.reference.dtype)
    read: Any = model.read if isinstance(model, Classifier) else model[1] if isinstance(model, nn.Sequential) else nn.Identity()
    rows: Tensor = torch.func.jacrev(read)(zero)
    return rows.detach().flatten(2)[0].double(), read(zero)[0].detach().double()


@torch.no_grad()
def _dense(model: nn.Module) -> Network:
    layer = _layer_of(model)
    layer.tol, layer.fixed_steps, layer.max_iter = TOLERANCE, None, max(layer.max_iter, 10_000)
    system, injection = layer.linear.current_system(), layer.injection
    if system.mask is not None or len(layer.linear.shape) != 1:
        raise CapabilityError(f"certificates of {type(layer.linear).__name__} with a dense injection are not known")
    U, bias = injection.weight, getattr(injection, "bias", None)
    assert isinstance(U, Tensor)
    U = U.detach()
    W = system.dense()
    if not all(bool(torch.isfinite(t).all()) for t in (W, U)):
        raise DataError("W or U contains NaN or infinity: no certificate can hold for this model")
    n = len(W)
    psi = torch.ones(n, dtype=torch.float64) if system.metric is None else system.metric.detach().double()
    with torch.enable_grad():
        readout, offset = _readout_of(model, layer)
    dense = None
    if isinstance(layer.activation, (Separable, functions.Zero)):
        b = torch.zeros(n, dtype=torch.float64) if bias is None else bias.detach()
        dense = DenseParts(W, U, b, psi, _slopes(layer.activation), _peak(layer.activation))
    m = float(system.exact_constants().strong_monotonicity)
    return Network(layer, readout, offset, psi.rsqrt(), spectral_norm(psi.sqrt()[:, None] * U), m, dense)


def _convolution(model: Classifier, layer: MonDEQ) -> Network:
    readout, offset = _readout_of(model, layer)
    system, injection = layer.linear.current_system(), _first_convolution(layer)
    m = float(system.exact_constants().strong_monotonicity)
    norm = convolution_norm(injection, model.images[1:])
    frequencies = None
    if isinstance(layer.activation, (Separable, functions.Zero)):
        frequencies = Frequencies.of(system, injection, model.images[1:], _slopes(layer.activation)[1])
    ones = torch.ones(readout.shape[1], dtype=torch.float64)
    return Network(layer, readout, offset, ones, norm, m, None, frequencies)


def _first_convolution(layer: MonDEQ) -> nn.Conv2d:
    found = [module for module in layer.injection.modules() if isinstance(module, nn.Conv2d)]
    if len(found) != 1:
        raise CapabilityError(f"the norm of the injection {type(layer.injection).__name__} is not known: use one nn.Conv2d")
    return found[0]


@torch.no_grad()
def convolution_norm(convolution: nn.Conv2d, size: tuple[int, int]) -> float:
    """A bound of the norm of a convolution of images (channels, *size), without its bias.

    With zeros around the image it is a section of the circular convolution on a torus on which nothing wraps around, whose norm
    is the largest of its symbols; with circular padding it is that convolution itself.

    Examples
    --------
    >>> import torch
    >>> convolution = torch.nn.Conv2d(1, 1, 3, padding=1)
    >>> _ = torch.nn.init.ones_(convolution.weight)
    >>> 8.9 < convolution_norm(convolution, (64, 64)) <= 9.0001
    True
    """
    circular = convolution.padding_mode == "circular"
    plain = convolution.stride == (1, 1) and convolution.dilation == (1, 1) and convolution.groups == 1
    rows, columns = convolution.kernel_size
    if not plain or rows % 2 == 0 or columns % 2 == 0 or not (circular or convolution.padding_mode == "zeros"):
        raise CapabilityError(
            "the norm of a convolution is known for odd kernels, stride 1, one group, zero or circular padding"
        )
    torus = size if circular else (size[0] + rows - 1, size[1] + columns - 1)
    return spectral_norm(symbol(convolution.weight.detach().double(), torus))


def spectral_norm(matrices: Tensor) -> float:
    """The largest singular value of matrices (..., n, m), rounded up."""
    largest = float(torch.linalg.svdvals(matrices)[..., 0].max())
    return largest * (1.0 + 8.0 * max(matrices.shape[-2:]) * torch.finfo(torch.float64).eps)


def _slopes(activation: Function) -> tuple[float, float]:
    """Where the slopes of prox_f are: mu and L of f give [1/(1 + L), 1/(1 + mu)]."""
    known = activation.constants
    lipschitz = math.inf if known.lipschitz is None else float(known.lipschitz)
    return 1.0 / (1.0 + lipschitz), 1.0 / (1.0 + float(known.strong_monotonicity))


def _peak(activation: Function) -> Tensor | None:
    """Where the slope of prox_f is largest, if it rises before and falls behind; None where that is not known."""
    if isinstance(activation, CONVEX):
        return torch.tensor(math.inf, dtype=torch.float64)
    if isinstance(activation, CENTRED):
        return torch.tensor(0.0, dtype=torch.float64)
    if isinstance(activation, functions.Box):
        middle = 0.5 * (torch.as_tensor(activation.lower) + torch.as_tensor(activation.upper))
        return torch.nan_to_num(middle.double(), nan=0.0)
    return None
