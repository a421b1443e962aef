"""Computes only the class token in the last transformer block, if nothing else is used: about 1/12 less work for 12 blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

_ROW_WISE = frozenset(
    ["LayerNormalization", "MatMul", "Add", "Sub", "Mul", "Div", "Erf", "Tanh", "Sigmoid", "Relu", "Identity", "Gelu"]
)
_ATTENTION = "MultiHeadAttention"


def only_class_token(model: onnx.ModelProto) -> onnx.ModelProto:
    """Moves the selection of the first token, ``tokens[:, 0]``, as far up the graph as the result stays the same.

    Tokens are rows of tensors [1, tokens, D]. Operators after the last attention work on each row alone. Attention needs all rows as keys
    and values, but only the selected rows as queries. A graph without such a selection is returned unchanged.
    """
    from onnx import helper, numpy_helper, shape_inference

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    selections = [node for node in graph.node if _selects_first(node, constants, numpy_helper)]
    if len(selections) != 1:
        return model
    inferred = shape_inference.infer_shapes(model).graph.value_info
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in inferred}
    outputs = {value.name for value in graph.output}

    def one_row_is_enough(node: onnx.NodeProto) -> bool:
        """Whether only the first row of the node's output is used."""
        name = node.output[0]
        if name in outputs or not _is_row_wise(node, constants):
            return False
        for user in users.get(name, []):
            as_query = user.op_type != _ATTENTION or (
                list(user.input).index(name) == 0 and list(user.input).count(name) == 1
            )
            if not (user is selections[0] or (id(user) in cut and as_query)):
                return False
        return True

    cut: dict[int, onnx.NodeProto] = {}
    for node in reversed(graph.node):  # nodes are in execution order
        if one_row_is_enough(node):
            cut[id(node)] = node
    if not cut:
        return model
    cut_outputs = {node.output[0] for node in cut.values()}
    first = {"vpr_first": 0, "vpr_second": 1, "vpr_axis": 1}
    graph.initializer.extend(
        numpy_helper.from_array(np.array([value], np.int64), name) for name, value in first.items()
    )
    sliced: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if id(node) in cut:
            row_inputs = 1 if node.op_type in (_ATTENTION, "LayerNormalization", "MatMul") else len(node.input)
            for at, name in enumerate(node.input[:row_inputs]):
                if name in constants or name in cut_outputs or ranks.get(name, 3) < 3:
                    continue
                if name not in sliced:
                    sliced[name] = f"{name}_first"
                    nodes.append(helper.make_node("Slice", [name, *first], [sliced[name]], sliced[name]))
                node.input[at] = sliced[name]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]  # the shapes have changed
    return model


def _selects_first(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto], numpy_helper: object) -> bool:
    """Whether the node is ``tokens[:, 0]``."""
    if node.op_type != "Gather" or node.input[1] not in constants:
        return False
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    index = numpy_helper.to_array(constants[node.input[1]])  # type: ignore[attr-defined]
    return axis == 1 and index.ndim == 0 and int(index) == 0


def _is_row_wise(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    """Whether each output row [D] depends only on the same row of the first input (for attention: of the queries)."""
    if node.op_type == _ATTENTION:
        return True
    if node.op_type not in _ROW_WISE:
        return False
    others = [constants[name].dims for name in node.input if name in constants]
    if node.op_type == "MatMul":
        return node.input[1] in constants and len(others[-1]) == 2
    return all(len(dims) < 2 or all(dim == 1 for dim in dims[:-1]) for dims in others)
