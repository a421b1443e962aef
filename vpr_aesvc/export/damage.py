"""Which matrix products eight bits hurt most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.runtime import open_session

if TYPE_CHECKING:
    import onnx


def most_damaged(model: onnx.ModelProto, names: Sequence[str], tensors: Sequence[NDArray[np.float32]]) -> list[str]:
    """The MatMul nodes ``names``, the one with the largest error first.

    What each of them gives for real inputs ``tensors`` [1, 3, H, W] is computed in float32 and as dynamic quantization would: one
    range for all that flows in, one for each column of the weights. Its error is the relative one of its output.
    """
    import onnx
    from onnx import helper, numpy_helper

    wanted = set(names)
    nodes = [node for node in model.graph.node if node.name in wanted]
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    inputs = sorted({node.input[0] for node in nodes})
    tapped.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in inputs)
    session = open_session(tapped.SerializeToString(), "the graph")
    weights = {node.name: numpy_helper.to_array(constants[node.input[1]]) for node in nodes}
    rounded = {name: _rounded_weights(weight) for name, weight in weights.items()}
    errors = dict.fromkeys(names, 0.0)
    for tensor in tensors:
        seen = dict(zip(inputs, session.run(inputs, {model.graph.input[0].name: tensor}), strict=True))
        for node in nodes:
            flows = seen[node.input[0]].reshape(-1, weights[node.name].shape[0])
            exact = flows @ weights[node.name]
            error = _rounded_activations(flows) @ rounded[node.name] - exact
            errors[node.name] += float(np.square(error).sum() / max(np.square(exact).sum(), 1e-30))
    return sorted(errors, key=lambda name: -errors[name])


def _rounded_activations(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """To 256 steps between the smallest and the largest, zero among them."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    step = (high - low) / 255 or 1.0
    zero = round(-low / step)
    return np.asarray((np.clip(np.round(values / step) + zero, 0, 255) - zero) * step, np.float32)


def _rounded_weights(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """To 255 steps about zero, for each column."""
    step = np.abs(weights).max(0) / 127
    step[step == 0] = 1
    return np.asarray(np.round(weights / step) * step, np.float32)
