"""Where only the class token is used, the last block computes only that: a twelfth less work for a transformer of twelve blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

_ROW_WISE = {
    "LayerNormalization",
    "MatMul",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Erf",
    "Tanh",
    "Sigmoid",
    "Relu",
    "Identity",
    "Gelu",
}
_ATTENTION = "MultiHeadAttention"


def only_class_token(model: onnx.ModelProto) -> onnx.ModelProto:
    """Moves the choice of the first token, ``tokens[:, 0]``, as far up the graph as it gives the same numbers.

    Tokens are rows of tensors [1, tokens, D]. Every operator below the last attention works on each row alone, and attention
    needs all rows as keys and values but only the wanted ones as queries. A graph without such a choice stays as it is.
    """
    from onnx import helper, numpy_helper, shape_inference

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    choices = [node for node in graph.node if _chooses_first(node, constants, numpy_helper)]
    if len(choices) != 1:
        return model
    choice = choices[0]
    inferred = shape_inference.infer_shapes(model).graph.value_info
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in inferred}
    outputs = {value.name for value in graph.output}

    def one_row_is_enough(node: onnx.NodeProto) -> bool:
        """All that comes of this node is used for the first token alone."""
        name = node.output[0]
        if name in outputs or not _is_row_wise(node, constants):
            return False
        for user in users.get(name, []):
            as_query = user.op_type != _ATTENTION or (
                list(user.input).index(name) == 0 and list(user.input).count(name) == 1
            )
            if not (user is choice or (id(user) in cut and as_query)):
                return False
        return True

    cut: dict[int, onnx.NodeProto] = {}
    for node in reversed(graph.node):  # nodes stand in the order in which they run
        if one_row_is_enough(node):
            cut[id(node)] = node
    if not cut:
        return model
    made = {node.output[0] for node in cut.values()}
    first = {"vpr_first": 0, "vpr_second": 1, "vpr_axis": 1}
    graph.initializer.extend(
        numpy_helper.from_array(np.array([value], np.int64), name) for name, value in first.items()
    )
    sliced: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if id(node) in cut:
            at_most = 1 if node.op_type in (_ATTENTION, "LayerNormalization", "MatMul") else len(node.input)
            for at, name in enumerate(node.input[:at_most]):
                if name in constants or name in made or ranks.get(name, 3) < 3:
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


def _chooses_first(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto], numpy_helper: object) -> bool:
    """``tokens[:, 0]``."""
    if node.op_type != "Gather" or node.input[1] not in constants:
        return False
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    index = numpy_helper.to_array(constants[node.input[1]])  # type: ignore[attr-defined]
    return axis == 1 and index.ndim == 0 and int(index) == 0


def _is_row_wise(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    """Each row [D] of its result depends on the same row of its first input alone (of the queries, for attention)."""
    if node.op_type == _ATTENTION:
        return True
    if node.op_type not in _ROW_WISE:
        return False
    others = [constants[name].dims for name in node.input if name in constants]
    if node.op_type == "MatMul":
        return node.input[1] in constants and len(others[-1]) == 2
    return all(len(dims) < 2 or all(dim == 1 for dim in dims[:-1]) for dims in others)
