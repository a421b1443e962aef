"""A graph of standard ONNX operators alone, for OpenVINO, TensorRT and the compilers of accelerators.

https://github.com/onnx/onnx/blob/main/docs/Operators.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from vpr_aesvc.backbones.onnx_graph import GraphInput
from vpr_aesvc.errors import VprError, first_line
from vpr_aesvc.export.graph import simplified
from vpr_aesvc.export.patches import shapes
from vpr_aesvc.export.traced import OPSET

if TYPE_CHECKING:
    import onnx

_ATTENTION = "MultiHeadAttention"
_SMALLEST = 1e-12  # length of a vector that is scaled to unit length
_IR_VERSION = 8  # of ONNX 1.12, which made opset 17


def standard_operators(model: onnx.ModelProto, output: str, image: GraphInput) -> onnx.ModelProto:
    """The graph with ONNX Runtime's attention as matrix products and softmax, and unit length as a division, with the shapes of all tensors.

    Args:
        output: the tensor that is computed. image: the input.

    Raises:
        VprError: another operator of the encoder is not standard, or it needs another opset.
    """
    import onnx

    opset = {one.domain: one.version for one in model.opset_import}.get("", 0)
    try:
        model = model if opset <= OPSET else onnx.version_converter.convert_version(model, OPSET)
    except Exception as error:  # of several kinds
        raise VprError(
            f"the encoder's opset {opset} cannot be lowered to {OPSET} ({first_line(error)}); export the encoder with opset {OPSET}"
        ) from error
    graph = model.graph
    for node in graph.node:  # the converter leaves an attribute that opset 17 does not have
        kept = [one for one in node.attribute if one.name != "noop_with_empty_axes" or one.i]
        del node.attribute[:]
        node.attribute.extend(kept)
    has_attention = any(node.op_type == _ATTENTION for node in graph.node)
    widths = {name: shape[-1] for name, shape in shapes(model, output, image)} if has_attention else {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.domain == "com.microsoft" and node.op_type == _ATTENTION and len(node.input) == 3:
            nodes += _attention(graph, node, widths[node.input[0]])
        elif node.op_type == "LpNormalization":
            nodes += _unit(graph, node)
        elif node.domain not in ("", "ai.onnx"):
            raise VprError(f"{node.domain}.{node.op_type} of the encoder is no standard operator; export it without")
        else:
            nodes.append(node)
    del graph.node[:], graph.value_info[:], model.opset_import[:]
    graph.node.extend(nodes)
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    model = simplified(model)
    del model.opset_import[:]  # ONNX Runtime adds its own
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    model.ir_version = _IR_VERSION
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(model, full_check=True)
    return model


def _attention(graph: onnx.GraphProto, node: onnx.NodeProto, width: int) -> Iterator[onnx.NodeProto]:
    """softmax(q k' / sqrt(width of a head)) v, for each head."""
    given = {one.name: one.f or one.i for one in node.attribute}
    heads = int(given["num_heads"])
    scale = given.get("scale") or (width / heads) ** -0.5
    split = _constant(graph, f"{node.name}_split", np.array([0, 0, heads, -1], np.int64))
    joined = _constant(graph, f"{node.name}_joined", np.array([0, 0, -1], np.int64))
    factor = _constant(graph, f"{node.name}_scale", np.array(scale, np.float32))

    def make(kind: str, name: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
        return _node(kind, f"{node.name}_{name}", *inputs, **attributes)

    parts = []
    for name, source, perm in zip("qkv", node.input, ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)), strict=True):
        reshaped = make("Reshape", f"{name}_heads", source, split)
        parts.append(make("Transpose", name, reshaped.output[0], perm=perm))
        yield from (reshaped, parts[-1])
    query, key, value = (part.output[0] for part in parts)
    yield (scaled := make("Mul", "scaled", query, factor))
    yield (scores := make("MatMul", "scores", scaled.output[0], key))
    yield (weights := make("Softmax", "weights", scores.output[0], axis=-1))
    yield (mixed := make("MatMul", "mixed", weights.output[0], value))
    yield (rows := make("Transpose", "rows", mixed.output[0], perm=(0, 2, 1, 3)))
    yield _node("Reshape", f"{node.name}_joined", rows.output[0], joined, output=node.output[0])


def _unit(graph: onnx.GraphProto, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """Rows [n, d] scaled to unit length; a zero row stays zero."""
    smallest = _constant(graph, f"{node.name}_smallest", np.array(_SMALLEST, np.float32))
    yield (length := _node("ReduceL2", f"{node.name}_length", node.input[0], axes=[-1], keepdims=1))
    yield (bounded := _node("Max", f"{node.name}_bounded", length.output[0], smallest))
    yield _node("Div", f"{node.name}_unit", node.input[0], bounded.output[0], output=node.output[0])


def _node(kind: str, name: str, *inputs: str, output: str = "", **attributes: Any) -> onnx.NodeProto:
    from onnx import helper

    return helper.make_node(kind, list(inputs), [output or name], name, **attributes)


def _constant(graph: onnx.GraphProto, name: str, array: np.ndarray) -> str:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(array, name))
    return name
