"""Search for an int8 graph that still recognizes places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.export.check import Describe, Reference
from vpr_aesvc.export.precision import is_convolutional, quantizable, to_dynamic, to_weight_only
from vpr_aesvc.robot_model import Check
from vpr_aesvc.runtime import open_session
from vpr_aesvc.types import StageProgress

if TYPE_CHECKING:
    import onnx

_QUICK_IMAGES, _QUICK_LIMIT = 50, 0.04  # a first check on 50 images; above 4 % changed matches there is no full check
_GOOD_COSINE = 0.98  # median to stop the search at: few, very different images are found even with poor descriptors


@dataclass(frozen=True)
class Attempt:
    """A graph, how it was made (for people), and its check if there were images."""

    graph: bytes
    how: str
    check: Check | None


def eight_bits(
    fused: Callable[[], onnx.ModelProto],
    tensors: Sequence[NDArray[np.float32]],
    reference: Reference | None,
    run: Callable[[bytes], Describe],
    progress: StageProgress | None = None,
) -> Attempt:
    """The first attempt that passes its check and is close to the original, else the last attempt.

    Transformers: dynamic quantization of all matrix products, then of all but the 1, 2, 4, ... with the largest error. Convolutional
    networks: weight-only quantization.

    Args:
        fused: makes a new float32 graph; the quantization tools modify their input.
        tensors: calibration inputs, float32 [1, 3, H, W]; empty without images.
        reference: images to check with; None: one attempt, unchecked.
        run: bytes of a graph -> function that describes images.
    """
    if is_convolutional(fused()):
        graph = to_weight_only(fused()).SerializeToString()
        how = "weights only; computation stays in fp32, which is as fast for this network"
        return Attempt(graph, how, None if reference is None else reference.check(run(graph)))
    names = quantizable(fused())
    if reference is None:
        return Attempt(to_dynamic(fused()).SerializeToString(), f"dynamic, {len(names)} matrix products", None)
    ranked = _by_quantization_error(fused(), names, tensors)
    counts = [0, *(2**step for step in range(len(names).bit_length()) if 2**step < len(names))]
    for at, count in enumerate(counts):
        if progress:
            progress("choosing layers", at, len(counts))
        graph = to_dynamic(fused(), ranked[:count]).SerializeToString()
        how = f"dynamic, {len(names) - count} of {len(names)} matrix products; {count} stay in fp32"
        describe = run(graph)
        is_last = count == counts[-1]
        if not is_last and reference.first(_QUICK_IMAGES).check(describe).top1_changed > _QUICK_LIMIT:
            continue
        check = reference.check(describe)
        if (check.passed and check.cosine_median >= _GOOD_COSINE) or is_last:
            break
    if progress:
        progress("choosing layers", len(counts), len(counts))
    return Attempt(graph, how, check)


def _by_quantization_error(
    model: onnx.ModelProto, names: Sequence[str], tensors: Sequence[NDArray[np.float32]]
) -> list[str]:
    """The MatMul nodes ``names``, largest error first.

    The error is the relative squared error of a node's output for real inputs ``tensors`` [1, 3, H, W]: float32 against dynamic
    quantization, with one range for the input and one range for each column of the weights.
    """
    import onnx
    from onnx import helper, numpy_helper

    nodes = [node for node in model.graph.node if node.name in set(names)]
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    with_inputs = onnx.ModelProto()  # the same graph, which also outputs the inputs of the nodes
    with_inputs.CopyFrom(model)
    inputs = sorted({node.input[0] for node in nodes})
    with_inputs.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in inputs
    )
    session = open_session(with_inputs.SerializeToString(), "the graph")
    weights = {node.name: numpy_helper.to_array(constants[node.input[1]]) for node in nodes}
    quantized = {name: _quantized_weights(weight) for name, weight in weights.items()}
    errors = dict.fromkeys(names, 0.0)
    for tensor in tensors:
        values = dict(zip(inputs, session.run(inputs, {model.graph.input[0].name: tensor}), strict=True))
        for node in nodes:
            activations = values[node.input[0]].reshape(-1, weights[node.name].shape[0])
            exact = activations @ weights[node.name]
            error = _quantized_activations(activations) @ quantized[node.name] - exact
            errors[node.name] += float(np.square(error).sum() / max(np.square(exact).sum(), 1e-30))
    return sorted(errors, key=lambda name: -errors[name])


def _quantized_activations(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded to 256 steps between minimum and maximum; zero stays exact."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    step = (high - low) / 255 or 1.0
    zero = round(-low / step)
    return np.asarray((np.clip(np.round(values / step) + zero, 0, 255) - zero) * step, np.float32)


def _quantized_weights(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded to 127 symmetric steps in each column."""
    step = np.abs(weights).max(0) / 63
    step[step == 0] = 1
    return np.asarray(np.round(weights / step) * step, np.float32)
