"""Launch descriptions with the node in its own process, for launch_testing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import launch_testing.actions
import launch_testing.asserts
from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
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


def vpr_launch(namespace: str, **arguments: Any) -> GroupAction:
    """The launch file with its own arguments, by default with the model and the map of the first lap."""
    arguments = {"namespace": namespace, "model": world.model(), "map": world.lap_map()} | arguments
    file = Path(get_package_share_directory("vpr_aesvc")) / "launch" / "vpr.launch.py"
    words = [(name, str(value)) for name, value in arguments.items()]
    return GroupAction([IncludeLaunchDescription(PythonLaunchDescriptionSource(str(file)), launch_arguments=words)])


def description(**parameters: Any) -> tuple[LaunchDescription, dict[str, Any]]:
    node = vpr_node(**parameters)
    return LaunchDescription([node, launch_testing.actions.ReadyToTest()]), {"vpr_node": node}


def assert_ended_well(proc_info: Any, proc_output: Any) -> None:
    """All processes of a launch ended with exit code 0 and without a traceback."""
    launch_testing.asserts.assertExitCodes(proc_info)
    output = "".join(line.text.decode() for line in proc_output)
    assert "Traceback" not in output, output
