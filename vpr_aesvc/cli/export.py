"""``vpr export``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from vpr_aesvc.cli.console import err, out, progress_bars
from vpr_aesvc.datasets import open_input
from vpr_aesvc.files import check_free
from vpr_aesvc.keyframes.folder import write_keyframes
from vpr_aesvc.recordings import is_recording, open_recording
from vpr_aesvc.robot_model import GRAPH, RobotManifest
from vpr_aesvc.types import Frame


class _Precision(str, Enum):
    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


def export_command(
    model: Annotated[Path, typer.Argument(help="A model folder made by `vpr train`.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The robot model folder to make.")],
    precision: Annotated[
        _Precision, typer.Option(help="fp32; fp16 for a GPU; int8, the fastest for a transformer on a CPU.")
    ] = _Precision.fp32,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            help="Real images (its rows with split `database`), or a bag or video, to calibrate with and to check the export on."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write it also where the check fails.")] = False,
) -> None:
    """Make of a trained model one graph for the robot, which needs no torch.

    With --calibrate the export is checked beside the original, and refused where it finds other places: more than 1 % of the
    images. An export that passed uses the maps of the original.

    Example:  vpr export model/ -o robot_model/ --precision int8 --calibrate my_building/
    """
    from vpr_aesvc.export import export_model

    check_free(output, "robot model")
    with tempfile.TemporaryDirectory(prefix="vpr-keyframes-") as folder, progress_bars() as progress:
        frames = None if calibrate is None else _frames(calibrate, Path(folder), progress)
        manifest = export_model(model, output, precision.value, frames, force, progress)
    _say(manifest)
    size = (output / GRAPH).stat().st_size / 1e6
    out.print(
        f"robot model {output} is ready, {size:.1f} MB; next: copy it to the robot, vpr query MAP IMAGES -m {output.name}",
        markup=False,
    )


def _frames(calibrate: Path, folder: Path, progress: Callable[[str, int, int], None]) -> Sequence[Frame]:
    """Of a recording, its keyframes, written to ``folder``."""
    if is_recording(calibrate):
        return write_keyframes(open_recording(calibrate), folder, progress=partial(progress, "choosing keyframes"))
    return open_input(calibrate).split("database").frames


def _say(manifest: RobotManifest) -> None:
    """The check, or that there was none."""
    out.print(f"{manifest.precision}: {manifest.how}", markup=False)
    check = manifest.check
    if check is None:
        err.print(
            "warning: this export was not checked, as no images were given with --calibrate; it has a fingerprint family of its own, "
            "so maps made with the original refuse it",
            style="yellow",
        )
        return
    out.print(
        f"cosine to the original over {check.images} images: median {check.cosine_median:.4f}, "
        f"1st percentile {check.cosine_p1:.4f}, min {check.cosine_min:.4f}"
    )
    out.print(
        f"top-1 of {check.views} changed views: {check.top1_changed:.1%} clearly worse, {check.top1_other:.1%} with near ties; "
        f"own image found {check.own_found[0]:.3f} before, {check.own_found[1]:.3f} after"
    )
    if not check.passed:
        err.print(
            "warning: the check failed and was overruled; maps made with the original refuse this", style="yellow"
        )
