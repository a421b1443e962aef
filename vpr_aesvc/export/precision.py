"""The fused graph in fp16 or int8.

Three kinds of int8 quantization. *Dynamic*: int8 weights; activation ranges are computed at run time. For the matrix products of
transformers. *Weight-only*: int8 weights, float32 computation. For convolutional networks, which have no fast dynamic form in ONNX Runtime.
*Static*: pairs of QuantizeLinear and DequantizeLinear, with ranges from images, which OpenVINO and TensorRT compute in int8.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.export.graph import TAIL

if TYPE_CHECKING:
    import onnx

Tensors = Sequence[NDArray[np.float32]]
_MIN_WEIGHTS = 1024  # smaller tensors stay in float32


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """fp16 inside, float32 input and output. The projection stays in float32, as it determines the ranking."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    tail = [node.name for node in model.graph.node if node.name.startswith(TAIL)]
    with _silent():
        return convert_float_to_float16(model, keep_io_types=True, node_block_list=tail, disable_shape_infer=False)


def is_convolutional(model: onnx.ModelProto) -> bool:
    """Whether convolutions have more weights than matrix products."""
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in model.graph.initializer}
    weights = {"Conv": 0, "MatMul": 0}
    for node in model.graph.node:
        if node.op_type in weights and not node.name.startswith(TAIL):
            weights[node.op_type] += sum(sizes.get(name, 0) for name in node.input[1:2])
    return weights["Conv"] > weights["MatMul"]


def quantizable(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that can be quantized."""
    constants = {tensor.name for tensor in model.graph.initializer}
    kinds = {"Conv"} if is_convolutional(model) else {"MatMul", "Gemm"}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in kinds and node.input[1] in constants and not node.name.startswith(TAIL)
    ]


def to_dynamic(model: onnx.ModelProto, kept: Collection[str] = ()) -> onnx.ModelProto:
    """Dynamic quantization of the matrix products, except the nodes ``kept`` and the projection.

    Weights have 7 bits: with 8, sums of products overflow 16 bits on x86 processors without VNNI, which says nothing (ONNX Runtime's
    documentation, "Quantize ONNX models", when to use ``reduce_range``).
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    return _quantized(
        model,
        lambda source, target: quantize_dynamic(
            source,
            target,
            nodes_to_quantize=[name for name in quantizable(model) if name not in kept],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": 1},
        ),
    )


def to_static(model: onnx.ModelProto, tensors: Tensors) -> onnx.ModelProto:
    """Static quantization of the inputs and weights of the ``quantizable`` nodes. Outputs stay in float32.

    Ranges are symmetric, as TensorRT takes no others. Weights have 7 bits, see ``to_dynamic``.

    Args:
        tensors: inputs of the graph, float32 [1, 3, H, W], for the ranges.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    name = model.graph.input[0].name

    class Inputs(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter(tensors)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(({name: tensor} for tensor in self._left), None)

    kinds = ["Conv", "MatMul", "Gemm"]
    return _quantized(
        model,
        lambda source, target: quantize_static(
            source,
            target,
            Inputs(),
            QuantFormat.QDQ,
            nodes_to_quantize=quantizable(model),
            op_types_to_quantize=kinds,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            extra_options={
                "ActivationSymmetric": True,
                "CalibMovingAverage": True,
                "OpTypesToExcludeOutputQuantization": kinds,
                "QuantizeBias": False,
            },
        ),
    )


def with_exact(quantized: onnx.ModelProto, model: onnx.ModelProto, kept: Collection[str]) -> onnx.ModelProto:
    """A copy of the statically ``quantized`` graph of ``model``, with the nodes ``kept`` in float32 again."""
    exact = {node.name: node for node in model.graph.node if node.name in kept}
    graph, nodes = quantized.graph, []
    needed = {output.name for output in graph.output}
    for node in reversed(graph.node):
        node = exact.get(node.name, node)
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(node.input)
    tensors = {one.name: one for one in (*model.graph.initializer, *graph.initializer) if one.name in needed}
    result = deepcopy(quantized)
    del result.graph.node[:], result.graph.initializer[:]
    result.graph.node.extend(reversed(nodes))
    result.graph.initializer.extend(tensors.values())
    return result


def to_weight_only(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weight-only quantization, one range for each output channel. ONNX Runtime restores float32 weights when it loads the graph."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    decoded: dict[str, str] = {}
    decoders: list[onnx.NodeProto] = []
    for node in graph.node:
        has_weights = node.op_type in ("Conv", "MatMul", "Gemm") and node.input[1] in constants
        if not has_weights or node.name.startswith(TAIL):
            continue
        name = node.input[1]
        weights = numpy_helper.to_array(constants[name])
        if weights.dtype != np.float32 or weights.size < _MIN_WEIGHTS:
            continue
        if name not in decoded:
            decoded[name] = f"{name}_decoded"
            axes = tuple(range(1, weights.ndim)) if node.op_type == "Conv" else 0
            step = np.abs(weights).max(axes, keepdims=True) / 127
            step[step == 0] = 1
            bits = np.round(weights / step).astype(np.int8)
            graph.initializer.append(numpy_helper.from_array(bits, f"{name}_bits"))
            graph.initializer.append(numpy_helper.from_array(step.astype(np.float32), f"{name}_step"))
            decoders.append(
                helper.make_node("Cast", [f"{name}_bits"], [f"{name}_whole"], f"{name}_whole", to=TensorProto.FLOAT)
            )
            decoders.append(helper.make_node("Mul", [f"{name}_whole", f"{name}_step"], [decoded[name]], decoded[name]))
        node.input[1] = decoded[name]
    nodes = [*decoders, *graph.node]
    used = {name for node in nodes for name in node.input}
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensors)
    return model


def _quantized(model: onnx.ModelProto, quantize: Any) -> onnx.ModelProto:
    import onnx

    with tempfile.TemporaryDirectory() as folder, _silent():
        source, target = Path(folder) / "source.onnx", Path(folder) / "target.onnx"
        onnx.save(model, str(source))
        quantize(str(source), str(target))
        return onnx.load(str(target))


@contextmanager
def _silent() -> Iterator[None]:
    """Suppresses the log messages of ONNX Runtime's tools, which address developers."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous)
