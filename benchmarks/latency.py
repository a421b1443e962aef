"""Time from one frame to its descriptor: the exported graph compared with torch.

    python benchmarks/latency.py [--encoder FOLDER ...] [--threads N] [--json FILE]

A 640 x 480 frame in memory, batch size 1, the same number of threads for all. The peer is typical transformers code: the model's own image
processor, the network in eager fp32, then the projection. Ours is `describe` of the exported model in fp32, fp16 and int8. Encoders: a DINOv2
ViT-S/14 with random weights (for timing only), and each FOLDER: a Hugging Face folder, or a folder with an .onnx file, whose peer is the same
graph in torch. int8 quantizes all layers; a real export keeps some in fp32 and takes longer. The peak is that of a large fp32 matrix
product in torch.

The contenders run in alternating blocks, with a pause before each, so that idle threads of one do not disturb the next.
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
from vpr_aesvc.backbones.onnx_graph import Graph, PreprocessFile
from vpr_aesvc.export.graph import fused_graph
from vpr_aesvc.export.precision import is_convolutional, to_dynamic, to_half, to_weight_only
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.runtime import default_threads

_ROUNDS, _WARM_UP_RUNS, _TIMED_RUNS, _PAUSE = 4, 3, 12, 0.4  # pause in seconds
_PEAK_SIDE = 1536
Call = Callable[[], object]


def dinov2_small(folder: Path) -> Path:
    """Writes a DINOv2 ViT-S/14 at 224 x 224 with random weights as a Hugging Face folder."""
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
    """The timed functions by name, our preprocessing, the peer's network (to count operations), the name of the peer's image processor."""
    import onnx
    import torch

    backbone = open_backbone(encoder)
    random = np.random.default_rng(0)
    weights = (random.standard_normal((backbone.dim, backbone.dim)) / backbone.dim**0.5).astype(np.float32)
    projection = Projection.of(np.zeros(backbone.dim, np.float32), weights)
    fused, graph_input, graph_output = fused_graph(backbone, projection)
    fp32 = fused.SerializeToString()

    def graph(data: bytes) -> Graph:
        return Graph(data, Path("graph.onnx"), PreprocessFile(input=graph_input, output=graph_output), threads=threads)

    ours = graph(fp32)
    tensor = ours.tensor(frame)[None]

    def fresh() -> onnx.ModelProto:
        return onnx.load_from_string(fp32)

    in_8_bits = to_weight_only if is_convolutional(fresh()) else to_dynamic
    converted = {"int8": in_8_bits(fresh()), "fp16": to_half(fresh())}
    network = backbone.tower if isinstance(backbone, HuggingFaceBackbone) else torch_graph(backbone)
    processor, name = _processor(encoder, graph_input)

    def peer() -> np.ndarray:
        with torch.inference_mode():
            pixels = processor(frame)
            if isinstance(backbone, HuggingFaceBackbone):
                embedding = backbone.pool(network(pixel_values=pixels).last_hidden_state)
            else:
                embedding = network(pixels)
            return projection(embedding.numpy().reshape(1, -1))

    timed: dict[str, Call] = {"torch": peer, "fp32": lambda: ours([frame])}
    for precision, model in converted.items():
        runs = graph(model.SerializeToString())
        timed[precision] = lambda runs=runs: runs([frame])  # type: ignore[misc]
    pixels = torch.from_numpy(tensor)
    count = (
        (lambda: network(pixel_values=pixels)) if isinstance(backbone, HuggingFaceBackbone) else lambda: network(pixels)
    )
    return timed, lambda: ours.tensor(frame), count, name


def _processor(encoder: str, graph_input: Any) -> tuple[Callable[[np.ndarray], Any], str]:
    import transformers

    transformers.utils.logging.set_verbosity_error()
    if (Path(encoder) / "preprocessor_config.json").is_file():
        processor = transformers.AutoImageProcessor.from_pretrained(encoder)
    else:
        processor = transformers.ViTImageProcessor(
            size={"height": graph_input.size[0], "width": graph_input.size[1]},
            image_mean=graph_input.mean,
            image_std=graph_input.std,
            resample=3,
        )
    return lambda frame: processor(frame, return_tensors="pt")["pixel_values"], type(processor).__name__


def take_turns(timed: dict[str, Call]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of each, in milliseconds."""
    durations: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(_ROUNDS):
        for name, call in timed.items():
            time.sleep(_PAUSE)
            for run in range(_WARM_UP_RUNS + _TIMED_RUNS):
                start = time.perf_counter()
                call()
                if run >= _WARM_UP_RUNS:
                    durations[name].append(1000 * (time.perf_counter() - start))
    return {
        name: {"median": float(np.median(ms)), "p95": float(np.quantile(ms, 0.95))} for name, ms in durations.items()
    }


def flops(count: Call) -> float:
    """Operations of the peer's network in 1e9; a multiply-add counts as two."""
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
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(arguments.threads)
    square = torch.randn(_PEAK_SIDE, _PEAK_SIDE)
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    results: dict[str, Any] = {"threads": arguments.threads}
    with tempfile.TemporaryDirectory() as folder:
        encoders = {"DINOv2 ViT-S/14 shape, random": str(dinov2_small(Path(folder)))}
        encoders |= {Path(name).name: name for name in arguments.encoder}
        for title, encoder in encoders.items():
            timed, preprocess, count, processor = contenders(encoder, frame, arguments.threads)
            timings = take_turns({**timed, "preprocessing": preprocess, "peak": lambda: square @ square})
            peak = 2 * _PEAK_SIDE**3 / timings.pop("peak")["median"] / 1e6
            work = flops(count)
            graph_ms = timings["fp32"]["median"] - timings["preprocessing"]["median"]
            results[title] = {
                **timings,
                "GFLOP": work,
                "peak GFLOP/s": peak,
                "part of peak": work / graph_ms * 1000 / peak,
            }
            print(f"{title}: {work:.2f} GFLOP, {arguments.threads} threads, processor of the peer {processor}")
            for name, ms in timings.items():
                ratio = "" if name == "preprocessing" else f"  {timings['torch']['median'] / ms['median']:5.2f} x torch"
                print(f"  {name:<14} median {ms['median']:7.2f} ms  p95 {ms['p95']:7.2f} ms{ratio}")
            print(
                f"  fp32 graph: {results[title]['part of peak']:.0%} of {peak:.0f} GFLOP/s, an fp32 matrix product in torch",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
