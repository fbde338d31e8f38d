"""What the operators of ONNX and QONNX compute, in numpy.

Standard operators: https://onnx.ai/onnx/operators/. BipolarQuant, Quant, IntQuant, MultiThreshold
and XnorPopcountMatMul: https://github.com/fastmachinelearning/qonnx, docs/qonnx-custom-ops. Where a
formula leaves the order of operations open, it is that of onnxruntime.

Each function gets the operands, arrays or None where an optional one is missing, the attributes,
and `lead`: how many axes stand in front of those that the operator knows about, 1 where many values
of a signal are computed at once, else 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stepnet.errors import FormatError
from stepnet.formats.source import Array

Attributes = Mapping[str, Any]
Compute = Callable[[list[Any], Attributes, int], Array]


@dataclass(frozen=True)
class Operator:
    """An operator that looks at one value at a time.

    monotone: of which operands it is a function that only rises or only falls, the others constant.
    """

    compute: Compute
    monotone: tuple[int, ...] = ()


def _binary(function: Callable[[Any, Any], Any], *monotone: int) -> Operator:
    return Operator(lambda x, _attributes, _lead: function(x[0], x[1]), monotone)


def _unary(function: Callable[[Any], Any], *, monotone: bool = True) -> Operator:
    return Operator(lambda x, _attributes, _lead: function(x[0]), (0,) if monotone else ())


def _optional(x: list[Any], place: int) -> Any:
    """The operand at a place, None if it was left out."""
    return x[place] if place < len(x) else None


def _divide(x: Array, y: Array) -> Array:
    if x.dtype.kind in "iu" and y.dtype.kind in "iu":
        return np.trunc(x / y).astype(x.dtype)
    return x / y


def _cast(x: list[Any], attributes: Attributes, _lead: int) -> Array:
    return x[0].astype(element_type(int(attributes["to"])))


def _clip(x: list[Any], attributes: Attributes, _lead: int) -> Array:
    value: Array = x[0]
    low, high = _optional(x, 1), _optional(x, 2)
    low = attributes.get("min") if low is None else low
    high = attributes.get("max") if high is None else high
    if low is not None:
        value = np.maximum(value, np.asarray(low, value.dtype))
    if high is not None:
        value = np.minimum(value, np.asarray(high, value.dtype))
    return value


def _batch_normalisation(x: list[Any], attributes: Attributes, lead: int) -> Array:
    value, scale, bias, mean, variance = x[:5]
    epsilon = np.asarray(attributes.get("epsilon", 1e-5), variance.dtype)
    slope = scale * (1 / np.sqrt(variance + epsilon))
    offset = bias - mean * slope
    shape = (-1, *[1] * (value.ndim - lead - 2))
    return value * slope.reshape(shape) + offset.reshape(shape)


def _bipolar(x: list[Any], _attributes: Attributes, _lead: int) -> Array:
    value, scale = x
    one = np.ones((), value.dtype)
    return np.where(value >= 0, one, -one) * scale


def _half_away(value: Array) -> Array:
    return np.sign(value) * np.floor(np.abs(value) + 0.5)


def _half_to_zero(value: Array) -> Array:
    return np.sign(value) * np.ceil(np.abs(value) - 0.5)


_ROUNDINGS: dict[str, Callable[[Any], Any]] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda value: np.sign(value) * np.ceil(np.abs(value)),
    "DOWN": np.trunc,
    "HALF_UP": _half_away,
    "HALF_DOWN": _half_to_zero,
}


def _quant(x: list[Any], attributes: Attributes, _lead: int) -> Array:
    """The operator Quant: scaled, moved by the zero point, clamped, rounded, and back again."""
    value, scale, zero_point, bit_width = x
    signed, narrow = attributes.get("signed", 1), attributes.get("narrow", 1)
    bits = float(np.asarray(bit_width).reshape(-1)[0])
    if np.asarray(bit_width).size != 1 or not 1 <= bits <= 32:
        raise FormatError(f"has a bit width of {bit_width}; supported is one of 1 to 32")
    whole = value / scale + zero_point
    if bits == 1 and signed:
        one = np.ones((), whole.dtype)
        whole = np.where(whole >= 0, one, -one)
    else:
        half = 2 ** (bits - 1)
        if signed:
            low, high = narrow - half, half - 1
        else:
            low, high = 0, 2 * half - 1 - narrow
        mode = str(attributes.get("rounding_mode", "ROUND")).upper()
        if mode not in _ROUNDINGS:
            raise FormatError(f"rounds by {mode}; supported are {', '.join(_ROUNDINGS)}")
        whole = np.minimum(np.maximum(whole, whole.dtype.type(low)), whole.dtype.type(high))
        whole = _ROUNDINGS[mode](whole)
    return (whole - zero_point) * scale


_LAYOUTS = {2: "NC", 3: "NWC", 4: "NCHW"}


def _multi_threshold(x: list[Any], attributes: Attributes, lead: int) -> Array:
    """How many of its channel's thresholds a value reaches."""
    value, thresholds = x
    rank = value.ndim - lead
    layout = str(attributes.get("data_layout", "")) or _LAYOUTS.get(rank, "")
    axis = layout.index("C") if "C" in layout else min(1, rank - 1)
    last = np.moveaxis(value, lead + axis, -1)
    count = (last[..., np.newaxis] >= thresholds).sum(axis=-1).astype(value.dtype)
    scale = value.dtype.type(attributes.get("out_scale", 1.0))
    bias = value.dtype.type(attributes.get("out_bias", 0.0))
    return scale * np.moveaxis(count, -1, lead + axis) + bias


