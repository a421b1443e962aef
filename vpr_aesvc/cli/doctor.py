"""``vpr doctor``."""

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from vpr_aesvc.cli.console import err, out
from vpr_aesvc.cli.options import Json, ModelOption, number
from vpr_aesvc.errors import VprError
from vpr_aesvc.runtime import PROVIDER_HELP

_STYLE = {"ok": "green", "warning": "yellow", "error": "red"}


def doctor_command(
    *,
    map: Annotated[Path | None, Parameter(help="The .vprmap file that the robot uses.")] = None,
    model: ModelOption = None,
    node: Annotated[str | None, Parameter(help="Full name of the node; default the vpr_node that runs.")] = None,
    seconds: Annotated[float, number("How long to listen.", 0.5)] = 5.0,
    provider: Annotated[str | None, Parameter(help=PROVIDER_HELP)] = None,
    as_json: Json = False,
) -> None:
    """Check a robot: model and map, node, topics, stamps, TF, and the speed of this machine.

    With ROS 2 sourced it asks the running node and listens to its topics; without, it checks only the files and the speed. Map and model are by
    default those of the node. Exit code 1 if something must be changed: each line with "error" says what.

    Example:  vpr doctor --map office.vprmap
    """
    from vpr_aesvc.onboard.checkup import check_files
    from vpr_aesvc.ros.import_errors import explain

    with ExitStack() as stack:
        robot = None
        try:
            from vpr_aesvc.ros.doctor import join_graph
        except ImportError as error:
            problem = explain(error)
        else:
            err.print(f"listening for {seconds:g} s ...")
            robot = stack.enter_context(join_graph(node))
            used = robot.parameters
            map, model = map or _here(used.get("map")), model or _here(used.get("model"))
            provider = provider or used.get("provider")
        only_files = robot is None or not robot.parameters
        found = list(check_files(model, map, provider or "cpu")) if map or model or only_files else []
        found += [problem] if robot is None else robot.run(seconds)
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
    else:
        for one in found:
            advice = f"\n        -> {one.advice}" if one.advice else ""
            out.print(Text.assemble((f"{one.level:<7}", _STYLE[one.level]), f" {one.what}{advice}"))
    errors = sum(one.level == "error" for one in found)
    if errors:
        raise VprError(f"{errors} thing{'s' if errors > 1 else ''} must be changed")


def _here(path: str | None) -> Path | None:
    """A file or folder of the node, if it is on this machine too."""
    return found if path and (found := Path(path).expanduser()).exists() else None
