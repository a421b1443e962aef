"""Parameters that are changed while the node lives."""

from __future__ import annotations

from concurrent.futures import CancelledError
from functools import partial
from typing import TYPE_CHECKING

from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from vpr_aesvc.errors import VprError
from vpr_aesvc.ros import parameters
from vpr_aesvc.ros.parameter_specs import all_parameter_specs
from vpr_aesvc.ros.settings import LIVE, NodeSettings

if TYPE_CHECKING:
    from vpr_aesvc.onboard.engine import Engine
    from vpr_aesvc.ros.node import VprNode


def on_set_parameters(node: VprNode, changed: list[Parameter]) -> SetParametersResult:
    """Takes the change, or says why not; nothing is changed then."""
    mine = {setting.name: setting for setting in all_parameter_specs()}
    wanted = [parameter for parameter in changed if parameter.name in mine]
    if not wanted:
        return SetParametersResult(successful=True)
    with node.busy:
        fixed = [parameter.name for parameter in wanted if not mine[parameter.name].live]
        if fixed and node.engine is not None:
            return parameters.refused(f"{', '.join(fixed)}: only before the node is configured; clean it up first")
        try:
            settings = parameters.read(node, wanted)
            if node.engine is not None and node.worker is not None:
                node.worker.submit(partial(_apply, node.engine, node.settings, settings)).result()
        except VprError as error:
            return parameters.refused(str(error))
        except CancelledError:
            return parameters.refused("the node is stopping")
        node.settings = settings
    return SetParametersResult(successful=True)


def _apply(engine: Engine, before: NodeSettings, after: NodeSettings) -> None:
    """In the worker's thread, between two frames."""
    assert LIVE == ("recognition", "keyframes")
    if after.recognition != before.recognition:
        engine.set_recognition(after.recognition)
    if after.keyframes != before.keyframes:
        engine.set_keyframes(after.keyframes)
