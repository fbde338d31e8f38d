"""Spiking networks as NIR files, which snnTorch, Norse and others read and write.

A NIR graph (Pedersen et al., Nature Communications 15, 2024, doi:10.1038/s41467-024-52259-9) says
what neurons do in continuous time. Here it is taken by Euler steps of one tick each, as snnTorch
takes it, with `b = dt / tau` of a LIF node:

    v <- (1 - b) v + b (v_leak + r I),    of an IF node v <- v + dt r I
    z = 1 if v > v_threshold, and then v <- v_reset

Without rounding that is a `SpikingLayer` where `b` is 2^-k and there is a unit of which all weights
are whole multiples, of -128 to 127, and leaks and resets, too. Then the unit makes whole numbers of
them, and of a threshold the first number above it. What cannot be said in whole numbers is refused.
One rounding there is: in whole numbers the part of a potential that decays is rounded down, unless
nothing of it is left.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import MissingToolError, NetworkError
from stepnet.files import read_limited
from stepnet.networks.network import Layer, Readout
from stepnet.networks.network_file import MOST_BYTES
from stepnet.networks.spiking import (
    MOST_DECAY_SHIFT,
    Coding,
    Rows,
    SpikingLayer,
    SpikingNetwork,
)

DT_S = 1e-4
"""Seconds of a tick, where nothing else is said: what snnTorch takes."""

TOLERANCE = 1e-4
"""How far a number in float32 may be from a whole multiple of the unit, in units."""

LEAST_WEIGHT, LARGEST_WEIGHT = -128, 127

SPIKES, INTEGRATES = ("LIF", "IF", "Threshold"), ("LI", "I")


def read_nir(
    path: str | os.PathLike[str],
    *,
    ticks: int,
    coding: Coding | str = Coding.RATE,
    dt_s: float = DT_S,
    image_size: tuple[int, int] | None = None,
    alphabet: str = "",
    name: str | None = None,
) -> SpikingNetwork:
    """The network of a NIR file, with readout nearest.

    ticks, coding: see `SpikingNetwork`. dt_s: seconds of a tick.
    image_size: height and width; a square if None.
    alphabet: the character of each output; 0, 1, 2 and on in ASCII if empty.
    name: that of the file if None.

    Raises NetworkError if there is no such file, or with the node if something in it has no equal
    here; MissingToolError if the package nir is not installed.
    """
    nodes = _chain(_graph(path), path)
    layers: list[SpikingLayer] = []
    for number in range(0, len(nodes), 2):
        (name_in, inputs), *rest = nodes[number : number + 2]
        kind = type(inputs).__name__
        if kind not in ("Linear", "Affine") or not rest:
            raise NetworkError(
                f"The NIR node {name_in!r} is {_article(kind)}, where Linear or Affine is wanted "
                "and neurons behind it; give layers of weights and neurons in turn."
            )
        is_last = number + 2 == len(nodes)
        layers.append(_layer(name_in, inputs, *rest[0], dt_s, is_last))
    reads_potentials = type(nodes[-1][1]).__name__ in INTEGRATES
    n_in, n_out = layers[0].n_in, layers[-1].n_out
    height, width = image_size or (math.isqrt(n_in), math.isqrt(n_in))
    if height * width != n_in:
        raise NetworkError(
            f"The NIR file {os.fspath(path)!r} takes {n_in} inputs, which are no image of "
            f"{height} x {width}; give its height and width."
        )
    return SpikingNetwork(
        name or Path(path).stem,
        tuple(layers),
        height,
        width,
        readout=Readout.NEAREST,
        alphabet=alphabet or "".join(chr(ord("0") + number) for number in range(n_out)),
        ticks=ticks,
        coding=Coding(coding),
        asked=Rows.POTENTIALS if reads_potentials else Rows.SPIKES,
    )


def write_nir(network: SpikingNetwork, path: str | os.PathLike[str], *, dt_s: float = DT_S) -> Path:
    """Write the network as a NIR file, whose unit is 1; the path.

    Raises NetworkError if NIR has no word for something of it, or the file cannot be written, and
    MissingToolError if the package nir is not installed.
    """
    nir = _package()
    nodes: dict[str, Any] = {"input": nir.Input(np.array([network.layers[0].n_in]))}
    for number, layer in enumerate(network.layers):
        is_read = network.asked is Rows.POTENTIALS and number == len(network.layers) - 1
        _check_sayable(network, number, layer, is_read)
        leaks = layer.leaks.astype(np.float32)
        weights = layer.step.weights.astype(np.float32)
        nodes[f"weights_{number}"] = nir.Affine(weights, leaks)
        nodes[f"neurons_{number}"] = _neurons(nir, layer, dt_s, is_read)
    nodes["output"] = nir.Output(np.array([network.layers[-1].n_out]))
    names = list(nodes)
    graph = nir.NIRGraph(nodes, list(pairwise(names)))
    try:
        nir.write(os.fspath(path), graph)
    except OSError as error:
        raise NetworkError(
            f"The NIR file cannot be written to {os.fspath(path)!r} "
            f"({error.strerror or 'it cannot be opened'}); name a file in a folder that exists and "
            "is writable."
        ) from error
    return Path(path)


def _package() -> Any:
    try:
        import nir  # pyright: ignore[reportMissingTypeStubs]
    except ModuleNotFoundError as error:
        if error.name != "nir":
            raise
        raise MissingToolError(
            "NIR files need the package nir, which is not installed; install it with pip install "
            '"stepnet[nir]".'
        ) from None
    return nir


def _graph(path: str | os.PathLike[str]) -> Any:
    nir = _package()
    where = os.fspath(path)
    try:
        read_limited(path, MOST_BYTES)
        graph = nir.read(where)
    except FileNotFoundError:
        raise NetworkError(
            f"There is no NIR file {where!r}; name one that `nir.write` made."
        ) from None
    except Exception as error:  # whatever HDF5 and nir find in what is none
        raise NetworkError(
            f"The file {where!r} is no NIR file or is damaged ({type(error).__name__}); name one "
            "that `nir.write` made."
        ) from error
    if type(graph).__name__ != "NIRGraph":
        raise NetworkError(f"The file {where!r} holds a single NIR node; give a whole graph.")
    return graph


def _chain(graph: Any, path: str | os.PathLike[str]) -> list[tuple[str, Any]]:
    """The nodes from behind the input to before the output, one after the other."""
    following: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for start, end in graph.edges:
        following[start].append(end)
    starts = [name for name, node in graph.nodes.items() if type(node).__name__ == "Input"]
    if len(starts) != 1:
        raise NetworkError(
            f"The NIR file {os.fspath(path)!r} has {len(starts)} inputs; give a graph with one."
        )
    name, seen, chain = starts[0], set[str](), list[tuple[str, Any]]()
    while True:
        seen.add(name)
        if len(following[name]) != 1:
            raise NetworkError(
                f"The NIR node {name!r} goes on to {_listed(following[name])}; give a graph in "
                "which each node goes on to one other, without recurrence."
            )
        (name,) = following[name]
        kind = type(graph.nodes[name]).__name__
        if name in seen or kind == "NIRGraph":
            raise NetworkError(
                f"The NIR node {name!r} makes the graph recurrent; the spiking core takes layers "
                "that follow each other alone."
            )
        if kind == "Output":
            break
        if kind not in ("Flatten", "Identity"):
            chain.append((name, graph.nodes[name]))
    if not chain:
        raise NetworkError(
            f"The NIR file {os.fspath(path)!r} has no layers; give one with weights and neurons."
        )
    return chain


def _layer(
    name_in: str, inputs: Any, name: str, neurons: Any, dt_s: float, is_last: bool
) -> SpikingLayer:
    kind = type(neurons).__name__
    if kind not in SPIKES and not (is_last and kind in INTEGRATES):
        raise NetworkError(
            f"The NIR node {name!r} is {_article(kind)}, which the spiking core does not have; it "
            "has LIF, IF and Threshold, and LI and I at the end."
        )
    weights = np.asarray(inputs.weight, dtype=np.float64)
    if weights.ndim != 2:
        raise NetworkError(
            f"The NIR node {name_in!r} has weights of shape {weights.shape}; give a matrix."
        )
    n_out = len(weights)
    biases = np.broadcast_to(np.asarray(getattr(inputs, "bias", 0.0), np.float64), n_out)
    shift, share = _decay(name, neurons, kind, dt_s)
    gain = share * _each(neurons, "r", n_out, 1.0)
    weights = gain[:, np.newaxis] * weights
    leaks = gain * biases + share * _each(neurons, "v_leak", n_out, 0.0)
    resets = _each(neurons, "v_reset", n_out, 0.0)
    if not np.allclose(resets, resets[0]):
        raise NetworkError(
            f"The NIR node {name!r} resets its neurons to several potentials; give them one."
        )
    unit = _unit(name_in, weights, np.append(leaks, resets[0]))
    whole = np.rint(weights / unit).astype(np.int64)
    thresholds = np.zeros(n_out)
    if kind in SPIKES:
        attribute = "threshold" if kind == "Threshold" else "v_threshold"
        exact = _each(neurons, attribute, n_out, 0.0) / unit
        near = np.abs(exact - np.rint(exact)) <= TOLERANCE
        thresholds = np.where(near, np.rint(exact), np.floor(exact)) + 1
    return SpikingLayer(
        Layer(whole.astype(np.int8), thresholds.astype(np.int32), _weight_bits(whole)),
        np.rint(leaks / unit).astype(np.int32),
        shift,
        int(np.rint(resets[0] / unit)),
    )


def _decay(name: str, neurons: Any, kind: str, dt_s: float) -> tuple[int | None, float]:
    """The decay shift, and how much of what comes in counts in a tick."""
    if kind == "Threshold":
        return 0, 1.0
    if kind in ("IF", "I"):
        return None, dt_s
    shares = dt_s / np.atleast_1d(np.asarray(neurons.tau, dtype=np.float64)).ravel()
    shift = round(-math.log2(shares[0])) if shares[0] > 0 else -1
    if not 0 <= shift <= MOST_DECAY_SHIFT or not np.allclose(shares, 2.0**-shift, rtol=1e-5):
        raise NetworkError(
            f"The NIR node {name!r} keeps {1 - float(shares[0]):.6g} of a potential in a tick of "
            f"{dt_s:g} s; give all its neurons a tau of {dt_s:g} s times 1, 2, 4 or another power "
            "of 2, or name another dt."
        )
    return shift, 2.0**-shift


def _unit(name: str, weights: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """What all numbers are whole multiples of, weights of `LEAST_WEIGHT` to `LARGEST_WEIGHT`."""
    if not np.isfinite(weights).all() or not np.isfinite(others).all():
        raise NetworkError(f"The NIR node {name!r} has numbers that are not finite; train it anew.")
    largest = float(np.abs(weights).max())
    for count in range(1, -LEAST_WEIGHT + 1) if largest else ():
        unit = largest / count
        fits = weights.max() / unit <= LARGEST_WEIGHT + TOLERANCE
        if fits and all(_are_whole(values / unit) for values in (weights, others)):
            return unit
    raise NetworkError(
        f"The NIR node {name!r} has weights, biases, leaks or resets that are no whole multiples, "
        f"with weights of {LEAST_WEIGHT} to {LARGEST_WEIGHT}, of one unit; quantise it to 8 "
        "bits or fewer."
    )


def _are_whole(values: NDArray[np.float64]) -> bool:
    return bool((np.abs(values - np.rint(values)) <= TOLERANCE).all())


def _each(neurons: Any, attribute: str, n_out: int, absent: float) -> NDArray[np.float64]:
    """A number for each neuron."""
    given = np.asarray(getattr(neurons, attribute, absent), dtype=np.float64).ravel()
    return np.broadcast_to(given, n_out).copy()


def _weight_bits(weights: NDArray[np.int64]) -> int:
    if (np.abs(weights) == 1).all():
        return 1
    least, most = int(weights.min()), int(weights.max())
    return max(2, most.bit_length() + 1, (-least - 1).bit_length() + 1 if least < 0 else 0)


def _check_sayable(
    network: SpikingNetwork, number: int, layer: SpikingLayer, is_read: bool
) -> None:
    """Raise NetworkError if NIR has no word for something of a layer."""
    reason = None
    lowest, _ = layer.bounds(network.ticks, spiking=not is_read)
    if layer.reset is None and not is_read:
        reason = "subtracts its thresholds after a spike, and NIR only resets to a potential"
    elif is_read and layer.step.thresholds.any():
        reason = "compares potentials with thresholds that NIR's integrators do not have"
    elif lowest.min() <= layer.floor:
        reason = f"has potentials that do not fall below {layer.floor}, and NIR knows no such limit"
    if reason is not None:
        raise NetworkError(
            f"Layer {number} of {network.name!r} {reason}; train it with `stepnet train --rule "
            "spiking`, which makes none like that."
        )


def _neurons(nir: Any, layer: SpikingLayer, dt_s: float, is_read: bool) -> Any:
    """The node of a layer's neurons; a threshold is half a unit below the first that spikes."""
    ones = np.ones(layer.n_out, dtype=np.float64)
    dynamics: dict[str, Any] = {"r": ones / dt_s}
    if layer.decay_shift is not None:
        scale = 2.0**layer.decay_shift
        dynamics = {"tau": ones * dt_s * scale, "r": ones * scale, "v_leak": 0 * ones}
    if is_read:
        return nir.I(**dynamics) if layer.decay_shift is None else nir.LI(**dynamics)
    dynamics |= {
        "v_threshold": layer.step.thresholds - 0.5,
        "v_reset": float(layer.reset or 0) * ones,
    }
    return nir.IF(**dynamics) if layer.decay_shift is None else nir.LIF(**dynamics)


def _article(kind: str) -> str:
    return f"{'an' if kind[:1] in 'AEIOU' else 'a'} {kind}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing"
