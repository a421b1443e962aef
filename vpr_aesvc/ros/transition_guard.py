"""A transition that the node's state does not have is refused, as by nodes in C++."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode


def install(node: LifecycleNode) -> None:
    """rclpy (Humble to Jazzy) raises from the service where there is no such transition: the caller gets no answer, and the node ends."""
    service = getattr(node, "_service_change_state", None)
    if service is None:
        return  # a newer rclpy keeps it elsewhere
    change = service.callback

    def asked(request: Any, response: Any) -> Any:
        known = node._state_machine.available_transitions
        wanted = request.transition
        if any(wanted.label == one[1] if wanted.label else wanted.id == one[0] for one in known):
            return change(request, response)
        there = ", ".join(f"{one[1]} ({one[0]})" for one in known) or "none"
        node.get_logger().warning(
            f"there is no transition {wanted.label or wanted.id} from state {node._state_machine.current_state[1]}; "
            f"there is {there}"
        )
        response.success = False
        return response

    service.callback = asked
