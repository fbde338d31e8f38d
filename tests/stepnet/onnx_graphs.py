"""Graphs of other tools, built node by node in their dialects, and what QONNX makes of them."""

import itertools

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import add_domain_alias
from qonnx.transformation.infer_shapes import InferShapes

# FINN's operators of that name became QONNX's.
add_domain_alias("finn.custom_op.general", "qonnx.custom_op.general")

OPSET = 13


class Graph:
    """A graph that grows node by node; `self.last` is the tensor that the latest node gives.

    batch: images at a time, which the oracle is quicker with. domain: of operators that ONNX lacks.
    """

    def __init__(self, shape, batch=1, domain="qonnx.custom_op.general"):
        self.batch, self.domain = batch, domain
        self.shape = (batch, *shape)
        self.nodes, self.initialisers = [], []
        self.last = "image"

    def constant(self, values, name=None):
        """The name of an initialiser with these values."""
        name = name or f"constant_{len(self.initialisers)}"
        array = np.asarray(values)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        self.initialisers.append(numpy_helper.from_array(array, name))
        return name

    def add(self, kind, *others, first=None, domain="", outputs=1, keep=False, **attributes):
        """A node whose first input is the last tensor, or `first`; the others are values or names.

        keep: whether the last tensor stays the last.
        """
        names = [other if isinstance(other, str) else self.constant(other) for other in others]
        number = len(self.nodes)
        made = [f"{kind.lower()}_{number}_{place}" for place in range(outputs)]
        inputs = [first or self.last, *names]
        self.nodes.append(
            helper.make_node(kind, inputs, made, f"{kind}_{number}", domain=domain, **attributes)
        )
        if not keep:
            self.last = made[0]
        return made[0]

    def custom(self, kind, *others, **attributes):
        """A node of the dialect's own domain."""
        return self.add(kind, *others, domain=self.domain, **attributes)

    def model(self, output=None, output_type=TensorProto.FLOAT, batch_name=None):
        """The whole as a ModelProto."""
        shape = [batch_name or self.batch, *self.shape[1:]]
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output or self.last, output_type, None)],
            self.initialisers,
        )
        domains = {"": OPSET, **({self.domain: 1} if self.domain else {})}
        opsets = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
        return helper.make_model(graph, opset_imports=opsets, producer_name="test", ir_version=8)

    def save(self, path, **options):
        """The whole as a file; returns its path."""
        onnx.save(self.model(**options), path)
        return path


def by_qonnx(model, images):
    """What QONNX computes of images in the input's shape, all at a time: the graph's output."""
    wrapped = ModelWrapper(model).transform(InferShapes())
    given = images.astype(np.float32).reshape(wrapped.get_tensor_shape("image"))
    (output,) = execute_onnx(wrapped, {"image": given}).values()
    return output


def all_images(height, width):
    """Every image of paper and full ink: (2^pixels, height, width) of 0 and 255."""
    bits = list(itertools.product((0, 255), repeat=height * width))
    return np.array(bits, np.uint8).reshape(-1, height, width)


DIALECTS = {
    "brevitas": "onnx.brevitas",
    "qonnx": "qonnx.custom_op.general",
    "finn": "finn.custom_op.general",
    "onnx": "",
}
"""The domain that each dialect's operators come from."""

ROUNDINGS = ("ROUND", "FLOOR", "CEIL", "HALF_UP", "HALF_DOWN", "UP", "DOWN")
EPSILON = np.float32(1e-5)


def random_graph(dialect, seed, height=2, width=4, batch=1):
    """A network of three layers that this dialect could hold, with numbers so small and so even
    that sums often fall on a threshold and scores on each other."""
    random = np.random.default_rng(seed)
    graph = Graph((1, height, width), batch, DIALECTS[dialect])
    graph.add("Flatten", axis=1)
    graph.add("Mul", np.float32(2))
    graph.add("Sub", np.float32(1))
    sizes = [height * width, *random.integers(3, 7, 2).tolist(), 4]
    if dialect == "finn":
        settings = {"out_dtype": "BIPOLAR", "out_scale": 2.0, "out_bias": -1.0}
        graph.custom("MultiThreshold", np.zeros((1, 1), np.float32), **settings)
    elif dialect == "onnx":
        random_activation(graph, dialect, random, sizes[0])
    elif random.random() < 0.5:
        graph.custom("BipolarQuant", np.float32(1))
    else:
        settings = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
        graph.custom("Quant", np.float32(1), np.float32(0), np.float32(2), **settings)
    for number, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        random_sums(graph, dialect, random, n_in, n_out)
        if number < len(sizes) - 2:
            if random.random() < 0.7:
                random_norm(graph, random, n_out)
            random_activation(graph, dialect, random, n_out)
    random_end(graph, random, sizes[-1])
    return graph


