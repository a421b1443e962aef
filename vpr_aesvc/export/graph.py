"""Encoder and projection as one ONNX graph for a single image, without unused computations."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vpr_aesvc.backbones import Backbone
from vpr_aesvc.backbones.onnx import OnnxBackbone
from vpr_aesvc.backbones.onnx_graph import GraphInput, GraphOutput
from vpr_aesvc.errors import VprError, first_line
from vpr_aesvc.export.traced import EMBEDDING, INPUT
from vpr_aesvc.projections.artifact import Projection

if TYPE_CHECKING:
    import onnx

DESCRIPTOR = "descriptor"
TAIL = "vpr_projection"  # name prefix of the projection's nodes


def fused_graph(backbone: Backbone, projection: Projection) -> tuple[onnx.ModelProto, GraphInput, GraphOutput]:
    """The graph [1, 3, H, W] -> ``descriptor`` [1, d], its input (with the preprocessing) and its output.

    Raises:
        VprError: the backbone cannot be exported.
    """
    if isinstance(backbone, OnnxBackbone):
        model, source = _graph_of_file(backbone), backbone.described.output.name
        graph_input = backbone.described.input
    else:
        from vpr_aesvc.backbones.huggingface import HuggingFaceBackbone
        from vpr_aesvc.export.huggingface import encoder_graph

        if not isinstance(backbone, HuggingFaceBackbone):
            raise VprError(f"backbone {backbone.spec}: has no ONNX graph to export; copy the model folder to the robot")
        model, source = encoder_graph(backbone), EMBEDDING
        graph_input = GraphInput.of(INPUT, backbone.preprocess)
    _append(model, source, projection)
    return simplified(model), graph_input, GraphOutput(name=DESCRIPTOR, size=projection.dim_out)


def _graph_of_file(backbone: OnnxBackbone) -> onnx.ModelProto:
    import onnx

    model = onnx.load(str(backbone.path))
    first = {tensor.name: tensor for tensor in model.graph.input}[backbone.described.input.name]
    first.type.tensor_type.shape.dim[0].dim_value = 1  # fixed shapes need no shape computations at run time
    del model.graph.value_info[:]  # shapes for other batch sizes
    for part in (
        model.graph.node,
        model.graph.initializer,
    ):  # without its patches: those of the fused graph are added again
        kept = [one for one in part if not one.name.startswith(TAIL)]
        del part[:]
        part.extend(kept)
    for at, node in enumerate(model.graph.node):  # names are optional in ONNX; quantization selects nodes by name
        node.name = node.name or f"node_{at}"
    return model


def _append(model: onnx.ModelProto, source: str, projection: Projection) -> None:
    """Appends the projection to the tensor ``source`` and makes ``descriptor`` the only output."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph

    def constant(name: str, array: np.ndarray) -> str:
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), f"{TAIL}_{name}"))
        return f"{TAIL}_{name}"

    def node(kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{TAIL}_{len(graph.node)}_{kind}"
        graph.node.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    flat = node("Reshape", source, constant("shape", np.array([1, projection.dim_in], np.int64)))
    if {one.name: one.type.tensor_type.elem_type for one in graph.output}.get(source) != TensorProto.FLOAT:
        flat = node("Cast", flat, to=TensorProto.FLOAT)
    centered = node("Sub", node("LpNormalization", flat, axis=-1, p=2), constant("mean", projection.mean))
    projected = node("MatMul", centered, constant("linear", projection.linear))
    if len(projection.hidden_bias):
        hidden = node("MatMul", centered, constant("hidden_in", projection.hidden_in))
        hidden = node("Relu", node("Add", hidden, constant("hidden_bias", projection.hidden_bias)))
        projected = node("Add", projected, node("MatMul", hidden, constant("hidden_out", projection.hidden_out)))
    last = helper.make_node("LpNormalization", [projected], [DESCRIPTOR], f"{TAIL}_unit", axis=-1, p=2)
    graph.node.append(last)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(DESCRIPTOR, TensorProto.FLOAT, [1, projection.dim_out]))


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph after ONNX Runtime's basic optimization: constant folding and removal of redundant nodes. The result does not depend on
    the machine; machine-specific optimizations run when a graph is loaded.

    Raises:
        VprError: ONNX Runtime cannot load it.
    """
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        options.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(
                model.SerializeToString(),
                options,
                providers=["CPUExecutionProvider"],
                # It replaces MatMul + Add by Gemm between reshapes, which later steps do not recognize.
                disabled_optimizers=["MatMulAddFusion"],
            )
        except Exception as error:  # ONNX Runtime has many exception types
            raise VprError(
                f"ONNX Runtime cannot load the fused graph ({first_line(error)}); use another backbone or onnxruntime version"
            ) from error
        return onnx.load(str(path))
