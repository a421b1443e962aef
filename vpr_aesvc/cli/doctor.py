"""``vpr doctor``."""

import json
from contextlib import ExitStack
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
    image_topic: Annotated[str | None, Parameter(help="Image topic of the camera.")] = None,
    compressed: Annotated[bool | None, Parameter(negative="", help="The images are on IMAGE_TOPIC/compressed.")] = None,
    camera_info_topic: Annotated[str | None, Parameter(help="CameraInfo topic; empty for none.")] = None,
    odom_topic: Annotated[str | None, Parameter(help="Odometry topic; empty for none.")] = None,
    base_frame: Annotated[str | None, Parameter(help="TF frame of the robot.")] = None,
    node: Annotated[str | None, Parameter(help="Full name of the node; default the vpr_node that runs.")] = None,
    seconds: Annotated[float, Parameter(validator=at_least(0.5), help="How long to listen.")] = 5.0,
    provider: Annotated[str | None, Parameter(help=PROVIDER_HELP)] = None,
    as_json: Json = False,
) -> None:
    """Check a robot: model and map, node, topics, stamps, TF, and the speed of this machine.

    With ROS 2 sourced it listens to the topics; without, it checks only the files and the speed. What is not given is what the running
    node uses, or else the default of the launch file. Exit code 1 if something must be changed: each line with "error" says what.

    Example:  vpr doctor --map office.vprmap
    """
    from vpr_aesvc.onboard.checkup import check_files
    from vpr_aesvc.onboard.finding import Finding
    from vpr_aesvc.ros.import_errors import explain

    with ExitStack() as stack:
        robot, recognition = None, None
        try:
            from vpr_aesvc.ros.doctor import join_graph
            from vpr_aesvc.ros.running_node import Given
        except ImportError as error:
            problem = explain(error)
        else:
            err.print(f"listening for {seconds:g} s ...")
            robot = stack.enter_context(
                join_graph(Given(node, image_topic, compressed, camera_info_topic, odom_topic, base_frame))
            )
        if robot is not None and robot.running is not None:
            used = robot.running.settings
            map, model, provider = map or _here(used.map), model or _here(used.model), provider or used.provider
            recognition = used.recognition
        found: list[Finding] = []
        speed = None
        if map or model or robot is None or robot.running is None:
            found, speed = check_files(model, map, provider or "cpu", recognition)
        if speed is not None:
            parts = f"describe {speed.describe:.1f} ms" + (
                f", recognize {speed.recognize:.1f} ms" if speed.recognize else ""
            )
            found.append(Finding("ok", f"an image of 640 x 480 takes {speed.total:.1f} ms on this machine ({parts})"))
        found += [problem] if robot is None else robot.run(speed, seconds)
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
    else:
        for one in found:
            advice = f"\n        -> {one.advice}" if one.advice else ""
            out.print(Text.assemble((f"{one.level:<7}", _STYLE[one.level]), f" {one.what}{advice}"))
    errors = sum(one.level == "error" for one in found)
    if errors:
        raise VprError(f"{errors} thing{'s' if errors > 1 else ''} must be changed")


def _here(path: str) -> Path | None:
    """A file or folder of the node, if it is on this machine too."""
    return found if path and (found := Path(path).expanduser()).exists() else None