def random_activation(graph, dialect, random, count):
    scale = np.float32(random.choice([0.5, 1, 2]))
    number = random.integers(0, 4)
    if dialect in ("brevitas", "qonnx"):
        kind = "IntQuant" if dialect == "qonnx" else "Quant"
        zero = np.float32(0)
        if number == 0:
            graph.custom("BipolarQuant", scale)
        else:
            bits, signed, narrow = ((2, 1, 1), (2, 0, 0), (3, 1, 0))[number - 1]
            rounding = str(random.choice(ROUNDINGS)) if number == 2 else "ROUND"
            settings = {"signed": signed, "narrow": narrow, "rounding_mode": rounding}
            graph.custom(kind, scale, zero, np.float32(bits), **settings)
    elif dialect == "finn":
        shape = (count if random.random() < 0.7 else 1, (1, 2, 3)[number % 3])
        thresholds = np.sort(random.integers(-3, 4, shape), axis=1) + random.choice([0, 0.5])
        graph.custom(
            "MultiThreshold",
            thresholds.astype(np.float32),
            out_dtype="INT4",
            out_scale=float(random.choice([1, 2])),
            out_bias=float(random.choice([0, -1])),
        )
    elif number == 0:
        graph.add("Sign")
    else:
        kind = ("GreaterOrEqual", "Greater", "Less")[number - 1]
        reached = graph.add(kind, np.float32(0), keep=True)
        graph.add("Where", np.float32(1), np.float32(-1), first=reached)


def random_sums(graph, dialect, random, n_in, n_out):
    bits = int(random.choice([1, 1, 2, 3, 8]))
    scale = np.float32(random.choice([0.25, 0.5, 1]))
    if bits == 1:
        weights = random.choice([-1, 1], (n_in, n_out))
    else:
        half = 1 << bits - 1
        weights = random.integers(1 - half, half, (n_in, n_out))
    weights = (weights * scale).astype(np.float32)
    form = random.integers(0, 4)
    stored = graph.constant(weights.T if form in (1, 2) else weights)
    if dialect in ("brevitas", "qonnx"):
        if bits == 1:
            stored = graph.custom("BipolarQuant", scale, first=stored, keep=True)
        else:
            settings = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}
            others = (scale, np.float32(0), np.float32(bits))
            stored = graph.custom("Quant", *others, first=stored, keep=True, **settings)
    if form == 1:
        stored = graph.add("Transpose", first=stored, perm=[1, 0], keep=True)
    if form < 2:
        graph.add("MatMul", stored)
    elif form == 2:
        bias = [random.integers(-2, 3, n_out).astype(np.float32)] if random.random() < 0.5 else []
        graph.add("Gemm", stored, *bias, transB=1)
    else:
        graph.add("Gemm", stored)


def random_norm(graph, random, count):
    gamma = random.choice([-1, 0, 1, 2, -0.5, 0.3], count).astype(np.float32)
    beta = random.integers(-2, 3, count).astype(np.float32)
    mean = random.integers(-3, 4, count).astype(np.float32)
    variance = random.uniform(0.5, 4, count).astype(np.float32)
    if random.random() < 0.6:
        variance[:] = 1 - EPSILON
    graph.add("BatchNormalization", gamma, beta, mean, variance, epsilon=float(EPSILON))


def random_end(graph, random, count):
    number = random.integers(0, 6)
    if number == 1:
        graph.add("Mul", np.float32(0.37))
        graph.add("Add", np.float32(5.3))
    elif number == 2:
        graph.add("Add", random.normal(0, 2, count).astype(np.float32))
    elif number == 3:
        graph.add("Mul", np.float32(-1))
    elif number == 4:
        graph.add("Softmax", axis=1)
    elif number == 5:
        graph.add("ArgMax", axis=1, keepdims=0)


def output_type(graph):
    """Of the graph's output, as onnx numbers it."""
    return TensorProto.INT64 if graph.last.startswith("argmax") else TensorProto.FLOAT


def classes_by_qonnx(graph, images):
    """The class that QONNX chooses for each image, pixels being 0..1; `graph` takes all at once."""
    model = graph.model(output_type=output_type(graph))
    output = by_qonnx(model, images / np.float32(255))
    return output if output.ndim == 1 else output.argmax(axis=1)
