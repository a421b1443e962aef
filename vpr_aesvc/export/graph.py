"""Encoder and projection as one ONNX graph, for one image at a time, without what need not be computed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vpr_aesvc.backbones import Backbone
from vpr_aesvc.backbones.onnx import GraphInput, GraphOutput, OnnxBackbone
from vpr_aesvc.errors import VprError
from vpr_aesvc.export.class_token import only_class_token
from vpr_aesvc.projections.artifact import Projection

if TYPE_CHECKING:
    import onnx

DESCRIPTOR = "descriptor"
TAIL = "vpr_projection"  # the names of the projection's nodes begin with this


def fused_graph(backbone: Backbone, projection: Projection) -> tuple[onnx.ModelProto, GraphInput, GraphOutput]:
    """The graph [1, 3, H, W] -> ``descriptor`` [1, d], and how an image becomes its input.

    Raises:
        VprError: this kind of backbone has no graph, or it cannot be exported.
    """
    if isinstance(backbone, OnnxBackbone):
        model, source = _of_file(backbone), backbone.described.output.name
        given = backbone.described.input
    else:
        from vpr_aesvc.backbones.huggingface import HuggingFaceBackbone
        from vpr_aesvc.export.huggingface import EMBEDDING, INPUT, encoder_graph

        assert isinstance(backbone, HuggingFaceBackbone)
        model, source = encoder_graph(backbone), EMBEDDING
        rule = backbone.preprocess
        given = GraphInput(
            name=INPUT,
            size=(rule.height, rule.width),
            **rule.model_dump(include={"resize", "short_side", "interpolation", "scale", "mean", "std"}),
        )
    _append(model, source, projection)
    model = only_class_token(simplified(model))
    return simplified(model), given, GraphOutput(name=DESCRIPTOR, size=projection.dim_out)


def _of_file(backbone: OnnxBackbone) -> onnx.ModelProto:
    import onnx

    model = onnx.load(str(backbone.path))
    first = {tensor.name: tensor for tensor in model.graph.input}[backbone.described.input.name]
    first.type.tensor_type.shape.dim[0].dim_value = 1  # with all shapes known, nothing of them is computed at run time
    del model.graph.value_info[:]  # shapes of another batch
    return model


def _append(model: onnx.ModelProto, source: str, projection: Projection) -> None:
    """Appends the projection to the tensor ``source``; ``descriptor`` is then the only output."""
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
    centerd = node("Sub", node("LpNormalization", flat, axis=-1, p=2), constant("mean", projection.mean))
    projected = node("MatMul", centerd, constant("linear", projection.linear))
    if len(projection.hidden_bias):
        hidden = node("MatMul", centerd, constant("hidden_in", projection.hidden_in))
        hidden = node("Relu", node("Add", hidden, constant("hidden_bias", projection.hidden_bias)))
        projected = node("Add", projected, node("MatMul", hidden, constant("hidden_out", projection.hidden_out)))
    last = helper.make_node("LpNormalization", [projected], [DESCRIPTOR], f"{TAIL}_unit", axis=-1, p=2)
    graph.node.append(last)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(DESCRIPTOR, TensorProto.FLOAT, [1, projection.dim_out]))


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph after ONNX Runtime has computed what is constant and removed what has no effect. Nothing in it is
    specific to a machine: what is, ONNX Runtime does when it loads the graph.

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
                # Products with their sums become Gemm between reshapes, which hides them from what comes after.
                disabled_optimizers=["MatMulAddFusion"],
            )
        except Exception as error:  # ONNX Runtime raises many kinds, all meaning: not a graph it can run
            raise VprError(f"ONNX Runtime cannot load the fused graph ({str(error).splitlines()[0]})") from error
        return onnx.load(str(path))
