"""Starts slam_toolbox in localization mode, and gives it its initial pose by place recognition.

    ros2 launch vpr_aesvc slam_toolbox_relocalize.launch.py model:=my_model map:=office.vprmap pose_graph:=/maps/office

All arguments of nav2_relocalize.launch.py can be given.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import SetParameter
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

SLAM_TOOLBOX = FindPackageShare("slam_toolbox")
LAUNCH = Path(get_package_share_directory("vpr_aesvc")) / "launch"

ARGUMENTS = [
    ("pose_graph", None, "Map that slam_toolbox has serialized: its path without .posegraph"),
    (
        "slam_params_file",
        PathJoinSubstitution([SLAM_TOOLBOX, "config", "mapper_params_localization.yaml"]),
        "Parameter file of slam_toolbox (YAML)",
    ),
    ("use_sim_time", "false", "Use the time of /clock, from a simulator or a bag"),
]


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    slam_toolbox = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([SLAM_TOOLBOX, "launch", "localization_launch.py"])),
        launch_arguments={name: LaunchConfiguration(name) for name in ("slam_params_file", "use_sim_time")}.items(),
    )
    # Of this group only. The pose is a guess that slam_toolbox needs; the initial pose replaces it.
    group = [
        SetParameter("map_file_name", LaunchConfiguration("pose_graph")),
        SetParameter(
            "map_start_pose", ParameterValue("[0.0, 0.0, 0.0]", value_type=str)
        ),  # launch writes a list as a tuple
        slam_toolbox,
    ]
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(LAUNCH / "nav2_relocalize.launch.py")),
        launch_arguments={"amcl_pose_topic": "pose"}.items(),
    )
    return LaunchDescription([*declared, GroupAction(group), node])
