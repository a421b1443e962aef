"""The export that is fastest on this machine."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.export.model import export_model
from vpr_aesvc.files import check_free
from vpr_aesvc.openvino_session import computes_bf16
from vpr_aesvc.robot_model import GRAPH, Precision, RobotManifest, Target, save_robot_model
from vpr_aesvc.types import Frame, StageProgress

_RUNS = 15


@dataclass(frozen=True)
class Trial:
    """An export that was tried: the median time of a frame in milliseconds, or None and why it was refused."""

    target: Target
    precision: Precision
    ms: float | None
    how: str


def export_fastest(
    model: Path | str, output: Path | str, frames: Sequence[Frame], progress: StageProgress | None = None
) -> tuple[RobotManifest, list[Trial]]:
    """As ``export_model``, for each runtime that is installed here and each precision that this CPU has; writes the fastest that passes its check.

    Returns:
        the content of ``model.json``, and what was tried, in that order.

    Raises:
        VprError: as ``export_model``; no export passed.
    """
    output = Path(output)
    check_free(output, "robot model")
    candidates: list[tuple[Target, Precision]] = [("cpu", "fp32"), ("cpu", "int8")]
    if find_spec("openvino"):
        candidates += [("openvino", "fp32"), ("openvino", "int8")]
        candidates += [("openvino", "fp16")] if computes_bf16() else []
    trials: list[Trial] = []
    passed: list[tuple[float, RobotManifest, bytes]] = []
    with tempfile.TemporaryDirectory(prefix="vpr-export-") as folder:
        for target, precision in candidates:
            path = Path(folder) / f"{target}_{precision}"
            try:
                manifest = export_model(model, path, precision, frames, progress=progress, target=target)
            except VprError as error:
                if (target, precision) == candidates[0]:
                    raise  # the model or the images
                trials.append(Trial(target, precision, None, str(error).removeprefix(f"{path}: ")))
                continue
            ms = median_frame_ms(path)
            trials.append(Trial(target, precision, ms, manifest.how))
            passed.append((ms, manifest, (path / GRAPH).read_bytes()))
        _, manifest, graph = min(passed, key=lambda one: one[0])
        save_robot_model(output, manifest, graph)
    return manifest, trials


def median_frame_ms(model: Path | str) -> float:
    """From a frame to its descriptor on this machine: the median in milliseconds, once the model is warm."""
    describer = Describer.open(model)
    return statistics.median([describer.warm_up() for _ in range(_RUNS)][_RUNS // 3 :])
