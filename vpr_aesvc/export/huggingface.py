"""A Hugging Face vision transformer as an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vpr_aesvc.backbones.huggingface import HuggingFaceBackbone
from vpr_aesvc.export.traced import OPSET, traced_graph

if TYPE_CHECKING:
    import onnx

_ATTENTION = "aten::scaled_dot_product_attention"


def encoder_graph(backbone: HuggingFaceBackbone) -> onnx.ModelProto:
    """The backbone with its pooling: ``image`` [1, 3, H, W] -> ``embedding`` [1, D].

    Attention becomes one ``MultiHeadAttention`` node of ONNX Runtime, which does not store the attention matrix. If that fails or differs
    from torch, attention is exported as matrix products and softmax.

    Raises:
        VprError: too large for an ONNX file, or torch cannot export it.
    """
    rule, attention = backbone.preprocess, _fused_attention(backbone.tower.config)
    with _constant_positions(getattr(backbone.tower, "embeddings", None)):
        return traced_graph(_encoder(backbone), rule.height, rule.width, backbone.spec, attention)


def _encoder(backbone: HuggingFaceBackbone) -> Any:
    """A torch module: pixels [1, 3, H, W] -> embedding [1, D]."""
    import torch

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tower = backbone.tower

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return backbone.pool(self.tower(pixel_values=pixels).last_hidden_state)

    return Encoder()


@contextmanager
def _constant_positions(embeddings: Any) -> Iterator[None]:
    """In this context, position embeddings are interpolated once, before tracing: ONNX has no bicubic interpolation with antialiasing, which DINOv2
    with registers uses."""
    interpolate: Any = getattr(embeddings, "interpolate_pos_encoding", None)
    kept: list[Any] = []

    def once(*size: Any) -> Any:
        if not kept:
            kept.append(interpolate(*size))
        return kept[0]

    if interpolate is not None:
        embeddings.interpolate_pos_encoding = once
    try:
        yield
    finally:
        if interpolate is not None:
            del embeddings.interpolate_pos_encoding


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

    torch.onnx.register_custom_op_symbolic(_ATTENTION, attention, OPSET)
    try:
        yield
    finally:
        torch.onnx.unregister_custom_op_symbolic(_ATTENTION, OPSET)
