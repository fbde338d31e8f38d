"""From a torch `nn.Sequential` to a source, module by module.

Linear layers give up their weights. What stands between them is not looked into but asked: a
module that is an activation or a batch normalisation computes what the source computes, whatever
it is called. That it looks at one value at a time is tried.
"""

from __future__ import annotations

import copy
import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from stepnet.errors import FormatError
from stepnet.formats.source import Array, Pixels, Pointwise, Signal, Source, capitalised

if TYPE_CHECKING:
    from torch import nn

PASSED_OVER = ("Flatten", "Identity", "Dropout", "Dropout1d", "AlphaDropout")
"""Modules that do nothing when a network of dense layers reads."""

RANKING = ("Softmax", "LogSoftmax")

RISING = (
    "BatchNorm1d",
    "Hardsigmoid",
    "Hardtanh",
    "LeakyReLU",
    "QuantHardTanh",
    "QuantIdentity",
    "QuantReLU",
    "QuantSigmoid",
    "QuantTanh",
    "ReLU",
    "ReLU6",
    "Sigmoid",
    "Tanh",
)
"""Modules that only rise or only fall, so that their steps are found without trying every sum."""

SUPPORTED = (
    "nn.Linear and Brevitas' QuantLinear, nn.BatchNorm1d, activations of one value at a time such "
    "as a sign or QuantIdentity, and what does nothing after eval()"
)

TRIED_VALUES = 64
SEED = 0


def read_torch(module: nn.Module) -> Source:
    """The network that a Sequential is, as it computes after `eval()`; the module stays as it is.

    Raises FormatError for a module that is no Sequential or holds what is not supported.
    """
    torch: Any = importlib.import_module("torch")
    if not isinstance(module, torch.nn.Sequential):
        raise FormatError(
            f"The module is a {type(module).__name__}; supported is nn.Sequential, so put its "
            "layers into one, or export it to ONNX and import the file."
        )
    modules = _flat(copy.deepcopy(module).eval(), "")
    linear = next((each for _, each in modules if isinstance(each, torch.nn.Linear)), None)
    if linear is None:
        raise FormatError(f"The module has no linear layer; supported are {SUPPORTED}.")
    signal = Signal.of(Pixels((1, int(linear.in_features)), np.dtype(np.float32)))
    for name, each in modules:
        signal = _next(signal, f"module {name!r} ({type(each).__name__})", each)
    tool = f"torch {torch.__version__}"
    return Source("network", tool, signal)


def _flat(module: Any, prefix: str) -> list[tuple[str, Any]]:
    """The modules in order, with their names, those of a Sequential inside in its place."""
    torch: Any = importlib.import_module("torch")
    found: list[tuple[str, Any]] = []
    for name, each in module.named_children():
        if isinstance(each, torch.nn.Sequential):
            found += _flat(each, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", each))
    return found


def _next(signal: Signal, label: str, module: Any) -> Signal:
    torch: Any = importlib.import_module("torch")
    kind = type(module).__name__
    if kind in PASSED_OVER:
        return signal
    if kind in RANKING:
        return replace(signal, ranks_only=True, label=label)
    if signal.ranks_only:
        raise FormatError(
            f"{capitalised(label)} computes with what a softmax gives; supported is a softmax at "
            "the end, which is left out."
        )
    if isinstance(module, torch.nn.Linear):
        return _linear(signal, label, module)
    function = _function(module)
    _check_pointwise(label, function, signal)
    return signal.then(label, function, is_monotone=kind in RISING)


def _linear(signal: Signal, label: str, module: Any) -> Signal:
    """The sums of nn.Linear or QuantLinear, with the quantisers in front of and behind them."""
    torch: Any = importlib.import_module("torch")
    is_brevitas = hasattr(module, "quant_weight")
    plain = cast("Any", type(module)).forward is torch.nn.Linear.forward
    if not (plain or is_brevitas):
        raise FormatError(
            f"{capitalised(label)} has a forward of its own, which may do anything with its "
            f"weights; supported are {SUPPORTED}."
        )
    if is_brevitas and _quantises(module.input_quant):
        signal = signal.then(label, _function(module.input_quant))
    with torch.no_grad():
        weights = _array(module.quant_weight() if is_brevitas else module.weight)
        bias = None if module.bias is None else _array(module.bias)
    if is_brevitas and bias is not None and _quantises(module.bias_quant):
        raise FormatError(
            f"{capitalised(label)} quantises its bias; supported is a bias as it is, with "
            "bias_quant=None, or none."
        )
    if weights.shape[1] != signal.size:
        raise FormatError(
            f"{capitalised(label)} has weights for {weights.shape[1]} inputs, but {signal.size} "
            "values come in; make both the same."
        )
    sums = signal.summed(label, weights, (1, len(weights)))
    if bias is not None:
        sums = sums.then(label, lambda x: x + bias)
    if is_brevitas and _quantises(module.output_quant):
        sums = sums.then(label, _function(module.output_quant))
    return sums


def _quantises(proxy: Any) -> bool:
    """Whether a quantiser of a Brevitas layer does anything."""
    return bool(getattr(proxy, "is_quant_enabled", False))


def _function(module: Any) -> Pointwise:
    """What a module makes of values (N, 1, size)."""
    torch: Any = importlib.import_module("torch")

    def function(values: Array) -> Array:
        flat = np.ascontiguousarray(values.reshape(len(values), -1), np.float32)
        with torch.no_grad():
            found = _array(module(torch.from_numpy(flat)))
        return found.reshape(len(values), 1, -1)

    return function


def _array(given: Any) -> Array:
    """A tensor, or one with a scale that Brevitas keeps beside it, as numpy."""
    tensor = getattr(given, "value", given)
    return tensor.detach().cpu().numpy()


def _check_pointwise(label: str, function: Pointwise, signal: Signal) -> None:
    """Raise FormatError unless no value that comes out changes when another goes in beside it."""
    random = np.random.default_rng(SEED)
    shape = (TRIED_VALUES, 1, signal.size)
    first = random.normal(0, signal.size, shape).astype(np.float32)
    keep = random.random(shape) < 0.5
    second = np.where(keep, first, random.normal(0, signal.size, shape).astype(np.float32))
    try:
        before, after = function(first), function(second)
    except Exception as error:
        # Whatever a module raises that wants another shape, it is none that is supported.
        raise FormatError(
            f"{capitalised(label)} cannot read {signal.size} values ({error}); supported are "
            f"{SUPPORTED}."
        ) from error
    if before.shape != first.shape or not np.array_equal(before[keep], after[keep]):
        raise FormatError(
            f"{capitalised(label)} looks at more than one value at a time; supported are "
            f"{SUPPORTED}."
        )
