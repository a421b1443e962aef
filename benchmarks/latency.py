"""One frame to one descriptor: the exported graph beside torch.

    python benchmarks/latency.py [--encoder FOLDER ...] [--threads N] [--json FILE]

A 640 x 480 frame in memory becomes a descriptor, batch 1, everything on the same threads. The peer is what a user of transformers writes:
the model's own image processor, the network in eager fp32, then the projection. Ours is `describe` of the exported model in fp32 and
int8. Encoders: the shape of DINOv2 ViT-S/14 with random weights, which serve for timing only, and every FOLDER (a Hugging Face folder, or one
with an .onnx file, whose peer is the same graph run operator by operator in torch). int8 quantizes all that can be; what an export
keeps in fp32 on real images comes on top. The peak is that of a large fp32 matrix product in torch.

Contenders take turns in blocks, each after a pause, so that no one's idle threads disturb the next.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch_graph import torch_graph

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.backbones.huggingface import HuggingFaceBackbone
from vpr_aesvc.backbones.onnx import Graph, PreprocessFile
from vpr_aesvc.export.graph import fused_graph
from vpr_aesvc.export.precision import is_convolutional, to_dynamic, to_half, to_static, to_stored
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.runtime import default_threads

_ROUNDS, _WARM, _TIMED, _PAUSE = 4, 3, 12, 0.4
_PEAK_SIDE = 1536
Call = Callable[[], object]


def dinov2_small(folder: Path) -> Path:
    """The shape of DINOv2 ViT-S/14 at 224 x 224, random weights, as a Hugging Face folder."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=224, patch_size=14
    )
    transformers.Dinov2Model(config).save_pretrained(folder)
    processor = {
        "image_processor_type": "BitImageProcessor", "do_resize": True, "size": {"shortest_edge": 256}, "resample": 3,
        "do_center_crop": True, "crop_size": {"height": 224, "width": 224}, "do_rescale": True, "do_convert_rgb": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def contenders(encoder: str, frame: np.ndarray, threads: int) -> tuple[dict[str, Call], Call, Any, str]:
    """What is timed, by name; our preprocessing; the peer's network for counting; and the peer's processor."""
    import onnx
    import torch

    backbone = open_backbone(encoder)
    random = np.random.default_rng(0)
    weights = (random.standard_normal((backbone.dim, backbone.dim)) / backbone.dim**0.5).astype(np.float32)
    projection = Projection.of(np.zeros(backbone.dim, np.float32), weights)
    fused, given, gives = fused_graph(backbone, projection)
    whole = fused.SerializeToString()

    def graph(data: bytes) -> Graph:
        return Graph(data, Path("graph.onnx"), PreprocessFile(input=given, output=gives), threads=threads)

    ours = graph(whole)
    tensor = ours.tensor(frame)[None]

    def fresh() -> onnx.ModelProto:
        return onnx.load_from_string(whole)

    if is_convolutional(fresh()):
        made = {"int8": to_stored(fresh()), "int8 static": to_static(fresh(), [tensor], ())}
    else:
        made = {"int8": to_dynamic(fresh(), ())}
    made["fp16"] = to_half(fresh())
    network = backbone.tower if isinstance(backbone, HuggingFaceBackbone) else torch_graph(backbone)
    processor, name = _processor(encoder, given)

    def peer() -> np.ndarray:
        with torch.inference_mode():
            pixels = processor(frame)
            if isinstance(backbone, HuggingFaceBackbone):
                embedding = backbone.pool(network(pixel_values=pixels).last_hidden_state)
            else:
                embedding = network(pixels)
            return projection(embedding.numpy().reshape(1, -1))

    timed: dict[str, Call] = {"torch": peer, "fp32": lambda: ours([frame])}
    for precision, model in made.items():
        runs = graph(model.SerializeToString())
        timed[precision] = lambda runs=runs: runs([frame])  # type: ignore[misc]
    pixels = torch.from_numpy(tensor)
    count = (
        (lambda: network(pixel_values=pixels)) if isinstance(backbone, HuggingFaceBackbone) else lambda: network(pixels)
    )
    return timed, lambda: ours.tensor(frame), count, name


def _processor(encoder: str, given: Any) -> tuple[Callable[[np.ndarray], Any], str]:
    import transformers

    transformers.utils.logging.set_verbosity_error()
    if (Path(encoder) / "preprocessor_config.json").is_file():
        found = transformers.AutoImageProcessor.from_pretrained(encoder)
    else:
        found = transformers.ViTImageProcessor(
            size={"height": given.size[0], "width": given.size[1]},
            image_mean=given.mean,
            image_std=given.std,
            resample=3,
        )
    return lambda frame: found(frame, return_tensors="pt")["pixel_values"], type(found).__name__


def take_turns(timed: dict[str, Call]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of each, in milliseconds."""
    taken: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(_ROUNDS):
        for name, call in timed.items():
            time.sleep(_PAUSE)
            for at in range(_WARM + _TIMED):
                start = time.perf_counter()
                call()
                if at >= _WARM:
                    taken[name].append(1000 * (time.perf_counter() - start))
    return {name: {"median": float(np.median(ms)), "p95": float(np.quantile(ms, 0.95))} for name, ms in taken.items()}


def flops(count: Call) -> float:
    """Of the peer's network, in 1e9: two for each multiplication and addition."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        count()
    return counter.get_total_flops() / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--encoder", action="append", default=[], help="a Hugging Face folder, or one with an .onnx file"
    )
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    words = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(words.threads)
    square = torch.randn(_PEAK_SIDE, _PEAK_SIDE)
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    results: dict[str, Any] = {"threads": words.threads}
    with tempfile.TemporaryDirectory() as folder:
        encoders = {"DINOv2 ViT-S/14 shape, random": str(dinov2_small(Path(folder)))}
        encoders |= {Path(name).name: name for name in words.encoder}
        for title, encoder in encoders.items():
            timed, preprocess, count, processor = contenders(encoder, frame, words.threads)
            found = take_turns({**timed, "preprocessing": preprocess, "peak": lambda: square @ square})
            peak = 2 * _PEAK_SIDE**3 / found.pop("peak")["median"] / 1e6
            work = flops(count)
            graph_ms = found["fp32"]["median"] - found["preprocessing"]["median"]
            results[title] = {
                **found,
                "GFLOP": work,
                "peak GFLOP/s": peak,
                "part of peak": work / graph_ms * 1000 / peak,
            }
            print(f"{title}: {work:.2f} GFLOP, {words.threads} threads, processor of the peer {processor}")
            for name, ms in found.items():
                ratio = "" if name == "preprocessing" else f"  {found['torch']['median'] / ms['median']:5.2f} x torch"
                print(f"  {name:<14} median {ms['median']:7.2f} ms  p95 {ms['p95']:7.2f} ms{ratio}")
            print(
                f"  fp32 graph: {results[title]['part of peak']:.0%} of {peak:.0f} GFLOP/s, an fp32 matrix product in torch",
                flush=True,
            )
    if words.json:
        words.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
