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
