"""Weights of published monotone equilibrium networks (locuslab/monotone_op_net) as models of this package."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monops.errors import ConstantError, DataError
from monops_nn.models import POOL, Classifier, dense, multi_tier, single_convolution
from monops_nn.systems.fourier import symbol

Weights = dict[str, Tensor]
Settings = dict[str, Any]
PREFIXES = ("module.", "mon.", "linear_module.")  # DataParallel, the solver, the weight
DENSE = ("A.weight", "B.weight", "U.bias", "U.weight", "Wout.bias", "Wout.weight")


def load_original(
    source: Mapping[str, Any] | str | Path, monotonicity: float = 1.0, *, image_size: int | None = None, **settings: Any
) -> Classifier:
    """A published network of Winston and Kolter (2020), with its weights: images in, ten logits out.

    Parameters
    ----------
    source : mapping, or path of an .npz, .pt or .pth file
        The state_dict of the original's ``SingleFcNet``, ``SingleConvNet`` or ``MultiConvNet``, told apart by its names. The
        prefixes ``module.`` (DataParallel), ``mon.`` and ``linear_module.`` may be there or not.
    monotonicity : float, default 1.0
        m, which the original does not store: the value it was trained with, 1 in the paper.
    image_size : int, optional
        Side of the images; default: the multiple of 4, or of 2^(tiers - 1), that fits the classifier.
    **settings
        Of the solver, as in `MonDEQ`: tol, max_iter, algorithm, ...

    Returns
    -------
    Classifier
        Its inputs are images (batch, channels, side, side), scaled as the original scaled them: MNIST (x - 0.1307)/0.3081 with
        x in [0, 1]; of CIFAR-10 and SVHN each channel. W is exactly the original's, border, pooling and classifier too.

    Raises
    ------
    DataError
        When the names or shapes are those of no known network; the message lists what is missing and what is left over.
    ConstantError
        When a gain is not positive, so that I - W need not be monotone; the message has lambda_min(sym(I - W)).

    Notes
    -----
    The original multiplies A'A by a number g that training may make negative; here it is softplus of the free number
    log(e^g - 1). Entries of the original's states on the border of one pixel are 0 and are not kept.

    References
    ----------
    Winston and Kolter (2020), Monotone operator equilibrium networks, section 4 and appendix.

    Examples
    --------
    >>> import torch
    >>> U, wout = torch.nn.Linear(16, 3), torch.nn.Linear(3, 10)
    >>> state = {"mon.linear_module.U.weight": U.weight, "mon.linear_module.U.bias": U.bias}
    >>> state |= {f"mon.linear_module.{name}.weight": torch.eye(3) for name in "AB"}
    >>> model = load_original(state | {"Wout.weight": wout.weight, "Wout.bias": wout.bias}, tol=1e-6)
    >>> model(torch.ones(2, 1, 4, 4)).shape
    torch.Size([2, 10])
    """
    weights = _named(source)
    return _BUILDERS[_layout(weights)](weights, monotonicity, image_size, settings)


def _named(source: Mapping[str, Any] | str | Path) -> Weights:
    """The tensors of the source under names without prefixes."""
    if isinstance(source, (str, Path)):
        source = _read(Path(source))
    if not isinstance(source, Mapping):
        raise DataError(f"source must be a state_dict or the path of a file with one, got {type(source).__name__}")
    weights = {}
    for name, value in source.items():
        short = str(name)
        for prefix in PREFIXES:
            short = short.removeprefix(prefix)
        weights[short] = torch.as_tensor(value).detach()
    broken = [name for name, value in weights.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise DataError(f"{broken[0]} contains NaN or infinity: the file is damaged, or its training diverged")
    return weights


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise DataError(f"{path} is no file")
    if path.suffix == ".npz":
        with np.load(path) as stored:
            return dict(stored)
    if path.suffix in (".pt", ".pth"):
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(loaded, Mapping):
            raise DataError(f"{path} holds a {type(loaded).__name__}: save model.state_dict()")
        return loaded
    raise DataError(f"{path} must end in .npz, .pt or .pth, to say how it is to be read")


def _expected(weights: Weights) -> dict[str, tuple[str, ...]]:
    """The names of the three networks; of tiers as many as there are names of the kind A0.i."""
    count = max(2, sum(name.startswith("A0.") for name in weights))
    tiers, links = range(count), range(count - 1)
    several = [f"{name}.{i}.weight" for name in ("A0", "B0") for i in tiers] + [f"A_n0.{i}.weight" for i in links]
    several += [f"{name}.{i}" for name in "gh" for i in tiers] + [f"gn.{i}" for i in links]
    return {
        "dense": DENSE,
        "single convolution": (*DENSE, "g", "h"),
        "multi-tier convolution": (*several, *DENSE[2:]),
    }


def _layout(weights: Weights) -> str:
    """Which network the names are of."""
    expected, found = _expected(weights), set(weights)
    for name, names in expected.items():
        if found == set(names):
            return name
    nearest = min(expected, key=lambda name: len(found.symmetric_difference(expected[name])))
    missing, surplus = sorted(set(expected[nearest]) - found), sorted(found - set(expected[nearest]))
    raise DataError(
        f"the names are those of no published network (dense; single convolution; multi-tier convolution); of the nearest, "
        f"{nearest}, expected {sorted(expected[nearest])}: missing {missing}, left over {surplus}, found {sorted(found)}"
    )


def _check(weights: Weights, shapes: dict[str, tuple[int, ...]]) -> None:
    for name, shape in shapes.items():
        if tuple(weights[name].shape) != shape:
            raise DataError(f"{name} has shape {tuple(weights[name].shape)}, but the other weights need {shape}")


def _free(gain: Tensor) -> Tensor:
    """The number whose softplus is the gain; of 0 the least positive number stands in."""
    g = gain.double().clamp(min=float(torch.finfo(torch.float32).tiny))
    return g + torch.log(-torch.expm1(-g))


def _dense(weights: Weights, m: float, image_size: int | None, settings: Settings) -> Classifier:
    features, pixels = _shape(weights, "U.weight", 2)
    classes = _shape(weights, "Wout.weight", 2)[0]
    square = (features, features)
    _check(weights, {"A.weight": square, "B.weight": square, "U.bias": (features,), "Wout.weight": (classes, features)})
    colours = 3 if math.isqrt(pixels) ** 2 != pixels and pixels % 3 == 0 else 1
    size = math.isqrt(pixels // colours) if image_size is None else image_size
    if pixels not in (size**2, 3 * size**2):
        raise DataError(f"image_size={size} does not fit the {pixels} inputs of U, of one or three channels")
    model = dense((pixels // size**2, size, size), features, classes, m, **settings)
    return _filled(model, weights, {name: weights[f"{name}.weight"] for name in "AB"})


def _convolution(weights: Weights, m: float, image_size: int | None, settings: Settings) -> Classifier:
    channels, inputs, *_ = _shape(weights, "U.weight", 4)
    square = (channels, channels, 3, 3)
    _check(weights, {"U.weight": (channels, inputs, 3, 3), "U.bias": (channels,)})
    _check(weights, {"A.weight": square, "B.weight": square, "g": (), "h": ()})
    cells = _side(weights, channels)
    size = POOL * cells if image_size is None else image_size
    if (size + 2) // POOL != cells:
        raise DataError(f"image_size={size} does not fit the {cells} x {cells} pooled pixels that Wout takes: leave it out")
    _refuse_negative(weights, m, size)
    model = single_convolution((inputs, size, size), channels, len(weights["Wout.weight"]), m, **settings)
    values = {"A": weights["A.weight"], "B": weights["B.weight"], "skew_gain": weights["h"], "free_gain": _free(weights["g"])}
    return _filled(model, weights, values)


def _tiers(weights: Weights, m: float, image_size: int | None, settings: Settings) -> Classifier:
    first, inputs, *_ = _shape(weights, "U.weight", 4)
    tiers = range(sum(name.startswith("A0.") for name in weights))
    links = tiers[:-1]
    channels = [_shape(weights, f"A0.{i}.weight", 4)[0] for i in tiers]
    _check(weights, {"U.weight": (channels[0], inputs, 3, 3), "U.bias": (first,)})
    _check(weights, {f"{name}.{i}.weight": (channels[i], channels[i], 3, 3) for name in ("A0", "B0") for i in tiers})
    _check(weights, {f"A_n0.{i}.weight": (channels[i + 1], channels[i], 3, 3) for i in links})
    gains = [f"{name}.{i}" for name in "gh" for i in tiers] + [f"gn.{i}" for i in links]
    _check(weights, dict.fromkeys(gains, ()))
    for name in gains:
        if name[0] == "g" and float(weights[name]) < 0:
            raise ConstantError(
                f"the gain {name} = {float(weights[name]):.6g} is negative, and W has its square root: the original gives NaN; "
                "take weights from an earlier epoch, or train the network again here, where gains are positive by construction"
            )
    inside = _side(weights, channels[-1]) - 2
    size = inside * 2 ** len(links) if image_size is None else image_size
    if inside < 1 or size // 2 ** len(links) != inside:
        raise DataError(
            f"image_size={size} does not fit the last tier of {inside} x {inside} pixels that Wout takes: leave it out"
        )
    model = multi_tier((inputs, size, size), channels, len(weights["Wout.weight"]), m, **settings)
    values = {f"{ours}.{i}": weights[f"{name}.{i}.weight"] for ours, name in (("A", "A0"), ("B", "B0")) for i in tiers}
    values |= {f"down.{i}": weights[f"A_n0.{i}.weight"] for i in links}
    values["free_gain"] = torch.stack([_free(weights[f"g.{i}"]) for i in tiers])
    values["free_down_gain"] = torch.stack([_free(weights[f"gn.{i}"]) for i in links])
    values["skew_gain"] = torch.stack([weights[f"h.{i}"] for i in tiers])
    return _filled(model, weights, values)


def _refuse_negative(weights: Weights, monotonicity: float, size: int) -> None:
    """ConstantError where g < 0, with lambda_min(sym(I - W)) = m + g max |A|^2/|A|_F^2 over all frequencies."""
    g = float(weights["g"])
    if g >= 0:
        return
    A = weights["A.weight"].double()
    norm = float(torch.linalg.matrix_norm(symbol(A / A.norm(), (size + 2, size + 2)), 2).max())
    least = monotonicity + g * norm**2
    raise ConstantError(
        f"the gain g = {g:.6g} of A'A is negative: lambda_min(sym(I - W)) = {least:.6g} instead of monotonicity = "
        f"{monotonicity:g}, which only g >= 0 guarantees; train the network again here, where g > 0 by construction"
    )


def _shape(weights: Weights, name: str, axes: int) -> tuple[int, ...]:
    shape = tuple(weights[name].shape)
    if len(shape) != axes:
        raise DataError(f"{name} has shape {shape}, but {axes} axes are needed")
    return shape


def _side(weights: Weights, channels: int) -> int:
    """Side of the square images that Wout takes."""
    inputs = _shape(weights, "Wout.weight", 2)[1]
    side = math.isqrt(inputs // channels)
    if channels * side**2 != inputs:
        raise DataError(f"Wout.weight takes {inputs} numbers, which are no {channels} square images")
    return side


def _filled(model: Classifier, weights: Weights, values: Weights) -> Classifier:
    _check(weights, {"Wout.bias": (len(weights["Wout.weight"]),)})
    injection, scores = ({part: weights[f"{name}.{part}"] for part in ("weight", "bias")} for name in ("U", "Wout"))
    for module, given in ((model.layer.linear, values), (model.layer.injection, injection), (model.scores, scores)):
        with torch.no_grad():
            for name, value in given.items():
                module.get_parameter(name).copy_(value)
    return model


_BUILDERS = {"dense": _dense, "single convolution": _convolution, "multi-tier convolution": _tiers}