def _per_axis(parameter: Array, value: Array, attributes: Attributes, lead: int) -> Array:
    if parameter.ndim != 1 or parameter.size == 1:
        return parameter.reshape(()) if parameter.size == 1 else parameter
    axis = int(attributes.get("axis", 1)) % max(1, value.ndim - lead)
    return parameter.reshape((-1, *[1] * (value.ndim - lead - axis - 1)))


def _quantize_linear(x: list[Any], attributes: Attributes, lead: int) -> Array:
    value, scale, zero_point = x[0], x[1], _optional(x, 2)
    whole = np.rint(value / _per_axis(scale, value, attributes, lead))
    kind = np.dtype(np.uint8) if zero_point is None else zero_point.dtype
    if zero_point is not None:
        whole = whole + _per_axis(zero_point, value, attributes, lead).astype(value.dtype)
    limits = np.iinfo(kind)
    return np.clip(whole, limits.min, limits.max).astype(kind)


def _dequantize_linear(x: list[Any], attributes: Attributes, lead: int) -> Array:
    value, scale, zero_point = x[0], x[1], _optional(x, 2)
    whole = value.astype(np.int64)
    if zero_point is not None:
        whole = whole - _per_axis(zero_point, value, attributes, lead).astype(np.int64)
    return whole.astype(scale.dtype) * _per_axis(scale, value, attributes, lead)


def _variadic(function: Callable[[Any, Any], Any]) -> Compute:
    def compute(x: list[Any], _attributes: Attributes, _lead: int) -> Array:
        found = x[0]
        for other in x[1:]:
            found = function(found, other)
        return found

    return compute


def _leaky(x: list[Any], attributes: Attributes, _lead: int) -> Array:
    value: Array = x[0]
    slope = value.dtype.type(attributes.get("alpha", 0.01))
    return np.where(value >= 0, value, slope * value)


def _where(x: list[Any], _attributes: Attributes, _lead: int) -> Array:
    condition, yes, no = (np.asarray(operand) for operand in x)
    return np.where(condition, yes, no)


def _hard_sigmoid(x: list[Any], attributes: Attributes, _lead: int) -> Array:
    kind = x[0].dtype.type
    line: Array = kind(attributes.get("alpha", 0.2)) * x[0] + kind(attributes.get("beta", 0.5))
    return np.minimum(np.maximum(line, kind(0)), kind(1))


def _relu(value: Array) -> Array:
    zero: Any = value.dtype.type(0)
    return np.maximum(value, zero)


def _sigmoid(value: Array) -> Array:
    """The logistic function, which is exactly a half at 0."""
    one: Any = value.dtype.type(1)
    return one / (one + np.exp(-value))


POINTWISE: dict[str, Operator] = {
    "Abs": _unary(np.abs, monotone=False),
    "Add": _binary(np.add, 0, 1),
    "And": _binary(np.logical_and, 0, 1),
    "BatchNormalization": Operator(_batch_normalisation, (0,)),
    "BipolarQuant": Operator(_bipolar, (0,)),
    "Cast": Operator(_cast, (0,)),
    "Ceil": _unary(np.ceil),
    "Clip": Operator(_clip, (0,)),
    "DequantizeLinear": Operator(_dequantize_linear, (0,)),
    "Div": _binary(_divide, 0),
    "Equal": _binary(np.equal),
    "Exp": _unary(np.exp),
    "Floor": _unary(np.floor),
    "Greater": _binary(np.greater, 0, 1),
    "GreaterOrEqual": _binary(np.greater_equal, 0, 1),
    "HardSigmoid": Operator(_hard_sigmoid, (0,)),
    "IntQuant": Operator(_quant, (0,)),
    "LeakyRelu": Operator(_leaky, (0,)),
    "Less": _binary(np.less, 0, 1),
    "LessOrEqual": _binary(np.less_equal, 0, 1),
    "Max": Operator(_variadic(np.maximum), (0, 1)),
    "Min": Operator(_variadic(np.minimum), (0, 1)),
    "Mul": _binary(np.multiply, 0, 1),
    "MultiThreshold": Operator(_multi_threshold, (0,)),
    "Neg": _unary(np.negative),
    "Not": _unary(np.logical_not),
    "Or": _binary(np.logical_or, 0, 1),
    "Quant": Operator(_quant, (0,)),
    "QuantizeLinear": Operator(_quantize_linear, (0,)),
    "Relu": _unary(_relu),
    "Round": _unary(np.rint),
    "Sigmoid": _unary(_sigmoid),
    "Sign": _unary(np.sign),
    "Sub": _binary(np.subtract, 0, 1),
    "Tanh": _unary(np.tanh),
    "Where": Operator(_where, (0,)),
}
"""Operators that look at one value at a time."""


