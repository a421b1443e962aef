"""From a model folder to a robot model folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.backbones.hog import HogBackbone
from vpr_aesvc.backbones.onnx import Graph, PreprocessFile
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.export.check import LEAST_COSINE, MOST_CHANGED, Reference
from vpr_aesvc.export.eight_bits import Attempt, eight_bits
from vpr_aesvc.export.graph import fused_graph
from vpr_aesvc.export.precision import to_half
from vpr_aesvc.extraction import Reader
from vpr_aesvc.files import check_free
from vpr_aesvc.model import Manifest
from vpr_aesvc.robot_model import GRAPH, Original, Precision, RobotManifest, save_robot_model
from vpr_aesvc.types import Frame

_IMAGES = 250  # looked at, evenly chosen: with the changed views 500 runs of each model
_FEWEST = 10
_CALIBRATES = 5  # every fifth image calibrates, the others check
Progress = Callable[[str, int, int], None]


def export_model(
    model: Path | str,
    output: Path | str,
    precision: Precision = "fp32",
    frames: Sequence[Frame] | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> RobotManifest:
    """Writes the robot model ``output``: one graph from normalized image to descriptor, which needs no torch.

    Args:
        model: a folder made by training.
        output: a folder that does not exist yet.
        frames: real images of the kind the robot will see; up to 250 of them, evenly chosen, calibrate and check the export. Without
            them the export is not checked, and no map of the original accepts it.
        force: write it also where the check fails. Such an export has a family of its own too.
        progress: called with (stage, done, of).

    Returns:
        what ``model.json`` says, the check's result in ``check``.

    Raises:
        VprError: a model without a graph, an output that exists, too few images, onnx or torch missing, or a check that failed.
    """
    model, output = Path(model), Path(output)
    check_free(output, "robot model")
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise VprError("exporting needs onnx: pip install 'vpr_aesvc[train]'") from error
    describer = Describer.open(model)
    _check_has_graph(model, describer)
    assert describer.projection is not None and isinstance(describer.manifest, Manifest)
    images, labels = _images(frames, progress)
    fused, given, gives = fused_graph(describer.backbone, describer.projection)
    whole = fused.SerializeToString()

    def run(graph: bytes) -> Graph:
        return Graph(graph, output / GRAPH, PreprocessFile(input=given, output=gives))

    calibrates = slice(0, None, _CALIBRATES) if precision == "int8" else slice(0, 0)
    tensors = [run(whole).tensor(image)[None] for image in images[calibrates]]
    del images[calibrates], labels[calibrates]
    reference = Reference.of(_with_progress(describer, len(images), progress), images, labels) if images else None
    made = _made(precision, whole, tensors, reference, run, progress)
    if made.check is not None and not made.check.passed and not force:
        raise VprError(
            f"{output}: not written, as {made.check.top1_changed:.1%} of {made.check.views} views find a clearly worse place than "
            f"with the original (at most {MOST_CHANGED:.0%} may) and the cosine to it is {made.check.cosine_median:.3f} in the median "
            f"(at least {LEAST_COSINE} must be; {made.how}); "
            "choose fp16 or fp32, or --force it"
        )
    manifest = RobotManifest.of(
        made.graph,
        precision=precision,
        how=made.how,
        input=given,
        output=gives,
        sizes=list(describer.sizes),
        original=Original(
            fingerprint=describer.fingerprint, backbone=describer.backbone.spec, method=describer.manifest.method
        ),
        check=made.check,
    )
    save_robot_model(output, manifest, made.graph)
    return manifest


def _check_has_graph(model: Path, describer: Describer) -> None:
    if describer.projection is None:
        raise VprError(f"{model}: is a robot model already; export the trained model that it was made from")
    if isinstance(describer.backbone, HogBackbone):
        raise VprError(f"{model}: needs no export, hog runs without torch as it is; copy the folder to the robot")
    if isinstance(describer.backbone, GivenEmbeddings):
        raise VprError(
            f"{model}: was trained on embeddings that were computed elsewhere, so there is no network to export; train it on a "
            "backbone that runs here"
        )


def _images(frames: Sequence[Frame] | None, progress: Progress | None) -> tuple[list[NDArray[np.uint8]], list[str]]:
    if frames is None:
        return [], []
    at = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _IMAGES)).astype(np.int64))
    reader = Reader([frames[row] for row in at])
    read = [(image, reader.frames[row].label) for row, image in reader]
    if len(read) < _FEWEST:
        raise VprError(f"an export is checked on at least {_FEWEST} images, found {len(read)} that can be read")
    return [image for image, _ in read], [label for _, label in read]


def _with_progress(
    describer: Describer, count: int, progress: Progress | None
) -> Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float32]]:
    """Describes sixteen images at a time, and says how far it is: images and their views are 2 ``count``."""
    done = 0

    def describe(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        nonlocal done
        parts = []
        for at in range(0, len(images), 16):
            parts.append(describer.describe_batch(images[at : at + 16]))
            done += len(parts[-1])
            if progress:
                progress("describing with the original", done, 2 * count)
        return np.concatenate(parts)

    return describe


def _made(
    precision: Precision,
    whole: bytes,
    tensors: list[NDArray[np.float32]],
    reference: Reference | None,
    run: Callable[[bytes], Graph],
    progress: Progress | None,
) -> Attempt:
    import onnx

    if precision == "int8":
        return eight_bits(lambda: onnx.load_from_string(whole), tensors, reference, run, progress)
    graph, how = whole, "as trained"
    if precision == "fp16":
        graph, how = to_half(onnx.load_from_string(whole)).SerializeToString(), "the projection stays in fp32"
    return Attempt(graph, how, None if reference is None else reference.check(run(graph)))
