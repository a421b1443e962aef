"""Search for an int8 graph that still recognizes places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.export.check import Describe, Reference
from vpr_aesvc.export.precision import is_convolutional, quantizable, to_dynamic, to_static, to_weight_only, with_exact
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
    static: bool = False,
) -> Attempt:
    """The first attempt that passes its check and is close to the original, else the last attempt.

    Static quantization, and dynamic quantization of transformers: of all layers, then of all but the 1, 2, 4, ... with the largest error.
    Convolutional networks, if not static: weight-only quantization.

    Args:
        fused: makes a new float32 graph; the quantization tools modify their input.
        tensors: calibration inputs, float32 [1, 3, H, W]; empty without images.
        reference: images to check with; None: one attempt, unchecked.
        run: bytes of a graph -> function that describes images.
        static: for engines that take ranges from the graph, such as OpenVINO and TensorRT. Needs images.
    """
    is_conv = is_convolutional(fused())
    if is_conv and not static:
        graph = to_weight_only(fused()).SerializeToString()
        how = "weights only; computation stays in fp32, which is as fast for this network"
        return Attempt(graph, how, None if reference is None else reference.check(run(graph)))
    names = quantizable(fused())
    kind, layers = "static" if static else "dynamic", "convolutions" if is_conv else "matrix products"
    if reference is None:
        return Attempt(to_dynamic(fused()).SerializeToString(), f"{kind}, {len(names)} {layers}", None)
    all_static = to_static(fused(), tensors)
    ranked = _by_quantization_error(fused(), all_static, names, tensors)
    counts = [0, *(2**step for step in range(len(names).bit_length()) if 2**step < len(names))]
    for at, count in enumerate(counts):
        if progress:
            progress("choosing layers", at, len(counts))
        kept = ranked[:count]
        quantized = with_exact(all_static, fused(), kept) if static else to_dynamic(fused(), kept)
        graph = quantized.SerializeToString()
        how = f"{kind}, {len(names) - count} of {len(names)} {layers}; {count} stay in fp32"
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
    model: onnx.ModelProto, quantized: onnx.ModelProto, names: Sequence[str], tensors: Sequence[NDArray[np.float32]]
) -> list[str]:
    """The nodes ``names``, largest error first: the relative squared error of a node's output for real inputs ``tensors`` [1, 3, H, W],
    if that node alone is quantized as in the statically ``quantized`` graph.
    """
    from onnx import TensorProto, helper

    exact = {node.name: node for node in model.graph.node if node.name in set(names)}
    nodes: list[onnx.NodeProto] = []  # what follows a quantized node takes the output of its exact twin
    sums = [f"{name}_{kind}" for name in exact for kind in ("error", "power")]
    probe = deepcopy(quantized)
    for node in probe.graph.node:
        nodes.append(node)
        if twin := exact.get(node.name):
            output, node.name, node.output[0] = node.output[0], f"{node.name}_int8", f"{node.output[0]}_int8"
            difference = f"{twin.name}_difference"
            nodes += [
                twin,
                helper.make_node("Sub", [output, node.output[0]], [difference]),
                helper.make_node("ReduceSumSquare", [difference], [f"{twin.name}_error"], keepdims=0),
                helper.make_node("ReduceSumSquare", [output], [f"{twin.name}_power"], keepdims=0),
            ]
    known = {tensor.name for tensor in probe.graph.initializer}
    probe.graph.initializer.extend(one for one in model.graph.initializer if one.name not in known)
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in sums]
    del probe.graph.node[:], probe.graph.output[:]
    probe.graph.node.extend(nodes)
    probe.graph.output.extend(outputs)
    session = open_session(probe.SerializeToString(), "the graph")
    image = model.graph.input[0].name
    totals = np.sum([session.run(sums, {image: tensor}) for tensor in tensors], axis=0).reshape(-1, 2)
    errors = dict(zip(exact, totals[:, 0] / np.maximum(totals[:, 1], 1e-30), strict=True))
    return sorted(names, key=lambda name: -errors[name])
