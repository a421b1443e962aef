"""A Hugging Face vision transformer as an ONNX graph."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from vpr_aesvc.backbones.huggingface import HuggingFaceBackbone
from vpr_aesvc.errors import VprError, first_line
from vpr_aesvc.runtime import open_session

if TYPE_CHECKING:
    import onnx

INPUT, EMBEDDING = "image", "embedding"
_OPSET = 17
_ATTENTION = "aten::scaled_dot_product_attention"
_MAX_BYTES = 2_000_000_000  # limit of an ONNX file
_TOLERANCE = 1e-3  # largest difference from torch, relative to the largest number: about 100 times the rounding error


def encoder_graph(backbone: HuggingFaceBackbone) -> onnx.ModelProto:
    """The backbone with its pooling: ``image`` [1, 3, H, W] -> ``embedding`` [1, D].

    Attention becomes one ``MultiHeadAttention`` node of ONNX Runtime, which does not store the attention matrix. If that fails or differs
    from torch, attention is exported as matrix products and softmax.

    Raises:
        VprError: too large for an ONNX file, or torch cannot export it.
    """
    import onnx
    import torch

    weights = sum(tensor.numel() * 4 for tensor in backbone.tower.parameters())
    if weights > _MAX_BYTES:
        raise VprError(
            f"{backbone.spec}: has {weights / 1e9:.1f} GB of weights; an ONNX file can hold 2 GB; use a smaller backbone"
        )
    rule = backbone.preprocess
    pixels = torch.randn(1, 3, rule.height, rule.width, generator=torch.Generator().manual_seed(0))
    encoder = _encoder(backbone).eval()
    with torch.no_grad():
        expected = encoder(pixels).numpy()
    failure: Exception | None = None
    for fused in (True, False):
        try:
            with _fused_attention(backbone.tower.config) if fused else nullcontext():
                data = _traced(encoder, pixels, fused)
            output = open_session(data, backbone.spec).run(None, {INPUT: pixels.numpy()})[0]
            if np.abs(output - expected).max() <= _TOLERANCE * np.abs(expected).max():
                return onnx.load_from_string(data)
        except Exception as error:  # torch and ONNX Runtime have many exception types for unknown operators
            failure = error
    reason = first_line(failure) if failure else "the graph gives other numbers than torch"
    raise VprError(f"{backbone.spec}: torch cannot export it to ONNX ({reason})") from failure


def _encoder(backbone: HuggingFaceBackbone) -> Any:
    """A torch module: pixels [1, 3, H, W] -> embedding [1, D]."""
    import torch

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tower = backbone.tower.cpu()

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return backbone.pool(self.tower(pixel_values=pixels).last_hidden_state)

    return Encoder()


def _traced(encoder: Any, pixels: Any, fused: bool) -> bytes:
    import torch

    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer warns about shapes, which are fixed here
        torch.onnx.export(
            encoder,
            (pixels,),
            buffer,  # type: ignore[arg-type]
            input_names=[INPUT],
            output_names=[EMBEDDING],
            opset_version=_OPSET,
            custom_opsets={"com.microsoft": 1} if fused else None,
            dynamo=False,  # the dynamo exporter needs one more package, and its graphs do not quantize better
        )
    return buffer.getvalue()


@contextmanager
def _fused_attention(config: Any) -> Iterator[None]:
    """In this context, torch exports attention as one ``com.microsoft.MultiHeadAttention``."""
    import torch
    from torch.onnx import symbolic_helper

    settings = getattr(config, "vision_config", config)
    heads = int(settings.num_attention_heads)
    width = int(settings.hidden_size) // heads

    @symbolic_helper.parse_args("v", "v", "v", "v", "f", "b", "v", "b")  # type: ignore[untyped-decorator, unused-ignore]
    def attention(
        graph: Any, query: Any, key: Any, value: Any, mask: Any = None, drop: float = 0.0, causal: bool = False,
        scale: Any = None, grouped: bool = False,
    ) -> Any:  # fmt: skip
        if causal or grouped or not symbolic_helper._is_none(mask):
            raise ValueError("only attention without a mask is exported as one node")

        def join_heads(tensor: Any) -> Any:  # [n, heads, tokens, width] -> [n, tokens, heads * width]
            transposed = graph.op("Transpose", tensor, perm_i=[0, 2, 1, 3])
            return graph.op("Reshape", transposed, graph.op("Constant", value_t=torch.tensor([0, -1, heads * width])))

        scale_value = None if symbolic_helper._is_none(scale) else symbolic_helper._maybe_get_const(scale, "f")
        joined = graph.op(
            "com.microsoft::MultiHeadAttention",
            *map(join_heads, (query, key, value)),
            num_heads_i=heads,
            **({} if scale_value is None else {"scale_f": scale_value}),
        )
        split = graph.op("Reshape", joined, graph.op("Constant", value_t=torch.tensor([0, -1, heads, width])))
        return graph.op("Transpose", split, perm_i=[0, 2, 1, 3])

    torch.onnx.register_custom_op_symbolic(_ATTENTION, attention, _OPSET)
    try:
        yield
    finally:
        torch.onnx.unregister_custom_op_symbolic(_ATTENTION, _OPSET)
