"""Starts the node in mode slam, and gives its loop closures to a running RTAB-Map.

    ros2 launch vpr_aesvc rtabmap.launch.py model:=my_model map:=office.vprmap image_topic:=/camera/image_raw odom_topic:=/rtabmap/odom

All arguments of vpr.launch.py can be given.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

# Of the bridge, below the namespace of RTAB-Map. The services have the name of its node before them.
NAMES = ("mapData", "rtabmap/add_link", "rtabmap/get_map_data2", "rtabmap/get_parameters")


def generate_launch_description() -> LaunchDescription:
    namespace = DeclareLaunchArgument(
        "rtabmap_namespace",
        default_value="rtabmap",
        description="Namespace of RTAB-Map's node rtabmap; without a leading slash it is in the namespace of this node",
    )
    launch = Path(get_package_share_directory("vpr_aesvc")) / "launch" / "vpr.launch.py"
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(launch)), launch_arguments={"mode": "slam"}.items()
    )
    bridge = Node(
        package="vpr_aesvc",
        executable="vpr_rtabmap",
        namespace=LaunchConfiguration("namespace"),
        remappings=[(f"rtabmap/{name}", [LaunchConfiguration("rtabmap_namespace"), f"/{name}"]) for name in NAMES],
        output="screen",
    )
    return LaunchDescription([namespace, node, bridge])
