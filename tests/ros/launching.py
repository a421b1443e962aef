"""The node in a process of its own, for launch_testing."""

from __future__ import annotations

from typing import Any

import launch_testing.actions
from launch import LaunchDescription
from launch_ros.actions import LifecycleNode

from tests.ros import world


def vpr_node(**parameters: Any) -> LifecycleNode:
    """Parameters with ``__`` for a dot; the model and the map of the first lap unless others are given."""
    given = {"model": str(world.model()), "map": str(world.lap_map()), "diagnostics_period": 0.2} | parameters
    return LifecycleNode(
        package="vpr_aesvc",
        executable="vpr_node",
        name="vpr_node",
        namespace="",
        parameters=[{name.replace("__", "."): value for name, value in given.items()}],
        remappings=[("image", "/camera/image_raw"), ("camera_info", "/camera/camera_info")],
        output="screen",
    )


def description(**parameters: Any) -> tuple[LaunchDescription, dict[str, Any]]:
    node = vpr_node(**parameters)
    return LaunchDescription([node, launch_testing.actions.ReadyToTest()]), {"vpr_node": node}
