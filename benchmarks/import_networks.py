"""How long imports take, and whether what comes out reads as QONNX's own operators do.

    python benchmarks/import_networks.py [--board] [--json]

Networks of the public model zoo's kinds, untrained, with batch normalisations as training leaves
them: 784-64-64-64-10 of weights and activations of one bit, the same with activations of two bits,
784-1024-1024-1024-10, and FINN's 832-1024-1024-1024-64. Each is imported, and read on 1,000 images
by the network and by the package qonnx. With --board ten of the images are also read on the virtual
board. Last, every shipped step network goes through a QONNX file and back. The best time of five
counts, since whatever else runs on the machine only makes it longer.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

import stepnet
from stepnet.formats.importing import Options, import_onnx
from stepnet.formats.qonnx_export import write_qonnx
from stepnet.networks import reference
from stepnet.networks.network import Network
from stepnet.networks.shipped import load_network, names

DOMAIN = "qonnx.custom_op.general"
IMAGES = 1000
BOARD_IMAGES = 10
RUNS = 5

KINDS = {
    "784-64-64-64-10, 1 bit": ((784, 64, 64, 64, 10), 1),
    "784-64-64-64-10, activations of 2 bits": ((784, 64, 64, 64, 10), 2),
    "784-1024-1024-1024-10, 1 bit": ((784, 1024, 1024, 1024, 10), 1),
    "832-1024-1024-1024-64, 1 bit": ((832, 1024, 1024, 1024, 64), 1),
}


def zoo_model(sizes: tuple[int, ...], activation_bits: int, batch: int) -> Any:
    """A QONNX model as Brevitas exports it: pixels 0..1 to -1..1, quantised, and in turn a product,
    a batch normalisation and a quantiser."""
    random = np.random.default_rng(0)
    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(values: Any) -> str:
        name = f"constant_{len(constants)}"
        constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def add(kind: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        output = f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [output], output, domain=domain, **attributes))
        return output

    def quantise(value: str) -> str:
        if activation_bits == 1:
            return add("BipolarQuant", [value, one], DOMAIN)
        settings = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
        return add("Quant", [value, one, zero, constant(activation_bits)], DOMAIN, **settings)

    one, zero = constant(1), constant(0)
    value = add("Sub", [add("Mul", ["image", constant(2)]), one])
    value = quantise(value)
    for number, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        weights = constant(random.choice([-1, 1], (n_in, n_out)))
        value = add("MatMul", [value, add("BipolarQuant", [weights, one], DOMAIN)])
        if number < len(sizes) - 2:
            spread = np.sqrt(n_in)
            moments = (
                random.normal(0, 1, n_out),
                random.normal(0, 1, n_out),
                random.normal(0, spread / 4, n_out),
                random.uniform(0.5, 1.5, n_out) * n_in,
            )
            value = add("BatchNormalization", [value, *map(constant, moments)])
            value = quantise(value)
    image = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [batch, sizes[0]])
    scores = helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, [batch, sizes[-1]])
    graph = helper.make_graph(nodes, "network", [image], [scores], constants)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def measure(sizes: tuple[int, ...], activation_bits: int, *, board: bool) -> dict[str, Any]:
    """How one kind is imported and read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        onnx.save(zoo_model(sizes, activation_bits, 1), path)
        imported = import_onnx(path, Options())
        took_s: list[float] = []
        for _ in range(RUNS):
            start_s = time.perf_counter()
            imported = import_onnx(path, Options())
            took_s.append(time.perf_counter() - start_s)
    network = imported.network
    shape = (IMAGES, network.height, network.width)
    images = np.random.default_rng(1).choice([0, 255], shape).astype(np.uint8)
    codes = reference.infer(network, images)
    found = {
        "sizes": network.sizes,
        "exact": imported.is_exact,
        "seconds": round(min(took_s), 2),
        "images": IMAGES,
        "as_qonnx_reads": int((codes == codes_by_qonnx(sizes, activation_bits, images)).sum()),
    }
    if board:
        with stepnet.open_board("sim", network) as opened:
            readings = opened.infer_many(images[:BOARD_IMAGES])
            equal = sum(
                reading.code == code for reading, code in zip(readings, codes, strict=False)
            )
        found["on_the_virtual_board"] = {"images": BOARD_IMAGES, "equal": int(equal)}
    return found


def codes_by_qonnx(
    sizes: tuple[int, ...], activation_bits: int, images: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """What QONNX's own operators make of the images."""
    model = ModelWrapper(zoo_model(sizes, activation_bits, len(images))).transform(InferShapes())
    given = {"image": images.reshape(len(images), -1) / np.float32(255)}
    (scores,) = execute_onnx(model, given).values()
    return (ord("0") + scores.argmax(axis=1)).astype(np.uint8)


def comes_back(network: Network) -> bool:
    """Whether a network goes through a QONNX file bit for bit."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_qonnx(network, Path(folder) / "network.onnx")
        return stepnet.from_onnx(path).digest == network.digest


def main() -> None:
    """Print a line for each kind, or one JSON object."""
    parser = argparse.ArgumentParser(description="Imports: how long, and whether they agree.")
    parser.add_argument("--board", action="store_true", help="read on the virtual board too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    kinds = {
        kind: measure(sizes, bits, board=arguments.board) for kind, (sizes, bits) in KINDS.items()
    }
    networks = map(load_network, names())
    shipped = [comes_back(network) for network in networks if not network.convolves]
    round_trips = {"networks": len(shipped), "bit_for_bit": sum(shipped)}
    if arguments.json:
        print(json.dumps({"kinds": kinds, "round_trips": round_trips}))
        return
    for kind, found in kinds.items():
        print(f"{kind}: {found}")
    print(f"through QONNX and back: {round_trips}")


if __name__ == "__main__":
    main()
