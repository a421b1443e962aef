"""Gives AMCL of a running Nav2 its initial pose by place recognition: at the start, and again when the robot is lost.

    ros2 launch vpr_aesvc nav2_relocalize.launch.py model:=my_model map:=office.vprmap

A lifecycle manager of its own configures and activates the node, notices by the bond that it died or hung, and brings it back.
All arguments of vpr.launch.py can be given.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory("vpr_aesvc"))

MANAGER = {
    "node_names": ["vpr_node"],
    "autostart": True,
    # Seconds. DDS needs up to 20 (Fast DDS; Cyclone DDS 10) to forget a process that was killed. A manager of Jazzy or Humble that
    # notices it earlier sends a request to the dead process, and waits for the response forever.
    "bond_timeout": 24.0,
    "bond_respawn_max_duration": 60.0,
}


def generate_launch_description() -> LaunchDescription:
    parameters = DeclareLaunchArgument(
        "params_file",
        default_value=str(SHARE / "config" / "relocalize.yaml"),
        description="Parameter file of the node (YAML); launch arguments override it",
    )
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "vpr.launch.py")),
        launch_arguments={"autostart": "false", "use_respawn": "true"}.items(),
    )
    manager = Node(
        package="nav2_lifecycle_manager",
        executable="lifecycle_manager",
        name="lifecycle_manager_vpr",
        namespace=LaunchConfiguration("namespace"),
        parameters=[MANAGER],
        output="screen",
    )
    return LaunchDescription([parameters, node, manager])
