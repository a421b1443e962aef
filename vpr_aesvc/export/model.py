"""Model folder -> robot model folder."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.backbones import Backbone
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.backbones.hog import HogBackbone
from vpr_aesvc.backbones.onnx import OnnxBackbone
from vpr_aesvc.backbones.onnx_graph import Graph, PreprocessFile
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError, require_installed
from vpr_aesvc.export.check import MAX_CHANGED, MIN_COSINE, Describe, Reference
from vpr_aesvc.export.eight_bits import Attempt, eight_bits
from vpr_aesvc.export.graph import fused_graph
from vpr_aesvc.export.patches import add_patches
from vpr_aesvc.export.portable import standard_operators
from vpr_aesvc.export.precision import to_half
from vpr_aesvc.extraction import Reader
from vpr_aesvc.files import check_free
from vpr_aesvc.model import Manifest
from vpr_aesvc.openvino_session import computes_bf16
from vpr_aesvc.robot_model import GRAPH, Original, Precision, RobotManifest, Target, save_robot_model
from vpr_aesvc.types import Frame, Image, StageProgress

_MAX_IMAGES = 250  # evenly spaced; with the augmented views 500 runs of each model
_MIN_IMAGES = 10
_CALIBRATION_STEP = 5  # every fifth image calibrates, the others check


def export_model(
    model: Path | str,
    output: Path | str,
    precision: Precision = "fp32",
    frames: Sequence[Frame] | None = None,
    force: bool = False,
    progress: StageProgress | None = None,
    target: Target = "cpu",
) -> RobotManifest:
    """Writes the robot model ``output``: one graph from normalized image to descriptor, and to patches if its encoder
    has some. It needs no torch.

    Args:
        model: a folder made by training.
        output: a folder that does not exist yet.
        frames: images like those that the robot will see. Up to 250 of them, evenly spaced, calibrate and check the export. Without
            images the export is not checked, and maps of the original refuse it.
        force: write the export even if the check fails; maps of the original then refuse it.
        progress: called with (stage, done, total).
        target: ``cpu``: for ONNX Runtime, with attention as one node, which is faster there. The others have standard operators of opset 17
            alone, and static int8, which needs ``frames``. ``openvino``: OpenVINO checks and runs it, and must be installed.
            ``tensorrt``, ``portable``: ONNX Runtime checks it on the CPU; for TensorRT, and for the compilers of accelerators.

    Returns:
        the content of ``model.json``, with the result of the check in ``check``.

    Raises:
        VprError: the model has no graph, the output exists, there are too few images, onnx or torch is missing, or the check failed.
    """
    model, output = Path(model), Path(output)
    check_free(output, "robot model")
    require_installed("exporting", "onnx")
    provider = "cpu"
    if target == "openvino":
        require_installed("exporting for OpenVINO", "openvino")
        provider = "openvino"
    portable = target != "cpu"
    if portable and precision == "int8" and frames is None:
        raise VprError(f"int8 for {target} takes the ranges of its numbers from images; give some with --calibrate")
    describer = Describer.open(model).of_size(None)
    _check_has_graph(model, describer)
    assert describer.projection is not None and isinstance(describer.manifest, Manifest)
    images, labels = _read_images(frames)
    fused, graph_input, graph_output = fused_graph(describer.backbone, describer.projection)
    patches = add_patches(fused, graph_output.name, graph_input)
    fp32 = (standard_operators(fused, graph_output.name, graph_input) if portable else fused).SerializeToString()

    def run(graph: bytes) -> Graph:
        return Graph(graph, output / GRAPH, PreprocessFile(input=graph_input, output=graph_output), provider)

    calibration = slice(0, None, _CALIBRATION_STEP) if precision == "int8" else slice(0, 0)
    tensors = [run(fp32).tensor(image)[None] for image in images[calibration]]
    del images[calibration], labels[calibration]
    reference = Reference.of(_with_progress(describer, len(images), progress), images, labels) if images else None
    attempt = _convert(precision, fp32, tensors, reference, run, progress, portable)
    if attempt.check is not None and not attempt.check.passed and not force:
        raise VprError(
            f"{output}: not written, as {attempt.check.top1_changed:.1%} of {attempt.check.views} views find a clearly worse place than "
            f"with the original (limit {MAX_CHANGED:.0%}) and the median cosine to the original is {attempt.check.cosine_median:.3f} "
            f"(limit {MIN_COSINE}; {attempt.how}); choose fp16 or fp32, or --force it"
        )
    how = attempt.how
    if target == "openvino" and precision != "fp32":  # OpenVINO chooses the type of what is not quantized
        how += f"; here OpenVINO computed the rest in {'bf16' if computes_bf16() else 'fp32'}"
    manifest = RobotManifest.of(
        attempt.graph,
        precision=precision,
        target=target,
        how=how,
        input=graph_input,
        output=graph_output,
        patches=patches,
        sizes=list(describer.sizes),
        recommended_size=describer.manifest.recommended_size,
        original=Original(
            fingerprint=describer.fingerprint, backbone=_source(describer.backbone), method=describer.manifest.method
        ),
        check=attempt.check,
    )
    save_robot_model(output, manifest, attempt.graph)
    return manifest


def _source(backbone: Backbone) -> str:
    """Where the encoder comes from: of a fetched one its source, else what opens it."""
    return (isinstance(backbone, OnnxBackbone) and backbone.described.source) or backbone.spec


def _check_has_graph(model: Path, describer: Describer) -> None:
    if describer.projection is None:
        raise VprError(f"{model}: is a robot model already; export the trained model it was made from")
    if isinstance(describer.backbone, HogBackbone):
        raise VprError(f"{model}: needs no export, as hog runs without torch; copy the folder to the robot")
    if isinstance(describer.backbone, GivenEmbeddings):
        raise VprError(
            f"{model}: was trained on precomputed embeddings, so there is no network to export; train a model with a backbone"
        )


def _read_images(frames: Sequence[Frame] | None) -> tuple[list[Image], list[str]]:
    if frames is None:
        return [], []
    rows = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _MAX_IMAGES)).astype(np.int64))
    reader = Reader([frames[row] for row in rows])
    read = [(image, reader.frames[at].label) for at, image in reader]
    if len(read) < _MIN_IMAGES:
        raise VprError(
            f"the check of an export needs at least {_MIN_IMAGES} images, found {len(read)} that can be read"
        )
    return [image for image, _ in read], [label for _, label in read]


def _with_progress(describer: Describer, count: int, progress: StageProgress | None) -> Describe:
    """Describes 16 images at a time and reports progress; ``count`` images and as many views."""
    done = 0

    def describe(images: Sequence[Image]) -> NDArray[np.float32]:
        nonlocal done
        parts = []
        for at in range(0, len(images), 16):
            parts.append(describer.describe_batch(images[at : at + 16]))
            done += len(parts[-1])
            if progress:
                progress("describing with the original", done, 2 * count)
        return np.concatenate(parts)

    return describe


def _convert(
    precision: Precision,
    fp32: bytes,
    tensors: list[NDArray[np.float32]],
    reference: Reference | None,
    run: Callable[[bytes], Graph],
    progress: StageProgress | None,
    portable: bool,
) -> Attempt:
    import onnx

    if precision == "int8":
        return eight_bits(lambda: onnx.load_from_string(fp32), tensors, reference, run, progress, portable)
    graph, how = fp32, "as trained"
    if precision == "fp16":
        graph, how = to_half(onnx.load_from_string(fp32)).SerializeToString(), "the projection stays in fp32"
    how += "; standard operators" if portable else ""
    return Attempt(graph, how, None if reference is None else reference.check(run(graph)))
