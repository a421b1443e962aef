"""A torch module as an ONNX graph, compared with torch."""

from __future__ import annotations

import io
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from vpr_aesvc.errors import VprError, first_line
from vpr_aesvc.runtime import open_session

if TYPE_CHECKING:
    import onnx

INPUT, EMBEDDING = "image", "embedding"
OPSET = 17
_MAX_BYTES = 2_000_000_000  # limit of an ONNX file
_TOLERANCE = 1e-3  # largest difference from torch, relative to the largest number: about 100 times the rounding error


def traced_graph(
    encoder: Any, height: int, width: int, name: str, attention: AbstractContextManager[None] | None = None
) -> onnx.ModelProto:
    """A torch module, pixels [1, 3, height, width] -> embedding [1, D], as a graph with the input ``image`` and the output ``embedding``.

    Args:
        name: of the encoder, for errors.
        attention: a context in which attention becomes one node of ONNX Runtime. If that fails or differs from torch, the graph is made without.

    Raises:
        VprError: too large for an ONNX file, no embedding, or torch cannot export it.
    """
    import onnx
    import torch

    weights = sum(tensor.numel() * 4 for tensor in encoder.parameters())
    if weights > _MAX_BYTES:
        raise VprError(
            f"{name}: has {weights / 1e9:.1f} GB of weights; an ONNX file can hold 2 GB; use a smaller backbone"
        )
    pixels = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    encoder = encoder.cpu().eval()
    failure: Exception | None = None
    for context in (nullcontext(),) if attention is None else (attention, nullcontext()):
        try:
            buffer = io.BytesIO()
            with warnings.catch_warnings(), torch.no_grad(), context:
                warnings.simplefilter("ignore")  # the tracer warns about shapes, which are fixed here
                expected = encoder(pixels).numpy()
                torch.onnx.export(
                    encoder,
                    (pixels,),
                    buffer,  # type: ignore[arg-type]
                    input_names=[INPUT],
                    output_names=[EMBEDDING],
                    opset_version=OPSET,
                    custom_opsets={"com.microsoft": 1} if context is attention else None,
                    dynamo=False,  # the dynamo exporter needs one more package, and its graphs do not quantize better
                )
            output = open_session(buffer.getvalue(), name).run([EMBEDDING], {INPUT: pixels.numpy()})[0]
            if expected.ndim == 2 and np.abs(output - expected).max() <= _TOLERANCE * np.abs(expected).max():
                graph = onnx.load_from_string(buffer.getvalue())
                shaped = onnx.helper.make_tensor_value_info(EMBEDDING, onnx.TensorProto.FLOAT, expected.shape)
                graph.graph.output[0].CopyFrom(shaped)  # which the exporter does not know behind a node of ONNX Runtime
                return graph
        except Exception as error:  # torch and ONNX Runtime have many exception types for unknown operators
            failure = error
    reason = first_line(failure) if failure else "the graph gives other numbers than torch, or no vector for an image"
    raise VprError(f"{name}: torch cannot export it to ONNX ({reason})") from failure
