"""Launch descriptions with the node in its own process, for launch_testing."""

from __future__ import annotations

from typing import Any

import launch_testing.actions
import launch_testing.asserts
from launch import LaunchDescription
from launch_ros.actions import LifecycleNode

from tests.ros import world


def vpr_node(**parameters: Any) -> LifecycleNode:
    """``__`` in a parameter name stands for a dot. By default with the model and the map of the first lap."""
    values = {"model": str(world.model()), "map": str(world.lap_map()), "diagnostics_period": 0.2} | parameters
    return LifecycleNode(
        package="vpr_aesvc",
        executable="vpr_node",
        name="vpr_node",
        namespace="",
        parameters=[{name.replace("__", "."): value for name, value in values.items()}],
        remappings=[("image", "/camera/image_raw"), ("camera_info", "/camera/camera_info")],
        output="screen",
        sigterm_timeout="60",  # a busy machine needs longer than launch's 5 s
    )


def description(**parameters: Any) -> tuple[LaunchDescription, dict[str, Any]]:
    node = vpr_node(**parameters)
    return LaunchDescription([node, launch_testing.actions.ReadyToTest()]), {"vpr_node": node}


def assert_ended_well(proc_info: Any, proc_output: Any) -> None:
    """All processes of a launch ended with exit code 0 and without a traceback."""
    launch_testing.asserts.assertExitCodes(proc_info)
    output = "".join(line.text.decode() for line in proc_output)
    assert "Traceback" not in output, output
