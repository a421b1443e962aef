"""``vpr export``."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from vpr_aesvc.cli.console import err, out, progress_bars, say_source
from vpr_aesvc.cli.options import Output
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.inputs import database_frames, open_input
from vpr_aesvc.robot_model import GRAPH, Precision, RobotManifest, Target

if TYPE_CHECKING:
    from vpr_aesvc.export.fastest import Trial


def export_command(
    model: Annotated[Path, Parameter(help="A model folder from `vpr train`.")],
    /,
    *,
    output: Output,
    precision: Annotated[
        Precision | None,
        Parameter(help="fp32 (default), fp16 for a GPU, or int8, the fastest for a transformer on a CPU."),
    ] = None,
    calibrate: Annotated[
        Path | None, Parameter(help="Images, a bag or a video to calibrate with and check on.")
    ] = None,
    target: Annotated[
        Literal[Target, "auto"],
        Parameter(
            help="What will run it; cpu: ONNX Runtime on a CPU; openvino: OpenVINO on a CPU; portable: accelerators; "
            "auto: cpu or openvino, whichever is fastest here, in the fastest precision that passes the check."
        ),
    ] = "cpu",
    force: Annotated[bool, Parameter(negative="", help="Write the export even if the check fails.")] = False,
) -> None:
    """Turn a trained model into one ONNX graph for the robot, which needs no torch.

    With --calibrate the export is compared with the original, and refused if more than 1 % of the images find another place. An export
    that passed works with maps made with the original.

    Example:  vpr export model/ -o robot_model/ --precision int8 --calibrate my_building/
    """
    from vpr_aesvc.export import export_fastest, export_model
    from vpr_aesvc.export.fastest import median_frame_ms

    check_free(output, "robot model")
    if target == "auto" and (calibrate is None or precision is not None or force):
        raise VprError(
            "--target auto chooses the precision by its check: give --calibrate IMAGES, and neither --precision nor --force"
        )
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="vpr-keyframes-") as folder, progress_bars() as progress:
        source = None if calibrate is None else open_input(calibrate)
        frames = None if source is None else database_frames(source, Path(folder), progress=progress)
        if target == "auto":
            manifest, trials = export_fastest(model, output, frames or [], progress)
        else:
            manifest = export_model(model, output, precision or "fp32", frames, force, progress, target)
    if source is not None:
        say_source(source)
    if trials:
        original = median_frame_ms(model)
        out.print(f"one frame on this machine: {original:.1f} ms as trained")
        for one in trials:
            took = (
                f"refused: {one.how}" if one.ms is None else f"{one.ms:.1f} ms, {original / one.ms:.1f} times as fast"
            )
            out.print(f"  {one.target} {one.precision}: {took}")
    _say(manifest)
    size = (output / GRAPH).stat().st_size / 1e6
    out.print(f"robot model {output} is ready, {size:.1f} MB")
    out.print(f"next: copy it to the robot, vpr query MAP IMAGES -m {output.name}")


def _say(manifest: RobotManifest) -> None:
    """The result of the check, or that there was none."""
    out.print(f"{manifest.target}, {manifest.precision}: {manifest.how}")
    check = manifest.check
    if check is None:
        warning = "warning: this export was not checked, because no images were given with --calibrate"
        err.print(f"{warning}; it gets a family of its own, so maps made with the original refuse it", style="yellow")
        return
    out.print(
        f"cosine to the original over {check.images} images: median {check.cosine_median:.4f}, min {check.cosine_min:.4f}; "
        f"top-1 of {check.views} changed views: {check.top1_changed:.1%} clearly worse"
    )
    if not check.passed:
        warning = "warning: the check failed and --force overruled it; maps made with the original refuse this export"
        err.print(warning, style="yellow")
