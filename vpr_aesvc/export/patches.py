"""A second output for an ONNX encoder: the features of the patches that its embedding is pooled from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from vpr_aesvc.backbones.onnx_graph import GraphInput, GraphPatches
from vpr_aesvc.export.graph import TAIL
from vpr_aesvc.runtime import open_session

if TYPE_CHECKING:
    import onnx

_Features = tuple[str, tuple[int, ...], tuple[int, int], int]
PATCHES = "patches"
_ENOUGH = 100  # patches; a network that ends with fewer gives those of an earlier feature map, with twice the rows and columns
_PROBED = 32  # tensors computed at once to learn their shapes
_POOLING = {"Pow", "Clip", "Max"}  # of generalized mean pooling: their outputs are no features
_MAX_PREFIX = 8  # class, distillation and register tokens, which come before the patches
_MAX_SIDE = 32  # pixels of a patch; the 64 learned queries of BoQ are no 8 x 8 patches
_DTYPES = {"tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(uint8)": np.uint8}


def add_patches(model: onnx.ModelProto, embedding: str, image: GraphInput) -> GraphPatches | None:
    """Adds the output ``patches`` float32 [n, h * w, c]: of the tensors that ``embedding`` is made of, the last that is a feature map
    [n, c, h, w] of enough patches, or the tokens [n, tokens, c] of a transformer. ``embedding`` does not change.

    Returns:
        its description; None if there is no such tensor. The graph is then unchanged.

    Raises:
        VprError: ONNX Runtime cannot run the graph.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph, found = model.graph, _features(model, embedding, image)
    if found is None:
        return None
    name, shape, grid, prefix = found

    def constant(key: str, *numbers: int) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(numbers, np.int64), f"{TAIL}_{key}"))
        return f"{TAIL}_{key}"

    def node(kind: str, output: str, *inputs: str, **attributes: Any) -> str:
        graph.node.append(helper.make_node(kind, list(inputs), [output], f"{TAIL}_{kind}_patches", **attributes))
        return output

    count, size = prod(grid), shape[1] if len(shape) == 4 else shape[2]
    if len(shape) == 4:
        flat = node("Reshape", f"{TAIL}_flat", name, constant("map", -1, size, count))
        rows = node("Transpose", f"{TAIL}_rows", flat, perm=[0, 2, 1])
    else:
        bounds = constant("start", prefix), constant("end", prefix + count), constant("axis", 1)
        rows = node("Slice", f"{TAIL}_rows", name, *bounds)
    node("Cast", PATCHES, rows, to=TensorProto.FLOAT)
    batch = {one.name: one for one in graph.output}[embedding].type.tensor_type.shape.dim[0]
    dims = [batch.dim_value or batch.dim_param or "n", count, size]
    graph.output.append(helper.make_tensor_value_info(PATCHES, TensorProto.FLOAT, dims))
    return GraphPatches(name=PATCHES, grid=grid, size=size)


def _features(model: onnx.ModelProto, embedding: str, image: GraphInput) -> _Features | None:
    """Name and shape of the tensor, its grid of patches, and the number of tokens before them."""
    last: _Features | None = None
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1  # attention's [heads, ...] are no patches
    for name, shape in shapes(model, embedding, image):
        grid, prefix = (shape[:1] == (batch,) and _grid(shape, image.size)) or (None, 0)
        if grid is None:
            continue
        if len(shape) == 3 or prod(grid) >= min(_ENOUGH, 4 * prod(last[2]) if last else _ENOUGH):
            return last if len(shape) == 3 and last else (name, shape, grid, prefix)
        last = last or (name, shape, grid, prefix)
    return last


def shapes(model: onnx.ModelProto, embedding: str, image: GraphInput) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The tensors that the embedding is made of, last first: names and shapes."""
    import onnx

    needed, names = {embedding}, list[str]()
    for node in reversed(model.graph.node):  # the nodes of a graph are in order
        if needed.intersection(node.output):
            needed.update(node.input)
            if node.op_type not in _POOLING:
                names.append(node.output[0])
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    for at in range(0, len(names), _PROBED):
        some = names[at : at + _PROBED]
        del probe.graph.output[:]
        probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in some)
        session = open_session(probe.SerializeToString(), "the graph")
        tensor = session.get_inputs()[0]
        pixels = [3, *image.size] if image.layout == "NCHW" else [*image.size, 3]
        batch = tensor.shape[0] if isinstance(tensor.shape[0], int) else 1
        values = session.run(some, {tensor.name: np.ones([batch, *pixels], _DTYPES.get(tensor.type, np.float32))})
        yield from zip(some, (value.shape for value in values), strict=True)


def _grid(shape: Sequence[int], size: tuple[int, int]) -> tuple[tuple[int, int], int] | None:
    """Rows and columns of the patches in a tensor of this shape, and the number of tokens before them; None if it has no patches.

    Args:
        size: height and width of the image.
    """
    if len(shape) == 4 and shape[2] * shape[3] > 1:
        strides = size[0] / shape[2], size[1] / shape[3]
        return ((shape[2], shape[3]), 0) if max(strides) < 1.25 * min(strides) else None
    if len(shape) != 3:
        return None
    for prefix, side in product(range(_MAX_PREFIX + 1), range(4, min(_MAX_SIDE, min(size) // 3) + 1)):
        rows, columns = size[0] // side, size[1] // side
        if size[0] % side == size[1] % side == 0 and rows * columns + prefix == shape[1]:
            return (rows, columns), prefix
    return None
