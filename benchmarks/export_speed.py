"""What runs an exported encoder fastest on this CPU: the table of all runtimes and precisions, beside eager torch.

    python benchmarks/export_speed.py [--threads N] [--json FILE]

A DINOv2 ViT-S/14 at 224 x 224 with random weights, batch size 1, the network alone. The contenders take turns in one run. int8 quantizes all
72 matrix products, with 12 drawn images as calibration; an export of real weights may keep some in fp32 and takes longer. "cosine" and
"top-1 changed" are the check of `vpr export` against torch, on 12 other images and their augmented views. OpenVINO is left out if it is not
installed; a graph with fp16 weights is computed in bfloat16 on a CPU that has it. NNCF, if it is installed, quantizes for OpenVINO with the same images, as
its documentation says for transformers; the titles of OpenVINO say in what it computes the rest, which may not be what was asked for.

The peaks are those of a large matrix product on as many threads: fp32 in torch, int8 in ONNX Runtime. "of peak" is the speed of the network
(its multiply-adds count as two operations) over the peak of the contender's type.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from latency import Call, dinov2_small, flops, take_turns

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.demo import draw_route
from vpr_aesvc.export.check import Describe, Reference
from vpr_aesvc.export.graph import fused_graph
from vpr_aesvc.export.portable import standard_operators
from vpr_aesvc.export.precision import to_dynamic, to_half, to_static
from vpr_aesvc.images import read_image
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.runtime import default_threads, open_session

_PEAK_SIDE = 1536


def int8_product(threads: int) -> Call:
    """A matrix product of int8 numbers in ONNX Runtime."""
    from onnx import TensorProto, helper, numpy_helper

    random, side = np.random.default_rng(0), _PEAK_SIDE
    weights = numpy_helper.from_array(random.integers(-64, 64, (side, side), np.int8), "weights")
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["rows", "weights"], ["product"])],
        "peak",
        [helper.make_tensor_value_info("rows", TensorProto.UINT8, [side, side])],
        [helper.make_tensor_value_info("product", TensorProto.INT32, [side, side])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = open_session(model.SerializeToString(), "peak", threads=threads)
    rows = random.integers(0, 256, (side, side), np.uint8)
    return lambda: session.run(["product"], {"rows": rows})


def graphs(folder: Path, images: Sequence[np.ndarray]) -> tuple[Any, dict[str, tuple[str, bytes]], Any]:
    """The backbone, the graphs to time as {name: (provider, bytes)}, and the rule that makes tensors of images."""
    import onnx

    backbone = open_backbone(str(dinov2_small(folder)))
    unchanged = Projection.of(np.zeros(backbone.dim, np.float32), np.eye(backbone.dim, dtype=np.float32))
    fused, described, output = fused_graph(backbone, unchanged)
    fp32 = fused.SerializeToString()

    def fresh() -> onnx.ModelProto:
        return onnx.load_from_string(fp32)

    portable = standard_operators(fresh(), output.name, described).SerializeToString()
    rule = described.preprocess()
    tensors = [rule(image)[None] for image in images]
    static = to_static(onnx.load_from_string(portable), tensors).SerializeToString()
    made = {
        "ONNX Runtime fp32": ("cpu", fp32),
        "ONNX Runtime int8, dynamic": ("cpu", to_dynamic(fresh()).SerializeToString()),
        "ONNX Runtime int8, static": ("cpu", static),
    }
    if find_spec("openvino"):
        half = to_half(onnx.load_from_string(portable)).SerializeToString()
        made |= {
            "OpenVINO fp32": ("openvino", portable),
            "OpenVINO fp16 weights": ("openvino", half),
            "OpenVINO int8, static": ("openvino", static),
        }
    return backbone, made, rule


def openvino_call(
    graph: bytes, threads: int, precision: str, calibration: Sequence[np.ndarray] = ()
) -> tuple[str, Any]:
    """A graph compiled with a precision as hint, and quantized by NNCF if there is ``calibration``. Returns the precision that OpenVINO took, and a
    function of the input tensor."""
    import openvino

    model = openvino.Core().read_model(graph)
    if calibration:
        import nncf

        model = nncf.quantize(
            model, nncf.Dataset(calibration), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(calibration)
        )
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
    compiled = openvino.Core().compile_model(model, "CPU", options)
    request = compiled.create_infer_request()
    taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return taken, lambda tensor: next(iter(request.infer([tensor]).values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = sorted(draw_route(folder / "route", places=24, queries=1, seed=1).parent.rglob("*.jpg"))[:24]
        images = [read_image(path) for path in drawn]
        backbone, made, rule = graphs(folder / "encoder", images[::2])
    pixels = torch.from_numpy(rule(images[0])[None])

    def eager() -> Any:
        with torch.inference_mode():
            return backbone.pool(backbone.tower(pixel_values=pixels).last_hidden_state)

    timed: dict[str, Call] = {"torch eager": eager}
    describe: dict[str, Describe] = {}
    sessions = {}
    for title, (provider, graph) in made.items():
        session = open_session(graph, title, provider, arguments.threads)
        title = f"{title}, computed in {session.precision}" if title == "OpenVINO fp16 weights" else title
        sessions[title], image = session, session.get_inputs()[0].name
        timed[title] = lambda session=session, image=image: session.run(["descriptor"], {image: pixels.numpy()})
        describe[title] = lambda some, session=session, image=image: np.concatenate(
            [session.run(["descriptor"], {image: rule(one)[None]})[0] for one in some]
        )
    if find_spec("openvino"):
        asked = {"OpenVINO bf16": ("bf16", ())}
        if find_spec("nncf"):
            asked["OpenVINO int8 by NNCF"] = ("f32", [rule(image)[None] for image in images[::2]])
        for title, (precision, calibration) in asked.items():
            taken, run = openvino_call(made["OpenVINO fp32"][1], arguments.threads, precision, calibration)
            title = f"{title}, computed in {taken}"
            timed[title] = lambda run=run: run(pixels.numpy())
            describe[title] = lambda some, run=run: np.concatenate([run(rule(one)[None]).copy() for one in some])
    square = torch.randn(_PEAK_SIDE, _PEAK_SIDE)
    peaks = {"fp32": lambda: square @ square, "int8": int8_product(arguments.threads)}
    labels = [path.name for path in drawn[1::2]]

    def original(some: Sequence[np.ndarray]) -> np.ndarray:
        rows = backbone.embed(list(some))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    reference = Reference.of(original, images[1::2], labels)
    checks = {title: reference.check(one) for title, one in describe.items()}
    timings = take_turns({**timed, **peaks})
    peak = {kind: 2 * _PEAK_SIDE**3 / timings.pop(kind)["median"] / 1e6 for kind in peaks}
    work, slow = flops(eager), timings["torch eager"]["median"]
    print(f"DINOv2 ViT-S/14 shape, random weights: {work:.2f} GFLOP, {arguments.threads} threads")
    print(f"peak of a matrix product: fp32 {peak['fp32']:.0f} GFLOP/s, int8 {peak['int8']:.0f} GOP/s\n")
    print(
        "| run by | median ms | p95 ms | x torch | of peak | median cosine | top-1 changed |\n|---|---|---|---|---|---|---|"
    )
    results: dict[str, Any] = {"threads": arguments.threads, "GFLOP": work, "peak": peak}
    for title, ms in timings.items():
        kind = "int8" if "int8" in title else "fp32"
        part = work / ms["median"] * 1000 / peak[kind]
        check = checks.get(title)
        checked = f"{check.cosine_median:.4f} | {check.top1_changed:.0%}" if check else "– | –"
        ratio = slow / ms["median"]
        print(f"| {title} | {ms['median']:.1f} | {ms['p95']:.1f} | {ratio:.2f} | {part:.0%} of {kind} | {checked} |")
        results[title] = {**ms, "x torch": ratio, "of peak": part, "check": check.model_dump() if check else None}
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
