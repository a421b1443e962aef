"""Parameter changes while the node runs."""

from concurrent.futures import CancelledError
from functools import partial

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from vpr_aesvc.errors import VprError
from vpr_aesvc.ros import parameters
from vpr_aesvc.ros.parameter_specs import all_parameter_specs
from vpr_aesvc.ros.session import Session
from vpr_aesvc.ros.settings import LIVE, NodeSettings


def on_set_parameters(node: Node, session: Session | None, changed: list[Parameter]) -> SetParametersResult:
    """Applies the changes, or refuses all of them with the reason. ``session`` is None while the node is not configured."""
    specs = {spec.name: spec for spec in all_parameter_specs()}
    requested = [parameter for parameter in changed if parameter.name in specs]
    if not requested:
        return SetParametersResult(successful=True)
    fixed = [parameter.name for parameter in requested if not specs[parameter.name].live]
    if fixed and session is not None:
        reason = "can be set only before the node is configured; run the cleanup transition first"
        return SetParametersResult(successful=False, reason=f"{', '.join(fixed)}: {reason}")
    try:
        settings = parameters.read(node, requested)
        if session is not None:
            session.worker.submit(partial(_apply, session, settings)).result()
        return SetParametersResult(successful=True)
    except VprError as error:
        reason = str(error)
    except CancelledError:
        reason = "the node is stopping"
    return SetParametersResult(successful=False, reason=reason)


def _apply(session: Session, settings: NodeSettings) -> None:
    """Runs in the worker thread, between two frames."""
    assert LIVE == ("recognition", "keyframes")
    if settings.recognition != session.settings.recognition:
        session.engine.set_recognition(settings.recognition)
    if settings.keyframes != session.settings.keyframes:
        session.engine.set_keyframes(settings.keyframes)
    session.settings = settings