def _shape_of(target: list[int], source: tuple[int, ...], attributes: Attributes) -> list[int]:
    """The shape that a Reshape to `target` gives: 0 is the source's own size there."""
    if attributes.get("allowzero", 0) and 0 in target:
        return target
    return [source[axis] if size == 0 else size for axis, size in enumerate(target)]


def _reshape(x: list[Any], attributes: Attributes, lead: int) -> Array:
    value, target = x
    shape = _shape_of(target.reshape(-1).tolist(), value.shape[lead:], attributes)
    return value.reshape(value.shape[:lead] + tuple(shape))


def _flatten(x: list[Any], attributes: Attributes, lead: int) -> Array:
    value = x[0]
    shape = value.shape[lead:]
    axis = int(attributes.get("axis", 1))
    axis = axis + len(shape) if axis < 0 else axis
    return value.reshape((*value.shape[:lead], math.prod(shape[:axis]), math.prod(shape[axis:])))


def _axes(x: list[Any], attributes: Attributes) -> list[int] | None:
    given = attributes.get("axes") if len(x) < 2 or x[1] is None else x[1].reshape(-1).tolist()
    return None if given is None else [int(axis) for axis in given]


def _squeeze(x: list[Any], attributes: Attributes, lead: int) -> Array:
    shape, axes = x[0].shape[lead:], _axes(x, attributes)
    gone = (
        [axis for axis, size in enumerate(shape) if size == 1]
        if axes is None
        else [axis % len(shape) for axis in axes]
    )
    kept = [size for axis, size in enumerate(shape) if axis not in gone]
    return x[0].reshape((*x[0].shape[:lead], *kept))


def _unsqueeze(x: list[Any], attributes: Attributes, lead: int) -> Array:
    axes = _axes(x, attributes) or []
    shape = list(x[0].shape[lead:])
    rank = len(shape) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        shape.insert(axis, 1)
    return x[0].reshape((*x[0].shape[:lead], *shape))


def _transpose(x: list[Any], attributes: Attributes, lead: int) -> Array:
    rank = x[0].ndim - lead
    order = attributes.get("perm") or list(range(rank))[::-1]
    return np.transpose(x[0], (*range(lead), *(lead + axis for axis in order)))


def _same(x: list[Any], _attributes: Attributes, _lead: int) -> Array:
    return x[0]


MOVES: dict[str, Compute] = {
    "Dropout": _same,
    "Flatten": _flatten,
    "Identity": _same,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""Operators that leave every value as it is, in another place or shape."""


def _gather(x: list[Any], attributes: Attributes, _lead: int) -> Array:
    return np.take(x[0], x[1], axis=int(attributes.get("axis", 0)))


def _concat(x: list[Any], attributes: Attributes, _lead: int) -> Array:
    return np.concatenate(x, axis=int(attributes["axis"]))


def _slice(x: list[Any], attributes: Attributes, _lead: int) -> Array:
    value = x[0]
    if len(x) > 1:
        starts, ends = x[1].tolist(), x[2].tolist()
        axes = x[3].tolist() if len(x) > 3 and x[3] is not None else list(range(len(starts)))
        steps = x[4].tolist() if len(x) > 4 and x[4] is not None else [1] * len(starts)
    else:
        starts, ends = attributes["starts"], attributes["ends"]
        axes = attributes.get("axes") or list(range(len(starts)))
        steps = [1] * len(starts)
    cut = [slice(None)] * value.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cut[axis] = slice(start, end if end > -(1 << 60) else None, step)
    return value[tuple(cut)]


CONSTANT_ONLY: dict[str, Compute] = {
    "Concat": _concat,
    "Gather": _gather,
    "MatMul": lambda x, _attributes, _lead: np.matmul(x[0], x[1]),
    "Pow": lambda x, _attributes, _lead: np.power(x[0], x[1]).astype(x[0].dtype),
    "Reciprocal": lambda x, _attributes, _lead: 1 / x[0],
    "Slice": _slice,
    "Sqrt": lambda x, _attributes, _lead: np.sqrt(x[0]),
}
"""Operators that are supported where all operands are constants."""

_ELEMENT_TYPES: dict[int, Any] = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    4: np.uint16,
    5: np.int16,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float16,
    11: np.float64,
    12: np.uint32,
    13: np.uint64,
}
"""numpy's types by their number in onnx.proto."""


def element_type(number: int) -> np.dtype[Any]:
    """numpy's type of a number in onnx.proto; FormatError if there is none."""
    if number not in _ELEMENT_TYPES:
        raise FormatError(f"holds elements of type {number}, which are no numbers of numpy")
    return np.dtype(_ELEMENT_TYPES[number])
