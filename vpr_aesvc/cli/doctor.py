"""``vpr doctor``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from vpr_aesvc.cli.console import err, out
from vpr_aesvc.cli.options import Json, at_least
from vpr_aesvc.errors import VprError
from vpr_aesvc.runtime import PROVIDER_HELP

_STYLE = {"ok": "green", "warning": "yellow", "error": "red"}


def doctor_command(
    *,
    map: Annotated[Path | None, Parameter(help="The .vprmap file that the robot uses.")] = None,
    model: Annotated[
        Path | None, Parameter(name=("--model", "-m"), help="The model folder; default the map's.")
    ] = None,
    image_topic: Annotated[str, Parameter(help="Image topic of the camera.")] = "/camera/image_raw",
    compressed: Annotated[bool, Parameter(negative="", help="The images are on IMAGE_TOPIC/compressed.")] = False,
    odom_topic: Annotated[str, Parameter(help="Odometry topic; empty for none.")] = "/odom",
    base_frame: Annotated[str, Parameter(help="TF frame of the robot.")] = "base_link",
    node: Annotated[str, Parameter(help="Full name of the node.")] = "/vpr_node",
    seconds: Annotated[float, Parameter(validator=at_least(0.5), help="How long to listen.")] = 5.0,
    provider: Annotated[str, Parameter(help=PROVIDER_HELP)] = "cpu",
    as_json: Json = False,
) -> None:
    """Check a robot: model and map, topics, stamps, TF, and the speed of this machine.

    With ROS 2 sourced it listens to the topics; without, it checks only the files and the speed. Exit code 1 if something must be
    changed.

    Example:  vpr doctor --map office.vprmap
    """
    from vpr_aesvc.onboard.checkup import Finding, check_files

    found, speed = check_files(model, map, provider=provider)
    if speed is not None:
        parts = f"describe {speed.describe:.1f} ms" + (
            f", recognize {speed.recognize:.1f} ms" if speed.recognize else ""
        )
        found.append(Finding("ok", f"an image of 640 x 480 takes {speed.total:.1f} ms on this machine ({parts})"))
    try:
        from vpr_aesvc.ros.doctor import NodeTopics, check_robot
    except ImportError as error:
        advice = "source /opt/ros/DISTRO/setup.bash and the workspace, then run this again"
        found.append(Finding("warning", f"ROS 2 is not sourced ({error}): topics were not looked at", advice))
    else:
        err.print(f"listening for {seconds:g} s ...")
        wiring = NodeTopics(image_topic, compressed, odom_topic or None, base_frame, node)
        found += check_robot(wiring, speed, seconds)
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
    else:
        for one in found:
            advice = f"\n        -> {one.advice}" if one.advice else ""
            out.print(Text.assemble((f"{one.level:<7}", _STYLE[one.level]), f" {one.what}{advice}"))
    errors = sum(one.level == "error" for one in found)
    if errors:
        raise VprError(f"{errors} thing{'s' if errors > 1 else ''} must be changed")
