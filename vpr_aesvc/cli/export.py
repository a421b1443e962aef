"""``vpr export``."""

import tempfile
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from vpr_aesvc.cli.console import err, out, progress_bars, say_source
from vpr_aesvc.cli.options import Output
from vpr_aesvc.files import check_free
from vpr_aesvc.inputs import database_frames, open_input
from vpr_aesvc.robot_model import GRAPH, RobotManifest


def export_command(
    model: Annotated[Path, Parameter(help="A model folder from `vpr train`.")],
    /,
    *,
    output: Output,
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        Parameter(help="fp16 is for a GPU; int8 is the fastest for a transformer on a CPU."),
    ] = "fp32",
    calibrate: Annotated[
        Path | None, Parameter(help="Images, a bag or a video to calibrate with and check on.")
    ] = None,
    target: Annotated[
        Literal["cpu", "portable"],
        Parameter(
            help="portable: standard ONNX operators, for OpenVINO, TensorRT, accelerators; cpu: for ONNX Runtime."
        ),
    ] = "cpu",
    force: Annotated[bool, Parameter(negative="", help="Write the export even if the check fails.")] = False,
) -> None:
    """Turn a trained model into one ONNX graph for the robot, which needs no torch.

    With --calibrate the export is compared with the original, and refused if more than 1 % of the images find another place. An export
    that passed works with maps made with the original.

    Example:  vpr export model/ -o robot_model/ --precision int8 --calibrate my_building/
    """
    from vpr_aesvc.export import export_model

    check_free(output, "robot model")
    with tempfile.TemporaryDirectory(prefix="vpr-keyframes-") as folder, progress_bars() as progress:
        source = None if calibrate is None else open_input(calibrate)
        frames = None if source is None else database_frames(source, Path(folder), progress=progress)
        manifest = export_model(model, output, precision, frames, force, progress, target == "portable")
    if source is not None:
        say_source(source)
    _say(manifest)
    size = (output / GRAPH).stat().st_size / 1e6
    out.print(f"robot model {output} is ready, {size:.1f} MB")
    out.print(f"next: copy it to the robot, vpr query MAP IMAGES -m {output.name}")


def _say(manifest: RobotManifest) -> None:
    """The result of the check, or that there was none."""
    out.print(f"{manifest.precision}: {manifest.how}")
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
