"""Runs an ONNX encoder in eager torch, operator by operator: the peer of an exported graph that has no torch module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vpr_aesvc.backbones.onnx import OnnxBackbone


def torch_graph(backbone: OnnxBackbone) -> Callable[[Any], Any]:
    """Pixels [1, 3, H, W] -> embedding [1, D]; supports the operators of MobileNetV3."""
    import onnx
    import torch
    from onnx import helper, numpy_helper
    from torch.nn import functional

    graph = onnx.load(str(backbone.path)).graph
    constants = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}

    def convolution(
        x: Any, weight: Any, bias: Any = None, *, pads: Any = (0, 0, 0, 0), strides: Any = 1, **others: Any
    ) -> Any:
        assert pads[0] == pads[2] and pads[1] == pads[3]
        return functional.conv2d(
            x, weight, bias, strides, (pads[0], pads[1]), others.get("dilations", 1), others.get("group", 1)
        )

    operators: dict[str, Callable[..., Any]] = {
        "Conv": convolution,
        "Relu": lambda x: functional.relu(x),
        "HardSwish": lambda x: functional.hardswish(x),
        "HardSigmoid": lambda x, alpha=0.2, beta=0.5: (x * alpha + beta).clamp(0, 1),
        "Mul": torch.mul,
        "Add": torch.add,
        "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
        "ReduceMean": lambda x, *axes, keepdims=1, **named: x.mean(
            tuple(named.get("axes") or axes[0].tolist()), keepdim=bool(keepdims)
        ),
        "Flatten": lambda x, axis=1: x.flatten(axis),
        "Constant": lambda value: torch.from_numpy(numpy_helper.to_array(value).copy()),
        "Reshape": lambda x, shape: x.reshape(shape.tolist()),
        "Identity": lambda x: x,
    }

    def run(pixels: Any) -> Any:
        values = {**constants, backbone.described.input.name: pixels}
        for node in graph.node:
            named = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
            values[node.output[0]] = operators[node.op_type](*(values[name] for name in node.input if name), **named)
        return values[backbone.described.output.name]

    return run
