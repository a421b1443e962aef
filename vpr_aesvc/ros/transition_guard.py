"""Refuses a transition that is not possible in the current state, as rclcpp does."""

from typing import Any

from rclpy.lifecycle import LifecycleNode


def install(node: LifecycleNode) -> None:
    """Wraps the change_state service. rclpy (Humble to Jazzy) raises there: the client gets no response, and the node ends."""
    service = getattr(node, "_service_change_state", None)
    if service is None:
        return  # newer rclpy: another attribute
    original = service.callback

    def change_state(request: Any, response: Any) -> Any:
        available = node._state_machine.available_transitions  # (id, label, ...) each
        requested = request.transition
        if any(requested.label == item[1] if requested.label else requested.id == item[0] for item in available):
            return original(request, response)
        names = ", ".join(f"{item[1]} ({item[0]})" for item in available) or "none"
        node.get_logger().warning(
            f"transition {requested.label or requested.id} is not possible in state {node._state_machine.current_state[1]}; "
            f"possible: {names}"
        )
        response.success = False
        return response

    service.callback = change_state
